from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respine.model.units import NONE, UnknownUnit, parse, parts


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("ng/mL", "ug/L"),
        ("mg/L", "ug/mL"),
        ("1/(uM*h)", "L/(umol*h)"),
        ("ng*L/(mg*mL)", "ng/mL/(mg/L)"),
        ("points", "1"),
        ("beats/min", "1/min"),
        ("mM", "mmol/L"),
        ("d", "day"),
        ("h^-1", "1/h"),
        ("µg/L", "ug/L"),
        ("μM", "uM"),
        ("kDa", "kg/mol"),
        ("mg·h/L", "h*mg/L"),
    ],
)
def test_two_spellings_are_one_unit(left: str, right: str) -> None:
    assert parse(left).same(parse(right))


@pytest.mark.parametrize(
    ("text", "factor"),
    [("h", 3600), ("min", 60), ("year", 31557600), ("mg/kg", 1e-6), ("L", 1e-3), ("mmHg", 133.322387415), ("%", 0.01)],
)
def test_size_in_base_units(text: str, factor: float) -> None:
    assert parse(text).factor == pytest.approx(factor, rel=1e-12)


def test_scales_and_kinds_are_told_apart() -> None:
    assert parse("ng/mL").alike(parse("mg/L"))
    assert not parse("ng/mL").same(parse("mg/L"))
    assert not parse("mg").alike(parse("mmol"))
    assert parse("kg^0.75").powers[0] == 0.75


@pytest.mark.parametrize("text", ["", "foo", "mg kg", "(mg", "mg^x", "mg/", "mg)", "mg//L", "m$", "mmin"])
def test_what_is_no_unit_is_refused(text: str) -> None:
    with pytest.raises(UnknownUnit):
        parse(text)


@given(
    st.lists(st.sampled_from(["mg", "L", "h", "uM", "kg", "mmHg", "1", "nmol", "s"]), min_size=1, max_size=5),
    st.integers(-3, 3),
)
def test_a_product_over_itself_is_a_pure_number(names: list[str], power: int) -> None:
    text = "*".join(names)
    assert parse(f"({text})/({text})").same(NONE)
    assert parse(f"({text})^{power}").same(parse(text) ** power)


def test_parts_keep_the_scale_people_wrote() -> None:
    assert [(p.kind, p.exponent, p.scale) for p in parts("ng/mL")] == [("gram", 1, -9), ("litre", -1, -3)]

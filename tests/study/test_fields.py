"""Times, shares and doses as texts; formulas of drug files."""

import numpy as np
import pytest

from respine.files import units
from respine.model import formula
from respine.model.expression import evaluate


@pytest.mark.parametrize(
    ("text", "hours"),
    [("0 h", 0), ("40 min", 2 / 3), ("24h", 24), ("7 d", 168), ("2 wk", 336), ("-21 d", -504), ("1.5e1 h", 15), (" 30 s ", 1 / 120), (".5 h", 0.5)],
)  # fmt: skip
def test_hours(text: str, hours: float) -> None:
    assert units.hours(text) == pytest.approx(hours, rel=1e-12, abs=1e-15)


def test_equal_moments_are_equal_numbers() -> None:
    assert units.hours("7 d") == units.hours("168 h") == units.hours("1 wk")
    assert units.hours("0.1 d") == units.hours("2.4 h")
    assert units.hours("40 min") == units.hours("2400 s") == 2 / 3


@pytest.mark.parametrize(
    "text",
    ["24", 24, 1.5, True, None, "h", "1 month", "1 h 20 min", "1,5 h", "", "1e999 h", "nan h", "two h", "5 H", ["1 h"]],
)
def test_no_hours(text: object) -> None:
    with pytest.raises(units.UnitError):
        units.hours(text)


@pytest.mark.parametrize(
    ("text", "amount"),
    [("0.5 mg/kg", (0.5, "mg/kg")), ("500 ug/kg", (0.5, "mg/kg")), ("28mg", (28, "mg")), ("1 g", (1000, "mg")), ("0.2 umol", (200, "nmol")), ("5 IU", (5, "IU")), ("100 µg", (0.1, "mg"))],
)  # fmt: skip
def test_amounts(text: str, amount: tuple[float, str]) -> None:
    value, unit = units.amount(text)
    assert value == pytest.approx(amount[0], rel=1e-12)
    assert unit == amount[1]


def test_shares() -> None:
    assert units.fraction("50 %") == 0.5
    assert units.fraction("7.5%") == pytest.approx(0.075)
    for wrong in ("50", 50, 0.5, "half", True, "50 percent"):
        with pytest.raises(units.UnitError):
            units.fraction(wrong)


def test_formulas_give_what_they_say() -> None:
    values = {"a": np.array([1.0, 4.0]), "dose": 3.0}
    for text, exact in (
        ("0.5 * a", [0.5, 2.0]), ("-a + 2**3", [7, 4]), ("min(a, dose) / dose", [1 / 3, 1]), ("max(a, 2) - (1 - a)", [2, 7]),
        ("sqrt(a) * exp(0) + ln(exp(1))", [2, 3]), ("+a", [1, 4]), ("dose/(dose + a)", [0.75, 3 / 7]),
    ):  # fmt: skip
        assert evaluate(formula.parse(text), values) == pytest.approx(exact, rel=1e-14)
    assert evaluate(formula.parse(0.25), {}) == 0.25


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')",
        "a.b",
        "a[0]",
        "lambda: 1",
        "a if a else b",
        "f(a)",
        "min(a)",
        "1 +",
        "",
        "'x'",
        "True",
        "a < b",
        "x := 1",
        "1j",
        "(" * 200,
    ],
)
def test_formulas_that_are_refused(text: str) -> None:
    with pytest.raises(formula.FormulaError):
        formula.parse(text)

"""Formulas of a problem file and their slopes, against complex steps."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from respine.fit.population.dual import Dual, evaluate
from respine.fit.population.formulas import FormulaError, derivative, parse
from respine.model.expression import num, substitute

AT = {"a": 0.7, "b": 1.9, "c": -0.4}
SMOOTH = [
    "a*exp(b) + c/b", "a**b - b**a", "log(a + b*b)", "sqrt(a)*sin(c) - cos(a*b)", "tanh(a)*atan(b) + cosh(c)", "expit(a*b)",
    "logit(a)", "a if a < b else b", "max(a, b)*min(a, c)", "piecewise(a*b, c < 0, a)", "(a^2 + b^2)^0.5", "-a**2",
    "phi(a*b) + log_phi(-30*b)", "lgamma(b + 3)", "1/(1 + exp(-(a + c)))", "abs(c)*a",
]  # fmt: skip


@pytest.mark.parametrize("text", SMOOTH)
def test_slopes_agree_with_differences(text):
    expr = parse(text).expr
    names = list(AT)
    eye = np.eye(3)
    values = {name: Dual(np.array([AT[name]]), eye[:, k : k + 1]) for k, name in enumerate(names)}
    got = evaluate(expr, values)
    for k, name in enumerate(names):
        h = 1e-5

        def at(shift: float, name: str = name) -> float:
            moved = {n: Dual(AT[n] + (shift if n == name else 0.0)) for n in names}
            return float(evaluate(expr, moved).value)

        want = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)
        slope = 0.0 if got.slope is None else float(np.broadcast_to(got.slope, (3, 1))[k, 0])
        assert slope == pytest.approx(want, rel=1e-7, abs=1e-8), name


@pytest.mark.parametrize(
    "text", ["f*(1 + e)", "f*exp(e)", "f + e*w", "f + f**0.5*e*exp(w)", "log(f) + e/2", "sqrt(f*(1 + e))"]
)
def test_the_weight_of_an_effect_is_its_slope(text):
    expr = parse(text).expr
    weight = substitute(derivative(expr, "e"), {"e": num(0)})
    at = {"f": Dual(2.3), "w": Dual(0.4)}
    h = 1e-6
    up, down = (float(evaluate(expr, {**at, "e": Dual(s * h)}).value) for s in (1, -1))
    assert float(evaluate(weight, at).value) == pytest.approx((up - down) / (2 * h), rel=1e-8)


def test_texts_are_compared_with_columns():
    result = parse('1 + 0.3*(sex == "male") + ("old" != group)')
    assert sorted(result.texts.values()) == [("group", "old"), ("sex", "male")]


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "a formula is"), ("a +", "check brackets"), ("foo(a)", "no function foo"), ("exp(a, b)", "takes one value"),
     ("a[0]", "cannot be used"), ('sex < "m"', "== or !="), ("a" * 5000, "longer"), ("lambda x: x", "cannot be used")],
)  # fmt: skip
def test_what_is_no_formula_says_why(text, said):
    with pytest.raises(FormulaError, match=said):
        parse(text)


def test_an_effect_inside_what_has_no_slope_is_refused():
    with pytest.raises(FormulaError, match="stands inside"):
        derivative(parse("f + max(e, 0)").expr, "e")


def test_special_functions_are_scipys():
    x = np.array([-200.0, -45.0, -31.0, -29.0, -3.0, 0.0, 0.4, 7.0, 30.0])
    got = evaluate(("log_phi", ("sym", "x")), {"x": Dual(x, np.ones((1, len(x))))})
    assert got.value == pytest.approx(special.log_ndtr(x), rel=1e-12)
    assert got.slope[0][:5] == pytest.approx(
        np.exp(-0.5 * x**2 - special.log_ndtr(x))[:5] / np.sqrt(2 * np.pi), rel=1e-10
    )
    y = np.array([0.03, 0.5, 1.0, 3.7, 9.9, 10.1, 250.0])
    got = evaluate(("lgamma", ("sym", "y")), {"y": Dual(y, np.ones((1, len(y))))})
    assert got.value == pytest.approx(special.gammaln(y), rel=1e-13, abs=1e-14)
    assert got.slope[0] == pytest.approx(special.digamma(y), rel=1e-12)

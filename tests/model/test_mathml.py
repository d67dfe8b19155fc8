"""Every MathML function of SBML against Python's own mathematics."""

from __future__ import annotations

import math

import libsbml
import pytest
from hypothesis import given
from hypothesis import strategies as st

from respine.model.expression import Expr, evaluate, num, sym
from respine.model.infix import infix
from respine.model.mathml import AVOGADRO, Scope, Unsupported, formula
from respine.model.write_sbml import _ast


def read(text: str) -> Expr:
    return formula(libsbml.parseL3Formula(text), Scope())


def value(text: str, **values: float) -> float:
    return float(evaluate(read(text), values, 3.0))


FUNCTIONS = [
    ("sec(x)", lambda x: 1 / math.cos(x)), ("csc(x)", lambda x: 1 / math.sin(x)), ("cot(x)", lambda x: 1 / math.tan(x)),
    ("sech(x)", lambda x: 1 / math.cosh(x)), ("csch(x)", lambda x: 1 / math.sinh(x)), ("coth(x)", lambda x: 1 / math.tanh(x)),
    ("arcsinh(x)", math.asinh), ("arcsinh(-1e8 * x)", lambda x: math.asinh(-1e8 * x)), ("arccosh(1 + x)", lambda x: math.acosh(1 + x)),
    ("arctanh(x / 2)", lambda x: math.atanh(x / 2)), ("arcsech(x / 2)", lambda x: math.acosh(2 / x)), ("arccsch(x)", lambda x: math.asinh(1 / x)),
    ("arccoth(1 + x)", lambda x: math.atanh(1 / (1 + x))), ("arcsec(1 + x)", lambda x: math.acos(1 / (1 + x))),
    ("arccsc(1 + x)", lambda x: math.asin(1 / (1 + x))), ("arccot(x)", lambda x: math.atan(1 / x)), ("log10(x)", math.log10),
    ("log(3, x)", lambda x: math.log(x) / math.log(3)), ("ln(x)", math.log), ("root(3, x)", lambda x: x ** (1 / 3)), ("sqrt(x)", math.sqrt),
    ("x^2", lambda x: x * x), ("abs(-x)", abs), ("floor(10 * x)", lambda x: math.floor(10 * x)), ("ceil(10 * x)", lambda x: math.ceil(10 * x)),
    ("factorial(x + 2.5)", lambda x: math.gamma(x + 3.5)), ("min(3, x, 7)", lambda x: min(3, x, 7)), ("max(x, 0.1, 0.2)", lambda x: max(x, 0.1, 0.2)),
    ("-x", lambda x: -x), ("x - 3", lambda x: x - 3), ("exp(x)", math.exp), ("tanh(x)", math.tanh), ("arctan(x)", math.atan),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), FUNCTIONS, ids=[f[0] for f in FUNCTIONS])
@pytest.mark.parametrize("x", [0.17, 0.6, 0.999])
def test_function(text: str, expected, x: float) -> None:  # type: ignore[no-untyped-def]
    assert value(text, x=x) == pytest.approx(expected(x), rel=1e-13)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("quotient(9, 2)", 4), ("quotient(-9, 2)", -4), ("rem(9, 2)", 1), ("rem(-9, 2)", -1), ("rem(9, -2)", 1),
        ("implies(1 < 2, 2 < 1)", 0), ("implies(2 < 1, 2 < 1)", 1), ("1 < 2 && 2 < 3 && 4 < 3", 0), ("xor(true, true, true)", 1),
        ("and()", 1), ("or()", 0), ("plus()", 0), ("times()", 1), ("!(1 > 2)", 1), ("factorial(5)", 120), ("avogadro", AVOGADRO),
        ("time", 3), ("pi", math.pi), ("exponentiale", math.e), ("1.5e-3", 0.0015), ("lt(1, 2, 3)", 1), ("lt(1, 3, 2)", 0),
        ("piecewise(1, 1 > 2, 5, 2 > 1, 9)", 5), ("piecewise(1, 1 > 2, 9)", 9), ("(2 < 3) + 1", 2), ("2^3^2", 512), ("-2^2", -4),
    ],
)  # fmt: skip
def test_exact_value(text: str, expected: float) -> None:
    assert value(text) == expected


def test_factorials_of_whole_numbers_are_exact() -> None:
    assert [value("factorial(n)", n=n) for n in range(17)] == [math.factorial(n) for n in range(17)]


def test_piecewise_without_otherwise_has_no_value_where_nothing_holds() -> None:
    assert value("piecewise(3, x > 1)", x=2) == 3
    assert math.isnan(value("piecewise(3, x > 1)", x=0))


def test_delay_is_refused_by_name() -> None:
    with pytest.raises(Unsupported, match="delay"):
        read("delay(x, 2)")


def test_a_sum_of_thousands_of_terms_is_read() -> None:
    assert value(" + ".join(["x"] * 5000), x=0.5) == 2500


leaf = st.one_of(
    st.integers(-5, 5).map(num),
    st.sampled_from("xyz").map(sym),
    st.just(("time",)),
    st.integers(1, 80).map(lambda k: num(k / 8)),
)
RELATIONS = {"lt", "le", "gt", "ge", "eq", "ne"}


def _chained(expr: Expr) -> bool:
    """Whether a relation is compared: libSBML's text parser takes (a < b) < c for the chain a < b < c."""
    if expr[0] in ("num", "sym", "time"):
        return False
    return (expr[0] in RELATIONS and any(p[0] in RELATIONS for p in expr[1:])) or any(_chained(p) for p in expr[1:])


OPERATORS = ["add", "sub", "mul", "div", "pow", "min", "max", "lt", "le", "gt", "ge", "eq", "ne", "and", "or"]


def tree(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    two = st.tuples(st.sampled_from(OPERATORS), inner, inner)
    unary = st.tuples(st.sampled_from(["neg", "exp", "abs", "floor", "tanh", "not"]), inner)
    return st.one_of(two, unary, st.tuples(st.just("if"), inner, inner, inner))


@given(st.recursive(leaf, tree, max_leaves=12))
def test_formulas_survive_mathml_and_infix(expr: Expr) -> None:
    """Written and read again, a formula keeps its value (its numbers have few digits; libSBML writes 15)."""
    values = {"x": 0.7, "y": -1.3, "z": 2.0}
    expected = float(evaluate(expr, values, 3.0))
    node = _ast(expr)
    through_xml = libsbml.readMathMLFromString(libsbml.writeMathMLToString(node))
    again = [formula(through_xml, Scope())]
    if not _chained(expr):
        again.append(read(infix(expr)))
    for other in again:
        result = float(evaluate(other, values, 3.0))
        assert result == pytest.approx(expected, rel=1e-13, nan_ok=True)  # libSBML may take x (y z) for (x y) z

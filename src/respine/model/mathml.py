"""MathML as libSBML reads it -> the formula tuples of ``expression``; functions the engine lacks are composed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import pairwise
from typing import Any

import libsbml

from respine.model.expression import Expr, num, substitute, sym

RATE_OF = "rateOf:"  # marks a symbol that means the rate of change of another; the reader resolves it
AVOGADRO = 6.02214179e23  # the value SBML L3 fixes for its csymbol

_A = libsbml


class Unsupported(Exception):
    """A formula uses something respine cannot compute; the text names it."""


@dataclass
class Scope:
    """What names mean inside a formula: user functions (arguments, body) and local names (reaction parameters)."""

    functions: dict[str, tuple[tuple[str, ...], Expr]] = field(default_factory=dict)
    local: Mapping[str, Expr] = field(default_factory=dict)


def formula(node: Any, scope: Scope) -> Expr:
    """The formula of a libSBML AST node. Raises Unsupported."""
    kind = node.getType()
    if kind in _LEAVES:
        return _LEAVES[kind](node)
    if kind == _A.AST_NAME:
        name = node.getName()
        return scope.local.get(name, sym(name))
    if kind in _REFUSED:
        raise Unsupported(_REFUSED[kind])
    if kind == _A.AST_FUNCTION_RATE_OF:
        return _rate_of(node, scope)
    parts = [formula(node.getChild(k), scope) for k in range(node.getNumChildren())]
    if kind == _A.AST_FUNCTION:
        return _call(node.getName(), parts, scope)
    if kind not in _OPERATORS:
        raise Unsupported(f"the MathML element {node.getName() or kind}")
    try:
        return _OPERATORS[kind](*parts)
    except TypeError:
        name = libsbml.formulaToL3String(node)
        raise Unsupported(f'"{name}", which has {len(parts)} operands') from None


def _call(name: str, parts: list[Expr], scope: Scope) -> Expr:
    if name not in scope.functions:
        raise Unsupported(f'the function "{name}", which is not defined')
    arguments, body = scope.functions[name]
    if len(arguments) != len(parts):
        raise Unsupported(f'the function "{name}" with {len(parts)} arguments; it is defined with {len(arguments)}')
    meaning = dict(zip(arguments, parts, strict=True))
    rates = {RATE_OF + a: sym(RATE_OF + part[1]) for a, part in meaning.items() if part[0] == "sym"}
    return substitute(body, meaning | rates)


def _rate_of(node: Any, scope: Scope) -> Expr:
    target = formula(node.getChild(0), scope)
    if target[0] != "sym":
        raise Unsupported("rateOf of something other than one symbol")
    return sym(RATE_OF + target[1])


def _real_e(node: Any) -> Expr:
    return num(float(f"{node.getMantissa()!r}e{node.getExponent()}"))  # one rounding, not two


def _negative(x: Expr) -> Expr:
    return num(-x[1]) if x[0] == "num" else ("neg", x)


def _minus(*x: Expr) -> Expr:
    return _negative(x[0]) if len(x) == 1 else _binary("sub")(*x)


def _binary(op: str) -> Callable[..., Expr]:
    def build(a: Expr, b: Expr) -> Expr:
        return (op, a, b)

    return build


def _unary(op: str) -> Callable[..., Expr]:
    def build(a: Expr) -> Expr:
        return (op, a)

    return build


def _many(op: str, empty: float | None = None) -> Callable[..., Expr]:
    """An operator of any number of operands, folded from the left."""

    def build(*parts: Expr) -> Expr:
        if not parts:
            if empty is None:
                raise TypeError(op)
            return num(empty)
        if len(parts) == 1 and op in ("and", "or", "xor"):
            return ("ne", parts[0], num(0))
        return fold(op, parts)

    return build


def fold(op: str, parts: Sequence[Expr]) -> Expr:
    """One operator over many operands: from the left, or as a balanced tree where the left fold would nest too deep."""
    if len(parts) <= 32:
        return reduce(_binary(op), parts)
    half = len(parts) // 2
    return (op, fold(op, parts[:half]), fold(op, parts[half:]))


def _chain(op: str) -> Callable[..., Expr]:
    """A relation of two or more operands: a < b < c means a < b and b < c."""

    def build(first: Expr, second: Expr, *rest: Expr) -> Expr:
        parts = (first, second, *rest)
        return reduce(_binary("and"), ((op, a, b) for a, b in pairwise(parts)))

    return build


def _piecewise(*parts: Expr) -> Expr:
    otherwise = parts[-1] if len(parts) % 2 else num(math.nan)  # without otherwise SBML gives no value
    for k in range(len(parts) // 2 - 1, -1, -1):
        otherwise = ("if", parts[2 * k + 1], parts[2 * k], otherwise)
    return otherwise


def _log(*parts: Expr) -> Expr:
    base, x = parts if len(parts) == 2 else (num(10), *parts)
    return ("div", ("ln", x), num(math.log(base[1])) if base[0] == "num" and base[1] > 0 else ("ln", base))


def _root(*parts: Expr) -> Expr:
    degree, x = parts if len(parts) == 2 else (num(2), *parts)
    return ("sqrt", x) if degree == num(2) else ("pow", x, ("div", num(1), degree))


def _truncated(x: Expr) -> Expr:
    return ("if", ("ge", x, num(0)), ("floor", x), ("ceil", x))


def _quotient(a: Expr, b: Expr) -> Expr:
    return _truncated(("div", a, b))


def _remainder(a: Expr, b: Expr) -> Expr:
    return ("sub", a, ("mul", b, _quotient(a, b)))


# Lanczos (1964), g = 7, nine coefficients of Godfrey: the gamma function to about 1e-15
_LANCZOS = (
    0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
    12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
)  # fmt: skip


def _factorial(x: Expr) -> Expr:
    if x[0] == "num" and x[1] >= 0 and x[1] == int(x[1]) and x[1] <= 170:
        return num(math.factorial(int(x[1])))
    series: Expr = num(_LANCZOS[0])
    for k, c in enumerate(_LANCZOS[1:], start=1):
        series = ("add", series, ("div", num(c), ("add", x, num(k))))
    t = ("add", x, num(7.5))
    power = ("exp", ("sub", ("mul", ("add", x, num(0.5)), ("ln", t)), t))
    gamma = ("mul", num(math.sqrt(2 * math.pi)), ("mul", power, series))
    whole = ("and", ("eq", x, ("floor", x)), ("le", x, num(16)))  # there rounding makes it exact
    return ("if", whole, ("floor", ("add", gamma, num(0.5))), gamma)


def _reciprocal(outer: str) -> Callable[..., Expr]:
    """sec, csc, cot and their hyperbolic kin: one over another function."""
    return lambda x: ("div", num(1), (outer, x))


def _of_reciprocal(inner: Callable[..., Expr]) -> Callable[..., Expr]:
    """arcsec, arccsc, arccot and their hyperbolic kin: another function of one over x."""
    return lambda x: inner(("div", num(1), x))


_LEAVES: dict[int, Callable[[Any], Expr]] = {
    _A.AST_INTEGER: lambda n: num(n.getInteger()),
    _A.AST_REAL: lambda n: num(n.getReal()),
    _A.AST_REAL_E: _real_e,
    _A.AST_RATIONAL: lambda n: num(n.getNumerator() / n.getDenominator()),
    _A.AST_NAME_TIME: lambda n: ("time",),
    _A.AST_NAME_AVOGADRO: lambda n: num(AVOGADRO),
    _A.AST_CONSTANT_PI: lambda n: num(math.pi),
    _A.AST_CONSTANT_E: lambda n: num(math.e),
    _A.AST_CONSTANT_TRUE: lambda n: num(1),
    _A.AST_CONSTANT_FALSE: lambda n: num(0),
}

_REFUSED = {
    _A.AST_FUNCTION_DELAY: "the csymbol delay (a delay differential equation)",
    _A.AST_LAMBDA: "a lambda outside a function definition",
}

_OPERATORS: dict[int, Callable[..., Expr]] = {
    _A.AST_PLUS: _many("add", 0), _A.AST_TIMES: _many("mul", 1), _A.AST_MINUS: _minus, _A.AST_DIVIDE: _binary("div"),
    _A.AST_POWER: _binary("pow"), _A.AST_FUNCTION_POWER: _binary("pow"), _A.AST_FUNCTION_ROOT: _root,
    _A.AST_FUNCTION_EXP: _unary("exp"), _A.AST_FUNCTION_LN: _unary("ln"), _A.AST_FUNCTION_LOG: _log,
    _A.AST_FUNCTION_ABS: _unary("abs"), _A.AST_FUNCTION_FLOOR: _unary("floor"), _A.AST_FUNCTION_CEILING: _unary("ceil"),
    _A.AST_FUNCTION_FACTORIAL: _factorial, _A.AST_FUNCTION_QUOTIENT: _quotient, _A.AST_FUNCTION_REM: _remainder,
    _A.AST_FUNCTION_MIN: _many("min"), _A.AST_FUNCTION_MAX: _many("max"), _A.AST_FUNCTION_PIECEWISE: _piecewise,
    _A.AST_FUNCTION_SIN: _unary("sin"), _A.AST_FUNCTION_COS: _unary("cos"), _A.AST_FUNCTION_TAN: _unary("tan"),
    _A.AST_FUNCTION_SEC: _reciprocal("cos"), _A.AST_FUNCTION_CSC: _reciprocal("sin"),
    _A.AST_FUNCTION_COT: _reciprocal("tan"),
    _A.AST_FUNCTION_SINH: _unary("sinh"), _A.AST_FUNCTION_COSH: _unary("cosh"), _A.AST_FUNCTION_TANH: _unary("tanh"),
    _A.AST_FUNCTION_SECH: _reciprocal("cosh"), _A.AST_FUNCTION_CSCH: _reciprocal("sinh"),
    _A.AST_FUNCTION_COTH: _reciprocal("tanh"),
    _A.AST_FUNCTION_ARCSIN: _unary("asin"), _A.AST_FUNCTION_ARCCOS: _unary("acos"),
    _A.AST_FUNCTION_ARCTAN: _unary("atan"), _A.AST_FUNCTION_ARCSEC: _of_reciprocal(_unary("acos")),
    _A.AST_FUNCTION_ARCCSC: _of_reciprocal(_unary("asin")), _A.AST_FUNCTION_ARCCOT: _of_reciprocal(_unary("atan")),
    _A.AST_FUNCTION_ARCSINH: _unary("asinh"), _A.AST_FUNCTION_ARCCOSH: _unary("acosh"), _A.AST_FUNCTION_ARCTANH: _unary("atanh"),
    _A.AST_FUNCTION_ARCSECH: _of_reciprocal(_unary("acosh")), _A.AST_FUNCTION_ARCCSCH: _of_reciprocal(_unary("asinh")),
    _A.AST_FUNCTION_ARCCOTH: _of_reciprocal(_unary("atanh")),
    _A.AST_RELATIONAL_LT: _chain("lt"), _A.AST_RELATIONAL_LEQ: _chain("le"), _A.AST_RELATIONAL_GT: _chain("gt"),
    _A.AST_RELATIONAL_GEQ: _chain("ge"), _A.AST_RELATIONAL_EQ: _chain("eq"), _A.AST_RELATIONAL_NEQ: _binary("ne"),
    _A.AST_LOGICAL_AND: _many("and", 1), _A.AST_LOGICAL_OR: _many("or", 0), _A.AST_LOGICAL_XOR: _many("xor", 0),
    _A.AST_LOGICAL_NOT: _unary("not"), _A.AST_LOGICAL_IMPLIES: lambda a, b: ("or", ("not", a), b),
}  # fmt: skip

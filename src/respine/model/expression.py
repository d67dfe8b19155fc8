"""Formulas as nested tuples: the form in which equations travel from text or SBML to the engine.

``("num", 2.0)``, ``("sym", "spine_thin")``, ``("time",)``; every other node is ``(op, *operands)`` with ``op`` one of

* arithmetic: ``add sub mul div pow`` (binary), ``neg`` (unary), ``min max`` (binary);
* functions (unary): ``exp ln sqrt abs floor ceil sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh``;
* logic, as 0 or 1: ``lt le gt ge eq ne`` ``and or xor`` (binary), ``not`` (unary);
* ``("if", condition, then, otherwise)``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

Expr = tuple[Any, ...]

BINARY = frozenset({
    "add", "sub", "mul", "div", "pow", "min", "max", "lt", "le", "gt", "ge", "eq", "ne", "and", "or", "xor",
})  # fmt: skip
UNARY = frozenset({
    "neg", "exp", "ln", "sqrt", "abs", "floor", "ceil", "sin", "cos", "tan", "asin", "acos", "atan", "sinh",
    "cosh", "tanh", "asinh", "acosh", "atanh", "not",
})  # fmt: skip


def num(value: float) -> Expr:
    """A literal number."""
    return ("num", float(value))


def sym(name: str) -> Expr:
    """A reference to a state, rule, parameter or input."""
    return ("sym", name)


def symbols(expr: Expr) -> Iterator[str]:
    """Every symbol an expression mentions, repeats included."""
    if expr[0] == "sym":
        yield expr[1]
    elif expr[0] != "num":
        for part in expr[1:]:
            yield from symbols(part)


def mentions_time(expr: Expr) -> bool:
    """Whether an expression depends on the time itself."""
    return expr[0] == "time" or (expr[0] not in ("sym", "num") and any(map(mentions_time, expr[1:])))


def substitute(expr: Expr, values: Mapping[str, Expr]) -> Expr:
    """The expression with symbols replaced by other expressions."""
    if expr[0] == "sym":
        return values.get(expr[1], expr)
    if expr[0] in ("num", "time"):
        return expr
    return (expr[0], *(substitute(part, values) for part in expr[1:]))


_NUMPY: dict[str, Callable[..., Any]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "pow": np.power, "neg": np.negative,
    "min": np.minimum, "max": np.maximum, "exp": np.exp, "ln": np.log, "sqrt": np.sqrt, "abs": np.abs,
    "floor": np.floor, "ceil": np.ceil, "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin,
    "acos": np.arccos, "atan": np.arctan, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh,
    "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh, "lt": np.less,
    "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal, "eq": np.equal, "ne": np.not_equal,
    "and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor, "not": np.logical_not,
}  # fmt: skip


def evaluate(expr: Expr, values: Mapping[str, Any], time: float = math.nan) -> Any:
    """The value of an expression for numbers or arrays (one per subject) given by symbol. Raises KeyError."""
    op = expr[0]
    if op == "num":
        return expr[1]
    if op == "sym":
        return values[expr[1]]
    if op == "time":
        return time
    if op == "if":
        return np.where(*(evaluate(part, values, time) for part in expr[1:]))
    with np.errstate(all="ignore"):  # 1/0 and the like are values here; the engine reports them per subject
        return _NUMPY[op](*(np.asarray(evaluate(part, values, time), float) for part in expr[1:]))

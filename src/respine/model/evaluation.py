"""Formulas -> numbers, for one subject or an array of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from respine.model.expression import Expr, postorder

NUMPY: dict[str, Callable[..., Any]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "pow": np.power, "neg": np.negative,
    "min": np.minimum, "max": np.maximum, "exp": np.exp, "ln": np.log, "sqrt": np.sqrt, "abs": np.abs,
    "floor": np.floor, "ceil": np.ceil, "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin,
    "acos": np.arccos, "atan": np.arctan, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh,
    "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh, "lt": np.less,
    "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal, "eq": np.equal, "ne": np.not_equal,
    "and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor, "not": np.logical_not,
}  # fmt: skip


def evaluate(expr: Expr, values: Mapping[str, Any], time: float = math.nan) -> Any:
    """The value of a formula for numbers or arrays (one entry a subject) given by symbol. Raises KeyError."""
    if expr[0] == "num":
        return expr[1]
    if expr[0] == "sym":
        return values[expr[1]]
    known: dict[int, Any] = {}
    with np.errstate(all="ignore"):  # 1/0 and the like are values here; the engine reports them per subject
        for node in postorder(expr):
            op = node[0]
            if op == "num":
                value: Any = node[1]
            elif op == "sym":
                value = values[node[1]]
            elif op == "time":
                value = time
            elif op == "if":
                value = np.where(*(known[id(part)] for part in node[1:]))
            else:
                value = NUMPY[op](*(np.asarray(known[id(part)], float) for part in node[1:]))
            known[id(node)] = value
    return known[id(expr)]

"""The right-hand side as Python source, for solvers that take a function: written without the engine."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from models import Problem

from respine.model.expression import Expr

_INFIX = {
    "add": "+", "sub": "-", "mul": "*", "div": "/", "pow": "**", "lt": "<", "le": "<=", "gt": ">", "ge": ">=",
    "eq": "==", "ne": "!=",
}  # fmt: skip
FUNCTIONS = ("exp", "log", "sqrt", "sin", "cos", "tan", "fabs", "floor", "ceil", "sinh", "cosh", "tanh")
_CALLS = {
    "min": "minimum", "max": "maximum", "ln": "log", "abs": "fabs", "if": "where", "asin": "arcsin", "acos": "arccos",
    "atan": "arctan",
}  # fmt: skip


def right_hand_side(problem: Problem) -> str:
    """``rhs(t, y, p, u, f)`` fills f with the rates; p are the varying parameters, u the infusion rates by state."""
    system = problem.system
    numbers = {**system.parameters, **system.inputs}
    lines = ["def rhs(t, y, p, u, f):"]
    lines += [f"    s_{s} = y[{k}]" for k, s in enumerate(system.states)]
    lines += [f"    s_{name} = p[{k}]" for k, name in enumerate(problem.vary)]
    lines += [f"    s_{name} = {value!r}" for name, value in numbers.items() if name not in problem.vary]
    lines += [f"    s_{name} = {text(rule)}" for name, rule in system.rules.items()]
    infused = {d[0] for d in problem.doses if d[3] > 0}
    for k, (state, rate) in enumerate(system.rates.items()):
        lines.append(f"    f[{k}] = {text(rate)}" + (f" + u[{k}]" if state in infused else ""))
    return "\n".join([*lines, "    return f", ""])


def text(expr: Expr) -> str:
    """A formula as Python."""
    op = expr[0]
    if op == "num":
        return repr(float(expr[1]))
    if op == "sym":
        return f"s_{expr[1]}"
    if op == "time":
        return "t"
    parts = [text(part) for part in expr[1:]]
    if op == "neg":
        return f"(-{parts[0]})"
    if op in _INFIX:
        return f"({parts[0]} {_INFIX[op]} {parts[1]})"
    return f"{_CALLS.get(op, op)}({', '.join(parts)})"


def function(problem: Problem, names: Mapping[str, Any]) -> Any:
    """The right-hand side over the functions in ``names`` (exp, log, sqrt, maximum, ...)."""
    space = dict(names)
    exec(compile(right_hand_side(problem), "right-hand side", "exec"), space)
    return space["rhs"]


def compiled(problem: Problem) -> Any:
    """The right-hand side compiled by numba."""
    from numba import njit

    names: dict[str, Any] = {k: getattr(math, k) for k in FUNCTIONS}
    names |= {"arcsin": math.asin, "arccos": math.acos, "arctan": math.atan}
    names["maximum"] = njit(inline="always")(lambda a, b: a if a > b else b)
    names["minimum"] = njit(inline="always")(lambda a, b: a if a < b else b)
    names["where"] = njit(inline="always")(lambda c, a, b: a if c else b)
    return njit(fastmath={"contract"}, error_model="numpy")(function(problem, names))

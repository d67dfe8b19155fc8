"""Numbers that carry their derivatives: formulas of parameters, random effects and predictions, with exact slopes.

A ``Dual`` holds ``value`` (n,) and ``slope`` (k, n), the derivatives by k directions, or None where all are zero.
Rules of differentiation are those of forward mode; a formula is evaluated once for all subjects or records.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from respine.model.expression import Expr


class Dual:
    """A value and its slopes; see the module."""

    __slots__ = ("slope", "value")
    __array_ufunc__ = None

    def __init__(self, value: Any, slope: np.ndarray | None = None) -> None:
        self.value = np.asarray(value, float)
        self.slope = slope

    def scaled(self, factor: Any) -> np.ndarray | None:
        """The slopes times a factor (n,) or a number."""
        return None if self.slope is None else self.slope * factor

    def take(self, rows: np.ndarray) -> Dual:
        """The entries of some rows; a number stays a number, slopes (k, 1) count for all."""
        if self.value.ndim == 0:
            return self
        shared = self.slope is None or self.slope.shape[1] == 1
        return Dual(self.value[rows], self.slope if shared or self.slope is None else self.slope[:, rows])


def constant(value: Any) -> Dual:
    """A value that depends on no direction."""
    return Dual(value)


def _sum(left: np.ndarray | None, right: np.ndarray | None) -> np.ndarray | None:
    if left is None:
        return right
    return left if right is None else left + right


def add(a: Dual, b: Dual) -> Dual:
    return Dual(a.value + b.value, _sum(a.slope, b.slope))


def sub(a: Dual, b: Dual) -> Dual:
    return Dual(a.value - b.value, _sum(a.slope, b.scaled(-1.0)))


def mul(a: Dual, b: Dual) -> Dual:
    return Dual(a.value * b.value, _sum(a.scaled(b.value), b.scaled(a.value)))


def div(a: Dual, b: Dual) -> Dual:
    quotient = a.value / b.value
    return Dual(quotient, _sum(a.scaled(1.0 / b.value), b.scaled(-quotient / b.value)))


def power(a: Dual, b: Dual) -> Dual:
    value = np.power(a.value, b.value)
    base = None
    if a.slope is not None:
        slope = np.where(b.value == 0, 0.0, b.value * np.power(a.value, b.value - 1.0))
        base = a.scaled(slope)
    if b.slope is None:
        return Dual(value, base)
    log = np.log(np.where(a.value > 0, a.value, 1.0))  # 0**b has slope 0 by b
    return Dual(value, _sum(base, b.scaled(value * log)))


def choose(condition: np.ndarray, then: Dual, otherwise: Dual) -> Dual:
    """``then`` where the condition holds, ``otherwise`` elsewhere, slopes likewise."""
    value = np.where(condition, then.value, otherwise.value)
    if then.slope is None and otherwise.slope is None:
        return Dual(value)
    zero = np.zeros((1, 1))
    left = zero if then.slope is None else then.slope
    right = zero if otherwise.slope is None else otherwise.slope
    return Dual(value, np.where(condition, left, right))


def _unary(function: Callable[[np.ndarray], np.ndarray], slope: Callable[..., Any]) -> Callable[[Dual], Dual]:
    """``slope(x, y)`` is the derivative at x, where y is the value there."""

    def apply(a: Dual) -> Dual:
        y = function(a.value)
        return Dual(y, None if a.slope is None else a.slope * slope(a.value, y))

    return apply


def _expit(x: np.ndarray) -> np.ndarray:
    return np.where(x >= 0, 1.0 / (1.0 + np.exp(-np.abs(x))), np.exp(-np.abs(x)) / (1.0 + np.exp(-np.abs(x))))


def _density(x: np.ndarray, _: Any = None) -> np.ndarray:
    return np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)


def _hazard(x: np.ndarray, log_phi: np.ndarray) -> np.ndarray:
    """d(log Phi)/dx, also far in the tail."""
    return np.exp(-0.5 * x * x - log_phi) / math.sqrt(2 * math.pi)


def _each(function: Callable[[float], float]) -> Callable[[np.ndarray], np.ndarray]:
    return np.vectorize(function, otypes=[float])


def _log_gamma(x: float) -> float:
    return math.lgamma(x) if math.isfinite(x) and (x > 0 or x != math.floor(x)) else math.nan


def _digamma(x: float) -> float:
    """d(log Gamma)/dx for x > 0 by recurrence to 10 and the asymptotic series (Abramowitz & Stegun 6.3.18)."""
    if not x > 0:
        return math.nan
    shift = 0.0
    while x < 10.0:
        shift -= 1.0 / x
        x += 1.0
    inverse = 1.0 / (x * x)
    series = inverse * (1 / 12 - inverse * (1 / 120 - inverse * (1 / 252 - inverse * (1 / 240 - inverse / 132))))
    return shift + math.log(x) - 0.5 / x - series


def _log_normal_probability(x: float) -> float:
    """log Phi(x), also far in the tail (Abramowitz & Stegun 26.2.12)."""
    if x > -30:
        return math.log(0.5 * math.erfc(-x / math.sqrt(2)))
    inverse = 1.0 / (x * x)
    tail = 1 - inverse * (1 - 3 * inverse * (1 - 5 * inverse * (1 - 7 * inverse)))
    return -0.5 * x * x - math.log(-x * math.sqrt(2 * math.pi)) + math.log(tail)


_lgamma, _psi = _each(_log_gamma), _each(_digamma)
_phi, _log_phi = _each(lambda x: 0.5 * math.erfc(-x / math.sqrt(2))), _each(_log_normal_probability)

UNARY: dict[str, Callable[[Dual], Dual]] = {
    "neg": _unary(np.negative, lambda x, y: -1.0),
    "exp": _unary(np.exp, lambda x, y: y),
    "ln": _unary(np.log, lambda x, y: 1.0 / x),
    "sqrt": _unary(np.sqrt, lambda x, y: np.where(x == 0, 0.0, 0.5 / np.where(x == 0, 1.0, y))),
    "abs": _unary(np.abs, lambda x, y: np.sign(x)),
    "floor": _unary(np.floor, lambda x, y: 0.0),
    "ceil": _unary(np.ceil, lambda x, y: 0.0),
    "sin": _unary(np.sin, lambda x, y: np.cos(x)),
    "cos": _unary(np.cos, lambda x, y: -np.sin(x)),
    "tan": _unary(np.tan, lambda x, y: 1.0 + y * y),
    "asin": _unary(np.arcsin, lambda x, y: 1.0 / np.sqrt(1.0 - x * x)),
    "acos": _unary(np.arccos, lambda x, y: -1.0 / np.sqrt(1.0 - x * x)),
    "atan": _unary(np.arctan, lambda x, y: 1.0 / (1.0 + x * x)),
    "sinh": _unary(np.sinh, lambda x, y: np.cosh(x)),
    "cosh": _unary(np.cosh, lambda x, y: np.sinh(x)),
    "tanh": _unary(np.tanh, lambda x, y: 1.0 - y * y),
    "expit": _unary(_expit, lambda x, y: y * (1.0 - y)),
    "logit": _unary(lambda x: np.log(x / (1.0 - x)), lambda x, y: 1.0 / (x * (1.0 - x))),
    "lgamma": _unary(_lgamma, lambda x, y: _psi(x)),
    "phi": _unary(_phi, _density),
    "log_phi": _unary(_log_phi, _hazard),
}
"""Functions of one value; ``phi`` is the normal distribution function, ``log_phi`` its logarithm."""

COMPARE: dict[str, Callable[[Any, Any], np.ndarray]] = {
    "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal, "eq": np.equal, "ne": np.not_equal,
}  # fmt: skip
LOGIC: dict[str, Callable[[Any, Any], np.ndarray]] = {"and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor}
_ARITHMETIC = {"add": add, "sub": sub, "mul": mul, "div": div, "pow": power}


def evaluate(expr: Expr, values: Mapping[str, Dual]) -> Dual:
    """The value and slopes of a formula. Raises KeyError for a symbol without a value, ValueError for ``time``."""
    with np.errstate(all="ignore"):  # 0/0 is a value here; whoever asks looks at what is finite
        return _evaluate(expr, values)


def _evaluate(expr: Expr, values: Mapping[str, Dual]) -> Dual:
    op = expr[0]
    if op == "num":
        return Dual(expr[1])
    if op == "sym":
        return values[expr[1]]
    if op == "time":
        return values["time"]
    if op == "if":
        condition, then, otherwise = (_evaluate(part, values) for part in expr[1:])
        return choose(condition.value != 0, then, otherwise)
    parts = [_evaluate(part, values) for part in expr[1:]]
    if op in UNARY:
        return UNARY[op](parts[0])
    a, b = (parts[0], parts[1]) if len(parts) == 2 else (parts[0], parts[0])
    if op in _ARITHMETIC:
        return _ARITHMETIC[op](a, b)
    if op in ("min", "max"):
        return choose((a.value < b.value) == (op == "min"), a, b)
    if op == "not":
        return Dual(a.value == 0)
    if op in COMPARE:
        return Dual(COMPARE[op](a.value, b.value))
    return Dual(LOGIC[op](a.value != 0, b.value != 0))

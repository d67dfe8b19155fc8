"""What a formula of time can be between two moments: an interval that holds all its values there.

Used to prove that a condition does not change in a span of time, however narrow its windows are; a proof by samples is
none. Each value is a pair of arrays, lowest and highest. Rounding of sums and products is the same for all numbers
between two ends, so that no value a computer finds lies outside; functions of a library get two last bits to each side.
Moore RE, Kearfott RB, Cloud MJ (2009) Introduction to Interval Analysis, SIAM.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import numpy as np

from respine.model.expression import Expr

Interval = tuple[Any, Any]
TURN = 2 * np.pi


def bounds(expr: Expr, known: Mapping[str, Interval], low: np.ndarray, high: np.ndarray) -> Interval:
    """Lowest and highest value of a formula for times between ``low`` and ``high``, (n,) each.

    ``known`` holds an interval for each symbol. What is no number somewhere can be anything.
    """
    op, *parts = expr
    if op == "num":
        return parts[0], parts[0]
    if op == "sym":
        return known[parts[0]]
    if op == "time":
        return low, high
    interval = _OPERATORS[op](*(bounds(part, known, low, high) for part in parts))
    return _anything_where_unknown(*interval)


def _anything_where_unknown(low: Any, high: Any) -> Interval:
    unknown = np.isnan(low) | np.isnan(high)
    if np.any(unknown):
        return np.where(unknown, -np.inf, low), np.where(unknown, np.inf, high)
    return low, high


def _extremes(*values: Any) -> Interval:
    """Lowest and highest of several; no number if one is none."""
    return reduce(np.minimum, values), reduce(np.maximum, values)


def _wider(low: Any, high: Any) -> Interval:
    for _ in range(2):
        low, high = np.nextafter(low, -np.inf), np.nextafter(high, np.inf)
    return low, high


# ---- arithmetic ------------------------------------------------------------------------------------------------------
def _add(a: Interval, b: Interval) -> Interval:
    return a[0] + b[0], a[1] + b[1]


def _subtract(a: Interval, b: Interval) -> Interval:
    return a[0] - b[1], a[1] - b[0]


def _multiply(a: Interval, b: Interval) -> Interval:
    return _extremes(*(np.multiply(x, y) for x in a for y in b))


def _divide(a: Interval, b: Interval) -> Interval:
    low, high = _extremes(*(np.divide(x, y) for x in a for y in b))
    through_zero = np.less_equal(b[0], 0) & np.greater_equal(b[1], 0)
    return np.where(through_zero, -np.inf, low), np.where(through_zero, np.inf, high)


def _power(a: Interval, b: Interval) -> Interval:
    """Of a base below zero only whole exponents that are the same everywhere."""
    low, high = _extremes(*(np.power(x, y) for x in a for y in b))
    whole = np.equal(b[0], b[1]) & np.equal(np.floor(b[0]), b[0])
    crosses = np.less(a[0], 0) & np.greater(a[1], 0)
    even = np.equal(np.fmod(b[0], 2), 0)
    low = np.where(crosses & whole & even & np.greater(b[0], 0), 0.0, low)
    unknown = (np.less(a[0], 0) & ~whole) | (crosses & np.less(b[0], 0))
    low, high = _wider(low, high)
    return np.where(unknown, -np.inf, low), np.where(unknown, np.inf, high)


# ---- functions -------------------------------------------------------------------------------------------------------
def _rising(function: Callable[..., Any], *, exact: bool = False) -> Callable[[Interval], Interval]:
    def rising(a: Interval) -> Interval:
        low, high = function(a[0]), function(a[1])
        return (low, high) if exact else _wider(low, high)

    return rising


def _falling(function: Callable[..., Any]) -> Callable[[Interval], Interval]:
    return lambda a: _wider(function(a[1]), function(a[0]))


def _absolute(a: Interval) -> Interval:
    low, high = _extremes(np.abs(a[0]), np.abs(a[1]))
    return np.where(np.less_equal(a[0], 0) & np.greater_equal(a[1], 0), 0.0, low), high


def _cosh(a: Interval) -> Interval:
    low, high = _absolute(a)
    return _wider(np.cosh(low), np.cosh(high))


def _holds(a: Interval, place: float, period: float) -> Any:
    """Whether an interval holds place + k * period for a whole k, or may hold it."""
    slack = 4 * np.spacing(np.maximum(np.abs(a[0]), np.abs(a[1]))) + 1e-300
    return np.floor((a[1] + slack - place) / period) > np.floor((a[0] - slack - place) / period)


def _sine(a: Interval) -> Interval:
    low, high = _wider(*_extremes(np.sin(a[0]), np.sin(a[1])))
    high = np.where(_holds(a, TURN / 4, TURN), 1.0, high)
    low = np.where(_holds(a, -TURN / 4, TURN), -1.0, low)
    return np.where(np.isfinite(a[0]), low, -1.0), np.where(np.isfinite(a[1]), high, 1.0)


def _cosine(a: Interval) -> Interval:
    low, high = _wider(*_extremes(np.cos(a[0]), np.cos(a[1])))
    high = np.where(_holds(a, 0.0, TURN), 1.0, high)
    low = np.where(_holds(a, TURN / 2, TURN), -1.0, low)
    return np.where(np.isfinite(a[0]), low, -1.0), np.where(np.isfinite(a[1]), high, 1.0)


def _tangent(a: Interval) -> Interval:
    low, high = _wider(np.tan(a[0]), np.tan(a[1]))
    pole = _holds(a, TURN / 4, TURN / 2) | ~np.isfinite(a[0]) | ~np.isfinite(a[1])
    return np.where(pole, -np.inf, low), np.where(pole, np.inf, high)


# ---- logic: 0 false, 1 true, from 0 to 1 unknown ---------------------------------------------------------------------
def _truth(a: Interval) -> Interval:
    """A number as a condition."""
    never, always = np.equal(a[0], 0) & np.equal(a[1], 0), np.greater(a[0], 0) | np.less(a[1], 0)
    return always * 1.0, ~never * 1.0


def _less(a: Interval, b: Interval) -> Interval:
    return np.less(a[1], b[0]) * 1.0, np.less(a[0], b[1]) * 1.0


def _at_most(a: Interval, b: Interval) -> Interval:
    return np.less_equal(a[1], b[0]) * 1.0, np.less_equal(a[0], b[1]) * 1.0


def _equal(a: Interval, b: Interval) -> Interval:
    always = np.equal(a[0], a[1]) & np.equal(b[0], b[1]) & np.equal(a[0], b[0])
    return always * 1.0, (np.less_equal(a[0], b[1]) & np.less_equal(b[0], a[1])) * 1.0


def _not(a: Interval) -> Interval:
    low, high = _truth(a)
    return 1.0 - high, 1.0 - low


def _and(a: Interval, b: Interval) -> Interval:
    a, b = _truth(a), _truth(b)
    return np.minimum(a[0], b[0]), np.minimum(a[1], b[1])


def _or(a: Interval, b: Interval) -> Interval:
    a, b = _truth(a), _truth(b)
    return np.maximum(a[0], b[0]), np.maximum(a[1], b[1])


def _either(a: Interval, b: Interval) -> Interval:
    return _or(_and(a, _not(b)), _and(_not(a), b))


def _choice(condition: Interval, then: Interval, otherwise: Interval) -> Interval:
    low, high = _truth(condition)
    both = np.minimum(then[0], otherwise[0]), np.maximum(then[1], otherwise[1])
    sure, never = np.equal(low, 1), np.equal(high, 0)
    return (np.where(sure, then[0], np.where(never, otherwise[0], both[0])),
            np.where(sure, then[1], np.where(never, otherwise[1], both[1])))  # fmt: skip


_OPERATORS: dict[str, Callable[..., Interval]] = {
    "add": _add, "sub": _subtract, "mul": _multiply, "div": _divide, "pow": _power,
    "neg": lambda a: (np.negative(a[1]), np.negative(a[0])),
    "min": lambda a, b: (np.minimum(a[0], b[0]), np.minimum(a[1], b[1])),
    "max": lambda a, b: (np.maximum(a[0], b[0]), np.maximum(a[1], b[1])),
    "exp": _rising(np.exp), "ln": _rising(np.log), "sqrt": _rising(np.sqrt, exact=True), "abs": _absolute,
    "floor": _rising(np.floor, exact=True), "ceil": _rising(np.ceil, exact=True),
    "sin": _sine, "cos": _cosine, "tan": _tangent, "asin": _rising(np.arcsin), "acos": _falling(np.arccos),
    "atan": _rising(np.arctan), "sinh": _rising(np.sinh), "cosh": _cosh, "tanh": _rising(np.tanh),
    "asinh": _rising(np.arcsinh), "acosh": _rising(np.arccosh), "atanh": _rising(np.arctanh),
    "lt": _less, "le": _at_most, "gt": lambda a, b: _less(b, a), "ge": lambda a, b: _at_most(b, a),
    "eq": _equal, "ne": lambda a, b: _not(_equal(a, b)), "and": _and, "or": _or, "xor": _either, "not": _not,
    "if": _choice,
}  # fmt: skip

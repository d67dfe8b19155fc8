"""Conditions that depend on time alone: when the next one flips, to the last bit of the clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np

from respine.engine.equations.graph import COMPARISONS
from respine.model.expression import _NUMPY, Expr, evaluate, symbols

SAMPLES = 64  # moments looked at in one window
NEAR = np.arange(-4, 5)  # last bits looked at around a root

Formula = Callable[[Mapping[str, Any], Any], Any]


class Clock:
    """Values and flips of named conditions of time; the ``numbers`` they use (parameters, inputs, modes) may change."""

    def __init__(self, conditions: Mapping[str, Expr], rules: Mapping[str, Expr]) -> None:
        formulas = (*conditions.values(), *rules.values())
        self.numbers = sorted({s for e in formulas for s in symbols(e)})
        self.conditions = {name: compiled(expr) for name, expr in conditions.items()}
        self.rules = {name: compiled(expr) for name, expr in rules.items()}
        comparisons = dict.fromkeys(part for expr in formulas for part in _comparisons(expr))
        self._differences = [compiled(("sub", a, b)) for _, a, b in comparisons]

    def values(self, time: float, numbers: Mapping[str, float]) -> dict[str, float]:
        """Each condition's value at one time."""
        with np.errstate(all="ignore"):
            known = self._known(time, numbers)
            found = {name: float(formula(known, time)) for name, formula in self.conditions.items()}
        return {name: 0.0 if value != value else value for name, value in found.items()}

    def next_flip(self, start: float, end: float, numbers: Mapping[str, float]) -> float:
        """The first time in (start, end] at which a condition differs from its value at ``start``; infinity if none.

        Looked at: an even grid, and both sides of every root of comparisons that are linear in time.
        """
        if not self.conditions or not end > start:
            return np.inf
        with np.errstate(all="ignore"):
            return self._next_flip(start, end, numbers)

    def _next_flip(self, start: float, end: float, numbers: Mapping[str, float]) -> float:
        times = np.concatenate([np.linspace(start, end, SAMPLES + 1), self._roots(start, end, numbers)])
        times = np.unique(times[(times >= start) & (times <= end)])
        while True:
            table = self._table(times, numbers)
            flipped = np.flatnonzero((table != table[:, :1]).any(axis=0))
            if not len(flipped):
                return np.inf
            low, high = times[flipped[0] - 1], times[flipped[0]]
            if np.nextafter(low, np.inf) >= high:
                return float(high)
            inner = np.linspace(low, high, SAMPLES + 1)
            times = np.unique(np.concatenate([times[:1], inner]))
            if len(times) <= 3 and np.nextafter(low, np.inf) < high:  # a few last bits apart
                times = np.unique([times[0], low, np.nextafter(low, np.inf), high])

    def _known(self, time: Any, numbers: Mapping[str, float]) -> dict[str, Any]:
        known: dict[str, Any] = dict(numbers)
        for name, rule in self.rules.items():
            known[name] = rule(known, time)
        return known

    def _table(self, times: np.ndarray, numbers: Mapping[str, float]) -> np.ndarray:
        known = self._known(times, numbers)
        table = np.empty((len(self.conditions), len(times)))
        for row, formula in zip(table, self.conditions.values(), strict=True):
            row[:] = formula(known, times)
        table[np.isnan(table)] = 0.0  # what cannot be said is not true
        return table

    def _roots(self, start: float, end: float, numbers: Mapping[str, float]) -> np.ndarray:
        ends = np.array([start, 0.5 * (start + end), end])
        known = self._known(ends, numbers)
        found = []
        for difference in self._differences:
            low, middle, high = difference(known, ends) + np.zeros(3)
            if high == low or not abs(low + high - 2 * middle) <= 1e-9 * (abs(low) + abs(high)):
                continue
            root = start - low * (end - start) / (high - low)
            if np.isfinite(root):
                found.append(root + NEAR * np.spacing(root))
        return np.concatenate(found) if found else np.zeros(0)


def compiled(expr: Expr) -> Formula:
    """A formula as a function of the values by name and the time (a number or an array)."""
    try:
        made = eval(f"lambda v, t: {_source(expr)}", dict(_NAMES))  # our own text, from an expression's fixed operators
    except (SyntaxError, MemoryError, RecursionError):  # nested too deep for Python's parser
        return lambda values, time: evaluate(expr, values, time)
    return cast(Formula, made)


def _source(expr: Expr) -> str:
    op, *parts = expr
    if op == "num":
        return f"num({float(parts[0])!r})"
    if op == "sym":
        return f"v[{parts[0]!r}]"
    if op == "time":
        return "t"
    inner = ", ".join(_source(part) for part in parts)
    return f"where({inner})" if op == "if" else f"f_{op}({inner})"


def _as_number(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *parts: function(*parts) * 1.0


_TRUTHS = {*COMPARISONS, "and", "or", "xor", "not"}
_NAMES: dict[str, Any] = {"num": np.float64, "inf": np.inf, "nan": np.nan, "where": np.where} | {
    f"f_{op}": _as_number(function) if op in _TRUTHS else function for op, function in _NUMPY.items()
}


def _comparisons(expr: Expr) -> list[Expr]:
    if expr[0] in ("num", "sym", "time"):
        return []
    inner = [found for part in expr[1:] for found in _comparisons(part)]
    return [*inner, expr] if expr[0] in COMPARISONS else inner

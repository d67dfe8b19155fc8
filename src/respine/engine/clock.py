"""Conditions that depend on time alone: when the next one flips, to the last bit of the clock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from respine.engine.graph import COMPARISONS
from respine.model.expression import Expr, evaluate, symbols

SAMPLES = 64  # moments looked at in one window
NEAR = np.arange(-4, 5)  # last bits looked at around a root


class Clock:
    """Values and flips of named conditions of time; the ``numbers`` they use (parameters, inputs, modes) may change."""

    def __init__(self, conditions: Mapping[str, Expr], rules: Mapping[str, Expr]) -> None:
        self.conditions, self.rules = dict(conditions), dict(rules)
        self.numbers = sorted({s for e in (*self.conditions.values(), *self.rules.values()) for s in symbols(e)})
        self._differences = [
            ("sub", part[1], part[2])
            for expr in (*self.conditions.values(), *self.rules.values())
            for part in _comparisons(expr)
        ]

    def values(self, time: float, numbers: Mapping[str, float]) -> dict[str, float]:
        """Each condition's value at one time."""
        known = self._known(time, numbers)
        found = {name: float(evaluate(expr, known, time)) for name, expr in self.conditions.items()}
        return {name: 0.0 if value != value else value for name, value in found.items()}

    def next_flip(self, start: float, end: float, numbers: Mapping[str, float]) -> float:
        """The first time in (start, end] at which a condition differs from its value at ``start``; infinity if none.

        Looked at: an even grid, and both sides of every root of comparisons that are linear in time.
        """
        if not self.conditions or not end > start:
            return np.inf
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
            known[name] = evaluate(rule, known, time)
        return known

    def _table(self, times: np.ndarray, numbers: Mapping[str, float]) -> np.ndarray:
        known = self._known(times, numbers)
        rows = [_spread(expr, known, times) for expr in self.conditions.values()]
        return np.nan_to_num(np.array(rows), nan=0.0)  # what cannot be said is not true

    def _roots(self, start: float, end: float, numbers: Mapping[str, float]) -> np.ndarray:
        ends = np.array([start, 0.5 * (start + end), end])
        known = self._known(ends, numbers)
        found = []
        for difference in self._differences:
            low, middle, high = _spread(difference, known, ends)
            if high == low or not abs(low + high - 2 * middle) <= 1e-9 * (abs(low) + abs(high)):
                continue
            root = start - low * (end - start) / (high - low)
            if np.isfinite(root):
                found.append(root + NEAR * np.spacing(root))
        return np.concatenate(found) if found else np.zeros(0)


def _spread(expr: Expr, known: Mapping[str, Any], times: Any) -> np.ndarray:
    """A value for every time, also where the expression does not depend on it."""
    value: np.ndarray = np.asarray(evaluate(expr, known, times), dtype=np.float64)
    return np.broadcast_to(value, times.shape)


def _comparisons(expr: Expr) -> list[Expr]:
    if expr[0] in ("num", "sym", "time"):
        return []
    inner = [found for part in expr[1:] for found in _comparisons(part)]
    return [*inner, expr] if expr[0] in COMPARISONS else inner

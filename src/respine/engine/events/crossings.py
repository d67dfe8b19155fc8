"""Find where, inside a step, a watched condition first flips: samples, near misses, then ever finer sections."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from respine.engine.events.hybrid import Watched

SAMPLES = 8
RESOLUTION = 1e-13  # of the time, to which a crossing is located
ROUNDS = 5  # how often a near miss is looked at more closely
AROUND = np.array([-0.1, -1e-2, -1e-4, 0.0, 1e-4, 1e-2, 0.1])  # of the interval: where to look about a guessed crossing

Looker = Callable[[np.ndarray], np.ndarray]


class Watch:
    """The conditions looked for in every step; ``look(fractions)`` gives the outputs (len(fractions), n_outputs)."""

    def __init__(self, look: Looker, watched: Sequence[Watched], samples: int) -> None:
        self.look, self.samples = look, max(SAMPLES, samples)
        self.values = np.array([w.value for w in watched], int)
        with_margin = [k for k, w in enumerate(watched) if w.margin >= 0]
        self.signs = self.values[with_margin]  # the value of each condition that has a margin ...
        self.margins = np.array([watched[k].margin for k in with_margin], int)  # ... and the margin

    def first_flip(self, before: np.ndarray, resolution: float) -> float | None:
        """The fraction of the step just after the earliest flip of a condition, None where there is none.

        ``before`` are the outputs at the step's start; the search ends at an interval of ``resolution`` (a fraction).
        """
        if not len(self.values):
            return None
        fractions = np.arange(1, self.samples + 1) / self.samples
        table = self.look(fractions)
        where = self._flips(table, before)
        last = where[0] + 1 if len(where) else self.samples
        grid, seen = np.concatenate([[0.0], fractions[:last]]), np.vstack([before, table[:last]])
        near = self._near_miss(grid, seen, before)
        if near is not None:
            return self._narrow(*near, before, resolution)
        if not len(where):
            return None
        return self._narrow(grid[-2], grid[-1], before, resolution)

    def _flips(self, table: np.ndarray, before: np.ndarray) -> np.ndarray:
        """Rows in which a condition differs from before; a NaN says nothing."""
        seen = table[:, self.values]
        return np.flatnonzero(((seen != before[self.values]) & (seen == seen)).any(axis=1))

    def _narrow(self, low: float, high: float, before: np.ndarray, width: float) -> float:
        """The upper end of an interval no wider than ``width`` in which a condition first flips."""
        guess: float | None = None
        turn = 0
        while high - low > width:
            inner = low + (high - low) * np.arange(1, self.samples) / self.samples
            if guess is not None and turn % 3:  # every third look is even: guesses need not converge
                inner = np.clip(guess + (high - low) * AROUND, low, high)
            turn += 1
            points = np.concatenate([[low], inner, [high]])
            table = self.look(points)
            where = self._flips(table[1:-1], before)
            k = where[0] + 1 if len(where) else len(points) - 1
            low, high = float(points[k - 1]), float(points[k])
            guess = self._guess(low, high, table[k - 1], table[k])
        return high

    def _guess(self, low: float, high: float, at_low: np.ndarray, at_high: np.ndarray) -> float | None:
        """Where the first margin that changes its sign crosses zero on a straight line."""
        a, b = at_low[self.margins], at_high[self.margins]
        with np.errstate(all="ignore"):
            shares = np.where((a < 0) != (b < 0), a / (a - b), np.nan)
        usable = shares[(shares >= 0) & (shares <= 1)]
        return low + (high - low) * float(usable.min()) if len(usable) else None

    def _near_miss(self, grid: np.ndarray, table: np.ndarray, before: np.ndarray) -> tuple[float, float] | None:
        """An interval in which a condition flips unseen between two samples: its margin all but touches zero."""
        if len(grid) < 3 or not len(self.margins):
            return None
        rows, columns = np.nonzero(self._dips(table, before))
        for row, column in zip(rows, columns, strict=True):
            crossing = self._zoom(float(grid[row]), float(grid[row + 2]), int(column), before)
            if crossing is not None:
                return crossing
        return None

    def _distance(self, table: np.ndarray, before: np.ndarray) -> np.ndarray:
        """Margins counted so that zero is the flip and positive is as before."""
        return table[:, self.margins] * np.where(before[self.signs] != 0, 1.0, -1.0)

    def _dips(self, table: np.ndarray, before: np.ndarray) -> np.ndarray:
        """Triples of rows whose parabola comes down to a quarter of what was seen, or below."""
        distance = self._distance(table, before)
        a, b, c = distance[:-2], distance[1:-1], distance[2:]
        bend, slope = 0.5 * (a - 2 * b + c), 0.5 * (c - a)
        candidates = (bend > 0) & (a > 0) & (c > 0) & (np.abs(slope) <= 2 * bend)
        if not candidates.any():
            return candidates
        with np.errstate(all="ignore"):
            lowest = b - slope**2 / (4 * bend)
        return candidates & (lowest < 0.25 * np.minimum(np.minimum(a, b), c))

    def _zoom(self, low: float, high: float, column: int, before: np.ndarray) -> tuple[float, float] | None:
        for _ in range(ROUNDS):
            inner = low + (high - low) * np.arange(self.samples + 1) / self.samples
            table = self.look(inner)
            where = self._flips(table, before)
            if len(where):
                k = where[0]
                return (float(inner[k - 1]), float(inner[k])) if k else None
            if not self._dips(table, before)[:, column].any():
                return None
            k = int(np.argmin(self._distance(table, before)[:, column]))
            low, high = inner[max(k - 1, 0)], inner[min(k + 1, self.samples)]
        return None

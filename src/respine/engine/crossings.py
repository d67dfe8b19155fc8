"""Find where, inside a step, a watched condition first flips: samples, near misses, then ever finer sections."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from respine.engine.hybrid import Watched

SAMPLES = 8
RESOLUTION = 1e-13  # of the time, to which a crossing is located
ROUNDS = 5  # how often a near miss is looked at more closely

Looker = Callable[[np.ndarray], np.ndarray]


def first_flip(
    look: Looker,
    watched: Sequence[Watched],
    before: np.ndarray,
    *,
    samples: int,
    resolution: float,
) -> float | None:
    """The fraction of the step just after the earliest flip of a condition, None where there is none.

    ``look(fractions)`` gives the outputs (len(fractions), n_outputs); ``before`` are the outputs at the step's start;
    ``resolution`` is the width, as a fraction, at which the search ends.
    """
    if not watched:
        return None
    columns = [w.value for w in watched]
    marks = np.nan_to_num(before[columns])

    def flips(table: np.ndarray) -> np.ndarray:
        return (np.nan_to_num(table[:, columns]) != marks).any(axis=1)

    fractions = np.arange(1, samples + 1) / samples
    table = look(fractions)
    where = np.flatnonzero(flips(table))
    last = where[0] + 1 if len(where) else samples
    grid = np.concatenate([[0.0], fractions[:last]])
    near = _near_misses(look, watched, flips, grid, np.vstack([before, table[:last]]), samples)
    if near is not None:
        return _narrow(look, flips, *near, samples, resolution)
    if not len(where):
        return None
    return _narrow(look, flips, grid[where[0]], fractions[where[0]], samples, resolution)


def _narrow(
    look: Looker, flips: Callable[[np.ndarray], np.ndarray], low: float, high: float, sections: int, width: float
) -> float:
    """The upper end of an interval no wider than ``width`` in which a condition first flips."""
    while high - low > width:
        inner = low + (high - low) * np.arange(1, sections) / sections
        where = np.flatnonzero(flips(look(inner)))
        if len(where):
            low, high = (inner[where[0] - 1] if where[0] else low), inner[where[0]]
        else:
            low = inner[-1]
    return float(high)


def _near_misses(
    look: Looker,
    watched: Sequence[Watched],
    flips: Callable[[np.ndarray], np.ndarray],
    grid: np.ndarray,
    table: np.ndarray,
    samples: int,
) -> tuple[float, float] | None:
    """An interval in which a condition flips between samples that do not show it: its margin nearly touches zero."""
    for w in watched:
        if w.margin < 0 or len(grid) < 3:
            continue
        distance = table[:, w.margin] * (1.0 if table[0, w.value] else -1.0)
        for k in np.flatnonzero(_dips(distance)):
            found = _zoom(look, w, flips, grid[k], grid[k + 2], table[0, w.value], samples)
            if found is not None:
                return found
    return None


def _dips(distance: np.ndarray) -> np.ndarray:
    """Triples of neighbours whose parabola comes down to a quarter of what was seen, or below."""
    a, b, c = distance[:-2], distance[1:-1], distance[2:]
    with np.errstate(all="ignore"):
        bend, slope = 0.5 * (a - 2 * b + c), 0.5 * (c - a)
        vertex = -slope / (2 * bend)
        lowest = b - slope**2 / (4 * bend)
        return (bend > 0) & (np.abs(vertex) <= 1) & (lowest < 0.25 * np.minimum(np.minimum(a, b), c)) & (a > 0) & (c > 0)


def _zoom(
    look: Looker,
    w: Watched,
    flips: Callable[[np.ndarray], np.ndarray],
    low: float,
    high: float,
    mark: float,
    samples: int,
) -> tuple[float, float] | None:
    for _ in range(ROUNDS):
        inner = low + (high - low) * np.arange(samples + 1) / samples
        table = look(inner)
        where = np.flatnonzero(flips(table))
        if len(where):
            k = where[0]
            return (float(inner[k - 1]), float(inner[k])) if k else None
        distance = table[:, w.margin] * (1.0 if mark else -1.0)
        k = int(np.argmin(distance))
        if not _dips(distance).any():
            return None
        low, high = inner[max(k - 1, 0)], inner[min(k + 1, samples)]
    return None

"""BFGS for objectives whose value and slopes are exact but may fail: the outer search of a fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

Function = Callable[[np.ndarray], tuple[float, np.ndarray]]
"""x (n,) -> value and slopes (n,); the value is NaN or infinite where there is none."""

DOWNHILL, STEEP = 1e-4, 0.9
LONGEST = 2.0  # of a step, in units of x (log scales: a factor of 7)
MOST_HALVINGS, FEW_HALVINGS = 20, 6
NOISE = 1e-9  # of the value, relative to 1 + |value|, that counts as no change


@dataclass
class Search:
    """Where a search ended. ``decrease``: what a further step would still gain; ``why`` it ended."""

    x: np.ndarray
    value: float
    slope: np.ndarray
    converged: bool
    why: str
    decrease: float
    evaluations: int
    matrix: np.ndarray
    path: list[tuple[float, float]] = field(default_factory=list)  # (value, largest slope)


def search(
    function: Function,
    x: np.ndarray,
    matrix: np.ndarray,
    *,
    tolerance: float = 1e-7,
    most_evaluations: int = 1000,
    sampled: bool = False,
    watch: Callable[[int, float, np.ndarray], None] | None = None,
) -> Search:
    """Minimise from ``x``; ``matrix`` (n, n) is a first guess of the second derivatives.

    Ends when the expected decrease falls below ``tolerance`` twice in a row; for a ``sampled`` objective, whose slopes
    are those of what it approximates, also when two steps in a row gained less than that. ``watch(step, value, x)`` is called
    after each step.
    """
    value, slope = function(x)
    made = Search(x.copy(), value, slope, False, "", np.inf, 1, matrix.copy())
    if not np.isfinite(value):
        made.why = "the objective has no value at the start"
        return made
    calm, idle, fresh = 0, 0, True
    while True:
        step, made.decrease = _step(made.matrix, made.slope)
        made.path.append((made.value, float(np.max(np.abs(made.slope), initial=0.0))))
        if watch is not None:
            watch(len(made.path), made.value, made.x)
        calm = calm + 1 if made.decrease < tolerance else 0
        if calm >= 2 or (calm and fresh):
            made.converged, made.why = True, "the objective cannot fall further"
            return made
        if made.evaluations >= most_evaluations:
            made.why = f"{made.evaluations} evaluations were used up"
            return made
        step *= min(1.0, LONGEST / max(float(np.max(np.abs(step), initial=0.0)), 1e-300))
        before = made.value
        moved = _walk(function, made, step, most_evaluations, FEW_HALVINGS if sampled else MOST_HALVINGS)
        idle = idle + 1 if before - made.value < tolerance else 0
        if sampled and idle >= 2:
            made.converged, made.why = True, "the objective cannot fall further within its sampling error"
            return made
        if moved is None:
            if not fresh:  # the matrix may have gone astray: once more down the slope itself
                made.matrix, fresh, calm = np.diag(np.maximum(np.abs(np.diag(made.matrix)), 1e-8)), True, 0
                continue
            made.converged = made.decrease < 1e3 * tolerance
            made.why = "the objective cannot fall further" if made.converged else "no step leads downhill"
            return made
        fresh = False
        made.matrix = learn(made.matrix, *moved)


def _step(matrix: np.ndarray, slope: np.ndarray) -> tuple[np.ndarray, float]:
    values, vectors = np.linalg.eigh(matrix)
    inside = vectors.T @ slope
    step = -vectors @ (inside / np.maximum(np.abs(values), 1e-10 * max(float(values[-1]), 1e-300)))
    return step, float(-0.5 * step @ slope)


def _walk(
    function: Function, made: Search, step: np.ndarray, most: int, halvings: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """Go along a step to a lower value that is not too steep any more. Returns how far, and how the slopes changed."""
    slant = float(step @ made.slope)
    noise = NOISE * (1 + abs(made.value))
    low, high, length = 0.0, np.inf, 1.0
    best: tuple[float, float, np.ndarray] | None = None
    for _ in range(halvings):
        value, slope = function(made.x + length * step)
        made.evaluations += 1
        good = (
            np.isfinite(value) and np.isfinite(slope).all() and value <= made.value + DOWNHILL * length * slant + noise
        )
        if not good:
            high = length
        else:
            if best is None or value < best[1]:
                best = (length, value, slope)
            if float(step @ slope) >= STEEP * slant or length * float(np.max(np.abs(step))) >= LONGEST:
                break
            low = length
        if made.evaluations >= most:
            break
        length = 0.5 * (low + high) if np.isfinite(high) else 2.0 * length
        if not good and low == 0.0 and best is None:
            length = 0.3 * high
    if best is None:
        return None
    length, made.value, slope = best
    change = slope - made.slope
    made.x, made.slope = made.x + length * step, slope
    return length * step, change


def learn(matrix: np.ndarray, moved: np.ndarray, change: np.ndarray) -> np.ndarray:
    """BFGS, damped so that the matrix stays positive definite."""
    product = matrix @ moved
    curve, seen = float(moved @ product), float(moved @ change)
    if not curve > 0:
        return matrix
    if seen < 0.1 * curve:
        share = 0.9 * curve / (curve - seen)
        change = share * change + (1 - share) * product
        seen = float(moved @ change)
    updated = matrix + np.outer(change, change) / seen - np.outer(product, product) / curve
    return updated if np.isfinite(updated).all() else matrix

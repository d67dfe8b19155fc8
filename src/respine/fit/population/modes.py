"""Modes of the random effects of all subjects at once: the inner problem of the conditional methods.

Each subject minimises phi = (-2 log p(y | e) + e' O^-1 e) / 2 by Newton's method; the matrix starts from the
curvature of the first-order methods or from an exact one of before, and learns from the slopes on the way (BFGS).
Steps that do not lead downhill are halved. Subjects leave the batch as they arrive.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from respine.fit.population.conditional import Conditional

Evaluate = Callable[[np.ndarray, np.ndarray], Conditional]
"""(subjects (n_lanes,), random effects (n_lanes, Q)) -> -2 log likelihood with slopes by random effects."""

CONVERGED = 1e-11  # expected decrease of phi, relative to 1 + |phi| / 100, at which a mode is found
GOOD_ENOUGH = 1e-7  # where no step leads downhill any more (rounding), this decrease still counts as found
MOST_STEPS = 60
MOST_HALVINGS = 14
LONGEST = 4.0  # of a step, in standard deviations of the random effects
DOWNHILL = 1e-4


@dataclass
class Modes:
    """``random`` (n, Q), ``value`` (n,) of phi there, ``matrix`` (n, Q, Q) the curvature it ended with;
    ``settled`` (n,) whether a mode was reached; ``decrease`` (n,) that one more step would bring.
    """

    random: np.ndarray
    value: np.ndarray
    matrix: np.ndarray
    settled: np.ndarray
    decrease: np.ndarray
    evaluations: int = 0


def find_modes(evaluate: Evaluate, precision: np.ndarray, start: np.ndarray, matrix: np.ndarray | None = None) -> Modes:
    """Modes of subjects 0 .. n-1 from ``start`` (n, Q); ``precision`` is O^-1; ``matrix`` (n, Q, Q) a curvature to
    begin with.
    """
    n, q = start.shape
    spread = 1.0 / np.sqrt(np.diag(precision))
    state = Modes(start.copy(), np.full(n, np.inf), np.zeros((n, q, q)), np.zeros(n, bool), np.full(n, np.inf))
    slope = np.zeros((n, q))
    active = np.arange(n)
    at = evaluate(active, state.random)
    state.evaluations += n
    usable = ~at.bad
    value, g = _phi(at, precision, state.random)
    state.value[usable], slope[usable] = value[usable], g[usable]
    first = at.curvature(q) + precision
    state.matrix = first if matrix is None else np.where(usable[:, None, None], matrix, first)
    active = active[usable]
    for _ in range(MOST_STEPS):
        if not len(active):
            break
        step, decrease = _step(state.matrix[active], slope[active])
        state.decrease[active] = decrease
        near = decrease < CONVERGED * (1 + 1e-2 * np.abs(state.value[active]))
        state.settled[active[near]] = True
        state.random[active[near]] += step[near]  # it is known already and costs nothing
        active, step, decrease = active[~near], step[~near], decrease[~near]
        if not len(active):
            break
        longest = np.max(np.abs(step) / spread, axis=1)
        step *= np.minimum(1.0, LONGEST / np.maximum(longest, 1e-300))[:, None]
        active = _walk(evaluate, precision, state, slope, active, step)
    return state


def _phi(at: Conditional, precision: np.ndarray, random: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    pull = random @ precision
    return 0.5 * (at.value + np.sum(random * pull, axis=1)), 0.5 * at.slope[: random.shape[1]].T + pull


def _step(matrix: np.ndarray, slope: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Newton steps and the decrease of phi each expects; a matrix that is not positive definite is made so."""
    values, vectors = np.linalg.eigh(matrix)
    least = np.maximum(1e-8 * values[:, -1:], 1e-300)
    inside = np.einsum("nji,nj->ni", vectors, slope)
    step = -np.einsum("nij,nj->ni", vectors, inside / np.maximum(np.abs(values), least))
    return step, -0.5 * np.sum(step * slope, axis=1)


def _walk(
    evaluate: Evaluate, precision: np.ndarray, state: Modes, slope: np.ndarray, active: np.ndarray, step: np.ndarray
) -> np.ndarray:
    """Take the steps, halving those that do not lead downhill. Returns who goes on."""
    waiting = np.arange(len(active))
    length = np.ones(len(active))
    done = np.zeros(len(active), bool)
    for _ in range(MOST_HALVINGS):
        who = active[waiting]
        trial = state.random[who] + length[waiting, None] * step[waiting]
        at = evaluate(who, trial)
        state.evaluations += len(who)
        value, g = _phi(at, precision, trial)
        wanted = state.value[who] + DOWNHILL * length[waiting] * np.sum(step[waiting] * slope[who], axis=1)
        noise = 1e-12 * (1 + np.abs(state.value[who]))
        good = ~at.bad & (value <= wanted + noise)
        chosen = who[good]
        moved, change = trial[good] - state.random[chosen], g[good] - slope[chosen]
        state.matrix[chosen] = _learn(state.matrix[chosen], moved, change)
        state.random[chosen], state.value[chosen], slope[chosen] = trial[good], value[good], g[good]
        done[waiting[good]] = True
        waiting = waiting[~good]
        length[waiting] *= 0.5
        if not len(waiting):
            break
    stuck = active[~done]
    state.settled[stuck] = state.decrease[stuck] < GOOD_ENOUGH
    return active[done]


def _learn(matrix: np.ndarray, moved: np.ndarray, change: np.ndarray) -> np.ndarray:
    """BFGS, damped (Powell) so that the matrices stay positive definite."""
    product = np.einsum("nij,nj->ni", matrix, moved)
    curve = np.sum(moved * product, axis=1)
    seen = np.sum(moved * change, axis=1)
    usable = (curve > 0) & np.isfinite(seen)
    with np.errstate(all="ignore"):
        share = np.where(seen < 0.2 * curve, 0.8 * curve / (curve - seen), 1.0)
        change = share[:, None] * change + (1 - share)[:, None] * product
        seen = np.sum(moved * change, axis=1)
        up = change[:, :, None] * change[:, None, :] / seen[:, None, None]
        down = product[:, :, None] * product[:, None, :] / curve[:, None, None]
    good = usable & (seen > 0)
    updated = matrix + up - down
    fine = good & np.isfinite(updated).all(axis=(1, 2))
    return np.where(fine[:, None, None], updated, matrix)

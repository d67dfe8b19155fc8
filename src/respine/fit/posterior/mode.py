"""The joint mode: the vector that meets rows and beliefs best together, by damped Gauss-Newton from the library's values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Evaluate = Callable[[np.ndarray], np.ndarray]
Say = Callable[[str], None]
DIFFERENCE = 0.1  # of a prior SD: above the roughness of scores over few virtual people
LARGEST = 1.5  # prior SD that any number moves in a step
DEAD = 0.01  # standard errors per prior SD over all rows: below, no row informs the number
UPDATED = 5  # steps between two Jacobians
DAMPING = (0.0, 0.3, 1.0, 3.0, 10.0, 30.0)
SHORTER = (1.0, 0.5, 0.25)


@dataclass(frozen=True)
class Mode:
    """``z`` (n_numbers,), residuals ``r`` (n_rows,), their Jacobian ``(n_rows, n_numbers)`` and half sums of squares so far."""

    z: np.ndarray
    r: np.ndarray
    jacobian: np.ndarray
    costs: tuple[float, ...]

    @property
    def live(self) -> np.ndarray:
        """Which numbers any row informs, ``(n_numbers,)``."""
        return np.asarray(np.sqrt((self.jacobian**2).sum(axis=0)) > DEAD)

    def spread(self) -> np.ndarray:
        """SD of each number by the Laplace approximation, in SD of its prior."""
        return np.sqrt(np.diag(np.linalg.inv(self.jacobian.T @ self.jacobian + np.eye(len(self.z)))))


def cost(r: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Sum of squares of rows and beliefs, ``(n,)``; infinite where a row could not be computed."""
    costs = (r**2).sum(axis=-1) + (z**2).sum(axis=-1)
    return np.asarray(np.where(np.isfinite(costs), costs, np.inf))


def find(
    evaluate: Evaluate, start: np.ndarray, steps: int, say: Say, keep: Callable[[Mode], None], begun: Mode | None = None
) -> Mode:
    """At most ``steps`` Jacobians, with cheap steps by Broyden's update between them. ``keep`` is told each better vector.

    Raises ValueError where the rows cannot be computed at the start.
    """
    z = start.copy() if begun is None else begun.z.copy()
    r = evaluate(z[None])[0]
    if not np.isfinite(r).all():
        raise ValueError("rows cannot be computed at the start")
    costs = [float(cost(r, z))] if begun is None else [*begun.costs, float(cost(r, z))]
    say(f"start: cost {costs[-1]:.1f}")
    active = np.ones(len(z), bool) if begun is None else begun.live
    for k in range(steps):
        full = jacobian(evaluate, z, r, active)
        active = np.sqrt((full**2).sum(axis=0)) > DEAD
        here = full
        before = costs[-1]
        for _ in range(UPDATED):  # one step with the Jacobian, then some with its updates
            better = _step(evaluate, z, r, here)
            if better is None:
                break
            dz, dr = better[0] - z, better[1] - r
            here = here + np.outer(dr - here @ dz, dz) / max(float(dz @ dz), 1e-12)
            z, r = better
            costs.append(float(cost(r, z)))
        say(
            f"step {k + 1}: {int(active.sum())} numbers informed, cost {before:.1f} -> {costs[-1]:.1f}, rows {r @ r:.1f}"
        )
        mode = Mode(z, r, here, tuple(costs))
        keep(mode)
        if before - costs[-1] < 0.01 * before:
            break
    return Mode(z, r, here, tuple(costs))


def jacobian(evaluate: Evaluate, z: np.ndarray, r: np.ndarray, active: np.ndarray) -> np.ndarray:
    """By one-sided differences towards the prior's middle; zero for numbers that are not active."""
    index = np.flatnonzero(active)
    h = DIFFERENCE * np.where(z[index] > 0, -1.0, 1.0)
    moved = np.repeat(z[None], len(index), axis=0)
    moved[np.arange(len(index)), index] += h
    slopes = np.zeros((len(r), len(z)))
    slopes[:, index] = np.nan_to_num(((evaluate(moved) - r) / h[:, None]).T)
    return slopes


def _step(evaluate: Evaluate, z: np.ndarray, r: np.ndarray, J: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """The best of several dampings and lengths, if it is better at all."""
    slope = J.T @ r + z
    tries = []
    for damping in DAMPING:
        step = -np.linalg.solve(J.T @ J + (1.0 + damping) * np.eye(len(z)), slope)
        tries.append(step * min(1.0, LARGEST / max(float(np.abs(step).max()), 1e-12)))
    tries += [f * tries[0] for f in SHORTER[1:]] + [f * tries[2] for f in SHORTER[1:]]
    at = z + np.array(tries)
    residuals = evaluate(at)
    costs = cost(residuals, at)
    best = int(np.argmin(costs))
    return (at[best], residuals[best]) if costs[best] < float(cost(r, z)) - 1e-9 else None

"""Draws of the joint posterior by randomised maximum likelihood (Oliver 1996; Chen & Oliver 2012).

Each draw is the best vector for rows that were moved by their own errors and for beliefs moved by theirs. For linear rows that is
an exact draw; for curved ones it is close, and every draw is distinct and of equal weight. A number that no row informs is its
moved belief: a draw of the prior by construction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from respine import population
from respine.fit.posterior.mode import LARGEST, Evaluate, Mode, Say


@dataclass(frozen=True)
class Members:
    """Draws ``z`` (n, n_numbers), their residuals to the unmoved rows ``r`` (n, n_rows), their moved ``costs`` (n,), and the
    share by which the last step still lowered the median of these.
    """

    z: np.ndarray
    r: np.ndarray
    costs: np.ndarray
    gain: float


def moved(seed: int, first: int, last: int, n_rows: int, n_numbers: int) -> tuple[np.ndarray, np.ndarray]:
    """What rows and beliefs of draws ``first`` to ``last`` are moved by, standard normal: a draw's own whatever the batch."""
    e = population.normals(seed, "moved rows", first, last, n_rows)
    u = population.normals(seed, "moved beliefs", first, last, n_numbers)
    return e, u


def make(evaluate: Evaluate, mode: Mode, e: np.ndarray, u: np.ndarray, steps: int, say: Say) -> Members:
    """Draws for these moved rows ``e`` and beliefs ``u``, each after ``steps`` steps of its own: the same in any batch."""
    n = len(e)
    J0 = np.where(mode.live[None, :], mode.jacobian, 0.0)
    straight = np.array([_newton(J0, mode.r, mode.z, e[i], u[i]) for i in range(n)])
    # dead numbers take their moved belief at once; the rest at most a few SD
    z = mode.z + straight
    r = evaluate(z)
    at_mode = _cost(np.repeat(mode.r[None], n, 0), np.repeat(mode.z[None], n, 0), e, u)
    cost = _cost(r, z, e, u)
    for _ in range(4):  # halved from there where the straight line leads astray
        worse = ~(cost < at_mode)
        if not worse.any():
            break
        shorter = np.where(mode.live[None, :], (z - mode.z) / 2, z - mode.z)
        again = mode.z + shorter[worse]
        residuals = evaluate(again)
        z[worse], r[worse] = again, residuals
        cost[worse] = _cost(residuals, again, e[worse], u[worse])
    lost = ~np.isfinite(cost)
    z[lost] = np.where(mode.live[None, :], mode.z[None], u[lost])
    if lost.any():
        r[lost] = evaluate(z[lost])
        cost[lost] = _cost(r[lost], z[lost], e[lost], u[lost])
    J = np.repeat(J0[None].astype(np.float32), n, 0)
    for i in range(n):
        _broyden(J[i], z[i] - mode.z, r[i] - mode.r)
    say(f"straight: median cost {np.median(cost):.1f}, rows {np.median((r**2).sum(axis=1)):.1f}")
    factor, gain = np.ones(n), 1.0
    for taken in range(steps):
        before = float(np.median(cost))
        step = np.array([_newton(J[i].astype(float), r[i], z[i], e[i], u[i]) for i in range(n)])
        largest = np.maximum(np.abs(step).max(axis=1), 1e-12)
        step *= (factor * np.minimum(1.0, LARGEST / largest))[:, None]
        z2 = z + step
        r2 = evaluate(z2)
        cost2 = _cost(r2, z2, e, u)
        for k in np.flatnonzero(np.isfinite(cost2)):
            _broyden(J[k], step[k], r2[k] - r[k])
        better = cost2 < cost
        z[better], r[better], cost[better] = z2[better], r2[better], cost2[better]
        factor = np.where(better, np.minimum(1.0, 1.6 * factor), 0.4 * factor)
        now = float(np.median(cost))
        gain = 1.0 - now / before
        say(
            f"step {taken + 1}: {better.mean():.0%} better, median cost {now:.1f}, rows {np.median((r**2).sum(axis=1)):.1f}"
        )
    return Members(z, r, cost, gain)


def _cost(r: np.ndarray, z: np.ndarray, e: np.ndarray, u: np.ndarray) -> np.ndarray:
    costs = ((r - e) ** 2).sum(axis=1) + ((z - u) ** 2).sum(axis=1)
    return np.where(np.isfinite(costs), costs, np.inf)


def _newton(J: np.ndarray, r: np.ndarray, z: np.ndarray, e: np.ndarray, u: np.ndarray) -> np.ndarray:
    """One Gauss-Newton step of one draw, solved with a matrix as large as the rows: (J'J + 1)^-1 = 1 - J'(JJ' + 1)^-1 J."""
    slope = J.T @ (r - e) + (z - u)
    return np.asarray(-(slope - J.T @ np.linalg.solve(J @ J.T + np.eye(len(J)), J @ slope)))


def _broyden(J: np.ndarray, dz: np.ndarray, dr: np.ndarray) -> None:
    J += np.outer(dr - J @ dz, dz).astype(np.float32) / max(float(dz @ dz), 1e-9)

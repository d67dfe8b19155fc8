"""Damped least squares (Levenberg 1944; Marquardt 1963): the smallest sum of squares of a vector of residuals.

All parameter vectors that are needed at one stage are handed over together, so that a simulation can solve them side by
side. The covariance is the inverse of the Gauss-Newton Hessian, the usual standard errors of a fit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Residuals = Callable[[np.ndarray], np.ndarray]
"""Residuals ``(n_vectors, n_residuals)`` of parameter vectors ``(n_vectors, n_parameters)``; a row with a number that
is not finite is a vector at which the model cannot be computed."""

DAMPINGS = (1e-4, 1e-2, 0.3, 10.0)  # tried side by side; the best is kept and the next ladder stands around it
MOST_STEPS_OUT = 12


@dataclass(frozen=True)
class Minimum:
    """Where the sum of squares is least: ``x`` and its ``covariance``, ``cost`` half the sum of squares.

    ``residuals`` (n_residuals,), ``jacobian`` (n_residuals, n_parameters); ``converged`` false where the steps ran out.
    """

    x: np.ndarray
    cost: float
    residuals: np.ndarray
    jacobian: np.ndarray
    steps: int
    converged: bool

    @property
    def covariance(self) -> np.ndarray:
        """Inverse of the Gauss-Newton Hessian, ``(n_parameters, n_parameters)``; infinite along what no residual sees."""
        hessian = self.jacobian.T @ self.jacobian
        values, vectors = np.linalg.eigh(hessian)
        seen = values > 1e-12 * max(values.max(initial=0.0), 1e-300)
        with np.errstate(divide="ignore"):
            inverse = np.where(seen, 1.0 / np.where(seen, values, 1.0), np.inf)
        if seen.all():
            return np.asarray((vectors * inverse) @ vectors.T)
        blind = (vectors[:, ~seen] ** 2).sum(axis=1) > 1e-8
        covariance = (vectors[:, seen] * inverse[seen]) @ vectors[:, seen].T
        covariance[blind, :] = covariance[:, blind] = 0.0
        covariance[blind, blind] = np.inf
        return np.asarray(covariance)

    @property
    def errors(self) -> np.ndarray:
        """Standard error of each parameter."""
        return np.asarray(np.sqrt(np.diag(self.covariance)))


def minimise(
    residuals: Residuals, start: np.ndarray, *, difference: float | np.ndarray = 1e-3, most_steps: int = 40,
    tolerance: float = 1e-4, largest_step: float = np.inf, central: bool = False,
) -> Minimum:  # fmt: skip
    """The minimum found downhill from ``start`` (n_parameters,).

    ``difference`` is the width of finite differences, one for all or one each; ``central`` takes them on both sides.
    Stops when a step lowers the cost by less than ``tolerance`` times (1 + cost), or after ``most_steps``. No step moves a
    parameter by more than ``largest_step``. Raises ValueError where the residuals at the start are not finite.
    """
    x = np.array(start, float)
    widths = np.broadcast_to(np.asarray(difference, float), x.shape)
    here = np.asarray(residuals(x[None, :]), float)[0]
    if not np.isfinite(here).all():
        raise ValueError("the model cannot be computed at the start of the fit")
    cost, scale, converged = _cost(here), 1.0, False
    jacobian = _jacobian(residuals, x, here, widths, central)
    step = 0
    for step in range(1, most_steps + 1):  # noqa: B007 - used after the loop
        gradient, hessian = jacobian.T @ here, jacobian.T @ jacobian
        moved = False
        for _ in range(MOST_STEPS_OUT):
            ladder = np.array([_move(gradient, hessian, scale * d, largest_step) for d in DAMPINGS])
            tried = np.asarray(residuals(x[None, :] + ladder), float)
            costs = np.array([_cost(row) for row in tried])
            best = int(np.argmin(costs))
            if costs[best] < cost:
                moved = True
                break
            scale *= 1e3
            if np.abs(ladder[-1]).max() < 1e-10:
                break
        if not moved:
            converged = True
            break
        fall = cost - costs[best]
        x, here, cost = x + ladder[best], tried[best], float(costs[best])
        scale = float(np.clip(scale * DAMPINGS[best] / DAMPINGS[1], 1e-8, 1e8))
        jacobian = _jacobian(residuals, x, here, widths, central)
        if fall < tolerance * (1.0 + cost):
            converged = True
            break
    return Minimum(x, cost, here, jacobian, step, converged)


def _cost(row: np.ndarray) -> float:
    return 0.5 * float(row @ row) if np.isfinite(row).all() else np.inf


def _move(gradient: np.ndarray, hessian: np.ndarray, damping: float, largest: float) -> np.ndarray:
    diagonal = np.diag(hessian)
    floor = 1e-12 * max(diagonal.max(initial=0.0), 1e-300)
    move = -np.linalg.solve(hessian + damping * np.diag(np.maximum(diagonal, floor)), gradient)
    return np.asarray(np.clip(move, -largest, largest))


def _jacobian(residuals: Residuals, x: np.ndarray, here: np.ndarray, widths: np.ndarray, central: bool) -> np.ndarray:
    """Finite differences, one batch; a parameter that cannot be moved one way is moved the other."""
    up = np.asarray(residuals(x[None, :] + np.diag(widths)), float)
    down = np.isfinite(up).all(axis=1)
    if central or not down.all():
        low = np.asarray(residuals(x[None, :] - np.diag(widths)), float)
        if central:
            both = np.isfinite(low).all(axis=1) & down
            rows = np.where(both[:, None], (up - low) / (2 * widths[:, None]), 0.0)
            one_sided = np.where(down[:, None], up - here, here - low) / widths[:, None]
            return np.nan_to_num(np.where(both[:, None], rows, one_sided)).T
        return np.nan_to_num(np.where(down[:, None], up - here, here - low) / widths[:, None]).T
    return np.asarray((up - here) / widths[:, None]).T

"""The covariance step: how sure the estimates are, from second derivatives (R), from subjects' slopes (S), or both.

R is half the matrix of second derivatives of the objective, by differences of exact slopes; S a quarter of the sum of
products of the subjects' slopes. As in NONMEM the covariance is R^-1 S R^-1 unless R^-1 or S^-1 is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from respine.fit.population.estimate import Estimate

STEP = 0.02  # of differences, in standard errors


@dataclass(frozen=True)
class Uncertainty:
    """``covariance`` (n, n) of the values as reported, ``of_x`` of the search's vector; ``curvature`` and ``spread``
    are R and S by x.

    ``problem``: why there is none (then ``covariance`` is NaN).
    """

    kind: str
    covariance: np.ndarray
    of_x: np.ndarray
    curvature: np.ndarray
    spread: np.ndarray
    problem: str = ""

    @property
    def errors(self) -> np.ndarray:
        """(n,) standard errors."""
        with np.errstate(invalid="ignore"):
            return np.sqrt(np.diag(self.covariance))

    @property
    def correlation(self) -> np.ndarray:
        with np.errstate(all="ignore"):
            return self.covariance / np.outer(self.errors, self.errors)

    @property
    def eigenvalues(self) -> np.ndarray:
        """(n,) of the correlation matrix, ascending; NaN without one."""
        r = self.correlation
        return np.linalg.eigvalsh(r) if np.isfinite(r).all() and len(r) else np.full(len(r), np.nan)

    @property
    def condition(self) -> float:
        """Largest over smallest eigenvalue of the correlation matrix."""
        values = self.eigenvalues
        return float(values[-1] / values[0]) if len(values) and values[0] > 0 else np.nan


def curvature(estimate: Estimate) -> np.ndarray:
    """R by x, (n, n)."""
    outer, x, n = estimate.outer, estimate.x, len(estimate.x)
    matrix = estimate.matrix  # without a search, and where that knows nothing, S stands for R
    known = np.isfinite(matrix).all() and estimate.searches[0].evaluations > 1
    second = np.diag(matrix) if known else 0.5 * np.sum(estimate.slopes**2, axis=0)
    size = np.sqrt(2.0 / np.maximum(second, 1e-8))
    longest = np.maximum(1.0, np.abs(x))
    rows = np.zeros((n, n))
    for k in range(n):
        step = np.zeros(n)
        step[k] = STEP * min(float(size[k]), float(longest[k]))
        (_, up), (_, down) = outer(x + step), outer(x - step)
        rows[k] = (up - down) / (2 * step[k])
    outer(x)  # the modes are those of the estimates again
    return 0.25 * (rows + rows.T)


def uncertainty(estimate: Estimate, kind: str = "sandwich") -> Uncertainty:
    """The covariance of the estimates; ``kind`` R, S or sandwich."""
    n = len(estimate.x)
    spread = 0.25 * estimate.slopes.T @ estimate.slopes
    none = np.full((n, n), np.nan)
    if n == 0:
        return Uncertainty(kind, none, none, none, spread)
    second = curvature(estimate) if kind != "S" else none
    problem = ""
    if kind != "S" and not (np.isfinite(second).all() and np.linalg.eigvalsh(second)[0] > 0):
        problem = "the matrix of second derivatives (R) is not positive definite at the estimates"
    elif kind != "R" and np.linalg.matrix_rank(spread) < n:
        problem = (
            "the matrix of the subjects' slopes (S) is singular: fewer subjects than parameters, or a flat direction"
        )
    if problem and not (kind == "sandwich" and problem.startswith("the matrix of the subjects")):
        return Uncertainty(kind, none, none, second, spread, problem)
    if kind == "S":
        of_x = np.linalg.inv(spread)
    else:
        inverse = np.linalg.inv(second)
        of_x = inverse if kind == "R" else inverse @ spread @ inverse
    jacobian = estimate.vector.jacobian(estimate.point)
    return Uncertainty(kind, jacobian @ of_x @ jacobian.T, of_x, second, spread, problem)

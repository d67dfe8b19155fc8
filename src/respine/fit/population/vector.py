"""Parameters as one vector without bounds, on scales on which a search walks well, and slopes carried over to it.

Fixed effects on the log or logit scale, or shifted by a bound; covariance matrices by their Cholesky factors with the
log of the diagonal, so that every vector is a permitted point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from respine.fit.population.covariances import Blocks
from respine.fit.population.directions import Directions
from respine.fit.population.objective import Point
from respine.fit.population.problem import Theta

SMALLEST = (
    1e-4  # standard deviation of a random effect at which a search stops, as a share of that at the start, or of 1
)


@dataclass(frozen=True)
class Entry:
    """One estimated number: its name as reported, and what kind it is (``fixed``, ``random`` or ``residual``)."""

    name: str
    kind: str


class Vector:
    """Translates points to vectors x (n,) and back, and slopes of an objective to slopes by x."""

    def __init__(self, d: Directions, blocks: Blocks) -> None:
        self.d, self.blocks = d, blocks
        problem = d.problem
        self.thetas = [(k, theta) for k, theta in enumerate(problem.thetas) if not theta.fixed]
        at = len(problem.thetas)
        self.sigmas: list[tuple[int, int]] = []  # (first place among the fixed values, size)
        self.entries = [Entry(theta.name, "fixed") for _, theta in self.thetas]
        residual = []
        for block in problem.sigma:
            n = len(block.names)
            if not block.fixed:
                self.sigmas.append((at, n))
                residual += [
                    Entry(label("SIGMA", block.names, i, j), "residual") for i in range(n) for j in range(i + 1)
                ]
            at += n * (n + 1) // 2
        self.free_blocks = [k for k, is_fixed in enumerate(blocks.fixed) if not is_fixed]
        for k in self.free_blocks:
            names = blocks.names[k]
            self.entries += [
                Entry(label("OMEGA", names, i, j), "random") for i in range(len(names)) for j in range(i + 1)
            ]
        self.entries += residual

    def floors(self, begin: Point) -> np.ndarray:
        """(n,) least values of x: below a small share of its spread at the start a random effect is as good as none."""
        out = np.full(self.size, -np.inf)
        at = len(self.thetas)
        for k in self.free_blocks:
            rows, columns = np.tril_indices(len(self.blocks.names[k]))
            sd = np.sqrt(np.diag(begin.blocks[k]))
            for number, (i, j) in enumerate(zip(rows, columns, strict=True)):
                if i == j:
                    out[at + number] = np.log(SMALLEST * min(float(sd[i]), 1.0))
            at += len(rows)
        return out

    @property
    def size(self) -> int:
        return len(self.entries)

    @property
    def names(self) -> list[str]:
        return [entry.name for entry in self.entries]

    def pack(self, point: Point) -> np.ndarray:
        """x of a point."""
        x = [_inside(theta, point.fixed[k]) for k, theta in self.thetas]
        for k in self.free_blocks:
            x += list(_factor(point.blocks[k]))
        for first, n in self.sigmas:
            x += list(_factor(triangle(point.fixed, first, n)))
        return np.array(x, float)

    def unpack(self, x: np.ndarray, like: Point) -> Point:
        """The point of x; what is fixed comes from ``like``."""
        fixed, matrices = like.fixed.copy(), list(like.blocks)
        for (k, theta), value in zip(self.thetas, x, strict=False):
            fixed[k] = _outside(theta, value)
        at = len(self.thetas)
        for k in self.free_blocks:
            n = len(self.blocks.names[k])
            size = n * (n + 1) // 2
            factor = _lower(x[at : at + size], n)
            matrices[k] = factor @ factor.T
            at += size
        for first, n in self.sigmas:
            size = n * (n + 1) // 2
            factor = _lower(x[at : at + size], n)
            fixed[first : first + size] = (factor @ factor.T)[np.tril_indices(n)]
            at += size
        return Point(fixed, tuple(matrices))

    def natural(self, point: Point) -> np.ndarray:
        """Values as reported, in the order of ``entries``: fixed effects, elements of the matrices."""
        values = [point.fixed[k] for k, _ in self.thetas]
        for k in self.free_blocks:
            values += list(point.blocks[k][np.tril_indices(len(point.blocks[k]))])
        for first, n in self.sigmas:
            values += list(point.fixed[first : first + n * (n + 1) // 2])
        return np.array(values, float)

    def jacobian(self, point: Point) -> np.ndarray:
        """d(natural)/dx, (n, n)."""
        out = np.zeros((self.size, self.size))
        for row, (k, theta) in enumerate(self.thetas):
            out[row, row] = _stretch(theta, point.fixed[k])
        at = len(self.thetas)
        for matrix in [point.blocks[k] for k in self.free_blocks] + [
            triangle(point.fixed, first, n) for first, n in self.sigmas
        ]:
            part = _factor_jacobian(matrix)
            out[at : at + len(part), at : at + len(part)] = part
            at += len(part)
        return out

    def slopes(self, point: Point, by_fixed: np.ndarray, by_blocks: Sequence[np.ndarray]) -> np.ndarray:
        """(n_subjects, n) slopes by x from those by free fixed values (n_subjects, M) and by blocks (n_subjects, b,
        b).
        """
        place = {k: m for m, k in enumerate(self.d.free)}
        columns = [by_fixed[:, place[k]] * _stretch(theta, point.fixed[k]) for k, theta in self.thetas]
        for k in self.free_blocks:
            columns += _carry(by_blocks[k], point.blocks[k])
        for first, n in self.sigmas:
            slope = np.zeros((len(by_fixed), n, n))
            for number, (i, j) in enumerate(zip(*np.tril_indices(n), strict=True)):
                own = by_fixed[:, place[first + number]]
                slope[:, i, j] += 0.5 * own
                slope[:, j, i] += 0.5 * own
            columns += _carry(slope, triangle(point.fixed, first, n))
        return np.stack(columns, axis=1) if columns else np.zeros((len(by_fixed), 0))


def label(kind: str, names: Sequence[str], i: int, j: int) -> str:
    """``OMEGA(eta_CL)`` or ``OMEGA(eta_V, eta_CL)``."""
    return f"{kind}({names[i]})" if i == j else f"{kind}({names[i]}, {names[j]})"


def triangle(values: np.ndarray, first: int, n: int) -> np.ndarray:
    """The symmetric matrix whose lower triangle stands in a vector."""
    out = np.zeros((n, n))
    out[np.tril_indices(n)] = values[first : first + n * (n + 1) // 2]
    return out + np.tril(out, -1).T


def _inside(theta: Theta, value: float) -> float:
    low, high = theta.lower, theta.upper
    if np.isfinite(low) and np.isfinite(high):
        return float(np.log((value - low) / (high - value)))
    if theta.scale == "log" or np.isfinite(low):
        return float(np.log(value - (low if np.isfinite(low) else 0.0)))
    if np.isfinite(high):
        return float(-np.log(high - value))
    return float(value)


def _outside(theta: Theta, x: float) -> float:
    low, high = theta.lower, theta.upper
    with np.errstate(over="ignore"):
        if np.isfinite(low) and np.isfinite(high):
            return float(low + (high - low) / (1.0 + np.exp(-x)))
        if theta.scale == "log" or np.isfinite(low):
            return float((low if np.isfinite(low) else 0.0) + np.exp(x))
        if np.isfinite(high):
            return float(high - np.exp(-x))
    return float(x)


def _stretch(theta: Theta, value: float) -> float:
    """d(value)/dx."""
    low, high = theta.lower, theta.upper
    if np.isfinite(low) and np.isfinite(high):
        return float((value - low) * (high - value) / (high - low))
    if theta.scale == "log" or np.isfinite(low):
        return float(value - (low if np.isfinite(low) else 0.0))
    return float(high - value) if np.isfinite(high) else 1.0


def _factor(matrix: np.ndarray) -> np.ndarray:
    factor = np.linalg.cholesky(matrix)
    out = factor.copy()
    np.fill_diagonal(out, np.log(np.diag(factor)))
    return out[np.tril_indices(len(matrix))]


def _lower(x: np.ndarray, n: int) -> np.ndarray:
    out = np.zeros((n, n))
    out[np.tril_indices(n)] = x
    with np.errstate(over="ignore"):
        np.fill_diagonal(out, np.exp(np.diag(out)))
    return out


def _carry(slope: np.ndarray, matrix: np.ndarray) -> list[np.ndarray]:
    """Slopes (n_subjects,) by each element of the factor, from slopes (n_subjects, n, n) by the matrix."""
    factor = np.linalg.cholesky(matrix)
    by_factor = 2.0 * slope @ factor
    return [
        by_factor[:, i, j] * (factor[i, i] if i == j else 1.0)
        for i, j in zip(*np.tril_indices(len(matrix)), strict=True)
    ]


def _factor_jacobian(matrix: np.ndarray) -> np.ndarray:
    """d(lower triangle of the matrix)/dx."""
    factor, n = np.linalg.cholesky(matrix), len(matrix)
    rows, columns = np.tril_indices(n)
    out = np.zeros((len(rows), len(rows)))
    for column, (i, j) in enumerate(zip(rows, columns, strict=True)):
        change = np.zeros((n, n))
        change[i, j] = factor[i, i] if i == j else 1.0
        whole = change @ factor.T + factor @ change.T
        out[:, column] = whole[rows, columns]
    return out

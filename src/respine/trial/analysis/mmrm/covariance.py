"""Covariance structures of repeated measures: the matrix of the visits and its exact derivatives, in two parametrisations.

The *working* parameters are those the likelihood is maximised in: log-Cholesky for the unstructured matrix, log standard
deviations and correlations otherwise. The *reported* parameters are those of SAS PROC MIXED; Kenward-Roger's adjustment
depends on them through their second derivatives, so its answers are those of SAS.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from respine.trial.analysis.arrays import Array, Ints


@dataclass(frozen=True)
class Parts:
    """Covariance matrices with their derivatives by the parameters.

    ``sigma`` is (S, m, m): S matrices that subjects may have; ``first`` (r, S, m, m); ``second`` (r, r, S, m, m).
    """

    sigma: Array
    first: Array
    second: Array


Correlation = Callable[[Array, Array], tuple[Array, Array, Array]]
"""Parameters (k,) and distances or lags (S, m, m) -> correlations (S, m, m), first (k, S, m, m), second derivatives."""


@dataclass(frozen=True)
class Structure:
    """A covariance structure of m visits.

    ``heterogeneous`` gives every visit a variance of its own; ``spatial`` structures use distances in place of visits.
    """

    name: str
    sas: str
    aliases: tuple[str, ...]
    heterogeneous: bool
    spatial: bool
    correlations: Callable[[int], int]
    correlation: Correlation | None  # None: unstructured
    linear: bool = False  # SAS reports covariances in place of correlations

    def count(self, m: int) -> int:
        """Number of parameters for m visits."""
        if self.correlation is None:
            return m * (m + 1) // 2
        return (m if self.heterogeneous else 1) + self.correlations(m)

    def start(self, moments: Array, distance: Array) -> Array:
        """Working parameters near a positive definite matrix of moments (m, m)."""
        m = len(moments)
        if self.correlation is None:
            return _log_cholesky(np.linalg.cholesky(moments))
        variance = np.diag(moments)
        log_sd = 0.5 * np.log(variance if self.heterogeneous else np.array([variance.mean()]))
        return np.concatenate([log_sd, self._start_correlations(moments, distance, m)])

    def _start_correlations(self, moments: Array, distance: Array, m: int) -> Array:
        sd = np.sqrt(np.diag(moments))
        rho = moments / np.outer(sd, sd)
        k = self.correlations(m)
        by_lag = np.array([np.diagonal(rho, lag).mean() for lag in range(1, m)])
        if self.spatial:
            positive = distance[distance > 0]
            return np.log(np.array([np.median(positive) if positive.size else 1.0]))
        if k == 0:
            return np.zeros(0)
        if k == 1:
            mean = by_lag[0] if self.correlation is _ar1 else rho[np.triu_indices(m, 1)].mean()
            return np.array([np.clip(mean, -0.5 / max(m - 1, 1), 0.9)])
        if self.correlation is _toeplitz:
            return by_lag * 0.9 ** np.arange(1, m)
        return np.clip(np.diagonal(rho, 1), -0.9, 0.9)  # ante-dependence

    def working(self, theta: Array, m: int, distance: Array) -> Parts:
        """Matrices and derivatives by the working parameters (r,)."""
        if self.correlation is None:
            return _unstructured_working(theta, m)
        n_sd = m if self.heterogeneous else 1
        return _scaled(
            np.exp(theta[:n_sd]), theta[n_sd:], self.correlation, m, distance, log_sd=True, log_rho=self.spatial
        )

    def reported(self, theta: Array, m: int, distance: Array) -> Parts:
        """Matrices and derivatives by the parameters SAS reports."""
        if self.correlation is None:
            return _linear(_cholesky(theta, m) @ _cholesky(theta, m).T, [[pair] for pair in _pairs(m)], m)
        n_sd = m if self.heterogeneous else 1
        if self.linear:
            sigma = self.working(theta, m, distance).sigma[0]
            return _linear(sigma, _same_entries(self.correlation, m), m)
        return _scaled(
            np.exp(theta[:n_sd]), theta[n_sd:], self.correlation, m, distance, log_sd=False, log_rho=self.spatial
        )

    def rescaled(self, theta: Array, m: int, scale: float) -> Array:
        """Working parameters of ``scale**2`` times the matrix."""
        if self.correlation is None:
            return _log_cholesky(scale * _cholesky(theta, m))
        n_sd = m if self.heterogeneous else 1
        return np.concatenate([theta[:n_sd] + np.log(scale), theta[n_sd:]])

    def table(self, theta: Array, visits: list[str]) -> list[tuple[str, float]]:
        """Names and values of the parameters SAS reports."""
        m = len(visits)
        if self.correlation is None:
            sigma = _cholesky(theta, m) @ _cholesky(theta, m).T
            return [(f"covariance {visits[j]}, {visits[k]}" if j != k else f"variance {visits[j]}", float(sigma[j, k]))
                    for j, k in _pairs(m)]  # fmt: skip
        n_sd = m if self.heterogeneous else 1
        variances = [(f"variance {visits[j]}" if self.heterogeneous else "variance", float(np.exp(2 * theta[j])))
                     for j in range(n_sd)]  # fmt: skip
        rho = np.exp(theta[n_sd:]) if self.spatial else theta[n_sd:]
        word = "range" if self.spatial else "correlation"
        names = [word] if len(rho) == 1 else [f"{word} {i + 1}" for i in range(len(rho))]
        return variances + [(name, float(value)) for name, value in zip(names, rho, strict=True)]


# --- unstructured -------------------------------------------------------------------------------------------------------


def _pairs(m: int) -> list[tuple[int, int]]:
    return [(j, k) for j in range(m) for k in range(j + 1)]


def _log_cholesky(lower: Array) -> Array:
    m = len(lower)
    return np.array([np.log(lower[j, j]) if j == k else lower[j, k] for j, k in _pairs(m)])


def _cholesky(theta: Array, m: int) -> Array:
    lower = np.zeros((m, m))
    for value, (j, k) in zip(theta, _pairs(m), strict=True):
        lower[j, k] = np.exp(value) if j == k else value
    return lower


def _unstructured_working(theta: Array, m: int) -> Parts:
    """Sigma = L L' with log-diagonal entries: unconstrained, so every step stays positive definite."""
    pairs = _pairs(m)
    lower = _cholesky(theta, m)
    slopes = np.zeros((len(pairs), m, m))
    curves = np.zeros((len(pairs), m, m))  # second derivative of L by the same parameter, only of the diagonal
    for a, (j, k) in enumerate(pairs):
        slopes[a, j, k] = lower[j, j] if j == k else 1.0
        if j == k:
            curves[a, j, j] = lower[j, j]
    half = slopes @ lower.T
    first = half + np.swapaxes(half, 1, 2)
    cross = np.einsum("ajl,bkl->abjk", slopes, slopes)
    second = cross + np.swapaxes(cross, 2, 3)
    bend = curves @ lower.T
    diagonal = np.arange(len(pairs))
    second[diagonal, diagonal] += bend + np.swapaxes(bend, 1, 2)
    return Parts((lower @ lower.T)[None], first[:, None], second[:, :, None])


def _linear(sigma: Array, groups: list[list[tuple[int, int]]], m: int) -> Parts:
    """A matrix that is linear in its parameters: each fills a list of entries."""
    first = np.zeros((len(groups), 1, m, m))
    for a, group in enumerate(groups):
        for j, k in group:
            first[a, 0, j, k] = first[a, 0, k, j] = 1.0
    return Parts(sigma[None], first, np.zeros((len(groups), len(groups), 1, m, m)))


def _same_entries(correlation: Correlation, m: int) -> list[list[tuple[int, int]]]:
    diagonal = [(j, j) for j in range(m)]
    if correlation is _toeplitz:
        return [diagonal] + [[(j + lag, j) for j in range(m - lag)] for lag in range(1, m)]
    return [diagonal, [(j, k) for j in range(m) for k in range(j)]]  # compound symmetry


# --- standard deviations times correlations -----------------------------------------------------------------------------


def _scaled(
    sd: Array, rho: Array, correlation: Correlation, m: int, distance: Array, *, log_sd: bool, log_rho: bool
) -> Parts:
    """Sigma[j, k] = sd[j] sd[k] R[j, k]; by log sd or by the variance, and by the parameters of R."""
    r, r1, r2 = correlation(np.exp(rho) if log_rho else rho, distance)
    if log_rho and log_sd:  # by the log of a range; the chain rule
        value = np.exp(rho)
        r2 = r2 * value[0] ** 2 + r1[None] * value[0]
        r1 = r1 * value[0]
    n_sd, n_rho = len(sd), len(rho)
    n = n_sd + n_rho
    scale = np.outer(sd, sd) if n_sd == m else np.full((m, m), sd[0] ** 2)
    # log-derivatives of sd[j] sd[k] by the i-th log sd are the counts of i among j and k
    if n_sd == m:
        counts = np.zeros((m, m, m))
        for i in range(m):
            counts[i, i, :] += 1
            counts[i, :, i] += 1
    else:
        counts = np.full((1, m, m), 2.0)
    # by the variance v = sd**2: d log(scale)/dv = counts / (2 v), and the second derivative of v**(c/2)
    per = 1.0 if log_sd else 1.0 / (2.0 * sd**2)
    slope = counts * np.reshape(per, (-1, 1, 1)) if not log_sd else counts
    bend = np.einsum("ajk,bjk->abjk", slope, slope)
    if not log_sd:
        own = np.arange(n_sd)
        bend[own, own] -= 2.0 * slope * np.reshape(per, (-1, 1, 1))
    first = np.zeros((n, *r.shape))
    second = np.zeros((n, n, *r.shape))
    first[:n_sd] = (scale * slope)[:, None] * r
    first[n_sd:] = scale * r1
    second[:n_sd, :n_sd] = (scale * bend)[:, :, None] * r
    second[n_sd:, n_sd:] = scale * r2
    mixed = (scale * slope)[:, None, None] * r1[None]
    second[:n_sd, n_sd:] = mixed
    second[n_sd:, :n_sd] = np.swapaxes(mixed, 0, 1)
    return Parts(scale * r, first, second)


def _lags(distance: Array) -> Ints:
    m = distance.shape[-1]
    return np.abs(np.subtract.outer(np.arange(m), np.arange(m)))


def _independent(rho: Array, distance: Array) -> tuple[Array, Array, Array]:
    m = distance.shape[-1]
    return np.eye(m)[None], np.zeros((0, 1, m, m)), np.zeros((0, 0, 1, m, m))


def _compound(rho: Array, distance: Array) -> tuple[Array, Array, Array]:
    m = distance.shape[-1]
    other = 1.0 - np.eye(m)
    return (np.eye(m) + rho[0] * other)[None], other[None, None], np.zeros((1, 1, 1, m, m))


def _ar1(rho: Array, distance: Array) -> tuple[Array, Array, Array]:
    lag = _lags(distance).astype(float)
    first = np.where(lag > 0, lag * rho[0] ** np.maximum(lag - 1, 0), 0.0)
    second = np.where(lag > 1, lag * (lag - 1) * rho[0] ** np.maximum(lag - 2, 0), 0.0)
    return (rho[0] ** lag)[None], first[None, None], second[None, None, None]


def _toeplitz(rho: Array, distance: Array) -> tuple[Array, Array, Array]:
    lag = _lags(distance)
    m = len(lag)
    values = np.concatenate([[1.0], rho])
    first = np.stack([(lag == k).astype(float) for k in range(1, m)]) if m > 1 else np.zeros((0, m, m))
    return values[lag][None], first[:, None], np.zeros((m - 1, m - 1, 1, m, m))


def _ante(rho: Array, distance: Array) -> tuple[Array, Array, Array]:
    """The correlation of visits j < k is the product of those of neighbours from j to k."""
    m = distance.shape[-1]
    r = np.eye(m)
    first = np.zeros((m - 1, 1, m, m))
    second = np.zeros((m - 1, m - 1, 1, m, m))
    for j in range(m):
        for k in range(j + 1, m):
            path = np.arange(j, k)
            r[j, k] = r[k, j] = np.prod(rho[path])
            for a in path:
                others = path[path != a]
                first[a, 0, j, k] = first[a, 0, k, j] = np.prod(rho[others])
                for b in others:
                    value = np.prod(rho[others[others != b]])
                    second[a, b, 0, j, k] = second[a, b, 0, k, j] = value
    return r[None], first, second


def _exponential(scale: Array, distance: Array) -> tuple[Array, Array, Array]:
    """exp(-d / range), SAS SP(EXP)."""
    x = distance / scale[0]
    r = np.exp(-x)
    first = r * x / scale[0]
    second = r * (x**2 - 2 * x) / scale[0] ** 2
    return r, first[None], second[None, None]


def _gaussian(scale: Array, distance: Array) -> tuple[Array, Array, Array]:
    """exp(-(d / range)^2), SAS SP(GAU)."""
    x2 = (distance / scale[0]) ** 2
    r = np.exp(-x2)
    first = r * 2 * x2 / scale[0]
    second = r * (4 * x2**2 - 6 * x2) / scale[0] ** 2
    return r, first[None], second[None, None]


def _none(m: int) -> int:
    return 0


def _single(m: int) -> int:
    return 1 if m > 1 else 0


def _neighbours(m: int) -> int:
    return m - 1


STRUCTURES = (
    Structure("unstructured", "UN", ("un", "us"), True, False, _none, None),
    Structure("heterogeneous-toeplitz", "TOEPH", ("toeph",), True, False, _neighbours, _toeplitz),
    Structure("toeplitz", "TOEP", ("toep",), False, False, _neighbours, _toeplitz, linear=True),
    Structure("heterogeneous-ante-dependence", "ANTE(1)", ("ante(1)", "ante1", "adh"), True, False, _neighbours, _ante),
    Structure("ante-dependence", "", ("ad",), False, False, _neighbours, _ante),
    Structure("heterogeneous-ar1", "ARH(1)", ("arh(1)", "arh1", "ar1h", "heterogeneous-ar(1)"), True, False, _single, _ar1),
    Structure("ar1", "AR(1)", ("ar(1)", "autoregressive"), False, False, _single, _ar1),
    Structure("heterogeneous-compound-symmetry", "CSH", ("csh", "heterogeneous-cs"), True, False, _single, _compound),
    Structure("compound-symmetry", "CS", ("cs", "exchangeable"), False, False, _single, _compound, linear=True),
    Structure("spatial-exponential", "SP(EXP)", ("sp_exp", "sp(exp)"), False, True, lambda m: 1, _exponential),
    Structure("spatial-gaussian", "SP(GAU)", ("sp_gau", "sp(gau)"), False, True, lambda m: 1, _gaussian),
    Structure("heterogeneous-independent", "UN(1)", ("un(1)",), True, False, _none, _independent),
    Structure("independent", "VC", ("vc", "simple"), False, False, _none, _independent),
)  # fmt: skip
BY_NAME = {name: s for s in STRUCTURES for name in (s.name, *s.aliases)}


def structure(name: str) -> Structure:
    """The structure of a name or of the name SAS or R's mmrm give it. Raises KeyError."""
    return BY_NAME[name.strip().lower().replace(" ", "-").replace("_", "-") if name not in BY_NAME else name]

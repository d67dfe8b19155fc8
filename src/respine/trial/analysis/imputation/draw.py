"""Parameters of the imputation model as a Bayesian would draw them, or from refits to resampled patients.

Gibbs sampling with a flat prior on the coefficients and Jeffreys' on the covariance: coefficients given the covariance and
what was seen; missing cells given both; the covariance given the completed table (Schafer 1997, chapter 5).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from respine.trial.analysis.arrays import Array, Flags, Ints
from respine.trial.analysis.imputation.wide import Wide, imputation_model
from respine.trial.analysis.mmrm.covariance import Parts
from respine.trial.analysis.mmrm.fit import Fit, NoCovariance, Tried

BURN_IN, THIN = 200, 10


@dataclass(frozen=True)
class Parameters:
    """``beta`` (q,) for all columns (0 where aliased) and ``sigma`` (G, m, m), one matrix or one for each arm."""

    beta: Array
    sigma: Array


def estimate(wide: Wide, reml: bool = True) -> Parameters:
    """The point estimate. Raises NoCovariance."""
    return _of_fit(imputation_model(wide, reml))


def _of_fit(fit: Fit) -> Parameters:
    beta = np.zeros(len(fit.data.columns))
    beta[fit.basis.kept] = fit.coefficients
    return Parameters(beta, fit.covariances)


def resampled(wide: Wide, draws: int, rng: np.random.Generator) -> Iterator[Parameters]:
    """Estimates from patients drawn with replacement within arms. A sample whose covariance cannot be estimated is redrawn."""
    for _ in range(draws):
        for _ in range(50):
            rows = np.concatenate([
                rng.choice(np.flatnonzero(wide.arm == a), int((wide.arm == a).sum())) for a in np.unique(wide.arm)
            ])  # fmt: skip
            try:
                yield estimate(wide.only(rows))
                break
            except NoCovariance as error:
                trouble = error
        else:
            raise trouble


def posterior(wide: Wide, draws: int, rng: np.random.Generator) -> Iterator[Parameters]:
    """Draws of the parameters given what was seen. Raises NoCovariance."""
    fit = imputation_model(wide)
    sigma = fit.covariances
    scale = fit.basis.scale
    back = np.linalg.inv(fit.basis.r)
    centre = back @ fit.basis.qy
    kept = fit.basis.kept
    x = wide.x[:, :, kept]
    used = wide.used
    rows = used.any(axis=1)
    group = wide.arm[rows] if wide.own_covariance else np.zeros(int(rows.sum()), dtype=np.int64)
    filler = Filler(used[rows], group, len(sigma))
    y, x = np.where(used, wide.y, 0.0)[rows], x[rows]
    few = int(np.bincount(group).min())
    if few < y.shape[1] + 2:
        raise NoCovariance(
            [Tried("unstructured", f"{few} patients are too few to draw a matrix of {y.shape[1]} visits")]
        )
    for step in range(BURN_IN + THIN * draws):
        value = fit.likelihood.value(Parts(sigma / scale**2, np.zeros(0), np.zeros(0)))
        b = value.beta + np.linalg.cholesky(value.information) @ rng.standard_normal(len(value.beta))
        coefficients = centre + scale * (back @ b)
        residual = filler.fill(y - x @ coefficients, sigma, rng)
        sigma = np.stack([_inverse_wishart(residual[group == g], rng) for g in range(len(sigma))])
        if step >= BURN_IN and (step - BURN_IN) % THIN == THIN - 1:
            beta = np.zeros(wide.x.shape[2])
            beta[kept] = coefficients
            yield Parameters(beta, sigma)


def _inverse_wishart(residual: Array, rng: np.random.Generator) -> Array:
    """A covariance given residuals (n, m) of known mean, by Bartlett's decomposition of the Wishart precision."""
    n, m = residual.shape
    root = np.linalg.cholesky(np.linalg.inv(residual.T @ residual))
    lower = np.tril(rng.standard_normal((m, m)), -1)
    lower[np.diag_indices(m)] = np.sqrt(rng.chisquare(n - np.arange(m)))
    half = root @ lower
    return np.asarray(np.linalg.inv(half @ half.T))


class Filler:
    """Draws missing residuals given those seen, pattern by pattern."""

    def __init__(self, seen: Flags, group: Ints, groups: int) -> None:
        keys = np.column_stack([group, seen])
        unique, member = np.unique(keys, axis=0, return_inverse=True)
        member = member.ravel()
        self.blocks = [
            (np.flatnonzero(member == p), int(key[0]), np.flatnonzero(key[1:]), np.flatnonzero(key[1:] == 0))
            for p, key in enumerate(unique)
        ]

    def fill(self, residual: Array, sigma: Array, rng: np.random.Generator | None) -> Array:
        """Residuals (n, m) with missing cells drawn from their law given the others, or set to its mean without ``rng``."""
        result = residual.copy()
        for rows, g, seen, missing in self.blocks:
            if not len(missing):
                continue
            s = sigma[g]
            slope = (
                s[np.ix_(missing, seen)] @ np.linalg.inv(s[np.ix_(seen, seen)])
                if len(seen)
                else np.zeros((len(missing), 0))
            )
            mean = residual[np.ix_(rows, seen)] @ slope.T
            if rng is not None:
                left = s[np.ix_(missing, missing)] - slope @ s[np.ix_(seen, missing)]
                mean = mean + rng.standard_normal((len(rows), len(missing))) @ np.linalg.cholesky(left).T
            result[np.ix_(rows, missing)] = mean
        return result

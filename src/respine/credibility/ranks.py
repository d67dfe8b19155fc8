"""Measures of sensitivity from one cloud of points: partial rank correlations, and the variance a number explains alone.

Marino et al. 2008, J Theor Biol 254:178, doi:10.1016/j.jtbi.2008.04.011; Gamboa et al. 2022, Bernoulli 28:2345,
doi:10.3150/21-BEJ1421.
"""

from __future__ import annotations

import math

import numpy as np

from respine.files.constants import Z95


def partial_rank_correlations(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float]:
    """PRCC ``(k,)`` of ``y`` ``(n,)`` with each column of ``x`` ``(n, k)``, and R2 of the regression of ranks.

    A column that does not vary gets 0. Raises ValueError where there are too few rows.
    """
    n, k = x.shape
    if n <= k + 2:
        raise ValueError(f"{n} vectors are too few for {k} parameters")
    ranked = _standard(np.column_stack([ranks(column) for column in x.T]))
    target = _standard(ranks(y)[:, None])[:, 0]
    moves = ranked.std(axis=0) > 0
    inverse = np.linalg.inv(ranked[:, moves].T @ ranked[:, moves] / n)
    shared = ranked[:, moves].T @ target / n
    slope = inverse @ shared
    r2 = float(np.clip(slope @ shared, 0.0, 1.0))
    prcc = np.zeros(k)
    left = (1 - r2) * np.diag(inverse)
    prcc[moves] = slope / np.sqrt(np.maximum(slope**2 + left, 1e-300))
    return prcc, r2


def chance_band(n: int, k: int) -> float:
    """The size that the PRCC of a parameter without effect exceeds in 5 % of cases (Fisher's z)."""
    return math.tanh(Z95 / math.sqrt(max(n - k - 2, 1)))


def explained_alone(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """First-order Sobol indices ``(k,)`` of ``y`` ``(n,)``: the share of its variance each column explains alone.

    The correlation of ``y`` with its neighbour in the order of a column; sampling error about 1/sqrt(n), so that small
    ones may come out below 0.
    """
    spread = float(np.var(y))
    if spread == 0:
        return np.zeros(x.shape[1])
    centred = y - y.mean()
    shares = []
    for column in x.T:
        ordered = centred[np.argsort(column, kind="stable")]
        shares.append(float(np.mean(ordered * np.roll(ordered, -1)) / spread))
    return np.array(shares)


def ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1; equal values share the mean of theirs."""
    _, back, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2.0)[np.reshape(back, -1)])


def _standard(table: np.ndarray) -> np.ndarray:
    spread = table.std(axis=0)
    return np.asarray((table - table.mean(axis=0)) / np.where(spread > 0, spread, 1.0))

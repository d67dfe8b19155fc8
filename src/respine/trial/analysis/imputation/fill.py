"""Completed trials: what a patient would have scored after an intercurrent event, by a named strategy.

Carpenter, Roger and Kenward 2013 (doi:10.1080/10543406.2013.834911). The joint law of a patient's visits is that of the own
arm before the event; after it the mean (and, with a covariance for each arm, the regression on earlier visits) is built
from the reference arm.
"""

from __future__ import annotations

import numpy as np

from respine.trial.analysis.arrays import Array, Ints
from respine.trial.analysis.imputation.draw import Filler, Parameters
from respine.trial.analysis.imputation.wide import Wide


def completed(wide: Wide, parameters: Parameters, rng: np.random.Generator | None) -> Array:
    """Outcomes (n, m) with every missing cell drawn, or at its conditional mean without ``rng``."""
    mean = means(wide, parameters.beta)
    seen = np.isfinite(wide.y)
    sigma, law = _laws(wide, parameters.sigma)
    filler = Filler(seen, law, len(sigma))
    residual = np.where(seen, wide.y - mean, 0.0)
    return np.where(seen, wide.y, mean + filler.fill(residual, sigma, rng))


def means(wide: Wide, beta: Array) -> Array:
    """The mean of every cell under the strategy, (n, m)."""
    own, reference = wide.x @ beta, wide.x_reference @ beta
    after = wide.after
    if wide.strategy == "missing-at-random":
        return np.asarray(own)
    if wide.strategy == "jump-to-reference":
        return np.where(after, reference, own)
    has_event = (wide.event < after.shape[1])[:, None]
    if wide.strategy == "copy-reference":
        return np.where(has_event, reference, own)
    before = np.clip(wide.event - 1, 0, None)
    rows = np.arange(len(own))
    last_own, last_reference = own[rows, before][:, None], reference[rows, before][:, None]
    moved = np.where(wide.event[:, None] > 0, last_own + reference - last_reference, reference)
    return np.where(after, moved, own)


def _laws(wide: Wide, sigma: Array) -> tuple[Array, Ints]:
    """Covariance matrices, and which of them each patient has, (n,)."""
    n, m = wide.y.shape
    if len(sigma) == 1:
        return sigma, np.zeros(n, dtype=np.int64)
    if wide.strategy == "missing-at-random":
        return sigma, wide.arm
    pairs, law = np.unique(np.column_stack([wide.arm, wide.event]), axis=0, return_inverse=True)
    built = []
    for arm, event in pairs:
        own, reference = sigma[arm], sigma[0]
        if event >= m:
            built.append(own)
        elif wide.strategy == "copy-reference" or event == 0:
            built.append(reference)
        else:
            b, a = slice(None, event), slice(event, None)
            slope = reference[a, b] @ np.linalg.inv(reference[b, b])
            joined = np.empty_like(own)
            joined[b, b] = own[b, b]
            joined[a, b] = slope @ own[b, b]
            joined[b, a] = joined[a, b].T
            joined[a, a] = reference[a, a] - slope @ (reference[b, b] - own[b, b]) @ slope.T
            built.append(joined)
    return np.stack(built), law.ravel().astype(np.int64)

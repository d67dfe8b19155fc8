"""The MMRM of a trial that lies in arrays: what a simulation of many trials repeats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from respine.trial.analysis.arrays import Array, Ints
from respine.trial.analysis.imputation.draw import Filler
from respine.trial.analysis.mmrm.covariance import BY_NAME
from respine.trial.analysis.mmrm.fit import Data, Fit, fit
from respine.trial.analysis.mmrm.freedom import ALIASES, Inference, Method


@dataclass(frozen=True)
class Differences:
    """Every arm against arm 0 at every visit, (A - 1, m) each. ``covariance`` is the structure that could be estimated."""

    estimate: Array
    se: Array
    df: Array
    p: Array
    lower: Array
    upper: Array
    covariance: str


def differences(
    y: Array,
    arm: Ints,
    baseline: Array | None = None,
    covariates: Array | None = None,
    *,
    covariance: str | Sequence[str] = "unstructured",
    df: str = "kenward-roger",
    reml: bool = True,
    level: float = 0.95,
) -> Differences:
    """Differences between arms by MMRM: means by arm and visit, baseline by visit, covariates (n, k) as they are.

    ``y`` (n, m), NaN where missing; ``arm`` (n,) codes from 0, the reference; ``baseline`` (n,). ``covariance`` may be a list,
    tried in order. Raises NoCovariance where none can be estimated, with the reasons.
    """
    m, arms = y.shape[1], int(arm.max()) + 1
    fitted = _fit(y, _columns(y.shape, arm, baseline, covariates), covariance, reml)
    method: Method = ALIASES.get(df, df)  # type: ignore[assignment]
    inference = Inference(fitted, method)
    position = {int(column): k for k, column in enumerate(fitted.basis.kept)}
    result = np.full((6, arms - 1, m), np.nan)
    for a in range(1, arms):
        for v in range(m):
            k = position.get(a * m + v)
            if k is not None:
                c = inference.contrast(np.eye(len(position))[k], level)
                result[:, a - 1, v] = c.estimate, c.se, c.df, c.p, c.lower, c.upper
    estimate, se, freedom, p, lower, upper = result
    return Differences(estimate, se, freedom, p, lower, upper, fitted.structure.name)


def completed(y: Array, arm: Ints, baseline: Array, *, covariance: str | Sequence[str] = "unstructured") -> Array:
    """``y`` (n, m) with what the MMRM expects of each patient, given the scores seen, in place of missing ones.

    Everything as in `differences`, by REML. Means over ``completed`` scores, adjusted for the baseline at each visit, are the
    least-squares means of the model. Cells of an arm that nobody saw at a visit stay NaN. Raises NoCovariance.
    """
    x = _columns(y.shape, arm, baseline, None)
    fitted = _fit(y, x, covariance, True)
    kept = fitted.basis.kept
    mean = x[:, :, kept] @ fitted.coefficients
    for column in set(range(x.shape[2])) - set(kept.tolist()):
        mean[x[:, :, column] != 0] = np.nan
    seen, group = np.isfinite(y), np.zeros(len(y), np.int64)
    filled = mean + Filler(seen, group, 1).fill(np.where(seen, y - mean, 0.0), fitted.covariances, None)
    return np.where(seen, y, filled)


def _columns(shape: tuple[int, int], arm: Ints, baseline: Array | None, covariates: Array | None) -> Array:
    """Columns (n, m, q) of every cell: visit, visit by arm, visit by baseline, covariates."""
    n, m = shape
    visit = np.broadcast_to(np.eye(m), (n, m, m))
    blocks = [visit, *(visit * (arm == a)[:, None, None] for a in range(1, int(arm.max()) + 1))]
    if baseline is not None:
        blocks.append(visit * (baseline - baseline.mean())[:, None, None])
    if covariates is not None:
        blocks.append(np.broadcast_to(covariates[:, None, :], (n, m, covariates.shape[1])))
    return np.concatenate(blocks, axis=2)


def _fit(y: Array, x: Array, covariance: str | Sequence[str], reml: bool) -> Fit:
    i, j = np.nonzero(np.isfinite(y))
    subject = np.unique(i, return_inverse=True)[1].ravel().astype(np.int64)
    names = [covariance] if isinstance(covariance, str) else list(covariance)
    labels, columns = (tuple(str(k) for k in range(count)) for count in x.shape[1:])
    data = Data(y[i, j], x[i, j], subject, j.astype(np.int64), labels, columns)
    return fit(data, [BY_NAME[name].name for name in names], reml)

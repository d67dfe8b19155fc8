"""The MMRM of a trial that lies in arrays: what a simulation of many trials repeats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from respine.trial.analysis.arrays import Array, Ints
from respine.trial.analysis.mmrm.covariance import BY_NAME
from respine.trial.analysis.mmrm.fit import Data, fit
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
    i, j = np.nonzero(np.isfinite(y))
    visit = (j[:, None] == np.arange(m)).astype(float)
    blocks = [visit, *(visit * (arm[i] == a)[:, None] for a in range(1, arms))]
    if baseline is not None:
        blocks.append(visit * (baseline - baseline.mean())[i][:, None])
    if covariates is not None:
        blocks.append(covariates[i])
    x = np.column_stack(blocks)
    subject = np.unique(i, return_inverse=True)[1].ravel().astype(np.int64)
    names = [covariance] if isinstance(covariance, str) else list(covariance)
    labels = tuple(str(k) for k in range(m))
    columns = tuple(str(k) for k in range(x.shape[1]))
    data = Data(y[i, j], x, subject, j.astype(np.int64), labels, columns)
    fitted = fit(data, [BY_NAME[name].name for name in names], reml)
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

"""What the analysis of an endpoint makes of missing scores: leaves them out, carries the last forward, or expects them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from respine.study.endpoints import Endpoint
from respine.trial.panel import TOLERANCE_H, Panel

COVARIANCES = ("unstructured", "heterogeneous-toeplitz", "ar1", "compound-symmetry")
"""Of the mixed model, in the order in which they are tried."""


def analysed(endpoint: Endpoint, panel: Panel, arms: Sequence[str]) -> Panel:
    """The panel as the endpoint's analysis sees it; the same one where nothing is missing after the baseline."""
    handle = {"locf": carried_forward, "mmrm": expected}.get(endpoint.analysis)
    here = [arm for arm in arms if (arm, endpoint.of) in panel.values]
    return panel if handle is None or not here else handle(endpoint, panel, here)


def carried_forward(endpoint: Endpoint, panel: Panel, arms: Sequence[str]) -> Panel:
    """Every missing score after the baseline is the last one seen after the baseline; who has none stays missing."""
    later = _after_baseline(endpoint, panel)
    filled = {}
    for arm in arms:
        values = panel.values[arm, endpoint.of].copy()
        for earlier, column in pairwise(later):
            values[:, column] = np.where(np.isfinite(values[:, column]), values[:, column], values[:, earlier])
        filled[arm, endpoint.of] = values
    return replace(panel, values={**panel.values, **filled})


def expected(endpoint: Endpoint, panel: Panel, arms: Sequence[str]) -> Panel:
    """Every missing score after the baseline is what an MMRM expects of that person, given the scores seen.

    Means by arm and visit, baseline by visit, REML, one covariance of the visits for all arms. Means of visits adjusted for
    the baseline are then those of the MMRM: its equations say that they are means of scores so completed. Who has no
    baseline or no later score is left out; so is everybody where no covariance can be estimated.
    """
    from respine.trial.analysis.arrays_mmrm import completed
    from respine.trial.analysis.mmrm.fit import NoCovariance

    later, first = _after_baseline(endpoint, panel), panel.column(endpoint.of, endpoint.baseline)
    if first is None:
        return panel
    tables = [panel.values[arm, endpoint.of] for arm in arms]
    scores, arm_of = np.concatenate(tables), np.repeat(np.arange(len(arms)), [len(table) for table in tables])
    y, base = scores[:, later], scores[:, first]
    used = np.isfinite(base) & np.isfinite(y).any(axis=1)
    if np.isfinite(y[used]).all():
        return panel
    seen = np.isfinite(y[used]).any(axis=0)  # a visit without any score says nothing of the others
    result = np.full(y.shape, np.nan)
    try:
        codes = np.unique(arm_of[used], return_inverse=True)[1].ravel()
        result[np.ix_(used, seen)] = completed(y[np.ix_(used, seen)], codes, base[used], covariance=COVARIANCES)
    except (NoCovariance, np.linalg.LinAlgError):
        pass
    whole = scores.copy()
    whole[:, later] = result
    parts = np.split(whole, np.cumsum([len(table) for table in tables])[:-1])
    return replace(
        panel, values={**panel.values, **{(arm, endpoint.of): part for arm, part in zip(arms, parts, strict=True)}}
    )


def _after_baseline(endpoint: Endpoint, panel: Panel) -> np.ndarray:
    """Columns of the visits after the baseline."""
    return np.flatnonzero(panel.times[endpoint.of] > endpoint.baseline + TOLERANCE_H)

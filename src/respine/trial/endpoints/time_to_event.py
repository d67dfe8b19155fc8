"""How long responders stay well."""

from __future__ import annotations

import numpy as np

from respine.study.endpoints import Relapse, RelapseFree, TimeToRelapse
from respine.trial.endpoints.base import EDGE, baseline_values, per_person
from respine.trial.panel import TOLERANCE_H, Panel

UNKNOWN_DROP = 0.5  # of an output, which has no scale to say what a response is


@per_person.register
def time_to_relapse(endpoint: TimeToRelapse, panel: Panel, arm: str) -> np.ndarray:
    """Hours from the baseline to relapse, to the end of follow-up without one; nobody who did not respond."""
    responder, gone, later = _course(endpoint, panel, arm)
    grid = panel.times[endpoint.of]
    last = grid[-1] if endpoint.until is None else endpoint.until
    end = last if not len(later) else grid[later[-1]]
    first = grid[later[gone.argmax(axis=1)]] if len(later) else np.full(len(responder), last)
    return np.where(responder, np.where(gone.any(axis=1), first, end) - endpoint.baseline, np.nan)


@per_person.register
def stays_well(endpoint: RelapseFree, panel: Panel, arm: str) -> np.ndarray:
    """Whether a responder has no relapse."""
    responder, gone, _ = _course(endpoint, panel, arm)
    return np.where(responder, (~gone.any(axis=1)).astype(float), np.nan)


def _course(endpoint: Relapse, panel: Panel, arm: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Who responded ``(n_subjects,)``, who is relapsed at each later visit ``(n_subjects, n_later)``, and these visits."""
    values, grid = panel.values[arm, endpoint.of], panel.times[endpoint.of]
    base = baseline_values(endpoint, panel, arm)
    start = int(np.argmin(np.abs(grid - endpoint.at)))
    last = grid[-1] if endpoint.until is None else endpoint.until
    later = np.flatnonzero((grid > grid[start] + TOLERANCE_H) & (grid <= last + TOLERANCE_H))
    best = values[:, start]
    drop = UNKNOWN_DROP if endpoint.drop is None else endpoint.drop
    with np.errstate(invalid="ignore"):
        responder = best <= (1 - drop) * base + EDGE
        gone = np.zeros((len(values), len(later)), bool)
        if endpoint.above is not None:
            gone |= values[:, later] >= endpoint.above
        if endpoint.lost is not None:
            gone |= values[:, later] - best[:, None] >= endpoint.lost * (base - best)[:, None]
    return responder, gone, later

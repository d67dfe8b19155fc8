"""Who responds and who remits: 1 or 0 for each person."""

from __future__ import annotations

import numpy as np

from respine.study.endpoints import Remission, RemissionContrast, Response, ResponseContrast
from respine.trial.endpoints.base import EDGE, at_visit, baseline_values, per_person
from respine.trial.panel import TOLERANCE_H, Panel


@per_person.register
def responds(endpoint: Response | ResponseContrast, panel: Panel, arm: str) -> np.ndarray:
    """Whether the score fell by at least ``drop`` of the baseline."""
    base = baseline_values(endpoint, panel, arm)
    window = _window(endpoint, panel, arm)
    known = np.isfinite(window).any(axis=1) & np.isfinite(base)
    with np.errstate(invalid="ignore"):
        fell = (window <= (1 - endpoint.drop) * base[:, None] + EDGE).any(axis=1)
    return np.where(known, fell, np.nan)


@per_person.register
def remits(endpoint: Remission | RemissionContrast, panel: Panel, arm: str) -> np.ndarray:
    """Whether the score is at most ``below``."""
    window = _window(endpoint, panel, arm)
    with np.errstate(invalid="ignore"):
        low = (window <= endpoint.below + EDGE).any(axis=1)
    return np.where(np.isfinite(window).any(axis=1), low, np.nan)


def _window(
    endpoint: Response | Remission | ResponseContrast | RemissionContrast, panel: Panel, arm: str
) -> np.ndarray:
    """Scores that may meet the condition, ``(n_subjects, n_visits)``: one visit, or all after the baseline up to ``by``."""
    by = getattr(endpoint, "by", None)
    if by is None:
        assert endpoint.at is not None
        return at_visit(endpoint, panel, arm, endpoint.at)[:, None]
    grid = panel.times[endpoint.of]
    inside = (grid > endpoint.baseline + TOLERANCE_H) & (grid <= by + TOLERANCE_H)
    return panel.values[arm, endpoint.of][:, inside]

"""Scores and changes of people."""

from __future__ import annotations

import numpy as np

from respine.study.endpoints import Change, PercentChange, Score
from respine.trial.endpoints.base import at_visit, baseline_values, per_person
from respine.trial.panel import Panel


@per_person.register
def score(endpoint: Score, panel: Panel, arm: str) -> np.ndarray:
    """The score at the visit."""
    return at_visit(endpoint, panel, arm, endpoint.at)


@per_person.register
def change(endpoint: Change, panel: Panel, arm: str) -> np.ndarray:
    """The score at the visit less that at the baseline."""
    return at_visit(endpoint, panel, arm, endpoint.at) - baseline_values(endpoint, panel, arm)


@per_person.register
def percent_change(endpoint: PercentChange, panel: Panel, arm: str) -> np.ndarray:
    """The change in percent of the baseline; nobody whose baseline is zero."""
    base = baseline_values(endpoint, panel, arm)
    now = at_visit(endpoint, panel, arm, endpoint.at)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(base != 0, 100 * (now - base) / base, np.nan)

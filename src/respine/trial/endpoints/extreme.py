"""The highest and the lowest value of people within a window."""

from __future__ import annotations

import numpy as np

from respine.study.endpoints import Extreme
from respine.trial.endpoints.base import per_person
from respine.trial.panel import TOLERANCE_H, Panel


@per_person.register
def extreme(endpoint: Extreme, panel: Panel, arm: str) -> np.ndarray:
    """The extreme of what was observed from ``from`` to ``until``."""
    values, grid = panel.values[arm, endpoint.of], panel.times[endpoint.of]
    last = np.inf if endpoint.until is None else endpoint.until
    window = values[:, (grid >= endpoint.baseline - TOLERANCE_H) & (grid <= last + TOLERANCE_H)]
    result = np.full(len(values), np.nan)
    known = np.isfinite(window).any(axis=1)
    result[known] = (np.nanmax if endpoint.kind == "peak" else np.nanmin)(window[known], axis=1)
    return result

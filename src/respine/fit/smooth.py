"""Shares of people as smooth functions of their scores: a fit goes downhill only where no single person makes a step."""

from __future__ import annotations

import numpy as np

from respine.study.endpoints import Endpoint, Relapse, Remission, Response
from respine.trial import scales
from respine.trial.endpoints import baseline_values
from respine.trial.panel import TOLERANCE_H, Panel

WIDTH = 0.5  # of a step of the scale: over which yes becomes no
ROUNDED = 0.25  # of a step: whole points under a limit reach this much further on average


def is_smooth(endpoint: Endpoint) -> bool:
    """Whether ``share`` knows the endpoint: a share of people, or the time until responders relapse."""
    return isinstance(endpoint, Response | Remission | Relapse)


def share(endpoint: Endpoint, panel: Panel, arm: str) -> float:
    """What ``estimate`` gives for a smooth endpoint from scores that are not rounded: percent, or hours to relapse."""
    values, grid = panel.values[arm, endpoint.of], panel.times[endpoint.of]
    scale = scales.load(endpoint.of)
    step = scale.step or 1.0
    base = baseline_values(endpoint, panel, arm)[:, None]
    limit: np.ndarray | float
    if isinstance(endpoint, Remission):
        limit = endpoint.below + step / 2
    else:
        assert isinstance(endpoint, Response | Relapse)
        drop = scale.response_drop if endpoint.drop is None else endpoint.drop
        limit = (1 - drop) * base + ROUNDED * step
    if isinstance(endpoint, Relapse):
        return _relapse(endpoint, values, grid, np.asarray(limit), base, step)
    if endpoint.by is not None:
        met = (grid > endpoint.baseline + TOLERANCE_H) & (grid <= endpoint.by + TOLERANCE_H)
    else:
        assert endpoint.at is not None
        met = np.abs(grid - endpoint.at) <= TOLERANCE_H
    never = np.prod(1 - _under(values[:, met], limit, step), axis=1)
    return 100 * float(np.nanmean(1 - never))


def _under(scores: np.ndarray, limit: np.ndarray | float, step: float) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.asarray(1 / (1 + np.exp((scores - limit) / (WIDTH * step))))


def _relapse(
    endpoint: Relapse, values: np.ndarray, grid: np.ndarray, responding: np.ndarray, base: np.ndarray, step: float
) -> float:
    start = int(np.argmin(np.abs(grid - endpoint.at)))
    last = grid[-1] if endpoint.until is None else endpoint.until
    later = np.flatnonzero((grid > grid[start] + TOLERANCE_H) & (grid <= last + TOLERANCE_H))
    best = values[:, start : start + 1]
    weight = _under(best, responding, step)[:, 0]
    well = np.ones((len(values), len(later)))
    if endpoint.above is not None:
        well = well * _under(values[:, later], endpoint.above - step / 2, step)
    if endpoint.lost is not None:
        well = well * _under(values[:, later], best + endpoint.lost * np.maximum(base - best, 0.0), step)
    still = np.cumprod(well, axis=1)
    if endpoint.is_share:
        return 100 * float(np.sum(weight * still[:, -1]) / np.sum(weight))
    before = np.column_stack([np.ones(len(values)), still[:, :-1]])
    hours = np.sum((before - still) * grid[later], axis=1) + still[:, -1] * grid[later[-1]] - endpoint.baseline
    return float(np.sum(weight * hours) / np.sum(weight))

"""Shares of people as smooth functions of their scores: a fit goes downhill only where no single person makes a step."""

from __future__ import annotations

import numpy as np

from respine.trial import scales
from respine.trial.endpoints import Endpoint, baseline_values
from respine.trial.panel import TOLERANCE_H, Panel

KINDS = ("response", "remission", "relapse-free", "time-to-relapse")
WIDTH = 0.5  # of a step of the scale: over which yes becomes no
ROUNDED = 0.25  # of a step: whole points under a limit reach this much further on average


def share(endpoint: Endpoint, panel: Panel, arm: str) -> float:
    """What ``estimate`` gives for an endpoint of ``KINDS`` from scores that are not rounded: percent, or hours to relapse."""
    values, grid = panel.values[arm, endpoint.of], panel.times[endpoint.of]
    step = scales.load(endpoint.of).step or 1.0
    base = baseline_values(endpoint, panel, arm)[:, None]
    responding = (1 - endpoint.drop) * base + ROUNDED * step
    if endpoint.kind in ("relapse-free", "time-to-relapse"):
        return _relapse(endpoint, values, grid, responding, base, step)
    if endpoint.by is not None:
        seen = (grid > endpoint.begin + TOLERANCE_H) & (grid <= endpoint.by + TOLERANCE_H)
    else:
        assert endpoint.at is not None
        seen = np.abs(grid - endpoint.at) <= TOLERANCE_H
    limit = responding if endpoint.kind == "response" else float(endpoint.below or 0.0) + step / 2
    never = np.prod(1 - _under(values[:, seen], limit, step), axis=1)
    return 100 * float(np.nanmean(1 - never))


def _under(scores: np.ndarray, limit: np.ndarray | float, step: float) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.asarray(1 / (1 + np.exp((scores - limit) / (WIDTH * step))))


def _relapse(
    endpoint: Endpoint, values: np.ndarray, grid: np.ndarray, responding: np.ndarray, base: np.ndarray, step: float
) -> float:
    assert endpoint.at is not None
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
    if endpoint.above is None and endpoint.lost is None:
        well = well * _under(values[:, later], responding, step)
    still = np.cumprod(well, axis=1)
    if endpoint.kind == "relapse-free":
        return 100 * float(np.sum(weight * still[:, -1]) / np.sum(weight))
    before = np.column_stack([np.ones(len(values)), still[:, :-1]])
    hours = np.sum((before - still) * grid[later], axis=1) + still[:, -1] * grid[later[-1]] - endpoint.begin
    return float(np.sum(weight * hours) / np.sum(weight))

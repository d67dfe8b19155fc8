"""Means, spreads and analysis of covariance over people; NaN is who is not in the analysis."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

Sample = Mapping[str, tuple[np.ndarray, np.ndarray]]
"""Per arm the values of people and their baselines, ``(..., n)`` each; baselines are empty where nothing needs them."""


def mean(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis of who is known, ``(...)``; NaN where nobody is."""
    known = np.isfinite(values)
    count = known.sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(known, values, 0.0).sum(axis=-1) / np.where(count > 0, count, np.nan))


def means(sample: Sample) -> dict[str, np.ndarray]:
    """Mean of every arm, ``(...)``."""
    return {arm: mean(values) for arm, (values, _) in sample.items()}


def pooled_sd(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """SD within two groups together, ``(...)`` from ``(..., n)``."""
    squares, free = 0.0, 0.0
    for v in (a, b):
        squares = squares + np.nansum((v - mean(v)[..., None]) ** 2, axis=-1)
        free = free + np.isfinite(v).sum(axis=-1) - 1
    return np.asarray(np.sqrt(squares / free))


def adjusted_means(sample: Sample) -> dict[str, np.ndarray]:
    """Means at the baseline of all arms together, with the slope within arms (analysis of covariance), ``(...)`` each."""
    cross, square, total, count = (np.zeros(()) for _ in range(4))
    parts: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for arm, (values, base) in sample.items():
        known = np.isfinite(values) & np.isfinite(base)
        v, b = np.where(known, values, np.nan), np.where(known, base, np.nan)
        mv, mb = mean(v), mean(b)
        parts[arm] = (mv, mb)
        cross = cross + np.nansum((v - mv[..., None]) * (b - mb[..., None]), axis=-1)
        square = square + np.nansum((b - mb[..., None]) ** 2, axis=-1)
        n = known.sum(axis=-1)
        total, count = total + np.where(n > 0, n * np.nan_to_num(mb), 0.0), count + n
    with np.errstate(invalid="ignore", divide="ignore"):
        slope = np.where(np.asarray(square) > 0, cross / np.asarray(square), 0.0)
        grand = total / count
    return {arm: np.asarray(mv - slope * (mb - grand)) for arm, (mv, mb) in parts.items()}

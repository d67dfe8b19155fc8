"""An arm against another: differences, percents, effect sizes, ratios of shares."""

from __future__ import annotations

import numpy as np

from respine.study.endpoints import (
    Contrast,
    Difference,
    DifferenceInChange,
    EffectSize,
    PercentOfControl,
    PercentRestored,
    ShareContrast,
)
from respine.trial.endpoints.base import arm_means, at_visit, baseline_values, estimate, per_person
from respine.trial.endpoints.statistics import Sample, means, pooled_sd
from respine.trial.panel import Panel


@per_person.register
def value(endpoint: Difference | PercentOfControl | PercentRestored, panel: Panel, arm: str) -> np.ndarray:
    """The score, or the output, at the visit."""
    return at_visit(endpoint, panel, arm, endpoint.at)


@per_person.register
def change(endpoint: DifferenceInChange | EffectSize, panel: Panel, arm: str) -> np.ndarray:
    """The change from the baseline."""
    return at_visit(endpoint, panel, arm, endpoint.at) - baseline_values(endpoint, panel, arm)


@estimate.register
def difference(endpoint: Contrast, arm: str, sample: Sample) -> np.ndarray:
    """Mean less the mean of the other arm."""
    mean = arm_means(endpoint, sample)
    return mean[arm] - mean[endpoint.arm]


@estimate.register
def percent_of_control(endpoint: PercentOfControl, arm: str, sample: Sample) -> np.ndarray:
    """Mean in percent of the other arm's."""
    mean = means(sample)
    with np.errstate(invalid="ignore", divide="ignore"):
        return 100 * mean[arm] / mean[endpoint.arm]


@estimate.register
def percent_restored(endpoint: PercentRestored, arm: str, sample: Sample) -> np.ndarray:
    """What is undone of the distance from the healthy to the damaged arm, in percent."""
    mean = means(sample)
    damaged = mean[endpoint.arm]
    with np.errstate(invalid="ignore", divide="ignore"):
        return 100 * (mean[arm] - damaged) / (mean[endpoint.healthy] - damaged)


@estimate.register
def effect_size(endpoint: EffectSize, arm: str, sample: Sample) -> np.ndarray:
    """Difference of the mean changes over the SD within both arms (Cohen 1988)."""
    mean = means(sample)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (mean[arm] - mean[endpoint.arm]) / pooled_sd(sample[arm][0], sample[endpoint.arm][0])


@estimate.register
def share_contrast(endpoint: ShareContrast, arm: str, sample: Sample) -> np.ndarray:
    """Two shares against each other: percentage points, or a ratio that is NaN where nobody or everybody is counted."""
    mean = means(sample)
    share, other = mean[arm], mean[endpoint.arm]
    if endpoint.how == "difference":
        return np.asarray(100 * (share - other))
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = share / other if endpoint.how == "ratio" else share * (1 - other) / (other * (1 - share))
    return np.asarray(np.where(np.isfinite(ratio), ratio, np.nan))

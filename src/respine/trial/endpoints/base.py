"""From scores to one value a person, and from these to one number an arm: what every kind of endpoint answers."""

from __future__ import annotations

from functools import singledispatch

import numpy as np

from respine.study.endpoints import Endpoint
from respine.trial.endpoints.missing import analysed
from respine.trial.endpoints.statistics import Sample, adjusted_means, means
from respine.trial.panel import Panel

EDGE = 1e-9  # of a score: what rounding may leave of a threshold that is met exactly


@singledispatch
def per_person(endpoint: Endpoint, panel: Panel, arm: str) -> np.ndarray:
    """One value a subject, ``(n_subjects,)``: a score, a change, 0 or 1; NaN for who is not in the analysis."""
    raise TypeError(f"respine has no statistic for {type(endpoint).__name__}")


@singledispatch
def estimate(endpoint: Endpoint, arm: str, sample: Sample) -> np.ndarray:
    """The endpoint of an arm from samples of people, ``(..., n)`` per arm; result ``(...)`` in the unit of the endpoint.

    The mean of the people, adjusted for baseline where the endpoint says so, in percent for a share.
    """
    mean = arm_means(endpoint, sample)[arm]
    return 100 * mean if endpoint.is_share else mean


def arm_means(endpoint: Endpoint, sample: Sample) -> dict[str, np.ndarray]:
    """Mean of every arm of a sample, adjusted for baseline where the endpoint says so."""
    return adjusted_means(sample) if is_adjusted(endpoint) else means(sample)


def is_adjusted(endpoint: Endpoint) -> bool:
    """Whether group means are adjusted for baseline."""
    return endpoint.adjusts


def at_visit(endpoint: Endpoint, panel: Panel, arm: str, time: float) -> np.ndarray:
    """Each subject's value at a visit, NaN where there is none."""
    index = panel.column(endpoint.of, time)
    values = panel.values[arm, endpoint.of]
    return values[:, index] if index is not None else np.full(len(values), np.nan)


def baseline_values(endpoint: Endpoint, panel: Panel, arm: str) -> np.ndarray:
    """Each subject's value at the endpoint's baseline, NaN where there is none."""
    return at_visit(endpoint, panel, arm, endpoint.baseline)


def arms_needed(endpoint: Endpoint, arm: str, all_arms: list[str]) -> list[str]:
    """Arms whose people an endpoint of ``arm`` is computed from; all of them for a baseline-adjusted mean."""
    return list(dict.fromkeys([arm, *endpoint.reference_arms, *(all_arms if is_adjusted(endpoint) else [])]))


def sample_of(endpoint: Endpoint, panel: Panel, arms: list[str]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Per arm the values and baselines of all its people, ``(n_subjects,)`` each, as the endpoint's analysis sees them."""
    nothing, panel = np.zeros(0), analysed(endpoint, panel, arms)
    return {
        arm: (
            per_person(endpoint, panel, arm),
            baseline_values(endpoint, panel, arm) if is_adjusted(endpoint) else nothing,
        )
        for arm in arms
        if (arm, endpoint.of) in panel.values
    }


def why_not(endpoint: Endpoint, panel: Panel, arm: str) -> str:
    """Why an endpoint cannot be computed in an arm, for people; empty where it can."""
    for name in (arm, *endpoint.reference_arms):
        if (name, endpoint.of) not in panel.values:
            return f"{endpoint.of} is not observed in arm {name}"
    missing = [t for t in endpoint.ratings if panel.column(endpoint.of, t) is None]
    return f"{endpoint.of} is not observed at {missing[0]:g} h: add the time to visits" if missing else ""

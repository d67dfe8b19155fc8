"""Scores of trials by estimand: what becomes of the scores after a discontinuation, rescue or relapse (ICH E9(R1))."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from respine.errors import InputError, argument
from respine.files.suggest import nearest
from respine.study.trial_form import EVENTS, TrialEstimand
from respine.trial.replicates.trials import Trials, form_of


@dataclass(frozen=True)
class Scored:
    """Scores ``values`` (R, n, V) as an analysis takes them, NaN where missing; ``failed`` (R, n): who counts as a non-responder
    for good because of an event (composite strategy)."""

    values: np.ndarray
    failed: np.ndarray


def named(trials: Trials, name: str | None) -> TrialEstimand:
    """An estimand of the study by name; the first one, or treatment policy, without a name. Raises InputError."""
    own = {estimand.name: estimand for estimand in form_of(trials.protocol.study).estimands}
    if name is None:
        return next(iter(own.values()), TrialEstimand.model_validate({"name": "treatment-policy"}))
    if name in own:
        return own[name]
    plain = ("treatment-policy", "hypothetical", "composite", "while-on-treatment")
    if name in plain:
        return TrialEstimand.model_validate({"name": name} | dict.fromkeys(EVENTS, name))
    known = [*own, *plain]
    raise InputError(argument("estimand", name, "The study has no estimand of this name.", nearest(name, known)))


def scored(trials: Trials, scale: str, estimand: TrialEstimand, *, everybody: bool = False) -> Scored:
    """Scores of a scale by an estimand. With ``everybody`` those that no trial sees, after dropout, are there as well: the truth
    that the estimand asks for."""
    values = np.array(trials.scores[scale] if everybody else trials.observed(scale))
    failed = np.zeros(values.shape[:2], bool)
    for kind in EVENTS:
        time, strategy = trials.events[kind], getattr(estimand, kind)
        if not np.isfinite(time).any() or strategy == "treatment-policy":
            continue
        after = trials.times[None, None, :] > time[:, :, None]
        if strategy == "composite":
            failed |= np.isfinite(time)
        elif strategy == "hypothetical":
            values[after] = np.nan
        else:
            values = _held(values, after)
    return Scored(values, failed)


def _held(values: np.ndarray, after: np.ndarray) -> np.ndarray:
    """The last score before an event in place of those after it."""
    result = values.copy()
    for v in range(1, values.shape[2]):
        result[:, :, v] = np.where(after[:, :, v], result[:, :, v - 1], values[:, :, v])
    return result


def refuse_composite(estimand: TrialEstimand, outcome: str) -> None:
    """Raise InputError for a mean score under a strategy that makes an event a failure."""
    composite = [kind for kind in EVENTS if getattr(estimand, kind) == "composite"]
    if composite and outcome not in ("response", "remission"):
        why = f"The estimand counts {composite[0]} as a failure, and a mean score has no failures."
        raise InputError(argument("estimand", estimand.name, why, "Take a response or remission, or another strategy."))


def truth(trials: Trials, scale: str, arm: str, against: str, column: int, **of: Any) -> float:
    """Mean difference in change between two arms over all trials, with the scores of everybody: the value of an estimand."""
    values = scored(trials, scale, named(trials, of.get("estimand")), everybody=True).values
    change = values[:, :, column] - values[:, :, 0]
    mean = [np.nanmean(change[trials.arm == trials.arms.index(name)]) for name in (arm, against)]
    return float(mean[0] - mean[1])

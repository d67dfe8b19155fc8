"""What one trial has of its own: numbers of expectancy as its parameter draw has them, its setting, the size of its effects.

A parameter draw is a trial: how much people gain from care, raters and hope, and how much treatments do, differs between
trials beyond what the model explains, alike in all arms of one. A study that stands for k trials (a pool) has the mean of k.
Small trials report larger effects than large ones (Dechartres 2013): ``small_study`` per 1/sqrt(people of an arm).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from respine import population
from respine.files.constants import Z90
from respine.population import Posterior
from respine.population.posterior import name_of
from respine.protocol import Protocol
from respine.study import expectancy
from respine.study.endpoints import Endpoint
from respine.study.expectancy import Expectancy
from respine.study.scales import Scale, is_scale
from respine.study.schema import Study

FILE = "scales/_expectancy"
LARGE_ARM = 100  # people: a trial of this size has the effect as the model has it
LEAST_ARM = 8  # smaller ones are not thought to exaggerate further


def drawn(protocol: Protocol, draw: np.ndarray) -> Expectancy:
    """Expectancy as it is in each subject's parameter draw ``draw`` (n_subjects,), ``(n_subjects, 1)`` each.

    With the protocol's posterior a draw takes its row of it, else each number its own place in its 90 % range. ``setting``
    and ``effect`` are among the numbers.
    """
    model, study = protocol.expectancy, protocol.study
    n_draws = int(draw.max()) + 1
    rows = protocol.posterior.rows(study.seed, n_draws) if protocol.posterior is not None else None

    def drawn_value(name: str, value: float) -> Any:
        if name not in model.ranges:
            return value
        low, high = model.ranges[name]
        if protocol.posterior is not None and rows is not None:
            column = protocol.posterior.column(FILE, name, (value, low, high))
            if column is not None:
                return column[rows][draw][:, None]
        z = population.normals(study.seed, f"typical:expectancy {name}", 0, n_draws, 1)[:, 0]
        return in_range(name, value, low, high, z)[draw][:, None]

    numbers = {name: drawn_value(name, value) for name, value in model.numbers.items()}
    beliefs = {
        kind: {name: drawn_value(f"belief.{kind}.{name}", value) for name, value in block.items()}
        for kind, block in model.belief.items()
    }
    own = {}
    for name, purpose in (("setting", "setting of the trial"), ("effect", "effect in the trial")):
        z = population.normals(study.seed, purpose, 0, n_draws, study.pooled_trials)[draw]
        own[name] = np.exp(np.asarray(numbers.get(f"{name}_sd", 0.0)) * z).mean(axis=1, keepdims=True)
    own["effect"] = own["effect"] * exaggeration(study, numbers)
    return replace(model, numbers={**numbers, **own}, belief=beliefs)


def exaggeration(study: Study, numbers: Mapping[str, Any]) -> Any:
    """By what factor a trial of this size finds larger effects than one of 100 people an arm; 1 where no size is told."""
    sizes = [arm.n_published for arm in study.arms.values() if arm.n_published]
    if not sizes or "small_study" not in numbers:
        return 1.0
    people = max(float(np.mean(sizes)) / study.pooled_trials, LEAST_ARM)
    return np.exp(numbers["small_study"] * (people**-0.5 - LARGE_ARM**-0.5))


def laboratory_factors(study: Study, endpoint: Endpoint, trials: int) -> np.ndarray | None:
    """By what factor laboratories find larger departures from no change, ``(trials,)``; None for endpoints of a scale.

    What is read off tissue without a rater differs between laboratories by more than the animals of a group do: of 440 animal
    experiments a single laboratory's bar held the size of the effect less than half of the time (Voelkl 2018). A pool of k
    laboratories has the mean of k.
    """
    model = expectancy.load(study.library)
    if "laboratory_sd" not in model.numbers or is_scale(study.library, endpoint.of):
        return None
    value = model.numbers["laboratory_sd"]
    low, high = model.ranges.get("laboratory_sd", (value, value))
    belief = population.normals(study.seed, "spread between laboratories", 0, trials, 1)[:, 0]
    spread = in_range("laboratory_sd", value, low, high, belief) if low < high else np.full(trials, value)
    z = population.normals(study.seed, f"laboratory of {endpoint.of}", 0, trials, study.pooled_trials)
    return np.asarray(np.exp(spread[:, None] * z).mean(axis=1))


def in_range(name: str, value: float, low: float, high: float, z: np.ndarray) -> np.ndarray:
    """Values of a number of expectancy for standard normal ``z``: logit for beliefs, log for all others."""
    share = name.startswith("belief") and name != "belief_felt_half"
    if share and high < 1:
        middle, low, high = (np.log(x / (1 - x)) for x in (value, low, high))
        return np.asarray(1 / (1 + np.exp(-(middle + np.where(z < 0, middle - low, high - middle) * z / Z90))))
    middle, low, high = np.log(value), np.log(low), np.log(high)
    values = np.exp(middle + np.where(z < 0, middle - low, high - middle) * z / Z90)
    return np.asarray(np.minimum(values, 1.0) if share else values)


def drawn_scale(scale: Scale, seed: int, posterior: Posterior | None, draw: np.ndarray) -> Scale:
    """The scale with the numbers that the posterior holds as each subject's draw has them, ``(n_subjects, 1)``."""
    if posterior is None or not len(draw):
        return scale
    rows = posterior.rows(seed, int(draw.max()) + 1)[draw]
    own = {}
    for name, value in scale.numbers.items():
        if name_of(f"scales/{scale.name}", name) in posterior.values:
            entry = scale.sources.get(name, {})
            now = (value, float(entry.get("low", value)), float(entry.get("high", value)))
            column = posterior.column(f"scales/{scale.name}", name, now)
            if column is not None:
                own[name] = column[rows][:, None]
    return replace(scale, numbers={**scale.numbers, **own}) if own else scale


def regression(
    study: Study, scale: Scale, subjects: np.ndarray, times: np.ndarray, baseline: np.ndarray,
    numbers: Mapping[str, Any] | None,
) -> Any:  # fmt: skip
    """What people fall back from after entry, ``(n_subjects, n_times)`` in points: nothing at the first of ``times``.

    The fluctuation of a person stands at entry where its stationary law has it, above its mean by ``entry_deviation`` SD
    since people come on a bad day, and returns with its time constant. A rater's score at entry is raised by
    ``entry_inflation`` of itself. The published score at entry, ``baseline`` (n_subjects,), holds both.
    """
    if numbers is None or scale.rule != "severity" or "entry_deviation" not in numbers:
        return 0.0
    person = population.normals_of(study.seed, "deviation at entry", subjects)
    since = np.asarray(times, float)[None, :] - times[0]
    back = np.expm1(-since / scale.number("fluctuation_time"))
    inflated = numbers["entry_inflation"] * baseline[:, None] * (since > 0)
    return scale.number("fluctuation_sd") * (numbers["entry_deviation"] + person) * back - inflated


def begins_antidepressant(study: Study, planned: Sequence[Any], model: Expectancy) -> bool:
    """Whether people openly begin an antidepressant beside the treatment of their arm at the baseline or later."""
    if study.care.new_antidepressant is not None:
        return study.care.new_antidepressant
    return any(
        dose.why == "co-medication"
        and dose.dose.drug in model.antidepressants
        and min(dose.times) >= study.start - 24.0
        for dose in planned
        if len(dose.times)
    )

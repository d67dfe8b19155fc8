"""From trajectories to the scores of an arm: what raters and monitors would have written down at each visit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from respine import population
from respine.engine import Solution
from respine.errors import InputError, Problem
from respine.files.constants import SAME_MOMENT_H
from respine.population import People
from respine.protocol import Arm, Given, Protocol
from respine.protocol.output_times import rating_times
from respine.protocol.protocol import FELT
from respine.study.endpoints import Extreme
from respine.study.expectancy import Expectancy
from respine.study.scales import Scale
from respine.study.schema import Study
from respine.trial import expectancy
from respine.trial.setting import drawn, drawn_scale, regression

SEVERITY_FLOOR = 0.1  # of a scale whose file gives none
COLUMNS = ("subject", "arm", "time_h", "scale", "value", "true_value")


def observed_scales(protocol: Protocol) -> list[str]:
    """Library names of the scales a study observes or has endpoints on, in the order of the file."""
    study = protocol.study
    wanted = [*study.observe, *(e.of for e in study.endpoints if protocol.is_scale(e.of))]
    return list(dict.fromkeys(protocol.scale(name).name for name in wanted))


def observed_outputs(protocol: Protocol) -> list[str]:
    """Model outputs that endpoints read directly, without a scale."""
    return list(dict.fromkeys(e.of for e in protocol.study.endpoints if not protocol.is_scale(e.of)))


def required_outputs(protocol: Protocol) -> list[str]:
    """Model outputs that observing this study takes. Raises InputError for one the model does not compute."""
    study, known = protocol.study, protocol.symbols
    chosen = [protocol.scale(name) for name in observed_scales(protocol)]
    outputs = [*(s.output for s in chosen), *observed_outputs(protocol), *study.record]
    felt = protocol.scale(FELT).output
    if any(s.rule == "severity" for s in chosen) and felt in known:
        outputs.append(felt)
    missing = [name for name in dict.fromkeys(outputs) if name not in known]
    if missing:
        where, field = str(study.file or study.origin.where), "observe, record or endpoints"
        why, cure = "The model computes nothing of this name.", "Take a name that `respine model show` lists."
        raise InputError(*(Problem(where, field, name, why, cure) for name in missing))
    return list(dict.fromkeys(outputs))


@dataclass(frozen=True)
class Scores:
    """One scale, or one model output that endpoints read, of some people: ``value`` as written down and ``true`` without
    fluctuation and error, ``(n_people, n_times)`` each, at ``times`` (hours).
    """

    scale: str
    times: np.ndarray
    value: np.ndarray
    true: np.ndarray


def scores(arm: Arm, people: People, solution: Solution, given: Sequence[Given] = ()) -> list[Scores]:
    """All that is observed in one arm, as arrays; people whose simulation failed are in them and mean nothing.

    ``given``: the doses that rules of the study gave.
    """
    protocol, study = arm.protocol, arm.protocol.study
    subjects, times = people.covariates["subject"].to_numpy(np.int64), rating_times(study)
    grid = np.asarray(solution.times)
    scores = []
    own = drawn(protocol, people.draw) if len(people) else protocol.expectancy
    for scale, true in scores_at(arm, people, solution, times, observed_scales(protocol), given, own):
        noise = residual(study, scale, arm.name, subjects, times)
        if scale.rule == "severity":
            entry = baseline_scores(study, scale, people, subjects)
            noise = noise + regression(study, scale, subjects, times, entry, own.numbers)
        scores.append(Scores(scale.name, times, scale.printed(true + noise), np.clip(true, scale.low, scale.high)))
    at = positions(grid, times)
    for name in observed_outputs(protocol):
        index = _output_times(study, name, grid, at)
        values = solution.values[:, index, list(solution.outputs).index(name)]
        scores.append(Scores(name, grid[index], values, values))
    return scores


def observe(arm: Arm, people: People, solution: Solution, given: Sequence[Given] = ()) -> pd.DataFrame:
    """Scores of one arm, one row a subject, time and scale: ``subject, arm, time_h, scale, value, true_value``.

    ``value`` is what is written down (fluctuation of the person, rater's error, whole steps, inside the range);
    ``true_value`` the same without these. Model outputs that endpoints read are rows too, without error. A subject
    whose simulation failed has no row at all: nothing is filled in, and the failure is counted and named elsewhere.
    ``given``: the doses that rules of the study gave.
    """
    subjects, ok = people.covariates["subject"].to_numpy(np.int64), np.asarray(solution.status) == 0
    frames = [_rows(subjects, arm.name, score, ok) for score in scores(arm, people, solution, given)]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=list(COLUMNS))


def scores_at(
    arm: Arm, people: People, solution: Solution, times: np.ndarray, chosen: Sequence[str],
    given: Sequence[Given] = (), own: Expectancy | None = None,
) -> Iterator[tuple[Scale, np.ndarray]]:  # fmt: skip
    """Each of the ``chosen`` scales with its scores without error, ``(n_subjects, n_times)``; the first of the times is
    the baseline. Scale and ``own`` expectancy are those of each subject's parameter draw.
    """
    study = arm.protocol.study
    own = own or (drawn(arm.protocol, people.draw) if len(people) else arm.protocol.expectancy)
    names, at = list(solution.outputs), positions(np.asarray(solution.times), times)
    subjects = people.covariates["subject"].to_numpy(np.int64)
    strength = None  # of expectancy; computed once, for the first symptom scale
    for name in chosen:
        scale = drawn_scale(arm.protocol.scale(name), study.seed, arm.protocol.posterior, people.draw)
        series = solution.values[:, :, names.index(scale.output)]
        if scale.rule != "severity":
            yield scale, true_scores(study, scale, people, subjects, series[:, at], None)
            continue
        if strength is None:
            felt = _felt(arm.protocol, people, names, solution, at)
            strength = expectancy.strength(arm, subjects, times, felt, model=own, given=given)
        output = with_effect(series[:, at], own.numbers.get("effect", 1.0))
        yield scale, true_scores(study, scale, people, subjects, output, strength)


def with_effect(output: np.ndarray, effect: Any) -> np.ndarray:
    """The output with its changes since the first time counted ``effect`` times: what the trial finds of them."""
    return np.asarray(output[:, :1] + (output - output[:, :1]) * effect)


def true_scores(
    study: Study, scale: Scale, people: People, subjects: np.ndarray, output: np.ndarray, gain: np.ndarray | None
) -> np.ndarray:
    """Scores without error, ``(n_subjects, n_times)`` in the scale's unit; ``output`` the same shape, first column
    the baseline.
    """
    if scale.rule == "level":
        return (
            scale.number("background", 0.0)
            + scale.number("gain") * sensitivity(study, scale, subjects)[:, None] * output
        )
    baseline = baseline_scores(study, scale, people, subjects)[:, None]
    first = output[:, :1]
    if scale.rule == "rise":
        return np.asarray(baseline + scale.number("gain") * (output - first))
    healthy = scale.number("output_healthy", 0.0)
    # divided by the distance from health, but not by next to nothing (see severity_floor in the scale file)
    distance = np.maximum(np.abs(first - healthy), scale.number("severity_floor", SEVERITY_FLOOR))
    severity = np.maximum(
        1.0 + (output - first) * np.sign(np.where(first == healthy, 1.0, first - healthy)) / distance, 0.0
    )
    if gain is not None:
        severity = severity * np.exp(-gain)  # on what the biology leaves: never beyond healthy
    floor = np.minimum(scale.number("healthy"), baseline)
    return np.asarray(floor + (baseline - floor) * severity ** scale.number("power"))


def baseline_scores(study: Study, scale: Scale, people: People, subjects: np.ndarray) -> np.ndarray:
    """Each person's score at the first visit: the population's, converted from another scale's, or the scale file's."""
    own = _covariate(people, scale.name)
    if own is None:
        own = next((covariate for alias in scale.aliases if (covariate := _covariate(people, alias)) is not None), None)
    if own is None and scale.conversion is not None:
        other = _covariate(people, scale.conversion.scale)
        own = None if other is None else scale.conversion(other)
    if own is None and "baseline_mean" in scale.numbers:
        mean, cv = scale.number("baseline_mean"), scale.number("baseline_cv", 0.0)
        variance = np.log1p(cv**2)
        normal = _per_person(study, f"baseline {scale.name}", subjects)
        own = mean * np.exp(np.sqrt(variance) * normal - variance / 2)
    if own is None:
        cure = f"Add baseline_{scale.name} to the population, or observe another scale."
        why = "Nothing says how ill these people are on this scale at the first visit."
        raise InputError(Problem(str(study.file or study.name), "observe", scale.name, why, cure))
    return np.clip(own, scale.low, scale.high)


def sensitivity(study: Study, scale: Scale, subjects: np.ndarray) -> np.ndarray:
    """How strongly each person shows an effect, mean 1, log-normal, the same in every arm."""
    variance = np.ravel(np.log1p(scale.number("sensitivity_cv") ** 2))
    return np.asarray(
        np.exp(np.sqrt(variance) * _per_person(study, f"sensitivity {scale.name}", subjects) - variance / 2)
    )


def residual(study: Study, scale: Scale, arm: str, subjects: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Fluctuation of the person since the first visit plus rater's error, ``(n_subjects, n_times)``.

    The fluctuation starts at zero, since the population gives the scores at entry, and approaches its SD with
    ``fluctuation_time`` (an Ornstein-Uhlenbeck process). The purposes of the random numbers carry the arm: a person is
    the same in every arm, the days and the rater are not.
    """
    state, rater = deviations(study, scale, arm, subjects, times)
    return np.asarray(scale.number("fluctuation_sd") * state + scale.number("rater_sd") * rater)


def deviations(
    study: Study, scale: Scale, arm: str, subjects: np.ndarray, times: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """How far the person and the rater are off at the ratings, in SD of each, ``(n_subjects, n_times)``."""
    day_purpose, rater_purpose = purposes(scale, arm)
    day = population.normals_of(study.seed, day_purpose, subjects, len(times))
    rater = population.normals_of(study.seed, rater_purpose, subjects, len(times))
    keep = np.exp(-np.diff(times, prepend=times[0]) / scale.number("fluctuation_time"))
    state = np.zeros_like(day)
    for j, r in enumerate(keep):
        state[:, j] = (r * state[:, j - 1] if j else 0.0) + np.sqrt(1.0 - r * r) * day[:, j]
    return state, rater


def purposes(scale: Scale, arm: str) -> tuple[str, str]:
    """Names of the random numbers of the person's days and of the rater."""
    # symptom scales share one fluctuation: it is the person who has a bad week, not the form
    symptom = "symptoms" if scale.rule == "severity" else scale.name
    return f"fluctuation {symptom} {arm}", f"rating {scale.name} {arm}"


def hardly_ill(symptom: np.ndarray, scale: Scale, floors: float = 1.0) -> np.ndarray:
    """Who is hardly ill in the model: a ``symptom`` under ``floors`` times the scale's floor, same shape; NaN is not."""
    return np.asarray(symptom < floors * scale.number("severity_floor", SEVERITY_FLOOR))


def count_hardly_ill(protocol: Protocol, solution: Solution) -> int | None:
    """How many people are hardly ill at the first visit, below the scale's floor; None without a symptom scale."""
    chosen = [protocol.scale(name) for name in observed_scales(protocol)]
    ill = next((s for s in chosen if s.rule == "severity"), None)
    if ill is None:
        return None
    at = positions(np.asarray(solution.times), np.array([protocol.study.start]))
    first = solution.values[:, at[0], list(solution.outputs).index(ill.output)]
    return int(hardly_ill(first, ill).sum())


def _felt(
    protocol: Protocol, people: People, names: list[str], solution: Solution, at: np.ndarray
) -> np.ndarray | None:
    """Strongest drug effect felt up to each rating, CADSS points, from the fine time grid."""
    scale = drawn_scale(protocol.scale(FELT), protocol.study.seed, protocol.posterior, people.draw)
    if scale.output not in names:
        return None
    subjects = people.covariates["subject"].to_numpy(np.int64)
    return strongest_felt(protocol.study, scale, subjects, solution.values[:, :, names.index(scale.output)])[:, at]


def strongest_felt(study: Study, scale: Scale, subjects: np.ndarray, output: np.ndarray) -> np.ndarray:
    """Strongest drug effect felt up to each time of a fine grid, in points of ``scale``, ``(n_subjects, n_times)``."""
    points = scale.number("gain") * sensitivity(study, scale, subjects)[:, None] * np.nan_to_num(output)
    return np.asarray(np.maximum.accumulate(points, axis=1))


def _output_times(study: Study, name: str, grid: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Positions in the grid at which a model output is kept: the ratings, and all of a window that is searched."""
    chosen = set(at.tolist())
    for endpoint in study.endpoints:
        if isinstance(endpoint, Extreme) and endpoint.of == name:
            low = study.start if endpoint.begin is None else endpoint.begin
            high = grid[-1] if endpoint.until is None else endpoint.until
            chosen |= set(np.flatnonzero((grid >= low - 1e-9) & (grid <= high + 1e-9)).tolist())
    return np.array(sorted(chosen))


def positions(grid: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Where ``times`` stand in a grid of hours. Raises ValueError for one that is not in it."""
    index = np.clip(np.searchsorted(grid, times - 1e-9), 0, len(grid) - 1)
    if np.any(np.abs(grid[index] - times) > SAME_MOMENT_H):
        missing = times[np.abs(grid[index] - times) > SAME_MOMENT_H]
        raise ValueError(f"the trajectories do not hold the rating times {missing.tolist()} h")
    return np.asarray(index)


def _per_person(study: Study, purpose: str, subjects: np.ndarray) -> np.ndarray:
    return np.asarray(population.normals_of(study.seed, purpose, subjects)[:, 0])


def _covariate(people: People, scale: str) -> np.ndarray | None:
    wanted = _plain(f"baseline_{scale}")
    for column in people.covariates.columns:
        if _plain(str(column)) == wanted:
            return people.covariates[column].to_numpy(float)
    return None


def _plain(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())


def _rows(subjects: np.ndarray, arm: str, scores: Scores, ok: np.ndarray) -> pd.DataFrame:
    n, m = scores.value.shape
    frame = pd.DataFrame({
        "subject": np.repeat(subjects, m), "arm": arm, "time_h": np.tile(scores.times, n), "scale": scores.scale,
        "value": scores.value.ravel(), "true_value": scores.true.ravel(),
    })  # fmt: skip
    return frame[np.repeat(ok, m)]

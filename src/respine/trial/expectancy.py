"""Expectancy: what a person gains from believing to be treated. It stands outside the biology and multiplies what it
leaves.

``severity = biology * exp(-strength)`` with ``strength(t) = setting * person * (belief * (acute + sustained) + hope * course
+ care + natural)``; numbers and their sources are in ``library/scales/_expectancy.yaml``. Drug and expectancy together
therefore never pass below healthy. Care and the natural course of an episode are there whatever people believe; ``hope`` is
belief, or certainty where everybody openly begins a new antidepressant.

In a run the numbers are uncertain like the typical values of the model, and every trial has a setting of its own
(``trial/setting.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from respine import population
from respine.protocol import Arm, Given
from respine.study.expectancy import Expectancy
from respine.study.schema import Study
from respine.trial.setting import begins_antidepressant


def strength(
    arm: Arm, subjects: np.ndarray, times: np.ndarray, felt: np.ndarray | None, *,
    model: Expectancy | None = None, given: Sequence[Given] = (), traits: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """Strength of expectancy, ``(n_subjects, n_times)``, dimensionless, 0 before the first visit.

    ``times`` are hours; ``felt``, ``(n_subjects, n_times)``, is the strongest drug effect a person has felt so far, in
    CADSS points, or None where the study does not compute it. The person's trait is the same in every arm. ``model``
    stands in for the library's numbers (``setting.drawn``: each parameter draw its own); ``given`` are the doses that rules
    of the study gave; ``traits`` (n_subjects,), standard normal, stand in for the people's own.
    """
    return strength_and_belief(arm, subjects, times, felt, model=model, given=given, traits=traits)[0]


def strength_and_belief(
    arm: Arm, subjects: np.ndarray, times: np.ndarray, felt: np.ndarray | None, *,
    model: Expectancy | None = None, given: Sequence[Given] = (), traits: np.ndarray | None = None,
) -> tuple[np.ndarray, Any]:  # fmt: skip
    """``strength``, and the belief in having got the drug, 0-1, of a shape that broadcasts to ``(n_subjects, n_times)``."""
    study = arm.protocol.study
    model = model or arm.protocol.expectancy
    number = model.numbers
    belief = _belief(arm, model, felt if study.expectancy == "full" else None)
    if study.expectancy == "none":
        return np.zeros((len(subjects), len(times))), belief
    normal = traits
    if normal is None:
        normal = population.normals_of(study.seed, "expectancy of the person", subjects)[:, 0]
    variance = np.log1p(number["person_cv"] ** 2)
    person = np.exp(np.sqrt(variance) * normal[:, None] - variance / 2)

    since_start = np.maximum(times - study.start, 0.0)
    course = number["course"] * -np.expm1(-since_start / number["course_time"])
    since = _since_last(times, procedure_times(arm, model))[None, :]
    for dose in given:
        if dose.dose.route in model.procedure_routes:
            since = np.fmin(since, _since(times, dose.time))
    acute = number["acute"] * -np.expm1(-since / number["acute_onset"]) * np.exp(-since / number["acute_time"])
    sustained = (
        number["sustained"] * -np.expm1(-since / number["acute_onset"]) * np.exp(-since / number["sustained_time"])
    )
    procedure = np.where(np.isfinite(since), acute + sustained, 0.0)
    hope = belief
    if begins_antidepressant(study, arm.planned, model):
        hope = np.maximum(belief, next(iter(model.belief.get("open-label", {}).values()), 1.0))
    gained = belief * procedure + hope * course + _unasked(study, number, since_start)
    return np.asarray(person * number.get("setting", 1.0) * gained), belief


def _unasked(study: Study, number: Mapping[str, Any], since_start: np.ndarray) -> Any:
    """What comes whatever people believe: care (a ward, more contacts than one a week) and the natural course."""
    change: Any = np.zeros_like(since_start)
    if "natural" in number:
        change = change + number["natural"] * -np.expm1(-since_start / number["natural_time"])
    if study.care.admission and "care_admission" in number:
        change = change + number["care_admission"] * -np.expm1(-since_start / number["care_admission_time"])
    more = max(study.care.visits_per_week - 1.0, 0.0)
    if more and "care_visits" in number:
        change = change + number["care_visits"] * more * -np.expm1(-since_start / number["course_time"])
    return change


def procedure_times(arm: Arm, model: Expectancy | None = None) -> np.ndarray:
    """Times (hours, sorted) at which people of an arm undergo a supervised treatment, real or sham.

    A masked control that lists no treatment of its own is treated when the first treated arm is.
    """
    model = model or arm.protocol.expectancy
    own = _own_procedures(arm, model)
    control = arm.asked.control
    by_rule = any(dose.dose.route in model.procedure_routes for dose in arm.possible)
    if not own and not by_rule and control is not None and control.kind in ("inactive-placebo", "active-placebo"):
        for other in arm.protocol.arms.values():
            own = own or _own_procedures(other, model)
    return np.unique(np.asarray(own, float))


def _own_procedures(arm: Arm, model: Expectancy) -> list[float]:
    doses = [
        t
        for dose in arm.planned
        if dose.why == "scheduled" and dose.dose.route in model.procedure_routes
        for t in dose.times
    ]
    exposures = [
        t for exposure in arm.exposures if exposure.asked.exposure in model.procedure_exposures for t in exposure.times
    ]
    return [*doses, *exposures]


def _since_last(times: np.ndarray, events: np.ndarray) -> np.ndarray:
    """Hours since the last event before each time (a rating at the time of a dose precedes it); inf if none."""
    if not len(events):
        return np.full(len(times), np.inf)
    index = np.searchsorted(events, times, side="left") - 1
    return np.where(index >= 0, times - events[np.maximum(index, 0)], np.inf)


def _since(times: np.ndarray, event: np.ndarray) -> np.ndarray:
    """Hours since each person's own event before each time, ``(n_people, n_times)``; inf if there is none."""
    since = times[None, :] - event[:, None]
    return np.where(since > 0, since, np.inf)


def _belief(arm: Arm, model: Expectancy, felt: np.ndarray | None) -> Any:
    """Belief in being treated, 0-1: of the kind of control, or for a blinded drug arm rising with what is felt."""
    control = arm.asked.control
    treated = bool(arm.asked.doses or arm.possible) or any(
        e.exposure in model.treatment_exposures for e in arm.asked.exposures
    )
    kind = control.kind if control is not None else None
    if kind is None and arm.protocol.study.design == "single-arm" and treated:
        kind = "open-label"  # without a second arm nobody can be in doubt
    if kind is not None:
        table = model.belief.get(kind, {})  # kind "none": nothing is given that could be believed in
        unblinding = control.unblinding if control is not None else "none"
        return table.get(unblinding, next(iter(table.values()), 0.0))
    if not treated:
        return 0.0
    prior = model.numbers["belief_blinded"]
    if felt is None:
        return prior
    felt = np.nan_to_num(np.maximum(felt, 0.0))
    return np.asarray(prior + (1.0 - prior) * felt / (felt + model.numbers["belief_felt_half"]))

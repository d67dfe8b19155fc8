"""Expectancy: what a person gains from believing to be treated. It stands outside the biology and multiplies what it
leaves.

``severity = biology * exp(-strength)`` with ``strength(t) = person * belief * (acute + sustained + course)``; numbers
and their sources are in ``library/scales/_expectancy.yaml``. Drug and expectancy together therefore never pass below
healthy.

In a run the numbers are as uncertain as their 90 % ranges say, like the typical values of the model: each parameter draw has
its own. A draw is also a trial of its own: how much people gain from care, raters and hope differs between trials beyond what
the kind of control explains (``setting_sd``), alike for all arms of a trial.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from respine import population
from respine.files.constants import Z90
from respine.protocol import Arm, Given
from respine.study.expectancy import Expectancy


def drawn(model: Expectancy, seed: int, draw: np.ndarray) -> Expectancy:
    """The numbers as they are in each subject's parameter draw ``draw`` (n_subjects,), ``(n_subjects, 1)`` each."""

    def one(name: str, value: float) -> Any:
        if name not in model.ranges:
            return value
        low, high = model.ranges[name]
        z = population.normals(seed, f"typical:expectancy {name}", 0, int(draw.max()) + 1, 1)[:, 0]
        share = name.startswith("belief") and name != "belief_felt_half"
        if share and high < 1:
            middle, low, high = (np.log(x / (1 - x)) for x in (value, low, high))
            found = 1 / (1 + np.exp(-(middle + np.where(z < 0, middle - low, high - middle) * z / Z90)))
        else:
            middle, low, high = np.log(value), np.log(low), np.log(high)
            found = np.exp(middle + np.where(z < 0, middle - low, high - middle) * z / Z90)
            found = np.minimum(found, 1.0) if share else found
        return found[draw][:, None]

    numbers = {name: one(name, value) for name, value in model.numbers.items()}
    beliefs = {
        kind: {name: one(f"belief.{kind}.{name}", value) for name, value in block.items()}
        for kind, block in model.belief.items()
    }
    spread = model.numbers.get("setting_sd", 0.0)
    setting = population.normals(seed, "setting of the trial", 0, int(draw.max()) + 1, 1)[:, 0]
    numbers["setting"] = np.exp(spread * setting - spread**2 / 2)[draw][:, None]
    return replace(model, numbers=numbers, belief=beliefs)


def strength(
    arm: Arm, subjects: np.ndarray, times: np.ndarray, felt: np.ndarray | None, *,
    model: Expectancy | None = None, draw: np.ndarray | None = None, given: Sequence[Given] = (),
) -> np.ndarray:  # fmt: skip
    """Strength of expectancy, ``(n_subjects, n_times)``, dimensionless, 0 before the first visit.

    ``times`` are hours; ``felt``, ``(n_subjects, n_times)``, is the strongest drug effect a person has felt so far, in
    CADSS points, or None where the study does not compute it. The person's trait is the same in every arm. ``model``
    stands in for the library's numbers. With ``draw`` (n_subjects,) each parameter draw has numbers and a setting of its own;
    ``given`` are the doses that rules of the study gave.
    """
    return strength_and_belief(arm, subjects, times, felt, model=model, draw=draw, given=given)[0]


def strength_and_belief(
    arm: Arm, subjects: np.ndarray, times: np.ndarray, felt: np.ndarray | None, *,
    model: Expectancy | None = None, draw: np.ndarray | None = None, given: Sequence[Given] = (),
) -> tuple[np.ndarray, Any]:  # fmt: skip
    """``strength``, and the belief in having got the drug, 0-1, of a shape that broadcasts to ``(n_subjects, n_times)``."""
    study = arm.protocol.study
    model = model or arm.protocol.expectancy
    model = drawn(model, study.seed, draw) if draw is not None and len(draw) else model
    number = model.numbers
    belief = _belief(arm, model, felt if study.expectancy == "full" else None)
    if study.expectancy == "none" or not np.any(belief):
        return np.zeros((len(subjects), len(times))), belief
    normal = population.normals_of(study.seed, "expectancy of the person", subjects)[:, 0]
    variance = np.log1p(number["person_cv"] ** 2)
    person = np.exp(np.sqrt(variance) * normal[:, None] - variance / 2)

    since_start = np.maximum(times - study.start, 0.0)
    course = number["course"] * -np.expm1(-since_start / number["course_time"])
    since = _since_last(times, procedure_times(arm, model))[None, :]
    for one in given:
        if one.dose.route in model.procedure_routes:
            since = np.fmin(since, _since(times, one.time))
    acute = number["acute"] * -np.expm1(-since / number["acute_onset"]) * np.exp(-since / number["acute_time"])
    sustained = (
        number["sustained"] * -np.expm1(-since / number["acute_onset"]) * np.exp(-since / number["sustained_time"])
    )
    parts = course + np.where(np.isfinite(since), acute + sustained, 0.0)
    return np.asarray(person * number.get("setting", 1.0) * belief * parts), belief


def procedure_times(arm: Arm, model: Expectancy | None = None) -> np.ndarray:
    """Times (hours, sorted) at which people of an arm undergo a supervised treatment, real or sham.

    A masked control that lists no treatment of its own is treated when the first treated arm is.
    """
    model = model or arm.protocol.expectancy
    own = _own_procedures(arm, model)
    control = arm.asked.control
    by_rule = any(one.dose.route in model.procedure_routes for one in arm.possible)
    if not own and not by_rule and control is not None and control.kind in ("inactive-placebo", "active-placebo"):
        for other in arm.protocol.arms.values():
            own = own or _own_procedures(other, model)
    return np.unique(np.asarray(own, float))


def _own_procedures(arm: Arm, model: Expectancy) -> list[float]:
    doses = [
        t
        for one in arm.planned
        if one.why == "scheduled" and one.dose.route in model.procedure_routes
        for t in one.times
    ]
    exposures = [t for one in arm.exposures if one.asked.exposure in model.procedure_exposures for t in one.times]
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

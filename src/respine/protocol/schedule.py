"""From an arm to the engine: every dose, infusion, exposure and the history of its people as events."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from respine.errors import InputError, Problem
from respine.files import units
from respine.files.yaml_file import dotted
from respine.model.expression import Expr, evaluate, symbols
from respine.population import People
from respine.protocol.doses import Amounts, DoseRecord, PlannedExposure, Taken, dose_record, sprays
from respine.protocol.rule_doses import Given
from respine.protocol.timeline import Timeline
from respine.study.read import document
from respine.study.treatments import Drug, Route

if TYPE_CHECKING:
    from respine.engine import Schedule
    from respine.protocol.arm import Arm

FAR_FUTURE_H = 1e9
"""Hours; what is put there declares a dose to the engine, so that all stages of a run have the same equations."""


def schedule(
    arm: Arm, people: People, *, given: Sequence[Given] | None = None, since: float = -math.inf, until: float = math.inf,
    taken: Taken | None = None,
) -> Schedule:  # fmt: skip
    """What happens to each of these people in one arm, from ``since`` to ``until`` (hours).

    ``given``: the doses that rules gave so far; without, an arm in which rules act is refused. What began before ``since``
    and goes on goes on: an infusion with its rest, an input at its level; what is over is left out. ``taken`` says what people
    take of the written doses, all of them if left out. Raises InputError where
    the arm has rules or where a treatment acts on something the model does not have.
    """
    if given is None:
        refuse_rules(arm)
    work = Work(arm, people, since, until)
    work.history()
    declared = [FAR_FUTURE_H] if since > -math.inf else []
    for planned in arm.planned:
        work.dose(
            dose_record(planned, people, [*(planned.times if taken is None else taken.times(planned)), *declared])
        )
    for record in () if taken is None else taken.more:
        work.dose(replace(record, times=(*record.times, *declared)))
    for could in arm.possible if given is not None else ():
        times = [dose.time for dose in given or () if dose.place == could.place]
        planned = arm.plan(could.place, f"rule {could.rule.name}", could.dose)
        work.dose(dose_record(planned, people, [*times, FAR_FUTURE_H]))
    for exposure in arm.exposures:
        work.exposure(exposure)
    for input, timeline in work.timelines.items():
        timeline.write(work.schedule, input)
    return work.schedule


def refuse_rules(arm: Arm) -> None:
    """Raise InputError if rules act in the arm: what is given then depends on what a run observes."""
    if arm.rules:
        names = ", ".join(rule.name for rule in arm.rules)
        why = "Decision rules act on what is observed while the study runs; this needs its doses beforehand."
        where = document(arm.protocol.study).where(("rules",))
        raise InputError(
            Problem(where, "rules", names, why, "Simulate the study, or write the doses with their times.")
        )


class Work:
    """One arm on its way into a schedule."""

    def __init__(self, arm: Arm, people: People, since: float, until: float) -> None:
        from respine.engine import Schedule  # late: it brings the compiler

        self.arm, self.people, self.system = arm, people, arm.protocol.system
        self.since, self.until = since, until
        self.schedule = Schedule(len(people))
        self.timelines: dict[str, Timeline] = {}
        self.values: dict[str, Any] = dict(self.system.parameters) | people.values

    def timeline(self, input: str, place: str, source: str) -> Timeline:
        if input not in self.system.inputs:
            self.absent(place, source, input, "input", list(self.system.inputs))
        return self.timelines.setdefault(input, Timeline(self.system.inputs[input]))

    def absent(self, place: str, source: str, name: str, kind: str, known: list[str]) -> None:
        why = f"{source} acts on {name}, which is no {kind} of the {self.system.name} model."
        shown = ", ".join(known[:12])
        cure = f"Choose another treatment or model; its {kind}s are {shown}."
        raise InputError(Problem(self.where(place), place, source, why, cure))

    def where(self, place: str) -> str:
        """File and line of a place such as ``arms.ketamine.doses[0]``."""
        doc = document(self.arm.protocol.study)
        return doc.where(next((at for at in doc.lines if dotted(at) == place), ()))

    def history(self) -> None:
        study, history = self.arm.protocol.study, self.arm.protocol.population.history
        for i, phase in enumerate(history):
            suffix = "" if i == 0 else f"_{i + 1}"
            lasts = self.people.covariates[f"history_h{suffix}"].to_numpy(float)
            end = math.inf if phase.until is None else study.start + phase.until
            for input in phase.inputs:
                level = self.people.covariates[f"history_{input}{suffix}"].to_numpy(float)
                self.timeline(input, "population", "history").hold_before(study.start - lasts, end, level)

    def exposure(self, planned: PlannedExposure) -> None:
        parsed, file = planned.asked, planned.file
        for input, value in file.sets.items():
            timeline = self.timeline(input, planned.place, parsed.exposure)
            level = value * parsed.level
            if file.kind == "level":
                assert parsed.begin is not None
                timeline.take_over(parsed.begin)
                timeline.hold(parsed.begin, math.inf if parsed.until is None else parsed.until, level)
                continue
            lasts = parsed.lasts or file.lasts
            assert lasts is not None
            for time in planned.times:
                timeline.hold(time, time + lasts, level)

    def dose(self, record: DoseRecord) -> None:
        """Give a dose at the times of its record, each one number or one a person (NaN: not to this one)."""
        planned, given, times = record.planned, record.amounts, record.times
        parsed, drug, route, place = planned.dose, planned.drug, planned.route, planned.place
        values = self.values | {"dose": self.customary(route, given)}
        count, apart = sprays(parsed, route)
        over = (
            parsed.over if parsed.over is not None else (route.over.default or 0.0) if route.over is not None else 0.0
        )
        parts: list[_Portion] = []
        for into in route.into:
            amount = self.in_state_unit(place, parsed.drug, into.state, given) / count
            lag = self.value(drug, into.lag, values)
            duration = over if into.duration is None else self.value(drug, into.duration, values)
            for k in range(count):
                share = into.fraction if k == 0 or into.later is None else into.later
                parts.append(_Portion(into.state, k * apart, amount, duration, lag, self.value(drug, share, values)))
        reach = max((part.reach for part in parts), default=0.0)
        for time in times:
            if self.concerns(time, reach):
                for part in parts:
                    part.put(self.schedule, time, self.since)
        for sets in route.sets:
            timeline = self.timeline(sets.input, place, parsed.drug)
            lasts, level = self.value(drug, sets.lasts, values), self.value(drug, sets.level, values)
            for time in times:
                if self.concerns(time, float(np.max(lasts))):
                    begin = np.where(np.isnan(time), FAR_FUTURE_H, time) if isinstance(time, np.ndarray) else time
                    timeline.hold(begin, begin + lasts, level)

    def concerns(self, time: float | np.ndarray, reach: float) -> bool:
        """Whether what begins at ``time`` and is over after ``reach`` hours can matter to anybody in the schedule's span."""
        many = isinstance(time, np.ndarray)
        first, last = (np.fmin.reduce(time), np.fmax.reduce(time)) if many else (time, time)
        return bool(first >= FAR_FUTURE_H or (last + reach >= self.since and first <= self.until))

    def customary(self, route: Route, given: Amounts) -> np.ndarray:
        """The dose as formulas of the drug file read it: in the first unit of the route."""
        if not route.dose:
            return given.each
        converted = given.in_unit(route.dose[0].unit, self.people)
        return given.each if converted is None else converted

    def in_state_unit(self, place: str, drug: str, state: str, given: Amounts) -> np.ndarray:
        if state not in self.system.rates:
            self.absent(place, drug, state, "state", list(self.system.states))
        quantity = self.system.quantities.get(state)
        if quantity is None or not quantity.unit:
            return given.each
        converted = given.in_unit(quantity.unit, self.people)
        if converted is None or "/" in units.canonical(quantity.unit)[0]:
            counts = f"{state} of the {self.system.name} model counts {quantity.unit}"
            why = f"{drug or 'The dose'} is given in {given.unit}, but {counts}."
            cure = "Correct the drug file or the unit of the state."
            raise InputError(Problem(self.where(place), place, given.unit, why, cure))
        return converted

    def value(self, drug: Drug, expr: Expr, values: Mapping[str, Any]) -> float | np.ndarray:
        missing = [name for name in symbols(expr) if name not in values]
        if missing:
            why = f"A formula names {missing[0]}, which is no parameter of the {self.system.name} model."
            cure = "Correct the formula in the drug file, or add the parameter to the model's tables."
            raise InputError(Problem(f"drugs/{drug.drug}.yaml:1", drug.drug, missing[0], why, cure))
        result = evaluate(expr, values)
        return float(result) if np.ndim(result) == 0 else np.asarray(result, float)


@dataclass(frozen=True)
class _Portion:
    """What of one occasion of a dose goes into one state at one moment (a spray, say), ``shift`` hours into the occasion."""

    state: str
    shift: float
    amount: np.ndarray
    duration: float | np.ndarray
    lag: float | np.ndarray
    fraction: float | np.ndarray

    @property
    def reach(self) -> float:
        """Hours from the occasion until it is over for everybody."""
        return self.shift + float(np.max(self.duration)) + float(np.max(self.lag))

    def put(self, schedule: Schedule, time: float | np.ndarray, since: float) -> None:
        """Put it into a schedule that begins ``since``: all of it, or what is left of it then."""
        begin = time + self.shift
        amount, duration, lag = self.amount, self.duration, self.lag
        if isinstance(time, np.ndarray):
            amount = np.where(np.isnan(time), math.nan, amount)
        if np.any(begin + lag < since):
            starts = np.asarray(begin + lag, float)
            left = starts + duration - since
            past = starts < since
            if not np.any(np.where(past, left > 0, ~np.isnan(starts))):
                return
            with np.errstate(divide="ignore", invalid="ignore"):
                rest = np.where(left > 0, left / np.asarray(duration, float), math.nan)
            amount = amount * np.where(past, rest, 1.0)
            duration = np.where(past, np.maximum(left, 0.0), duration)
            begin, lag = np.where(past, since, starts), 0.0
        schedule.dose(self.state, time=begin, amount=amount, duration=duration, lag=lag, fraction=self.fraction)

"""From an arm to the engine: every dose, infusion, exposure and the history of its people as events."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from respine.errors import InputError, Problem
from respine.model.expression import Expr, evaluate, symbols
from respine.model.system import System
from respine.population import People, units
from respine.study import treatments
from respine.study.occasions import Amounts, amounts, occasions, sprays
from respine.study.schema import Dose, Exposure, Study
from respine.study.timeline import Timeline

if TYPE_CHECKING:
    from respine.engine import Schedule


def schedule(study: Study, arm: str, people: People, system: System) -> Schedule:
    """What happens to each of these people in one arm.

    Raises KeyError for an unknown arm, InputError where the study has decision rules or where a treatment acts on
    something the model does not have.
    """
    refuse_rules(study)
    work = _Work(study, arm, people, system)
    one = study.arms[arm]
    work.history()
    for field, doses in (("doses", one.doses), ("co_medication", one.co_medication)):
        for i, dose in enumerate(doses):
            work.dose(f"arms.{arm}.{field}[{i}]", dose)
    for i, exposure in enumerate(one.exposures):
        work.exposure(f"arms.{arm}.exposures[{i}]", exposure)
    for input, timeline in work.timelines.items():
        timeline.write(work.schedule, input)
    return work.schedule


def refuse_rules(study: Study) -> None:
    """Raise InputError if the study decides during its course: such rules are understood but not carried out yet."""
    if study.rules:
        names = ", ".join(rule.name for rule in study.rules)
        why = "Decision rules are checked but cannot be carried out yet; leaving them out would change the study."
        lines = study.text.splitlines()
        line = next((i for i, text in enumerate(lines, 1) if text.startswith(("rules:", '"rules"'))), 1)
        where = f"{study.file or study.name}:{line}"
        raise InputError(Problem(where, "rules", names, why, "Remove the rules, or write their doses with times."))


class _Work:
    """One arm on its way into a schedule."""

    def __init__(self, study: Study, arm: str, people: People, system: System) -> None:
        from respine.engine import Schedule  # late: it brings the compiler

        self.study, self.arm, self.people, self.system = study, arm, people, system
        self.schedule = Schedule(len(people))
        self.timelines: dict[str, Timeline] = {}
        self.values: dict[str, Any] = dict(system.parameters) | {
            str(name): people.parameters[name].to_numpy() for name in people.parameters
        }

    def timeline(self, input: str, place: str, what: str) -> Timeline:
        if input not in self.system.inputs:
            self.absent(place, what, input, "input", list(self.system.inputs))
        return self.timelines.setdefault(input, Timeline(self.system.inputs[input]))

    def absent(self, place: str, what: str, name: str, kind: str, known: list[str]) -> None:
        where = f"{self.study.file or self.study.name}:{_line(self.study, place)}"
        why = f"{what} acts on {name}, which is no {kind} of the {self.system.name} model."
        shown = ", ".join(known[:12])
        raise InputError(
            Problem(where, place, what, why, f"Choose another treatment or model; its {kind}s are {shown}.")
        )

    def history(self) -> None:
        for i, phase in enumerate(self.study.people.history):
            suffix = "" if i == 0 else f"_{i + 1}"
            lasts = self.people.covariates[f"history_h{suffix}"].to_numpy(float)
            end = math.inf if phase.until is None else self.study.start + phase.until
            for input in phase.inputs:
                level = self.people.covariates[f"history_{input}{suffix}"].to_numpy(float)
                self.timeline(input, "population", "history").hold_before(self.study.start - lasts, end, level)

    def exposure(self, place: str, one: Exposure) -> None:
        file = treatments.exposure(one.exposure)
        for input, value in file.sets.items():
            timeline = self.timeline(input, place, one.exposure)
            level = value * one.level
            if file.kind == "level":
                assert one.begin is not None
                timeline.take_over(one.begin)
                timeline.hold(one.begin, math.inf if one.until is None else one.until, level)
                continue
            lasts = one.lasts or file.lasts
            assert lasts is not None
            for time in occasions(one):
                timeline.hold(time, time + lasts, level)

    def dose(self, place: str, one: Dose) -> None:
        drug = treatments.drug(one.drug)
        route = drug.species[self.study.people.species][one.route]
        given = amounts(one, self.people)
        values = self.values | {"dose": self.customary(route, given)}
        count, apart = sprays(one, route)
        over = one.over if one.over is not None else (route.over.default or 0.0) if route.over is not None else 0.0
        for time in occasions(one):
            for into in route.into:
                amount = self.in_state_unit(place, one.drug, into.state, given) / count
                lag = self.value(drug, into.lag, values)
                duration = over if into.duration is None else self.value(drug, into.duration, values)
                for k in range(count):
                    share = into.fraction if k == 0 or into.later is None else into.later
                    self.schedule.dose(
                        into.state, time=time + k * apart, amount=amount, duration=duration, lag=lag,
                        fraction=self.value(drug, share, values),
                    )  # fmt: skip
            for sets in route.sets:
                timeline = self.timeline(sets.input, place, one.drug)
                lasts = self.value(drug, sets.lasts, values)
                timeline.hold(time, time + lasts, self.value(drug, sets.level, values))

    def customary(self, route: treatments.Route, given: Amounts) -> np.ndarray:
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
            where = f"{self.study.file or self.study.name}:{_line(self.study, place)}"
            why = (
                f"{drug} is given in {given.unit}, but {state} of the {self.system.name} model counts {quantity.unit}."
            )
            raise InputError(Problem(where, place, given.unit, why, "Correct the drug file or the unit of the state."))
        return converted

    def value(self, drug: treatments.Drug, expr: Expr, values: Mapping[str, Any]) -> float | np.ndarray:
        missing = [name for name in symbols(expr) if name not in values]
        if missing:
            why = f"A formula names {missing[0]}, which is no parameter of the {self.system.name} model."
            cure = "Correct the formula in the drug file, or add the parameter to the model's tables."
            raise InputError(Problem(f"drugs/{drug.drug}.yaml:1", drug.drug, missing[0], why, cure))
        result = evaluate(expr, values)
        return float(result) if np.ndim(result) == 0 else np.asarray(result, float)


def _line(study: Study, place: str) -> int:
    """Line of a place such as ``arms.ketamine.doses[0]`` in the study as written."""
    if study.file is None or not study.file.is_file():
        return 1
    from respine.population import yaml_file

    doc = yaml_file.read(study.file, "study")
    return next((line for at, line in doc.lines.items() if yaml_file.dotted(at) == place), 1)

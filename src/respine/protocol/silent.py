"""What a study writes that changes nothing: exposures, drugs, parameters and rules without effect, named before a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from respine.model.expression import symbols
from respine.protocol.arm import Arm
from respine.protocol.protocol import Protocol
from respine.protocol.rule_doses import asked, decision_times
from respine.protocol.schedule import Work

FEW = 4  # people whose inputs are compared
SAME = 1e-12  # relative


def without_effect(protocol: Protocol, outputs: Sequence[str]) -> list[str]:
    """A sentence for every exposure, drug, parameter or rule that changes none of the ``outputs`` in any arm that has it."""
    reached = protocol.system.dependencies(outputs)
    remarks: dict[str, None] = {}
    for arm in protocol.arms.values():
        remarks |= dict.fromkeys((*_exposures(arm, reached), *_drugs(arm, reached)))
    remarks |= dict.fromkeys((*_parameters(protocol, reached), *_rules(protocol)))
    return list(remarks)


def _exposures(arm: Arm, reached: set[str]) -> Iterator[str]:
    people = arm.people(range(FEW), False)
    for k, planned in enumerate(arm.exposures):
        name, inputs = planned.asked.exposure, list(planned.file.sets)
        if not any(name in reached for name in inputs):
            yield (f"the exposure {name} in arm {arm.name} changes nothing that is observed or recorded: nothing there "
                   f"depends on {', '.join(inputs)}")  # fmt: skip
        elif not any(_differs(arm, people, k, name) for name in inputs):
            levels = "the same level holds already, by the population's history or another exposure"
            yield (
                f'the exposure {name} in arm {arm.name} changes nothing: {levels}. "level: 0" ends it, another level changes it'
            )


def _differs(arm: Arm, people: object, left_out: int, input: str) -> bool:
    """Whether an input takes another course with an exposure than without it."""
    courses = []
    for skip in (None, left_out):
        work = Work(arm, people, -np.inf, np.inf)  # type: ignore[arg-type]
        work.history()
        for k, planned in enumerate(arm.exposures):
            if k != skip:
                work.exposure(planned)
        timeline = work.timelines.get(input)
        courses.append((np.empty((1, 0)), np.empty((1, 0))) if timeline is None else timeline.changes())
    (times, values), (other_times, other_values) = courses
    grid = np.unique(np.concatenate([times.ravel(), other_times.ravel()]))
    grid = grid[grid < max(arm.protocol.study.visits)]  # what comes after the last visit nobody sees
    base = arm.protocol.system.inputs.get(input, 0.0)
    return not np.allclose(_at(grid, times, values, base), _at(grid, other_times, other_values, base), rtol=SAME)


def _at(grid: np.ndarray, times: np.ndarray, values: np.ndarray, base: float) -> np.ndarray:
    """Values of the first person's input just after each moment of a grid."""
    result = np.full(len(grid), float(base))
    for time, value in zip(times[0], values[0], strict=True):
        if not np.isnan(value):
            result[grid >= time] = value
    return result


def _drugs(arm: Arm, reached: set[str]) -> Iterator[str]:
    for planned in arm.planned:
        touched = [into.state for into in planned.route.into] + [sets.input for sets in planned.route.sets]
        if touched and not any(name in reached for name in touched):  # a placebo touches nothing, and is meant to
            yield (f"the drug {planned.dose.drug or planned.dose.into} in arm {arm.name} changes nothing that is observed or "
                   "recorded: add an output it acts on to record, or observe another scale")  # fmt: skip


def _parameters(protocol: Protocol, reached: set[str]) -> Iterator[str]:
    study, system = protocol.study, protocol.system
    dosed = {
        name for arm in protocol.arms.values() for dose in arm.planned for into in dose.route.into
        for formula in (into.fraction, into.later, into.lag, into.duration) if formula is not None for name in symbols(formula)
    }  # fmt: skip
    places = [
        ("in all arms", study.parameters),
        *((f"in arm {name}", arm.parameters) for name, arm in study.arms.items()),
    ]
    for where, values in places:
        for id, value in values.items():
            if id not in reached and id not in dosed:
                yield f"the parameter {id} {where} changes nothing that is observed or recorded"
            elif np.isclose(value, float(system.parameters.get(id, np.nan)), rtol=SAME, atol=0.0):
                yield f"the parameter {id} {where} is set to {value:g}, its value in the model; its uncertainty is taken away"


def _rules(protocol: Protocol) -> Iterator[str]:
    study = protocol.study
    for rule in study.rules:
        arms = rule.arms or tuple(study.arms)
        acts = {other.name: set(other.arms or study.arms) for other in study.rules}
        halts = [name for name in (rule.then.hold, rule.then.stop) if name is not None]
        gives = rule.then.dose is not None or rule.then.start is not None
        if halts and not gives and not any(acts.get(name, set()) & set(arms) for name in halts):
            yield f"the rule {rule.name} changes nothing: {', '.join(halts)} acts in none of its arms"
        elif not any(asked(study, rule.when, decision_times(study, arm)).any() for arm in arms):
            yield f"the rule {rule.name} is asked at no time of the study"

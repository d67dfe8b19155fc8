"""What the rules of a study may do in an arm: which of them act there, when they are asked, which doses they could give."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from respine.files.constants import SAME_MOMENT_H
from respine.study.rules import Condition, Rule, RuleDose
from respine.study.schema import Dose, Study

EVERY = {"daily": 24.0, "weekly": 168.0}


@dataclass(frozen=True)
class Given:
    """A dose that a rule gave: ``time`` in hours, ``(n_people,)``, NaN for everybody who did not get it."""

    rule: str
    place: str  # of the dose in the study file
    dose: Dose
    time: np.ndarray


@dataclass(frozen=True)
class Possible:
    """A dose, or a course of doses, that a rule of an arm could give."""

    rule: Rule
    place: str
    written: RuleDose
    dose: Dose


def rules_of(study: Study, arm: str) -> list[Rule]:
    """The rules that act in an arm, in the order of the file."""
    return [rule for rule in study.rules if not rule.arms or arm in rule.arms]


def possible(study: Study, arm: str) -> list[Possible]:
    """Every dose and course that rules of an arm could give."""
    candidates = []
    for i, rule in enumerate(study.rules):
        for field, action in (("dose", rule.then.dose), ("start", rule.then.start)):
            if action is not None and (not rule.arms or arm in rule.arms):
                candidates.append(Possible(rule, f"rules[{i}].then.{field}", action, _once(action)))
    return candidates


def _once(asked: RuleDose) -> Dose:
    """One occasion of a rule's dose as a dose of an arm; its time is decided person by person."""
    return Dose.model_construct(
        drug=asked.drug, route=asked.route, into=None, amount=asked.amount, over=asked.over, at=(0.0,), every=None, times=None,
        until=None, sprays=asked.sprays, per_spray=None, apart=None, note="",
    )  # fmt: skip


def decision_times(study: Study, arm: str) -> np.ndarray:
    """Hours, ascending, at which some rule of an arm is asked; none lies after the last visit."""
    times: set[float] = set()
    for rule in rules_of(study, arm):
        named = [condition.visit for condition in chain(rule.when) if condition.visit is not None]
        for visit in named or ["every"]:
            times |= set(_times(study, visit))
    grid = np.array(sorted(times))
    return grid[np.diff(grid, prepend=-np.inf) > SAME_MOMENT_H]


def _times(study: Study, visit: float | str) -> list[float]:
    visits = [float(study.start), *(float(t) for t in study.visits if t >= study.start)]
    if visit == "every":
        return visits
    if not isinstance(visit, str):
        return [float(visit)]
    steps = range(int((max(visits) - study.start + SAME_MOMENT_H) / EVERY[visit]) + 1)
    regular = [round(study.start + EVERY[visit] * k, 9) for k in steps]
    return [next((t for t in visits if abs(t - time) <= SAME_MOMENT_H), time) for time in regular]


def asked(study: Study, condition: Condition, times: np.ndarray) -> np.ndarray:
    """At which of the decision ``times`` (n,) a condition, apart from what it asks of a person, holds."""
    result = np.ones(len(times), bool)
    for part in chain(condition):
        if part.visit is not None:
            own = np.array(_times(study, part.visit))
            result &= (np.abs(times[:, None] - own[None, :]) <= SAME_MOMENT_H).any(axis=1)
    return result


def chain(condition: Condition | None) -> Iterator[Condition]:
    """A condition and those joined to it by ``and``."""
    while condition is not None:
        yield condition
        condition = condition.also


def dose_times(study: Study) -> list[float]:
    """Hours at which rules could give a dose in some arm, ascending."""
    last, due = max(study.visits), set()
    for arm in study.arms:
        times = decision_times(study, arm)
        for candidate in possible(study, arm):
            begins = times[asked(study, candidate.rule.when, times)].tolist()
            due |= {t for begin in begins for t in _course(candidate.written, begin, last)}
    return sorted(due)


def _course(rule_dose: RuleDose, begin: float, last: float) -> list[float]:
    if rule_dose.every is None:
        return [begin]
    end = last if rule_dose.until is None else min(last, rule_dose.until)
    count = int((end - begin + SAME_MOMENT_H) / rule_dose.every) + 1
    return [round(begin + rule_dose.every * k, 9) for k in range(min(count, rule_dose.times or count))]

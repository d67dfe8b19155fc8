"""Rules at work: what they decide for each person at each decision time, from what has been observed by then.

At one moment rules that only hold or stop act first, then those that hold or stop and give, then those that only give;
within each group in the order of the file. A dose is thus never given by a rule that is put on hold at that very moment.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from respine.files.constants import SAME_MOMENT_H
from respine.population import People
from respine.protocol.rule_doses import Given, Possible, asked, chain
from respine.study.rules import Condition, Rule

if TYPE_CHECKING:
    import pandas

    from respine.protocol.arm import Arm

COLUMNS = ("subject", "arm", "time_h", "rule", "action", "outcome", "why", "scale", "value", "seen")


@dataclass(frozen=True)
class Observed:
    """What is written down of a scale: ``now`` and at the ``baseline``, ``(n_people,)``, NaN where there is nothing."""

    now: np.ndarray
    baseline: np.ndarray

    @property
    def fall(self) -> np.ndarray:
        """Fall from baseline as a share of it; NaN where the baseline is 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.baseline > 0, (self.baseline - self.now) / self.baseline, math.nan)


class _Course:
    """The running course of one rule: when it began for each person, and how many of its doses have come due."""

    def __init__(self, of: Possible, n: int) -> None:
        self.of, self.began = of, np.full(n, math.nan)
        self.due, self.running = np.zeros(n, int), np.zeros(n, bool)

    def next(self) -> np.ndarray:
        """Hours of the next dose, infinite where no course runs."""
        times = np.round(self.began + (self.of.written.every or 0.0) * self.due, 9)
        return np.where(self.running, times, math.inf)

    def begin(self, who: np.ndarray, time: float) -> None:
        self.began[who], self.due[who], self.running[who] = time, 0, True

    def advance(self, who: np.ndarray, last: float) -> None:
        written = self.of.written
        most = 1 if written.every is None else written.times or math.inf
        end = last if written.until is None else min(last, written.until)
        self.due[who] += 1
        self.running &= (self.due < most) & (self.next() <= end + SAME_MOMENT_H)


class Decisions:
    """The rules of one arm at work on its people; ``given`` holds the doses they gave so far.

    ``times``: the decision times in hours. At each of them, in their order, call ``decide`` and then ``give_until`` with
    the next one: the doses of running courses come due between decisions.
    """

    def __init__(self, arm: Arm, people: People) -> None:
        study, n = arm.protocol.study, len(people)
        self.arm = arm
        self.subjects = people.covariates["subject"].to_numpy(np.int64)
        self.times = arm.decision_times
        self.rules = sorted(arm.rules, key=_turn)
        self._asked = {rule.name: set(self.times[asked(study, rule.when, self.times)].tolist()) for rule in self.rules}
        self.last = float(max(study.visits))
        self.doses = {dose.rule.name: dose for dose in arm.possible if dose.place.endswith(".dose")}
        courses = [dose for dose in arm.possible if dose.place.endswith(".start")]
        self.courses = {course.rule.name: _Course(course, n) for course in courses}
        self.held = {rule.name: np.full(n, -math.inf) for rule in study.rules}
        self.stopped = {rule.name: np.zeros(n, bool) for rule in study.rules}
        self.taken: dict[str, list[np.ndarray]] = {rule.name: [] for rule in study.rules}
        self.given: list[Given] = []
        self._scheduled = np.array(sorted(t for dose in arm.planned if dose.why == "scheduled" for t in dose.times))
        self._rows: list[dict[str, object]] = []

    def scales(self) -> list[str]:
        """The scales that rules look at, as the study writes them."""
        return list(dict.fromkeys(c.scale for rule in self.rules for c in chain(rule.when) if c.scale is not None))

    def decide(self, time: float, seen: Mapping[str, Observed], able: np.ndarray) -> None:
        """Let every rule act that is asked at this time, for people who are ``able`` (n_people,) to take part."""
        for rule in self.rules:
            if time not in self._asked[rule.name]:
                continue
            ago = time - self._last_dose(time)
            who = able & ~self.stopped[rule.name] & _holds(rule.when, seen, ago) & self._on(rule)
            held = who & (time < self.held[rule.name] - SAME_MOMENT_H)
            note = _Note(rule, time, seen, ago)
            self._write(note, held, ", ".join(_actions(rule)), "refused", self.held[rule.name])
            self._act(note, who & ~held)

    def _on(self, rule: Rule) -> np.ndarray:
        """Who is on every course that a rule asks for, ``(n_people,)``."""
        result = np.ones(len(self.subjects), bool)
        for condition in chain(rule.when):
            if condition.on is not None:
                result &= self.courses[condition.on].running if condition.on in self.courses else False
        return result

    def _act(self, note: _Note, who: np.ndarray) -> None:
        rule, then, time = note.rule, note.rule.then, note.time
        if then.stop is not None:
            self._write(note, who & ~self.stopped[then.stop], f"stop {then.stop}")
            self.stopped[then.stop] |= who
            if then.stop in self.courses:
                self.courses[then.stop].running &= ~who
        if then.hold is not None:
            assert then.hold_for is not None
            self._write(note, who, f"hold {then.hold} for {then.hold_for:g} h")
            until = np.where(who, time + then.hold_for, -math.inf)
            self.held[then.hold] = np.maximum(self.held[then.hold], until)
        if rule.name in self.doses:
            action = _action_text("dose", self.doses[rule.name])
            give = self._within_limits(note, who, action, time)
            self._write(note, give, action)
            self._give(self.doses[rule.name], give, np.full(len(who), time))
        if rule.name in self.courses:
            course = self.courses[rule.name]
            action = _action_text("start", course.of)
            over = who & (course.of.written.until is not None and time > (course.of.written.until or 0.0))
            self._write(note, who & course.running, action, "refused", "its course is running")
            self._write(note, over, action, "refused", "the course would end before it begins")
            begin = who & ~course.running & ~over
            self._write(note, begin, action)
            course.begin(begin, note.at(0))

    def give_until(self, time: float, until: float, able: np.ndarray) -> None:
        """Give what courses have due from ``time`` on and before ``until`` (at the last visit at the latest)."""
        for name, course in self.courses.items():
            course.running &= able
            while (due := course.next() < until - SAME_MOMENT_H).any():
                times = np.maximum(course.next(), time)
                note = _Note(course.of.rule, times, {}, None)
                held = due & (times < self.held[name] - SAME_MOMENT_H)
                action = _action_text("course dose", course.of)
                self._write(note, held, action, "refused", self.held[name])
                give = self._within_limits(note, due & ~held, action, times)
                self._give(course.of, give, times)
                course.advance(due, self.last)

    def _give(self, possible: Possible, who: np.ndarray, times: np.ndarray) -> None:
        if who.any():
            when = np.where(who, times, math.nan)
            self.given.append(Given(possible.rule.name, possible.place, possible.dose, when))
            self.taken[possible.rule.name].append(when)

    def _within_limits(self, note: _Note, who: np.ndarray, action: str, times: float | np.ndarray) -> np.ndarray:
        """Those of ``who`` that the limits of the rule still allow a dose; the others are written down as refused."""
        limit = note.rule.limit
        if limit is None:
            return who
        for most, span, words in (
            (limit.total, math.inf, "in all"), (limit.per_day, 24.0, "per-day"), (limit.per_week, 168.0, "per-week"),
        ):  # fmt: skip
            if most is not None:
                count = sum(
                    (t > times - span + SAME_MOMENT_H for t in self.taken[note.rule.name]), np.zeros(len(who), int)
                )
                self._write(note, who & (count >= most), action, "refused", f"limit: {most} {words}")
                who = who & (count < most)
        return who

    def _last_dose(self, time: float) -> np.ndarray:
        """Hours of each person's last dose of the arm's treatment, one due at this very moment included; -inf if none."""
        last = np.full(
            len(self.subjects), self._scheduled[self._scheduled <= time + SAME_MOMENT_H].max(initial=-math.inf)
        )
        for when in (time for times in self.taken.values() for time in times):
            last = np.fmax(last, when)
        for name, course in self.courses.items():
            now = (course.next() <= time + SAME_MOMENT_H) & ~(time < self.held[name] - SAME_MOMENT_H)
            last = np.where(now, time, last)
        return last

    def _write(self, note: _Note, who: np.ndarray, action: str, outcome: str = "done",
               why: str | np.ndarray = "") -> None:  # fmt: skip
        """Keep a line for everybody in ``who``; ``why`` of an array: held until then."""
        scale = next((c.scale for c in chain(note.rule.when) if c.scale is not None and note.seen), "")
        for i in map(int, np.flatnonzero(who)):
            self._rows.append(
                {
                    "subject": self.subjects[i], "arm": self.arm.name, "time_h": note.at(i), "rule": note.rule.name,
                    "action": action, "outcome": outcome,
                    "why": why if isinstance(why, str) else f"held until {why[i]:g} h", "scale": scale,
                    "value": note.seen[scale].now[i] if scale else math.nan, "seen": note.text(i),
                }
            )  # fmt: skip

    def table(self) -> pandas.DataFrame:
        """Every decision, one row a person and action, in the order of people and time: see ``COLUMNS``."""
        import pandas

        rows = pandas.DataFrame(self._rows, columns=list(COLUMNS))
        return rows.sort_values(["subject", "time_h"], kind="stable", ignore_index=True)


@dataclass(frozen=True)
class _Note:
    """What stands beside a decision: the rule, when, and what it saw."""

    rule: Rule
    time: float | np.ndarray
    seen: Mapping[str, Observed]
    ago: np.ndarray | None

    def at(self, i: int) -> float:
        return float(self.time[i]) if isinstance(self.time, np.ndarray) else self.time

    def text(self, i: int) -> str:
        parts = []
        for condition in chain(self.rule.when):
            if condition.scale is not None and condition.scale in self.seen:
                scale = self.seen[condition.scale]
                change = condition.change_less_than is not None or condition.change_more_than is not None
                before = f" ({scale.baseline[i]:g} at baseline)" if change else ""
                parts.append(f"{condition.scale} {scale.now[i]:g}{before}")
            if condition.last_dose is not None and self.ago is not None:
                ago = self.ago[i]
                parts.append(f"last dose {ago:g} h ago" if math.isfinite(ago) else "no dose so far")
        return "; ".join(parts)


def _turn(rule: Rule) -> int:
    halts, gives = rule.then.hold or rule.then.stop, rule.then.dose or rule.then.start
    return (1 if gives else 0) if halts else 2


def _holds(condition: Condition, seen: Mapping[str, Observed], ago: np.ndarray) -> np.ndarray:
    """Whether a condition and those joined to it hold, ``(n_people,)``; what was not observed holds for nobody."""
    result = np.ones(len(ago), bool)
    for condition_part in chain(condition):
        if condition_part.scale is not None:
            scale = seen[condition_part.scale]
            result &= np.isfinite(scale.now)
            result &= condition_part.above is None or scale.now > condition_part.above
            result &= condition_part.below is None or scale.now < condition_part.below
            result &= condition_part.change_less_than is None or scale.fall < condition_part.change_less_than
            result &= condition_part.change_more_than is None or scale.fall > condition_part.change_more_than
        if condition_part.last_dose is not None:
            longer, less = condition_part.last_dose.longer_ago_than, condition_part.last_dose.less_ago_than
            result &= longer is None or ago > longer + SAME_MOMENT_H
            result &= less is None or ago < less - SAME_MOMENT_H
    return result


def _actions(rule: Rule) -> list[str]:
    then, actions = rule.then, []
    if then.stop is not None:
        actions.append(f"stop {then.stop}")
    if then.hold is not None:
        actions.append(f"hold {then.hold} for {then.hold_for:g} h")
    for field, action in (("dose", then.dose), ("start", then.start)):
        if action is not None:
            amount = "" if action.amount is None else f" {action.amount.text}"
            actions.append(f"{field} {action.drug} {action.route}{amount}")
    return actions


def _action_text(field: str, possible: Possible) -> str:
    amount = "" if possible.written.amount is None else f" {possible.written.amount.text}"
    return f"{field} {possible.written.drug} {possible.written.route}{amount}"

"""When people leave, stop, miss and need rescue: event times from hazards and scores, with chances that belong to the person.

A person leaves when the cumulated hazard passes an exponential number of their own, so that nobody's time moves when others
are added. What a stopped or changed treatment does afterwards is solved anew; nothing before it changes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from respine import population
from respine.files.constants import SAME_MOMENT_H
from respine.population import People
from respine.protocol import Arm, Taken
from respine.protocol.doses import DoseRecord, dose_record
from respine.study.behaviour import Behaviour, Leaving, RelapseEvent
from respine.study.schema import Dose

if TYPE_CHECKING:
    from respine.trial.replicates.cohort import Course

KINDS = ("dropout", "discontinuation", "rescue", "relapse")
MOST_PASSES = 4  # a stop, a rescue, and what they set off
RESCUE = "behaviour.rescue.dose"


def planned_misses(arm: Arm, people: People, behaviour: Behaviour | None) -> Taken | None:
    """Occasions that people miss by chance, known beforehand; None where nobody misses any."""
    if behaviour is None:
        return None
    stop = np.full(len(people), np.inf)
    miss = {}
    if behaviour.missed_doses > 0:
        for dose in arm.planned:
            if dose.why == "scheduled":
                chance = population.uniforms_of(
                    arm.protocol.study.seed, f"missed {dose.place}", _subjects(people), len(dose.times)
                )
                miss[dose.place] = chance < behaviour.missed_doses
                miss[dose.place][:, 0] = False  # who enters the trial takes the first dose
    return Taken(stop, miss)


def note_events(arm: Arm, people: People, course: Course, behaviour: Behaviour | None) -> None:
    """Write the times of all events into the course, from the scores as they are in it."""
    if behaviour is None:
        return
    study, last = arm.protocol.study, course.times[-1]
    seed, subjects = study.seed, _subjects(people)
    times = {"dropout": np.full(len(subjects), np.inf), "discontinuation": np.full(len(subjects), np.inf)}
    for kind, place, law in behaviour.leavings:
        if not law.arms or arm.name in law.arms:
            own = leaves(law, course, seed, f"{kind} {place}", subjects, study.start, arm)
            times[kind] = np.minimum(times[kind], own)
    if behaviour.follow_up < 1:
        lost = population.uniforms_of(seed, "follow-up", subjects)[:, 0] >= behaviour.follow_up
        times["dropout"] = np.where(lost, np.minimum(times["dropout"], times["discontinuation"]), times["dropout"])
    course.events.update({kind: np.where(time <= last, time, np.inf) for kind, time in times.items()})
    course.events["discontinuation"] = np.where(
        course.events["discontinuation"] <= course.events["dropout"], course.events["discontinuation"], np.inf
    )
    if behaviour.missed_visits > 0:
        chance = population.uniforms_of(seed, "missed visits", subjects, len(course.times))
        course.missed = chance < behaviour.missed_visits
        course.missed[:, 0] = False  # nobody is in the trial without a baseline
    rescue = behaviour.rescue
    if rescue is not None and (not rescue.arms or arm.name in rescue.arms):
        begin = study.start if rescue.begin is None else rescue.begin
        after = (course.times > study.start) & (course.times >= begin - SAME_MOMENT_H)
        meets = (course.scores[arm.protocol.scale(rescue.scale).name] > rescue.above) & after & course.seen
        course.events["rescue"] = _first(meets, course.times)
    if behaviour.relapse is not None:
        course.events["relapse"] = relapses(behaviour.relapse, course, arm)


def leaves(
    law: Leaving, course: Course, seed: int, purpose: str, subjects: np.ndarray, start: float, arm: Arm
) -> np.ndarray:
    """Hours at which each person leaves by one law, ``(n,)``, infinite for who does not."""
    chance = population.uniforms_of(seed, f"leaving {purpose}", subjects)[:, 0]
    if law.by == "side-effects":
        scale = arm.protocol.scale(str(law.scale))
        points = course.felt if scale.name == "CADSS" else course.true[scale.name]
        above = _first(points > law.above, course.times)
        return np.where(chance < law.share, above, np.inf)
    assert law.until is not None
    rate = -np.log1p(-law.share) / law.until
    patience = -np.log1p(-chance)
    if law.by == "random":
        return np.asarray(start + patience / rate)
    name = arm.protocol.scale(str(law.scale)).name
    assert law.at is not None and law.ratio is not None
    values = course.scores[name] if law.by == "score" else course.true[name]
    hazard = rate * np.exp(np.log(law.ratio) * (values - law.at))
    hazard = np.where(np.isfinite(hazard), hazard, 0.0)
    # the last score that was written down, until the next one; or the present state, which changes between two ratings
    between = hazard[:, :-1] if law.by == "score" else 0.5 * (hazard[:, :-1] + hazard[:, 1:])
    return _crossing(between, course.times, patience)


def _crossing(hazard: np.ndarray, times: np.ndarray, patience: np.ndarray) -> np.ndarray:
    """Hours at which the cumulated ``hazard`` (n, V - 1) between ``times`` (V,) passes the ``patience`` (n,)."""
    steps = hazard * np.diff(times)
    total = np.cumsum(steps, axis=1)
    over = total >= patience[:, None]
    k = over.argmax(axis=1)
    rows = np.arange(len(patience))
    before = total[rows, k] - steps[rows, k]
    with np.errstate(divide="ignore", invalid="ignore"):
        inside = times[k] + (patience - before) / hazard[rows, k]
    return np.where(over.any(axis=1), inside, np.inf)


def relapses(event: RelapseEvent, course: Course, arm: Arm) -> np.ndarray:
    """Hours of the first visit at which someone who responded before is seen relapsed, infinite where nobody does."""
    scale = arm.protocol.scale(event.scale)
    scores, base = course.scores[scale.name], course.scores[scale.name][:, :1]
    drop = scale.response_drop if event.drop is None else event.drop
    seen = course.seen
    best = np.minimum.accumulate(np.where(seen, scores, np.inf), axis=1)
    before = np.concatenate([base, best[:, :-1]], axis=1)
    responded = before <= (1 - drop) * base + 1e-9
    worse = scores >= event.above if event.above is not None else scores - before >= (event.lost or 0) * (base - before)
    return _first(responded & worse & seen, course.times)


def changed_doses(
    arm: Arm, people: People, course: Course, taken: Taken | None, behaviour: Behaviour
) -> tuple[np.ndarray, Taken]:
    """Who takes other doses than they were solved with, ``(k,)`` positions, and what everybody takes now."""
    n = len(people)
    now = taken or Taken(np.full(n, np.inf))
    stop = np.minimum(now.stop, np.minimum(course.events["discontinuation"], course.events["dropout"]))
    doses = [t for dose in arm.planned if dose.why == "scheduled" for t in dose.times]
    last = max(doses, default=-np.inf)
    fewer = (stop < now.stop) & (stop <= last)
    rescue, more = behaviour.rescue, now.more
    begins = np.full(n, np.inf)
    if rescue is not None and rescue.dose is not None:
        known = more[0].times[0] if more else np.full(n, np.nan)
        fresh = np.isfinite(course.events["rescue"]) & ~np.isfinite(np.asarray(known, float))
        begins = np.where(fresh, course.events["rescue"], np.inf)
        if fresh.any():
            more = _rescue_doses(arm, people, course.events["rescue"], behaviour)
    who = np.flatnonzero(fewer | np.isfinite(begins))
    return who, replace(now, stop=stop, more=more)


def _rescue_doses(arm: Arm, people: People, begin: np.ndarray, behaviour: Behaviour) -> tuple[DoseRecord, ...]:
    assert behaviour.rescue is not None and behaviour.rescue.dose is not None
    written = behaviour.rescue.dose
    dose = Dose.model_construct(
        drug=written.drug, route=written.route, into=None, amount=written.amount, over=written.over, at=(0.0,), every=None,
        times=None, until=None, sprays=written.sprays, per_spray=None, apart=None, note="",
    )  # fmt: skip
    last = max(arm.protocol.study.visits)
    count = 1 if written.every is None else written.times or 100_000
    times = []
    for k in range(count):
        time = np.where(np.isfinite(begin), begin + (written.every or 0.0) * k, np.nan)
        time = np.where(time <= (last if written.until is None else min(last, written.until)), time, np.nan)
        if not np.isfinite(time).any():
            break
        times.append(time)
    return (dose_record(arm.plan(RESCUE, "rescue", dose), people, times),)


def of_some(taken: Taken | None, who: np.ndarray) -> Taken | None:
    """What some of the people (k,) take."""
    if taken is None:
        return None
    more = tuple(
        replace(
            record, times=tuple(np.asarray(t)[who] if np.ndim(t) else t for t in record.times),
            amounts=replace(record.amounts, each=record.amounts.each[who]),
        )
        for record in taken.more
    )  # fmt: skip
    return Taken(taken.stop[who], {place: miss[who] for place, miss in taken.miss.items()}, more)


def _first(meets: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Hours of the first rating at which something holds, ``(n,)``, infinite where it never does."""
    return np.where(meets.any(axis=1), times[meets.argmax(axis=1)], np.inf)


def _subjects(people: People) -> np.ndarray:
    return people.covariates["subject"].to_numpy(np.int64)

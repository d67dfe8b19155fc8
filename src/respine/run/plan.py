"""What a run will do and cost, before anything is written."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from respine import trial
from respine.errors import InputError, argument
from respine.library import Library
from respine.model.system import System
from respine.population import People
from respine.protocol import Protocol, resolve
from respine.protocol.output_times import output_times
from respine.protocol.settings import PRECISION
from respine.protocol.silent import without_effect
from respine.run import machine, speed
from respine.run.cohort import Cohort
from respine.study import load, require_result
from respine.study.schema import MOST_SEED, MOST_SUBJECTS, Study

if TYPE_CHECKING:
    from respine import engine

SHARD_SECONDS = 2.0  # of one core: what is lost at most when a run is stopped, and far more than it takes to hand out
MOST_SHARD, LEAST_SHARD = 5000, 100  # people of one arm
MOST_NUMBERS = 10_000_000  # of a shard's trajectories: 80 MB
KEEP = 100  # people of an arm whose trajectories are kept
MOST_DRAWS = 200  # draws of the uncertain typical values
PEOPLE_PER_DRAW = 10  # fewer leave the spread between draws in the noise of their people, more leave too few draws
STAGE_MOMENTS = 10  # to stop at a decision and go on costs about as much as keeping so many moments


@dataclass(frozen=True)
class Shard:
    """People ``first`` to ``last`` (excluded) of one arm: the unit of work that is written once."""

    number: int
    arm: str
    first: int
    last: int

    @property
    def name(self) -> str:
        """Name of its folder."""
        return f"{self.number:05d}"

    @property
    def people(self) -> range:
        """The subjects' numbers."""
        return range(self.first, self.last)


@dataclass(frozen=True)
class Plan:
    """A study made ready to run: its protocol, what is recorded when, its shards, and what it will cost (estimates).

    ``equations`` of ``equations_before`` are left after specialisation (the largest arm); ``work`` counts people times
    equations times days (and a tenth for every moment kept); ``seconds``, of them those ``compiling`` code that is not kept on
    this machine yet, and MB of disk (``megabytes``, ``passing`` more until the end) and ``memory`` are rough; ``times`` hours;
    ``vary`` the parameters that differ between people; ``keep``: people of each arm whose trajectories are kept; ``precision``
    float64 or float32; ``notes``: what the study writes that changes nothing, in sentences.
    """

    protocol: Protocol
    outputs: tuple[str, ...]
    vary: tuple[str, ...]
    times: np.ndarray
    shards: tuple[Shard, ...]
    draws: int
    threads: int
    equations: int
    equations_before: int
    work: float
    seconds: float
    megabytes: float
    notes: tuple[str, ...] = ()
    """What the study writes that changes nothing, in sentences."""
    memory: float = 0.0
    keep: int = KEEP
    precision: str = PRECISION
    compiling: float = 0.0
    passing: float = 0.0

    @property
    def study(self) -> Study:
        """The study that is run."""
        return self.protocol.study

    @property
    def people(self) -> int:
        """Trajectories to compute: people times arms."""
        return sum(shard.last - shard.first for shard in self.shards)

    def people_of(self, arm: str, numbers: range) -> People:
        """The people of one arm with these numbers."""
        return self.protocol.arm(arm).people(numbers, draw=draws_of(numbers))

    def shared_people(self, arm: str, numbers: range) -> People:
        """The same, drawn once for all arms in which they do not differ."""
        asked = self.protocol.arm(arm).asked
        return self._cohort.people((asked.genotype, asked.parameters), numbers, lambda: self.people_of(arm, numbers))

    def first_alone(self, arm: str) -> AbstractContextManager[None]:
        """For the first shard of an arm to be solved: nobody else enters until it is done."""
        return self._cohort.first_alone(arm)

    @cached_property
    def _cohort(self) -> Cohort:
        return Cohort()

    @property
    def kept_subjects(self) -> np.ndarray:
        """Numbers of the people whose trajectories are kept: evenly spread, the same in every arm."""
        return np.unique(np.linspace(0, self.study.subjects - 1, min(self.keep, self.study.subjects)).astype(np.int64))

    def in_turn(self) -> list[Shard]:
        """The shards in the order of work: the same people of all arms one after the other, so that they are drawn once
        and a run that is stopped has as many people in every arm."""
        place = {arm: k for k, arm in enumerate(self.study.arms)}
        return sorted(self.shards, key=lambda shard: (shard.first, place[shard.arm]))

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def __repr__(self) -> str:
        return f"Plan: {self}"

    def __str__(self) -> str:
        study = self.study
        days = (self.times[-1] - self.times[0]) / 24
        span = f"{days:.3g} d" if days >= 1 else f"{days * 24:.3g} h"
        arms = f"{len(study.arms)} arm{'s' if len(study.arms) != 1 else ''}"
        who = "people" if self.protocol.species == "human" else "subjects"
        return (
            f"{study.name}  {arms} x {study.subjects} {who}, {span}, "
            f"{self.equations} equations (specialised from {self.equations_before}), "
            f"about {speed.duration_text(self.seconds)} and {max(1, round(self.megabytes))} MB of disk"
        )


def plan(
    study: Protocol | Study | str | Path, subjects: int | None = None, seed: int | None = None, threads: int | None = None,
    *, shard: int | None = None, keep: int | None = None, precision: str = PRECISION, system: System | None = None,
    library: Library | None = None,
) -> Plan:  # fmt: skip
    """Prepare a study: ``subjects`` per arm and ``seed`` replace those of the study. Nothing is written or simulated.

    ``shard``: people of one arm that are simulated and written together, chosen by cost where it is left out; ``keep``:
    people of each arm whose trajectories are kept (100); ``precision``: float64, or float32, which is faster and checks
    itself. Raises InputError where the study, its population or model cannot be run as written.
    """
    threads = _threads(threads)
    for name, value, least in (("shard", shard, 1), ("keep", keep, 0)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
            why = f"It must be a whole number, {least} or more."
            raise InputError(argument(name, value, why, "Give another number, or leave it out."))
    if precision not in ("float64", "float32"):
        raise InputError(argument("precision", precision, "There are two: float64 and float32.", "Give one of them."))
    protocol = _protocol(study, subjects, seed, system, library)
    study = protocol.study
    require_result(study)
    outputs = tuple(trial.required_outputs(protocol))
    times = output_times(protocol)
    draws = int(np.clip(study.subjects // PEOPLE_PER_DRAW, 1, MOST_DRAWS))
    few = range(min(2, study.subjects))
    vary: dict[str, None] = {}
    live, work, compiling = 0, 0.0, 0.0
    fresh: set[str] = set()
    schedules: list[engine.Schedule] = []
    moments: list[int] = []  # kept, and what it takes to stop and go on at a decision
    for arm in protocol.arms.values():
        people = arm.people(few, draw=draws_of(few))
        vary |= dict.fromkeys(map(str, people.parameters.columns))
        schedules.append(arm.schedule(people, given=() if arm.rules else None))
        moments.append(len(times) + STAGE_MOMENTS * len(arm.decision_times))
    solver = protocol.solver(outputs, tuple(vary), precision=precision)
    days = (float(times[-1]) - protocol.begin) / 24
    for schedule, kept in zip(schedules, moments, strict=True):
        equations = len(solver.live_states(schedule))
        live = max(live, equations)
        key = _kept_code(solver, schedule)
        if key is not None and key not in fresh:
            fresh.add(key)
            compiling += speed.COMPILE_SECONDS + speed.COMPILE_EQUATION * equations
        work += study.subjects * equations * (days + kept / 10)
    each = work / study.subjects / len(study.arms)  # of one person in one arm
    if shard is None:
        shard = _shard_people(study.subjects, each, len(times) * len(outputs))
    kept = KEEP if keep is None else keep
    made = tuple(_shards(study, shard))
    cost = speed.estimate(
        people=study.subjects * len(study.arms), arms=len(study.arms), work=work, numbers=len(times) * len(outputs),
        columns=len(vary), scores=len(times_of_scores(study)) * max(1, len(study.observe)), shard=min(shard, study.subjects),
        keep=min(kept, study.subjects) * len(study.arms), workers=min(threads, machine.cores()), shards=len(made),
        compiling=compiling,
    )  # fmt: skip
    return Plan(
        protocol=protocol, outputs=outputs, vary=tuple(vary), times=times, shards=made,
        draws=draws, threads=threads, equations=live, equations_before=len(protocol.system.states), work=work,
        seconds=cost.seconds, megabytes=cost.disk, memory=cost.memory, keep=kept, precision=precision,
        compiling=cost.compiling, passing=cost.passing, notes=(*without_effect(protocol, outputs), *_of_trials(study)),
    )  # fmt: skip


def _kept_code(solver: engine.Solver, schedule: engine.Schedule) -> str | None:
    """The key of the machine code that a schedule needs, None where it is kept on this machine."""
    from respine.engine.codegen.code import cache_key
    from respine.engine.codegen.machine import read_cached

    setup = solver.setup
    key = cache_key(setup.system, solver.requirements(schedule), setup.values, setup.options.method, setup.target)
    return None if read_cached(key, ".ir") is not None else key


def times_of_scores(study: Study) -> np.ndarray:
    """Hours at which scores are written down."""
    return trial.rating_times(study)


def _shard_people(subjects: int, work: float, numbers: int) -> int:
    """People of a shard, decided by the study alone so that it is the same on every machine; shards of even size."""
    by_time, by_memory = SHARD_SECONDS / (work * speed.USUAL + speed.PERSON), MOST_NUMBERS / numbers
    most = int(min(max(min(by_time, by_memory), LEAST_SHARD), MOST_SHARD))
    return math.ceil(subjects / math.ceil(subjects / most))


def _of_trials(study: Study) -> list[str]:
    """What a study says of its trial that a run of virtual people leaves aside."""
    fields = [name for name in ("behaviour", "trial") if getattr(study, name) is not None]
    if not fields:
        return []
    return [
        f"{' and '.join(fields)} of the study act in simulated trials (respine power, rs.trials); here everybody stays to the end"
    ]


def draws_of(people: range) -> np.ndarray:
    """The parameter draw that each person belongs to, ``(n,)``: told by the person's number alone, so that a run of more people
    holds those of a smaller one."""
    return np.arange(people.start, people.stop) // PEOPLE_PER_DRAW % MOST_DRAWS


def _protocol(
    study: Protocol | Study | str | Path, subjects: int | None, seed: int | None, system: System | None,
    library: Library | None,
) -> Protocol:  # fmt: skip
    changes: dict[str, Any] = {k: v for k, v in (("subjects", subjects), ("seed", seed)) if v is not None}
    for name, value in changes.items():
        low, high = (1, MOST_SUBJECTS) if name == "subjects" else (0, MOST_SEED)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            why = f"It must be a whole number from {low} to {high}."
            raise InputError(argument(name, value, why, "Give another number."))
    if isinstance(study, Protocol):
        return study.with_study(**changes) if changes else study
    if not isinstance(study, Study):
        study = load(study) if library is None else load(study, library)
    return resolve(study.replace(**changes) if changes else study, library, system)


def _shards(study: Study, size: int) -> Iterator[Shard]:
    number = 0
    for arm in study.arms:
        for first in range(0, study.subjects, size):
            yield Shard(number, arm, first, min(first + size, study.subjects))
            number += 1


def _threads(threads: int | None) -> int:
    if threads is None:
        return machine.cores()
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        why = "Threads are counted from 1."
        raise InputError(argument("threads", threads, why, "Give a number, or leave it out."))
    return threads

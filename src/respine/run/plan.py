"""What a run will do and cost, before anything is written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
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
from respine.protocol.silent import without_effect
from respine.run import speed
from respine.study import load, require_result
from respine.study.schema import MOST_SEED, MOST_SUBJECTS, Study

if TYPE_CHECKING:
    from respine import engine

SHARD = 500  # people of one arm: large enough to fill the lanes, small enough that little is lost when a run is stopped
MOST_DRAWS = 200  # draws of the uncertain typical values
PEOPLE_PER_DRAW = 10  # fewer leave the spread between draws in the noise of their people, more leave too few draws
FIXED_SECONDS = 3.0  # tables and report
ARM_SECONDS = 0.5  # fetching the machine code and putting an arm together
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
    equations times days (and a tenth for every moment kept); ``seconds`` and ``megabytes`` (of disk) are rough;
    ``times`` hours; ``vary`` the parameters that differ between people.
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
            f"about {speed.words(self.seconds)} and {max(1, round(self.megabytes))} MB of disk"
        )


def plan(
    study: Protocol | Study | str | Path, subjects: int | None = None, seed: int | None = None, threads: int | None = None,
    *, shard: int = SHARD, system: System | None = None, library: Library | None = None,
) -> Plan:  # fmt: skip
    """Prepare a study: ``subjects`` per arm and ``seed`` replace those of the study. Nothing is written or simulated.

    Raises InputError where the study, its population or model cannot be run as written.
    """
    threads = _threads(threads)
    protocol = _protocol(study, subjects, seed, system, library)
    study = protocol.study
    require_result(study)
    outputs = tuple(trial.required_outputs(protocol))
    times = output_times(protocol)
    draws = int(np.clip(study.subjects // PEOPLE_PER_DRAW, 1, MOST_DRAWS))
    few = range(min(2, study.subjects))
    vary: dict[str, None] = {}
    live, work = 0, 0.0
    schedules: list[engine.Schedule] = []
    moments: list[int] = []  # kept, and what it takes to stop and go on at a decision
    for arm in protocol.arms.values():
        people = arm.people(few, draw=draws_of(few))
        vary |= dict.fromkeys(map(str, people.parameters.columns))
        schedules.append(arm.schedule(people, given=() if arm.rules else None))
        moments.append(len(times) + STAGE_MOMENTS * len(arm.decision_times))
    solver = protocol.solver(outputs, tuple(vary))
    days = (float(times[-1]) - protocol.begin) / 24
    for schedule, kept in zip(schedules, moments, strict=True):
        equations = len(solver.live_states(schedule))
        live = max(live, equations)
        work += study.subjects * equations * (days + kept / 10)
    cells = study.subjects * len(study.arms)
    size = cells * (len(times) * len(outputs) * 4 + len(vary) * 8 + 200 * max(1, len(study.observe)))
    return Plan(
        protocol=protocol, outputs=outputs, vary=tuple(vary), times=times, shards=tuple(_shards(study, shard)),
        draws=draws, threads=threads, equations=live, equations_before=len(protocol.system.states), work=work,
        seconds=FIXED_SECONDS + ARM_SECONDS * len(study.arms)
        + work * speed.seconds_per_unit() / min(threads, os.cpu_count() or 1),
        megabytes=size / 1e6, notes=tuple(without_effect(protocol, outputs)),
    )  # fmt: skip


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
        return os.cpu_count() or 1
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        why = "Threads are counted from 1."
        raise InputError(argument("threads", threads, why, "Give a number, or leave it out."))
    return threads

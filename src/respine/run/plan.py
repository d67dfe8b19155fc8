"""What a run will do and cost, before anything is written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from respine import engine, model, trial
from respine import study as studies
from respine.engine.equations.specialise import specialise
from respine.errors import InputError, Problem
from respine.model.system import System
from respine.population import People
from respine.run import speed
from respine.run.grid import output_times
from respine.study.schema import Study

SHARD = 500  # people of one arm: large enough to fill the lanes, small enough that little is lost when a run is stopped
MOST_DRAWS = 200  # draws of the uncertain typical values
PEOPLE_PER_DRAW = 20  # enough to tell people and parameters apart
FIXED_SECONDS = 3.0  # tables and report
ARM_SECONDS = 0.5  # fetching the machine code and putting an arm together
RTOL = 1e-5
PRECISION = "float64"
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
    """A study made ready to run: its system, what is recorded when, its shards, and what it will cost (estimates).

    ``equations`` of ``equations_before`` are left after specialisation (the largest arm); ``work`` counts people times
    equations times days (and a tenth for every moment kept); ``seconds`` and ``megabytes`` (of disk) are rough;
    ``times`` hours; ``vary`` the parameters that differ between people.
    """

    study: Study
    system: System
    outputs: tuple[str, ...]
    vary: tuple[str, ...]
    times: np.ndarray
    begin: float
    shards: tuple[Shard, ...]
    draws: int
    threads: int
    equations: int
    equations_before: int
    work: float
    seconds: float
    megabytes: float

    @property
    def people(self) -> int:
        """Trajectories to compute: people times arms."""
        return sum(shard.last - shard.first for shard in self.shards)

    def people_of(self, arm: str, numbers: range) -> People:
        """The people of one arm with these numbers."""
        return studies.people(self.study, arm, self.system, numbers, n_draws=self.draws)

    def solver(self, outputs: tuple[str, ...] | None = None) -> engine.Solver:
        """One solver for all arms; what no arm uses is cut from the equations. ``outputs`` stand in for the plan's."""
        options = engine.Options(precision=PRECISION, nonnegative=True)
        return engine.build(self.system, outputs=outputs or self.outputs, vary=self.vary, options=options)

    def __str__(self) -> str:
        study = self.study
        days = (self.times[-1] - self.times[0]) / 24
        span = f"{days:.3g} d" if days >= 1 else f"{days * 24:.3g} h"
        arms = f"{len(study.arms)} arm{'s' if len(study.arms) != 1 else ''}"
        return (
            f"{study.name}  {arms} x {study.subjects} people, {span}, "
            f"{self.equations} equations (specialised from {self.equations_before}), "
            f"about {speed.words(self.seconds)} and {max(1, round(self.megabytes))} MB of disk"
        )


def plan(
    study: Study | str | Path, subjects: int | None = None, seed: int | None = None, threads: int | None = None, *,
    shard: int = SHARD, system: System | None = None,
) -> Plan:  # fmt: skip
    """Prepare a study: ``subjects`` per arm and ``seed`` replace those of the file. Nothing is written or simulated.

    Raises InputError where the study, its population or model cannot be run as written.
    """
    if not isinstance(study, Study):
        study = studies.load(study)
    study = studies.change(study, subjects=subjects, seed=seed)
    studies.require_result(study)
    threads = _threads(threads)
    system = system or model.load(study.model)
    known = {*system.states, *system.rules, *system.parameters, *system.inputs}
    outputs = trial.required_outputs(study, known)
    times = output_times(study)
    draws = int(np.clip(study.subjects // PEOPLE_PER_DRAW, 1, MOST_DRAWS))
    few = range(min(2, study.subjects))
    vary: dict[str, None] = {}
    live, work = 0, 0.0
    asks: list[Any] = []
    moments: list[int] = []  # kept, and what it takes to stop and go on at a decision
    for arm in study.arms:
        people = studies.people(study, arm, system, few, n_draws=draws)
        vary |= dict.fromkeys(map(str, people.parameters.columns))
        given = () if studies.rules_of(study, arm) else None
        asks.append(studies.schedule(study, arm, people, system, given=given))
        moments.append(len(times) + STAGE_MOMENTS * len(studies.decision_times(study, arm)))
    solver = engine.build(system, outputs=outputs, vary=tuple(vary))
    begin = min(studies.begins(study), float(times[0]))
    days = (float(times[-1]) - begin) / 24
    for schedule, kept in zip(asks, moments, strict=True):
        equations = len(specialise(system, solver.ask(schedule), solver.values).states)
        live = max(live, equations)
        work += study.subjects * equations * (days + kept / 10)
    cells = study.subjects * len(study.arms)
    size = cells * (len(times) * len(outputs) * 4 + len(vary) * 8 + 200 * max(1, len(study.observe)))
    return Plan(
        study=study, system=system, outputs=tuple(outputs), vary=tuple(vary), times=times, begin=begin,
        shards=tuple(_shards(study, shard)), draws=draws, threads=threads,
        equations=live, equations_before=len(system.states),
        work=work,
        seconds=FIXED_SECONDS + ARM_SECONDS * len(study.arms)
        + work * speed.seconds_per_unit() / min(threads, os.cpu_count() or 1),
        megabytes=size / 1e6,
    )  # fmt: skip


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
        raise InputError(
            Problem(
                "command line",
                "--threads",
                str(threads),
                "Threads are counted from 1.",
                "Give a number, or leave it out.",
            )
        )
    return threads

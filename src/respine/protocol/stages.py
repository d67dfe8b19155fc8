"""A run whose rules decide: solved from one decision time to the next, and what rules give is added in between.

Each stage starts from the states at the decision time; what was given before and still acts goes on (an infusion with its
rest, an input at its level). All stages have the same equations, so that machine code is made once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

import numpy as np

from respine.population import People
from respine.protocol.arm import Arm
from respine.protocol.decisions import Decisions, Observed
from respine.protocol.doses import Taken
from respine.protocol.rule_doses import Given
from respine.protocol.settings import PRECISION, RUN_RTOL

if TYPE_CHECKING:
    from respine import engine

Progress = Callable[[int, int], None]


class Scores(Protocol):
    """What rules look at: the observed scores at a decision time."""

    def at(self, time: float, solution: engine.Solution, given: Sequence[Given]) -> Mapping[str, Observed]:
        """Observed scores by scale at ``time``, given the trajectories up to then and the doses rules gave."""
        ...


def solve_in_stages(
    arm: Arm, people: People, outputs: Sequence[str], times: np.ndarray, scores: Scores, decisions: Decisions, *,
    vary: Sequence[str], threads: int | None = None, progress: Progress | None = None, taken: Taken | None = None,
    precision: str = PRECISION,
) -> engine.Solution:  # fmt: skip
    """Solve people of an arm with its rules at work; ``decisions`` then holds what was decided and given.

    A person whose simulation fails is named with the stage's time and reason, and takes part in no further decision; nor does
    one who has stopped (``taken``).
    """
    from respine.engine import Status

    stages = _Stages(arm, people, outputs, times, vary, threads, taken, precision)
    edges = [arm.protocol.begin, *map(float, decisions.times), float(times[-1])]
    for k, (start, end) in enumerate(pairwise(edges)):
        if k > 0:
            able = stages.status == Status.OK
            if taken is not None:
                able = able & (taken.stop > start)
            decisions.decide(start, scores.at(start, stages.solution(), decisions.given), able)
            decisions.give_until(start, np.inf if k == len(edges) - 2 else end, able)
        stages.solve(start, end, decisions.given, _share(progress, k, len(edges) - 1, len(people)))
    return stages.solution()


class _Stages:
    """The trajectories of some people so far, and the states they have now."""

    def __init__(
        self,
        arm: Arm,
        people: People,
        outputs: Sequence[str],
        times: np.ndarray,
        vary: Sequence[str],
        threads: int | None,
        taken: Taken | None = None,
        precision: str = PRECISION,
    ) -> None:
        self.taken, self.precision = taken, precision
        self.arm, self.people, self.times, self.vary, self.threads = arm, people, times, tuple(vary), threads
        self.kept = tuple(outputs)
        n, begin = len(people), arm.protocol.begin
        first = arm.protocol.solver(self.kept, self.vary, precision=precision)
        self.live = first.code(
            first.requirements(arm.schedule(people, given=[], since=begin, until=begin, taken=taken))
        ).states
        self.outputs = tuple(dict.fromkeys((*self.kept, *self.live)))
        self.values = np.full((n, len(times), len(self.kept)), np.nan)
        self.status, self.steps = np.zeros(n, np.int8), np.zeros((n, 2), np.int64)
        self.initial: dict[str, np.ndarray] = {}
        self.failures: list[engine.Failure] = []
        self.last: engine.Solution | None = None
        self.reached = -np.inf

    def solve(self, start: float, end: float, given: Sequence[Given], progress: Progress | None = None) -> None:
        """Go on from ``start`` to ``end``, both kept; what is solved already is not solved again."""
        inside = np.flatnonzero((self.times > self.reached) & (self.times <= end))
        if not len(inside):  # the last decision falls on the last moment: nobody sees what it does
            return
        schedule = self.arm.schedule(self.people, given=given, since=start, until=end, taken=self.taken)
        part = self.arm.solve(
            self.people, self.outputs, self.times[inside], vary=self.vary, begin=start, schedule=schedule, rtol=RUN_RTOL,
            threads=self.threads, progress=progress, initial=self.initial, precision=self.precision,
        )  # fmt: skip
        self.values[:, inside] = part.values[:, :, : len(self.kept)]
        fresh = (self.status == 0) & (np.asarray(part.status) != 0)
        self.failures += [failure for failure in part.failures if fresh[failure.subject]]
        self.status[fresh] = np.asarray(part.status)[fresh]
        self.steps += part.steps
        self.initial = {name: part[name][:, -1] for name in self.live}
        self.last, self.reached = part, end

    def solution(self) -> engine.Solution:
        """The trajectories up to the moment that is reached, NaN after it."""
        assert self.last is not None
        return replace(
            self.last, values=self.values, times=self.times, outputs=self.kept, status=self.status, steps=self.steps,
            failures=sorted(self.failures, key=lambda failure: failure.subject),
        )  # fmt: skip


def _share(progress: Progress | None, stage: int, stages: int, people: int) -> Progress | None:
    """Progress within one of several stages, in people."""
    if progress is None:
        return None
    return lambda done, total: progress(int(people * (stage + done / max(1, total)) / stages), people)

"""An arm with rules: its people are solved from one decision time to the next, and what rules give is added in between.

Each stage starts from the states at the decision time; what was given before and still acts goes on (an infusion with its
rest, an input at its level). All stages have the same equations, so that machine code is made once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np

from respine import engine, trial
from respine import study as studies
from respine.population import People
from respine.run.plan import RTOL, Plan

Progress = Callable[[int, int], None]


def carry_out(
    plan: Plan, arm: str, people: People, parameters: np.ndarray, threads: int, progress: Progress | None
) -> tuple[engine.Solution, studies.Decisions]:
    """Solve people of an arm with its rules at work. Returns their trajectories and what was decided.

    ``parameters`` is ``(n_people, n_vary)``. A person whose simulation fails is named with the stage's time and reason, and
    takes part in no further decision.
    """
    decisions = studies.Decisions(plan.study, arm, people)
    seen = trial.Seen(plan.study, arm, people, decisions.times, decisions.scales())
    stages = _Stages(plan, arm, people, parameters, threads)
    edges = [plan.begin, *map(float, decisions.times), float(plan.times[-1])]
    for k, (start, end) in enumerate(pairwise(edges)):
        if k > 0:
            able = stages.status == engine.Status.OK
            decisions.decide(start, seen.at(start, stages.solution(), decisions.given), able)
            decisions.give_until(start, np.inf if k == len(edges) - 2 else end, able)
        stages.solve(start, end, decisions.given, _share(progress, k, len(edges) - 1, len(people)))
    return stages.solution(), decisions


def in_one_go(
    plan: Plan, arm: str, people: People, parameters: np.ndarray, given: list[studies.Given], threads: int
) -> engine.Solution:
    """The same people with the doses that rules gave as fixed doses, without stages: the check of a ledger."""
    schedule = studies.schedule(plan.study, arm, people, plan.system, given=given)
    return plan.solver().solve(parameters, schedule, plan.times, start=plan.begin, rtol=RTOL, threads=threads)


class _Stages:
    """The trajectories of some people so far, and the states they have now."""

    def __init__(self, plan: Plan, arm: str, people: People, parameters: np.ndarray, threads: int) -> None:
        self.plan, self.arm, self.people, self.parameters, self.threads = plan, arm, people, parameters, threads
        n = len(people)
        ask = plan.solver()
        self.live = ask.code(ask.ask(self._schedule([], plan.begin, plan.begin))).states
        self.outputs = tuple(dict.fromkeys((*plan.outputs, *self.live)))
        self.solver = plan.solver(self.outputs)
        self.values = np.full((n, len(plan.times), len(plan.outputs)), np.nan)
        self.status, self.steps = np.zeros(n, np.int8), np.zeros((n, 2), np.int64)
        self.initial: dict[str, np.ndarray] = {}
        self.failures: list[engine.Failure] = []
        self.last: engine.Solution | None = None
        self.reached = -np.inf

    def _schedule(self, given: list[studies.Given], since: float, until: float) -> engine.Schedule:
        return studies.schedule(
            self.plan.study, self.arm, self.people, self.plan.system, given=given, since=since, until=until
        )

    def solve(self, start: float, end: float, given: list[studies.Given], progress: Progress | None = None) -> None:
        """Go on from ``start`` to ``end``, both kept; what is solved already is not solved again."""
        times = self.plan.times
        inside = np.flatnonzero((times > self.reached) & (times <= end))
        if not len(inside):  # the last decision falls on the last moment: nobody sees what it does
            return
        part = self.solver.solve(
            self.parameters, self._schedule(given, start, end), times[inside], start=start, rtol=RTOL, threads=self.threads,
            initial=self.initial, progress=progress,
        )  # fmt: skip
        self.values[:, inside] = part.values[:, :, : len(self.plan.outputs)]
        fresh = (self.status == 0) & (np.asarray(part.status) != 0)
        self.failures += [one for one in part.failures if fresh[one.subject]]
        self.status[fresh] = np.asarray(part.status)[fresh]
        self.steps += part.steps
        self.initial = {name: part[name][:, -1] for name in self.live}
        self.last, self.reached = part, end

    def solution(self) -> engine.Solution:
        """The trajectories up to the moment that is reached, NaN after it."""
        assert self.last is not None
        return replace(
            self.last, values=self.values, times=self.plan.times, outputs=self.plan.outputs, status=self.status,
            steps=self.steps, failures=sorted(self.failures, key=lambda one: one.subject),
        )  # fmt: skip


def _share(progress: Progress | None, stage: int, stages: int, people: int) -> Progress | None:
    """Progress within one of several stages, in people."""
    if progress is None:
        return None
    return lambda done, total: progress(int(people * (stage + done / max(1, total)) / stages), people)

"""People of one arm from the first dose to their last score: solved, believed, behaving, observed; as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from respine.engine import Solution
from respine.population import People
from respine.protocol import Arm, Decisions, Given, Protocol, Taken
from respine.protocol.output_times import output_times, rating_times
from respine.protocol.protocol import FELT
from respine.protocol.stages import solve_in_stages
from respine.trial import expectancy
from respine.trial.interim import InterimScores
from respine.trial.observe import (
    baseline_scores,
    observed_scales,
    positions,
    required_outputs,
    residual,
    strongest_felt,
    true_scores,
    with_effect,
)
from respine.trial.replicates import behave
from respine.trial.setting import drawn, drawn_scale, regression


@dataclass
class Course:
    """What became of some people of one arm.

    ``times`` (V,) hours of the ratings, the baseline first; ``scores`` as written down and ``true`` without error by scale,
    ``(n, V)``; ``belief`` 0-1 of having got the drug and ``felt`` points, ``(n, V)``; ``ok`` (n,) who was simulated to the end;
    ``events``: hours of each kind of event, ``(n,)``, infinite where it did not happen. Scores are those of everybody at every
    rating: what is not seen after dropout is for the analysis to leave out (``seen``).
    """

    subject: np.ndarray
    times: np.ndarray
    scores: dict[str, np.ndarray]
    true: dict[str, np.ndarray]
    felt: np.ndarray
    belief: np.ndarray
    ok: np.ndarray
    events: dict[str, np.ndarray] = field(default_factory=dict)
    missed: np.ndarray | None = None
    people: People | None = None
    given: Sequence[Given] = ()
    taken: Taken | None = None

    @property
    def seen(self) -> np.ndarray:
        """Whether a rating took place, ``(n, V)``: not after dropout, not a missed visit, not of who could not be simulated."""
        there = np.broadcast_to(self.ok[:, None], (len(self.ok), len(self.times))).copy()
        there &= self.times[None, :] < self.events["dropout"][:, None]
        if self.missed is not None:
            there &= ~self.missed
        return there


class Cohort:
    """One arm made ready: its output times, its outputs, and how its people are followed.

    ``typical``: every typical value is the table's and expectancy has the library's numbers, so that nothing of the parameters'
    uncertainty is left.
    """

    def __init__(self, arm: Arm, *, typical: bool = False, threads: int | None = None) -> None:
        self.arm, self.typical, self.threads = arm, typical, threads
        self.protocol: Protocol = arm.protocol
        self.study = self.protocol.study
        self.times = rating_times(self.study)
        self.grid = output_times(self.protocol)
        self.outputs = tuple(required_outputs(self.protocol))
        felt = self.protocol.scale(FELT).output
        if felt not in self.outputs and felt in self.protocol.symbols:
            self.outputs = (*self.outputs, felt)
        # one machine code for all arms, with typical parameters and with drawn ones
        few = [arm.people(range(2), n_draws=1) for arm in self.protocol.arms.values()]
        self.vary = tuple(dict.fromkeys(str(name) for who in few for name in who.parameters.columns))
        self.scales = [self.protocol.scale(name) for name in observed_scales(self.protocol)]

    def people(self, subjects: np.ndarray, draw: np.ndarray) -> People:
        """These subjects (n,), each with the parameter draw (n,) of the trial they are in."""
        return self.arm.people(subjects, not self.typical, n_draws=1, draw=draw)

    def follow(self, people: People) -> Course:
        """What becomes of these people."""
        behaviour = self.study.behaviour
        taken = behave.planned_misses(self.arm, people, behaviour)
        course = self._once(people, taken)
        if behaviour is None:
            return course
        for _ in range(behave.MOST_PASSES):
            again, taken = behave.changed_doses(self.arm, people, course, taken, behaviour)
            if not len(again):
                break
            course = _merged(course, self._once(_some(people, again), behave.of_some(taken, again)), again)
            behave.note_events(self.arm, people, course, behaviour)
        course.taken = taken
        return course

    def _once(self, people: People, taken: Taken | None) -> Course:
        solution, given = self._solve(people, taken)
        course = self._observe(people, solution, given)
        course.people, course.taken = people, taken
        behave.note_events(self.arm, people, course, self.study.behaviour)
        return course

    def _solve(self, people: People, taken: Taken | None) -> tuple[Solution, Sequence[Given]]:
        arm, vary = self.arm, self.vary
        if arm.rules:
            decisions = Decisions(arm, people)
            scores = InterimScores(arm, people, decisions.times, decisions.scales())
            solution = solve_in_stages(
                arm, people, self.outputs, self.grid, scores, decisions, vary=vary, threads=self.threads, taken=taken
            )
            return solution, decisions.given
        schedule = arm.schedule(people, taken=taken)
        return arm.solve(
            people, self.outputs, self.grid, vary=vary, schedule=schedule, threads=self.threads
        ), ()  # fmt: skip

    def _observe(self, people: People, solution: Solution, given: Sequence[Given]) -> Course:
        study, subjects = self.study, people.covariates["subject"].to_numpy(np.int64)
        names, at = list(solution.outputs), positions(np.asarray(solution.times), self.times)
        shape = (len(subjects), len(self.times))
        felt = np.zeros(shape)
        scale = self.protocol.scale(FELT)
        known = scale.output in names
        if known:
            felt = strongest_felt(study, scale, subjects, solution.values[:, :, names.index(scale.output)])[:, at]
        typical = self.typical or not len(people)
        own = self.protocol.expectancy if typical else drawn(self.protocol, people.draw)
        gain, belief = expectancy.strength_and_belief(
            self.arm, subjects, self.times, felt if known else None, model=own, given=given
        )
        scores, true = {}, {}
        for scale in self.scales:
            if not typical:
                scale = drawn_scale(scale, study.seed, self.protocol.posterior, people.draw)
            output = solution.values[:, :, names.index(scale.output)][:, at]
            noise = residual(study, scale, self.arm.name, subjects, self.times)
            if scale.rule == "severity":
                output = with_effect(output, own.numbers.get("effect", 1.0))
                entry = baseline_scores(study, scale, people, subjects)
                noise = noise + regression(study, scale, subjects, self.times, entry, own.numbers)
            exact = true_scores(study, scale, people, subjects, output, gain if scale.rule == "severity" else None)
            rated = exact + noise
            if scale.rule == "severity":  # raters who want a person to enter rate the first visit too high
                rated[:, 0] += 0.0 if study.trial is None else study.trial.screening_inflation
            scores[scale.name] = scale.printed(rated)
            true[scale.name] = np.clip(exact, scale.low, scale.high)
        ok = np.asarray(solution.status) == 0
        nobody = {kind: np.full(len(subjects), np.inf) for kind in behave.KINDS}
        return Course(
            subjects, self.times, scores, true, felt, np.broadcast_to(np.asarray(belief, float), shape).copy(), ok,
            nobody, given=given,
        )  # fmt: skip


def _some(people: People, who: np.ndarray) -> People:
    return People(
        people.covariates.iloc[who].reset_index(drop=True), people.parameters.iloc[who].reset_index(drop=True),
        people.draw[who],
    )  # fmt: skip


def _merged(whole: Course, part: Course, who: np.ndarray) -> Course:
    """The course with what became of ``who`` (k,) replaced by another one."""
    for name in whole.scores:
        whole.scores[name][who], whole.true[name][who] = part.scores[name], part.true[name]
    whole.felt[who], whole.belief[who], whole.ok[who] = part.felt, part.belief, part.ok
    return whole

"""What is written down while a study runs, for its rules: scores at decision times, the same as at the visits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from respine import population
from respine.engine import Solution
from respine.files.constants import SAME_MOMENT_H
from respine.population import People
from respine.protocol import Arm, Given, Observed
from respine.protocol.output_times import rating_times
from respine.study.scales import Scale
from respine.study.schema import Study
from respine.trial.observe import baseline_scores, deviations, purposes, scores_at
from respine.trial.setting import drawn, drawn_scale, regression


class InterimScores:
    """The observed scores of one arm's people at decision times, as far as ``chosen`` scales go.

    At a visit it is the very score that the visit keeps. A decision time between visits has random numbers of its own,
    so that a rule that looks more often moves no number of a visit.
    """

    def __init__(self, arm: Arm, people: People, times: np.ndarray, chosen: Sequence[str]) -> None:
        self.arm, self.people, self.chosen = arm, people, tuple(chosen)
        self.study = study = arm.protocol.study
        subjects = people.covariates["subject"].to_numpy(np.int64)
        self.times = np.unique(np.concatenate([[float(study.start)], times]))
        self.own = drawn(arm.protocol, people.draw) if len(people) else arm.protocol.expectancy
        self.noise = {name: self._noise(name, subjects) for name in chosen}

    def _noise(self, name: str, subjects: np.ndarray) -> np.ndarray:
        study, protocol = self.study, self.arm.protocol
        scale = drawn_scale(protocol.scale(name), study.seed, protocol.posterior, self.people.draw)
        noise = residual_between(study, scale, self.arm.name, subjects, self.times)
        if scale.rule == "severity":
            entry = baseline_scores(study, scale, self.people, subjects)
            noise = noise + regression(study, scale, subjects, self.times, entry, self.own.numbers)
        return noise

    def at(self, time: float, solution: Solution, given: Sequence[Given]) -> dict[str, Observed]:
        """What is known at ``time`` of each scale; ``solution`` holds the trajectories up to then."""
        past = int(np.searchsorted(solution.times, time, side="right"))
        known = replace(solution, times=solution.times[:past], values=solution.values[:, :past])
        moments, observed = np.array([float(self.study.start), time]), {}
        columns = np.searchsorted(self.times, moments - SAME_MOMENT_H)
        true_scores = scores_at(self.arm, self.people, known, moments, self.chosen, given, self.own)
        for name, (scale, true) in zip(self.chosen, true_scores, strict=True):
            scores = scale.printed(true + self.noise[name][:, columns])
            observed[name] = Observed(scores[:, 1], scores[:, 0])
        return observed


def residual_between(study: Study, scale: Scale, arm: str, subjects: np.ndarray, times: np.ndarray) -> np.ndarray:
    """What ``observe.residual`` gives at the ratings, and at other ``times`` between them, ``(n_subjects, n_times)``.

    Between two ratings the fluctuation is drawn as what it is there given both (a bridge of the Ornstein-Uhlenbeck
    process), so that the ratings keep their numbers; the purposes of the new numbers carry the time.
    """
    ratings, slow = rating_times(study), scale.number("fluctuation_time")
    state, rater = deviations(study, scale, arm, subjects, ratings)
    day_purpose, rater_purpose = purposes(scale, arm)
    result = np.empty((len(subjects), len(times)))
    left, before = ratings[0], state[:, 0]  # the latest moment that is known, of either kind
    for j, time in enumerate(times):
        k = int(np.searchsorted(ratings, time - SAME_MOMENT_H))  # the next rating, or this one
        if k > 0 and ratings[k - 1] > left:
            left, before = ratings[k - 1], state[:, k - 1]
        if abs(ratings[k] - time) <= SAME_MOMENT_H:
            now, read = state[:, k], rater[:, k]
        else:
            fresh = [
                population.normals_of(study.seed, f"{purpose} at {time:.6f} h", subjects)[:, 0]
                for purpose in (day_purpose, rater_purpose)
            ]
            a, b = np.exp(-(time - left) / slow), np.exp(-(ratings[k] - time) / slow)
            whole = 1.0 - (a * b) ** 2
            mean = (a * (1 - b * b) * before + b * (1 - a * a) * state[:, k]) / whole
            now, read = mean + np.sqrt((1 - a * a) * (1 - b * b) / whole) * fresh[0], fresh[1]
        left, before = time, now
        result[:, j] = np.ravel(scale.number("fluctuation_sd")) * now + np.ravel(scale.number("rater_sd")) * read
    return result

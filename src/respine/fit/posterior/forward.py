"""From numbers to rows: what the model says of every target for many vectors ``z``, as residuals in standard errors."""

from __future__ import annotations

import dataclasses

import numpy as np

from respine.fit.block import residual
from respine.fit.cohort import CohortTargets
from respine.fit.posterior.numbers import Number, all_numbers, trial_numbers
from respine.fit.posterior.recipe import Joint
from respine.fit.recipe import Settings, Target, experiment
from respine.fit.typical import TypicalTargets
from respine.library import BUILT_IN
from respine.protocol.typical import typical_covariates
from respine.study import load, scales
from respine.trial.endpoints import of_study

COHORT_RTOL, TYPICAL_RTOL = 1e-3, 1e-4  # residuals move by 0.03 standard errors at most against a hundredth of these


class Forward:
    """All targets of a joint recipe for vectors of ``z``, ``(n, len(names))``: library numbers first, then trials' own.

    ``labels`` has the target of every residual, ``blocks`` its block. Random numbers of people are the same for every vector.
    """

    def __init__(self, joint: Joint, people: int | None = None, threads: int = 1) -> None:
        self.joint, settings = joint, joint.settings
        self.numbers: list[Number] = all_numbers()
        self.targets: list[Target] = [target for _, target in joint.targets]
        cohorts: dict[tuple[str, bool, tuple[tuple[str, float], ...]], list[int]] = {}
        for i, target in enumerate(self.targets):
            cohorts.setdefault((target.study, bool(target.endpoint), target.held), []).append(i)
        self.trials = list(dict.fromkeys(study for study, cohort, _ in cohorts if cohort))
        self.own = trial_numbers(self.trials)
        self.names = [number.name for number in self.numbers] + self.own
        free = [number.free for number in self.numbers if number.free.place.file.startswith("parameters/")]
        how = Settings(people=people or settings.people, replicates=settings.replicates)
        self.groups: list[tuple[list[int], TypicalTargets | CohortTargets, list[int]]] = []
        for (study, cohort, _), members in cohorts.items():
            of_study = [self.targets[i] for i in members]
            group: TypicalTargets | CohortTargets
            if cohort:
                level = not any(
                    scale_rule(study, target) == "severity" for target in of_study
                )  # skewed, and quickly computed
                mine_how = dataclasses.replace(how, people=4 * how.people) if level else how
                group = CohortTargets(study, of_study, free, mine_how, threads, trial_terms=True, rtol=COHORT_RTOL)
                _keep_what_moves(group)
                system = group.system
            else:
                group = TypicalTargets(
                    study, of_study, [number.free for number in self.numbers], threads, rtol=TYPICAL_RTOL
                )
                system = group.solved.system
            read = [
                j for j, number in enumerate(self.numbers)
                if number.free.moves(system) or not number.free.place.file.startswith("parameters/")
            ]  # fmt: skip
            self.groups.append((members, group, read))
        self.labels: list[int] = []
        self.evaluations = 0

    def predict(self, z: np.ndarray) -> list[np.ndarray]:
        """Per target ``(n,)`` or, for a curve, ``(n, n_points)``; NaN where the model cannot be computed."""
        n = len(z)
        columns = [number.values(z[:, j]) for j, number in enumerate(self.numbers)]
        extra = {name: z[:, len(self.numbers) + k] for k, name in enumerate(self.own)}
        predicted: list[np.ndarray] = [np.full(n, np.nan)] * len(self.targets)
        for members, group, read in self.groups:
            vectors = {self.numbers[j].free.name: columns[j] for j in read} | extra
            for i, values in zip(members, group.predict(vectors, n), strict=True):
                predicted[i] = values
        self.evaluations += n
        return predicted

    def __call__(self, z: np.ndarray) -> np.ndarray:
        """Residuals ``(n, n_residuals)``."""
        parts, labels = [], []
        for i, (target, values) in enumerate(zip(self.targets, self.predict(z), strict=True)):
            part = np.asarray(residual(target, values))
            part = part[:, None] if part.ndim == 1 else part
            parts.append(part)
            labels += [i] * part.shape[1]
        self.labels = labels
        return np.column_stack(parts)

    @property
    def blocks(self) -> list[str]:
        """The block of every residual of the latest call."""
        return [self.joint.targets[i][0] for i in self.labels]


def scale_rule(study: str, target: Target) -> str:
    """The rule of the scale that a target's endpoint is on; empty for an output of the model."""
    asked = load(experiment(study))
    of = next(e.of for e in of_study(asked) if e.name == target.endpoint)
    return scales.load(BUILT_IN, of).rule if scales.is_scale(BUILT_IN, of) else ""


def _keep_what_moves(group: CohortTargets) -> None:
    """A number that the population or an arm sets for its people is not the library's to move."""
    fixed = set(group.protocol.population.parameters) | set(group.study.parameters)
    for arm in group.study.arms.values():
        fixed |= set(typical_covariates(group.protocol.population, arm)) | set(arm.parameters)
    group.moving = [number for number in group.moving if number.place.id not in fixed]

"""D-optimal sampling times: which of the candidate times of a design tell most, by exchange (Fedorov 1972)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from respine.fit.population.information import (
    Group,
    Information,
    People,
    _refused,
    counted,
    information,
    linearised,
    made,
    times_of,
)
from respine.fit.population.problem import PopulationProblem

if TYPE_CHECKING:
    import pandas as pd

STARTS = 8
MOST_ROUNDS = 200
RIDGE = 1e-9  # of the whole information, so that designs too small to be invertible can be compared
BETTER = 1e-9  # of the log determinant, that counts as better


@dataclass(frozen=True)
class Design:
    """Chosen sampling times. ``table``: one row a group (ID) with its people and times; ``information`` of the choice and
    of ``all`` candidates together; ``efficiency`` = (det chosen / det all)^(1/P).
    """

    table: pd.DataFrame
    information: Information
    all: Information

    @property
    def efficiency(self) -> float:
        return self.information.criterion / self.all.criterion

    def __str__(self) -> str:
        lines = [self.table.to_string(index=False), "", str(self.information), ""]
        share = self.information.observations / self.all.observations
        lines.append(
            f"{100 * self.efficiency:.1f} % of the D-criterion of all candidates, from {100 * share:.0f} % of the samples"
        )
        return "\n".join(lines)


def best_times(
    problem: PopulationProblem, samples: int, *, people: People = 1, same: bool = False, full: bool = False, seed: int = 1,
) -> Design:  # fmt: skip
    """The ``samples`` observation times for each subject of the data, of those that stand there, which tell most
    together (largest determinant of the expected information at the start values).

    A subject of the data is a group of ``people`` (one number, or one by ID) with its doses; its observation records are
    the candidates. ``same``: one choice of times for all groups, which then need the same candidates. Raises InputError
    where a group has fewer candidates than samples.
    """
    import pandas as pd

    groups, outer = linearised(problem, full)
    counts = counted(problem, people)
    for group in groups:
        if len(group.record) < samples or samples < 1:
            why = f"Subject {group.label} has {len(group.record)} candidate times."
            raise _refused("samples", str(samples), why, "Add observation records (DV is not read), or ask for fewer.")
    if same:
        shared = [times_of(problem, list(group.record)) for group in groups]
        if any(times != shared[0] for times in shared):
            raise _refused(
                "same", "True", "The subjects have different candidate times.", "Give all the same, or same=False."
            )
    search = _Exchange(groups, counts, samples, same)
    chance = np.random.default_rng(seed)
    best = max((search.run(chance) for _ in range(STARTS)), key=search.value)
    matrix = search.matrix(best)
    used = sum(n * samples for n in counts)
    rows = [{"ID": g.label, "people": n, "times": times_of(problem, list(g.record[chosen]))}
            for g, n, chosen in zip(groups, counts, best, strict=True) if n]  # fmt: skip
    return Design(
        pd.DataFrame(rows), made(outer, matrix, sum(counts), used), information(problem, people=people, full=full)
    )


class _Exchange:
    """Choices are one array of rows a group."""

    def __init__(self, groups: list[Group], counts: list[int], samples: int, same: bool) -> None:
        self.groups, self.counts, self.samples = groups, counts, samples
        self.units = [list(range(len(groups)))] if same else [[k] for k in range(len(groups)) if counts[k]]
        whole = sum(n * g.information() for g, n in zip(groups, counts, strict=True))
        size = np.sqrt(np.maximum(np.diag(np.asarray(whole)), 1e-300))
        self.scale = np.outer(size, size)

    def matrix(self, choice: list[np.ndarray]) -> np.ndarray:
        total = np.zeros_like(self.scale)
        for group, n, rows in zip(self.groups, self.counts, choice, strict=True):
            if n:
                total += n * group.information(rows)
        return total

    def value(self, choice: list[np.ndarray]) -> float:
        return self._log_det(self.matrix(choice))

    def _log_det(self, matrix: np.ndarray) -> float:
        scaled = matrix / self.scale + RIDGE * np.eye(len(matrix))
        sign, log = np.linalg.slogdet(scaled)
        return float(log) if sign > 0 else -np.inf

    def run(self, chance: np.random.Generator) -> list[np.ndarray]:
        """From a random choice to one that no single exchange betters."""
        drawn = {unit[0]: np.sort(chance.choice(len(self.groups[unit[0]].record), self.samples, replace=False))
                 for unit in self.units}  # fmt: skip
        choice = [np.zeros(0, int) for _ in self.groups]
        for unit in self.units:
            for k in unit:
                choice[k] = drawn[unit[0]]
        parts = [n * g.information(rows) for g, n, rows in zip(self.groups, self.counts, choice, strict=True)]
        for _ in range(MOST_ROUNDS):
            if not any([self._improve(unit, choice, parts) for unit in self.units]):
                break
        return choice

    def _improve(self, unit: list[int], choice: list[np.ndarray], parts: list[np.ndarray]) -> bool:
        rest = np.sum([p for k, p in enumerate(parts) if k not in unit], axis=0) if len(unit) < len(parts) else 0.0
        own = choice[unit[0]]
        now = self._log_det(rest + np.sum([parts[k] for k in unit], axis=0))
        best = None
        for place in range(len(own)):
            for other in np.setdiff1d(np.arange(len(self.groups[unit[0]].record)), own):
                trial = np.sort(np.concatenate([np.delete(own, place), [other]]))
                there = [self.counts[k] * self.groups[k].information(trial) for k in unit]
                value = self._log_det(rest + np.sum(there, axis=0))
                if value > now + BETTER:
                    now, best = value, (trial, there)
        if best is None:
            return False
        for k, part in zip(unit, best[1], strict=True):
            choice[k], parts[k] = best[0], part
        return True

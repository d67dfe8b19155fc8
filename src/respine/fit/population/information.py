"""What data of a design will tell, before there are any: the expected Fisher information of a population problem.

A subject's data are taken as normal about the model linearised at random effects 0 (Retout, Mentre & Bruno 2002, doi
10.1002/sim.1041): mean f, variance V = F O F' + diag(v) with F = df/de. The information of parameters a, b is
f_a' V^-1 f_b + tr(V^-1 V_a V^-1 V_b)/2. ``full`` keeps how V moves with the fixed effects; the reduced one (default, as in
PFIM and PopED) does not, and is the better guide (Nyberg et al. 2015, doi 10.1111/bcp.12352).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from respine.errors import InputError, Problem
from respine.fit.population.estimate import Outer
from respine.fit.population.findings import Finding
from respine.fit.population.objective import Point
from respine.fit.population.prediction import Piece
from respine.fit.population.problem import PopulationProblem

if TYPE_CHECKING:
    import pandas as pd

SILENT = 1e-10  # information, per squared value, that is none
LOOSE = 1e-8  # eigenvalue of the scaled information below which a direction is not seen
STEP = 1e-3  # of differences along random effects, in their standard deviations
People = int | Mapping[str, int]


@dataclass(frozen=True)
class Group:
    """Linearised data of one subject: ``record`` (m,), ``mean`` (P, m) slopes of the mean, ``variance`` (m, m) and its
    slopes ``by`` (P, m, m).
    """

    label: str
    record: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    by: np.ndarray

    def information(self, rows: np.ndarray | None = None) -> np.ndarray:
        """(P, P), of all data or of some rows."""
        mean, variance, by = self.mean, self.variance, self.by
        if rows is not None:
            mean, variance, by = mean[:, rows], variance[np.ix_(rows, rows)], by[:, rows[:, None], rows[None, :]]
        if not mean.shape[1]:
            return np.zeros((len(mean), len(mean)))
        inverse = np.linalg.inv(variance)
        weighted = inverse @ by
        matrix = mean @ inverse @ mean.T + 0.5 * np.einsum("aij,bji->ab", weighted, weighted)
        return 0.5 * (matrix + matrix.T)


@dataclass(frozen=True)
class Information:
    """The expected information of a design. ``matrix`` (P, P) in the order of ``names``; ``values`` (P,) where it holds."""

    names: tuple[str, ...]
    values: np.ndarray
    matrix: np.ndarray
    people: int
    observations: int

    @cached_property
    def covariance(self) -> np.ndarray:
        """(P, P) expected covariance of the estimates; NaN where something cannot be told from the design."""
        if self.findings:
            return np.full_like(self.matrix, np.nan)
        size = np.sqrt(np.diag(self.matrix))
        return np.linalg.inv(self.matrix / np.outer(size, size)) / np.outer(size, size)

    @property
    def table(self) -> pd.DataFrame:
        """One row a parameter: name, value, expected se and rse (per cent)."""
        import pandas as pd

        se = np.sqrt(np.diag(self.covariance))
        with np.errstate(all="ignore"):
            rse = np.where(self.values != 0, 100 * se / np.abs(self.values), np.nan)
        return pd.DataFrame({"name": self.names, "value": self.values, "se": se, "rse": rse})

    @property
    def log_det(self) -> float:
        """Log of the determinant, -inf where the matrix is singular."""
        sign, log = np.linalg.slogdet(self.matrix)
        return float(log) if sign > 0 else -np.inf

    @property
    def criterion(self) -> float:
        """The D-criterion det^(1/P)."""
        return float(np.exp(self.log_det / max(len(self.names), 1)))

    @cached_property
    def findings(self) -> list[Finding]:
        """Parameters of which this design tells nothing, and such as it tells only together."""
        diagonal = np.diag(self.matrix)
        weight = np.where(self.values != 0, self.values**2, 1.0)
        silent = [k for k in range(len(diagonal)) if diagonal[k] * weight[k] < SILENT]
        results = [Finding("no-influence", (self.names[k],), f"These data will say nothing of {self.names[k]}.",
                         "Fix it, or measure where it matters.") for k in silent]  # fmt: skip
        seen = [k for k in range(len(diagonal)) if k not in silent]
        if not seen:
            return results
        size = np.sqrt(diagonal[seen])
        values, vectors = np.linalg.eigh(self.matrix[np.ix_(seen, seen)] / np.outer(size, size))
        for value, vector in zip(values, vectors.T, strict=True):
            if value < LOOSE:
                names = tuple(
                    self.names[seen[k]] for k in np.flatnonzero(np.abs(vector) > 0.1 * np.max(np.abs(vector)))
                )
                why = f"These data will not tell {' and '.join(names)} apart."
                results.append(
                    Finding("unidentifiable", names, why, "Fix one of them, or sample at other times or doses.")
                )
        return results

    def __str__(self) -> str:
        lines = [f"{self.people} people, {self.observations} observations; D-criterion {self.criterion:.6g}", ""]
        lines.append(self.table.to_string(index=False, float_format=lambda v: f"{v:.4g}"))
        return "\n".join([*lines, *map(str, self.findings)])


def information(problem: PopulationProblem, *, people: People = 1, full: bool = False) -> Information:
    """The expected information of a problem's own design at its start values: its doses and observation times; DV is not
    read. ``people`` is how many each subject of the data stands for: one number, or one by ID. Raises InputError where
    data are not measurements (counts, event times).
    """
    groups, outer = linearised(problem, full)
    counts = counted(problem, people)
    matrix = sum(
        (n * group.information() for group, n in zip(groups, counts, strict=True)), np.zeros((outer.vector.size,) * 2)
    )
    rows = sum(n * len(group.record) for group, n in zip(groups, counts, strict=True))
    return made(outer, matrix, sum(counts), rows)


def made(outer: Outer, matrix: np.ndarray, people: int, rows: int) -> Information:
    """The information with its names and values."""
    return Information(tuple(outer.vector.names), outer.vector.natural(outer.begin), matrix, people, rows)


def counted(problem: PopulationProblem, people: People) -> list[int]:
    """How many people each subject stands for. Raises InputError for a number below 1 or an unknown ID."""
    labels = problem.data.labels
    if isinstance(people, Mapping):
        unknown = [label for label in people if label not in labels]
        if unknown:
            raise _refused(
                "people", str(unknown[0]), "The data have no such ID.", f"Write one of {', '.join(labels[:8])}."
            )
        counts = [int(people.get(label, 0)) for label in labels]
    else:
        counts = [int(people)] * len(labels)
    if min(counts) < 0 or not any(counts):
        raise _refused("people", str(people), "A group has at least one person.", "Write whole numbers above 0.")
    return counts


def linearised(problem: PopulationProblem, full: bool) -> tuple[list[Group], Outer]:
    """One group a subject, and the vector its parameters belong to."""
    for model in problem.observations:
        if not model.gaussian:
            raise _refused(f"observations.{model.name}", "", "Expected information is there for measurements only.",
                           "Leave this observation out of the problem.")  # fmt: skip
    outer = Outer(problem, "focei")
    point, slopes = outer.begin, _Slopes(outer)
    return [slopes.group(s, point, full) for s in range(problem.data.n_subjects)], outer


class _Slopes:
    """Means, variances and their slopes of all subjects at random effects 0."""

    def __init__(self, outer: Outer) -> None:
        self.outer, objective = outer, outer.objective
        self.d, self.blocks = objective.d, objective.blocks
        self.n, self.q = len(objective.subjects), self.d.n_random
        point = outer.begin
        self.omega = self.blocks.whole(point.blocks)
        predict = objective.predictor.predict
        zero = np.zeros((self.n, self.q))
        with np.errstate(all="ignore"):
            self.at = predict(objective.subjects, point.fixed, zero, "all")
            self.h = STEP * np.clip(np.sqrt(np.diag(self.omega)), 0.05, 2.0)
            moved = np.concatenate([zero + s * self.h[k] * np.eye(self.q)[k] for k in range(self.q) for s in (1, -1)]
                                   or [zero[:0]])  # fmt: skip
            lanes = np.tile(objective.subjects, 2 * self.q)
            self.around = predict(lanes, point.fixed, moved, "all").pieces if self.q else ()
        if self.at.bad.any():
            lane = int(np.flatnonzero(self.at.bad)[0])
            why = (
                f"Subject {outer.problem.data.labels[lane]} cannot be solved: {self.at.reasons.get(lane, 'no number')}."
            )
            raise _refused("model", "", why, "Correct the model, the start values or the doses.")

    def group(self, s: int, point: Point, full: bool) -> Group:
        parts = [self._part(k, piece, s) for k, piece in enumerate(self.at.pieces)]
        record, slope, variance, by_variance, second = (np.concatenate(p, axis=-1) for p in zip(*parts, strict=True))
        q, m = self.q, len(record)
        f, whole = slope[:q], np.zeros((self.outer.vector.size, m, m))
        mean = np.zeros((self.outer.vector.size, m))
        place = {k: i for i, k in enumerate(self.d.free)}
        vector, row = self.outer.vector, 0
        half = f.T @ self.omega  # (m, Q)
        for k, _ in vector.thetas:
            i = place[k]
            mean[row] = slope[q + i]
            if full or not mean[row].any():
                cross = half @ second[i]  # F O (dF/d theta)'
                whole[row] = cross + cross.T + np.diag(by_variance[i])
            row += 1
        for k in vector.free_blocks:
            rows, columns = np.tril_indices(len(self.blocks.names[k]))
            for i, j in zip(rows.tolist(), columns.tolist(), strict=True):
                for at in self.blocks.places[k]:
                    product = np.outer(f[at[i]], f[at[j]])
                    whole[row] += product if i == j else product + product.T
                row += 1
        for first, n in vector.sigmas:
            for k in range(first, first + n * (n + 1) // 2):
                whole[row] = np.diag(by_variance[place[k]])
                row += 1
        return Group(self.outer.problem.data.labels[s], record, mean, half @ f + np.diag(variance), whole)

    def _part(self, which: int, piece: Piece, s: int) -> tuple[np.ndarray, ...]:
        """record (m,), slopes (Q + M, m), variance (m,), its slopes by fixed values (M, m), dF/d fixed (M, Q, m)."""
        rows = np.flatnonzero(piece.lane == s)
        q, free = self.q, self.d.n_free
        slope = _wide(piece.mean.slope, q + free, len(piece.lane))
        spread = _wide(piece.variance.slope, q + free, len(piece.lane))
        second = np.zeros((free, q, len(rows)))
        if q:
            around = self.around[which]
            both = _wide(around.mean.slope, q + free, len(around.lane)).reshape(q + free, q, 2, len(piece.lane))
            second = ((both[:, :, 0] - both[:, :, 1]) / (2 * self.h[:, None]))[q:, :, rows]
        return piece.record[rows], slope[:, rows], piece.variance.value[rows], spread[q:, rows], second


def _wide(slope: np.ndarray | None, k: int, size: int) -> np.ndarray:
    return np.zeros((k, size)) if slope is None else np.broadcast_to(slope, (k, size))


def _refused(field: str, seen: str, why: str, cure: str) -> InputError:
    return InputError(Problem("information", field, seen, why, cure))


def times_of(problem: PopulationProblem, records: Sequence[int]) -> list[float]:
    """The times of records, ascending."""
    return sorted(float(problem.data.time[r]) for r in records)

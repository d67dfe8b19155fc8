"""Predictions of a problem beside those of a printed table, record by record."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from respine.errors import InputError, Problem
from respine.fit.population import PopulationProblem
from respine.fit.population.estimate import Outer
from respine.interop.control_stream import printed

FINEST = 1e-8  # relative: what is asked where more digits are printed
TYPICAL, OWN = ("PRED",), ("IPRED", "IPRE", "CIPRED", "IPRD")


@dataclass(frozen=True)
class Compared:
    """One kind of prediction: ``theirs`` and ``ours`` (n,), how far apart they may be, and which records count."""

    name: str
    theirs: np.ndarray
    ours: np.ndarray
    allowed: np.ndarray
    counted: np.ndarray

    @property
    def away(self) -> np.ndarray:
        """(n,) differences in units of what is allowed; infinite where there is no prediction."""
        with np.errstate(all="ignore"):
            found = np.abs(self.ours - self.theirs) / self.allowed
        return np.where(self.counted, np.where(np.isfinite(found), found, np.inf), 0.0)

    @property
    def relative(self) -> float:
        """The largest relative difference of records that count."""
        with np.errstate(all="ignore"):
            found = np.abs(self.ours - self.theirs) / np.maximum(
                np.abs(self.theirs), 1e-12 * np.nanmax(np.abs(self.theirs), initial=1e-300)
            )
        return float(np.nanmax(np.where(self.counted, found, 0.0), initial=0.0))

    @property
    def same(self) -> bool:
        return bool((self.away <= 1.0).all())


def compare(
    problem: PopulationProblem, table: printed.Printed, tolerance: float = FINEST, *, ipred: bool = True
) -> list[Compared]:
    """PRED at random effects 0, and IPRED where the table has the random effects. ``tolerance`` is relative; no less is asked
    than half a unit of the last digit printed. Raises InputError for a table of other records.
    """
    rows = _rows(problem, table)
    found = []
    outer = Outer(problem, "fo" if all(model.gaussian for model in problem.observations) else "laplace")
    predictor, point = outer.objective.predictor, outer.begin
    n, q = problem.data.n_subjects, outer.objective.d.n_random

    def predicted(random: np.ndarray) -> np.ndarray:
        values = np.full(problem.data.n_records, np.nan)
        for piece in predictor.predict(outer.objective.subjects, point.fixed, random, "nothing", every=True).pieces:
            values[piece.record] = piece.ipred.value
        return values[rows]

    gaussian = np.zeros(problem.data.n_records, bool)
    for model in problem.observations:
        if model.gaussian:
            gaussian[problem.rows[model.name]] = True
    if any(model.gaussian for model in problem.observations):
        gaussian |= ~problem.data.observed
    counted = gaussian[rows]
    for names, random in ((TYPICAL, np.zeros((n, q))), (OWN if ipred else (), _effects(problem, table, rows, outer))):
        name = next((name for name in names if name in table.values), None)
        if name is None or random is None:
            continue
        theirs, ours = table.values[name], predicted(random)
        slack = 1.01 * table.units[name] + tolerance * np.abs(theirs)
        if names == OWN:
            slack = slack + _effect_slack(predicted, random, problem, table, rows, outer)
        known = counted & np.isfinite(theirs)
        found.append(
            Compared(name, theirs, ours, np.maximum(slack, 1e-14 * np.nanmax(np.abs(theirs), initial=1e-300)), known)
        )
    return found


def _rows(problem: PopulationProblem, table: printed.Printed) -> np.ndarray:
    """(n_rows of the table,) the record of the data that each row is about."""
    data = problem.data
    if len(table) == data.n_records:
        rows = np.arange(data.n_records)
    elif len(table) == int(data.observed.sum()):
        rows = np.flatnonzero(data.observed)
    else:
        rows = _in_order(problem, table)
    if "TIME" in table.values:
        away = np.abs(table.values["TIME"] - data.time[rows])
        bad = away > 2 * table.units["TIME"] + 1e-4 * np.abs(data.time[rows]) + 1e-9
        if bad.any():
            k = int(np.flatnonzero(bad)[0])
            why = f"The table is at time {table.values['TIME'][k]:g} where the data are at {data.time[rows[k]]:g}."
            raise InputError(
                Problem(
                    f"{table.file}:{int(table.lines[k])}",
                    "TIME",
                    "",
                    why,
                    "Give the table of this run, with all records.",
                )
            )
    return rows


def _in_order(problem: PopulationProblem, table: printed.Printed) -> np.ndarray:
    """The records of a table that has some of them: each row is the next record of its subject and time."""
    data, rows, record = problem.data, list[int](), 0
    if "ID" not in table.values or "TIME" not in table.values:
        seen = int(data.observed.sum())
        why = f"The table has {len(table)} rows; the data have {data.n_records} records, {seen} of them observations."
        raise InputError(Problem(str(table.file), "rows", "", why, "Give the table of this run, with ID and TIME."))
    ids = np.array([_id(data.labels[s]) for s in data.subject])
    for k in range(len(table)):
        wanted, time = table.values["ID"][k], table.values["TIME"][k]
        slack = 2 * table.units["TIME"][k] + 1e-9
        while record < data.n_records and not (ids[record] == wanted and abs(data.time[record] - time) <= slack):
            record += 1
        if record == data.n_records:
            why = f"The data have no record of ID {wanted:g} at time {time:g} here."
            raise InputError(
                Problem(f"{table.file}:{int(table.lines[k])}", "rows", "", why, "Give the table of this run.")
            )
        rows.append(record)
        record += 1
    return np.array(rows, np.int64)


def _id(label: str) -> float:
    """The ID of a subject's label; IDs that come again are called 5_2, 5_3."""
    try:
        return float(label.partition("_")[0])
    except ValueError:
        return float("nan")


def _columns(names: Sequence[str], table: printed.Printed) -> dict[str, str]:
    """Columns of the table that hold random effects: ETA1, ETA(1), ET1 -> eta1."""
    found = {}
    for column in table.values:
        match = re.fullmatch(r"(?:ETA|ET|PHI)\(?(\d+)\)?", column)
        if match and f"eta{int(match[1])}" in names and not column.startswith("PHI"):
            found[f"eta{int(match[1])}"] = column
    return found


def _effects(problem: PopulationProblem, table: printed.Printed, rows: np.ndarray, outer: Outer) -> np.ndarray | None:
    """(n_subjects, Q) from the table; None where some that vary are not in it."""
    d = outer.objective.d
    if d.kappa:
        return None
    columns = _columns(list(d.eta), table)
    random = np.zeros((problem.data.n_subjects, d.n_random))
    for name, k in d.eta.items():
        if name not in columns:
            return None
        random[problem.data.subject[rows], k] = table.values[columns[name]]
    return random


def _effect_slack(
    predicted: Callable[[np.ndarray], np.ndarray], random: np.ndarray, problem: PopulationProblem, table: printed.Printed,
    rows: np.ndarray, outer: Outer,
) -> np.ndarray:  # fmt: skip
    """(n,) how much predictions move with half a unit of the printed random effects."""
    total = np.zeros(len(rows))
    at = predicted(random)
    columns = _columns(list(outer.objective.d.eta), table)
    for name, k in outer.objective.d.eta.items():
        step = np.zeros(problem.data.n_subjects)
        step[problem.data.subject[rows]] = table.units[columns[name]]
        moved = random.copy()
        moved[:, k] += step
        total += np.abs(predicted(moved) - at)
    return np.where(np.isfinite(total), 1.05 * total, 0.0)


def final_estimates(path: Path) -> dict[str, float]:
    """The final estimates of an .ext file: ``THETA1``, ``OMEGA(1,1)``, ``SIGMA(2,1)``. Raises InputError."""
    header: list[str] = []
    found: dict[str, float] = {}
    try:
        lines = path.read_text("utf-8", errors="replace").splitlines()
    except OSError as error:
        why = f"The file cannot be read: {error.strerror}."
        raise InputError(Problem(str(path), "estimates", "", why, "Name the .ext file of the run.")) from None
    for line in lines:
        cells = line.split()
        if cells[:1] == ["ITERATION"]:
            header = cells
        elif header and len(cells) == len(header) and cells[0].lstrip("-").isdigit() and int(cells[0]) == -1000000000:
            try:
                found = {name: float(cell) for name, cell in zip(header[1:], cells[1:], strict=True)}
            except ValueError:
                found = {}
    if not found:
        why = "The file has no row of final estimates (-1000000000)."
        raise InputError(Problem(str(path), "estimates", "", why, "Name the .ext file of a run that ended."))
    return found

"""Check a NONMEM-style table before anything is fitted: every violation with its line, errors first, then what
deserves a look.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from respine.errors import InputError, Problem
from respine.fit.population import file_table as tables
from respine.fit.population.dataset import Dataset, Interpreter
from respine.fit.population.file_table import Table, listed

OUTLYING = 8.0  # robust standard deviations of log DV from the median of its kind


@dataclass(frozen=True)
class Violation:
    """One thing that is wrong (``error``: the table cannot be used so) or odd (``warning``), at lines of the file."""

    severity: str
    lines: tuple[int, ...]
    item: str
    what: str
    cure: str


@dataclass(frozen=True)
class Checked:
    """What was found in a table, and what it holds: subjects, doses, observations, columns beside NONMEM's."""

    file: Path
    violations: tuple[Violation, ...]
    counts: Mapping[str, int]
    others: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def usable(self) -> bool:
        """Whether there is no error."""
        return not any(v.severity == "error" for v in self.violations)


def check(file: str | Path, columns: Mapping[str, str] | None = None, ignore: str = "") -> Checked:
    """Check a file. Never raises for its content."""
    path = Path(file).expanduser()
    try:
        table = tables.read(path, ignore)
        interpreter = Interpreter(table, dict(columns or {}), None)
    except InputError as error:
        return Checked(path, tuple(map(_violation, error.problems)), {}, (), ())
    data = interpreter.dataset()
    errors = _gathered([_violation(problem) for problem in interpreter.problems])
    others = tuple(name for name in table.names if name not in data.items.values())
    warnings = [] if errors else [*_subjects(data), *_values(data), *_doubles(data), *_covariates(data, others)]
    counts = {
        "records": data.n_records, "subjects": data.n_subjects, "observations": int(data.observed.sum()),
        "doses": int(np.isin(data.evid, (1, 4)).sum()), "resets": int(np.isin(data.evid, (3, 4)).sum()),
        "below limit": int((data.cens == 1).sum()), "occasions": len(data.occasions),
    }  # fmt: skip
    return Checked(path, (*errors, *warnings), counts, others, tuple(data.notes))


def _violation(problem: Problem) -> Violation:
    line = problem.where.rpartition(":")[2]
    seen = f' ("{problem.seen}")' if problem.seen else ""
    lines = (int(line),) if line.isdigit() else ()
    return Violation("error", lines, problem.field, problem.why.rstrip(".") + seen, problem.cure)


def _gathered(violations: list[Violation]) -> list[Violation]:
    """Equal violations of several lines as one."""
    groups: dict[tuple[str, str, str], list[int]] = {}
    for v in violations:
        groups.setdefault((v.item, v.what, v.cure), []).extend(v.lines)
    return [
        Violation("error", tuple(sorted(lines)), item, fault, cure) for (item, fault, cure), lines in groups.items()
    ]


def _warn(data: Dataset, rows: np.ndarray, item: str, fault: str, cure: str) -> list[Violation]:
    if not len(rows):
        return []
    return [Violation("warning", tuple(int(data.table.lines[r]) for r in rows), item, fault, cure)]


def _subjects(data: Dataset) -> list[Violation]:
    violations = []
    none: list[int] = []
    undosed: list[int] = []
    early: list[int] = []
    for s in range(data.n_subjects):
        own = data.records(s)
        rows = np.arange(own.start, own.stop)
        doses, observed = np.isin(data.evid[own], (1, 4)), data.observed[own]
        if not observed.any():
            none.append(own.start)
        if not doses.any():
            undosed.append(own.start)
        else:
            first = int(np.flatnonzero(doses)[0])
            early += [int(r) for r in rows[:first][observed[:first] & (data.dv[own][:first] > 0)]]
    violations += _warn(
        data, np.array(none, int), "ID", "a subject has no observation", "Leave it out, or look for lost records."
    )
    if len(undosed) < data.n_subjects:
        violations += _warn(
            data, np.array(undosed, int), "ID", "a subject has no dose", "Is this a placebo, or is a record lost?"
        )
    violations += _warn(
        data,
        np.array(early, int),
        "TIME",
        "a positive value before the first dose",
        "An earlier dose, or a clock that is off?",
    )
    return violations


def _values(data: Dataset) -> list[Violation]:
    dv, rows = data.dv, np.flatnonzero(data.observed)
    violations = _warn(
        data, rows[dv[rows] < 0], "DV", "a negative observation", "Right on a log or change scale; else correct it."
    )
    violations += _warn(data, rows[(dv[rows] == 0) & (data.cens[rows] == 0)], "DV", "an observation of exactly 0",
                   "If it is below the limit of quantification, say so with CENS 1 and DV the limit.")  # fmt: skip
    kinds: dict[tuple[str, str], list[int]] = {}
    for r in rows:
        if dv[r] > 0:
            kinds.setdefault((data.dvid[r], data.cmt[r]), []).append(int(r))
    far: list[int] = []
    for own in kinds.values():
        logs = np.log(dv[own])
        middle = np.median(logs)
        width = 1.4826 * np.median(np.abs(logs - middle))
        if width > 0:
            far += [r for r, value in zip(own, logs, strict=True) if abs(value - middle) > OUTLYING * width]
    violations += _warn(
        data,
        np.array(far, int),
        "DV",
        "a value far from all others of its kind",
        "Check its unit and the decimal point.",
    )
    ignored = np.flatnonzero(np.isin(data.evid, (1, 4)) & np.isfinite(dv) & (dv != 0))
    violations += _warn(
        data, ignored, "DV", "a dose record has a value, which is not used", "Give the observation a record of its own."
    )
    below = np.flatnonzero((data.time < 0) & data.observed)
    return violations + _warn(data, below, "TIME", "an observation before time 0", "Allowed; make sure it is meant.")


def _doubles(data: Dataset) -> list[Violation]:
    seen: dict[tuple[object, ...], int] = {}
    doubled: list[int] = []
    contrary: list[int] = []
    for r in range(data.n_records):
        if not data.observed[r]:
            continue
        key = (data.subject[r], data.time[r], data.dvid[r], data.cmt[r])
        if key in seen:
            (doubled if data.dv[r] == data.dv[seen[key]] else contrary).append(r)
        seen.setdefault(key, r)
    violations = _warn(data, np.array(doubled, int), "DV", "the same observation stands twice", "Remove one.")
    return violations + _warn(data, np.array(contrary, int), "DV", "two values of the same kind at the same time",
                         "Replicates are used as independent; make sure that is meant.")  # fmt: skip


def _covariates(data: Dataset, others: tuple[str, ...]) -> list[Violation]:
    table: Table = data.table
    violations = []
    for name in others:
        values = table.numbers[name]
        if table.is_text(name):
            continue
        missing = np.flatnonzero(np.isnan(values))
        if 0 < len(missing) < len(values):
            violations += _warn(
                data, missing, name, f"{name} has no number", "Fill it in before it is used as a covariate."
            )
    return violations


def shown(lines: tuple[int, ...]) -> str:
    """The lines of a violation, for people."""
    return listed(lines, 12)

"""All rows of the four evidence tables with their predictions, and what they say together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np

from respine import library
from respine.errors import InputError, Problem
from respine.evidence import kinetics, people
from respine.evidence import studies as trials
from respine.evidence.row import ROLES, ComparedRow, about, system_of, systems, unpredicted
from respine.evidence.studies import SUBJECTS, Progress, table_of
from respine.files.suggest import nearest
from respine.published import NotCompared


def predict(
    subjects: int = SUBJECTS, *, roles: Collection[str] = (), system: str = "", threads: int | None = None,
    progress: Progress | None = None,
) -> list[ComparedRow]:  # fmt: skip
    """A row for every row of the library's evidence tables, those of ``roles`` and ``system`` alone where given.

    Only what is needed is simulated; results are kept in the user's cache folder. ``progress`` is called with what is
    being run, units done and units in all. Raises InputError for an unknown role or system.
    """
    _check(roles, system)

    def wanted(line: ComparedRow) -> bool:
        return (not roles or line.role in roles) and (not system or line.system == system)

    lines: list[ComparedRow] = []
    chosen, found = [], []
    for study in trials.library_studies():
        _, met = trials.completed(study)
        rows = [about(match.row, table_of(match.row)) for match in met if match.endpoint is not None]
        if any((not roles or row["role"] in roles) and (not system or row["system"] == system) for row in rows):
            chosen.append(study)
        found += [unpredicted(match.row, table_of(match.row), match.reason) for match in met if match.reason]
    lines += trials.predict(chosen, subjects, threads=threads, progress=progress) + found
    lines = trials.without_duplicates(lines)
    reached = {line.id for line in lines}
    for table in ("clinical", "preclinical"):
        for row in library.rows("evidence", table):
            if row["id"] not in reached:
                what = f"{row.get('study', '')} {row.get('year', '')}".strip() or row.get("quantity", "")
                reason = NotCompared.NO_STUDY.because(f"no study simulates it: {what}")
                lines.append(unpredicted(row, table, reason))
    if not system or any(system_of(row, "pk") == system for row in library.rows("evidence", "pk")):
        lines += kinetics.predict(progress)
    if not system or any(system_of(row, "population") == system for row in library.rows("evidence", "population")):
        lines += people.predict()
    order = {(table, row["id"]): k for table in library.names("evidence") for k, row in
             enumerate(library.rows("evidence", table))}  # fmt: skip
    return sorted(filter(wanted, lines), key=lambda line: (line.table, order[line.table, line.id]))


def _check(roles: Collection[str], system: str) -> None:
    problems = [
        Problem("command line", "--role", role, "There is no such role.", nearest(role, ROLES))
        for role in roles
        if role not in ROLES
    ]
    if system and system not in systems():
        problems.append(
            Problem("command line", "--system", system, "There is no such system.", nearest(system, systems()))
        )
    if problems:
        raise InputError(*problems)


def summary(lines: Iterable[ComparedRow]) -> list[dict[str, Any]]:
    """Rows ``system, role, rows, predicted, judged, inside, share, without``: one per system and role.

    ``predicted`` rows have a prediction, ``judged`` ones a verdict, ``inside`` a good one; ``share`` = inside / judged.
    """
    lines = list(lines)
    names = [name for name in systems() if any(line.system == name for line in lines)]
    result = [_counts(name, role, lines) for name in names for role in ROLES]
    total = [_counts("all", role, lines) for role in ROLES]
    return [row for row in [*result, *total] if row["rows"]]


def _counts(name: str, role: str, lines: Sequence[ComparedRow]) -> dict[str, Any]:
    mine = [line for line in lines if (name == "all" or line.system == name) and line.role == role]
    rows = {line.id for line in mine}
    predicted = {line.id for line in mine if not line.reason}
    judged = {line.id for line in mine if line.inside is not None}
    # a row that several studies or arms are compared with holds only if it holds in each
    inside = judged - {line.id for line in mine if line.inside is False}
    share = len(inside) / len(judged) if judged else None
    return {"system": name, "role": role, "rows": len(rows), "predicted": len(predicted), "judged": len(judged),
            "inside": len(inside), "share": share, "without": len(rows) - len(predicted)}  # fmt: skip


def calibration(lines: Iterable[ComparedRow], role: str = "validate") -> dict[str, Any]:
    """How honest the intervals are: the share of published numbers inside the 50 % and 90 % intervals of a role.

    Keys ``role, rows, inside_50, inside_90, root_mean_square_z``; a good model has 0.5, 0.9 and about 1. Directions and
    inputs do not count: results of trials and experiments do.
    """
    mine = [
        line for line in lines
        if line.role == role and line.kind in ("trial", "exposure") and np.isfinite(line.published)
        and line.low < line.high
    ]  # fmt: skip
    if not mine:
        return {"role": role, "rows": 0, "inside_50": None, "inside_90": None, "root_mean_square_z": None}
    half = [line.q25 <= line.published <= line.q75 for line in mine]
    most = [line.low <= line.published <= line.high for line in mine]
    z = [line.z for line in mine if np.isfinite(line.z)]
    return {"role": role, "rows": len(mine), "inside_50": float(np.mean(half)), "inside_90": float(np.mean(most)),
            "root_mean_square_z": float(np.sqrt(np.mean(np.square(z)))) if z else None}  # fmt: skip


def reasons(lines: Iterable[ComparedRow]) -> dict[str, int]:
    """How many rows could not be predicted, by reason, the commonest first."""
    return dict(Counter(line.counted_by for line in lines if line.reason).most_common())

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

    def wanted(row: ComparedRow) -> bool:
        return (not roles or row.role in roles) and (not system or row.system == system)

    compared: list[ComparedRow] = []
    chosen, unmatched = [], []
    for study in trials.library_studies():
        _, matched = trials.completed(study)
        rows = [about(match.row, table_of(match.row)) for match in matched if match.endpoint is not None]
        if any((not roles or row["role"] in roles) and (not system or row["system"] == system) for row in rows):
            chosen.append(study)
        unmatched += [unpredicted(match.row, table_of(match.row), match.reason) for match in matched if match.reason]
    compared += trials.predict(chosen, subjects, threads=threads, progress=progress) + unmatched
    compared = trials.without_duplicates(compared)
    reached = {row.id for row in compared}
    for table in ("clinical", "preclinical"):
        for row in library.rows("evidence", table):
            if row["id"] not in reached:
                source = f"{row.get('study', '')} {row.get('year', '')}".strip() or row.get("quantity", "")
                reason = NotCompared.NO_STUDY.because(f"no study simulates it: {source}")
                compared.append(unpredicted(row, table, reason))
    if not system or any(system_of(row, "pk") == system for row in library.rows("evidence", "pk")):
        compared += kinetics.predict(progress)
    if not system or any(system_of(row, "population") == system for row in library.rows("evidence", "population")):
        compared += people.predict()
    order = {(table, row["id"]): k for table in library.names("evidence") for k, row in
             enumerate(library.rows("evidence", table))}  # fmt: skip
    return sorted(filter(wanted, compared), key=lambda row: (row.table, order[row.table, row.id]))


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


def summary(compared: Iterable[ComparedRow]) -> list[dict[str, Any]]:
    """Rows ``system, role, rows, predicted, judged, inside, share, without``: one per system and role.

    ``predicted`` rows have a prediction, ``judged`` ones a verdict, ``inside`` a good one; ``share`` = inside / judged.
    """
    compared = list(compared)
    names = [name for name in systems() if any(row.system == name for row in compared)]
    result = [_counts(name, role, compared) for name in names for role in ROLES]
    total = [_counts("all", role, compared) for role in ROLES]
    return [row for row in [*result, *total] if row["rows"]]


def _counts(name: str, role: str, compared: Sequence[ComparedRow]) -> dict[str, Any]:
    chosen = [row for row in compared if (name == "all" or row.system == name) and row.role == role]
    rows = {row.id for row in chosen}
    predicted = {row.id for row in chosen if not row.reason}
    judged = {row.id for row in chosen if row.inside is not None}
    # a row that several studies or arms are compared with holds only if it holds in each
    inside = judged - {row.id for row in chosen if row.inside is False}
    share = len(inside) / len(judged) if judged else None
    return {"system": name, "role": role, "rows": len(rows), "predicted": len(predicted), "judged": len(judged),
            "inside": len(inside), "share": share, "without": len(rows) - len(predicted)}  # fmt: skip


def calibration(compared: Iterable[ComparedRow], role: str = "validate") -> dict[str, Any]:
    """How honest the intervals are: the share of published numbers inside the 50 % and 90 % intervals of a role.

    Keys ``role, rows, inside_50, inside_90, root_mean_square_z``; a good model has 0.5, 0.9 and about 1. Directions and
    inputs do not count: results of trials and experiments do.
    """
    chosen = [
        row for row in compared
        if row.role == role and row.kind in ("trial", "exposure") and np.isfinite(row.published)
        and row.low < row.high
    ]  # fmt: skip
    if not chosen:
        return {"role": role, "rows": 0, "inside_50": None, "inside_90": None, "root_mean_square_z": None}
    half = [row.q25 <= row.published <= row.q75 for row in chosen]
    most = [row.low <= row.published <= row.high for row in chosen]
    z = [row.z for row in chosen if np.isfinite(row.z)]
    return {"role": role, "rows": len(chosen), "inside_50": float(np.mean(half)), "inside_90": float(np.mean(most)),
            "root_mean_square_z": float(np.sqrt(np.mean(np.square(z)))) if z else None}  # fmt: skip


def reasons(compared: Iterable[ComparedRow]) -> dict[str, int]:
    """How many rows could not be predicted, by reason, the commonest first."""
    return dict(Counter(row.counted_by for row in compared if row.reason).most_common())

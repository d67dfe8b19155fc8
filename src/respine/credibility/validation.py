"""Predictions beside published results, by role and system; studies one by one, so that they can be simulated side by side."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from respine import evidence, library
from respine import study as studies
from respine.evidence import forecasts, kinetics, people, store
from respine.evidence import studies as trials
from respine.evidence.row import ROLES, ComparedRow, unpredicted
from respine.published import Match, NotCompared
from respine.study.schema import Study

LEFT_OUT = NotCompared.EXPLAINED.because("left out of this quick report: its study is not simulated yet")
COUNTED = ("trial", "exposure")  # kinds whose intervals are counted: results, not inputs
COLUMNS = ["id", "table", "system", "what", "role", "kind", "study", "arm", "time_h", "unit", "n", "predicted", "low",
           "high", "q25", "q75", "published", "published_low", "published_high", "published_text", "inside",
           "inside_50", "z", "rule", "note", "reason", "where", "year", "arm_type", "kin"]  # fmt: skip


def _compared() -> dict[str, tuple[Study, list[Match]]]:
    """Every compared study of the library as it is simulated, with its published rows; kept while its files stay, it takes
    seconds."""
    kinds = ("studies", "populations", "evidence")
    files = [library.BUILT_IN.path(kind, name) for kind in kinds for name in library.BUILT_IN.names(kind)]

    def parse() -> dict[str, tuple[Study, list[Match]]]:
        return {study.name: trials.completed(study) for study in trials.library_studies()}

    return library.BUILT_IN.parsed((_compared,), files, parse)


def library_studies() -> dict[str, Study]:
    """Studies of the library with a published row that needs simulation, completed for their rows, by name."""
    compared = _compared()
    return {name: study for name, (study, matches) in compared.items() if any(m.endpoint is not None for m in matches)}


def kept(name: str, subjects: int) -> bool:
    """Whether a study's rows lie in the cache folder already, for this science, code and number of people."""
    complete, matches = _compared()[name]
    rows = repr([sorted(match.row.items()) for match in matches])
    digest = store.key(store.study_text(complete), str(subjects), rows)
    return store.read(complete.name, digest) is not None


def rows_of(name: str, subjects: int, threads: int | None = None) -> list[dict[str, Any]]:
    """The lines of one study of the library as plain values."""
    return [line.to_dict() for line in trials.predict([studies.load(name)], subjects, threads=threads)]


def inputs_and_kinetics(threads: int | None = None) -> list[dict[str, Any]]:
    """The lines of the tables that need no study; threads do not matter."""
    return [line.to_dict() for line in [*kinetics.predict(), *people.predict()]]


def gather(rows: Iterable[Mapping[str, Any]], left_out: Collection[str] = ()) -> list[ComparedRow]:
    """A line for every row of the evidence tables; studies named in ``left_out`` give their rows back with that reason."""
    lines = [ComparedRow.of(row) for row in rows]
    for name, (_, matches) in _compared().items():
        reasons = [(match, match.reason or (LEFT_OUT if name in left_out else None)) for match in matches]
        lines += [unpredicted(match.row, trials.table_of(match.row), why) for match, why in reasons if why is not None]
    lines = trials.without_duplicates(lines)
    reached = {line.id for line in lines}
    lines += [
        unpredicted(row, table, NotCompared.NO_STUDY.because(NotCompared.NO_STUDY.value))
        for table in ("clinical", "preclinical")
        for row in library.rows("evidence", table)
        if row["id"] not in reached
    ]
    order = {(table, row["id"]): k for table in library.names("evidence") for k, row in
             enumerate(library.rows("evidence", table))}  # fmt: skip
    return sorted(lines, key=lambda line: (line.table, order.get((line.table, line.id), 0)))


def table(lines: Iterable[ComparedRow]) -> pd.DataFrame:
    """The lines as a table, columns ``COLUMNS``."""
    return pd.DataFrame([line.to_dict() for line in lines], columns=COLUMNS)


def by_role(lines: Sequence[ComparedRow]) -> pd.DataFrame:
    """Rows ``role, rows, predicted, judged, inside, share, numbers, inside_50, inside_90, rms_z`` of all systems."""
    counts = {row["role"]: row for row in evidence.summary(lines) if row["system"] == "all"}
    return pd.DataFrame([_shares(counts[role], lines, role, "") for role in ROLES if role in counts])


def by_system(lines: Sequence[ComparedRow]) -> pd.DataFrame:
    """The same by system and role."""
    counted = [row for row in evidence.summary(lines) if row["system"] != "all"]
    return pd.DataFrame([_shares(row, lines, row["role"], row["system"]) for row in counted])


def _shares(row: Mapping[str, Any], lines: Sequence[ComparedRow], role: str, system: str) -> dict[str, Any]:
    honest = evidence.calibration([row for row in lines if not system or row.system == system], role)
    facts: dict[str, Any] = {"system": system} if system else {}
    return facts | {
        "role": role, "rows": row["rows"], "predicted": row["predicted"], "judged": row["judged"],
        "inside": row["inside"], "share": row["share"], "numbers": honest["rows"], "inside_50": honest["inside_50"],
        "inside_90": honest["inside_90"], "rms_z": honest["root_mean_square_z"],
    }  # fmt: skip


def with_numbers(lines: Iterable[ComparedRow]) -> list[ComparedRow]:
    """Lines with a predicted and a published number and an interval: results of trials and experiments, not inputs."""
    return [
        row for row in lines
        if row.kind in COUNTED and np.isfinite(row.published) and np.isfinite(row.predicted) and row.low < row.high
    ]  # fmt: skip


def untested_systems(lines: Sequence[ComparedRow]) -> list[str]:
    """Systems without a single judged row that was never fitted to."""
    tested = {row.system for row in lines if row.role == "validate" and row.inside is not None}
    return [name for name in evidence.systems() if name not in tested and any(row.system == name for row in lines)]


def forecast_table(lines: Iterable[ComparedRow]) -> pd.DataFrame:
    """The forecast record by role and arm type, every trial counted once (``evidence.forecasts.by_arm_type``)."""
    record = forecasts.record(lines)
    parts = [forecasts.by_arm_type(record, role).assign(role=role) for role in ("fit", "validate")]
    return pd.concat(parts, ignore_index=True)

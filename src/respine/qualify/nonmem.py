"""Dosing records against NONMEM: the event designs of the public ``nmtest`` data set (nlmixr2data).

One compartment with a depot: 1 depot, 2 central; KA 1.5, CL 1.1, V 20; cp = 1000 * A2 / V. Lag (``lagt``),
bioavailability (``bioav``), modelled rate (``rat2``, mode 1) and modelled duration (``dur2``, mode 2) belong to
compartment 2, as in the NONMEM run behind the file. Subjects below 100 are bound; those above are designs on which
tools legitimately differ (lags beyond a dosing interval with steady state); they are reported with respine's rule.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from respine import engine
from respine.engine import Record, Records
from respine.errors import InputError, Problem
from respine.model.expression import num, sym
from respine.model.system import System
from respine.qualify.outcome import FAIL, PASS, REPORTED, Case, Findings

REQUIRED = ("id", "time", "cp", "cmt", "amt", "evid")
OPTIONAL = {  # and what a missing column or a missing value (empty, ".", "NA") means
    "ii": 0.0, "ss": 0.0, "addl": 0.0, "rate": 0.0, "lagt": 0.0, "bioav": 1.0, "rat2": math.nan, "dur2": math.nan,
    "mode": 0.0, "mdv": 0.0,
}  # fmt: skip
WHOLE = ("evid", "ss", "addl", "mode", "mdv")
MISSING = ("", ".", "na", "nan")
COMPARTMENTS = {"1": "depot", "2": "central", "depot": "depot", "central": "central"}
FIRST_UNBOUND = 100
TOLERANCE = 1e-4  # the file prints five digits
PRINTED = 0.6e-4  # half a unit in the fifth digit, relative to a leading 1 rounds to this
LONG_LAG = (
    "respine: all earlier doses of a steady state had the same lag, so doses given before the record may still arrive "
    "after it; amounts never turn negative"
)


def qualify(path: Path, progress: Callable[[int, int], None] | None = None) -> Findings:
    """Solve every subject of a file (or of the one such file in a folder). Raises InputError for an unusable file."""
    file = _file(path)
    subjects = _subjects(file)
    names = list(subjects)
    records = Records([[row.record for row in subjects[name]] for name in names])
    solver = engine.build(_model(), outputs=["cp"])
    start = min(0.0, *(rows[0].record.time for rows in subjects.values()))  # everybody is at rest before their records
    solution = solver.solve(np.zeros((len(names), 0)), records, start=start, rtol=1e-9, atol=1e-9)
    cases, at = [], 0
    for k, name in enumerate(names):
        rows = subjects[name]
        cases.append(_case(name, rows, solution.values[at : at + len(rows), 0], int(solution.status[k])))
        at += len(rows)
        if progress:
            progress(k + 1, len(names))
    rule = f"every observation of subjects below {FIRST_UNBOUND} within {TOLERANCE:g} relative of NONMEM"
    return Findings("dosing records against NONMEM", rule, ("records", "worst", "at", "ours", "NONMEM"), cases)


def _model() -> System:
    ka, k = sym("KA"), ("div", sym("CL"), sym("V"))
    absorbed = ("mul", ka, sym("depot"))
    return System(
        name="one compartment with depot",
        time_unit="hour",
        parameters={"KA": 1.5, "CL": 1.1, "V": 20.0},
        inputs={},
        rules={"cp": ("div", ("mul", num(1000), sym("central")), sym("V"))},
        rates={"depot": ("neg", absorbed), "central": ("sub", absorbed, ("mul", k, sym("central")))},
        initial={"depot": num(0), "central": num(0)},
    )


def _file(path: Path) -> Path:
    if path.is_file():
        return path
    found = sorted(path.glob("*nmtest*.csv")) or sorted(path.glob("*.csv")) if path.is_dir() else []
    if len(found) == 1:
        return found[0]
    seen = f"{len(found)} CSV files" if path.is_dir() else "no such file or folder"
    raise InputError(Problem(str(path), "file", seen, "One data file is needed.", "Name the CSV file itself."))


@dataclass(frozen=True)
class _Row:
    """A line of the file: what happens, and what NONMEM found where that is to be judged (NaN elsewhere)."""

    record: Record
    found: float


def _subjects(file: Path) -> dict[str, list[_Row]]:
    """Rows by subject, in file order. Raises InputError with every fault of every line."""
    with open(file, newline="", encoding="utf-8-sig", errors="replace") as stream:
        reader = csv.DictReader(stream)
        header = [c.strip().lower() for c in reader.fieldnames or ()]
        missing = [c for c in REQUIRED if c not in header]
        if missing:
            why, cure = f"Missing: {', '.join(missing)}.", f"The header must hold {', '.join(REQUIRED)}."
            raise InputError(Problem(f"{file}:1", "columns", ", ".join(header), why, cure))
        reader.fieldnames = header
        subjects: dict[str, list[_Row]] = {}
        problems: list[Problem] = []
        for row in reader:
            where = f"{file}:{reader.line_num}"
            texts = {c: (row[c] or "").strip() for c in header if isinstance(row.get(c), (str, type(None)))}
            faults: list[Problem] = []
            made = _row(texts, where, faults)
            earlier = subjects.setdefault(texts["id"], [])
            if not faults and earlier and made.record.time < earlier[-1].record.time and made.record.evid not in (3, 4):
                why = f"Subject {texts['id']} has a later time ({earlier[-1].record.time:g}) above."
                faults.append(Problem(where, "time", texts["time"], why, "Sort each subject by time."))
            problems += faults
            earlier.append(made)
    if problems:
        raise InputError(*problems)
    if not subjects:
        raise InputError(Problem(str(file), "rows", "0", "The file has a header and no rows.", "Give a data file."))
    return subjects


def _row(texts: dict[str, str], where: str, faults: list[Problem]) -> _Row:
    """One line; what is wrong with it is added to ``faults``."""
    numbers = {}
    for column in (*REQUIRED[1:3], *REQUIRED[4:], *OPTIONAL):
        text = texts.get(column, "")
        value = _number(text)
        if value is None or (column in WHOLE and value == value and value != int(value)):
            kind = "whole number" if column in WHOLE else "number"
            faults.append(
                Problem(where, column, text, f"This is no {kind}.", f"Write a {kind}, or . where none is meant.")
            )
        elif value != value and column in ("time", "evid"):
            faults.append(Problem(where, column, text, "Every record needs one.", "Write a number."))
        numbers[column] = OPTIONAL.get(column, 0.0) if value is None or value != value else value
    if not texts["id"]:
        faults.append(Problem(where, "id", "", "Every record needs one.", "Write the subject's number."))
    found = _number(texts["cp"])
    judged = numbers["evid"] == 0 and numbers["mdv"] == 0 and found is not None
    dose = numbers["evid"] in (1, 4)
    place = texts["cmt"].lower().removesuffix(".0")
    if dose and place not in COMPARTMENTS:
        seen = "The model has compartments 1 and 2."
        faults.append(Problem(where, "cmt", texts["cmt"], seen, "Write 1 (depot) or 2 (central)."))
    if faults:
        return _Row(Record(numbers["time"]), math.nan)
    record = _record(numbers, COMPARTMENTS[place] if dose else "")
    problem = record.problem()
    if problem:
        what, _, cure = problem.partition("; ")
        faults.append(Problem(where, "record", f"evid {record.evid}", f"{what}.", f"{cure or 'Correct the record'}."))
    return _Row(record, found if judged and found is not None else math.nan)


def _number(text: str) -> float | None:
    """The number, NaN where one is left out, None for anything else."""
    if text.lower() in MISSING:
        return math.nan
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _record(row: dict[str, float], compartment: str) -> Record:
    central = compartment == "central"
    return Record(
        time=row["time"],
        evid=int(row["evid"]),
        compartment=compartment,
        amount=row["amt"],
        rate=row["rate"],
        interval=row["ii"],
        additional=int(row["addl"]),
        steady=int(row["ss"]),
        lag=row["lagt"] if central else 0.0,
        fraction=row["bioav"] if central else 1.0,
        modelled={-1.0: row["rat2"], -2.0: row["dur2"]}.get(row["rate"], math.nan),
    )


def _case(name: str, rows: list[_Row], got: np.ndarray, status: int) -> Case:
    want = np.array([row.found for row in rows])
    observed = ~np.isnan(want)
    if not observed.any():
        return Case(name, REPORTED, (str(len(rows)),), "nothing to judge: no observation with a concentration")
    want, ours = want[observed], got[observed]
    floor = TOLERANCE * np.max(np.abs(want), initial=1e-300)  # below this five printed digits say nothing
    error = np.abs(ours - want) / np.maximum(np.abs(want), floor)
    worst = int(np.argmax(np.where(np.isnan(error), np.inf, error)))
    within = bool(status == 0 and np.all(error <= TOLERANCE + PRINTED))
    number = _number(name)
    bound = number is None or not number > FIRST_UNBOUND
    time = np.array([row.record.time for row in rows])[observed][worst]
    cells = (str(len(rows)), f"{error[worst]:.1e}", f"{time:g}", f"{ours[worst]:.6g}", f"{want[worst]:.6g}")
    if bound:
        return Case(name, PASS if within else FAIL, cells)
    return Case(name, REPORTED, cells, "agrees" if within else LONG_LAG)

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
from pathlib import Path

import numpy as np

from respine import engine
from respine.engine import Record, Records
from respine.errors import InputError, Problem
from respine.model.expression import num, sym
from respine.model.system import System
from respine.qualify.outcome import FAIL, PASS, REPORTED, Case, Findings

COLUMNS = (
    "id",
    "time",
    "cp",
    "cmt",
    "amt",
    "evid",
    "ii",
    "ss",
    "addl",
    "rate",
    "lagt",
    "bioav",
    "rat2",
    "dur2",
    "mode",
)
COMPARTMENTS = {1: "depot", 2: "central"}
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
    records = Records([[_record(row) for row in subjects[name]] for name in names])
    solver = engine.build(_model(), outputs=["cp"])
    solution = solver.solve(np.zeros((len(names), 0)), records, rtol=1e-9, atol=1e-9)
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
    found = sorted(path.glob("*nmtest*.csv")) if path.is_dir() else []
    if len(found) == 1:
        return found[0]
    seen = f"{len(found)} files named *nmtest*.csv" if path.is_dir() else "no such file or folder"
    raise InputError(Problem(str(path), "file", seen, "One data file is needed.", "Name the CSV file itself."))


def _subjects(file: Path) -> dict[str, list[dict[str, float]]]:
    """Rows by subject, in file order, as numbers."""
    with open(file, newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream)
        header = [c.strip().lower() for c in reader.fieldnames or ()]
        missing = [c for c in COLUMNS if c not in header]
        if missing:
            why, cure = f"Missing: {', '.join(missing)}.", f"The header must hold {', '.join(COLUMNS)}."
            raise InputError(Problem(f"{file}:1", "columns", ", ".join(header), why, cure))
        reader.fieldnames = header
        subjects: dict[str, list[dict[str, float]]] = {}
        problems = []
        for line, row in enumerate(reader, start=2):
            numbers = {c: _number(row[c]) for c in COLUMNS if c != "id"}
            for column, value in numbers.items():
                if value is None and not (column == "cp" and (numbers["evid"] or 0) != 0):
                    problems.append(Problem(f"{file}:{line}", column, str(row[column]), "This is no number.",
                                            "Write a number; 0 where nothing is meant."))  # fmt: skip
            if numbers["cmt"] not in (1, 2):
                problems.append(Problem(f"{file}:{line}", "cmt", str(row["cmt"]), "The model has compartments 1 and 2.",
                                        "Write 1 (depot) or 2 (central)."))  # fmt: skip
            subjects.setdefault(row["id"], []).append({c: math.nan if v is None else v for c, v in numbers.items()})
    if problems:
        raise InputError(*problems)
    if not subjects:
        raise InputError(Problem(str(file), "rows", "0", "The file has a header and no rows.", "Give a data file."))
    return subjects


def _number(text: str | None) -> float | None:
    try:
        return float((text or "").strip())
    except ValueError:
        return None


def _record(row: dict[str, float]) -> Record:
    central = row["cmt"] == 2
    return Record(
        time=row["time"],
        evid=int(row["evid"]),
        compartment=COMPARTMENTS[int(row["cmt"])],
        amount=row["amt"],
        rate=row["rate"],
        interval=row["ii"],
        additional=int(row["addl"]),
        steady=int(row["ss"]),
        lag=row["lagt"] if central else 0.0,
        fraction=row["bioav"] if central else 1.0,
        modelled={1: row["rat2"], 2: row["dur2"]}.get(int(row["mode"]), math.nan),
    )


def _case(name: str, rows: list[dict[str, float]], got: np.ndarray, status: int) -> Case:
    observed = np.array([row["evid"] == 0 for row in rows])
    want = np.array([row["cp"] for row in rows])[observed]
    ours = got[observed]
    floor = TOLERANCE * np.max(np.abs(want), initial=1e-300)  # below this five printed digits say nothing
    error = np.abs(ours - want) / np.maximum(np.abs(want), floor)
    worst = int(np.argmax(np.where(np.isnan(error), np.inf, error)))
    within = bool(status == 0 and np.all(error <= TOLERANCE + PRINTED))
    bound = not (name.strip().isdigit() and int(name) > FIRST_UNBOUND)
    time = np.array([row["time"] for row in rows])[observed][worst]
    cells = (str(len(rows)), f"{error[worst]:.1e}", f"{time:g}", f"{ours[worst]:.6g}", f"{want[worst]:.6g}")
    if bound:
        return Case(name, PASS if within else FAIL, cells)
    return Case(name, REPORTED, cells, "agrees" if within else LONG_LAG)

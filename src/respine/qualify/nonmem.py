"""Dosing records against NONMEM: the event designs of the public ``nmtest`` data set (nlmixr2data).

One compartment with a depot: 1 depot, 2 central; KA 1.5, CL 1.1, V 20; cp = 1000 * A2 / V. Lag (``lagt``),
bioavailability (``bioav``), modelled rate (``rat2``, mode 1) and modelled duration (``dur2``, mode 2) belong to
compartment 2, as in the NONMEM run behind the file. Subjects below 100 are bound; those above are designs on which
tools legitimately differ (lags beyond a dosing interval with steady state); they are reported with respine's rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from respine.errors import InputError, Problem
from respine.interop import NonmemData, delimited, read_nonmem
from respine.model.expression import num, sym
from respine.model.system import System
from respine.qualify.outcome import FAIL, PASS, REPORTED, Case, Findings

COMPARTMENTS: dict[int | str, str] = {1: "depot", 2: "central", "depot": "depot", "central": "central"}
DOSE_PARAMETERS = {"ALAG2": "lagt", "F2": "bioav", "R2": "rat2", "D2": "dur2"}  # columns that a file may have
FIRST_UNBOUND = 100
TOLERANCE = 1e-4  # the file prints five digits
PRINTED = 0.6e-4  # half a unit in the fifth digit, relative to a leading 1 rounds to this
LONG_LAG = (
    "respine: all earlier doses of a steady state had the same lag, so doses given before the record may still arrive "
    "after it; amounts never turn negative"
)


def qualify(path: Path, progress: Callable[[int, int], None] | None = None) -> Findings:
    """Solve every subject of a file (or of the one such file in a folder). Raises InputError for an unusable file."""
    data = read(_file(path))
    predictions = data.solve(_model(), "cp", rtol=1e-9, atol=1e-9)
    status = dict(zip(data.subjects, predictions.solution.status, strict=True))
    got, cases = predictions["cp"], []
    rows_of: dict[str, list[int]] = {name: [] for name in data.subjects}
    for n, event in enumerate(data.events):
        rows_of[event.subject].append(n)
    for k, (name, rows) in enumerate(rows_of.items()):
        cases.append(_case(data, name, rows, got[rows], int(status[name])))
        if progress:
            progress(k + 1, len(data.subjects))
    rule = f"every observation of subjects below {FIRST_UNBOUND} within {TOLERANCE:g} relative of NONMEM"
    return Findings("dosing records against NONMEM", rule, ("records", "worst", "at", "ours", "NONMEM"), cases)


def read(file: Path) -> NonmemData:
    """The data set of a file, with lag, bioavailability, rate and duration of compartment 2 where it has such columns."""
    columns = {column.lower() for column in delimited.columns(file, ("ID", "TIME", "cp"))}
    parameters = {name: column for name, column in DOSE_PARAMETERS.items() if column in columns}
    return read_nonmem(file, COMPARTMENTS, observed="cp", dose_parameters=parameters)


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
    files = sorted(path.glob("*nmtest*.csv")) or sorted(path.glob("*.csv")) if path.is_dir() else []
    if len(files) == 1:
        return files[0]
    seen = f"{len(files)} CSV files" if path.is_dir() else "no such file or folder"
    raise InputError(Problem(str(path), "file", seen, "One data file is needed.", "Name the CSV file itself."))


def _case(data: NonmemData, name: str, rows: list[int], got: np.ndarray, status: int) -> Case:
    events = [data.events[k] for k in rows]
    want = np.array([event.dv if event.mdv == 0 else math.nan for event in events])
    observed = ~np.isnan(want)
    if not observed.any():
        return Case(name, REPORTED, (str(len(rows)),), "nothing to judge: no observation with a concentration")
    want, ours = want[observed], got[observed]
    floor = TOLERANCE * np.max(np.abs(want), initial=1e-300)  # below this five printed digits say nothing
    error = np.abs(ours - want) / np.maximum(np.abs(want), floor)
    worst = int(np.argmax(np.where(np.isnan(error), np.inf, error)))
    within = bool(status == 0 and np.all(error <= TOLERANCE + PRINTED))
    time = np.array([event.time for event in events])[observed][worst]
    cells = (str(len(rows)), f"{error[worst]:.1e}", f"{time:g}", f"{ours[worst]:.6g}", f"{want[worst]:.6g}")
    if not name.isdigit() or int(name) <= FIRST_UNBOUND:
        return Case(name, PASS if within else FAIL, cells)
    return Case(name, REPORTED, cells, "agrees" if within else LONG_LAG)

"""Published models in SBML against stored trajectories that two other simulators agree on.

A folder holds ``models/ID.xml``, ``reference/ID.csv`` (``time`` and one column a variable: a species by its
concentration, anything else by its value) and, where there is one, ``index.csv`` with names.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from respine.errors import InputError, Problem
from respine.files.csv_rows import csv_records, csv_rows
from respine.model.expression import symbols
from respine.model.system import System
from respine.qualify.outcome import FAIL, PASS, REFUSED, Case, Findings, judged_case

LIMIT = 1e-4  # of each variable's largest value
RTOL = 1e-9
AT_ZERO = 1e-6  # a variable that stays at zero in the reference is measured by this share of the model's largest value


def qualify(folder: Path, progress: Callable[[int, int], None] | None = None) -> Findings:
    """Run every model with a reference. Raises InputError where the folder holds none, or a file is damaged."""
    references = sorted((folder / "reference").glob("*.csv")) if folder.is_dir() else []
    if not references:
        cure = "Name a folder with models/ID.xml and reference/ID.csv."
        raise InputError(Problem(str(folder), "folder", "", "it holds no reference trajectories.", cure))
    names = _names(folder / "index.csv")
    cases = []
    for k, reference in enumerate(references):
        model, name = folder / "models" / f"{reference.stem}.xml", names.get(reference.stem, "")
        cases.append(judged_case(partial(run, model, reference, name), reference.stem))
        if progress:
            progress(k + 1, len(references))
    return Findings(
        "published models against stored trajectories",
        f"every variable: largest difference <= {LIMIT:g} of its largest value; a refusal names its reason",
        ("model", "variables", "largest difference"),
        cases,
    )


def run(model: Path, reference: Path, name: str = "") -> Case:
    """One model."""
    from respine.model import load_sbml

    times, variables, expected = read_reference(reference)
    if not model.is_file():
        return Case(model.stem, FAIL, (name, str(len(variables)), ""), f"{model} is missing")
    try:
        system = load_sbml(model)
    except InputError as refusal:
        return Case(model.stem, REFUSED, (name, str(len(variables)), ""), " ".join(str(refusal.problems[0]).split()))
    outcome, worst, note = compare(system, variables, times, expected)
    return Case(model.stem, outcome, (name, str(len(variables)), worst), note)


def compare(system: System, variables: list[str], times: np.ndarray, expected: np.ndarray) -> tuple[str, str, str]:
    """Outcome, largest difference as a share of the variable's largest value, and where it is."""
    from respine.qualify.solving import Unsolved, trajectories

    rules = {}
    for v in variables:
        species = system.species.get(v)
        if species is not None and species.concentration is not None:
            rules[f"{v} asked"] = species.concentration
    known = {*system.states, *system.rules, *system.parameters, *system.inputs}
    missing = [v for v in variables if v not in known]
    if missing:
        return FAIL, "", f"the model has no {', '.join(missing)}"
    sizeless = sorted({c for rule in rules.values() for c in symbols(rule) if np.isnan(system.parameters.get(c, 0.0))})
    if sizeless:
        return REFUSED, "", f"{', '.join(sizeless)} has no size in the file, so concentrations in it are not known"
    outputs = [f"{v} asked" if f"{v} asked" in rules else v for v in variables]
    try:
        got = trajectories(system.with_rules(rules), outputs, times, RTOL)
    except Unsolved as reason:
        return FAIL, "", str(reason)
    largest = np.max(np.abs(expected), axis=0)
    largest[largest == 0] = AT_ZERO * (np.max(largest) or 1.0)
    difference = np.abs(got - expected) / largest
    difference[np.isnan(difference)] = np.inf
    row, column = np.unravel_index(int(np.argmax(difference)), difference.shape)
    worst = float(difference[row, column])
    where = f"{variables[column]} at {times[row]:g}: {got[row, column]:.8g}, expected {expected[row, column]:.8g}"
    return (PASS, f"{worst:.1e}", "") if worst <= LIMIT else (FAIL, f"{worst:.1e}", where)


def read_reference(path: Path) -> tuple[np.ndarray, list[str], np.ndarray]:
    """Times (n_times,), names and values (n_times, n_variables) of a reference. Raises InputError."""
    rows = csv_rows(path)
    header = [cell.strip() for cell in rows[0]] if rows else []
    if len(header) < 2 or header[0].lower() != "time" or len(rows) < 2:
        why = "a reference is a table with a column time, then one column a variable."
        raise InputError(Problem(f"{path}:1", "header", ",".join(header)[:80], why, "Restore the file."))
    try:
        table = np.array([[float(cell) for cell in row] for row in rows[1:]])
        return table[:, 0], header[1:], table[:, 1:]
    except (ValueError, IndexError):
        why = f"every row must hold {len(header)} numbers."
        raise InputError(Problem(str(path), "rows", "", why, "Restore the file.")) from None


def _names(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    return {row["id"]: row.get("name") or "" for row in csv_records(path) if row.get("id")}

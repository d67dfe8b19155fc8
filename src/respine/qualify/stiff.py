"""Stiff test problems against reference end values, over a sweep of tolerances: does the error control hold?

A folder holds one JSON file: per problem ``t0``, ``t_end``, ``y0``, ``params``, ``rhs`` (formulas of ``y1``, ``y2``,
..., the parameters, ``t`` and, where there are ``rates``, of ``r1``, ``r2``, ...) and ``reference``. Problems: Test Set
for IVP Solvers, archimede.uniba.it/~testset.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from respine import engine
from respine.errors import InputError, Problem
from respine.model.expression import Expr, num, substitute
from respine.model.system import System
from respine.qualify.outcome import FAIL, PASS, REPORTED, Case, Findings
from respine.study.formula import FormulaError, parse

TOLERANCES = tuple(10.0**-k for k in range(4, 11))
ALLOWED = 10.0  # times the tolerance asked
BELOW_REFERENCE = 1e-2  # absolute tolerance, as a share of rtol times the reference value of each state
TRUSTED = 1e-6  # a reference that an independent solver could not reproduce this closely judges nobody


def qualify(folder: Path, progress: Callable[[int, int], None] | None = None) -> Findings:
    """Solve every problem at every tolerance. Raises InputError for a missing or damaged file."""
    path, problems = read(folder)
    cases = []
    for k, (name, problem) in enumerate(problems.items()):
        cases.append(run(name, problem, path))
        if progress:
            progress(k + 1, len(problems))
    columns = ("states", *(f"{rtol:.0e}" for rtol in TOLERANCES))
    rule = f"largest relative error of a state at the end <= {ALLOWED:g} * rtol, at every rtol (shown: error / rtol)"
    size = "its size (start or end, the smaller that is not 0)"
    remark = f"absolute tolerance of a state: {BELOW_REFERENCE:g} * rtol * {size}"
    return Findings("stiff test problems", rule, columns, cases, (remark,))


def run(name: str, problem: Mapping[str, Any], path: Path) -> Case:
    """One problem at every tolerance."""
    system = to_system(name, problem, path)
    reference = np.array(problem["reference"], float)
    ratios, notes = [], []
    solver = engine.build(system, outputs=system.states, options=engine.Options(keep_all=True))
    for rtol in TOLERANCES:
        atol = {s: max(BELOW_REFERENCE * rtol * size, 1e-300) for s, size in _sizes(system, problem).items()}
        solution = solver.solve(times=[float(problem["t_end"])], start=float(problem["t0"]), rtol=rtol, atol=atol)
        error = relative_error(solution.values[0, -1], reference)
        ratios.append(error / rtol)
        notes += [f"rtol {rtol:.0e}: {failure.reason}" for failure in solution.failures]
    cells = (str(len(reference)), *(f"{ratio:.2g}" for ratio in ratios))
    doubt = problem.get("scipy_radau_rtol1e-10_max_rel_diff", 0.0)
    if not doubt <= TRUSTED:
        note = f"not bound: an independent solver missed the reference by {doubt:.2g}. {problem.get('note', '')}"
        return Case(name, REPORTED, cells, note.strip())
    return Case(name, PASS if all(ratio <= ALLOWED for ratio in ratios) else FAIL, cells, "; ".join(notes))


def relative_error(got: np.ndarray, reference: np.ndarray) -> float:
    """Largest relative error over the states whose reference is not zero; infinity where there is no number."""
    with np.errstate(all="ignore"):
        error = np.abs(got - reference) / np.abs(reference)
    error = error[reference != 0]
    return float(np.max(np.where(np.isnan(error), np.inf, error), initial=0.0))


def _sizes(system: System, problem: Mapping[str, Any]) -> dict[str, float]:
    """The smallest size of each state that still matters: of start and end, whichever is not zero."""
    ends = np.abs(np.array([problem["y0"], problem["reference"]], float))
    ends[ends == 0] = np.inf
    sizes = ends.min(axis=0)
    return dict(zip(system.states, np.where(np.isfinite(sizes), sizes, 1.0).tolist(), strict=True))


def to_system(name: str, problem: Mapping[str, Any], path: Path) -> System:
    """The problem's formulas as a system. Raises InputError with every formula that cannot be read."""
    faults: list[Problem] = []

    def read_formula(text: object, field: str) -> Expr:
        try:
            return substitute(parse(text), {"t": ("time",)})  # type: ignore[arg-type]
        except FormulaError as fault:
            faults.append(Problem(str(path), f"{name}.{field}", str(text)[:80], f"{fault}.", "Correct the formula."))
            return num(0)

    rules = {f"r{k + 1}": read_formula(text, f"rates[{k}]") for k, text in enumerate(problem.get("rates", []))}
    rates = {f"y{k + 1}": read_formula(text, f"rhs[{k}]") for k, text in enumerate(problem["rhs"])}
    if faults:
        raise InputError(*faults)
    initial = {f"y{k + 1}": num(value) for k, value in enumerate(problem["y0"])}
    return System(name, "1", {k: float(v) for k, v in problem["params"].items()}, {}, rules, rates, initial)


def read(folder: Path) -> tuple[Path, dict[str, dict[str, Any]]]:
    """The file of a folder (or the file itself) and its problems. Raises InputError."""
    files = [folder] if folder.is_file() else sorted(folder.glob("*.json"))
    if not files:
        cure = "Name a folder with a JSON file of problems."
        raise InputError(Problem(str(folder), "folder", "", "it holds no stiff test problems.", cure))
    path = files[0]
    try:
        problems = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as fault:
        raise InputError(Problem(str(path), "file", "", f"this is not JSON: {fault}.", "Restore the file.")) from None
    if not isinstance(problems, dict) or not problems:
        raise InputError(
            Problem(str(path), "file", "", "an object with one entry a problem is expected.", "Restore the file.")
        )
    faults = [fault for name, problem in problems.items() for fault in _faults(str(path), name, problem)]
    if faults:
        raise InputError(*faults)
    return path, problems


def _faults(path: str, name: str, problem: Any) -> list[Problem]:
    wanted = ("t0", "t_end", "y0", "params", "rhs", "reference")
    missing = [key for key in wanted if not isinstance(problem, dict) or key not in problem]
    if missing:
        return [Problem(path, name, "", f"the problem lacks {', '.join(missing)}.", "Add what is missing.")]
    lengths = {key: len(problem[key]) for key in ("y0", "rhs", "reference")}
    if len(set(lengths.values())) > 1:
        why = "y0, rhs and reference must have one entry a state."
        return [Problem(path, name, str(lengths), why, "Correct the lists.")]
    return []

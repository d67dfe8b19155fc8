"""Stiff test problems against reference end values, over a sweep of tolerances: does the error control hold?

A folder holds JSON files with problems by name: ``t0``, ``t_end``, ``y0``, ``params``, ``rhs`` (formulas of ``y1``,
``y2``, ..., the parameters, ``t`` and, where there are ``rates``, of ``r1``, ``r2``, ...) and ``reference``. Formulas are
SBML's infix, in which ``**`` is a power too and ``log`` is the natural logarithm. Problems: Test Set for IVP Solvers,
archimede.uniba.it/~testset.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from respine import engine
from respine.engine.events.hybrid import has_switches
from respine.errors import InputError, Problem
from respine.model.expression import Expr, num, substitute, symbols
from respine.model.mathml import Scope, Unsupported, formula
from respine.model.system import System
from respine.qualify.outcome import FAIL, PASS, REPORTED, Case, Findings, judged_case

TOLERANCES = tuple(10.0**-k for k in range(4, 11))
ALLOWED = 10.0  # times the tolerance asked
BELOW_REFERENCE = 1e-2  # absolute tolerance, as a share of rtol times the reference value of each state
NEGLIGIBLE = 1e-20  # of the largest value at start or end: what decays below it is noise in double precision
TRUSTED = 1e-6  # a reference that an independent solver could not reproduce this closely judges nobody


def qualify(folder: Path, progress: Callable[[int, int], None] | None = None) -> Findings:
    """Solve every problem at every tolerance. Raises InputError for a missing or damaged file."""
    problems = [(name, problem, path) for path, problems in read(folder).items() for name, problem in problems.items()]
    systems = [
        to_system(*problem) for problem in problems
    ]  # a formula that cannot be read is told before anything runs
    cases = []
    for k, (name, problem, _) in enumerate(problems):
        cases.append(judged_case(partial(run, name, problem, systems[k]), name))
        if progress:
            progress(k + 1, len(problems))
    columns = ("states", *(f"{rtol:.0e}" for rtol in TOLERANCES))
    rule = f"largest relative error of a state at the end <= {ALLOWED:g} * rtol, at every rtol (shown: error / rtol)"
    size = "its size (start or end, the smaller that is not 0)"
    remark = f"absolute tolerance of a state: {BELOW_REFERENCE:g} * rtol * {size}"
    return Findings("stiff test problems", rule, columns, cases, (remark,))


def run(name: str, problem: Mapping[str, Any], system: System) -> Case:
    """One problem at every tolerance."""
    reference = _without_noise(np.array(problem["reference"], float), np.array(problem["y0"], float))
    ratios, notes = [], []
    solver = engine.build(system, outputs=system.states, options=engine.Options(keep_all=True))
    jumps = has_switches(system)
    for rtol in TOLERANCES:
        atol = {s: max(BELOW_REFERENCE * rtol * size, 1e-300) for s, size in _sizes(system, problem).items()}
        solution = solver.solve(
            times=[float(problem["t_end"])], start=float(problem["t0"]), rtol=rtol, atol=atol, locate_jumps=jumps
        )
        error = relative_error(solution.values[0, -1], reference)
        ratios.append(error / rtol)
        notes += [f"rtol {rtol:.0e}: {failure.reason}" for failure in solution.failures]
    cells = (str(len(reference)), *(f"{ratio:.2g}" for ratio in ratios))
    doubt = problem.get("scipy_radau_rtol1e-10_max_rel_diff", 0.0)
    if not doubt <= TRUSTED:
        note = f"not bound: an independent solver missed the reference by {doubt:.2g}. {problem.get('note', '')}"
        return Case(name, REPORTED, cells, note.strip())
    return Case(name, PASS if all(ratio <= ALLOWED for ratio in ratios) else FAIL, cells, "; ".join(notes))


def _without_noise(reference: np.ndarray, start: np.ndarray) -> np.ndarray:
    """The reference with 0 for values that have decayed to nothing."""
    largest = np.max(np.abs([reference, start]))
    return np.where(np.abs(reference) > NEGLIGIBLE * largest, reference, 0.0)


def relative_error(got: np.ndarray, reference: np.ndarray) -> float:
    """Largest relative error over the states whose reference is not zero; infinity where there is no number."""
    with np.errstate(all="ignore"):
        error = np.abs(got - reference) / np.abs(reference)
    error = error[reference != 0]
    return float(np.max(np.where(np.isnan(error), np.inf, error), initial=0.0))


def _sizes(system: System, problem: Mapping[str, Any]) -> dict[str, float]:
    """The smallest size of each state that still matters: of start and end, whichever is not zero."""
    start = np.array(problem["y0"], float)
    ends = np.abs([start, _without_noise(np.array(problem["reference"], float), start)])
    ends[ends == 0] = np.inf
    sizes = ends.min(axis=0)
    return dict(zip(system.states, np.where(np.isfinite(sizes), sizes, 1.0).tolist(), strict=True))


def to_system(name: str, problem: Mapping[str, Any], path: Path) -> System:
    """The problem's formulas as a system. Raises InputError with every formula that cannot be read."""
    faults: list[Problem] = []
    rates, states = problem.get("rates", []), [f"y{k + 1}" for k in range(len(problem["rhs"]))]
    known = {*states, *problem["params"]}

    def read_formula(text: object, field: str) -> Expr:
        try:
            expr = _formula(text)
            unknown = sorted(set(symbols(expr)) - known)
            if not unknown:
                return expr
            why = f"{', '.join(unknown)} is not known here."
        except Unsupported as reason:
            why = f"it cannot be read: {reason}."
        faults.append(Problem(str(path), f"{name}.{field}", str(text)[:80], why, "Correct the formula."))
        return num(0)

    rules = {}
    for k, text in enumerate(rates):
        rules[f"r{k + 1}"] = read_formula(text, f"rates[{k}]")
        known.add(f"r{k + 1}")
    flows = {
        state: read_formula(text, f"rhs[{k}]")
        for k, (state, text) in enumerate(zip(states, problem["rhs"], strict=True))
    }
    if faults:
        raise InputError(*faults)
    initial = {state: num(value) for state, value in zip(states, problem["y0"], strict=True)}
    return System(name, "1", {k: float(v) for k, v in problem["params"].items()}, {}, rules, flows, initial)


def _formula(text: object) -> Expr:
    """A number or a formula in infix. Raises Unsupported."""
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        return num(text)
    import libsbml

    settings = libsbml.L3ParserSettings()
    settings.setParseLog(libsbml.L3P_PARSE_LOG_AS_LN)
    settings.setParseUnits(libsbml.L3P_NO_UNITS)  # else "2 y1" would be 2, in units of y1
    node = libsbml.parseL3FormulaWithSettings(str(text).replace("**", "^"), settings)
    if node is None:
        raise Unsupported(" ".join(libsbml.getLastParseL3Error().split()))
    return substitute(formula(node, Scope()), {"t": ("time",)})


def read(folder: Path) -> dict[Path, dict[str, dict[str, Any]]]:
    """The problems of every file of a folder (or of the file itself). Raises InputError with every fault."""
    files = [folder] if folder.is_file() else sorted(folder.glob("*.json"))
    if not files:
        cure = "Name a folder with a JSON file of problems."
        raise InputError(Problem(str(folder), "folder", "", "it holds no stiff test problems.", cure))
    by_path, faults = {}, []
    for path in files:
        try:
            problems = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as fault:
            faults.append(Problem(str(path), "file", "", f"this is not JSON: {fault}.", "Restore the file."))
            continue
        if not isinstance(problems, dict) or not problems:
            why = "an object with one entry a problem is expected."
            faults.append(Problem(str(path), "file", "", why, "Restore the file."))
            continue
        by_path[path] = problems
        faults += [fault for name, problem in problems.items() for fault in _faults(str(path), name, problem)]
    if faults:
        raise InputError(*faults)
    return by_path


def _faults(path: str, name: str, problem: Any) -> list[Problem]:
    wanted = ("t0", "t_end", "y0", "params", "rhs", "reference")
    missing = [key for key in wanted if not isinstance(problem, dict) or key not in problem]
    if missing:
        return [Problem(path, name, "", f"the problem lacks {', '.join(missing)}.", "Add what is missing.")]
    shapes = {"y0": list, "rhs": list, "reference": list, "params": dict, "rates": list}
    odd = [key for key, kind in shapes.items() if not isinstance(problem.get(key, kind()), kind)]
    if odd:
        why = f"{', '.join(odd)} must be a list (params: names with values)."
        return [Problem(path, name, "", why, "Correct the problem.")]
    lengths = {key: len(problem[key]) for key in ("y0", "rhs", "reference")}
    if len(set(lengths.values())) > 1 or not problem["rhs"]:
        why = "y0, rhs and reference must have one entry a state."
        return [Problem(path, name, str(lengths), why, "Correct the lists.")]
    numbers = {"t0": problem["t0"], "t_end": problem["t_end"], **problem["params"]}
    numbers |= {f"{key}[{k}]": v for key in ("y0", "reference") for k, v in enumerate(problem[key])}
    bad = [Problem(path, f"{name}.{key}", str(v)[:80], "this is no number.", "Write a finite number.")
           for key, v in numbers.items() if not _is_number(v)]  # fmt: skip
    if not bad and not problem["t_end"] > problem["t0"]:
        why = f"the end must lie after the start ({problem['t0']:g})."
        bad.append(Problem(path, f"{name}.t_end", str(problem["t_end"]), why, "Correct the times."))
    return bad


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)

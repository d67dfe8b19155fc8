"""PEtab test suites, and any collection of PEtab problems with known likelihoods.

Cases: folders ``NNNN`` with ``_NNNN.yaml`` and ``_NNNN_solution.yaml`` (github.com/PEtab-dev/petab_test_suite, versions 1
and 2). Of a collection of problems without solutions (Benchmark-Models-PEtab) every ``NAME/NAME.yaml`` that has
``simulatedData_NAME.tsv`` beside it: simulations are compared.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from respine.errors import InputError, Problem
from respine.qualify.outcome import FAIL, PASS, REFUSED, Case, Findings, judged_case

SIMULATED = 1e-3  # of stored simulations, relative, where a case names no tolerance


def qualify(folder: Path, progress: Callable[[int, int], None] | None = None) -> Findings:
    """Run every case below a folder. Raises InputError where there is none."""
    if not folder.is_dir():
        raise InputError(Problem(str(folder), "folder", "", "there is no such folder.", "Name a copy of the suite."))
    runs = [(p, partial(_case, p)) for p in sorted(folder.rglob("_*_solution.yaml"))]
    runs += [(p, partial(_stored, p)) for p in sorted(folder.rglob("simulatedData_*.tsv")) if _problem_of(p).is_file()]
    if not runs:
        why = "it holds no case of the PEtab test suite and no problem with simulated data."
        raise InputError(Problem(str(folder), "folder", "", why, "Name a copy of either."))
    cases = []
    for k, (path, run) in enumerate(runs):
        name = str(path.parent.relative_to(folder)) if path.parent != folder else path.parent.name
        cases.append(judged_case(run, name, ()))
        if progress:
            progress(k + 1, len(runs))
    rule = (
        "log likelihood, chi2, posterior and simulations within the tolerances of the case (stored simulations: 1e-3)"
    )
    return Findings("PEtab problems", rule, ("log likelihood", "chi2"), cases, ())


def _case(solution: Path) -> Case:
    """One case of the suite."""
    wanted = _yaml(solution)
    name = solution.parent.name
    return _judged(
        solution.with_name(f"_{name}.yaml"), name, wanted, _simulations(solution.parent / "_simulations.tsv")
    )


def _stored(simulations: Path) -> Case:
    """One problem with stored simulations at its nominal parameters."""
    problem = _problem_of(simulations)
    return _judged(problem, problem.stem, {}, _simulations(simulations))


def _problem_of(simulations: Path) -> Path:
    return simulations.with_name(simulations.stem.removeprefix("simulatedData_") + ".yaml")


def _judged(path: Path, name: str, wanted: Mapping[str, Any], simulations: np.ndarray) -> Case:
    from respine.interop.petab import read_petab

    try:
        problem = read_petab(path)
        evaluated = problem.evaluate()
    except InputError as refusal:
        return Case(name, REFUSED, ("", ""), str(refusal.problems[0]).replace("\n", " "), ())
    llh, chi2 = float(evaluated.log_likelihood[0]), float(evaluated.chi2[0])
    faults = []
    for key, value in (("llh", llh), ("chi2", chi2)):
        if key in wanted and not abs(value - float(wanted[key])) <= float(wanted.get(f"tol_{key}", 1e-3)):
            faults.append(f"{key} {value:.10g}, expected {float(wanted[key]):.10g}")
    if "unnorm_log_posterior" in wanted:
        posterior = float(evaluated.log_posterior[0])
        if not abs(posterior - float(wanted["unnorm_log_posterior"])) <= float(wanted.get("tol_llh", 1e-3)):
            faults.append(f"posterior {posterior:.10g}, expected {float(wanted['unnorm_log_posterior']):.10g}")
    got = evaluated.simulated[0]
    if len(simulations) != len(got):
        faults.append(f"{len(got)} simulations, {len(simulations)} expected")
    else:
        away = np.abs(got - simulations) - float(wanted.get("tol_simulations", SIMULATED)) * (1 + np.abs(simulations))
        if not (away <= 0).all():
            k = int(np.nanargmax(away)) if not np.isnan(away).all() else 0
            faults.append(f"simulation {k + 1} is {got[k]:.8g}, expected {simulations[k]:.8g}")
    return Case(name, FAIL if faults else PASS, (f"{llh:.8g}", f"{chi2:.8g}"), "; ".join(faults), ())


def _simulations(path: Path) -> np.ndarray:
    with path.open(newline="", encoding="utf-8-sig") as lines:
        return np.array([float(row["simulation"]) for row in csv.DictReader(lines, delimiter="\t")])


def _yaml(path: Path) -> Mapping[str, Any]:
    from ruamel.yaml import YAML

    value = YAML(typ="safe").load(path.read_text("utf-8"))
    return value if isinstance(value, dict) else {}

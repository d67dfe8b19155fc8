"""AMICI: SBML -> C++ -> CVODES, built once."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from models import Problem

from peers import ABSOLUTE, MOST_STEPS, Solve

TITLE = "AMICI (CVODES)"
SUBJECTS = 8


def prepare(problem: Problem, people: np.ndarray) -> Solve:
    """Compiles the model (its cold start); no sensitivities."""
    import amici
    from amici.importers.sbml import SbmlImporter
    from amici.sim.sundials import run_simulation

    folder = Path(tempfile.mkdtemp(prefix="amici-"))
    sbml = folder / "model.xml"
    sbml.write_text(problem.sbml)
    importer = SbmlImporter(sbml)
    name = f"benchmark_{problem.name}"
    importer.sbml2amici(name, folder / "built", generate_sensitivity_code=False, compute_conservation_laws=False)
    model = amici.import_model_module(name, folder / "built").get_model()
    model.set_timepoints(problem.times)
    solver = model.create_solver()
    solver.set_max_steps(MOST_STEPS)
    free = list(model.get_free_parameter_ids())
    base = np.array(model.get_free_parameters())
    columns = [free.index(p) for p in problem.vary]
    states = list(model.get_state_ids())
    wanted = [states.index(s) for s in problem.states]
    starts = problem.starts(people)
    first = np.array(model.get_initial_state())

    def solve(rtol: float) -> np.ndarray:
        solver.set_relative_tolerance(rtol)
        solver.set_absolute_tolerance(rtol * ABSOLUTE)
        entries = []
        for row, start in zip(people, starts, strict=True):
            values, begin = base.copy(), first.copy()
            values[columns], begin[wanted] = row, start
            model.set_free_parameters(values.tolist())
            model.set_initial_state(begin.tolist())
            result = run_simulation(model, solver)
            entries.append(np.array(result["x"])[:, wanted])
        return np.array(entries)

    return solve

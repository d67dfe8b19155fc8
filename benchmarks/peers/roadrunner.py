"""libRoadRunner: SBML compiled by LLVM, CVODE, SBML events."""

from __future__ import annotations

import numpy as np
from models import Problem

from peers import ABSOLUTE, MOST_STEPS, Solve

TITLE = "libRoadRunner (CVODE)"
SUBJECTS = 8


def prepare(problem: Problem, people: np.ndarray) -> Solve:
    """Subjects one after the other in one RoadRunner object, as its documentation shows for scans."""
    import roadrunner

    roadrunner.Logger.setLevel(roadrunner.Logger.LOG_CRITICAL)
    runner = roadrunner.RoadRunner(problem.sbml)
    runner.timeCourseSelections = ["time", *problem.states]
    runner.integrator.maximum_num_steps = MOST_STEPS
    ids = list(runner.model.getGlobalParameterIds())
    columns = [ids.index(name) for name in (*problem.vary, *problem.states)]
    values = np.hstack([people, problem.starts(people)])
    last, n = float(problem.times[-1]), len(problem.times)

    def solve(rtol: float) -> np.ndarray:
        runner.integrator.relative_tolerance, runner.integrator.absolute_tolerance = rtol, rtol * ABSOLUTE
        result: list[np.ndarray] = []
        lost = RuntimeError("nothing was solved")
        for row in values:
            runner.resetToOrigin()
            runner.model.setGlobalParameterValues(columns, row)
            try:
                result.append(np.array(runner.simulate(0, last, n))[:, 1:])
            except RuntimeError as error:  # its user would go on with the next subject
                lost, result = error, [*result, np.full((n, len(problem.states)), np.nan)]
        if np.isnan(np.array(result)).all(axis=(1, 2)).mean() > 0.5:
            raise lost
        return np.array(result)

    return solve

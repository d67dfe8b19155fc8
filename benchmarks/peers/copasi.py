"""COPASI through basico: deterministic (LSODA) time course."""

from __future__ import annotations

import numpy as np
from models import Problem

from peers import ABSOLUTE, MOST_STEPS, Solve

TITLE = "COPASI (LSODA)"
SUBJECTS = 8


def prepare(problem: Problem, people: np.ndarray) -> Solve:
    """Values are set on the model object and the time-course task is run again."""
    import basico
    import COPASI

    loaded = basico.load_model(problem.sbml)
    model, task = loaded.getModel(), loaded.getTask("Time-Course")
    quantities = [model.getModelValue(k) for k in range(model.getNumModelValues())]
    by_name = {q.getSBMLId() or q.getObjectName(): q for q in quantities}
    names = (*problem.vary, *problem.states)
    values = np.hstack([people, problem.starts(people)])
    course = task.getProblem()
    course.setDuration(float(problem.times[-1]))
    course.setStepNumber(len(problem.times) - 1)
    course.setAutomaticStepSize(False)
    course.setTimeSeriesRequested(True)
    method = task.getMethod()
    method.getParameter("Max Internal Steps").setUIntValue(MOST_STEPS)

    def solve_row(row: np.ndarray) -> np.ndarray:
        for name, value in zip(names, row, strict=True):
            by_name[name].setInitialValue(float(value))
        model.applyInitialValues()
        if not task.process(True):
            raise RuntimeError(COPASI.CCopasiMessage.getAllMessageText())
        series = task.getTimeSeries()
        titles = [series.getTitle(k) for k in range(series.getNumVariables())]
        shown = [by_name[s].getObjectName() for s in problem.states]
        columns = [titles.index(s) if s in titles else titles.index(f"Values[{s}]") for s in shown]
        times = np.array([series.getConcentrationData(k, 0) for k in range(series.getRecordedSteps())])
        rows = [int(np.flatnonzero(np.abs(times - t) < 1e-6)[-1]) for t in problem.times]
        return np.array([[series.getConcentrationData(k, c) for c in columns] for k in rows])

    def solve(rtol: float) -> np.ndarray:
        method.getParameter("Relative Tolerance").setDblValue(rtol)
        method.getParameter("Absolute Tolerance").setDblValue(rtol * ABSOLUTE)
        return np.array([solve_row(row) for row in values])

    return solve

"""Solve a system with events, one subject after the other, and tell how its jumps were met."""

from __future__ import annotations

import numpy as np

from respine.engine.dosing.schedule import Schedule
from respine.engine.events.prepared import Prepared
from respine.engine.events.subject import Subject
from respine.engine.request import Request, Setup
from respine.engine.solution import Solution
from respine.engine.tolerances import below_tolerance, describe_atol


def solve_subjects(setup: Setup, request: Request, schedule: Schedule) -> Solution:
    """Every subject of a request, in float64; ``schedule`` is the request's."""
    prepared = Prepared(setup, request, schedule)
    n = request.n_subjects
    values = np.full((n, len(request.times), len(setup.outputs)), np.nan)
    status, steps, failures = np.zeros(n, np.int8), np.zeros((n, 2), np.int64), []
    for s in range(n):
        subject = Subject(prepared, s)
        failure = subject.run(values[s])
        steps[s] = subject.stepper.accepted, subject.stepper.rejected
        prepared.clock_is_sure &= subject.ahead.sure
        if failure is not None:
            status[s] = failure.status
            failures.append(failure)
        if request.progress:
            request.progress(s + 1, n)
    code = prepared.code
    settings = {
        "method": setup.options.method,
        "precision": "float64",
        "lanes": prepared.target.lanes,
        "rtol": request.rtol,
        "atol": describe_atol(code.states, prepared.tolerances, prepared.scale),
        "equal_time_order": "triggered events, doses, outputs" if request.after else "triggered events, outputs, doses",
        "equations": len(code.states),
        "equations_before": len(setup.system.states),
        "events": len(setup.system.events),
        "switches": len(prepared.hybrid.switches),
        "jumps": _describe_jumps(len(prepared.left), prepared.clock_is_sure),
    }
    if low := below_tolerance(
        setup.outputs, values, dict(zip(code.states, prepared.tolerances, strict=True)), request.own
    ):
        settings["below_atol"] = low
    if schedule.covariates:
        settings["covariates"] = schedule.covariates
    return Solution(values, request.times, setup.outputs, status, steps, failures, 0.0, settings)


def _describe_jumps(left: int, sure: bool) -> str:
    """How jumps were met."""
    text = "located"
    if left:
        text += (
            f", but for {left} that turned without end and {'was' if left == 1 else 'were'} left to the error control"
        )
    return text if sure else f"{text}; a condition of time could not be enclosed and was looked at in many places only"

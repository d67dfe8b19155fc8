"""From a request to a solution, many subjects at once; float32 is checked in float64, conserved totals are followed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from respine.engine.codegen.code import Code
from respine.engine.events.time_modes import TimeModes
from respine.engine.input_checks import thread_count
from respine.engine.request import Request, Setup
from respine.engine.run.assemble import assembled
from respine.engine.run.batch import Batch
from respine.engine.run.conservation import ConservedTotals
from respine.engine.run.starts import start_states
from respine.engine.run.timetable import timetable
from respine.engine.solution import Solution
from respine.engine.status import Status
from respine.engine.tolerances import describe_atol

SPOT_CHECK = 8  # subjects of a float32 run that are solved in float64 too


@dataclass(frozen=True)
class Twin:
    """The same system in float64, by which a float32 run is judged."""

    setup: Setup
    code: Code


def solve_lanes(
    setup: Setup, code: Code, request: Request, modes: TimeModes | None, totals: ConservedTotals | None,
    twin: Twin | None, jumps_left: tuple[str, ...],
) -> Solution:  # fmt: skip
    """The trajectories of all subjects.

    ``modes``: the inputs of the system that stand for conditions of time; ``jumps_left``: rates and rules whose jumps are
    left to the error control.
    """
    starts, finite = start_states(setup, code.states, request)
    plan = timetable(setup, code.text.programs.equations, request, starts, modes)
    batch = Batch(setup, code, request, starts, plan)
    workers = thread_count(request.threads, request.n_subjects)
    batch.run(finite & request.schedule.finite, workers, request.progress)
    absolute, scale = request.tolerances(setup.system.states, code.rooted)
    settings: dict[str, object] = {
        "method": setup.options.method,
        "precision": setup.options.precision,
        "lanes": setup.target.lanes,
        "rtol": request.rtol,
        "atol": describe_atol(setup.system.states, absolute, scale),
        "equal_time_order": "events before outputs" if request.after else "outputs before events",
        "equations": len(code.states),
        "equations_before": len(setup.system.states),
    }
    if modes or jumps_left:
        settings["jumps"] = told_of_jumps(modes, plan.sure, jumps_left)
    if request.schedule.covariates:
        settings["covariates"] = request.schedule.covariates
    if twin:
        settings["float64_check"] = _spot_check(batch, twin, request, modes, workers)
    return assembled(setup, request, batch, settings, totals, absolute)


def told_of_jumps(modes: TimeModes | None, sure: bool, left: tuple[str, ...]) -> str:
    """What a result says of the jumps in the equations."""
    located = [f"{len(modes.names)} conditions of time located"] if modes else []
    located += [] if sure else ["one could not be enclosed and was looked at in many places only"]
    return "; ".join(located + ([f"{', '.join(left)} left to the error control"] if left else []))


def _spot_check(batch: Batch, twin: Twin, request: Request, modes: TimeModes | None, threads: int) -> dict[str, float]:
    """Solve some of the subjects again in float64: how many, and the largest difference.

    The difference is relative to each output's largest value in these subjects.
    """
    well = np.flatnonzero(batch.status == Status.OK)
    chosen = well[np.unique(np.linspace(0, len(well) - 1, SPOT_CHECK).astype(int))] if len(well) else well
    same = (twin.code.states, twin.code.slow) == (batch.code.states, batch.code.slow)
    starts = batch.starts if same else start_states(twin.setup, twin.code.states, request)[0]
    equations = twin.code.text.programs.equations
    plan = batch.plan if same else timetable(twin.setup, equations, request, starts, modes)
    exact = Batch(twin.setup, twin.code, request, starts, plan, only=chosen)
    among = np.zeros(len(batch.status), bool)
    among[chosen] = True
    exact.run(among, min(threads, len(chosen)) or 1)
    rows = batch.readings.rows_of(chosen)
    size = np.max(np.abs(exact.rows), axis=0, initial=1e-300)
    n_asked = batch.setup.n_asked
    worst = np.max(np.abs(batch.rows[rows, :n_asked] - exact.rows) / size, initial=0.0)
    return {"subjects": len(chosen), "largest_difference": float(worst)}

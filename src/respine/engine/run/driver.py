"""The one loop that drives the kernels: independent lanes with their own steps, refilled from a queue of subjects.

Compiled once by numba and kept; it knows nothing of the model. Each lane's arithmetic depends only on its own subject,
so results do not depend on how subjects meet in lanes or threads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from respine.engine.codegen.code import engine_version
from respine.engine.codegen.step_size import BEST_LOG_ERROR, FRESH, HALF_WAY, RESTART
from respine.engine.run.apply_events import apply_due_events
from respine.engine.run.kernel_calls import STOP, call, call_advance, compiled, inlined
from respine.engine.run.lanes import NO_STEADY_STATE, end_subjects, keep_failure, retire, stop_all, take_subjects
from respine.engine.run.readings import next_output, read_at_events, read_inside_step
from respine.engine.run.sensitivities import step_around_kinks
from respine.engine.run.workspace import (
    AT_EVENT,
    DUE,
    LONGEST_STEP,
    MOST_STEPS,
    NEXT_EVENT,
    NEXT_OUTPUT,
    NEXT_STEP,
    NOW,
    OUTCOME,
    SHARE,
    SHORTEST_STEP,
    Lane,
    Run,
    Subject,
    Tables,
)

SHORTEST = 1e-18  # share of the horizon below which no step is tried
FIRST_STEP = 1e-6  # share of the horizon, where the rates say nothing


@inlined
def prepare(run: Run, lanes: np.ndarray, control: np.ndarray) -> None:
    """Set what stays as it is throughout a run."""
    for k in range(lanes.shape[0]):
        lanes[k].subject = -1
        control[NOW, k] = run.start
        control[NEXT_STEP, k] = run.horizon
        control[NEXT_EVENT, k] = np.inf
        control[NEXT_OUTPUT, k] = np.inf
        control[LONGEST_STEP, k] = run.largest_step
        control[SHORTEST_STEP, k] = SHORTEST * run.horizon
        control[MOST_STEPS, k] = run.max_steps
        control[SHARE, k] = HALF_WAY
    call(run.kernel.enter, run.workspace)


@inlined
def pass_events(
    run: Run, subject: Subject, lane: Lane, k: int, w: np.ndarray, control: np.ndarray, tables: Tables
) -> bool:
    """Events of lane k at its present time, up to an output that is due; False where no steady state is reached."""
    before = lane.event
    if not apply_due_events(run, subject, lane, k, w, control, tables):
        return False
    # a stop only to read the sensitivities does not make the step start afresh
    lane.changed |= run.n_sensitivities == 0 or lane.event > before or control[NEXT_STEP, k] == 0.0
    control[NEXT_OUTPUT, k] = next_output(subject, lane, tables.times, tables.need)
    control[DUE, k] = control[NEXT_OUTPUT, k] <= control[NOW, k]
    if control[DUE, k] == 0.0:
        control[AT_EVENT, k] = 0.0
        control[NEXT_EVENT, k] = next_stop(run, subject, lane, control[NOW, k], tables)
    return True


@inlined
def next_stop(run: Run, subject: Subject, lane: Lane, now: float, tables: Tables) -> float:
    """Where the subject's steps must end next: at an event, the last output, or with sensitivities at any output."""
    event = tables.events[lane.event].time if lane.event < subject.last_event else np.inf
    stop = tables.times[subject.first_time + subject.n_outputs - 1]
    if run.n_sensitivities > 0:  # they have no dense output
        following = tables.times[subject.first_time + lane.output]
        stop = following if following > now else stop
    return event if lane.quiet else min(event, stop)


@compiled
def start_afresh(run: Run, lanes: np.ndarray, w: np.ndarray, control: np.ndarray) -> None:
    """First steps after an event, in the lanes that changed."""
    call(run.kernel.begin, run.workspace)
    for k in range(lanes.shape[0]):
        if lanes[k].changed:
            careful = np.float64(w[run.at.begin_step, k])
            if not careful > 0.0:
                careful = FIRST_STEP * run.horizon
            control[NEXT_STEP, k] = min(max(careful, RESTART * control[NEXT_STEP, k]), run.largest_step)
            control[OUTCOME, k] = FRESH
            w[run.at.last_step, k] = control[NEXT_STEP, k]
            w[run.at.last_log_error, k] = BEST_LOG_ERROR
            lanes[k].changed = False


def _compiled(version: int) -> Callable[..., Any]:
    """The loop; numba keeps it by this file and by what it closes over, so the version makes all other files count."""

    @njit(nogil=True, cache=True, error_model="numpy", _nrt=False)  # no counting of references: all arrays outlive it
    def drive(
        run: Run,  # RUN
        lanes: np.ndarray,  # (n_lanes,) LANE
        w: np.ndarray,  # (n_rows, n_lanes) workspace
        control: np.ndarray,  # (16, n_lanes) the part of it that is float64 in any case
        tables: Tables,
        queue: np.ndarray,  # subjects to solve, which threads share
    ) -> None:
        """Solve the subjects in the queue."""
        alive, more, first_time, at_events = 0, True, version >= 0, False
        prepare(run, lanes, control)
        while True:
            if more and alive < lanes.shape[0]:
                taken, more = take_subjects(run, lanes, w, control, tables, queue, first_time)
                alive += taken
                first_time, at_events = False, True
            if alive == 0:
                break
            if tables.counters[STOP] != 0:
                stop_all(run, lanes, control, tables)
                break
            # events that are due, and outputs at their times, in the order of the records
            changed = False
            while at_events:
                at_events = False
                for k in range(lanes.shape[0]):
                    control[DUE, k] = 0.0
                    if control[AT_EVENT, k] > 0.0:
                        lane, subject = lanes[k], tables.subjects[lanes[k].subject]
                        if pass_events(run, subject, lane, k, w, control, tables):
                            changed |= lane.changed
                            at_events |= control[DUE, k] > 0.0  # look again after the reading
                        else:
                            keep_failure(run, lane, k, w, -1.0, tables.failed)
                            retire(run, subject, lane, k, control, NO_STEADY_STATE)
                            alive -= 1
                if at_events:
                    alive -= read_at_events(run, lanes, w, control, tables, changed)
            if alive == 0:
                continue
            if changed:
                start_afresh(run, lanes, w, control)
            attention = call_advance(run.kernel.advance, run.workspace)
            due = False
            if attention:
                for k in range(lanes.shape[0]):
                    due |= control[DUE, k] > 0.0
                    at_events |= control[AT_EVENT, k] > 0.0
            if run.n_sensitivities > 0:
                step_around_kinks(run, lanes, w, control)
            while due:
                due = read_inside_step(run, lanes, w, control, tables)
            call(run.kernel.commit, run.workspace)
            if attention or run.n_sensitivities > 0:
                alive -= end_subjects(run, lanes, w, control, tables)
        call(run.kernel.leave, run.workspace)

    return drive


drive = _compiled(int(engine_version()[:15], 16))

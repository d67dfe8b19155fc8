"""Outputs: when each subject's next one is read, and the reading, at a lane's present time or inside a step."""

from __future__ import annotations

import numpy as np

from respine.engine.run.kernel_calls import call, call_read_out, compiled, inlined
from respine.engine.run.lanes import OK, retire
from respine.engine.run.workspace import DUE, NEXT_OUTPUT, NOW, REACHED, Lane, Run, Subject, Tables


@compiled
def next_output(subject: Subject, lane: Lane, times: np.ndarray, need: np.ndarray) -> float:
    """When the subject's next output is read: never while events that precede it have not happened."""
    happened = lane.event - subject.first_event
    if (
        lane.quiet
        or lane.output >= subject.n_outputs
        or need[subject.first_row + lane.output] > happened
    ):  # fmt: skip
        return np.inf
    return times[subject.first_time + lane.output]


@inlined
def read_out(run: Run, subject: Subject, lane: Lane, k: int) -> None:
    """Write the outputs observed in lane k to its subject's next row."""
    row = run.rows + run.row_bytes * (subject.first_row + lane.output)
    call_read_out(run.kernel.read_out, run.workspace, k, row)
    lane.output += 1


@inlined
def read_at_events(
    run: Run, lanes: np.ndarray, w: np.ndarray, control: np.ndarray, tables: Tables, changed: bool
) -> int:
    """One output of each lane that has one due at its present time; returns how many subjects end with it."""
    if changed:  # a stop only to read finds all as it was
        call(run.kernel.begin, run.workspace)
    for k in range(lanes.shape[0]):
        w[run.at.fraction, k] = 0.0
        if control[DUE, k] > 0.0:
            w[run.at.time, k] = control[NOW, k]
            for q in range(run.n_states):
                w[run.at.rate + q, k] = w[run.at.state + q, k]
    call(run.kernel.observe, run.workspace)
    ended = 0
    for k in range(lanes.shape[0]):
        if control[DUE, k] > 0.0:
            lane = lanes[k]
            subject = tables.subjects[lane.subject]
            read_out(run, subject, lane, k)
            if lane.output == subject.n_outputs:
                retire(run, subject, lane, k, control, OK)
                ended += 1
    return ended


@inlined
def read_inside_step(run: Run, lanes: np.ndarray, w: np.ndarray, control: np.ndarray, tables: Tables) -> bool:
    """One output of each lane that has one due inside its step; returns whether a lane has another."""
    for k in range(lanes.shape[0]):
        w[run.at.fraction, k] = 0.0
        if control[DUE, k] > 0.0:
            time = tables.times[tables.subjects[lanes[k].subject].first_time + lanes[k].output]
            fraction = (time - control[NOW, k]) / np.float64(w[run.at.step, k])
            w[run.at.fraction, k] = min(1.0, max(0.0, fraction))
    call(run.kernel.interpolate, run.workspace)
    call(run.kernel.observe, run.workspace)
    another = False
    for k in range(lanes.shape[0]):
        if control[DUE, k] > 0.0:
            subject = tables.subjects[lanes[k].subject]
            read_out(run, subject, lanes[k], k)
            control[NEXT_OUTPUT, k] = next_output(subject, lanes[k], tables.times, tables.need)
            again = control[NEXT_OUTPUT, k] <= control[REACHED, k]
            control[DUE, k] = again
            another |= again
    return another

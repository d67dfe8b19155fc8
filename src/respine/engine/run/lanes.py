"""A lane and its subject: take one, see whether it goes on after a step, end it."""

from __future__ import annotations

import numpy as np

from respine.engine.codegen.step_size import BELOW_ZERO, FRESH, HALF_WAY, SPENT, STUCK
from respine.engine.run.kernel_calls import DONE, FAILED, NEXT, compiled, fetch_add, inlined
from respine.engine.run.workspace import (
    ACTIVE,
    AT_EVENT,
    ATTENTION,
    N_ACCEPTED,
    N_REJECTED,
    NEXT_EVENT,
    NEXT_OUTPUT,
    NEXT_STEP,
    NOW,
    OUTCOME,
    SHARE,
    Lane,
    Run,
    Subject,
    Tables,
)
from respine.engine.status import Status

NOT_FINITE, STEP_FLOOR, STEP_BUDGET = int(Status.NOT_FINITE), int(Status.STEP_FLOOR), int(Status.STEP_BUDGET)
STOPPED, NO_STEADY_STATE, NEGATIVE = int(Status.STOPPED), int(Status.NO_STEADY_STATE), int(Status.NEGATIVE)
OK = int(Status.OK)

IDLE_STEP = 1e-6  # of a lane without a subject: any positive number


@inlined
def start(run: Run, lane: Lane, k: int, s: int, w: np.ndarray, control: np.ndarray, tables: Tables) -> None:
    """Lane k stands where subject s starts, and is idle if that is not its subject."""
    busy = lane.subject >= 0
    lane.output = 0
    lane.quiet = False
    lane.kink_phase = 0
    control[ACTIVE, k] = busy
    control[AT_EVENT, k] = busy
    control[NOW, k] = run.start
    control[NEXT_STEP, k] = 0.0 if busy else IDLE_STEP
    control[NEXT_EVENT, k] = np.inf
    control[NEXT_OUTPUT, k] = np.inf
    control[OUTCOME, k] = FRESH
    control[SHARE, k] = HALF_WAY
    control[N_ACCEPTED, k] = 0.0
    control[N_REJECTED, k] = 0.0
    w[run.at.time, k] = run.start
    own = s if tables.start_states.shape[0] > 1 else 0
    for q in range(run.n_states * (1 + run.n_sensitivities)):
        w[run.at.state + q, k] = tables.start_states[own, q]
    for q in range(run.n_rests):
        w[run.at.state_rest + q, k] = 0.0
    for q in range(run.n_vary):
        w[run.at.slow + q, k] = tables.parameters[s, q]
    for q in range(run.n_vary, run.n_slow):
        w[run.at.slow + q, k] = tables.start_slow[q - run.n_vary]


@inlined
def take_subjects(
    run: Run, lanes: np.ndarray, w: np.ndarray, control: np.ndarray, tables: Tables,
    queue: np.ndarray, first_time: bool,
) -> tuple[int, bool]:  # fmt: skip
    """Idle lanes take the next subjects; returns how many did, and whether the queue may hold more."""
    taken, more = 0, True
    for k in range(lanes.shape[0]):
        lane = lanes[k]
        if lane.subject >= 0 or not (more or first_time):
            continue
        place = fetch_add(run.counters + 8 * NEXT, 1)
        if place < queue.shape[0]:
            lane.subject = queue[place]
            lane.event = tables.subjects[lane.subject].first_event
            taken += 1
        else:
            more = False
            place = 0  # a lane that never had a subject idles on the first one's numbers
        if more or first_time:
            start(run, lane, k, queue[place], w, control, tables)
    return taken, more


@compiled
def retire(run: Run, subject: Subject, lane: Lane, k: int, control: np.ndarray, status: int) -> None:
    """The subject has ended; its lane is idle."""
    subject.status = status
    subject.end_time = control[NOW, k]
    subject.accepted = np.int64(control[N_ACCEPTED, k])
    subject.rejected = np.int64(control[N_REJECTED, k])
    control[NEXT_STEP, k] = IDLE_STEP
    control[NEXT_EVENT, k] = np.inf
    control[NEXT_OUTPUT, k] = np.inf
    control[ACTIVE, k] = 0.0
    control[AT_EVENT, k] = 0.0
    lane.subject = -1
    lane.changed = False
    fetch_add(run.counters + 8 * DONE, 1)


@compiled
def keep_failure(run: Run, lane: Lane, k: int, w: np.ndarray, step: float, failed: np.ndarray) -> None:
    """Keep the last good state of a subject that fails, and the step that broke it: of the first few."""
    place = fetch_add(run.counters + 8 * FAILED, 1)
    if place < failed.shape[0]:
        failed[place, 0] = lane.subject
        failed[place, 1] = step
        for q in range(run.n_states):
            failed[place, 2 + q] = w[run.at.state + q, k]


@compiled
def end_of(
    run: Run, subject: Subject, lane: Lane, k: int, w: np.ndarray, control: np.ndarray
) -> int:  # fmt: skip
    """The status with which the subject of lane k ends after this step, -1 if it goes on."""
    why = control[ATTENTION, k]
    if why == STUCK and control[OUTCOME, k] == FRESH:  # at a kink that was found just now
        why = SPENT if control[N_ACCEPTED, k] + control[N_REJECTED, k] >= run.max_steps else 0.0
    if why == BELOW_ZERO:
        return NEGATIVE
    if lane.output == subject.n_outputs:
        return OK
    if why == STUCK:
        return STEP_FLOOR if np.float64(w[run.at.error, k]) < 1e300 else NOT_FINITE
    return STEP_BUDGET if why == SPENT else -1


@inlined
def end_subjects(run: Run, lanes: np.ndarray, w: np.ndarray, control: np.ndarray, tables: Tables) -> int:
    """Retire lanes whose subject is through or cannot go on; returns how many."""
    ended = 0
    for k in range(lanes.shape[0]):
        lane = lanes[k]
        if lane.subject >= 0:
            subject = tables.subjects[lane.subject]
            status = end_of(run, subject, lane, k, w, control)
            if status > OK:
                keep_failure(run, lane, k, w, np.float64(w[run.at.step, k]), tables.failed)
            if status >= OK:
                retire(run, subject, lane, k, control, status)
                ended += 1
    return ended


@inlined
def stop_all(run: Run, lanes: np.ndarray, control: np.ndarray, tables: Tables) -> None:
    """Subjects under way end as stopped."""
    for k in range(lanes.shape[0]):
        if lanes[k].subject >= 0:
            retire(run, tables.subjects[lanes[k].subject], lanes[k], k, control, STOPPED)

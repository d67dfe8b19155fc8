"""Events happen to a lane: doses, infusions, inputs that change, resets, the dosing intervals of a steady state."""

from __future__ import annotations

import numpy as np

from respine.engine.dosing.events_table import (
    ADD_STATE,
    CYCLE_END,
    CYCLE_START,
    JUMP,
    RESET,
    SET_RATE,
    SET_SLOW,
    SET_STATE,
    STEADY_BEGIN,
    STEADY_END,
)
from respine.engine.run.kernel_calls import inlined
from respine.engine.run.readings import next_output
from respine.engine.run.sensitivities import carry_through, moves, shift
from respine.engine.run.workspace import NOW, Event, Lane, Run, Subject, Tables

MOST_CYCLES = 20_000  # dosing intervals tried before steady state is given up
UNCHANGED = 1e-6  # change over a dosing interval, in tolerances, that counts as none
MISSING = 0.01  # what may still be missing of the steady state, in tolerances
ON_TOP = 2.0  # value of STEADY_END where the steady state is added to what was there


@inlined
def apply_due_events(
    run: Run, subject: Subject, lane: Lane, k: int, w: np.ndarray, control: np.ndarray, tables: Tables
) -> bool:
    """All events up to the lane's time that come before its next output; False where no steady state is reached."""
    settled = True
    while settled and lane.event < subject.last_event and tables.events[lane.event].time <= control[NOW, k]:
        if next_output(subject, lane, tables.times, tables.need) <= control[NOW, k]:
            break
        event = tables.events[lane.event]
        lane.event += 1
        moved = moves(event, tables)
        if moved:
            shift(run, k, w, control, tables.time_slopes[event.slope], 1.0)
        settled = apply_event(run, lane, k, w, control, event, tables)
        if settled and event.slope >= 0:
            carry_through(run, k, w, event, tables)
        if settled and moved:
            shift(run, k, w, control, tables.time_slopes[event.slope], -1.0)
    return settled


@inlined
def apply_event(run: Run, lane: Lane, k: int, w: np.ndarray, control: np.ndarray, event: Event, tables: Tables) -> bool:
    """What one event does to states, slow values and time of lane k; False where no steady state is reached."""
    kind, value = event.kind, event.value
    if kind == ADD_STATE:
        w[run.at.state + event.target, k] += value
    elif kind == SET_SLOW or kind == SET_RATE:  # noqa: SIM109 - numba compiles this faster
        w[run.at.slow + event.target, k] = value
    elif kind == SET_STATE:
        w[run.at.state + event.target, k] = value
        if run.n_rests > 0:
            w[run.at.state_rest + event.target, k] = 0.0
    elif kind == RESET or kind == STEADY_BEGIN:  # noqa: SIM109 - numba compiles this faster
        reset(run, lane, k, w, tables)
        lane.quiet = kind == STEADY_BEGIN
    elif kind == JUMP:
        control[NOW, k] = value
    elif kind == CYCLE_START:
        lane.cycle = lane.event
        lane.cycles = 0
        keep_cycle(run, k, w, tables)
    elif kind == CYCLE_END:
        return end_cycle(run, lane, k, w, control, value, tables)
    elif kind == STEADY_END:
        lane.quiet = False
        if value == ON_TOP:
            add_kept(run, k, w, tables)
    return True


@inlined
def reset(run: Run, lane: Lane, k: int, w: np.ndarray, tables: Tables) -> None:
    """States back to their start, infusions ended; what was there is kept."""
    states = tables.start_states
    own = lane.subject if states.shape[0] > 1 else 0
    for q in range(run.n_states * (1 + run.n_sensitivities)):
        tables.kept_state[k, q] = w[run.at.state + q, k] - states[own, q]
        w[run.at.state + q, k] = states[own, q]
    for q in range(run.n_rests):
        w[run.at.state_rest + q, k] = 0.0
    for q in range(run.first_rate, run.n_slow):
        tables.kept_slow[k, q] = w[run.at.slow + q, k]
        w[run.at.slow + q, k] = 0.0


@inlined
def add_kept(run: Run, k: int, w: np.ndarray, tables: Tables) -> None:
    """Add what the reset kept to what there is."""
    for q in range(run.n_states * (1 + run.n_sensitivities)):
        w[run.at.state + q, k] += tables.kept_state[k, q]
    for q in range(run.first_rate, run.n_slow):
        w[run.at.slow + q, k] += tables.kept_slow[k, q]


@inlined
def keep_cycle(run: Run, k: int, w: np.ndarray, tables: Tables) -> None:
    """Keep the states with which a dosing interval starts."""
    for q in range(run.n_states * (1 + run.n_sensitivities)):
        tables.cycle_state[k, q] = w[run.at.state + q, k]


@inlined
def end_cycle(
    run: Run, lane: Lane, k: int, w: np.ndarray, control: np.ndarray, interval: float, tables: Tables
) -> bool:
    """Repeat the dosing interval unless it changed nothing any more; False where it does not settle."""
    tolerance = tables.tolerance
    change = 0.0
    for q in range(run.n_states * (1 + run.n_sensitivities)):
        y = np.float64(w[run.at.state + q, k])
        scale = tolerance[1 + q] + tolerance[0] * abs(y)
        change = max(change, abs(y - tables.cycle_state[k, q]) / scale)
    shrink = change / lane.last_change if lane.cycles > 0 and lane.last_change > 0 else 1.0
    lane.cycles += 1
    if change < UNCHANGED or (shrink < 1.0 and change * shrink / (1.0 - shrink) < MISSING):
        return True
    if lane.cycles > MOST_CYCLES or not change < 1e300:
        return False
    lane.last_change = change
    lane.event = lane.cycle
    control[NOW, k] -= interval
    keep_cycle(run, k, w, tables)
    return True

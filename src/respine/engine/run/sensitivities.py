"""What events and kinks do to sensitivities, for the driver.

At an event whose time depends on a parameter, s after = (s before + f before * slope of the time) carried through the
event, - f after * slope of the time. Among the states of a lane the sensitivities follow, parameter by parameter.
"""

from __future__ import annotations

import numpy as np

from respine.engine.codegen.step_size import ACCEPTED, FRESH, HALF_WAY
from respine.engine.dosing.events_table import ADD_STATE, SET_RATE, SET_STATE
from respine.engine.run.kernel_calls import call, compiled, inlined
from respine.engine.run.workspace import AT_EVENT, NEXT_STEP, NOW, OUTCOME, SHARE, Event, Run, Tables

ACROSS = 0.2  # a step across a kink should have this error, in tolerances
TO_KINK, OVER_KINK, BEYOND_KINK = 1, 2, 3  # the phases of a lane at a kink; 0 none


@inlined
def moves(event: Event, tables: Tables) -> bool:
    """Whether the time of an event depends on a parameter."""
    moved = False
    if event.slope >= 0:
        for p in range(tables.time_slopes.shape[1]):
            moved |= tables.time_slopes[event.slope, p] != 0.0
    return moved


@compiled
def shift(run: Run, k: int, w: np.ndarray, control: np.ndarray, slopes: np.ndarray, sign: float) -> None:
    """s += sign * rate of the states * slope of the event's time, (n_sensitivities,)."""
    w[run.at.time, k] = control[NOW, k]
    call(run.kernel.begin, run.workspace)
    for p in range(slopes.shape[0]):
        if slopes[p] != 0.0:
            for q in range(run.n_states):
                own = run.at.state + run.n_states * (1 + p) + q
                w[own, k] += sign * slopes[p] * w[run.at.rate + q, k]


@inlined
def carry_through(run: Run, k: int, w: np.ndarray, event: Event, tables: Tables) -> None:
    """Carry s through an event; a reset has done so with the states."""
    for p in range(tables.value_slopes.shape[1]):
        slope, slot = tables.value_slopes[event.slope, p], tables.slope_slots[event.target, p]
        own = run.at.state + run.n_states * (1 + p) + event.target
        if event.kind == ADD_STATE:
            w[own, k] += slope
        elif event.kind == SET_STATE:
            w[own, k] = slope
        elif event.kind == SET_RATE and slot >= 0:
            w[run.at.slow + slot, k] = slope


@compiled
def step_around_kinks(run: Run, lanes: np.ndarray, w: np.ndarray, control: np.ndarray) -> None:
    """Where a kink spoilt the step, end one step just before it and cross it with a short one; then go on as before."""
    for k in range(lanes.shape[0]):
        lane = lanes[k]
        if lane.subject < 0:
            continue
        error = np.float64(w[run.at.error, k])
        step = np.float64(w[run.at.step, k])
        kink = np.float64(w[run.at.kink, k])
        phase = lane.kink_phase
        if control[OUTCOME, k] == ACCEPTED:
            if phase == TO_KINK:
                control[NEXT_STEP, k] = lane.step_across
            elif phase == OVER_KINK:
                control[NEXT_STEP, k] = lane.step_beyond
            if phase > 0:
                phase = 0 if control[AT_EVENT, k] > 0.0 else (phase + 1) % 4
        elif kink > 0.0 and (phase < BEYOND_KINK or step * kink > lane.step_across):  # not again the one just crossed
            lane.step_beyond = max(step, lane.step_beyond) if phase > 0 else step
            lane.step_across = step * ACROSS / np.sqrt(error)
            control[NEXT_STEP, k] = step * kink - 0.25 * lane.step_across
            phase = TO_KINK
            if control[NEXT_STEP, k] < 0.25 * lane.step_across:
                control[NEXT_STEP, k] = lane.step_across
                phase = OVER_KINK
            control[OUTCOME, k] = FRESH
        else:
            phase = 0
        lane.kink_phase = phase
        # a step that ends at a kink has its length for a reason
        control[SHARE, k] = 1.0 if phase == TO_KINK else HALF_WAY

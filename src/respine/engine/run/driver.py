"""The one loop that drives the kernels: independent lanes with their own steps, refilled from a queue of subjects.

Compiled once by numba (and cached); it knows nothing of the model. Each lane's arithmetic depends only on its own
subject, so results do not depend on how subjects meet in lanes or threads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from respine.engine.codegen.step_size import (
    ACCEPTED,
    BELOW_ZERO,
    BEST_LOG_ERROR,
    FRESH,
    HALF_WAY,
    RESTART,
    SPENT,
    STUCK,
)
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
from respine.engine.run.sensitivities import jump, moves, shift
from respine.engine.status import Status

NOT_FINITE, STEP_FLOOR, STEP_BUDGET = int(Status.NOT_FINITE), int(Status.STEP_FLOOR), int(Status.STEP_BUDGET)
STOPPED, NO_STEADY_STATE, NEGATIVE = int(Status.STOPPED), int(Status.NO_STEADY_STATE), int(Status.NEGATIVE)
OK = int(Status.OK)

# order of the offsets handed to `drive`
AREAS = (
    "time", "step", "error", "last_log_error", "last_step", "fraction", "begin_step", "state", "rate", "slow",
    "kink", "state_rest",
)  # fmt: skip
KERNELS = (
    "begin_inside",
    "advance",
    "commit_inside",
    "interpolate_inside",
    "observe_inside",
    "enter",
    "leave",
    "read_out",
)
NEXT, DONE, STOP, FAILED = range(4)  # shared counters
ACROSS = 0.2  # a step across a kink should have this error, in tolerances
MOST_CYCLES = 20_000  # dosing intervals tried before steady state is given up


@intrinsic
def _call(typing_context: Any, address: Any, workspace: Any) -> tuple[Any, Callable[..., Any]]:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        function = ir.FunctionType(ir.VoidType(), [ir.IntType(64)])
        builder.call(builder.inttoptr(arguments[0], function.as_pointer()), [arguments[1]])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@intrinsic
def _advance(typing_context: Any, address: Any, workspace: Any) -> tuple[Any, Callable[..., Any]]:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        function = ir.FunctionType(ir.IntType(64), [ir.IntType(64)])
        return builder.call(builder.inttoptr(arguments[0], function.as_pointer()), [arguments[1]])

    return types.int64(types.int64, types.int64), generate


@intrinsic
def _read_out(typing_context: Any, address: Any, workspace: Any, lane: Any, row: Any) -> tuple[Any, Callable[..., Any]]:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        function = ir.FunctionType(ir.VoidType(), [ir.IntType(64)] * 3)
        builder.call(builder.inttoptr(arguments[0], function.as_pointer()), arguments[1:])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64, types.int64), generate


@intrinsic
def _fetch_add(typing_context: Any, address: Any, amount: Any) -> tuple[Any, Callable[..., Any]]:
    """Atomic: returns the old number at the address, which threads share."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = builder.inttoptr(arguments[0], ir.IntType(64).as_pointer())
        return builder.atomic_rmw("add", pointer, arguments[1], "seq_cst")

    return types.int64(types.int64, types.int64), generate


@njit(nogil=True, cache=True, inline="always")
def _next_output(
    times: np.ndarray, need: np.ndarray, quiet: bool, k: int, n: int, moment: int, row: int, happened: int
) -> float:
    """When a subject's next output is read: never while events that precede it have not happened."""
    if quiet or k >= n or need[row + k] > happened:
        return np.inf
    return times[moment + k]


@njit(nogil=True, cache=True, error_model="numpy")
def drive(
    kernels: np.ndarray,  # (len(KERNELS),) addresses
    w: np.ndarray,  # workspace
    base: int,  # its address
    at: np.ndarray,  # (len(AREAS),) offsets, in numbers
    wide: np.ndarray,  # (len(WIDE), lanes), that part of the workspace
    lanes: int,
    n: int,  # states
    n_lost: int,  # states of which the part lost in rounding is kept: all in float32
    n_sensitivities: int,  # parameters whose sensitivities follow the states, and the outputs
    n_vary: int,
    n_slow: int,
    n_outputs: int,  # with their sensitivities
    parameters: np.ndarray,  # (n_subjects, n_vary)
    start_states: np.ndarray,  # (n_subjects or 1, n_all), n_all = n * (1 + n_sensitivities)
    start_slow: np.ndarray,  # (n_slow - n_vary,)
    rates_from: int,  # slow number of the first infusion rate
    first: np.ndarray,
    last: np.ndarray,
    event_time: np.ndarray,
    event_kind: np.ndarray,
    event_target: np.ndarray,
    event_value: np.ndarray,
    event_slopes: np.ndarray,  # per event, with sensitivities: row of the next two, -1 if nothing depends on parameters
    value_slopes: np.ndarray,  # (n, n_sensitivities) of an event's value
    time_slopes: np.ndarray,  # ... and of its time
    slope_slots: np.ndarray,  # (n_slow, n_sensitivities) slow number that holds the slope of an infusion rate, or -1
    times: np.ndarray,  # output times; subject s reads from time_first[s] on, count[s] of them
    time_first: np.ndarray,
    count: np.ndarray,
    row_first: np.ndarray,  # first row of the results of each subject
    need: np.ndarray,  # per row: how many of the subject's events happen before it is read
    tolerance: np.ndarray,  # (1 + n_all,) relative, then absolute
    queue: np.ndarray,  # subjects to solve
    start: float,
    largest_step: float,
    max_steps: int,
    values_address: int,  # of the results, (n_rows, n_outputs), NaN on entry
    status: np.ndarray,
    end_time: np.ndarray,
    steps: np.ndarray,  # (n_subjects, 2) accepted, rejected
    failed: np.ndarray,  # (capacity, n + 2): subject, step, last good state
    counters: np.ndarray,
    counters_address: int,
) -> None:
    o_time, o_step, o_error, o_last_log, o_last_step, o_fraction = at[0], at[1], at[2], at[3], at[4], at[5]
    o_begin, o_state, o_rate, o_slow = at[6], at[7], at[8], at[9]
    o_kink, o_lost = at[10], at[11]
    t, t_new, t_break, next_output, h = wide[0], wide[1], wide[2], wide[3], wide[4]
    longest, shortest, share, active, rejected = wide[5], wide[6], wide[7], wide[8], wide[9]
    n_accepted, n_rejected, most, due, at_event, attention = wide[10], wide[11], wide[12], wide[13], wide[14], wide[15]
    horizon = 1e-300
    for s in queue:
        horizon = max(horizon, abs(times[time_first[s] + count[s] - 1] - start))
    n_queue = queue.shape[0]
    n_all = n * (1 + n_sensitivities)
    subject = np.full(lanes, -1, np.int64)
    event = np.zeros(lanes, np.int64)
    last_event = np.zeros(lanes, np.int64)
    output = np.zeros(lanes, np.int64)
    n_times = np.zeros(lanes, np.int64)
    moment = np.zeros(lanes, np.int64)  # where the subject's output times begin
    row = np.zeros(lanes, np.int64)
    end = np.zeros(lanes)
    quiet = np.zeros(lanes, np.bool_)  # on the way to a steady state: nothing is read
    cycle = np.zeros(lanes, np.int64)  # event at which the dosing interval starts
    cycles = np.zeros(lanes, np.int64)
    last_change = np.zeros(lanes)
    marked = np.zeros((lanes, n_all))  # state at the start of the interval
    kept = np.zeros((lanes, n_all))  # state before the steady-state dose
    kept_slow = np.zeros((lanes, n_slow))
    t[:] = start
    h[:] = horizon
    t_break[:] = np.inf
    next_output[:] = np.inf
    longest[:] = largest_step
    shortest[:] = 1e-18 * horizon
    most[:] = max_steps
    share[:] = HALF_WAY
    phase = np.zeros(lanes, np.int64)  # of a kink: 1 a step that ends before it, 2 one across it, 3 beyond
    across = np.zeros(lanes)  # length of the step across
    resume = np.zeros(lanes)  # ... and of those after it
    changed = np.zeros(lanes, np.bool_)
    lost = np.zeros(lanes, np.bool_)
    alive = 0
    more = True
    parked = False
    events_wait = True
    _call(kernels[5], base)
    while True:
        # -- idle lanes take the next subjects
        if more and alive < lanes:
            for lane in range(lanes):
                if subject[lane] >= 0:
                    continue
                k = _fetch_add(counters_address + 8 * NEXT, 1)
                if k >= n_queue:
                    more = False
                    if parked:
                        break
                    k = 0  # a lane that never had a subject idles on the first one's numbers
                    s = queue[k]
                else:
                    s = queue[k]
                    subject[lane] = s
                    active[lane] = 1.0
                    alive += 1
                    event[lane] = first[s]
                    last_event[lane] = last[s]
                    output[lane] = 0
                    n_times[lane] = count[s]
                    moment[lane] = time_first[s]
                    row[lane] = row_first[s]
                    end[lane] = times[time_first[s] + count[s] - 1]
                    quiet[lane] = False
                    at_event[lane] = True
                t[lane] = start
                h[lane] = 0.0 if subject[lane] >= 0 else 1e-6
                t_break[lane] = np.inf
                rejected[lane] = FRESH
                phase[lane] = 0
                share[lane] = HALF_WAY
                n_accepted[lane] = 0
                n_rejected[lane] = 0
                next_output[lane] = np.inf
                events_wait = True
                s0 = s if start_states.shape[0] > 1 else 0
                for q in range(n_all):
                    w[o_state + q * lanes + lane] = start_states[s0, q]
                for q in range(n_lost):
                    w[o_lost + q * lanes + lane] = 0.0
                for q in range(n_vary):
                    w[o_slow + q * lanes + lane] = parameters[s, q]
                for q in range(n_vary, n_slow):
                    w[o_slow + q * lanes + lane] = start_slow[q - n_vary]
                w[o_time + lane] = start
            parked = True
        if alive == 0:
            break
        if counters[STOP] != 0:
            for lane in range(lanes):
                if subject[lane] >= 0:
                    status[subject[lane]] = STOPPED
                    end_time[subject[lane]] = t[lane]
                    steps[subject[lane], 0] = n_accepted[lane]
                    steps[subject[lane], 1] = n_rejected[lane]
            break
        # -- events that are due, and outputs at their times, in the order of the records
        any_changed = False
        pending = events_wait
        while pending:
            any_due = False
            for lane in range(lanes):
                due[lane] = False
                if not at_event[lane]:
                    continue
                s = subject[lane]
                first_event = event[lane]
                while event[lane] < last_event[lane] and event_time[event[lane]] <= t[lane]:
                    e = event[lane]
                    if _next_output(times, need, quiet[lane], output[lane], n_times[lane], moment[lane], row[lane],
                                    e - first[s]) <= t[lane]:  # fmt: skip
                        break
                    event[lane] += 1
                    target = event_target[e]
                    value = event_value[e]
                    kind = event_kind[e]
                    s0 = s if start_states.shape[0] > 1 else 0
                    slope = event_slopes[e] if n_sensitivities > 0 else -1
                    moved = slope >= 0 and moves(time_slopes[slope])
                    if moved:
                        w[o_time + lane] = t[lane]
                        _call(kernels[0], base)
                        shift(w, o_state, o_rate, lanes, lane, n, time_slopes[slope], 1.0)
                    if kind == ADD_STATE:
                        w[o_state + target * lanes + lane] += value
                    elif kind == SET_SLOW or kind == SET_RATE:  # noqa: SIM109 - numba compiles this faster
                        w[o_slow + target * lanes + lane] = value
                    elif kind == SET_STATE:
                        w[o_state + target * lanes + lane] = value
                        if n_lost > 0:
                            w[o_lost + target * lanes + lane] = 0.0
                    elif kind == RESET or kind == STEADY_BEGIN:  # noqa: SIM109 - numba compiles this faster
                        for q in range(n_all):
                            kept[lane, q] = w[o_state + q * lanes + lane] - start_states[s0, q]
                            w[o_state + q * lanes + lane] = start_states[s0, q]
                        for q in range(n_lost):
                            w[o_lost + q * lanes + lane] = 0.0
                        for q in range(rates_from, n_slow):
                            kept_slow[lane, q] = w[o_slow + q * lanes + lane]
                            w[o_slow + q * lanes + lane] = 0.0
                        quiet[lane] = kind == STEADY_BEGIN
                    elif kind == JUMP:
                        t[lane] = value
                    elif kind == CYCLE_START:
                        cycle[lane] = event[lane]
                        cycles[lane] = 0
                        for q in range(n_all):
                            marked[lane, q] = w[o_state + q * lanes + lane]
                    elif kind == CYCLE_END:
                        change = 0.0
                        for q in range(n_all):
                            y = np.float64(w[o_state + q * lanes + lane])
                            scale = tolerance[1 + q] + tolerance[0] * abs(y)
                            change = max(change, abs(y - marked[lane, q]) / scale)
                        shrink = change / last_change[lane] if cycles[lane] > 0 and last_change[lane] > 0 else 1.0
                        cycles[lane] += 1
                        if change < 1e-6 or (shrink < 1.0 and change * shrink / (1.0 - shrink) < 0.01):
                            pass  # what is still missing lies far below the tolerance
                        elif cycles[lane] > MOST_CYCLES or not change < 1e300:
                            lost[lane] = True
                        else:
                            last_change[lane] = change
                            for q in range(n_all):
                                marked[lane, q] = w[o_state + q * lanes + lane]
                            t[lane] -= value
                            event[lane] = cycle[lane]
                    elif kind == STEADY_END:
                        quiet[lane] = False
                        if value == 2.0:  # on top of what was there
                            for q in range(n_all):
                                w[o_state + q * lanes + lane] += kept[lane, q]
                            for q in range(rates_from, n_slow):
                                w[o_slow + q * lanes + lane] += kept_slow[lane, q]
                    if lost[lane]:
                        break
                    if slope >= 0:
                        jump(w, o_state, o_slow, lanes, lane, n, kind, target, value_slopes[slope], slope_slots)
                    if moved:
                        _call(kernels[0], base)
                        shift(w, o_state, o_rate, lanes, lane, n, time_slopes[slope], -1.0)
                if lost[lane]:
                    status[s] = NO_STEADY_STATE
                    end_time[s] = t[lane]
                    steps_lost = _fetch_add(counters_address + 8 * FAILED, 1)
                    if steps_lost < failed.shape[0]:
                        failed[steps_lost, 0] = s
                        for q in range(n):
                            failed[steps_lost, 2 + q] = w[o_state + q * lanes + lane]
                    lost[lane] = False
                    steps[s, 0] = n_accepted[lane]
                    steps[s, 1] = n_rejected[lane]
                    h[lane] = 1e-6
                    t_break[lane] = np.inf
                    next_output[lane] = np.inf
                    subject[lane] = -1
                    active[lane] = 0.0
                    at_event[lane] = False
                    alive -= 1
                    _fetch_add(counters_address + 8 * DONE, 1)
                    continue
                # a stop only to read the sensitivities does not make the step start afresh
                changed[lane] |= n_sensitivities == 0 or event[lane] > first_event or h[lane] == 0.0
                any_changed |= changed[lane]
                next_output[lane] = _next_output(times, need, quiet[lane], output[lane], n_times[lane], moment[lane],
                                                 row[lane], event[lane] - first[s])  # fmt: skip
                if next_output[lane] <= t[lane]:
                    due[lane] = True
                    any_due = True
                else:
                    at_event[lane] = False
                    t_break[lane] = event_time[event[lane]] if event[lane] < last_event[lane] else np.inf
                    if not quiet[lane]:
                        stop = end[lane]
                        if n_sensitivities > 0 and times[moment[lane] + output[lane]] > t[lane]:
                            stop = times[moment[lane] + output[lane]]  # they have no dense output
                        t_break[lane] = min(t_break[lane], stop)
            pending = any_due
            if any_due:
                if any_changed:  # a stop only to read finds all as it was
                    _call(kernels[0], base)
                for lane in range(lanes):
                    w[o_fraction + lane] = 0.0
                    if due[lane]:
                        w[o_time + lane] = t[lane]
                        for q in range(n):
                            w[o_rate + q * lanes + lane] = w[o_state + q * lanes + lane]
                _call(kernels[4], base)
                for lane in range(lanes):
                    if not due[lane]:
                        continue
                    s = subject[lane]
                    _read_out(kernels[7], base, lane, values_address + 8 * n_outputs * (row[lane] + output[lane]))
                    output[lane] += 1
                    if output[lane] == n_times[lane]:
                        status[s] = OK
                        end_time[s] = t[lane]
                        steps[s, 0] = n_accepted[lane]
                        steps[s, 1] = n_rejected[lane]
                        h[lane] = 1e-6
                        t_break[lane] = np.inf
                        next_output[lane] = np.inf
                        subject[lane] = -1
                        active[lane] = 0.0
                        at_event[lane] = False
                        changed[lane] = False
                        alive -= 1
                        _fetch_add(counters_address + 8 * DONE, 1)
        if alive == 0 and more:
            continue
        if alive == 0:
            break
        if any_changed:
            _call(kernels[0], base)
            for lane in range(lanes):
                if changed[lane]:
                    careful = np.float64(w[o_begin + lane])
                    if not careful > 0.0:
                        careful = 1e-6 * horizon
                    h[lane] = min(max(careful, RESTART * h[lane]), largest_step)
                    rejected[lane] = FRESH
                    w[o_last_step + lane] = h[lane]
                    w[o_last_log + lane] = BEST_LOG_ERROR
                    changed[lane] = False
        called = _advance(kernels[1], base)
        any_due = False
        events_wait = False
        if called:
            for lane in range(lanes):
                any_due |= due[lane] > 0.0
                events_wait |= at_event[lane] > 0.0
        if n_sensitivities > 0:
            for lane in range(lanes):
                if subject[lane] < 0:
                    continue
                error = np.float64(w[o_error + lane])
                step = np.float64(w[o_step + lane])
                kink = np.float64(w[o_kink + lane])
                if rejected[lane] == ACCEPTED:
                    if phase[lane] > 0:
                        h[lane] = across[lane] if phase[lane] == 1 else resume[lane] if phase[lane] == 2 else h[lane]
                        phase[lane] = 0 if at_event[lane] else (phase[lane] + 1) % 4
                elif kink > 0.0 and (phase[lane] < 3 or step * kink > across[lane]):  # not again the one just crossed
                    resume[lane] = max(step, resume[lane]) if phase[lane] > 0 else step
                    across[lane] = step * ACROSS / np.sqrt(error)
                    h[lane] = step * kink - 0.25 * across[lane]
                    phase[lane] = 1
                    if h[lane] < 0.25 * across[lane]:
                        h[lane] = across[lane]
                        phase[lane] = 2
                    rejected[lane] = FRESH
                else:
                    phase[lane] = 0
                # a step that ends at a kink has its length for a reason
                share[lane] = 1.0 if phase[lane] == 1 else HALF_WAY
        # -- outputs inside the step
        while any_due:
            any_due = False
            for lane in range(lanes):
                if due[lane]:
                    fraction = (times[moment[lane] + output[lane]] - t[lane]) / np.float64(w[o_step + lane])
                    w[o_fraction + lane] = min(1.0, max(0.0, fraction))
                else:
                    w[o_fraction + lane] = 0.0
            _call(kernels[3], base)
            _call(kernels[4], base)
            for lane in range(lanes):
                if not due[lane]:
                    continue
                s = subject[lane]
                _read_out(kernels[7], base, lane, values_address + 8 * n_outputs * (row[lane] + output[lane]))
                output[lane] += 1
                next_output[lane] = _next_output(times, need, quiet[lane], output[lane], n_times[lane], moment[lane],
                                                 row[lane], event[lane] - first[s])  # fmt: skip
                again = next_output[lane] <= t_new[lane]
                due[lane] = again
                any_due |= again
        _call(kernels[2], base)
        if not called and n_sensitivities == 0:
            continue
        for lane in range(lanes):
            s = subject[lane]
            if s < 0:
                continue
            finished = output[lane] == n_times[lane]
            why = attention[lane]
            if why == STUCK and rejected[lane] == FRESH:  # at a kink that was found just now
                why = SPENT if n_accepted[lane] + n_rejected[lane] >= max_steps else 0.0
            if finished and why != BELOW_ZERO:
                status[s] = OK
            elif why >= SPENT:
                error = np.float64(w[o_error + lane])
                if why == BELOW_ZERO:
                    status[s] = NEGATIVE
                elif why == STUCK:
                    status[s] = STEP_FLOOR if error < 1e300 else NOT_FINITE
                else:
                    status[s] = STEP_BUDGET
                k = _fetch_add(counters_address + 8 * FAILED, 1)
                if k < failed.shape[0]:
                    failed[k, 0] = s
                    failed[k, 1] = w[o_step + lane]
                    for q in range(n):
                        failed[k, 2 + q] = w[o_state + q * lanes + lane]
            else:
                continue
            end_time[s] = t[lane]
            steps[s, 0] = n_accepted[lane]
            steps[s, 1] = n_rejected[lane]
            h[lane] = 1e-6
            t_break[lane] = np.inf
            next_output[lane] = np.inf
            subject[lane] = -1
            active[lane] = 0.0
            at_event[lane] = False
            alive -= 1
            _fetch_add(counters_address + 8 * DONE, 1)
    _call(kernels[6], base)

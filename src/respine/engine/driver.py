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

from respine.engine.schedule import ADD_SLOW, ADD_STATE, RESET, SET_SLOW
from respine.engine.status import Status

NOT_FINITE, STEP_FLOOR, STEP_BUDGET = int(Status.NOT_FINITE), int(Status.STEP_FLOOR), int(Status.STEP_BUDGET)
STOPPED = int(Status.STOPPED)

# order of the offsets handed to `drive`
AREAS = (
    "time", "step", "error", "log_error", "last_log_error", "last_step", "growth", "predicted_growth", "accepted",
    "fraction", "begin_step", "state", "rate", "slow", "output",
)  # fmt: skip
KERNELS = ("begin", "step", "commit", "interpolate", "observe")
NEXT, DONE, STOP, FAILED = range(4)  # shared counters
LARGEST_GROWTH, SMALLEST_GROWTH, LARGEST_CUT = 6.0, 0.2, 0.1
BEST_LOG_ERROR = -6.64  # the controller does not believe errors below 1e-2 of the tolerance
RESTART = 1e-3  # after an event the first step is at least this share of the last accepted one


@intrinsic
def _call(typing_context: Any, address: Any, workspace: Any) -> tuple[Any, Callable[..., Any]]:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        function = ir.FunctionType(ir.VoidType(), [ir.IntType(64)])
        builder.call(builder.inttoptr(arguments[0], function.as_pointer()), [arguments[1]])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@intrinsic
def _fetch_add(typing_context: Any, address: Any, amount: Any) -> tuple[Any, Callable[..., Any]]:
    """Atomic: returns the old number at the address, which threads share."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = builder.inttoptr(arguments[0], ir.IntType(64).as_pointer())
        return builder.atomic_rmw("add", pointer, arguments[1], "seq_cst")

    return types.int64(types.int64, types.int64), generate


@njit(nogil=True, cache=True, error_model="numpy")
def drive(
    kernels: np.ndarray,  # (5,) addresses
    w: np.ndarray,  # workspace
    base: int,  # its address
    at: np.ndarray,  # (len(AREAS),) offsets, in numbers
    lanes: int,
    n: int,  # states
    n_vary: int,
    n_slow: int,
    n_outputs: int,
    parameters: np.ndarray,  # (n_subjects, n_vary)
    start_states: np.ndarray,  # (n_subjects or 1, n)
    start_slow: np.ndarray,  # (n_slow - n_vary,)
    rates_from: int,  # slow number of the first infusion rate
    first: np.ndarray,
    event_time: np.ndarray,
    event_kind: np.ndarray,
    event_target: np.ndarray,
    event_value: np.ndarray,
    times: np.ndarray,  # (n_times,)
    after: bool,
    queue: np.ndarray,  # subjects to solve
    start: float,
    largest_step: float,
    max_steps: int,
    values: np.ndarray,  # (n_subjects, n_times, n_outputs), NaN on entry
    status: np.ndarray,
    end_time: np.ndarray,
    steps: np.ndarray,  # (n_subjects, 2) accepted, rejected
    failed: np.ndarray,  # (capacity, n + 2): subject, step, last good state
    counters: np.ndarray,
    counters_address: int,
) -> None:
    o_time, o_step, o_error, o_log, o_last_log, o_last_step = at[0], at[1], at[2], at[3], at[4], at[5]
    o_growth, o_predicted, o_accepted, o_fraction, o_begin = at[6], at[7], at[8], at[9], at[10]
    o_state, o_rate, o_slow, o_output = at[11], at[12], at[13], at[14]
    n_times = times.shape[0]
    end = times[n_times - 1]
    horizon = max(abs(end - start), 1e-300)
    n_queue = queue.shape[0]
    subject = np.full(lanes, -1, np.int64)
    event = np.zeros(lanes, np.int64)
    last_event = np.zeros(lanes, np.int64)
    output = np.zeros(lanes, np.int64)
    t = np.full(lanes, start)
    h = np.full(lanes, horizon)
    t_break = np.full(lanes, np.inf)
    t_new = np.zeros(lanes)
    rejected = np.zeros(lanes, np.int64)  # 0 last step accepted, 1 fresh start, 2 last step rejected
    at_event = np.zeros(lanes, np.bool_)
    changed = np.zeros(lanes, np.bool_)
    due = np.zeros(lanes, np.bool_)
    alive = 0
    more = True
    parked = False
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
                    alive += 1
                    event[lane] = first[s]
                    last_event[lane] = first[s + 1]
                    output[lane] = 0
                    at_event[lane] = True
                t[lane] = start
                h[lane] = 0.0
                rejected[lane] = 1
                s0 = s if start_states.shape[0] > 1 else 0
                for q in range(n):
                    w[o_state + q * lanes + lane] = start_states[s0, q]
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
            break
        # -- events that are due, and outputs at their times, in the order of the records
        any_changed = False
        pending = False
        for lane in range(lanes):
            pending |= at_event[lane]
        while pending:
            any_due = False
            for lane in range(lanes):
                due[lane] = False
                if not at_event[lane]:
                    continue
                s = subject[lane]
                while event[lane] < last_event[lane] and event_time[event[lane]] <= t[lane]:
                    e = event[lane]
                    k = output[lane]
                    if k < n_times and (times[k] < event_time[e] or (times[k] == event_time[e] and not after)):
                        break
                    target = event_target[e]
                    if event_kind[e] == ADD_STATE:
                        w[o_state + target * lanes + lane] += event_value[e]
                    elif event_kind[e] == SET_SLOW:
                        w[o_slow + target * lanes + lane] = event_value[e]
                    elif event_kind[e] == ADD_SLOW:
                        rate = w[o_slow + target * lanes + lane] + event_value[e]
                        w[o_slow + target * lanes + lane] = 0.0 if abs(rate) < 1e-9 * abs(event_value[e]) else rate
                    elif event_kind[e] == RESET:
                        s0 = s if start_states.shape[0] > 1 else 0
                        for q in range(n):
                            w[o_state + q * lanes + lane] = start_states[s0, q]
                        for q in range(rates_from, n_slow):
                            w[o_slow + q * lanes + lane] = 0.0
                    else:
                        w[o_state + target * lanes + lane] = event_value[e]
                    event[lane] += 1
                changed[lane] = True
                any_changed = True
                if output[lane] < n_times and times[output[lane]] <= t[lane]:
                    due[lane] = True
                    any_due = True
                else:
                    at_event[lane] = False
                    t_break[lane] = event_time[event[lane]] if event[lane] < last_event[lane] else np.inf
                    t_break[lane] = min(t_break[lane], end)
            pending = any_due
            if any_due:
                _call(kernels[0], base)
                for lane in range(lanes):
                    w[o_fraction + lane] = 0.0
                    if due[lane]:
                        for q in range(n):
                            w[o_rate + q * lanes + lane] = w[o_state + q * lanes + lane]
                _call(kernels[4], base)
                for lane in range(lanes):
                    if not due[lane]:
                        continue
                    s = subject[lane]
                    for q in range(n_outputs):
                        values[s, output[lane], q] = w[o_output + q * lanes + lane]
                    output[lane] += 1
                    if output[lane] == n_times:
                        end_time[s] = t[lane]
                        subject[lane] = -1
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
                    rejected[lane] = 1
                    w[o_last_step + lane] = h[lane]
                    w[o_last_log + lane] = BEST_LOG_ERROR
                    changed[lane] = False
        # -- one attempt in every lane
        for lane in range(lanes):
            gap = t_break[lane] - t[lane]
            step = min(h[lane], largest_step)
            if subject[lane] < 0:
                step = min(step, 1.0) if step > 0.0 else 1e-6
            elif step >= gap * 0.999999:
                step = gap
            elif step > 0.5 * gap:
                step = 0.5 * gap
            w[o_step + lane] = step
            w[o_time + lane] = t[lane]
        _call(kernels[1], base)
        any_due = False
        any_failed = False
        for lane in range(lanes):
            s = subject[lane]
            if s < 0:
                w[o_accepted + lane] = 0.0
                due[lane] = False
                continue
            error = np.float64(w[o_error + lane])
            step = np.float64(w[o_step + lane])
            ok = error <= 1.0
            growth = np.float64(w[o_growth + lane])
            if not growth >= 0.0:
                growth = LARGEST_CUT
            if ok:
                steps[s, 0] += 1
                grown = growth
                if rejected[lane] == 0:
                    grown = min(grown, np.float64(w[o_predicted + lane]))
                grown = min(LARGEST_GROWTH, max(SMALLEST_GROWTH, grown))
                if rejected[lane] == 2:
                    grown = min(grown, 1.0)
                proposed = step * grown
                if step < 0.5 * h[lane] and grown > 0.9:
                    proposed = max(proposed, h[lane])  # a step cut short by an event says little about the next
                h[lane] = proposed
                t_new[lane] = t_break[lane] if step >= (t_break[lane] - t[lane]) * 0.9999999 else t[lane] + step
                w[o_last_step + lane] = step
                w[o_last_log + lane] = max(BEST_LOG_ERROR, np.float64(w[o_log + lane]))
                w[o_accepted + lane] = 1.0
                rejected[lane] = 0
                k = output[lane]
                due[lane] = k < n_times and (times[k] < t_new[lane] or (times[k] == t_new[lane] and _read_now(
                    after, event[lane], last_event[lane], event_time, t_new[lane])))
                any_due |= due[lane]
                at_event[lane] = t_new[lane] >= t_break[lane]
            else:
                steps[s, 1] += 1
                h[lane] = step * min(0.9, max(LARGEST_CUT, growth))
                rejected[lane] = 2
                w[o_accepted + lane] = 0.0
                due[lane] = False
                t_new[lane] = t[lane]
                if h[lane] < max(1e-15 * abs(t[lane]), 1e-18 * horizon) or steps[s, 0] + steps[s, 1] >= max_steps:
                    any_failed = True
            if steps[s, 0] + steps[s, 1] >= max_steps:
                any_failed = True
        # -- outputs inside the step
        while any_due:
            any_due = False
            for lane in range(lanes):
                if due[lane]:
                    fraction = (times[output[lane]] - t[lane]) / np.float64(w[o_step + lane])
                    w[o_fraction + lane] = min(1.0, max(0.0, fraction))
                else:
                    w[o_fraction + lane] = 0.0
            _call(kernels[3], base)
            _call(kernels[4], base)
            for lane in range(lanes):
                if not due[lane]:
                    continue
                s = subject[lane]
                k = output[lane]
                for q in range(n_outputs):
                    values[s, k, q] = w[o_output + q * lanes + lane]
                output[lane] = k + 1
                k += 1
                due[lane] = k < n_times and (times[k] < t_new[lane] or (times[k] == t_new[lane] and _read_now(
                    after, event[lane], last_event[lane], event_time, t_new[lane])))
                any_due |= due[lane]
        _call(kernels[2], base)
        for lane in range(lanes):
            s = subject[lane]
            if s < 0:
                continue
            t[lane] = t_new[lane]
            if output[lane] == n_times:
                end_time[s] = t[lane]
                subject[lane] = -1
                at_event[lane] = False
                alive -= 1
                _fetch_add(counters_address + 8 * DONE, 1)
        if any_failed:
            for lane in range(lanes):
                s = subject[lane]
                if s < 0:
                    continue
                spent = steps[s, 0] + steps[s, 1] >= max_steps
                stuck = rejected[lane] == 2 and h[lane] < max(1e-15 * abs(t[lane]), 1e-18 * horizon)
                if not (spent or stuck):
                    continue
                error = np.float64(w[o_error + lane])
                status[s] = STEP_BUDGET if not stuck else (STEP_FLOOR if error < 1e300 else NOT_FINITE)
                end_time[s] = t[lane]
                k = _fetch_add(counters_address + 8 * FAILED, 1)
                if k < failed.shape[0]:
                    failed[k, 0] = s
                    failed[k, 1] = w[o_step + lane]
                    for q in range(n):
                        failed[k, 2 + q] = w[o_state + q * lanes + lane]
                subject[lane] = -1
                at_event[lane] = False
                alive -= 1
                _fetch_add(counters_address + 8 * DONE, 1)


@njit(nogil=True, cache=True)
def _read_now(after: bool, event: int, last_event: int, event_time: np.ndarray, time: float) -> bool:
    """Whether an output exactly at the end of a step is read from it, or waits until the events there have happened."""
    return not (after and event < last_event and event_time[event] <= time)

"""One subject from event to event, as `run/driver.py` does it for steps: doses, inputs, resets, steady states, readings.

Between two events the state is known in closed form, so that nothing is stepped: the state is taken to the next event, and every
reading on the way is found from the event before it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from respine.engine.codegen.code import engine_version
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
from respine.engine.exact.doubling import Chain, begin_chain, pass_time
from respine.engine.exact.eigenmodes import decompose
from respine.engine.exact.exponential import exponential
from respine.engine.exact.flat import carry_out
from respine.engine.exact.steady import DECLINED, solve_left, steady_by_chain, steady_by_modes
from respine.engine.status import Status

OK, NOT_FINITE = int(Status.OK), int(Status.NOT_FINITE)
NO_STEADY_STATE = int(Status.NO_STEADY_STATE)
ON_TOP = 2.0


class Model(NamedTuple):
    """What all subjects of a run share."""

    members: np.ndarray  # states block by block, see eigenmodes.py
    blocks: np.ndarray  # where each begins, and the end
    ops: np.ndarray  # of what rests between events, see flat.py
    loads: np.ndarray
    a_from: np.ndarray  # (n, 3) row, column, register of A
    g_from: np.ndarray  # (n_states,) registers of the inflow
    a_by_from: np.ndarray  # (n, 4) parameter, row, column, register
    g_by_from: np.ndarray  # (n, 3) parameter, row, register
    out_ops: np.ndarray  # of the outputs
    out_loads: np.ndarray  # (n, 2) register, state (or n_states for the time)
    out_resting: np.ndarray  # (n, 2) register, register of what rests
    out_from: np.ndarray  # (n_outputs,) register
    by_state: np.ndarray  # (n, 3) output, state, register of its slope
    directly: np.ndarray  # (n, 3) output, parameter, register
    flows: np.ndarray  # (n, 2) slow number of an infusion rate, state
    flow_slopes: np.ndarray  # (n, 3) slow number of its slope, parameter, state
    n_slow: int
    first_rate: int
    start: float
    modes_allowed: bool


class Tables(NamedTuple):
    """The subjects, their events and readings, and the results: see `run.workspace`."""

    subjects: np.ndarray  # (n_subjects,) SUBJECT
    events: np.ndarray  # (n_events,) EVENT
    value_slopes: np.ndarray
    time_slopes: np.ndarray
    slots: np.ndarray  # (n_slow, n_parameters) number of the slow value that holds a rate's slope, or -1
    parameters: np.ndarray
    rest: np.ndarray  # slow values after the parameters, at the start
    starts: np.ndarray
    read_time: np.ndarray
    need: np.ndarray
    rows: np.ndarray  # results
    last_state: np.ndarray  # (subjects of the piece, n)


class Work(NamedTuple):
    """What belongs to one thread. Many small arrays would make compiling slow: those of one shape are rows of one."""

    slow: np.ndarray  # (2, n_slow) now, and before a steady-state dose
    v: np.ndarray  # (VECTORS, n) see below
    s: np.ndarray  # (SLOPES, n_parameters, n)
    m: np.ndarray  # (MATRICES, n, n)
    by: np.ndarray  # (n_parameters, n, n) derivatives of A
    r: np.ndarray  # registers of what rests, (n, 1)
    out: np.ndarray  # registers of the outputs, (n, most readings at once)
    modes: np.ndarray  # (n, most)
    states: np.ndarray  # (n, most)
    slopes: np.ndarray  # (n_parameters, n, most)
    at: np.ndarray  # (1,) where the subject stands
    flags: np.ndarray  # see below
    chain: Chain


Y, KEPT, THERE, G, B, ROOTS, Z, Z_IN, SCALE, START, FOUND, VECTORS = range(12)
S, KEPT_S, THERE_S, G_BY, B_BY, SLOPES = range(6)
A, V, W, M1, M2, ROOM = range(6)
MATRICES = ROOM + 5


STALE, FLOW_STALE, Z_STALE, BY_MODES, POSITIVE, HAS_INFLOW, METZLER = range(7)

_part = njit(nogil=True, error_model="numpy", _nrt=False)


@_part
def refresh(m: Model, k: Work) -> bool:
    """Coefficients and inflow for the present inputs; False where they are no numbers."""
    f = k.flags
    n = k.v.shape[1]
    if f[STALE]:
        for q in range(m.loads.shape[0]):
            k.r[m.loads[q, 0], 0] = k.slow[0, m.loads[q, 1]] if m.loads[q, 1] >= 0 else 0.0
        carry_out(m.ops, k.r, 1)
        for i in range(n):
            k.v[G, i] = k.r[m.g_from[i], 0]
        for q in range(m.a_from.shape[0]):
            k.m[A, m.a_from[q, 0], m.a_from[q, 1]] = k.r[m.a_from[q, 2], 0]
        for q in range(m.a_by_from.shape[0]):
            k.by[m.a_by_from[q, 0], m.a_by_from[q, 1], m.a_by_from[q, 2]] = k.r[m.a_by_from[q, 3], 0]
        for q in range(m.g_by_from.shape[0]):
            k.s[G_BY, m.g_by_from[q, 0], m.g_by_from[q, 1]] = k.r[m.g_by_from[q, 2], 0]
        f[METZLER] = True
        for i in range(n):
            if not np.isfinite(k.v[G, i]):
                return False
            for j in range(n):
                if not np.isfinite(k.m[A, i, j]):
                    return False
                if i != j and k.m[A, i, j] < 0.0:
                    f[METZLER] = False
        f[BY_MODES] = m.modes_allowed and decompose(
            k.m[A], m.members, m.blocks, k.v[ROOTS], k.m[V], k.m[W], k.m[M1], k.m[M2], k.v[SCALE]
        )
        if not f[BY_MODES]:
            begin_chain(k.chain, k.m[A], k.by)
        f[STALE], f[FLOW_STALE], f[Z_STALE] = False, True, True
    if f[FLOW_STALE]:
        _flow(m, k)
    if f[Z_STALE] and f[BY_MODES]:
        for q in range(n):
            total = 0.0
            for j in range(n):
                total += k.m[W, q, j] * k.v[Y, j]
            k.v[Z, q] = total
    f[POSITIVE] = f[METZLER] and _nonnegative(k.v[B]) and _nonnegative(k.v[Y])
    f[Z_STALE] = False
    return True


@_part
def _nonnegative(numbers: np.ndarray) -> bool:
    for i in range(numbers.shape[0]):  # noqa: SIM110 - numba
        if not numbers[i] >= 0.0:
            return False
    return True


@_part
def _flow(m: Model, k: Work) -> None:
    """What flows in: by the equations and by infusions."""
    n = k.v.shape[1]
    for i in range(n):
        k.v[B, i] = k.v[G, i]
        for w in range(k.s.shape[1]):
            k.s[B_BY, w, i] = k.s[G_BY, w, i]
    for q in range(m.flows.shape[0]):
        k.v[B, m.flows[q, 1]] += k.slow[0, m.flows[q, 0]]
    for q in range(m.flow_slopes.shape[0]):
        k.s[B_BY, m.flow_slopes[q, 1], m.flow_slopes[q, 2]] += k.slow[0, m.flow_slopes[q, 0]]
    k.flags[HAS_INFLOW] = False
    for i in range(n):
        k.flags[HAS_INFLOW] |= k.v[B, i] != 0.0
    if k.flags[BY_MODES]:
        for q in range(n):
            total = 0.0
            for j in range(n):
                total += k.m[W, q, j] * k.v[B, j]
            k.v[Z_IN, q] = total
    k.flags[FLOW_STALE] = False


@_part
def grow(root: float, time: float) -> float:
    """(e^(root time) - 1) / root."""
    x = root * time
    return time * np.expm1(x) / x if x != 0.0 else time


@_part
def advance(k: Work, time: float) -> bool:
    """The state a time later; False where it is no number."""
    n = k.v.shape[1]
    for i in range(n):
        k.v[THERE, i] = k.v[Y, i]
    if k.flags[BY_MODES]:
        for q in range(n):
            z = k.v[Z, q] * np.exp(k.v[ROOTS, q] * time)
            if k.v[Z_IN, q] != 0.0:
                z += k.v[Z_IN, q] * grow(k.v[ROOTS, q], time)
            k.v[Z, q] = z
        for i in range(n):
            total = 0.0
            for q in range(n):
                total += k.m[V, i, q] * k.v[Z, q]
            k.v[THERE, i] = total
    elif not pass_time(k.chain, k.m[A], k.v[B], k.by, k.s[B_BY], time, k.v[THERE], k.s[S]):
        return False
    for i in range(n):
        if not np.isfinite(k.v[THERE, i]):
            return False
    for i in range(n):
        k.v[Y, i] = max(k.v[THERE, i], 0.0) if k.flags[POSITIVE] else k.v[THERE, i]
    return True


@_part
def read(m: Model, tables: Tables, k: Work, begin: int, row: int, count: int, now: float) -> float:
    """``count`` readings from the present state on; returns the time at which one is no number, else infinity."""
    n, columns, bad = k.v.shape[1], k.s.shape[1], np.inf
    if k.flags[BY_MODES]:
        for q in range(n):
            root, z, inflow = k.v[ROOTS, q], k.v[Z, q], k.v[Z_IN, q]
            for t in range(count):
                k.modes[q, t] = z * exponential(root * (tables.read_time[begin + t] - now))
            if inflow != 0.0:
                for t in range(count):
                    k.modes[q, t] += inflow * grow(root, tables.read_time[begin + t] - now)
        for u in range(m.out_loads.shape[0]):
            i = m.out_loads[u, 1]
            if i < n:
                for t in range(count):
                    k.states[i, t] = 0.0
                for q in range(n):
                    v = k.m[V, i, q]
                    if v != 0.0:
                        for t in range(count):
                            k.states[i, t] += v * k.modes[q, t]
    else:
        _read_by_chain(k, tables.read_time[begin : begin + count], now)
    for u in range(m.out_loads.shape[0]):
        i, place = m.out_loads[u, 1], m.out_loads[u, 0]
        for t in range(count):
            if i == n:
                k.out[place, t] = tables.read_time[begin + t]
            elif tables.read_time[begin + t] <= now:
                k.out[place, t] = k.v[Y, i]
            else:
                x = k.states[i, t]
                k.out[place, t] = max(x, 0.0) if k.flags[POSITIVE] and x < 0.0 else x
                if not np.isfinite(x):
                    bad = min(bad, tables.read_time[begin + t])
    for q in range(m.out_resting.shape[0]):
        for t in range(count):
            k.out[m.out_resting[q, 0], t] = k.r[m.out_resting[q, 1], 0]
    carry_out(m.out_ops, k.out, count)
    n_outputs = m.out_from.shape[0]
    for o in range(n_outputs):
        for t in range(count):
            tables.rows[row + t, o] = k.out[m.out_from[o], t]
    if columns:
        for t in range(count):
            for o in range(n_outputs * columns):
                tables.rows[row + t, n_outputs + o] = 0.0
        for q in range(m.directly.shape[0]):
            for t in range(count):
                place = n_outputs + m.directly[q, 0] * columns + m.directly[q, 1]
                tables.rows[row + t, place] += k.out[m.directly[q, 2], t]
        for q in range(m.by_state.shape[0]):
            for w in range(columns):
                for t in range(count):
                    slope = k.slopes[w, m.by_state[q, 1], t]
                    place = n_outputs + m.by_state[q, 0] * columns + w
                    if slope != 0.0:
                        tables.rows[row + t, place] += k.out[m.by_state[q, 2], t] * slope
    return bad


@_part
def _read_by_chain(k: Work, times: np.ndarray, now: float) -> None:
    n, y, s = k.v.shape[1], k.v[THERE], k.s[THERE_S]
    before = now
    for i in range(n):
        y[i] = k.v[Y, i]
        for w in range(s.shape[0]):
            s[w, i] = k.s[S, w, i]
    for t in range(times.shape[0]):
        good = (
            pass_time(k.chain, k.m[A], k.v[B], k.by, k.s[B_BY], times[t] - before, y, s) if times[t] > before else True
        )
        before = max(before, times[t])
        for i in range(n):
            k.states[i, t] = y[i] if good else np.nan
            for w in range(s.shape[0]):
                k.slopes[w, i, t] = s[w, i]


@_part
def happen(m: Model, tables: Tables, k: Work, e: int, start: np.ndarray) -> None:
    """What one event does to the state and the inputs; those of the clock are left to the walk."""
    kind, target, value, n = tables.events[e].kind, tables.events[e].target, tables.events[e].value, k.v.shape[1]
    if kind == ADD_STATE:
        k.v[Y, target] += value
        k.flags[Z_STALE] = True
    elif kind == SET_STATE:
        k.v[Y, target] = value
        k.flags[Z_STALE] = True
    elif kind == SET_RATE:
        k.slow[0, target] = value
        k.flags[FLOW_STALE] = True
    elif kind == SET_SLOW:
        if k.slow[0, target] != value:
            k.slow[0, target] = value
            k.flags[STALE] = True
    elif kind in (RESET, STEADY_BEGIN):
        for i in range(n):
            k.v[KEPT, i] = k.v[Y, i] - start[i]
            k.v[Y, i] = start[i]
            for w in range(k.s.shape[1]):
                own = start[n * (1 + w) + i]
                k.s[KEPT_S, w, i] = k.s[S, w, i] - own
                k.s[S, w, i] = own
        for q in range(m.first_rate, m.n_slow):
            k.slow[1, q] = k.slow[0, q]
            k.slow[0, q] = 0.0
        k.flags[FLOW_STALE] = k.flags[Z_STALE] = True
    elif kind == STEADY_END and value == ON_TOP:
        for i in range(n):
            k.v[Y, i] += k.v[KEPT, i]
            for w in range(k.s.shape[1]):
                k.s[S, w, i] += k.s[KEPT_S, w, i]
        for q in range(m.first_rate, m.n_slow):
            k.slow[0, q] += k.slow[1, q]
        k.flags[FLOW_STALE] = k.flags[Z_STALE] = True


@_part
def carry_through(tables: Tables, k: Work, e: int, row: int) -> None:
    """What an event does to sensitivities beside what it does to the state: see run/sensitivities.py."""
    target = tables.events[e].target
    for w in range(k.s.shape[1]):
        slope = tables.value_slopes[row, w]
        if tables.events[e].kind == ADD_STATE:
            k.s[S, w, target] += slope
        elif tables.events[e].kind == SET_STATE:
            k.s[S, w, target] = slope
        elif tables.events[e].kind == SET_RATE and tables.slots[target, w] >= 0:
            k.slow[0, tables.slots[target, w]] = slope
            k.flags[FLOW_STALE] = True


@_part
def shift(k: Work, slopes: np.ndarray, sign: float) -> None:
    """s += sign * rate of the states * slope of an event's time, (n_parameters,)."""
    for i in range(k.v.shape[1]):
        rate = k.v[B, i]
        for j in range(k.v.shape[1]):
            rate += k.m[A, i, j] * k.v[Y, j]
        for w in range(slopes.shape[0]):
            k.s[S, w, i] += sign * slopes[w] * rate


@_part
def begin(m: Model, tables: Tables, k: Work, s: int, start: np.ndarray) -> None:
    """Inputs and state of a subject at the start of its run."""
    n_own = tables.parameters.shape[1]
    for q in range(m.n_slow):
        k.slow[0, q] = tables.parameters[s, q] if q < n_own else tables.rest[q - n_own]
    put(k, start)
    k.flags[STALE] = True


@_part
def put(k: Work, start: np.ndarray) -> None:
    """State and sensitivities from one row of starts, or zeros where it is empty."""
    n = k.v.shape[1]
    for i in range(n):
        k.v[Y, i] = start[i] if start.shape[0] else 0.0
        for w in range(k.s.shape[1]):
            k.s[S, w, i] = start[n * (1 + w) + i] if start.shape[0] else 0.0
    k.flags[Z_STALE] = True


@_part
def settle(k: Work, interval: float) -> int:
    """From what an interval leaves of nothing to the steady state at its beginning. Returns a status."""
    if k.flags[BY_MODES]:
        return steady_by_modes(k.v[ROOTS], k.m[V], k.m[W], interval, k.v[Y], k.v[START], k.v[Z])
    return steady_by_chain(k.chain, k.m[A], k.by, interval, k.v[Y], k.v[START], k.m[ROOM:])


@_part
def settle_slopes(k: Work) -> bool:
    """The same for sensitivities, from what an interval that begins in the steady state leaves; the state is kept."""
    for w in range(k.s.shape[1]):
        if not solve_left(k.m[ROOM:], k.s[S, w]):
            return False
    for i in range(k.v.shape[1]):
        k.v[Y, i] = k.v[FOUND, i]
    return True


@_part
def one_subject(m: Model, tables: Tables, k: Work, s: int) -> int:
    """From the start to the last reading; ``at`` of its work has the time at which it ended. Returns a status.

    One loop in which everything is called from one place, or compiling it would take many times as long. A steady state
    takes its interval twice where there are sensitivities: from nothing, then from the state found.
    """
    most, n = k.out.shape[1], k.v.shape[1]
    start = tables.starts[s if tables.starts.shape[0] > 1 else 0]
    begin(m, tables, k, s, start)
    subject = tables.subjects[s]
    now, quiet, done, e, last = m.start, False, 0, subject.first_event, subject.last_event
    first_reading, row = subject.first_time, subject.first_row
    pieces, by_modes, turn, from_event = 1, True, 0, 0
    slope_row = -1  # of the event that has happened, whose shift is to be taken back
    while done < subject.n_outputs:
        k.at[0] = now
        ready = 0
        if not quiet:
            happened = e - subject.first_event
            upcoming = (
                tables.events[e].time if e < last else np.inf
            )  # flips of conditions of time are not counted as needed
            while (
                ready < most and done + ready < subject.n_outputs and tables.need[row + done + ready] <= happened
                and tables.read_time[first_reading + done + ready] <= upcoming
            ):  # fmt: skip
                ready += 1
        if ready == 0 and e >= last:
            break
        kind = tables.events[e].kind if ready == 0 else -1
        wait = tables.events[e].time - now if ready == 0 else 0.0
        here = tables.events[e].slope if ready == 0 else -1
        moved = False
        if here >= 0:
            for w in range(k.s.shape[1]):
                moved |= tables.time_slopes[here, w] != 0.0
        if (ready > 0 or wait > 0.0 or moved or slope_row >= 0 or kind == CYCLE_END) and not refresh(m, k):
            return NOT_FINITE
        if slope_row >= 0:
            shift(k, tables.time_slopes[slope_row], -1.0)
            slope_row = -1
        if ready > 0:
            bad = read(m, tables, k, first_reading + done, row + done, ready, now)
            if bad < np.inf:
                for t in range(ready):
                    if tables.read_time[first_reading + done + t] >= bad:
                        for o in range(tables.rows.shape[1]):
                            tables.rows[row + done + t, o] = np.nan
                k.at[0] = bad
                return NOT_FINITE
            done += ready
            by_modes &= k.flags[BY_MODES]
            continue
        if wait > 0.0:
            if not advance(k, wait):
                k.at[0] = tables.events[e].time
                return NOT_FINITE if turn == 0 else NO_STEADY_STATE
            now = tables.events[e].time
            pieces += 1
        if turn > 0 and kind not in (ADD_STATE, SET_RATE, CYCLE_END):
            return DECLINED
        if moved:
            shift(k, tables.time_slopes[here], 1.0)
        if kind == JUMP:
            now = tables.events[e].value
        elif kind == CYCLE_START:
            for i in range(n):
                k.v[START, i] = k.v[Y, i]
            put(k, start[:0])
            turn, from_event = 1, e
        elif kind == CYCLE_END:
            if turn == 1:
                status = settle(k, tables.events[e].value)
                if status != OK:
                    return status
                k.flags[Z_STALE] = True
                if k.s.shape[1]:
                    for i in range(n):
                        k.v[FOUND, i] = k.v[Y, i]
                        for w in range(k.s.shape[1]):
                            k.s[S, w, i] = 0.0
                    e, now, turn = from_event, tables.events[from_event].time, 2
                else:
                    turn = 0
            else:
                if not settle_slopes(k):
                    return NO_STEADY_STATE
                k.flags[Z_STALE] = True
                turn = 0
        else:
            quiet = kind == STEADY_BEGIN or (quiet and kind != STEADY_END)
            happen(m, tables, k, e, start)
            if here >= 0:
                carry_through(tables, k, e, here)
                slope_row = here if moved else -1
        e += 1
    subject.accepted, subject.rejected = pieces, 0 if by_modes else 1
    return OK


def _compiled(version: int) -> Callable[..., Any]:
    """The loop over subjects; numba keeps it by this file, so the version makes all other files count."""

    @njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
    def walk(m: Model, tables: Tables, k: Work, first: int, last: int) -> int:
        """Solve the subjects from the first to the one before the last."""
        solved = 0 if version >= 0 else 1
        for s in range(first, last):
            if tables.subjects[s].status != OK:
                continue
            tables.subjects[s].status = one_subject(m, tables, k, s)
            tables.subjects[s].end_time = k.at[0]
            if tables.subjects[s].status != OK:
                for i in range(k.v.shape[1]):
                    tables.last_state[s - first, i] = k.v[Y, i]
            solved += 1
        return solved

    return walk


walk = _compiled(int(engine_version()[:15], 16))

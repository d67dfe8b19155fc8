"""One subject from event to event, as `run/driver.py` does it for steps: doses, inputs, resets, steady states, readings.

Between two events the state is known in closed form, so that nothing is stepped: the state is taken to the next event, and every
reading on the way is found from the event before it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
from respine.engine.exact.arrays import (
    BY_MODES,
    FLOW_STALE,
    FOUND,
    KEPT,
    KEPT_S,
    ROOM,
    ROOTS,
    STALE,
    START,
    Z_STALE,
    A,
    B,
    Model,
    S,
    Tables,
    V,
    W,
    Work,
    Y,
    Z,
)
from respine.engine.exact.between import advance, read, refresh
from respine.engine.exact.steady import DECLINED, solve_left, steady_by_chain, steady_by_modes
from respine.engine.status import Status

OK, NOT_FINITE = int(Status.OK), int(Status.NOT_FINITE)
NO_STEADY_STATE = int(Status.NO_STEADY_STATE)
ON_TOP = 2.0

_part = njit(nogil=True, error_model="numpy", _nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True)


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
def readings_due(tables: Tables, s: int, e: int, done: int, most: int) -> int:
    """How many of a subject's readings after the first ``done`` come before its event ``e``, at most ``most``."""
    subject = tables.subjects[s]
    happened = e - subject.first_event
    upcoming = tables.events[e].time if e < subject.last_event else np.inf  # not needed: flips of conditions of time
    row, time, count = subject.first_row + done, subject.first_time + done, min(most, subject.n_outputs - done)
    ready = 0
    while ready < count and tables.need[row + ready] <= happened and tables.read_time[time + ready] <= upcoming:
        ready += 1
    return ready


@_part
def walk_subject(m: Model, tables: Tables, k: Work, s: int) -> int:
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
            ready = readings_due(tables, s, e, done, most)
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
            tables.subjects[s].status = walk_subject(m, tables, k, s)
            tables.subjects[s].end_time = k.at[0]
            if tables.subjects[s].status != OK:
                for i in range(k.v.shape[1]):
                    tables.last_state[s - first, i] = k.v[Y, i]
            solved += 1
        return solved

    return walk


walk = _compiled(int(engine_version()[:15], 16))

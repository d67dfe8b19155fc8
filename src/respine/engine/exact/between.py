"""Between two events: coefficients for the present inputs, the state a time later, and readings on the way."""

from __future__ import annotations

import numpy as np
from numba import njit

from respine.engine.exact.arrays import (
    B_BY,
    BY_MODES,
    FLOW_STALE,
    G_BY,
    HAS_INFLOW,
    M1,
    M2,
    METZLER,
    POSITIVE,
    ROOTS,
    SCALE,
    STALE,
    THERE,
    THERE_S,
    Z_IN,
    Z_STALE,
    A,
    B,
    G,
    Model,
    S,
    Tables,
    V,
    W,
    Work,
    Y,
    Z,
)
from respine.engine.exact.doubling import begin_chain, pass_time
from respine.engine.exact.eigenmodes import decompose
from respine.engine.exact.exponential import exponential
from respine.engine.exact.flat import carry_out

_part = njit(nogil=True, error_model="numpy", _nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True)


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

"""Steady states of linear systems in closed form.

Repeating an interval until nothing changes takes as many intervals as the slowest half-life has, and in the end the error of
every interval adds up. Where the equations are linear with coefficients that rest, y' = A y + g, the state x before a
dose of the regimen obeys (I - e^(A tau)) x = b, with I - e^(A tau) = -A Phi(tau), Phi(tau) = integral of e^(A s) from 0 to tau,
which loses nothing however slow A is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

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
    EventTable,
    Readings,
)

SETTLED = 1 - 1e-13  # largest eigenvalue of what an interval leaves, above which nothing is eliminated

Linear = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]  # slow numbers of a subject -> A (n, n), g (n,)


def in_closed_form(
    table: EventTable,
    readings: Readings,
    linear: Linear,
    slow: np.ndarray,
    rates: Mapping[int, int],
    starts: np.ndarray,
    rates_from: int,
) -> tuple[EventTable, Readings]:
    """The table in which the state is set where an interval was repeated, and the readings that count its events.

    ``linear`` gives A and g without infusions; ``slow`` (n_subjects, n_slow) what rests at the start; ``rates``: the state
    that each infusion rate (a slow number) flows into; ``starts`` (n_subjects or 1, n_states). What does not settle is left.
    """
    work = _Work(linear, rates)
    rows: list[tuple[int, float, int, int, float]] = []  # subject, time, kind, target, value
    went = np.zeros(int(table.last.max(initial=0)), int)
    first, need = [], readings.need.copy()
    for s in range(len(table.first)):
        first.append(len(rows))
        state = slow[s].copy()
        start = starts[min(s, len(starts) - 1)]
        e = int(table.first[s])
        while e < table.last[s]:
            kind, target, value = int(table.kind[e]), int(table.target[e]), float(table.value[e])
            if kind in (SET_SLOW, SET_RATE):
                state[target] = value
            elif kind in (RESET, STEADY_BEGIN):
                state[rates_from:] = 0.0
            elif kind == CYCLE_START:
                end = e + int(np.flatnonzero(table.kind[e : table.last[s]] == CYCLE_END)[0])
                solved = work.solve(table, e, end, state, start)
                if solved is not None:
                    to = float(table.time[end])  # where the clock stands when an interval has passed
                    rows.append((s, float(table.time[e]), JUMP, 0, to))
                    rows += [(s, to, SET_STATE, k, float(x)) for k, x in enumerate(solved)]
                    went[e : end + 1] = len(rows) - 1
                    e = end + 1
                    continue
            rows.append((s, float(table.time[e]), kind, target, value))
            went[e] = len(rows) - 1
            e += 1
        row, count = int(readings.row[s]), int(readings.count[s])
        own = need[row : row + count]
        own[own > 0] = went[table.first[s] + own[own > 0] - 1] - first[s] + 1
    _, time_, kind_, target_, value_ = (np.array(column) for column in zip(*rows, strict=True))
    begin = np.array(first, np.int64)
    made = EventTable(
        begin, np.append(begin[1:], len(rows)), time_.astype(float), kind_.astype(np.int8), target_.astype(np.int32),
        value_.astype(float),
    )  # fmt: skip
    return made, replace(readings, need=need)


class _Work:
    """Steady states, each regimen under the same coefficients solved once."""

    def __init__(self, linear: Linear, rates: Mapping[int, int]) -> None:
        self.linear, self.rates = linear, rates
        self.known: dict[tuple[bytes, float], tuple[np.ndarray, np.ndarray]] = {}

    def solve(self, table: EventTable, first: int, last: int, slow: np.ndarray, start: np.ndarray) -> np.ndarray | None:
        """The state at the start of the interval between two events; None where it does not settle, or is not known so."""
        inner = slice(first + 1, last)
        kinds = table.kind[inner]
        if not np.isin(kinds, (ADD_STATE, SET_RATE)).all():
            return None
        a, g = self.linear(slow)
        interval, begin = float(table.value[last]), float(table.time[first])
        n, flow = len(g), self._flow(slow, len(g))
        b, now = np.zeros(n), begin
        events = [
            *zip(table.time[inner], kinds, table.target[inner], table.value[inner], strict=True),
            (begin + interval, -1, 0, 0.0),
        ]
        for time, kind, target, value in events:
            if time > now:
                decay, integral = self._over(a, float(time - now))
                b = decay @ b + integral @ (g + flow)
                now = float(time)
            if kind == ADD_STATE:
                b[target] += value
            elif kind == SET_RATE:
                slow = slow.copy()
                slow[target] = value
                flow = self._flow(slow, n)
        if not (np.isfinite(a).all() and np.isfinite(b).all()):
            return None
        reached = _downstream(a, b != 0)
        if np.any(start[~reached] != 0):
            return None  # what nothing feeds goes its own way from its start
        part = np.ix_(reached, reached)
        decay, integral = self._over(a, interval)
        if np.max(np.abs(np.linalg.eigvals(decay[part])), initial=0.0) > SETTLED:
            return None
        levels = np.zeros(n)
        try:
            levels[reached] = np.linalg.solve(-(a[part] @ integral[part]), b[reached])
        except np.linalg.LinAlgError:
            return None
        return levels if np.isfinite(levels).all() else None

    def _flow(self, slow: np.ndarray, n: int) -> np.ndarray:
        flow = np.zeros(n)
        for place, state in self.rates.items():
            flow[state] += slow[place]
        return flow

    def _over(self, a: np.ndarray, time: float) -> tuple[np.ndarray, np.ndarray]:
        """e^(A t), and its integral from 0 to t."""
        key = (a.tobytes(), time)
        if key not in self.known:
            n = len(a)
            both = np.zeros((2 * n, 2 * n))
            both[:n, :n], both[:n, n:] = a * time, np.eye(n) * time
            whole = matrix_exponential(both)
            self.known[key] = whole[:n, :n], whole[:n, n:]
        return self.known[key]


def _downstream(a: np.ndarray, fed: np.ndarray) -> np.ndarray:
    """The states that are fed, or follow one that is."""
    reached = fed.copy()
    for _ in range(len(a)):
        more = reached | ((a != 0)[:, reached].any(axis=1))
        if (more == reached).all():
            break
        reached = more
    return reached


PADE = (64764752532480000, 32382376266240000, 7771770303897600, 1187353796428800, 129060195264000, 10559470521600,
        670442572800, 33522128640, 1323241920, 40840800, 960960, 16380, 182, 1)  # fmt: skip


def matrix_exponential(a: np.ndarray) -> np.ndarray:
    """e^A by scaling and squaring with the Pade approximant of order 13: Higham NJ (2005) SIAM J Matrix Anal Appl 26:1179."""
    size = float(np.max(np.sum(np.abs(a), axis=0), initial=0.0))
    halvings = max(0, int(np.ceil(np.log2(size / 5.37)))) if size > 5.37 and np.isfinite(size) else 0
    a = a / 2.0**halvings
    identity, a2 = np.eye(len(a)), a @ a
    a4 = a2 @ a2
    a6 = a4 @ a2
    c = PADE
    odd = a @ (a6 @ (c[13] * a6 + c[11] * a4 + c[9] * a2) + c[7] * a6 + c[5] * a4 + c[3] * a2 + c[1] * identity)
    even = a6 @ (c[12] * a6 + c[10] * a4 + c[8] * a2) + c[6] * a6 + c[4] * a4 + c[2] * a2 + c[0] * identity
    result = np.linalg.solve(even - odd, even + odd)
    for _ in range(halvings):
        result = result @ result
    return result

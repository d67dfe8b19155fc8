"""Infusions into one state add up: after each start and end the rate is summed anew over those that run.

Added and taken away one after the other, a small rate beside a large one is lost in rounding, or left over for ever.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numba import njit

from respine.engine.dosing.dose_slopes import Number
from respine.engine.dosing.events_table import RESET, SET_RATE, STEADY_BEGIN, STEADY_END, EventTable

ROUNDED = 1e-12  # share of an infusion's length that rounding of its ends may change before its rate is corrected


def rate_on_the_clock(amount: Number, start: Number, duration: Number) -> np.ndarray:
    """The rate that gives the amount between the two moments a clock of 64 bits tells apart."""
    length = np.asarray(start + duration - start, float)
    rounded = (np.abs(length - duration) > ROUNDED * duration) & (length > 0)
    return np.asarray(amount / np.where(rounded, length, duration), float)


def rates_in_full(table: EventTable, infusion: np.ndarray) -> EventTable:
    """The table with the rate that flows in all, and its slopes, at each start and end of an infusion.

    On entry the value is the infusion's own rate, negative at its end. ``infusion`` (n_events,) numbers those of a subject: an
    end stops its own, or none where a reset has done so. Numbers below 0 belong to a regimen in steady state, in which equal
    infusions follow each other: there an end stops the oldest that is equal.
    """
    if not (table.kind == SET_RATE).any():
        return table
    value, slopes = table.value.copy(), table.value_slopes.copy()
    rows = table.slopes if len(table.slopes) else np.full(len(value), -1, np.int64)
    most = int(np.max(table.last - table.first, initial=0))
    _sum_up(table.first, table.last, table.kind, table.target, table.value, infusion, rows, table.value_slopes,
            value, slopes, most)  # fmt: skip
    return replace(table, value=value, value_slopes=slopes)


@njit(cache=True)
def _sum_up(
    first: np.ndarray,
    last: np.ndarray,
    kind: np.ndarray,
    target: np.ndarray,
    own: np.ndarray,
    infusion: np.ndarray,
    rows: np.ndarray,
    own_slopes: np.ndarray,
    value: np.ndarray,  # the result
    slopes: np.ndarray,  # ... and its slopes
    most: int,
) -> None:
    running = np.empty(most, np.int64)  # the events that started them, the first before the later ones
    kept = np.empty(most, np.int64)
    for s in range(first.shape[0]):
        n, n_kept = 0, 0
        for e in range(first[s], last[s]):
            if kind[e] == RESET:
                n = 0
            elif kind[e] == STEADY_BEGIN:
                n_kept = n
                kept[:n] = running[:n]
                n = 0
            elif kind[e] == STEADY_END:
                if own[e] == 2.0:  # on top of what was there
                    running[n : n + n_kept] = kept[:n_kept]
                    n += n_kept
            elif kind[e] == SET_RATE:
                if math.copysign(1.0, own[e]) > 0.0:  # -0.0 ends what only slopes depend on
                    running[n] = e
                    n += 1
                else:
                    for k in range(n):
                        if _ends(e, running[k], target, own, infusion, rows, own_slopes):
                            running[k : n - 1] = running[k + 1 : n].copy()
                            n -= 1
                            break
                total = 0.0
                for k in range(n):
                    if target[running[k]] == target[e]:
                        total += own[running[k]]
                value[e] = total
                if rows[e] >= 0:
                    slopes[rows[e]] = 0.0
                    for k in range(n):
                        if target[running[k]] == target[e] and rows[running[k]] >= 0:
                            slopes[rows[e]] += own_slopes[rows[running[k]]]


@njit(cache=True)
def _ends(
    end: int,
    start: int,
    target: np.ndarray,
    own: np.ndarray,
    infusion: np.ndarray,
    rows: np.ndarray,
    own_slopes: np.ndarray,
) -> bool:
    """Whether the one event ends the infusion that the other started."""
    if infusion[end] >= 0 or infusion[start] >= 0:
        return bool(infusion[end] == infusion[start])
    if target[end] != target[start] or own[end] != -own[start]:
        return False
    if rows[end] < 0 or rows[start] < 0:
        return bool(rows[end] < 0 and rows[start] < 0)
    for p in range(own_slopes.shape[1]):  # noqa: SIM110 - numba
        if own_slopes[rows[end], p] != -own_slopes[rows[start], p]:
            return False
    return True

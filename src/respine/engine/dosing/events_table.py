"""Events of many subjects as flat arrays: the form in which the driver reads doses and changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numba import njit

(
    ADD_STATE,  # a bolus
    SET_SLOW,  # an input gets a value
    SET_RATE,  # an infusion starts or ends: what now flows into the state in all
    RESET,  # states back to their start, infusions ended
    SET_STATE,
    STEADY_BEGIN,  # as RESET; what was there is kept, nothing is read until STEADY_END
    JUMP,  # the clock is set to ``value``
    CYCLE_START,  # a dosing interval starts
    CYCLE_END,  # ... ends; repeat it (clock back by ``value``) until nothing changes
    STEADY_END,  # value 2: what was kept is added
) = range(10)


@dataclass(frozen=True)
class EventTable:
    """Subject s has rows ``first[s]:last[s]``, in the order in which they happen; subjects may share rows.

    For sensitivities: event e has the slopes ``value_slopes[slopes[e]]`` and ``time_slopes[slopes[e]]``, (n_parameters,)
    each, or none where ``slopes[e]`` is -1. ``slopes`` is empty without.
    """

    first: np.ndarray
    last: np.ndarray
    time: np.ndarray
    kind: np.ndarray
    target: np.ndarray
    value: np.ndarray
    slopes: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    value_slopes: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    time_slopes: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))

    def for_all(self, n: int) -> EventTable:
        """The rows of a table of one subject, shared by n."""
        return replace(
            self, first=np.broadcast_to(self.first[0], (n,)).copy(), last=np.broadcast_to(self.last[0], (n,)).copy()
        )


@dataclass(frozen=True)
class Readings:
    """When outputs are read: subject s reads ``count[s]`` values at ``times[first[s]:]`` into rows from ``row[s]`` on.

    ``need[row]`` is how many of the subject's events happen before that reading.
    """

    times: np.ndarray
    first: np.ndarray
    count: np.ndarray
    row: np.ndarray
    need: np.ndarray

    def rows_of(self, subjects: np.ndarray) -> np.ndarray:
        """The rows of some subjects, one subject after the other."""
        parts = [self.row[s] + np.arange(self.count[s]) for s in subjects]
        return np.concatenate(parts).astype(np.int64) if parts else np.zeros(0, np.int64)

    def only(self, subjects: np.ndarray) -> Readings:
        """The same for some subjects, with rows for no others."""
        row = np.zeros_like(self.row)
        row[subjects] = np.cumsum(self.count[subjects]) - self.count[subjects]
        return replace(self, row=row, need=self.need[self.rows_of(subjects)])


def shared_readings(times: np.ndarray, events: EventTable, *, after: bool) -> Readings:
    """All subjects read at the same times, before events of that very time or ``after`` them."""
    n = len(events.first)
    need = _count_events(times, events.first, events.last, events.time, after)
    count = np.full(n, len(times), np.int64)
    return Readings(times, np.zeros(n, np.int64), count, np.arange(n, dtype=np.int64) * len(times), need)


@njit(cache=True)
def _count_events(
    times: np.ndarray, first: np.ndarray, last: np.ndarray, event_time: np.ndarray, after: bool
) -> np.ndarray:
    n_subjects, n_times = first.shape[0], times.shape[0]
    need = np.zeros(n_subjects * n_times, np.int32)
    for s in range(n_subjects):
        e = first[s]
        for k in range(n_times):
            while e < last[s] and (event_time[e] < times[k] or (after and event_time[e] == times[k])):
                e += 1
            need[s * n_times + k] = e - first[s]
    return need


def flatten(rows: Sequence[Sequence[tuple[float, int, int, float]]]) -> EventTable:
    """A table from one list of ``(time, kind, target, value)`` per subject, already in order."""
    flat = [row for subject in rows for row in subject]
    first = np.concatenate([[0], np.cumsum([len(subject) for subject in rows])]).astype(np.int64)
    time, kind, target, value = zip(*flat, strict=True) if flat else ((), (), (), ())
    return EventTable(
        first[:-1],
        first[1:],
        np.array(time, float),
        np.array(kind, np.int8),
        np.array(target, np.int32),
        np.array(value, float),
    )

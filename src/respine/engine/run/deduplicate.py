"""Equal subjects are solved once."""

from __future__ import annotations

import hashlib

import numpy as np

from respine.engine.dosing.events_table import EventTable, Readings


def representatives(parameters: np.ndarray, starts: np.ndarray, events: EventTable, readings: Readings) -> np.ndarray:
    """(n_subjects,) number of the first subject with the same parameters, start, events and readings.

    The key holds all by which subjects of a run can differ: parameters, start states, the events in their order (time,
    kind, target, value), the times of the readings and how many events come before each. All else belongs to the run.
    """
    seen: dict[bytes, int] = {}
    first = np.arange(len(parameters))
    own_start = len(starts) > 1
    for s in map(int, _alike(parameters)):
        own = slice(events.first[s], events.last[s])
        read = slice(readings.first[s], readings.first[s] + readings.count[s])
        rows = slice(readings.row[s], readings.row[s] + readings.count[s])
        parts = [parameters[s], *(column[own] for column in (events.time, events.kind, events.target, events.value))]
        parts += [starts[s]] if own_start else []
        parts += [readings.times[read], readings.need[rows]]
        digest = hashlib.blake2b(digest_size=16)
        for part in parts:  # each after its length: the borders between them count too
            digest.update(len(part).to_bytes(8, "little") + part.tobytes())
        first[s] = seen.setdefault(digest.digest(), s)
    return first


def _alike(parameters: np.ndarray) -> np.ndarray:
    """Rows, in order, that have every parameter in common, to the bit, with another row: (n_alike,)."""
    group = np.zeros(len(parameters), np.int64)
    for column in np.ascontiguousarray(parameters.T).view(np.int64):
        if (column == column[:1]).all():
            continue
        values, number = np.unique(column, return_inverse=True)
        groups, group = np.unique(group * len(values) + number, return_inverse=True)
        if len(groups) == len(group):  # all differ
            return np.empty(0, np.int64)
    return np.flatnonzero(np.bincount(group)[group] > 1)

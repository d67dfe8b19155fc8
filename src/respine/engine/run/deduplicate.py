"""Equal subjects are solved once."""

from __future__ import annotations

import hashlib

import numpy as np

from respine.engine.dosing.events_table import EventTable, Readings


def representatives(parameters: np.ndarray, starts: np.ndarray, events: EventTable, readings: Readings) -> np.ndarray:
    """(n_subjects,) number of the first subject with the same parameters, start, events and readings."""
    seen: dict[bytes, int] = {}
    first = np.empty(len(parameters), np.int64)
    own_start = len(starts) > 1
    for s in range(len(parameters)):
        mine = slice(events.first[s], events.last[s])
        read = slice(readings.first[s], readings.first[s] + readings.count[s])
        parts = [parameters[s], *(column[mine] for column in (events.time, events.kind, events.target, events.value))]
        parts += [starts[s]] if own_start else []
        parts.append(readings.times[read])
        key = hashlib.blake2b(b"|".join(part.tobytes() for part in parts), digest_size=16).digest()
        first[s] = seen.setdefault(key, s)
    return first

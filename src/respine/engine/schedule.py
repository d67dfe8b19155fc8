"""What happens to each subject and when: doses, infusions, inputs that change, resets.

Equal times keep the order in which things were added. An output at the time of an event is taken before it unless asked
for after.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from respine.engine.events_table import (
    ADD_SLOW,
    ADD_STATE,
    RESET,
    SET_SLOW,
    SET_STATE,
    EventTable,
    Readings,
    shared_readings,
)

Number = float | np.ndarray


@dataclass
class _Entry:
    kind: int
    target: str
    time: np.ndarray
    value: np.ndarray


@dataclass
class Schedule:
    """Doses and changes for ``n_subjects``; every argument may be one number or an array with one entry a subject.

    Amounts are in the unit of the state they enter, times and durations in the system's time unit.
    """

    n_subjects: int
    _entries: list[_Entry] = field(default_factory=list)

    def _spread(self, value: Number, what: str) -> np.ndarray:
        array = np.asarray(value, float)
        if array.shape not in ((), (self.n_subjects,)):
            raise ValueError(f"{what} has shape {array.shape}; write one number or {self.n_subjects} (one a subject)")
        return np.broadcast_to(array, (self.n_subjects,))

    def _add(self, kind: int, target: str, time: np.ndarray, value: np.ndarray) -> None:
        self._entries.append(_Entry(kind, target, time, value))

    def dose(
        self,
        state: str,
        *,
        time: Number,
        amount: Number,
        duration: Number = 0.0,
        lag: Number = 0.0,
        fraction: Number = 1.0,
    ) -> None:
        """Put ``amount * fraction`` into a state at ``time + lag``: at once, or evenly over ``duration``.

        An amount of NaN or 0 is no dose (subjects of one schedule may be dosed differently). Raises ValueError for a
        negative amount, duration, or fraction.
        """
        amounts = self._spread(amount, "amount") * self._spread(fraction, "fraction")
        durations = self._spread(duration, "duration")
        for array, what in ((amounts, "amount"), (durations, "duration")):
            if np.any(array < 0):
                subject = int(np.flatnonzero(array < 0)[0])
                seen = f"{what} into {state} is {array[subject]:g} for subject {subject}"
                raise ValueError(f"{seen}; it cannot be negative")
        start = self._spread(time, "time") + self._spread(lag, "lag")
        given = np.isfinite(amounts) & (amounts != 0)
        at_once = given & (durations == 0)
        if at_once.any():
            self._add(ADD_STATE, state, np.where(at_once, start, np.nan), amounts)
        infused = given & (durations > 0)
        if infused.any():
            rates = np.divide(amounts, durations, out=np.zeros_like(amounts), where=infused)
            self._add(ADD_SLOW, state, np.where(infused, start, np.nan), rates)
            self._add(ADD_SLOW, state, np.where(infused, start + durations, np.nan), -rates)

    def set(self, name: str, *, time: Number, value: Number) -> None:
        """Give an input a new value from ``time`` on (NaN: leave it as it is for that subject)."""
        values = self._spread(value, "value")
        self._add(SET_SLOW, name, np.where(np.isnan(values), np.nan, self._spread(time, "time")), values)

    def set_state(self, name: str, *, time: Number, value: Number) -> None:
        """Give a state a new value at ``time``."""
        self._add(SET_STATE, name, self._spread(time, "time"), self._spread(value, "value"))

    def reset(self, *, time: Number) -> None:
        """Put all states back to their start and end all infusions."""
        self._add(RESET, "", self._spread(time, "time"), self._spread(0.0, "value"))

    @property
    def changing(self) -> tuple[str, ...]:
        """Inputs the schedule sets."""
        return tuple(dict.fromkeys(e.target for e in self._entries if e.kind == SET_SLOW))

    @property
    def infused(self) -> tuple[str, ...]:
        """States that receive an infusion."""
        return tuple(dict.fromkeys(e.target for e in self._entries if e.kind == ADD_SLOW))

    @property
    def dosed(self) -> frozenset[str]:
        """States that receive a bolus or are set."""
        return frozenset(e.target for e in self._entries if e.kind in (ADD_STATE, SET_STATE))

    @property
    def finite(self) -> np.ndarray:
        """(n_subjects,) False where a subject's event has a value that is not a finite number."""
        good = np.ones(self.n_subjects, bool)
        for e in self._entries:
            good &= np.isnan(e.time) | (np.isfinite(e.value) & np.isfinite(e.time))
        return good

    def table(self, states: dict[str, int], slow: dict[str, int], rates: dict[str, int]) -> EventTable:
        """Flatten for the driver; the mappings give the number of each state, input and infusion rate.

        Events on states or inputs that the run does not need (absent from the mappings) are left out.
        """
        index = {ADD_STATE: states, SET_STATE: states, SET_SLOW: slow, ADD_SLOW: rates}
        kept = [e for e in self._entries if e.kind == RESET or e.target in index[e.kind]]
        if not kept:
            empty = np.zeros(0)
            first = np.zeros(self.n_subjects + 1, np.int64)
            return EventTable(first, empty, empty.astype(np.int8), empty.astype(np.int32), empty)
        time = np.array([e.time for e in kept]).T
        order = np.argsort(time, axis=1, kind="stable")  # NaN (no event) sorts last
        time = np.take_along_axis(time, order, axis=1)
        present = ~np.isnan(time)
        value = np.take_along_axis(np.array([e.value for e in kept]).T, order, axis=1)
        kind = np.array([e.kind for e in kept], np.int8)[order]
        target = np.array([0 if e.kind == RESET else index[e.kind][e.target] for e in kept], np.int32)[order]
        first = np.concatenate([[0], np.cumsum(present.sum(axis=1))]).astype(np.int64)
        return EventTable(first, time[present], kind[present], target[present], value[present])

    def readings(self, times: np.ndarray, events: EventTable, *, after: bool) -> Readings:
        """Every subject is read at the same times."""
        return shared_readings(times, events, after=after)

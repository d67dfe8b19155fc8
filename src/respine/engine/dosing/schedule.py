"""What happens to each subject and when: doses, infusions, inputs that change, resets.

Equal times (see moments.py) keep the order in which things were added. An output at the time of an event is taken before
it unless asked for after.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from respine.engine.dosing import covariates
from respine.engine.dosing.dose_slopes import NONE, DoseSlopes, EventSlopes, Number, Slope, weigh
from respine.engine.dosing.events_table import (
    ADD_STATE,
    RESET,
    SET_RATE,
    SET_SLOW,
    SET_STATE,
    EventTable,
    Readings,
    shared_readings,
)
from respine.engine.dosing.infusions import rate_on_the_clock, rates_in_full
from respine.engine.dosing.moments import SHORTENED, Moments

BLOCK = 4096  # subjects whose events are sorted at once


def _compact(array: np.ndarray) -> np.ndarray:
    """The same array; one number in memory where all subjects have the same."""
    same = len(array) > 1 and ((array[0] == array).all() or np.isnan(array).all())
    return np.broadcast_to(array[0].copy(), array.shape) if same else array


def _alike(array: np.ndarray) -> bool:
    """Whether `_compact` found one number for all."""
    return array.strides == (0,)


def _one_time_each(kept: Sequence[_Entry], block: slice, moments: Moments) -> np.ndarray:
    """Times (n_subjects of the block, n_entries) in which the same moment is the same number."""
    columns: dict[int, np.ndarray] = {}
    room = []
    for e in kept:
        time = moments.at_outputs(e.time[block])
        allowed = moments.tolerance(time)
        if e.begun is not None and e.over is not None:  # an infusion moves as a whole; its length all but stays
            over = e.over[block]
            end = columns[id(e.begun)] + over
            allowed = np.minimum(allowed, SHORTENED * over)
            moved = moments.at_outputs(end)
            time = np.where(np.abs(moved - end) <= allowed, moved, end)
        columns[id(e)] = time
        room.append(allowed)
    return _together(np.array(list(columns.values())).T, np.array(room).T)


def _together(times: np.ndarray, room: np.ndarray) -> np.ndarray:
    """Each time moved to the one just before it where that is the same moment."""
    order = np.argsort(times, axis=1, kind="stable")
    ascending = np.take_along_axis(times, order, axis=1)
    gaps = np.diff(ascending, axis=1)
    with np.errstate(invalid="ignore"):
        rows = np.flatnonzero(((gaps > 0) & (gaps <= np.take_along_axis(room, order, axis=1)[:, 1:])).any(axis=1))
    for row in rows:
        for before, here in pairwise(order[row]):
            if 0 < times[row, here] - times[row, before] <= room[row, here]:
                times[row, here] = times[row, before]
    return times


@dataclass
class _Entry:
    """``begun``: of the end of an infusion its start, ``over`` how long it takes."""

    kind: int
    target: str
    time: np.ndarray
    value: np.ndarray
    slopes: EventSlopes = NONE
    begun: _Entry | None = None
    over: np.ndarray | None = None


@dataclass
class Schedule:
    """Doses and changes for ``n_subjects``; every argument may be one number or an array with one entry a subject.

    Amounts are in the unit of the state they enter, times and durations in the system's time unit.
    """

    n_subjects: int
    _entries: list[_Entry] = field(default_factory=list)
    _covariates: dict[str, str] = field(default_factory=dict)  # how each was interpolated

    def __post_init__(self) -> None:
        if not (isinstance(self.n_subjects, int | np.integer) and self.n_subjects >= 0):
            raise ValueError(f"a schedule for {self.n_subjects!r} subjects; write a whole number")

    def _spread(self, value: Number, name: str) -> np.ndarray:
        array = np.asarray(value, float)
        if array.shape not in ((), (self.n_subjects,)):
            raise ValueError(f"{name} has shape {array.shape}; write one number or {self.n_subjects} (one a subject)")
        return np.broadcast_to(array, (self.n_subjects,))

    def _spread_slope(self, slope: Slope | None, quantity: str) -> dict[str, np.ndarray]:
        spread = {name: self._spread(value, f"{quantity} by {name}") for name, value in (slope or {}).items()}
        for name, array in spread.items():
            if not np.isfinite(array).all():
                subject = int(np.flatnonzero(~np.isfinite(array))[0])
                raise ValueError(
                    f"{quantity} by {name} is {array[subject]:g} for subject {subject}; write a finite number"
                )
        return spread

    def _where(self, value: Number, spread: np.ndarray, name: str) -> np.ndarray:
        """Subjects that have a value; NaN is a way to say no only where some subjects are left out. Raises ValueError."""
        if np.ndim(value) == 0 and np.isnan(spread).any():
            raise ValueError(f"{name} is nan; leave the line out, or give one number a subject with nan for none")
        return ~np.isnan(spread)

    def _add(self, kind: int, target: str, time: np.ndarray, value: np.ndarray, slopes: EventSlopes = NONE) -> _Entry:
        self._entries.append(_Entry(kind, target, _compact(time), _compact(value), slopes))
        return self._entries[-1]

    def dose(
        self,
        state: str,
        *,
        time: Number,
        amount: Number,
        duration: Number = 0.0,
        lag: Number = 0.0,
        fraction: Number = 1.0,
        amount_sensitivity: Slope | None = None,
        fraction_sensitivity: Slope | None = None,
        lag_sensitivity: Slope | None = None,
        duration_sensitivity: Slope | None = None,
    ) -> None:
        """Put ``amount * fraction`` into a state at ``time + lag``: at once, or evenly over ``duration``.

        An amount of 0 is no dose; so is NaN in an array (subjects of one schedule may be dosed differently). For
        sensitivities the last four say how the dose depends on parameters: ``lag_sensitivity={"alag": 1.0}`` means
        d(lag)/d(alag) = 1 (one number or one a subject). Raises ValueError for a number that is infinite, missing where
        there is a dose, or negative (all but the time).
        """
        whole, share = self._spread(amount, "amount"), self._spread(fraction, "fraction")
        begin, delay, durations = (
            self._spread(time, "time"),
            self._spread(lag, "lag"),
            self._spread(duration, "duration"),
        )
        wanted = self._where(amount, whole, f"amount into {state}") & (whole != 0)
        for array, name in ((whole, "amount"), (durations, "duration"), (share, "fraction"), (delay, "lag")):
            self._refuse(wanted & (array < 0), array, f"{name} of a dose into {state}", "it cannot be negative")
        for array, name in ((whole, "amount"), (begin, "time"), (durations, "duration"), (share, "fraction"),
                            (delay, "lag"), (whole * share, "amount times fraction")):  # fmt: skip
            self._refuse(wanted & ~np.isfinite(array), array, f"{name} of a dose into {state}", "write a finite number")
        amounts, start = whole * share, begin + delay
        slopes = DoseSlopes(
            weigh((share, self._spread_slope(amount_sensitivity, "amount_sensitivity")),
                  (np.where(np.isfinite(whole), whole, 0.0),
                   self._spread_slope(fraction_sensitivity, "fraction_sensitivity"))),
            self._spread_slope(lag_sensitivity, "lag_sensitivity"),
            self._spread_slope(duration_sensitivity, "duration_sensitivity"),
        )  # fmt: skip
        given = wanted & ((amounts != 0) | any(np.any(slope != 0) for slope in slopes.given.values()))
        at_once = given & (start + durations - start <= Moments().tolerance(start))
        if at_once.any():
            self._add(ADD_STATE, state, np.where(at_once, start, np.nan), amounts, slopes.of_bolus())
        infused = given & ~at_once
        if infused.any():
            over = np.where(infused, durations, 1.0)
            rates = np.where(infused, rate_on_the_clock(amounts, start, over), 0.0)
            first, last = slopes.of_start(amounts, over), slopes.of_end(amounts, over)
            begun = self._add(SET_RATE, state, np.where(infused, start, np.nan), rates, first)
            end = self._add(SET_RATE, state, np.where(infused, start + durations, np.nan), -rates, last)
            end.begun, end.over = begun, _compact(over)

    def _refuse(self, bad: np.ndarray, values: np.ndarray, name: str, why: str) -> None:
        if bad.any():
            subject = int(np.flatnonzero(bad)[0])
            raise ValueError(f"{name} is {values[subject]:g} for subject {subject}; {why}")

    def set(self, name: str, *, time: Number, value: Number) -> None:
        """Give an input a new value from ``time`` on (NaN in an array: leave it as it is for that subject).

        Raises ValueError for a time that is no finite number. An infinite value ends its subject with a status.
        """
        self._change(SET_SLOW, name, time, value)

    def set_state(self, name: str, *, time: Number, value: Number) -> None:
        """Give a state a new value at ``time`` (NaN in an array: leave it as it is). Raises ValueError as `set`."""
        self._change(SET_STATE, name, time, value)

    def _change(self, kind: int, name: str, time: Number, value: Number) -> None:
        values, times = self._spread(value, "value"), self._spread(time, "time")
        wanted = self._where(value, values, f"value of {name}")
        self._refuse(wanted & ~np.isfinite(times), times, f"time at which {name} is set", "write a finite number")
        self._add(kind, name, np.where(wanted, times, np.nan), values)

    def reset(self, *, time: Number) -> None:
        """Put all states back to their start and end all infusions (NaN in an array: not for that subject)."""
        times = self._spread(time, "time")
        self._where(time, times, "time of a reset")
        self._refuse(np.isinf(times), times, "time of a reset", "write a finite number")
        self._add(RESET, "", times, self._spread(0.0, "value"))

    def covariate(self, name: str, *, times: np.ndarray, values: np.ndarray, interpolation: str) -> None:
        """Let an input follow measured values: ``times`` and ``values`` (n,) for all or (n_subjects, n), NaN where none.

        ``interpolation``: ``LOCF`` each value holds until the next, ``NOCB`` each value holds since the one before,
        ``linear`` straight lines between them. Before the first value that value holds, after the last the last one.
        The way taken is named in the solution's settings. Raises ValueError for times that do not ascend.
        """
        if name in self._covariates:
            raise ValueError(f"{name} already follows values; give all of them at once")
        for row in covariates.steps(name, times, values, interpolation, self.n_subjects):
            self._add(SET_SLOW, row.target, row.time, row.value)
        self._covariates[name] = interpolation

    def of_subject(self, subject: int) -> tuple[list[tuple[str, float, float, float]], list[tuple[str, float, float]]]:
        """What one subject gets: doses (state, time, amount, duration) and input changes (input, time, value).

        Raises ValueError where states are set or all is reset, which neither says.
        """
        doses, changes = [], []
        for e in self._entries:
            time, value = float(e.time[subject]), float(e.value[subject])
            if np.isnan(time):
                continue
            if e.kind == ADD_STATE:
                doses.append((e.target, time, value, 0.0))
            elif e.kind == SET_SLOW:
                changes.append((e.target, time, value))
            elif e.kind == SET_RATE and e.begun is not None and e.over is not None:
                over = float(e.over[subject])
                doses.append((e.target, float(e.begun.time[subject]), -value * over, over))
            elif e.kind != SET_RATE:
                raise ValueError(f"{e.target or 'everything'} is set or reset at {time:g}, which is no dose")
        return doses, changes

    @property
    def covariates(self) -> dict[str, str]:
        """How each covariate is interpolated."""
        return dict(self._covariates)

    def check_start(self, start: float) -> None:
        """Raises ValueError for a dose, or a state that is set, before the run begins."""
        for e in self._entries:
            early = Moments(start).at_outputs(e.time) < start
            if e.kind in (ADD_STATE, SET_RATE, SET_STATE) and early.any():
                subject = int(np.flatnonzero(early)[0])
                seen = f"subject {subject}: a dose into {e.target}, or a value set, at {e.time[subject]:g}"
                raise ValueError(f"{seen} lies before the start {start:g}; let the run start earlier")

    @property
    def changing(self) -> tuple[str, ...]:
        """Inputs the schedule sets."""
        return tuple(dict.fromkeys(e.target for e in self._entries if e.kind == SET_SLOW))

    @property
    def infused(self) -> tuple[str, ...]:
        """States that receive an infusion."""
        return tuple(dict.fromkeys(e.target for e in self._entries if e.kind == SET_RATE))

    @property
    def dosed(self) -> frozenset[str]:
        """States that receive a bolus or are set."""
        return frozenset(e.target for e in self._entries if e.kind in (ADD_STATE, SET_STATE))

    @property
    def largest(self) -> np.ndarray:
        """(n_subjects,) the largest amount that is given at once or infused, or value a state is set to."""
        sizes = np.zeros(self.n_subjects)
        for e in self._entries:
            if e.kind in (ADD_STATE, SET_STATE):
                sizes = np.fmax(sizes, np.where(np.isnan(e.time), 0.0, np.abs(e.value)))
            elif e.begun is not None and e.over is not None:
                sizes = np.fmax(sizes, np.where(np.isnan(e.time), 0.0, np.abs(e.value) * e.over))
        return sizes

    def of(self, subjects: np.ndarray) -> Schedule:
        """The same for some of the subjects."""
        part = Schedule(len(subjects))
        made = {id(e): replace(e, time=_compact(e.time[subjects]), value=_compact(e.value[subjects]),
                               slopes=e.slopes.of(subjects)) for e in self._entries}  # fmt: skip
        for e in self._entries:
            if e.begun is not None and e.over is not None:
                made[id(e)].begun, made[id(e)].over = made[id(e.begun)], _compact(e.over[subjects])
        part._entries, part._covariates = list(made.values()), dict(self._covariates)
        return part

    @property
    def finite(self) -> np.ndarray:
        """(n_subjects,) False where a subject's event has a value that is not a finite number."""
        good = np.ones(self.n_subjects, bool)
        for e in self._entries:
            good &= np.isnan(e.time) | (np.isfinite(e.value) & np.isfinite(e.time))
        return good

    @property
    def dependent(self) -> tuple[str, ...]:
        """Names a dose depends on, with slopes."""
        return tuple(dict.fromkeys(name for e in self._entries for name in sorted(e.slopes.names)))

    def moved(self, names: Collection[str]) -> frozenset[str]:
        """States with doses that depend on one of the names."""
        return frozenset(e.target for e in self._entries if not e.slopes.names.isdisjoint(names))

    @property
    def driven(self) -> tuple[tuple[str, str], ...]:
        """(state, name) where the rate of an infusion into the state depends on the name."""
        return tuple(
            dict.fromkeys((e.target, name) for e in self._entries if e.kind == SET_RATE for name in e.slopes.value)
        )

    def table(
        self,
        states: dict[str, int],
        slow: dict[str, int],
        rates: dict[str, int],
        names: Sequence[str] = (),
        moments: Moments | None = None,
    ) -> EventTable:
        """Flatten for the driver; the mappings give the number of each state, input and infusion rate.

        ``names``: parameters by which the slopes of doses are kept; ``moments``: what counts as one time in this run.
        Events on states or inputs that the run does not need (absent from the mappings) are left out.
        """
        index = {ADD_STATE: states, SET_STATE: states, SET_SLOW: slow, SET_RATE: rates}
        kept = [e for e in self._entries if e.kind == RESET or e.target in index[e.kind]]
        if not kept:
            empty = np.zeros(0)
            first = np.zeros(self.n_subjects, np.int64)
            return EventTable(first, first, empty, empty.astype(np.int8), empty.astype(np.int32), empty)
        number = [0 if e.kind == RESET else index[e.kind][e.target] for e in kept]
        kinds, targets = np.array([e.kind for e in kept], np.int8), np.array(number, np.int32)
        moments = moments or Moments()
        if not names and all(_alike(e.time) and _alike(e.value) for e in kept):
            return self._table(kept, kinds, targets, 1, moments).for_all(self.n_subjects)
        return self._table(kept, kinds, targets, self.n_subjects, moments, names)

    def _table(
        self,
        kept: list[_Entry],
        kinds: np.ndarray,
        targets: np.ndarray,
        n: int,
        moments: Moments,
        names: Sequence[str] = (),
    ) -> EventTable:
        """The events of the first n subjects."""
        infusion = np.array([next(k for k, x in enumerate(kept) if x is (e.begun or e)) for e in kept], np.int32)
        infusions = []
        count = sum((~np.isnan(e.time)).astype(np.int64) for e in kept)[:n]
        first = np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
        time, value = np.empty(first[-1]), np.empty(first[-1])
        kind, target = np.empty(first[-1], np.int8), np.empty(first[-1], np.int32)
        orders = []
        for begin in range(0, n, BLOCK):  # sorting all at once would take many times this memory
            block = slice(begin, min(begin + BLOCK, n))
            rows = slice(first[block.start], first[block.stop])
            times = _one_time_each(kept, block, moments)
            order = np.argsort(times, axis=1, kind="stable")  # NaN (no event) sorts last
            present = np.arange(len(kept)) < count[block, None]
            time[rows] = np.take_along_axis(times, order, axis=1)[present]
            value[rows] = np.take_along_axis(np.array([e.value[block] for e in kept]).T, order, axis=1)[present]
            kind[rows], target[rows] = kinds[order][present], targets[order][present]
            infusions.append(infusion[order][present])
            orders += [order] if names else []
        table = EventTable(first[:-1], first[1:], time, kind, target, value)
        if names:
            present = np.arange(len(kept)) < count[:, None]
            table = self._with_slopes(table, kept, np.concatenate(orders), present, names)
        return rates_in_full(table, np.concatenate(infusions) if infusions else np.zeros(0, np.int32))

    def _with_slopes(
        self, table: EventTable, kept: list[_Entry], order: np.ndarray, present: np.ndarray, names: Sequence[str]
    ) -> EventTable:
        """A row of slopes for every subject of each entry that has some, or that overwrites a state."""
        sloped = [e for e in kept if e.kind == SET_STATE or not e.slopes.names.isdisjoint(names)]
        shape = (len(sloped), self.n_subjects, len(names))
        values, times = np.zeros(shape), np.zeros(shape)
        rows = np.full((len(kept), self.n_subjects), -1, np.int64)
        for k, e in enumerate(sloped):
            rows[next(i for i, x in enumerate(kept) if x is e)] = k * self.n_subjects + np.arange(self.n_subjects)
            for p, name in enumerate(names):
                values[k, :, p], times[k, :, p] = e.slopes.value.get(name, 0.0), e.slopes.time.get(name, 0.0)
        slopes = np.take_along_axis(rows.T, order, axis=1)[present]
        return replace(table, slopes=slopes, value_slopes=values.reshape(-1, len(names)),
                       time_slopes=times.reshape(-1, len(names)))  # fmt: skip

    def readings(self, times: np.ndarray, events: EventTable, *, after: bool) -> Readings:
        """Every subject is read at the same times."""
        return shared_readings(times, events, after=after)

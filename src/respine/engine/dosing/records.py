"""NONMEM-style records of many subjects: EVID 0-4, ADDL, II, SS 1 and 2, RATE (also modelled), lag, bioavailability.

The order at equal times (see moments.py) is that of the records. Additional doses (ADDL) fall before a record of the
same time. A reset (EVID 3 or 4, SS 1) cancels what earlier records still had to come. With a lag a steady-state dose
finds the system as it is when all earlier doses had the same lag: the part of an earlier infusion that is still running
goes on.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from itertools import count, pairwise

import numpy as np

from respine.engine.dosing import covariates
from respine.engine.dosing.dose_slopes import NONE, DoseSlopes, EventSlopes, weigh
from respine.engine.dosing.events_table import (
    ADD_STATE,
    CYCLE_END,
    CYCLE_START,
    JUMP,
    RESET,
    SET_RATE,
    SET_SLOW,
    STEADY_BEGIN,
    STEADY_END,
    EventTable,
    Readings,
    flatten,
)
from respine.engine.dosing.infusions import rate_on_the_clock, rates_in_full
from respine.engine.dosing.moments import SHORTENED, Moments
from respine.files.constants import SAME_MOMENT

Slopes = tuple[tuple[str, float], ...]

CLOSE = SAME_MOMENT  # times nearer than this share of an interval are one time
LONG = 1e7  # time units after which a constant infusion counts as settled, if nothing changes any more


@dataclass(frozen=True)
class Record:
    """One line of a data set.

    ``compartment`` is a state's name; ``rate`` -1 and -2 take ``modelled`` as the rate or the duration.
    ``covariates``: inputs and their values measured here (`Records` says what holds in between). For sensitivities
    ``lag_sensitivity=(("alag", 1.0),)`` says that d(lag)/d(alag) is 1; likewise the others.
    """

    time: float
    evid: int = 0
    compartment: str = ""
    amount: float = 0.0
    rate: float = 0.0
    interval: float = 0.0
    additional: int = 0
    steady: int = 0
    lag: float = 0.0
    fraction: float = 1.0
    modelled: float = math.nan
    covariates: tuple[tuple[str, float], ...] = ()
    amount_sensitivity: Slopes = ()
    lag_sensitivity: Slopes = ()
    fraction_sensitivity: Slopes = ()
    modelled_sensitivity: Slopes = ()

    def problem(self) -> str | None:
        """Why this record cannot be meant, None if it can."""
        numbers = (self.time, self.amount, self.rate, self.interval, self.lag, self.fraction, self.additional)
        slopes = [s for part in self._slopes for _, s in part]
        if not all(map(math.isfinite, (*numbers, *slopes))):
            return "a number is missing or infinite; write 0 where nothing is meant"
        for name, value in self.covariates:
            if not math.isfinite(value):
                return f"covariate {name} is {value:g}; leave it out where it was not measured"
        if self.evid not in (0, 1, 2, 3, 4):
            return f"EVID {self.evid} is unknown; write 0 to 4"
        if self.steady not in (0, 1, 2):
            return f"SS {self.steady} is not supported; write 0, 1 or 2"
        if self.evid not in (1, 4):
            dosing = {"AMT": self.amount, "RATE": self.rate, "ADDL": self.additional, "SS": self.steady}
            given = [name for name, value in dosing.items() if value]
            seen = " and ".join(given)
            return f"EVID {self.evid} is no dose but has {seen}; write EVID 1, or 0 for {seen}" if given else None
        if not self.compartment:
            return "a dose names no compartment; write CMT"
        for name, value in (("AMT", self.amount), ("II", self.interval), ("ADDL", self.additional),
                            ("lag", self.lag), ("bioavailability", self.fraction)):  # fmt: skip
            if value < 0:
                return f"{name} is {value:g}; it cannot be negative"
        if self.rate < 0 and self.rate not in (-1, -2):
            return f"RATE is {self.rate:g}; write a rate above 0, 0 for a bolus, -1 or -2 if modelled"
        if self.rate < 0 and not self.modelled > 0:
            return f"RATE {self.rate:g} needs a positive modelled {'rate' if self.rate == -1 else 'duration'}"
        if self.additional != int(self.additional):
            return f"ADDL is {self.additional:g}; write a whole number"
        if self.additional and not self.interval > 0:
            return f"ADDL {self.additional} needs II above 0"
        if self.amount == 0 and not (self.steady and self.rate > 0 and self.interval == 0):
            return "AMT is 0; only a constant infusion to steady state (SS 1, RATE, II 0) has no amount"
        if self.steady and self.amount > 0 and not self.interval > 0:
            return f"SS {self.steady} with AMT needs II above 0"
        return None

    @property
    def given(self) -> float:
        """What reaches the compartment."""
        return self.amount * self.fraction

    @property
    def duration(self) -> float:
        """Length of the infusion, 0 for a bolus. A given rate stays, bioavailability changes the length."""
        if self.rate == -2:
            return self.modelled
        rate = self.modelled if self.rate == -1 else self.rate
        return self.given / rate if rate > 0 else 0.0

    @property
    def _slopes(self) -> tuple[Slopes, ...]:
        return self.amount_sensitivity, self.lag_sensitivity, self.fraction_sensitivity, self.modelled_sensitivity

    @property
    def slopes(self) -> DoseSlopes:
        """How what is given, its lag and its duration depend on parameters."""
        if not any(self._slopes):
            return DoseSlopes()
        amount, lag, fraction, modelled = map(dict, self._slopes)
        given = weigh((self.fraction, amount), (self.amount, fraction))
        if self.rate == -2:
            return DoseSlopes(given, lag, modelled)
        rate = self.modelled if self.rate == -1 else self.rate
        if not rate > 0:
            return DoseSlopes(given, lag)
        changes = modelled if self.rate == -1 else {}
        return DoseSlopes(given, lag, weigh((1 / rate, given), (-self.duration / rate, changes)))


@dataclass(frozen=True)
class _Happening:
    """An event before names become numbers; ``order`` places it among those of its subject.

    ``infusion`` numbers the infusion that starts or ends; -1 in a regimen in steady state.
    """

    order: tuple[float, int, int]
    time: float
    kind: int
    target: str
    value: float
    slopes: EventSlopes = NONE
    infusion: int = -1


@dataclass
class Records:
    """Data records of several subjects, usable wherever a `Schedule` is; every record is also a reading.

    ``interpolation`` of covariates: ``LOCF`` a value holds from its record to the next that has one, ``NOCB`` from the one
    before to its record, ``linear`` straight lines in between. A steady state is that of its record's own values. Raises
    ValueError with subject and record number for the first record that cannot be meant.
    """

    subjects: Sequence[Sequence[Record]]
    interpolation: str = "LOCF"
    _running: list[list[Record]] = field(init=False, repr=False)  # on a clock that never goes back
    _happenings: list[list[_Happening]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        covariates.check(self.interpolation)
        for s, records in enumerate(self.subjects):
            for k, record in enumerate(records):
                problem = record.problem()
                back = bool(k) and record.time < records[k - 1].time and not _same(record.time, records[k - 1].time)
                if problem is None and back and record.evid not in (3, 4):
                    problem = f"time {record.time:g} lies before the record above it ({records[k - 1].time:g})"
                if problem:
                    raise ValueError(f"subject {s}, record {k}: {problem}")
        self._running = [_on_one_clock(records) for records in self.subjects]
        self._happenings = [_happenings(records, self.interpolation) for records in self._running]

    @property
    def n_subjects(self) -> int:
        """How many subjects there are."""
        return len(self.subjects)

    def times(self, start: float) -> np.ndarray:
        """When every record is read, (n_records,), on a clock that never goes back (see `own_times`).

        Raises ValueError where one precedes ``start`` or a subject has none.
        """
        for s, records in enumerate(self.subjects):
            if not records:
                raise ValueError(f"subject {s} has no record")
            if records[0].time < start and not _same(records[0].time, start):
                seen = f"subject {s}: the first record at {records[0].time:g}"
                raise ValueError(f"{seen} lies before the start {start:g}")
        return np.maximum(np.array([r.time for records in self._running for r in records], float), start)

    @property
    def own_times(self) -> np.ndarray:
        """Time of every record as it is written, (n_records,)."""
        return np.array([r.time for records in self.subjects for r in records], float)

    @property
    def goes_back(self) -> int | None:
        """The first subject whose time goes back at a reset, None where there is none."""
        pairs = ((s, a.time, b.time) for s, records in enumerate(self.subjects) for a, b in pairwise(records))
        return next((s for s, before, here in pairs if here < before and not _same(before, here)), None)

    def _targets(self, *kinds: int) -> tuple[str, ...]:
        return tuple(dict.fromkeys(h.target for happenings in self._happenings for h in happenings if h.kind in kinds))

    @property
    def changing(self) -> tuple[str, ...]:
        """Covariates that change over time."""
        return self._targets(SET_SLOW)

    @property
    def infused(self) -> tuple[str, ...]:
        """States that are infused into."""
        return self._targets(SET_RATE)

    @property
    def dosed(self) -> frozenset[str]:
        """States that are dosed."""
        return frozenset(self._targets(ADD_STATE))

    @property
    def covariates(self) -> dict[str, str]:
        """How each covariate is interpolated."""
        every = (name for records in self.subjects for r in records for name, _ in r.covariates)
        return dict.fromkeys(every, self.interpolation)

    def check_start(self, start: float) -> None:
        """`times` has done so."""

    @property
    def largest(self) -> np.ndarray:
        """(n_subjects,) the largest amount that is given."""
        return np.array([max((r.given for r in records if r.evid in (1, 4)), default=0.0) for records in self.subjects])

    def of(self, subjects: np.ndarray) -> Records:
        """The same for some of the subjects."""
        return Records([self.subjects[s] for s in subjects], self.interpolation)

    @property
    def finite(self) -> np.ndarray:
        """Which subjects have finite numbers alone, ``(n_subjects,)``."""
        return np.ones(self.n_subjects, bool)

    @property
    def dependent(self) -> tuple[str, ...]:
        """Names a dose depends on, with slopes."""
        return tuple(
            dict.fromkeys(
                name for happenings in self._happenings for h in happenings for name in sorted(h.slopes.names)
            )
        )

    def moved(self, names: Collection[str]) -> set[str]:
        """States with doses that depend on one of the names."""
        return {h.target for happenings in self._happenings for h in happenings if not h.slopes.names.isdisjoint(names)}

    @property
    def driven(self) -> tuple[tuple[str, str], ...]:
        """(state, name) where the rate of an infusion into the state depends on the name."""
        every = (h for happenings in self._happenings for h in happenings if h.kind == SET_RATE)
        return tuple(dict.fromkeys((h.target, name) for h in every for name in h.slopes.value))

    def table(
        self,
        states: dict[str, int],
        slow: dict[str, int],
        rates: dict[str, int],
        names: Sequence[str] = (),
        moments: Moments | None = None,
    ) -> EventTable:
        """Flatten for the driver; targets the run does not need are left out; slopes by ``names`` are kept.

        The records themselves say which times are one, whatever the ``moments`` of the run.
        """
        index = {ADD_STATE: states, SET_SLOW: slow, SET_RATE: rates}
        nothing = {"": 0}
        kept = [[h for h in happenings if h.target in index.get(h.kind, nothing)] for happenings in self._happenings]
        table = flatten([
            [(h.time, h.kind, index.get(h.kind, nothing)[h.target], h.value) for h in happenings] for happenings in kept
        ])  # fmt: skip
        infusion = np.array([h.infusion for happenings in kept for h in happenings], np.int32)
        if not names:
            return rates_in_full(table, infusion)
        sloped = [h.slopes if not h.slopes.names.isdisjoint(names) else None for happenings in kept for h in happenings]
        rows = np.cumsum([s is not None for s in sloped], dtype=np.int64) - 1
        values, times = (
            np.array([[float(part.get(name, 0.0)) for name in names] for part in parts]).reshape(-1, len(names))
            for parts in ([s.value for s in sloped if s], [s.time for s in sloped if s])
        )
        slopes = np.where([s is not None for s in sloped], rows, -1)
        return rates_in_full(replace(table, slopes=slopes, value_slopes=values, time_slopes=times), infusion)

    def readings(self, times: np.ndarray, events: EventTable, *, after: bool) -> Readings:
        """One reading per record, in record order."""
        count = np.array([len(r) for r in self.subjects], np.int64)
        first = np.concatenate([[0], np.cumsum(count)[:-1]]).astype(np.int64)
        need: list[int] = []
        for records, happenings in zip(self._running, self._happenings, strict=True):
            order = [h.order for h in happenings]
            need += [sum(o < (r.time, 1, 2 * k + 1) for o in order) for k, r in enumerate(records)]
        return Readings(times, first, count, first.copy(), np.array(need, np.int32))


def _same(a: float, b: float) -> bool:
    return abs(a - b) <= SAME_MOMENT * max(abs(a), abs(b))


def _on_one_clock(records: Sequence[Record]) -> list[Record]:
    """The records with the same moment as the same number, and moved on where a reset sets the time back."""
    moved: list[Record] = []
    behind, last = 0.0, -math.inf
    for record in records:
        here = last if moved and _same(record.time, last) else record.time
        if here < last:  # only a reset may
            behind += last - here
        last = here
        moved.append(replace(record, time=here + behind) if here + behind != record.time else record)
    return moved


def _happenings(records: Sequence[Record], interpolation: str) -> list[_Happening]:
    """All events of one subject in the order in which they happen."""
    happenings: list[_Happening] = []
    changes = _covariate_changes(records, interpolation)
    infusions = _Infusions(records)
    for k, record in enumerate(records):
        here = (record.time, 1, 2 * k)
        cancels = record.evid in (3, 4) or (record.evid == 1 and record.steady == 1)
        if cancels:
            happenings = [h for h in happenings if h.order < here]
        happenings += changes[k]
        if record.evid in (3, 4):
            happenings.append(_Happening(here, record.time, RESET, "", 0.0))
        if record.evid in (1, 4):
            if record.steady:
                happenings += _steady_state(record, here, infusions)
            if record.amount > 0:
                happenings += _doses(record, here, infusions)
    return sorted(happenings, key=lambda h: h.order)  # stable: equal order keeps the sequence of the records


def _covariate_changes(records: Sequence[Record], way: str) -> list[list[_Happening]]:
    """Of each record: its own values before it, and after its reading what holds until the next one."""
    changes: list[list[_Happening]] = [[] for _ in records]

    def put(k: int, after: int, values: Sequence[tuple[str, float]]) -> None:
        time = records[k].time
        changes[k] += [_Happening((time, 1, 2 * k + after), time, SET_SLOW, *value) for value in values]

    for name in dict.fromkeys(name for record in records for name, _ in record.covariates):
        knots = [(k, dict(r.covariates)[name]) for k, r in enumerate(records) if name in dict(r.covariates)]
        if way == "linear":
            knots = _with_steady_states(records, knots)
        level, slope, since = covariates.line(name)
        if way != "LOCF" and knots[0][0] > 0:
            put(0, 0, [(level if way == "linear" else name, knots[0][1])])
        for (k, value), (later, following) in zip(knots, [*knots[1:], knots[-1]], strict=True):
            span = records[later].time - records[k].time
            if way == "linear":
                rise = (following - value) / span if span > 0 else 0.0
                put(k, 0, [(level, value), (slope, 0.0), (since, records[k].time)])
                put(k, 1, [(slope, rise)])
            else:
                put(k, 0, [(name, value)])
                put(k, 1, [(name, following)] if way == "NOCB" else [])
    return changes


def _with_steady_states(records: Sequence[Record], knots: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """A value for each steady state too: the clock runs apart there, so that the line must be held."""
    times, values = [records[k].time for k, _ in knots], [value for _, value in knots]
    known = dict(knots)
    extra = [k for k, r in enumerate(records) if r.steady and k not in known]
    return sorted([*knots, *((k, float(np.interp(records[k].time, times, values))) for k in extra)])


class _Infusions:
    """Boluses and infusions of one subject's records, each with its number, at one number a moment."""

    def __init__(self, records: Sequence[Record]) -> None:
        times = np.array([r.time for r in records], float)
        self.moments = Moments(times[0] if len(times) else 0.0, read=times)
        self.numbers = count()

    def moment(self, time: float) -> float:
        """The time, or that of the record which is the same moment."""
        return float(self.moments.at_outputs(np.array(time)))

    def dose(self, record: Record, time: float, order: tuple[float, int, int]) -> list[_Happening]:
        """One dose of a record at a time; ``order`` is that of its start."""
        if record.duration == 0 or self.moment(time + record.duration) <= time:
            return [_Happening(order, time, ADD_STATE, record.compartment, record.given, record.slopes.of_bolus())]
        rate, end = float(rate_on_the_clock(record.given, time, record.duration)), time + record.duration
        if abs(self.moment(end) - end) <= SHORTENED * record.duration:
            end = self.moment(end)
        first, last = _infusion_slopes(record)
        number = next(self.numbers)
        return [
            _Happening(order, time, SET_RATE, record.compartment, rate, first, number),
            _Happening((end, 0, order[2]), end, SET_RATE, record.compartment, -rate, last, number),
        ]


def _doses(record: Record, here: tuple[float, int, int], infusions: _Infusions) -> list[_Happening]:
    doses = []
    for n in range(int(record.additional) + 1):
        time = infusions.moment(record.time + n * record.interval + record.lag)
        order = here if n == 0 and time == record.time else (time, 0, here[2])
        doses += infusions.dose(record, time, order)
    return doses


def _infusion_slopes(record: Record) -> tuple[EventSlopes, EventSlopes]:
    """Of the start and the end of a record's infusion."""
    slopes, facts = record.slopes, (record.given, record.duration)
    return slopes.of_start(*facts), slopes.of_end(*facts)


def _steady_state(record: Record, here: tuple[float, int, int], infusions: _Infusions) -> list[_Happening]:
    """Events that bring the system to steady state at the record's time; the clock runs apart meanwhile."""

    def at(time: float, kind: int, value: float = 0.0, target: str = "", slopes: EventSlopes = NONE) -> _Happening:
        return _Happening(here, time, kind, target, value, slopes)

    now, kind = record.time, float(record.steady)
    begin = at(now, STEADY_BEGIN, kind)
    if record.interval == 0:  # a constant infusion, which ends here
        return [
            begin,
            at(now, SET_RATE, record.rate, record.compartment),
            at(now, JUMP, now - 2 * LONG),
            at(now - LONG, CYCLE_START),
            at(now, CYCLE_END, LONG),
            at(now, JUMP, now),
            at(now, SET_RATE, -record.rate, record.compartment),
            at(now, STEADY_END, kind),
        ]
    ii = record.interval
    behind = ii - math.fmod(record.lag, ii)  # since the last arrival
    behind = behind if behind > CLOSE * ii else ii
    arrival = now - behind
    interval, running = _interval(record)
    doses = [at(arrival + dt, change, value, record.compartment, slopes) for dt, change, value, slopes in interval]
    made = [begin, *(at(now, SET_RATE, rate, record.compartment, slopes) for rate, slopes in running)]
    made += [at(now, JUMP, arrival), at(arrival, CYCLE_START), *doses, at(arrival + ii, CYCLE_END, ii)]
    if record.lag:  # go on from the last arrival to the time of the record
        made += [at(now, JUMP, arrival), *(d for d in doses if d.time <= now + CLOSE * ii)]
    else:
        made.append(at(now, JUMP, now))
    if running and interval[1][0] == 0 and behind >= (1 - CLOSE) * ii:  # one ends as the next dose starts, now
        _, kind_of_end, value, slopes = interval[1]
        made.append(at(now, kind_of_end, value, record.compartment, slopes))
    made.append(at(now, STEADY_END, kind))
    return made + _ends_of_running_infusions(record, arrival) + _still_to_arrive(record, here, infusions)


def _still_to_arrive(record: Record, here: tuple[float, int, int], infusions: _Infusions) -> list[_Happening]:
    """Earlier doses of the steady regimen that a lag of an interval or more keeps from arriving before the record."""
    arriving = []
    first = math.floor(record.lag / record.interval + CLOSE)
    for n in range(first, 0, -1):
        wait = record.lag - n * record.interval
        at_once = wait <= CLOSE * record.interval
        time = record.time if at_once else infusions.moment(record.time + wait)
        arriving += infusions.dose(record, time, here if at_once else (time, 0, here[2]))
    return arriving


def _interval(
    record: Record,
) -> tuple[list[tuple[float, int, float, EventSlopes]], list[tuple[float, EventSlopes]]]:
    """What happens within one interval from an arrival on, and the rates that run at its very start."""
    if record.duration == 0:
        return [(0.0, ADD_STATE, record.given, record.slopes.of_bolus())], []
    rate, ii = record.given / record.duration, record.interval
    whole = math.floor(record.duration / ii + CLOSE)
    rest = record.duration - whole * ii
    rest = rest if rest > CLOSE * ii else 0.0  # 0: one infusion ends exactly as the next starts
    first, last = _infusion_slopes(record)
    running = rate, EventSlopes(first.value)  # long since started
    return [(0.0, SET_RATE, rate, first), (rest, SET_RATE, -rate, last)], [running] * whole


def _ends_of_running_infusions(record: Record, arrival: float) -> list[_Happening]:
    """Infusions of earlier doses that are still running at the record's time end in their own time."""
    ends = []
    end = arrival + record.duration
    while record.duration and end > record.time + CLOSE * record.interval:
        rate = record.given / record.duration
        ends.append(_Happening((end, 0, 0), end, SET_RATE, record.compartment, -rate, _infusion_slopes(record)[1]))
        end -= record.interval
    return ends

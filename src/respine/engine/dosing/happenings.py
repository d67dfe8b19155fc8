"""What happens to a subject on one running clock: doses, infusions, resets, steady states and changes of covariates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count

import numpy as np

from respine.engine.dosing import covariates
from respine.engine.dosing.dose_slopes import NONE, EventSlopes
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
)
from respine.engine.dosing.infusions import rate_on_the_clock
from respine.engine.dosing.moments import SHORTENED, Moments
from respine.engine.dosing.record import Record
from respine.files.constants import SAME_MOMENT

CLOSE = SAME_MOMENT  # times nearer than this share of an interval are one time
LONG = 1e7  # time units after which a constant infusion counts as settled, if nothing changes any more


@dataclass(frozen=True)
class Happening:
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


def same(a: float, b: float) -> bool:
    """Whether two times are the same moment."""
    return abs(a - b) <= SAME_MOMENT * max(abs(a), abs(b))


def on_one_clock(records: Sequence[Record]) -> list[Record]:
    """The records with the same moment as the same number, and moved on where a reset sets the time back."""
    moved: list[Record] = []
    behind, last = 0.0, -math.inf
    for record in records:
        here = last if moved and same(record.time, last) else record.time
        if here < last:  # only a reset may
            behind += last - here
        last = here
        moved.append(replace(record, time=here + behind) if here + behind != record.time else record)
    return moved


def happenings(records: Sequence[Record], interpolation: str) -> list[Happening]:
    """All events of one subject in the order in which they happen."""
    happenings: list[Happening] = []
    changes = _covariate_changes(records, interpolation)
    infusions = _Infusions(records)
    for k, record in enumerate(records):
        here = (record.time, 1, 2 * k)
        cancels = record.evid in (3, 4) or (record.evid == 1 and record.steady == 1)
        if cancels:
            happenings = [h for h in happenings if h.order < here]
        happenings += changes[k]
        if record.evid in (3, 4):
            happenings.append(Happening(here, record.time, RESET, "", 0.0))
        if record.evid in (1, 4):
            if record.steady:
                happenings += _steady_state(record, here, infusions)
            if record.amount > 0:
                happenings += _doses(record, here, infusions)
    return sorted(happenings, key=lambda h: h.order)  # stable: equal order keeps the sequence of the records


def _covariate_changes(records: Sequence[Record], way: str) -> list[list[Happening]]:
    """Of each record: its own values before it, and after its reading what holds until the next one."""
    changes: list[list[Happening]] = [[] for _ in records]

    def put(k: int, after: int, values: Sequence[tuple[str, float]]) -> None:
        time = records[k].time
        changes[k] += [Happening((time, 1, 2 * k + after), time, SET_SLOW, *value) for value in values]

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

    def dose(self, record: Record, time: float, order: tuple[float, int, int]) -> list[Happening]:
        """One dose of a record at a time; ``order`` is that of its start."""
        if record.duration == 0 or self.moment(time + record.duration) <= time:
            return [Happening(order, time, ADD_STATE, record.compartment, record.given, record.slopes.of_bolus())]
        rate, end = float(rate_on_the_clock(record.given, time, record.duration)), time + record.duration
        if abs(self.moment(end) - end) <= SHORTENED * record.duration:
            end = self.moment(end)
        first, last = _infusion_slopes(record)
        number = next(self.numbers)
        return [
            Happening(order, time, SET_RATE, record.compartment, rate, first, number),
            Happening((end, 0, order[2]), end, SET_RATE, record.compartment, -rate, last, number),
        ]


def _doses(record: Record, here: tuple[float, int, int], infusions: _Infusions) -> list[Happening]:
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


def _steady_state(record: Record, here: tuple[float, int, int], infusions: _Infusions) -> list[Happening]:
    """Events that bring the system to steady state at the record's time; the clock runs apart meanwhile."""

    def at(time: float, kind: int, value: float = 0.0, target: str = "", slopes: EventSlopes = NONE) -> Happening:
        return Happening(here, time, kind, target, value, slopes)

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


def _still_to_arrive(record: Record, here: tuple[float, int, int], infusions: _Infusions) -> list[Happening]:
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


def _ends_of_running_infusions(record: Record, arrival: float) -> list[Happening]:
    """Infusions of earlier doses that are still running at the record's time end in their own time."""
    ends = []
    end = arrival + record.duration
    while record.duration and end > record.time + CLOSE * record.interval:
        rate = record.given / record.duration
        ends.append(Happening((end, 0, 0), end, SET_RATE, record.compartment, -rate, _infusion_slopes(record)[1]))
        end -= record.interval
    return ends

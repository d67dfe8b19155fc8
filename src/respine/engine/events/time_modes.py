"""Equations that jump at known times, for the driver of many lanes: each condition of time becomes an input.

The input changes, like any other, at the moments at which the condition flips, so that no step reaches across a jump and
no pulse is passed over. Outputs are read from the formulas as they are written.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np

from respine.engine.dosing.covariates import LONG_AGO
from respine.engine.dosing.events_table import CYCLE_END, CYCLE_START, JUMP, SET_SLOW, EventTable, Readings
from respine.engine.events.hybrid import SLOW, STATE, TIME, TIMED
from respine.engine.events.time_conditions import Clock, Flips
from respine.model.expression import Expr, substitute, sym, symbols
from respine.model.system import System

Row = tuple[int, float, int, float]
"""Row before which it stands, time, input, value."""

MOST_KEPT = 4096  # subjects whose flips are kept from one solve to the next
MOST_FLIPS = 100_000  # of one subject on the way to a steady state


@dataclass(frozen=True)
class TimeModes:
    """A system in which inputs stand for its conditions of time, and the conditions by the name of their input."""

    system: System
    clock: Clock
    _kept: dict[tuple[Any, ...], tuple[list[Row], bool]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """Inputs that stand for conditions of time."""
        return self.clock.names

    def put_in(
        self,
        table: EventTable,
        readings: Readings,
        slow: Mapping[str, int],
        numbers: Mapping[str, Any],
        start: float,
    ) -> tuple[EventTable, Readings, bool]:
        """The events with all flips, the readings that count them, and whether no flip can be missed.

        ``slow``: number of each input; ``numbers``: those on which conditions may depend, one or one a subject.
        """
        changing = {k: name for name, k in slow.items() if name in self.clock.numbers}
        n = len(table.first)
        numbers = {name: numbers[name] for name in self.clock.numbers if name in numbers}
        targets = [slow[name] for name in self.names]
        own = np.isin(table.kind, (SET_SLOW,)) & np.isin(table.target, list(changing))
        end = np.array(
            [readings.times[first + count - 1] for first, count in zip(readings.first, readings.count, strict=True)]
        )
        alike = len(np.unique(table.first)) == 1 and len(np.unique(table.last)) == 1
        if n > 1 and alike and all(np.ndim(v) == 0 for v in numbers.values()) and len(np.unique(end)) == 1:
            first_row = replace(table, first=table.first[:1], last=table.last[:1])
            first, position, sure = self._merged(first_row, numbers, targets, changing, own, start, end[:1])
            shared = replace(first, first=np.repeat(first.first, n), last=np.repeat(first.last, n))
            return shared, _counted(readings, table, shared, position), sure
        merged, position, sure = self._merged(table, numbers, targets, changing, own, start, end)
        return merged, _counted(readings, table, merged, position), sure

    def _merged(
        self,
        table: EventTable,
        numbers: Mapping[str, Any],
        targets: Sequence[int],
        changing: Mapping[int, str],
        own: np.ndarray,
        start: float,
        end: np.ndarray,
    ) -> tuple[EventTable, np.ndarray, bool]:
        """The table with flips, where each of its rows went, and whether no flip can be missed."""
        n = len(table.first)
        if own.any() or (table.kind == JUMP).any():
            merged = [self._subject(table, s, numbers, targets, changing, start, float(end[s])) for s in range(n)]
            rows = [made for made, _ in merged]
            subject = np.repeat(np.arange(n), [len(r) for r in rows])
            after, times, which, values = np.array([row for r in rows for row in r], float).reshape(-1, 4).T
            return *_insert(table, subject, after.astype(int), times, which.astype(int), values), all(
                s for _, s in merged
            )
        flips = self.clock.flips(start, np.maximum(end, start), numbers, n)
        first = np.array([np.broadcast_to(v, (n,)) for v in self.clock.values(start, numbers).values()])
        subject = np.concatenate([np.tile(np.arange(n), len(targets)), flips.subject])
        times = np.concatenate([np.full(n * len(targets), LONG_AGO), flips.time])
        which = np.concatenate([np.repeat(targets, n), np.asarray(targets, int)[flips.condition]])
        values = np.concatenate([first.ravel(), flips.value])
        order = np.lexsort((times, subject))
        subject, times, which, values = subject[order], times[order], which[order], values[order]
        before = np.empty(len(times), int)
        borders = np.searchsorted(subject, np.arange(n + 1))
        for s, (a, b) in enumerate(pairwise(borders)):
            mine_ = slice(table.first[s], table.last[s])
            before[a:b] = table.first[s] + np.searchsorted(table.time[mine_], times[a:b])
        return *_insert(table, subject, before, times, which, values), flips.sure

    def _subject(
        self, table: EventTable, s: int, numbers: Mapping[str, Any], targets: Sequence[int], changing: Mapping[int, str],
        start: float, end: float,
    ) -> tuple[list[Row], bool]:  # fmt: skip
        """As `_one_by_one`, kept by all that it depends on: a search for parameters asks for the same flips again and again."""
        rows = slice(int(table.first[s]), int(table.last[s]))
        kind, target = table.kind[rows], table.target[rows]
        matters = (kind == JUMP) | ((kind == SET_SLOW) & np.isin(target, list(changing)))
        known = tuple(float(np.broadcast_to(v, (len(table.first),))[s]) for v in numbers.values())
        key = (start, end, tuple(targets), tuple(changing.items()), tuple(numbers), known, table.time[rows].tobytes(),
               kind.tobytes(), target[matters].tobytes(), table.value[rows][matters].tobytes())  # fmt: skip
        first = rows.start
        if key not in self._kept:
            made, sure = self._one_by_one(table, s, numbers, targets, changing, start, end)
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            self._kept[key] = [(row - first, t, input_, value) for row, t, input_, value in made], sure
        made, sure = self._kept[key]
        return [(row + first, time, input_, value) for row, time, input_, value in made], sure

    def _one_by_one(
        self,
        table: EventTable,
        s: int,
        numbers: Mapping[str, Any],
        targets: Sequence[int],
        changing: Mapping[int, str],
        start: float,
        end: float,
    ) -> tuple[list[tuple[int, float, int, float]], bool]:
        """(row before which it stands, time, input, value) of all that one subject's modes do, in order; whether none is missed.

        On the way to a steady state the clock is set; an interval that is repeated begins with the values of its start.
        """
        known = {name: float(np.broadcast_to(v, (len(table.first),))[s]) for name, v in numbers.items()}
        made: list[tuple[int, float, int, float]] = []
        now, sure = start, True

        def all_of_them(row: int, time: float) -> None:
            values = self.clock.values(now, known)
            made.extend(
                (row, time, target, float(value)) for target, value in zip(targets, values.values(), strict=True)
            )

        def pass_time(row: int, to: float) -> None:
            nonlocal now, sure
            if to > now:
                flips: Flips = self.clock.flips(now, to, known)
                sure &= flips.sure
                if len(flips.time) > MOST_FLIPS:
                    raise ValueError(
                        f"subject {s}: on the way to a steady state the equations jump {len(flips.time)} times, as they "
                        "depend on the time itself; dose explicitly in place of SS"
                    )
                made.extend(
                    (row, float(t), targets[k], float(v))
                    for t, k, v in zip(flips.time, flips.condition, flips.value, strict=True)
                )
                now = to

        all_of_them(table.first[s], LONG_AGO)
        for row in range(table.first[s], table.last[s]):
            time = float(table.time[row])
            pass_time(row, time)
            kind, target, value = table.kind[row], table.target[row], float(table.value[row])
            if kind == JUMP:
                now = value
                all_of_them(row + 1, value)
            elif kind == CYCLE_START:
                all_of_them(row + 1, time)
            elif kind == CYCLE_END:
                now = time
            elif kind == SET_SLOW and target in changing:
                known[changing[target]] = value
                all_of_them(row + 1, max(time, now))
        pass_time(table.last[s], end)
        return made, sure


def _insert(
    table: EventTable, subject: np.ndarray, before: np.ndarray, time: np.ndarray, target: np.ndarray, value: np.ndarray
) -> tuple[EventTable, np.ndarray]:
    """A table with more rows, each before the old row named, and where the old rows went.

    Rows of subjects stay together; new rows at one place keep the order in which they come.
    """
    n = len(table.first)
    count = table.last - table.first
    old = np.concatenate([np.arange(a, b) for a, b in zip(table.first, table.last, strict=True)]).astype(int)
    subjects = np.concatenate([np.repeat(np.arange(n), count), subject])
    order = np.lexsort((np.concatenate([2 * old + 1, 2 * before]), subjects))  # stable

    def column(of_old: np.ndarray, of_new: np.ndarray) -> np.ndarray:
        return np.concatenate([of_old[old], of_new])[order].astype(of_old.dtype)

    last = np.cumsum(count + np.bincount(subject, minlength=n))
    new = np.full(len(time), SET_SLOW)
    slopes = column(table.slopes, np.full(len(time), -1)) if len(table.slopes) else table.slopes
    merged = replace(
        table, first=last - count - np.bincount(subject, minlength=n), last=last, time=column(table.time, time),
        kind=column(table.kind, new), target=column(table.target, target), value=column(table.value, value), slopes=slopes,
    )  # fmt: skip
    went = np.empty(len(order), int)
    went[order] = np.arange(len(order))
    return merged, went[: len(old)]


def _counted(readings: Readings, before: EventTable, after: EventTable, went: np.ndarray) -> Readings:
    """Readings that count the events before them in the table with more rows."""
    need = readings.need.copy()
    shared = len(went) < int(np.sum(before.last - before.first))  # one subject's rows stand for all
    begin = 0
    for s, (row, count) in enumerate(zip(readings.row, readings.count, strict=True)):
        own = need[row : row + count]
        places = went[0 if shared else begin :]
        own[own > 0] = places[own[own > 0] - 1] - (0 if shared else after.first[s]) + 1
        begin += before.last[s] - before.first[s]
    return replace(readings, need=need)


def time_modes(system: System, states: Collection[str], keep: Collection[str] = ()) -> TimeModes | None:
    """Split the conditions of time from the rates of ``states``; None where there are none.

    Conditions that depend on one of the names to ``keep`` stay in the formulas.
    """
    return _Split(system, states, frozenset(keep)).result()


class _Split:
    def __init__(self, system: System, states: Collection[str], keep: frozenset[str]) -> None:
        self.system, self.states, self.keep = system, states, keep
        self.conditions: dict[Expr, str] = {}
        self.held: dict[str, Expr] = {}  # rules in which inputs stand for conditions, by the name of the rule
        self._moves: dict[str, int] = {}
        self._kept: dict[str, bool] = {}

    def result(self) -> TimeModes | None:
        self._look_at_rules()
        rates = {s: self._frozen(rate) if s in self.states else rate for s, rate in self.system.rates.items()}
        if not self.conditions:
            return None
        rules = dict(self.system.rules)
        copies = {name: f"{name} held" for name, rule in self.held.items() if rule != self.system.rules[name]}
        # a rule needs a copy too if it uses one that has
        while more := {name: f"{name} held" for name, rule in self.held.items()
                       if name not in copies and any(s in copies for s in symbols(rule))}:  # fmt: skip
            copies |= more
        renamed = {name: sym(copy) for name, copy in copies.items()}
        rules |= {copies[name]: substitute(self.held[name], renamed) for name in self.system.rules if name in copies}
        rates = {s: substitute(rate, renamed) if s in self.states else rate for s, rate in rates.items()}
        inputs = {**self.system.inputs, **dict.fromkeys(self.conditions.values(), 0.0)}
        conditions = {mode: expr for expr, mode in self.conditions.items()}
        needed = {s for expr in conditions.values() for s in symbols(expr)}
        for name in reversed(list(self.system.rules)):
            if name in needed:
                needed |= set(symbols(self.system.rules[name]))
        clock_rules = {name: rule for name, rule in self.system.rules.items() if name in needed}
        return TimeModes(replace(self.system, rules=rules, rates=rates, inputs=inputs), Clock(conditions, clock_rules))

    def _look_at_rules(self) -> None:
        """The rules that the rates use, each after those it uses itself: so no chain of rules, long as it may be, nests."""
        rules = self.system.rules
        needed: set[str] = set()
        waiting = [name for s in self.states if s in self.system.rates for name in symbols(self.system.rates[s])]
        while waiting:
            name = waiting.pop()
            if name in rules and name not in needed:
                needed.add(name)
                waiting.extend(symbols(rules[name]))
        for name in rules:  # they stand in an order in which they can be evaluated
            if name in needed:
                self._kind(sym(name))
                self._keeps(sym(name))
        for name in rules:
            if name in needed:
                self._frozen(sym(name))

    def _frozen(self, expr: Expr) -> Expr:
        """The formula with inputs for its conditions of time; the rules it uses are looked at on the way."""
        if expr[0] == "sym" and expr[1] in self.system.rules and expr[1] not in self.held:
            self.held[expr[1]] = self._frozen(self.system.rules[expr[1]])
        if expr[0] in ("num", "sym", "time"):
            return expr
        if expr[0] in TIMED and self._kind(expr) == TIME and not self._keeps(expr):
            return sym(self.conditions.setdefault(expr, f"#when {len(self.conditions)}"))
        return (expr[0], *(self._frozen(part) for part in expr[1:]))

    def _kind(self, expr: Expr) -> int:
        """What a formula depends on."""
        if expr[0] == "time":
            return TIME
        if expr[0] == "sym":
            name = expr[1]
            if name in self.system.rates:
                return STATE
            if name in self.system.rules and name not in self._moves:
                self._moves[name] = self._kind(self.system.rules[name])
            return self._moves.get(name, SLOW)
        return SLOW if expr[0] == "num" else max(map(self._kind, expr[1:]))

    def _keeps(self, expr: Expr) -> bool:
        for name in symbols(expr):
            if name in self.system.rules and name not in self._kept:
                self._kept[name] = self._keeps(self.system.rules[name])
        return any(name in self.keep or self._kept.get(name, False) for name in symbols(expr))

"""Conditions that depend on time alone: all moments at which they flip, to the last bit of the clock.

A span of time in which interval arithmetic cannot exclude a flip is cut, again and again, until it is as short as the clock
can tell; so no window is missed, however narrow. Where a condition compares straight lines in time its root is known
beforehand. Only a formula whose enclosure does not sharpen as spans get shorter (two large equal terms that cancel) is
looked at in `MOST_SPANS` places and no closer; `Flips.sure` says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from respine.engine.equations.graph import COMPARISONS
from respine.engine.events.intervals import bounds
from respine.model.expression import _NUMPY, Expr, evaluate, symbols

PARTS = 8  # a span that may hold a flip is cut into these
MOST_SPANS = 100_000  # looked at at once, for each condition and subject
SHORTEST = 1e-18  # of the whole time: no shorter span is cut
NEAR = np.arange(-2, 3)  # last bits about a root
FROM_THERE = frozenset(("ge", "lt", "floor"))  # these flip at their root, others just after it

Formula = Callable[[Mapping[str, Any], Any], Any]


@dataclass(frozen=True)
class Flips:
    """Flips of all conditions, by subject and time: all arrays (n_flips,).

    ``condition`` is its number, ``value`` what it is from ``time`` on; ``closed`` where the root itself belongs to what comes
    after (t >= 5), not to what was (t > 5, one last bit later). ``sure``: none can have been missed.
    """

    subject: np.ndarray
    time: np.ndarray
    condition: np.ndarray
    value: np.ndarray
    closed: np.ndarray
    sure: bool = True


class Clock:
    """Values and flips of named conditions of time; the ``numbers`` they use (parameters, inputs, modes) may change."""

    def __init__(self, conditions: Mapping[str, Expr], rules: Mapping[str, Expr]) -> None:
        rules = _needed(conditions, rules)
        formulas = (*conditions.values(), *rules.values())
        self.names = tuple(conditions)
        self.numbers = sorted({s for e in formulas for s in symbols(e)})
        self._rules = {name: (rule, compiled(rule)) for name, rule in rules.items()}
        moving = {name for name, rule in rules.items() if _moves(rule, ())}
        while more := {name for name, rule in rules.items() if name not in moving and _moves(rule, moving)}:
            moving |= more
        lines = {name for name in moving if name in rules}
        self._conditions = [_Condition(expr, rules, moving, lines) for expr in conditions.values()]

    def values(self, time: Any, numbers: Mapping[str, Any]) -> dict[str, Any]:
        """Each condition's value at one time, or one a subject for arrays."""
        with np.errstate(all="ignore"):
            known = self._known(time, numbers)
            results = [condition.formula(known, time) for condition in self._conditions]
        return dict(zip(self.names, (_number(value) for value in results), strict=True))

    def next_flip(self, start: float, end: float, numbers: Mapping[str, float]) -> float:
        """The first time in (start, end] at which a condition differs from its value at ``start``; infinity if none."""
        flips = self.flips(start, end, numbers)
        return float(flips.time[0]) if len(flips.time) else np.inf

    def flips(self, start: Any, end: Any, numbers: Mapping[str, Any], n_subjects: int = 1) -> Flips:
        """All flips in (start, end]; times and ``numbers`` are one number or one a subject, (n_subjects,)."""
        begin, stop = (np.broadcast_to(np.asarray(t, float), (n_subjects,)) for t in (start, end))
        crossings, sure = [], True
        with np.errstate(all="ignore"):
            for k, condition in enumerate(self._conditions):
                *parts, certain = _Search(self, condition, begin, stop, numbers).result()
                crossings.append((parts[0], parts[1], np.full(len(parts[0]), k), parts[2], parts[3]))
                sure &= certain
        columns = (
            [np.concatenate(column) for column in zip(*crossings, strict=True)] if crossings else [np.zeros(0)] * 5
        )
        order = np.lexsort((columns[1], columns[0]))
        subject, time, condition_, value, closed = (column[order] for column in columns)
        return Flips(subject.astype(int), time, condition_.astype(int), value, closed.astype(bool), sure)

    def _known(self, time: Any, numbers: Mapping[str, Any]) -> dict[str, Any]:
        known: dict[str, Any] = dict(numbers)
        for name, (_, formula) in self._rules.items():
            known[name] = formula(known, time)
        return known

    def _bounds(self, expr: Expr, numbers: Mapping[str, Any], low: np.ndarray, high: np.ndarray) -> Any:
        known = {name: (value, value) for name, value in numbers.items()}
        for name, (rule, _) in self._rules.items():
            known[name] = bounds(rule, known, low, high)
        return bounds(expr, known, low, high)


def _needed(conditions: Mapping[str, Expr], rules: Mapping[str, Expr]) -> dict[str, Expr]:
    """The rules that conditions depend on, in their order."""
    wanted: set[str] = set()
    pending = [name for expr in conditions.values() for name in symbols(expr)]
    while pending:
        name = pending.pop()
        if name in rules and name not in wanted:
            wanted.add(name)
            pending += symbols(rules[name])
    return {name: rule for name, rule in rules.items() if name in wanted}


class Ahead:
    """The next flip of one subject, found for a span of time at once; the span follows how often the numbers change."""

    def __init__(self, clock: Clock, start: float, last: float) -> None:
        self.clock, self.last, self.whole = clock, last, last - start
        self.span = self.whole
        self.to = start  # known up to here
        self.known: list[float | str] = []
        self._times: list[float] = []
        self._closed: list[bool] = []
        self.sure = True

    def arrive(self, now: float, numbers: Mapping[str, float]) -> None:
        """Forget what was found if a number on which it depends has changed."""
        known: list[float | str] = [numbers.get(name, "") for name in self.clock.numbers]
        if known != self.known:
            self.span = max(0.5 * self.span, 1e-3 * self.whole)
            self.known, self.to, self._times, self._closed = known, now, [], []

    def next(self, now: float, until: float, numbers: Mapping[str, float]) -> tuple[float, bool]:
        """The first flip after ``now`` and whether its root belongs to it; infinity where none comes up to ``until``."""
        while self._times and self._times[0] <= now:
            del self._times[0], self._closed[0]
        while not self._times and self.to < until:
            begin, self.to = max(self.to, now), min(max(self.to, now) + self.span, self.last)
            flips = self.clock.flips(begin, self.to, numbers)
            self._times, self._closed = flips.time.tolist(), flips.closed.tolist()
            self.sure &= flips.sure
            self.span = min(2 * self.span, self.whole)
            if self.to >= self.last:
                break
        return (self._times[0], self._closed[0]) if self._times else (np.inf, False)


class _Condition:
    """One condition, and what in it turns."""

    def __init__(self, expr: Expr, rules: Mapping[str, Expr], moving: set[str], lines: set[str]) -> None:
        self.expr, self.formula = expr, compiled(expr)
        parts: dict[Expr, None] = {}
        seen: set[str] = set()
        stack = [expr]
        while stack:
            for part in _turning(stack.pop()):
                parts[part] = None
            fresh = {s for part in (expr, *parts) for s in symbols(part) if s in rules} - seen
            seen |= fresh
            stack += [rules[name] for name in fresh]
        self.turning = [(part[0], compiled(part)) for part in parts]
        self.lines = [compiled(("sub", *part[1:])) for part in parts
                      if part[0] in COMPARISONS and all(_on_a_line(side, rules, moving) for side in part[1:])]  # fmt: skip


class _Search:
    """All flips of one condition, of many subjects at once."""

    def __init__(
        self, clock: Clock, condition: _Condition, start: np.ndarray, end: np.ndarray, numbers: Mapping[str, Any]
    ) -> None:
        self.clock, self.condition, self.start, self.end = clock, condition, start, end
        own = {s for s in clock.numbers if s in numbers}
        self.numbers = {name: numbers[name] for name in own if np.ndim(numbers[name]) == 0}
        self.varying = {name: np.asarray(numbers[name], float) for name in own if np.ndim(numbers[name])}
        self.shortest = SHORTEST * np.abs(end - start)
        self.most = MOST_SPANS * len(start)

    def result(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, bool]:
        """Subjects, times, values from there on, whether the root itself belongs to it; whether none is missed."""
        subject, low, high = self._first_spans()
        intervals: list[tuple[np.ndarray, ...]] = []
        sure = True
        while len(subject):
            numbers = self._of(subject)
            at_low, at_high = self._at(low, numbers), self._at(high, numbers)
            if sure:
                least, most = self.clock._bounds(self.condition.expr, numbers, low, high)
                open_ = np.broadcast_to(np.not_equal(least, most), low.shape)
            else:
                open_ = at_low != at_high
            short = high - low <= np.maximum(self.shortest[subject], np.spacing(np.maximum(np.abs(low), np.abs(high))))
            flips = short & (at_low != at_high)
            intervals.append((subject[flips], low[flips], high[flips], at_high[flips]))
            subject, low, high = (a[open_ & ~short] for a in (subject, low, high))
            if sure and len(subject) > self.most // PARTS:
                sure = False  # from here on only where the ends of a span differ
                continue
            subject, low, high = _cut(subject, low, high)
        subject, before, time, value = (np.concatenate(column) for column in zip(*intervals, strict=True))
        return subject, time, value, self._closed(subject, before, time), sure

    def _first_spans(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The whole time, cut at the roots of straight lines."""
        n = len(self.start)
        edges = [self.start, self.end]
        for line in self.condition.lines:
            middle = 0.5 * (self.start + self.end)
            everybody = self._of(np.arange(n))
            a, b = (self._look(line, t, everybody) for t in (self.start, self.end))
            root = self.start - a * (self.end - self.start) / (b - a)
            near = np.abs(root) <= 1e3 * np.maximum(np.abs(self.end), np.abs(middle))
            root = np.where(np.isfinite(root) & near, root, self.start)
            edges += [root + k * np.maximum(np.spacing(np.abs(root)), self.shortest) for k in NEAR]
        table = np.sort(np.clip(np.array(edges), self.start, self.end), axis=0)
        subject = np.broadcast_to(np.arange(n), table[1:].shape)
        keep = table[1:] > table[:-1]
        return subject[keep], table[:-1][keep], table[1:][keep]

    def _of(self, subject: np.ndarray) -> dict[str, Any]:
        return self.numbers | {name: values[subject] for name, values in self.varying.items()}

    def _at(self, time: np.ndarray, numbers: Mapping[str, Any]) -> np.ndarray:
        return self._look(self.condition.formula, time, numbers)

    def _look(self, formula: Formula, time: np.ndarray, numbers: Mapping[str, Any]) -> np.ndarray:
        return np.broadcast_to(_number(formula(self.clock._known(time, numbers), time)), time.shape)

    def _closed(self, subject: np.ndarray, before: np.ndarray, time: np.ndarray) -> np.ndarray:
        """Whether what turned turns at its root, not just after it."""
        numbers = self._of(subject)
        closed = np.zeros(len(time), bool)
        for op, formula in self.condition.turning:
            was, now = (self._look(formula, t, numbers) for t in (before, time))
            closed |= (was != now) & ((op in FROM_THERE) | ((op == "eq") & (now != 0)) | ((op == "ne") & (now == 0)))
        return closed


def _cut(subject: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each span in `PARTS`; fewer where the clock cannot tell so many apart."""
    shares = np.arange(PARTS + 1) / PARTS
    edges = low[:, None] + (high - low)[:, None] * shares
    edges[:, 0], edges[:, -1] = low, high
    first, second = edges[:, :-1].ravel(), edges[:, 1:].ravel()
    keep = second > first
    return np.repeat(subject, PARTS)[keep], first[keep], second[keep]


def _number(value: Any) -> Any:
    """What cannot be said is not true."""
    return np.nan_to_num(np.asarray(value, float), nan=0.0, posinf=np.inf, neginf=-np.inf)


def _moves(expr: Expr, moving: Any) -> bool:
    """Whether a formula depends on the time."""
    if expr[0] in ("num", "sym", "time"):
        return expr[0] == "time" or (expr[0] == "sym" and expr[1] in moving)
    return any(_moves(part, moving) for part in expr[1:])


def _on_a_line(expr: Expr, rules: Mapping[str, Expr], moving: set[str]) -> bool:
    """Whether a formula is a straight line in time, by its form."""
    if not _moves(expr, moving) or expr[0] == "time":
        return True
    if expr[0] == "sym":
        return _on_a_line(rules[expr[1]], rules, moving)
    if expr[0] in ("add", "sub", "neg"):
        return all(_on_a_line(part, rules, moving) for part in expr[1:])
    if expr[0] == "mul":
        return any(not _moves(a, moving) and _on_a_line(b, rules, moving) for a, b in (expr[1:], expr[:0:-1]))
    return expr[0] == "div" and not _moves(expr[2], moving) and _on_a_line(expr[1], rules, moving)


def _turning(expr: Expr) -> list[Expr]:
    """Comparisons, floors and ceilings inside a formula."""
    if expr[0] in ("num", "sym", "time"):
        return []
    inner = [condition for part in expr[1:] for condition in _turning(part)]
    return [*inner, expr] if expr[0] in COMPARISONS or expr[0] in ("floor", "ceil") else inner


# ---- formulas as functions -------------------------------------------------------------------------------------------
def compiled(expr: Expr) -> Formula:
    """A formula as a function of the values by name and the time (a number or an array)."""
    try:
        made = eval(f"lambda v, t: {_source(expr)}", dict(_NAMES))  # our own text, from an expression's fixed operators
    except (SyntaxError, MemoryError, RecursionError):  # nested too deep for Python's parser
        return lambda values, time: evaluate(expr, values, time)
    return cast(Formula, made)


def _source(expr: Expr) -> str:
    op, *parts = expr
    if op == "num":
        return f"num({float(parts[0])!r})"
    if op == "sym":
        return f"v[{parts[0]!r}]"
    if op == "time":
        return "t"
    inner = ", ".join(_source(part) for part in parts)
    return f"where({inner})" if op == "if" else f"f_{op}({inner})"


def _as_number(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *parts: function(*parts) * 1.0


_TRUTHS = {*COMPARISONS, "and", "or", "xor", "not"}
_NAMES: dict[str, Any] = {"num": np.float64, "inf": np.inf, "nan": np.nan, "where": np.where} | {
    f"f_{op}": _as_number(function) if op in _TRUTHS else function for op, function in _NUMPY.items()
}

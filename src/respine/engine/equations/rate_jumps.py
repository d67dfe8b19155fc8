"""Choices in the rates: which of them jump, and when, told from the formulas themselves.

Where a rate jumps at a moment that depends on the state, a step may pass over it, and sensitivities jump too. A choice
between formulas that agree where it turns (a ``max`` written out) is a corner and does no harm. Whether they agree is an
identity: the turning surface is solved for a symbol in which it is a straight line, and on it the two formulas are compared
at random numbers; formulas that are the same there agree at all of them, others at none. A choice that cannot be shown
to be a corner counts as a jump.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from respine.engine.equations.graph import COMPARISONS
from respine.engine.equations.specialise import Requirements
from respine.model.expression import _NUMPY, Expr, symbols
from respine.model.system import System

POINTS = 24  # numbers at which two formulas are compared
FEWEST = 4  # of them must be numbers
AGREE = 1e-6  # of the size of the formulas there
ROUNDING = 1e-15  # of their size elsewhere: both may be zero but for this
LARGEST = 2000  # operations of a condition with its rules written out; a longer one is not looked into

Choice = tuple[str, Expr]


def refuse_jumps(system: System, requirements: Requirements, live: Collection[str]) -> None:
    """Raises ValueError for a rate with a jump whose moment depends on a name of ``requirements.sensitivities``."""
    depends = _Dependence(system, live, requirements.sensitivities)
    for name, choice in choices(system, live):
        condition = choice[1] if choice[0] == "if" else choice
        if depends.turns(condition) and depends.on_the_run(condition) and not is_corner(system, choice):
            shown = ", ".join(sorted(set(symbols(choice)))[:6])
            raise ValueError(f"{name} jumps where a condition on {shown} turns, at a moment that depends on what "
                             "sensitivities are asked for; sensitivities across such a jump are not supported, write a "
                             "steep formula without a jump, or build without sensitivities")  # fmt: skip


def jumps_by_state(system: System, live: Collection[str]) -> list[str]:
    """Names of rates and rules of the live states that may jump where a state says so."""
    depends = _Dependence(system, live, ())
    return list(dict.fromkeys(
        name for name, choice in choices(system, live)
        if depends.on_the_run(choice[1] if choice[0] == "if" else choice) and not is_corner(system, choice)
    ))  # fmt: skip


def needed_states(system: System, outputs: Collection[str]) -> list[str]:
    """The states on which outputs depend, by name alone."""
    seen: set[str] = set()
    stack = list(outputs)
    while stack:
        name = stack.pop()
        if name not in seen:
            seen.add(name)
            for formulas in (system.rules, system.rates):
                stack += symbols(formulas[name]) if name in formulas else ()
    return [s for s in system.rates if s in seen]


# ---- what turns ------------------------------------------------------------------------------------------------------
def choices(system: System, live: Collection[str]) -> list[Choice]:
    """Choices, floors and comparisons as numbers in the rates of live states, with the rate or rule they stand in."""
    jumps: list[Choice] = []
    seen: set[str] = set()
    stack = [(s, system.rates[s]) for s in live]
    while stack:
        name, expr = stack.pop()
        jumps += [(name, part) for part in _parts(expr)]
        fresh = [s for s in dict.fromkeys(symbols(expr)) if s in system.rules and s not in seen]
        seen.update(fresh)
        stack += [(s, system.rules[s]) for s in fresh]
    return list(dict.fromkeys(jumps))


class _Dependence:
    """What a condition depends on: the run itself, or names asked for."""

    def __init__(self, system: System, live: Collection[str], names: Collection[str]) -> None:
        self.system, self.live, self.names = system, frozenset(live), frozenset(names)
        self._moving: dict[str, bool] = {}
        self._reaching: dict[str, bool] = {}

    def turns(self, expr: Expr) -> bool:
        """Changes along the trajectory."""
        return self._look(expr, self._moving, lambda s: s in self.live, of_time=True)

    def on_the_run(self, expr: Expr) -> bool:
        """Depends on a live state or on one of the names."""
        return self._look(expr, self._reaching, lambda s: s in self.live or s in self.names, of_time=False)

    def _look(self, expr: Expr, known: dict[str, bool], own: Callable[[str], bool], *, of_time: bool) -> bool:
        if expr[0] == "time":
            return of_time
        if expr[0] == "sym":
            name = expr[1]
            if name in self.system.rules and name not in known and not own(name):
                known[name] = self._look(self.system.rules[name], known, own, of_time=of_time)
            return own(name) or known.get(name, False)
        return any(self._look(part, known, own, of_time=of_time) for part in _inner(expr))


def _inner(expr: Expr) -> tuple[Expr, ...]:
    return () if expr[0] in ("num", "sym", "time") else expr[1:]


def _parts(expr: Expr, *, condition: bool = False) -> list[Expr]:
    """Choices, floors, ceilings, and comparisons used as numbers."""
    op = expr[0]
    if op == "if":
        inner = [*_parts(expr[1], condition=True), *_parts(expr[2]), *_parts(expr[3])]
        return [expr, *inner]
    logical = op in ("and", "or", "xor", "not")
    inner = [choice for part in _inner(expr) for choice in _parts(part, condition=condition and logical)]
    own = op in ("floor", "ceil") or (op in COMPARISONS and op not in ("eq", "ne") and not condition)
    return [expr, *inner] if own else inner


# ---- corners ---------------------------------------------------------------------------------------------------------
def is_corner(system: System, choice: Expr) -> bool:
    """Whether the two formulas of a choice are shown to agree wherever its condition turns."""
    if choice[0] != "if":
        return False  # a floor, or a comparison used as a number, jumps by itself
    comparisons = _comparisons(system, choice[1])
    return comparisons is not None and all(_agree(system, comparison, choice[2:]) for comparison in comparisons)


def _comparisons(system: System, condition: Expr) -> list[Expr] | None:
    """What turns in a condition; None where something else than comparisons does. Equality holds for no time."""
    if condition[0] in COMPARISONS:
        inner = [_comparisons(system, side) for side in condition[1:]]
        if any(choice for choice in inner) or any(choice is None for choice in inner):
            return None
        return [] if condition[0] in ("eq", "ne") else [condition]
    if condition[0] in ("floor", "ceil", "if"):
        return None
    if condition[0] == "sym":
        return _comparisons(system, system.rules[condition[1]]) if condition[1] in system.rules else []
    comparisons: list[Expr] = []
    for part in _inner(condition):
        more = _comparisons(system, part)
        if more is None:
            return None
        comparisons += more
    return comparisons


def _agree(system: System, comparison: Expr, sides: tuple[Expr, ...]) -> bool:
    """Whether two formulas are the same on the surface on which a comparison turns."""
    difference = _written_out(system, ("sub", *comparison[1:]))
    sides_ = [_written_out(system, side) for side in sides]
    if difference is None or any(side is None for side in sides_):
        return False
    names = sorted({s for expr in (difference, *sides_) for s in symbols(expr)})  # type: ignore[arg-type]
    for unknown in dict.fromkeys(symbols(difference)):
        if _is_line(difference, unknown):
            return _same_on(difference, unknown, sides_, names, system)  # type: ignore[arg-type]
    return _is_line(difference, None) and _same_on(difference, None, sides_, names, system)  # type: ignore[arg-type]


def _same_on(difference: Expr, unknown: str | None, sides: list[Expr], names: list[str], system: System) -> bool:
    """Compare where the difference, a straight line in the unknown (None: the time), is zero."""
    chance = np.random.default_rng(20240229)
    known: dict[str | None, Any] = {}
    for name in (*names, None):
        size = abs(system.parameters.get(name or "", 1.0)) or 1.0
        spread = 10.0 ** (
            chance.uniform(-0.5, 0.5, POINTS) if name in system.parameters else chance.uniform(-3, 3, POINTS)
        )
        known[name] = np.longdouble(size) * spread
    with np.errstate(all="ignore"):
        elsewhere = sum(np.abs(_value(side, known)) for side in sides)
        step = np.abs(known[unknown])
        at_zero = _value(difference, {**known, unknown: 0 * step})
        at_step = _value(difference, {**known, unknown: step})
        known[unknown] = step * at_zero / (at_zero - at_step)
        then, otherwise = (np.broadcast_to(_value(side, known), (POINTS,)) for side in sides)
        gap, size = np.abs(then - otherwise), np.abs(then) + np.abs(otherwise)
    usable = np.isfinite(gap) & np.isfinite(np.broadcast_to(np.asarray(known[unknown], float), (POINTS,)))
    allowed = AGREE * size + ROUNDING * np.where(np.isfinite(elsewhere), elsewhere, 0.0)
    return bool(usable.sum() >= FEWEST and np.all(gap[usable] <= allowed[usable]))


def _value(expr: Expr, known: Mapping[str | None, Any]) -> Any:
    """A formula in as many digits as there are; the time stands under None."""
    op, *parts = expr
    if op == "num":
        return np.longdouble(parts[0])
    if op == "sym":
        return known[parts[0]]
    if op == "time":
        return known[None]
    values = [_value(part, known) for part in parts]
    return np.where(*values) if op == "if" else _NUMPY[op](*values) * np.longdouble(1)


def _written_out(system: System, expr: Expr) -> Expr | None:
    """The formula with its rules in place of their names; None where it becomes too long."""
    room = [LARGEST]

    def write(part: Expr) -> Expr:
        room[0] -= 1
        if room[0] < 0:
            raise OverflowError
        if part[0] == "sym":
            return write(system.rules[part[1]]) if part[1] in system.rules else part
        return part if part[0] in ("num", "time") else (part[0], *map(write, part[1:]))

    try:
        return write(expr)
    except OverflowError:
        return None


def _mentions(expr: Expr, name: str | None) -> bool:
    if expr[0] in ("num", "sym", "time"):
        return expr == (("time",) if name is None else ("sym", name))
    return any(_mentions(part, name) for part in expr[1:])


def _is_line(expr: Expr, name: str | None) -> bool:
    """Whether a formula is a straight line in a symbol (None: the time), by its form."""
    if not _mentions(expr, name) or expr[0] in ("sym", "time"):
        return True
    if expr[0] in ("add", "sub", "neg"):
        return all(_is_line(part, name) for part in expr[1:])
    if expr[0] == "mul":
        return any(not _mentions(a, name) and _is_line(b, name) for a, b in (expr[1:], expr[:0:-1]))
    return expr[0] == "div" and not _mentions(expr[2], name) and _is_line(expr[1], name)

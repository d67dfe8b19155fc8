"""Rates that jump where the state, or a parameter differentiated by, says so: sensitivities would miss the jump.

Where a rate jumps at a moment that depends on a parameter, sensitivities jump too. A choice between formulas that agree
where it turns (a ``max`` written out) does no harm, so that each choice is tried: between two random states in which it
differs the turn is looked for, and there its formulas are compared.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from respine.engine.equations.graph import COMPARISONS
from respine.engine.equations.specialise import Ask, start_values
from respine.model.expression import Expr, evaluate, symbols
from respine.model.system import System

SAMPLES = 512
PAIRS = 8  # turns looked at, for each choice
AGREE = 1e-6  # of the size of the formulas


def refuse_jumps(system: System, ask: Ask, values: Mapping[str, float], live: Collection[str]) -> None:
    """Raises ValueError for a rate with a jump whose moment depends on a name of ``ask.sensitivities``."""
    choices = _choices(system, ask, live)
    if not choices:
        return
    points = _points(system, values)
    for name, choice in choices:
        if _jumps(system, choice, points):
            shown = ", ".join(sorted(set(symbols(choice)))[:6])
            raise ValueError(f"{name} jumps where a condition on {shown} turns, at a moment that depends on what "
                             "sensitivities are asked for; sensitivities across such a jump are not supported, write a "
                             "steep formula without a jump, or build without sensitivities")  # fmt: skip


def _choices(system: System, ask: Ask, live: Collection[str]) -> list[tuple[str, Expr]]:
    """Choices, floors and comparisons as numbers in the rates of live states whose moment may depend on a parameter."""
    depends = _depends(system, ask, live)
    found: list[tuple[str, Expr]] = []
    seen: set[str] = set()
    stack = [(s, system.rates[s]) for s in live]
    while stack:
        name, expr = stack.pop()
        found += [(name, part) for part in _parts(expr) if depends(part[1] if part[0] == "if" else part)]
        fresh = [s for s in symbols(expr) if s in system.rules and s not in seen]
        seen.update(fresh)
        stack += [(s, system.rules[s]) for s in fresh]
    return list(dict.fromkeys(found))


def _depends(system: System, ask: Ask, live: Collection[str]) -> Any:
    """Whether the moment at which a condition turns may depend on a parameter differentiated by."""
    names = frozenset(ask.sensitivities)
    moving: dict[str, bool] = {s: True for s in live} | {name: False for name in names}

    def moves(expr: Expr) -> bool:
        """Changes along the trajectory."""
        if expr[0] == "time":
            return True
        if expr[0] == "sym" and expr[1] in system.rules and expr[1] not in moving:
            moving[expr[1]] = moves(system.rules[expr[1]])
        return moving.get(expr[1], False) if expr[0] == "sym" else any(map(moves, _inner(expr)))

    def reaches(expr: Expr) -> bool:
        """Depends on a live state or on one of the names."""
        if expr[0] == "sym":
            own = expr[1] in live or expr[1] in names
            return own or (expr[1] in system.rules and reaches(system.rules[expr[1]]))
        return any(map(reaches, _inner(expr)))

    return lambda expr: moves(expr) and reaches(expr)


def _inner(expr: Expr) -> tuple[Expr, ...]:
    return () if expr[0] in ("num", "sym", "time") else expr[1:]


def _parts(expr: Expr, *, condition: bool = False) -> list[Expr]:
    """Choices, floors, ceilings, and comparisons used as numbers."""
    op = expr[0]
    if op == "if":
        inner = [*_parts(expr[1], condition=True), *_parts(expr[2]), *_parts(expr[3])]
        return [expr, *inner]
    logical = op in ("and", "or", "xor", "not")
    inner = [found for part in _inner(expr) for found in _parts(part, condition=condition and logical)]
    own = op in ("floor", "ceil") or (op in COMPARISONS and op not in ("eq", "ne") and not condition)
    return [expr, *inner] if own else inner


def _points(system: System, values: Mapping[str, float]) -> dict[str, Any]:
    """Random states over many sizes about their start, and times; the same every time."""
    chance = np.random.default_rng(20240229)
    start = start_values(system, values)
    points: dict[str, Any] = dict(values)
    for s in system.states:
        size = max(abs(float(start[s])), 1.0) if chance.random() < 0.5 else 1.0
        spread = 10.0 ** chance.uniform(-3, 3, SAMPLES)
        points[s] = float(start[s]) * (chance.random(SAMPLES) < 0.3) + size * spread
    points["#time"] = 10.0 ** chance.uniform(-2, 4, SAMPLES)
    return points


def _known(system: System, points: Mapping[str, Any]) -> dict[str, Any]:
    known = dict(points)
    for name, rule in system.rules.items():
        known[name] = evaluate(rule, known, known["#time"])
    return known


def _jumps(system: System, choice: Expr, points: Mapping[str, Any]) -> bool:
    """Whether the formulas of a choice differ where it turns."""
    condition, sides = (choice[1], choice[2:]) if choice[0] == "if" else (choice, (choice,))

    def look(at: Mapping[str, Any]) -> tuple[np.ndarray, list[np.ndarray]]:
        known = _known(system, at)
        length = len(at["#time"])
        found = (np.asarray(evaluate(e, known, known["#time"]), float) for e in (condition, *sides))
        spread = [np.broadcast_to(one, length) for one in found]
        return spread[0], spread[1:]

    with np.errstate(all="ignore"):
        value, _ = look(points)
        usable = np.isfinite(value)
        first = np.flatnonzero(usable)[:1]
        other = np.flatnonzero(usable & (value != value[first])) if len(first) else first
        if not len(other):
            return False  # never seen to turn
        same = np.flatnonzero(usable & (value == value[first]))
        count = min(PAIRS, len(same), len(other))
        low, high = _take(points, same[:count]), _take(points, other[:count])
        if choice[0] != "if":
            return True  # a floor, or a comparison used as a number: it jumps by itself
        size = np.max([np.abs(side) for at in (low, high) for side in look(at)[1]], axis=0)
        before = look(low)[0]
        for _ in range(80):
            middle = {k: 0.5 * (low[k] + high[k]) if np.ndim(low[k]) else low[k] for k in low}
            stay = look(middle)[0] == before
            low = {k: np.where(stay, middle[k], low[k]) if np.ndim(low[k]) else low[k] for k in low}
            high = {k: np.where(stay, high[k], middle[k]) if np.ndim(high[k]) else high[k] for k in high}
        then, otherwise = look(high)[1]
        gap = np.abs(then - otherwise) > AGREE * size
        return bool(np.any(gap & np.isfinite(size)))


def _take(points: Mapping[str, Any], chosen: np.ndarray) -> dict[str, Any]:
    return {k: v[chosen] if np.ndim(v) else v for k, v in points.items()}

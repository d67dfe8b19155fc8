"""States whose small values matter: those that multiply themselves, and those that begin at zero beside a pole or a root.

A state that grows in proportion to itself (cells, viruses, prey) carries a relative error along: what is lost at 1e-12 is
lost at 1. Which these are is read from the formulas, not from samples. How small the first values of a state are that
begins at zero is seen by trying: the size from which on its rate is another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from respine.model.expression import LEAVES, Expr, evaluate, postorder, symbols
from respine.model.system import System

ODD = frozenset({"tanh", "sinh", "sin", "tan", "atan", "asin", "asinh", "atanh"})
POSITIVE = frozenset({"exp", "sqrt", "abs", "cosh", "lt", "le", "gt", "ge", "eq", "ne", "and", "or", "xor", "not"})
SIZES = 10.0 ** -np.arange(4.0, 32.0, 2.0)  # tried from the largest, which is that of a state without an own scale
SEEN = 1e-8  # a rate of less than this share of what it is the difference of is rounding


class _Growth:
    """Of a formula: its sign where that is plain, and for which states (bits) it vanishes, grows, or shrinks with them."""

    __slots__ = ("down", "sign", "up", "zero")

    def __init__(self, sign: int, zero: int, up: int = 0, down: int = 0) -> None:
        self.sign, self.zero = sign, zero
        # a product that vanishes with a state grows with it unless its sign is plainly negative
        self.up, self.down = up | (zero if sign >= 0 else 0), down | (zero if sign <= 0 else 0)


def multiply_themselves(system: System) -> frozenset[str]:
    """States whose rate vanishes with the state itself and may be positive: nothing but the state brings them back."""
    return frozenset(name for name, (grows, alone) in _growths(system).items() if grows and alone)


def _growths(system: System) -> dict[str, tuple[bool, bool]]:
    """Of each state: whether a term of its rate grows with it, and whether the rate vanishes with it."""
    bit = {name: 1 << k for k, name in enumerate(system.rates)}
    everything = (1 << len(bit)) - 1
    known = {name: _Growth(1, bit.get(name, 0)) for name in (*system.parameters, *system.inputs, *bit)}
    done: dict[int, _Growth] = {}
    for name in _in_order(system, bit):
        known[name] = _of(system.rules[name], known, done, everything)
    growths = {name: _of(rate, known, done, everything) for name, rate in system.rates.items()}
    return {name: (bool(growth.up & bit[name]), bool(growth.zero & bit[name])) for name, growth in growths.items()}


def _in_order(system: System, known: Iterable[str]) -> list[str]:
    """Rules, each after those it needs; rules that need each other are left out."""
    ready, order = {*system.parameters, *system.inputs, *known}, []
    pending = {name: set(symbols(rule)) for name, rule in system.rules.items()}
    while now := [name for name, needs in pending.items() if needs <= ready]:
        order += now
        ready |= set(now)
        for name in now:
            del pending[name]
    return order


def _of(expr: Expr, known: Mapping[str, _Growth], done: dict[int, _Growth], everything: int) -> _Growth:
    for node in postorder(expr):
        if id(node) not in done:
            leaf = node[0] in LEAVES
            done[id(node)] = (
                _leaf(node, known, everything) if leaf else _node(node, [done[id(part)] for part in node[1:]])
            )
    return done[id(expr)]


def _leaf(node: Expr, known: Mapping[str, _Growth], everything: int) -> _Growth:
    if node[0] == "sym":
        return known.get(node[1], _Growth(0, 0))
    value = node[1] if node[0] == "num" else 1.0
    return _Growth(int(np.sign(value)) if value == value else 0, everything if value == 0 else 0)


def _node(node: Expr, parts: list[_Growth]) -> _Growth:
    op, a = node[0], parts[0]
    b = parts[1] if len(parts) > 1 else a
    if op == "neg":
        return _Growth(-a.sign, a.zero, a.down & ~a.zero, a.up & ~a.zero)
    if op in ("add", "sub"):
        up, down, sign = (b.down, b.up, -b.sign) if op == "sub" else (b.up, b.down, b.sign)
        made = _Growth(a.sign if a.sign == sign else 0, 0, a.up | up, a.down | down)
        made.zero = a.zero & b.zero
        return made
    if op in ("mul", "div"):
        sign, zero = a.sign * b.sign, a.zero | (b.zero if op == "mul" else 0)
        up = down = 0
        for term, by in ((a, b), (b, a)) if op == "mul" else ((a, b),):  # each term of one times the sign of the other
            up |= (term.up if by.sign >= 0 else 0) | (term.down if by.sign <= 0 else 0)
            down |= (term.down if by.sign >= 0 else 0) | (term.up if by.sign <= 0 else 0)
        return _Growth(sign, zero, up & ~zero, down & ~zero)
    if op == "if":
        yes, no = parts[1], parts[2]
        made = _Growth(yes.sign if yes.sign == no.sign else 0, 0, yes.up | no.up, yes.down | no.down)
        made.zero = yes.zero & no.zero
        return made
    if op == "pow":
        falls = node[2][0] == "num" and node[2][1] <= 0
        return _Growth(1 if a.sign > 0 else 0, 0 if falls else a.zero)
    if op in ("min", "max"):
        zero = a.zero | b.zero if op == "min" else a.zero & b.zero
        return _Growth(a.sign if a.sign == b.sign else 0, zero)
    sign = 1 if op in POSITIVE else a.sign if op in ODD else 0
    return _Growth(sign, a.zero if op in ODD or op in ("sqrt", "abs") else 0)


def first_sizes(
    system: System, values: Mapping[str, float], starts: Mapping[str, float], time: float
) -> dict[str, float]:
    """Sizes, below the first of `SIZES`, at which the rate of a state that starts at zero is another than at zero.

    ``values``: parameters and inputs; ``starts``: start values of all states.
    """
    rules = _in_order(system, system.rates)
    empty = [s for s, value in starts.items() if value == 0.0]
    with np.errstate(all="ignore"):
        begin = _rates(system, rules, values, starts, time, empty)
        fed = {s: rate for s, rate in begin.items() if np.isfinite(rate) and rate != 0.0}
        if not fed:
            return {}
        moved = {s: value * (1 + 1e-6 * (1 + k % 7)) for k, (s, value) in enumerate(starts.items())}
        swing = _rates(system, rules, values, moved, time, fed)
        fed = {s: rate for s, rate in fed.items() if not abs(rate) < SEEN * abs(swing[s] - rate) / 1e-6}
        sizes: dict[str, float] = {}
        left = dict(fed)
        for size, below in zip(SIZES, [*SIZES[1:], SIZES[-1]], strict=True):
            there = {**starts, **{s: float(np.sign(rate)) * size for s, rate in left.items()}}
            rates = _rates(system, rules, values, there, time, left)
            left = {s: rate for s, rate in left.items() if not abs(rates[s] - rate) <= 0.5 * abs(rate)}
            if not left:
                break
            sizes |= dict.fromkeys(left, float(below))
        grows = _growths(system)
        for s, rate in fed.items():  # what it grows by may begin later
            if grows[s][0] and s not in sizes and abs(rate) < SIZES[0]:
                sizes[s] = max(abs(rate) * 1e-2, float(SIZES[-1]))
    return sizes


def _rates(
    system: System, rules: list[str], values: Mapping[str, float], states: Mapping[str, float], time: float,
    names: Iterable[str],
) -> dict[str, float]:  # fmt: skip
    known: dict[str, float] = {**values, **states}
    number: Callable[[Expr], float] = lambda expr: float(evaluate(expr, known, time))  # noqa: E731
    for name in rules:
        if name not in known:
            known[name] = number(system.rules[name])
    return {s: number(system.rates[s]) for s in names}

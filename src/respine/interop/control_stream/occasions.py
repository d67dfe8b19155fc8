"""Blocks of $OMEGA that are the SAME as one before: effects between occasions, where each record uses the effects of one.

``OC1*ETA(3) + OC2*ETA(4)`` and ``IF (OCC.EQ.1) IOV = ETA(3)`` mean: the effect of this record's occasion. Which of the blocks a
record uses is found on the data; where it is one at most, the blocks are one effect that every occasion draws anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from respine.interop.control_stream.estimates import BlockGiven
from respine.interop.control_stream.flow import on_data
from respine.model.expression import Expr, symbols


@dataclass(frozen=True)
class Chain:
    """A block and its repetitions: ``members[occasion][effect]`` are symbols such as ``ETA(3)``."""

    first: int
    members: tuple[tuple[str, ...], ...]
    block: BlockGiven


def chains(omega: Sequence[BlockGiven]) -> list[Chain]:
    """Every block that is repeated, with its repetitions."""
    at, symbols_of = 0, list[tuple[str, ...]]()
    for block in omega:
        symbols_of.append(tuple(f"ETA({at + k + 1})" for k in range(block.size)))
        at += block.size
    found = []
    for k, block in enumerate(omega):
        own = [symbols_of[j] for j, other in enumerate(omega) if other.same == k]
        if own:
            found.append(Chain(k, (symbols_of[k], *own), block))
    return found


class Activity:
    """At which records an effect matters for a formula."""

    def __init__(self, columns: Mapping[str, np.ndarray], definitions: Mapping[str, Expr], n: int) -> None:
        self.columns, self.definitions, self.n = columns, definitions, n
        self._needs: dict[str, frozenset[str]] = {}
        self._memo: dict[tuple[str, str], np.ndarray] = {}
        self._data: dict[int, tuple[Expr, np.ndarray | None]] = {}

    def reaches(self, expr: Expr) -> frozenset[str]:
        """Every symbol a formula depends on."""
        found: set[str] = set()
        for name in set(symbols(expr)):
            found.add(name)
            if name in self.definitions:
                if name not in self._needs:
                    self._needs[name] = self.reaches(self.definitions[name])
                found |= self._needs[name]
        return frozenset(found)

    def data(self, expr: Expr) -> np.ndarray | None:
        if id(expr) not in self._data:
            self._data[id(expr)] = (expr, on_data(expr, self.columns, self.definitions, self.n))
        return self._data[id(expr)][1]

    def of(self, expr: Expr, effect: str) -> np.ndarray:
        """(n,) where the formula depends on the effect."""
        op = expr[0]
        if op == "sym":
            name = expr[1]
            if name == effect:
                return np.ones(self.n, bool)
            if name not in self.definitions or effect not in self.reaches(expr):
                return np.zeros(self.n, bool)
            if (name, effect) not in self._memo:
                self._memo[name, effect] = self.of(self.definitions[name], effect)
            return self._memo[name, effect]
        if op in ("num", "time") or effect not in self.reaches(expr):
            return np.zeros(self.n, bool)
        if op == "if":
            condition = self.data(expr[1])
            then, otherwise = self.of(expr[2], effect), self.of(expr[3], effect)
            return (
                self.of(expr[1], effect) | then | otherwise
                if condition is None
                else np.where(condition != 0, then, otherwise)
            )
        found = np.zeros(self.n, bool)
        for part in expr[1:]:
            found |= self.of(part, effect)
        if op == "mul":
            for part in expr[1:]:
                factor = self.data(part)
                if factor is not None:
                    found &= factor != 0
        return found


def occasions(found: Sequence[Chain], roots: Sequence[Expr], activity: Activity) -> np.ndarray | str:
    """(n,) the number of each record's occasion, -1 where no repeated effect matters; or a sentence on why there is none."""
    number = np.full(activity.n, -1)
    for chain in found:
        own = np.full(activity.n, -1)
        for k, members in enumerate(chain.members):
            used = np.zeros(activity.n, bool)
            for effect in members:
                for root in roots:
                    used |= activity.of(root, effect)
            if (used & (own >= 0)).any():
                both = f"{chain.members[int(own[np.flatnonzero(used & (own >= 0))[0]])][0]} and {members[0]}"
                return f"Some records use {both} at once, which are SAME"
            own[used] = k
        clash = (own >= 0) & (number >= 0) & (own != number)
        if clash.any():
            return "Two groups of SAME blocks divide the records into different occasions"
        number = np.where(own >= 0, own, number)
    return number


def filled(number: np.ndarray, labels: Sequence[str]) -> np.ndarray:
    """Records without an occasion take that of the record before, or of the first that has one."""
    out = number.copy()
    for k in range(len(out)):
        if out[k] < 0 and k and labels[k] == labels[k - 1]:
            out[k] = out[k - 1]
    for k in range(len(out) - 2, -1, -1):
        if out[k] < 0 and labels[k] == labels[k + 1]:
            out[k] = out[k + 1]
    return np.maximum(out, 0)


def column_for(number: np.ndarray, columns: Mapping[str, np.ndarray], candidates: Sequence[str]) -> str | None:
    """A column of the data that says the same, one label for each occasion."""
    used = number >= 0
    for name in candidates:
        values = columns[name]
        pairs = {(int(k), float(v)) for k, v in zip(number[used], values[used], strict=True)}
        whole = np.all(values == np.floor(values))
        if whole and len({k for k, _ in pairs}) == len(pairs) == len({v for _, v in pairs}) and len(pairs) > 1:
            return name
    return None

"""Formulas that repeat themselves: equal parts are kept once, and large ones get a name, a rule of their own.

A chain of twenty functions that each call the one before twice is twenty lines to its author and a million terms
written out. Here it stays twenty: ``Shared`` gives equal formulas one tuple, and ``name_repeated_parts`` turns the
repeated parts of what still is large into rules, so that no reader of a system meets more than was written.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from respine.model.expression import LEAVES, Expr, postorder, rebuild

WRITTEN_OUT = 1000  # terms of a formula, repeats counted, up to which it stays as it is
SMALL = 8  # a part of so few terms is repeated rather than named
DEEPEST = 60  # operators inside each other before a part gets a name: whoever comes later may use recursion


class TooLarge(Exception):
    """The formulas have more different parts than the limit allows."""


class Shared:
    """One tuple for every different formula. Raises TooLarge beyond ``limit`` different nodes."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._nodes: dict[tuple[object, ...], Expr] = {}
        self._own: set[int] = set()  # ids of the tuples in _nodes, which keeps them alive

    def intern(self, expr: Expr) -> Expr:
        """The one tuple that stands for a formula."""
        if id(expr) in self._own:
            return expr
        made: dict[int, Expr] = {}
        stack = [expr]
        while stack:
            node = stack[-1]
            if id(node) in made:
                stack.pop()
                continue
            if node[0] in LEAVES:
                made[id(node)] = self._leaf(node)
                continue
            waiting = [part for part in node[1:] if id(part) not in self._own and id(part) not in made]
            if waiting:
                stack.extend(waiting)
                continue
            made[id(node)] = self.node((node[0], *(made.get(id(part), part) for part in node[1:])))
        return made[id(expr)]

    def substitute(self, expr: Expr, values: Mapping[str, Expr]) -> Expr:
        """An interned formula with symbols replaced by interned formulas."""
        return rebuild(expr, lambda leaf: values.get(leaf[1], leaf) if leaf[0] == "sym" else leaf, self.node)

    def node(self, expr: Expr) -> Expr:
        """The one tuple for an operator over interned operands."""
        if id(expr) in self._own:
            return expr
        return self._keep((expr[0], *map(id, expr[1:])), expr)

    def _leaf(self, leaf: Expr) -> Expr:
        if leaf[0] != "num":
            return self._keep(leaf, leaf)
        value = leaf[1]
        if value != value:
            return self._keep(("num", "nan"), leaf)
        return self._keep(("num", value, math.copysign(1.0, value)), leaf)  # 0 and -0 differ

    def _keep(self, key: tuple[object, ...], expr: Expr) -> Expr:
        kept = self._nodes.get(key)
        if kept is None:
            if len(self._nodes) >= self.limit:
                raise TooLarge
            kept = self._nodes[key] = expr
            self._own.add(id(expr))
        return kept


Key = tuple[str, ...]  # the symbol a formula belongs to, and which of its formulas it is


def name_repeated_parts(
    formulas: Mapping[Key, Expr], limit: int, unique: Callable[[str], str]
) -> tuple[dict[Key, Expr], dict[str, tuple[str, Expr]]]:
    """Formulas in which large repeated parts, and parts nested too deeply, are symbols; and what these stand for.

    Gives the formulas by their keys, and for every new symbol (``unique`` of ``NAME_part1``) the name it was first met
    under and its formula, in an order in which they can be evaluated. Formulas of ordinary size come back as they
    are. Raises TooLarge beyond ``limit`` different nodes.
    """
    large = [key for key, expr in formulas.items() if not _ordinary(expr)]
    if not large:
        return dict(formulas), {}
    shared = Shared(limit)
    roots = {key: shared.intern(formulas[key]) for key in large}
    users = Counter(id(part) for node in postorder(*roots.values()) if node[0] not in LEAVES for part in node[1:])
    users.update(map(id, roots.values()))
    made: dict[int, Expr] = {}
    terms: dict[int, int] = {}
    height: dict[int, int] = {}
    parts: dict[str, tuple[str, Expr]] = {}
    for key, root in roots.items():
        for node in _new(root, made):
            if node[0] in LEAVES:
                made[id(node)], terms[id(node)], height[id(node)] = node, 1, 0
                continue
            made[id(node)] = (node[0], *(made[id(part)] for part in node[1:]))
            terms[id(node)] = 1 + sum(terms[id(part)] for part in node[1:])
            height[id(node)] = 1 + max(height[id(part)] for part in node[1:])
            repeated = users[id(node)] > 1 and terms[id(node)] > SMALL
            if repeated or (node is not root and height[id(node)] >= DEEPEST):
                symbol = unique(f"{key[0]}_part{len(parts) + 1}")
                parts[symbol] = (key[0], made[id(node)])
                made[id(node)], terms[id(node)], height[id(node)] = ("sym", symbol), 1, 0
    return {**formulas, **{key: made[id(root)] for key, root in roots.items()}}, parts


def _new(root: Expr, made: Mapping[int, Expr]) -> Iterable[Expr]:
    """The nodes of a formula that are not made yet, operands first."""
    stack = [(root, False)]
    met: set[int] = set()
    while stack:
        node, ready = stack.pop()
        if ready:
            yield node
        elif id(node) not in made and id(node) not in met:
            met.add(id(node))
            stack.append((node, True))
            if node[0] not in LEAVES:
                stack.extend((part, False) for part in reversed(node[1:]))


def _ordinary(expr: Expr) -> bool:
    """Whether a formula, written out, is neither long nor deep."""
    stack, written = [(expr, 0)], 0
    while stack and written <= WRITTEN_OUT:
        node, depth = stack.pop()
        if depth > DEEPEST:
            return False
        written += 1
        if node[0] not in LEAVES:
            stack += [(part, depth + 1) for part in node[1:]]
    return written <= WRITTEN_OUT or _hardly_repeats(expr)


def _hardly_repeats(expr: Expr) -> bool:
    """Whether a long formula is no deeper than allowed, and has at least half as many different terms as terms."""
    terms: dict[int, int] = {}
    height: dict[int, int] = {}
    for node in postorder(expr):
        inner = node[1:] if node[0] not in LEAVES else ()
        terms[id(node)] = 1 + sum(terms[id(part)] for part in inner)
        height[id(node)] = 1 + max((height[id(part)] for part in inner), default=-1)
    return height[id(expr)] <= DEEPEST and terms[id(expr)] < 2 * len(terms)

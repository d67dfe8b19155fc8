"""Sparse forward differentiation on the graph: rows of the Jacobian and the explicit time derivative.

Roots and logarithms have no slope at zero, and one that means nothing just above it: an implicit step that goes by it stands
still, and its error, divided by the same slope, seems small. Where the Jacobian only serves the step, their slope is that
at a distance from zero which the tolerance cannot tell from it; nearer to zero the error control sees what is left out.
Sensitivities need the slope itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from respine.engine.equations.graph import LN_2, SMALLEST, Graph

Row = dict[int | str | tuple[str], int]
TIME = ("time",)  # no state number and no name


class Derivatives:
    """d(node)/d(seed) for many nodes; a row maps a seed (state number, TIME, or a slow name) to a node.

    ``slow`` names listed in ``parameters`` are seeds too, for sensitivities. A slope of a power is at most ``largest``: where
    the power itself has overflown, as in 1/(1 + exp(x)), its slope must not turn 0 into 0 times infinity. ``blunt``: the
    slopes of roots and logarithms near zero are those for steps (see above).
    """

    def __init__(
        self, graph: Graph, parameters: Iterable[str] = (), largest: float = 2.0**960, *, blunt: bool = False
    ) -> None:
        self.graph, self.blunt = graph, blunt
        self._parameters = frozenset(parameters)
        self._largest = graph.const(largest)
        self._rows: dict[int, Row] = {}

    def row(self, root: int) -> Row:
        """Derivatives of a node by everything it depends on, as nodes."""
        for node in self.graph.order([root]):
            if node not in self._rows:
                self._rows[node] = self._differentiate(node)
        return self._rows[root]

    def _sum(self, *terms: tuple[int, Row]) -> Row:
        g = self.graph
        total: Row = {}
        for factor, row in terms:
            for seed, derivative in row.items():
                product = g.mul(factor, derivative)
                total[seed] = g.add(total[seed], product) if seed in total else product
        return {seed: node for seed, node in total.items() if node != g.zero}

    def _choose(self, mask: int, then: Row, otherwise: Row) -> Row:
        g = self.graph
        seeds = dict.fromkeys((*then, *otherwise))
        return {s: g.select(mask, then.get(s, g.zero), otherwise.get(s, g.zero)) for s in seeds}

    def _differentiate(self, node: int) -> Row:
        g = self.graph
        op, *a = g.nodes[node]
        if op == "state":
            return {a[0]: g.one}
        if op == "time":
            return {TIME: g.one}
        if op in ("slow", "uniform"):
            return {a[0]: g.one} if a[0] in self._parameters else {}
        rows = [self._rows[part] for part in g.operands(node)]
        if not any(rows) or op in ("floor", "ceil"):
            return {}
        if op == "select":
            return self._choose(a[0], rows[1], rows[2])
        if op in ("min", "max"):
            return self._choose(g.compare("lt" if op == "min" else "gt", *a), rows[0], rows[1])
        if op == "add":
            return self._sum((g.one, rows[0]), (g.one, rows[1]))
        if op == "sub":
            return self._sum((g.one, rows[0]), (g.const(-1.0), rows[1]))
        if op == "mul":
            return self._sum((a[1], rows[0]), (a[0], rows[1]))
        if op in ("sqrt", "log2"):
            return self._sum((self._slope_at_zero(op, node, *a), rows[0]))
        if len(rows) == 1:
            return self._sum((self._slope(op, node, a[0]), rows[0]))
        return {}  # comparisons and logic

    def _slope_at_zero(self, op: str, node: int, a: int, blunt: int | None = None) -> int:
        """Of a root or a logarithm: that of the function ``blunt`` from zero, or the function's own; none at zero."""
        g = self.graph
        if op == "log2":
            near = a if blunt is None or not self.blunt else g.maximum(a, blunt)
            return g.mul(g.const(1 / LN_2), g.reciprocal(near))
        least = blunt if blunt is not None and self.blunt else g.const(math.sqrt(SMALLEST))
        slope = g.mul(g.const(0.5), g.reciprocal(g.maximum(node, least)))
        return g.select(g.compare("gt", a, g.zero), slope, g.zero)

    def _slope(self, op: str, node: int, a: int) -> int:
        g = self.graph
        if op == "neg":
            return g.const(-1.0)
        if op == "reciprocal":
            return g.neg(g.mul(node, node))
        if op == "exp2":
            return g.mul(g.const(LN_2), g.minimum(node, self._largest))
        if op == "abs":
            return g.select(g.compare("lt", a, g.zero), g.const(-1.0), g.one)
        if op == "sin":
            return g.unary("cos", a)
        if op == "cos":
            return g.neg(g.unary("sin", a))
        square = g.mul(a, a)
        if op == "atan":
            return g.reciprocal(g.add(g.one, square))
        if op in ("asin", "acos"):
            slope = g.reciprocal(g.unary("sqrt", g.sub(g.one, square)))
            return slope if op == "asin" else g.neg(slope)
        raise NotImplementedError(f"derivative of {op}")

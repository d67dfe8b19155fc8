"""Equations that are linear in the states with coefficients that rest: y' = A y + g."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from respine.engine.equations.differentiate import TIME, Derivatives
from respine.engine.equations.graph import Graph
from respine.engine.equations.specialise import RATE_PREFIX, Equations, rank
from respine.model.expression import _NUMPY

LINEAR = frozenset(("state", "add", "sub", "neg", "mul"))


def linear_form(equations: Equations, values: Mapping[str, float]) -> Callable[[np.ndarray], Any] | None:
    """A function from the slow numbers of a subject to A (n, n) and g (n,), None where the equations are not linear.

    ``values``: the run-wide numbers by name. Infusions are left out of g.
    """
    graph, n = equations.graph, len(equations.states)
    for node in graph.order(equations.rates):
        op = graph.nodes[node][0]
        if op == "time" or (graph.moves(node) and op not in LINEAR):
            return None
    rows = [Derivatives(graph).row(rate) for rate in equations.rates]
    if any(TIME in row for row in rows):
        return None
    entries = {(i, j): node for i, row in enumerate(rows) for j, node in row.items() if isinstance(j, int)}
    ranks = rank(graph, list(entries.values()))
    if any(ranks[node] == 3 for node in entries.values()):
        return None

    def numbers(slow: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        known = dict(zip(equations.slow, slow, strict=True))
        known |= {name: 0.0 for name in known if name.startswith(RATE_PREFIX)}
        numbers = _evaluated(graph, [*entries.values(), *equations.rates], {**values, **known})
        a = np.zeros((n, n))
        for place, node in entries.items():
            a[place] = numbers[node]
        return a, np.array([numbers[node] for node in equations.rates])

    return numbers


def _evaluated(graph: Graph, roots: list[int], values: Mapping[str, float]) -> dict[int, float]:
    """Nodes at a state of zeros."""
    known: dict[int, float] = {}
    with np.errstate(all="ignore"):
        for node in graph.order(roots):
            op, *parts = graph.nodes[node]
            if op == "const":
                known[node] = float(graph.value(node) or 0.0)
            elif op == "state":
                known[node] = 0.0
            elif op in ("slow", "uniform"):
                known[node] = float(values[parts[0]])
            else:
                known[node] = _applied(op, [known[part] for part in graph.operands(node)])
    return known


def _applied(op: str, parts: list[float]) -> float:
    if op == "select":
        return parts[1] if parts[0] else parts[2]
    if op in ("true", "false"):
        return float(op == "true")
    if op == "reciprocal":
        return float(np.divide(1.0, parts[0]))
    if op in ("exp2", "log2"):
        return float(getattr(np, op)(parts[0]))
    return float(_NUMPY[op](*parts))

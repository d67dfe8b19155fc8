"""The sensitivity equations of a run as graph nodes: s' = J s + drive for s = d(state)/d(parameter).

Entries of J that stay the same along the trajectory need not be kept: only ``varying`` ones are. A choice (``min``,
``max``, ``abs``, a piecewise formula) has the derivative of the branch it takes, ``floor`` and ``ceil`` have none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from respine.engine.differentiate import Derivatives, Row
from respine.engine.graph import COMPARISONS, Graph
from respine.engine.specialise import Equations, rank, rate_slope

Entries = Mapping[tuple[int, int], int]


@dataclass(frozen=True)
class Tangent:
    """Nodes by place: ``varying`` (i, j) of J where j is in the ``support``; ``drive`` (i, p) = d(rate i)/d(parameter p);
    and of the outputs
    ``by_state`` (o, j), ``directly`` (o, p). ``switches`` change their sign where a choice turns on which these depend."""

    n_parameters: int
    varying: Entries
    drive: Entries
    by_state: Entries
    directly: Entries
    switches: tuple[int, ...]
    support: frozenset[int]  # states that depend on a parameter at all

    @property
    def roots(self) -> list[int]:
        parts = self.varying, self.drive, self.by_state, self.directly
        return [*(node for part in parts for node in part.values()), *self.switches]


def tangent_of(equations: Equations, derivatives: Derivatives, rows: Sequence[Row], jacobian: Entries) -> Tangent:
    """Pick the sensitivity equations out of the derivatives of all rates (``rows``) and outputs."""
    graph, names = equations.graph, equations.sensitivities
    changing = rank(graph, list(jacobian.values()))
    outputs = [derivatives.row(o) for o in equations.outputs]
    drive = _drive(graph, equations, rows)
    support = _support([*equations.touched, *(i for i, _ in drive)], jacobian)
    varying = {(i, j): node for (i, j), node in jacobian.items() if changing[node] == 3 and j in support}
    return Tangent(
        len(names),
        varying,
        drive,
        {(o, j): node for o, row in enumerate(outputs) for j, node in row.items() if isinstance(j, int)},
        {(o, p): row[name] for o, row in enumerate(outputs) for p, name in enumerate(names) if name in row},
        _switches(graph, [*varying.values(), *drive.values()]),
        support,
    )


def _support(begin: Iterable[int], jacobian: Entries) -> frozenset[int]:
    """States reachable from where sensitivities begin."""
    followers: dict[int, list[int]] = {}
    for i, j in jacobian:
        followers.setdefault(j, []).append(i)
    found: set[int] = set()
    stack = list(begin)
    while stack:
        state = stack.pop()
        if state not in found:
            found.add(state)
            stack.extend(followers.get(state, ()))
    return frozenset(found)


def _switches(graph: Graph, roots: Sequence[int]) -> tuple[int, ...]:
    changing = rank(graph, roots)
    found = [graph.nodes[node] for node in graph.order(roots) if changing[node] == 3]
    return tuple(dict.fromkeys(graph.sub(*op[1:]) for op in found if op[0] in COMPARISONS - {"eq", "ne"}))


def _drive(graph: Graph, equations: Equations, rows: Sequence[Row]) -> dict[tuple[int, int], int]:
    slow = frozenset(equations.slow)
    drive = {}
    for i, (state, row) in enumerate(zip(equations.states, rows, strict=True)):
        for p, name in enumerate(equations.sensitivities):
            node = row.get(name, graph.zero)
            infusion = rate_slope(state, name)
            if infusion in slow:
                node = graph.add(node, graph.slow(infusion))
            if node != graph.zero:
                drive[i, p] = node
    return drive

"""The sensitivity equations of a run as graph nodes: s' = J s + drive for s = d(state)/d(parameter).

Entries of J that stay the same along the trajectory need not be kept: only ``varying`` ones are. A choice (``min``,
``max``, ``abs``, a piecewise formula) has the derivative of the branch it takes, ``floor`` and ``ceil`` have none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from respine.engine.equations.differentiate import Derivatives, Row
from respine.engine.equations.graph import COMPARISONS, Graph
from respine.engine.equations.specialise import Equations, rank, rate_slope

Entries = Mapping[tuple[int, int], int]

WASTE = 1.15  # parameters share code if their states together are at most this many times those of each


@dataclass(frozen=True)
class Group:
    """Parameters with (nearly) the same reach: the ``states`` that depend on one of them. All others never do."""

    parameters: tuple[int, ...]
    states: tuple[int, ...]


@dataclass(frozen=True)
class Tangent:
    """Nodes by place: ``varying`` (i, j) of J where j depends on a parameter; ``drive`` (i, p) = d(rate i)/d(parameter p);
    and of the outputs ``by_state`` (o, j), ``directly`` (o, p). ``switches`` change their sign where a choice turns on
    which these depend. ``groups`` hold the parameters that any state depends on."""

    n_parameters: int
    varying: Entries
    drive: Entries
    by_state: Entries
    directly: Entries
    switches: tuple[int, ...]
    groups: tuple[Group, ...]

    @property
    def roots(self) -> list[int]:
        """Nodes of the tangent equations, one a state and parameter."""
        parts = self.varying, self.drive, self.by_state, self.directly
        return [*(node for part in parts for node in part.values()), *self.switches]


def tangent_of(equations: Equations, derivatives: Derivatives, rows: Sequence[Row], jacobian: Entries) -> Tangent:
    """Pick the sensitivity equations out of the derivatives of all rates (``rows``) and outputs."""
    graph, names = equations.graph, equations.sensitivities
    changing = rank(graph, list(jacobian.values()))
    outputs = [derivatives.row(o) for o in equations.outputs]
    drive = _drive(graph, equations, rows)
    reaches = _reaches(len(names), [*equations.touched, *drive], jacobian)
    reached = frozenset().union(*reaches)
    varying = {(i, j): node for (i, j), node in jacobian.items() if changing[node] == 3 and j in reached}
    return Tangent(
        len(names),
        varying,
        drive,
        {(o, j): node for o, row in enumerate(outputs) for j, node in row.items() if isinstance(j, int)},
        {(o, p): row[name] for o, row in enumerate(outputs) for p, name in enumerate(names) if name in row},
        _switches(graph, [*varying.values(), *drive.values()]),
        _groups(reaches),
    )


def _reaches(count: int, begin: Iterable[tuple[int, int]], jacobian: Entries) -> list[frozenset[int]]:
    """For each parameter the states that depend on it: those in which it acts (``begin``) and all that follow."""
    followers: dict[int, list[int]] = {}
    for i, j in jacobian:
        followers.setdefault(j, []).append(i)
    reached: list[set[int]] = [set() for _ in range(count)]
    stack = list(begin)
    while stack:
        state, p = stack.pop()
        if state not in reached[p]:
            reached[p].add(state)
            stack.extend((follower, p) for follower in followers.get(state, ()))
    return [frozenset(states) for states in reached]


def _groups(reaches: Sequence[frozenset[int]]) -> tuple[Group, ...]:
    """The widest reach first; a parameter joins the first group in which little is computed in vain."""
    made: list[tuple[list[int], set[int]]] = []
    for p in sorted(range(len(reaches)), key=lambda p: -len(reaches[p])):
        for members, states in made:
            if len(states | reaches[p]) <= WASTE * min(len(states), len(reaches[p])):
                members.append(p)
                states |= reaches[p]
                break
        else:
            if reaches[p]:
                made.append(([p], set(reaches[p])))
    return tuple(Group(tuple(members), tuple(sorted(states))) for members, states in made)


def _switches(graph: Graph, roots: Sequence[int]) -> tuple[int, ...]:
    changing = rank(graph, roots)
    changing_nodes = [graph.nodes[node] for node in graph.order(roots) if changing[node] == 3]
    return tuple(dict.fromkeys(graph.sub(*op[1:]) for op in changing_nodes if op[0] in COMPARISONS - {"eq", "ne"}))


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

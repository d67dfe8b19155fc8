"""Whether a system is linear with coefficients that rest between events, and its parts: y' = A y + g with their derivatives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from respine.engine.equations.differentiate import TIME, Derivatives
from respine.engine.equations.rate_jumps import needed_states
from respine.engine.equations.specialise import Equations, Requirements, rank
from respine.model.expression import Expr
from respine.model.system import System

LINEAR = frozenset(("state", "add", "sub", "neg", "mul"))
MOST_STATES = 32  # larger ones gain nothing from dense matrices
RESTS, LINE, ELSE = range(3)  # what a formula is in the states


@dataclass(frozen=True)
class LinearSystem:
    """Nodes of the graph by place; derivatives are those by the names of ``equations.sensitivities``."""

    equations: Equations
    a: Mapping[tuple[int, int], int]
    a_by: Mapping[tuple[int, int, int], int]  # (parameter, row, column)
    g_by: Mapping[tuple[int, int], int]  # (parameter, row): the rate's own derivative, at a state of zeros
    by_state: Mapping[tuple[int, int], int]  # (output, state)
    directly: Mapping[tuple[int, int], int]  # (output, parameter)


def linear_system(equations: Equations) -> LinearSystem | None:
    """The parts, None where the equations are not linear or depend on the time."""
    graph, names = equations.graph, equations.sensitivities
    if len(equations.states) > MOST_STATES:
        return None
    for node in graph.order(equations.rates):
        op, *parts = graph.nodes[node]
        chosen = op == "select" and not graph.moves(parts[0])
        if op == "time" or (graph.moves(node) and op not in LINEAR and not chosen):
            return None
    derivatives = Derivatives(graph, names)
    rows = [derivatives.row(rate) for rate in equations.rates]
    a = {(i, j): node for i, row in enumerate(rows) for j, node in row.items() if isinstance(j, int)}
    ranks = rank(graph, list(a.values()))
    if any(TIME in row for row in rows) or any(ranks[node] == 3 for node in a.values()):
        return None
    number = {name: p for p, name in enumerate(names)}
    outputs = [derivatives.row(o) for o in equations.outputs] if names else []
    return LinearSystem(
        equations,
        a,
        {(number[n], i, j): node for (i, j), entry in a.items() for n, node in derivatives.row(entry).items()
         if n in number},
        {(number[n], i): node for i, row in enumerate(rows) for n, node in row.items() if n in number},
        {(o, j): node for o, row in enumerate(outputs) for j, node in row.items() if isinstance(j, int)},
        {(o, number[n]): node for o, row in enumerate(outputs) for n, node in row.items() if n in number},
    )  # fmt: skip


def may_be_linear(system: System, requirements: Requirements, values: Mapping[str, float]) -> bool:
    """A look at the formulas as they are written, so that a large system that is not linear costs nothing more."""
    states = system.states if requirements.keep_all else needed_states(system, requirements.outputs)
    free = {*requirements.vary, *requirements.changing}
    look = _Look(system, {name for name, value in values.items() if value == 0.0 and name not in free})
    return all(look.kind(system.rates[s])[0] < ELSE for s in states)


class _Look:
    def __init__(self, system: System, zeros: set[str]) -> None:
        self.system, self.zeros = system, zeros
        self.known: dict[str, tuple[int, bool]] = {}
        for name in system.rules:  # each after those it uses: so no chain of rules, long as it may be, nests
            self._of(name)

    def kind(self, expr: Expr) -> tuple[int, bool]:
        """What a formula is, and whether it is zero."""
        op, *parts = expr
        if op == "num":
            return RESTS, parts[0] == 0
        if op == "time":
            return ELSE, False
        if op == "sym":
            return self._of(parts[0])
        kinds = [self.kind(part) for part in parts]
        if op in ("add", "sub"):
            return max(k for k, _ in kinds), all(zero for _, zero in kinds)
        if op == "neg":
            return kinds[0]
        if op == "mul":
            if any(zero for _, zero in kinds):
                return RESTS, True
            return (ELSE if kinds[0][0] + kinds[1][0] > LINE else kinds[0][0] + kinds[1][0]), False
        if op == "div" and kinds[1][0] == RESTS:
            return kinds[0]
        if op == "if" and kinds[0][0] == RESTS:
            return max(kinds[1][0], kinds[2][0]), False
        return (RESTS if all(k == RESTS for k, _ in kinds) else ELSE), False

    def _of(self, name: str) -> tuple[int, bool]:
        if name in self.system.rates:
            return LINE, False
        if name in self.system.rules:
            if name not in self.known:
                self.known[name] = self.kind(self.system.rules[name])
            return self.known[name]
        return RESTS, name in self.zeros

"""A linear system as the numbers and lists of operations that the walk over subjects reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter
from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from respine.engine.equations.specialise import RATE_PREFIX, rank
from respine.engine.exact.arrays import Model
from respine.engine.exact.flat import flat
from respine.engine.exact.linear_system import LinearSystem
from respine.engine.request import Setup
from respine.engine.run.timetable import Timetable


def model_of(
    setup: Setup, linear: LinearSystem, plan: Timetable, start: float, values: Mapping[str, float]
) -> tuple[Model, np.ndarray, np.ndarray]:
    """The model, and what the registers of what rests and of the outputs hold from the beginning.

    ``values``: the run-wide numbers.
    """
    equations = linear.equations
    graph, n = equations.graph, len(equations.states)
    slow = {name: k for k, name in enumerate(equations.slow)}
    roots = [*equations.outputs, *linear.by_state.values(), *linear.directly.values()]
    ranks = rank(graph, roots)
    resting = [node for node in graph.order(roots) if ranks[node] < 3 and graph.nodes[node][0] != "const"]
    place = {node: n + 1 + k for k, node in enumerate(resting)}

    def while_resting(node: int) -> int | None:
        op, *parts = graph.nodes[node]
        if op == "state" or (op == "slow" and parts[0].startswith(RATE_PREFIX)):
            return -1  # coefficients are found at a state of zeros, without infusions
        return slow[parts[0]] if op == "slow" else None

    def while_moving(node: int) -> int | None:
        op, *parts = graph.nodes[node]
        return parts[0] if op == "state" else n if op == "time" else place.get(node)

    fixed = [*linear.a.values(), *equations.rates, *linear.a_by.values(), *linear.g_by.values(), *resting]
    rests = flat(graph, fixed, values, while_resting)
    moves = flat(graph, roots, values, while_moving)
    loads = [(r, row) for r, row in moves.loads if row <= n]
    handed = [(r, rests.register[resting[row - n - 1]]) for r, row in moves.loads if row > n]
    states = {name: k for k, name in enumerate(equations.states)}
    flows = {slow[name]: states[name.removeprefix(RATE_PREFIX)] for name in slow
             if name.removeprefix(RATE_PREFIX) in states and name.startswith(RATE_PREFIX)}  # fmt: skip
    slopes = [(int(plan.slope_slots[k, p]), p, state) for k, state in flows.items()
              for p in range(len(setup.sensitivities)) if plan.slope_slots[k, p] >= 0]  # fmt: skip
    members, blocks = blocks_of(n, list(linear.a))
    model = Model(
        members, blocks, rests.ops, rests.loads, _rows(linear.a, rests.register, 2), rests.of(equations.rates),
        _rows(linear.a_by, rests.register, 3), _rows(linear.g_by, rests.register, 2), moves.ops, _table(loads, 2),
        _table(handed, 2), moves.of(equations.outputs), _rows(linear.by_state, moves.register, 2),
        _rows(linear.directly, moves.register, 2), _table(list(flows.items()), 2), _table(slopes, 3), len(slow),
        plan.first_rate, float(start), not setup.sensitivities,
    )  # fmt: skip
    return model, rests.start, moves.start


def _rows(entries: Mapping[Any, int], register: Mapping[int, int], width: int) -> np.ndarray:
    return _table([(*place, register[node]) for place, node in entries.items()], width + 1)


def _table(rows: Sequence[tuple[int, ...]], width: int) -> np.ndarray:
    return np.array(rows, np.int64).reshape(-1, width)


def blocks_of(n: int, entries: Sequence[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """The states in strongly connected blocks, upstream before downstream: all of them, and where each block begins, and the end.

    ``entries``: (row, column) where a state depends on another.
    """
    rows, columns = np.array(entries, int).reshape(-1, 2).T
    pattern = coo_array((np.ones(len(rows)), (rows, columns)), shape=(n, n))
    count, label = connected_components(pattern, directed=True, connection="strong")
    needs: dict[int, set[int]] = {c: set() for c in range(count)}
    for i, j in entries:
        if label[i] != label[j]:
            needs[int(label[i])].add(int(label[j]))
    order = list(TopologicalSorter(needs).static_order())
    blocks = [np.flatnonzero(label == c) for c in order]
    return np.concatenate(blocks).astype(np.int64), np.cumsum([0, *map(len, blocks)]).astype(np.int64)

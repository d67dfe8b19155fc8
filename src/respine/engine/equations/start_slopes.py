"""What sensitivities start from, d(start state)/d(parameter), and by how much each parameter is scaled."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from respine.engine.equations.differentiate import Derivatives
from respine.engine.equations.graph import Graph
from respine.model.expression import _NUMPY, symbols
from respine.model.system import System


def start_slopes(
    system: System,
    states: Sequence[str],
    names: Sequence[str],
    values: Mapping[str, Any],
    time: float,
    given: Collection[str] = (),
) -> np.ndarray:
    """d(start)/d(name), (n_subjects or 1, n_names * n_states), parameter by parameter.

    ``values``: parameters and inputs, numbers or arrays (n_subjects,); starts ``given`` to solve depend on nothing.
    """
    graph = Graph()
    nodes = _start_nodes(system, graph)
    derivatives = Derivatives(graph, names)
    rows = [derivatives.row(nodes[s]) if s not in given else {} for s in states]
    wanted = [row.get(name, graph.zero) for name in names for row in rows]
    numbers = _numbers(graph, wanted, values, time)
    columns = [np.atleast_1d(np.asarray(numbers[node], float)) for node in wanted]
    return np.ascontiguousarray(np.stack(np.broadcast_arrays(*columns), axis=1))


def _start_nodes(system: System, graph: Graph) -> dict[str, int]:
    """Start values over parameters and inputs; rules and starts may stand in any order."""
    nodes = {name: graph.slow(name) for name in (*system.parameters, *system.inputs)}
    pending = {**system.initial, **system.rules}
    while pending:
        ready = [name for name, expr in pending.items() if all(s in nodes for s in symbols(expr))]
        if not ready:
            raise ValueError(f"start values of {', '.join(pending)} depend on each other in a circle")
        for name in ready:
            nodes[name] = graph.as_number(graph.build(pending.pop(name), nodes))
    return nodes


def _numbers(graph: Graph, roots: Sequence[int], values: Mapping[str, Any], time: float) -> dict[int, Any]:
    known: dict[int, Any] = {}
    with np.errstate(all="ignore"):
        for node in graph.order(roots):
            op, *a = graph.nodes[node]
            if op == "const":
                known[node] = graph.value(node)
            elif op == "slow":
                known[node] = np.asarray(values[a[0]], float)
            elif op == "uniform":
                known[node] = 1e-14  # "#zero", what counts as zero under a root
            elif op == "time":
                known[node] = time
            else:
                known[node] = _apply(op, [known[part] for part in a])
    return known


def _apply(op: str, parts: Sequence[Any]) -> Any:
    if op == "select":
        return np.where(*parts)
    if op in ("true", "false"):
        return op == "true"
    if op == "reciprocal":
        return np.divide(1.0, parts[0])
    if op in ("exp2", "log2"):
        return getattr(np, op)(parts[0])
    return _NUMPY[op](*parts)


def scales(names: Sequence[str], values: Mapping[str, float]) -> np.ndarray:
    """1/|parameter| for each name, 1 for a name without a number or at zero: a sensitivity over this is of its state's size."""
    sizes = [abs(float(values.get(name, 1.0))) for name in names]
    return np.array([1 / size if size > 0 else 1.0 for size in sizes])

"""Formulas of a graph as flat lists of operations on numbered registers, which one compiled loop carries out.

No machine code is made for a model: a linear system asks for few operations per subject and many subjects at once, so that
going through a list costs little, and its first answer comes at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from respine.engine.equations.graph import Graph

OPERATIONS = (
    "add", "sub", "mul", "neg", "reciprocal", "exp2", "log2", "sqrt", "abs", "floor", "ceil", "sin", "cos", "asin",
    "acos", "atan", "min", "max", "lt", "le", "gt", "ge", "eq", "ne", "and", "or", "xor", "not", "select",
)  # fmt: skip
_CODE = {name: code for code, name in enumerate(OPERATIONS)}


@dataclass(frozen=True)
class Flat:
    """``ops`` (n_ops, 5): operation, result, operands; ``start`` (n_registers,) what constants hold from the beginning."""

    ops: np.ndarray
    start: np.ndarray
    register: Mapping[int, int]  # of each node
    loads: np.ndarray  # (n, 2) register, and number of what it is loaded with

    def of(self, nodes: Sequence[int]) -> np.ndarray:
        """Registers of nodes."""
        return np.array([self.register[node] for node in nodes], np.int64)


def flat(graph: Graph, roots: Sequence[int], values: Mapping[str, float], loaded: Callable[[int], int | None]) -> Flat:
    """The operations that give ``roots``.

    ``values``: the run-wide numbers by name; ``loaded``: the number of what a node is loaded with, None where it is computed.
    """
    register: dict[int, int] = {}
    ops: list[tuple[int, ...]] = []
    start: list[float] = []
    loads: list[tuple[int, int]] = []
    stops = {node: place for node in graph.order(roots) if (place := loaded(node)) is not None}
    for node in graph.order(roots, stops):
        op, *parts = graph.nodes[node]
        register[node] = here = len(start)
        start.append(0.0)
        if node in stops:
            loads.append((here, stops[node]))
        elif op == "const":
            start[here] = float(graph.value(node))  # type: ignore[arg-type]
        elif op == "uniform":
            start[here] = float(values[parts[0]])
        elif op in ("true", "false"):
            start[here] = float(op == "true")
        else:
            inputs = [register[part] for part in graph.operands(node)]
            ops.append((_CODE[op], here, *inputs, *[0] * (3 - len(inputs))))
    return Flat(
        np.array(ops, np.int64).reshape(-1, 5), np.array(start), register, np.array(loads, np.int64).reshape(-1, 2)
    )


(
    ADD, SUB, MUL, NEG, RECIPROCAL, EXP2, LOG2, SQRT, ABS, FLOOR, CEIL, SIN, COS, ASIN,
    ACOS, ATAN, MIN, MAX, LT, LE, GT, GE, EQ, NE, AND, OR, XOR, NOT, SELECT,
) = range(len(OPERATIONS))  # fmt: skip


@njit(nogil=True, error_model="numpy", _nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def carry_out(ops: np.ndarray, r: Any, m: int) -> None:
    """All operations on ``m`` columns of the registers ``r`` (n_registers, >= m)."""
    for q in range(ops.shape[0]):
        op, o, a, b, c = ops[q, 0], ops[q, 1], ops[q, 2], ops[q, 3], ops[q, 4]
        if op == ADD:
            for t in range(m):
                r[o, t] = r[a, t] + r[b, t]
        elif op == SUB:
            for t in range(m):
                r[o, t] = r[a, t] - r[b, t]
        elif op == MUL:
            for t in range(m):
                r[o, t] = r[a, t] * r[b, t]
        elif op == NEG:
            for t in range(m):
                r[o, t] = -r[a, t]
        elif op == RECIPROCAL:
            for t in range(m):
                r[o, t] = 1.0 / r[a, t]
        elif op == SELECT:
            for t in range(m):
                r[o, t] = r[b, t] if r[a, t] != 0.0 else r[c, t]
        else:
            for t in range(m):
                r[o, t] = _other(op, r[a, t], r[b, t])


@njit(nogil=True, error_model="numpy", _nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def _other(op: int, x: float, y: float) -> float:
    if op == EXP2:
        return np.exp2(x)
    if op == LOG2:
        return np.log2(x)
    if op == SQRT:
        return np.sqrt(x)
    if op == ABS:
        return abs(x)
    if op == FLOOR:
        return np.floor(x)
    if op == CEIL:
        return np.ceil(x)
    if op == SIN:
        return np.sin(x)
    if op == COS:
        return np.cos(x)
    if op == ASIN:
        return np.arcsin(x)
    if op == ACOS:
        return np.arccos(x)
    if op == ATAN:
        return np.arctan(x)
    if op == MIN:
        return x if x < y else y
    if op == MAX:
        return x if x > y else y
    if op == LT:
        return 1.0 if x < y else 0.0
    if op == LE:
        return 1.0 if x <= y else 0.0
    if op == GT:
        return 1.0 if x > y else 0.0
    if op == GE:
        return 1.0 if x >= y else 0.0
    if op == EQ:
        return 1.0 if x == y else 0.0
    if op == NE:
        return 1.0 if x != y else 0.0
    if op == AND:
        return x * y
    if op == OR:
        return max(x, y)
    if op == XOR:
        return 1.0 if x != y else 0.0
    return 1.0 - x  # NOT

"""Straight-line programs: the graph and the factorisation as lists of operations on lane vectors.

Every value is one vector with a lane per subject. Areas of the workspace (see ``layout.py``) are read and written by
``load``/``store``; ``broadcast`` reads one number of the run into all lanes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from respine.engine.codegen.ordering import Pivoting, circles_of, markowitz
from respine.engine.equations.differentiate import TIME, Derivatives
from respine.engine.equations.graph import MASKS, Graph
from respine.engine.equations.specialise import Equations, rank
from respine.engine.equations.tangent import Tangent, tangent_of
from respine.model.expression import _NUMPY

READ_ONLY = frozenset(("slow", "hoisted", "uniform", "state", "time", "tolerance", "clock"))


@dataclass
class Program:
    """Operations in order; an operation is ``(op, *values)`` and its position is its value."""

    operations: list[tuple] = field(default_factory=list)
    _index: dict[tuple, int] = field(default_factory=dict)

    def do(self, op: str, *parts: object) -> int:
        """An operation on values, once for the same operands."""
        key = (op, *parts)
        pure = op not in ("load", "store") or (op == "load" and parts[0] in READ_ONLY)
        if pure and key in self._index:
            return self._index[key]
        self.operations.append(key)
        self._index[key] = len(self.operations) - 1
        return len(self.operations) - 1

    def const(self, value: float) -> int:
        """A number."""
        return self.do("const", float(value) if value == value else "nan")

    def load(self, area: str, k: int = 0) -> int:
        """Read a row of an area."""
        return self.do("load", area, k)

    def store(self, area: str, k: int, value: int) -> None:
        """Write a row of an area."""
        self.do("store", area, k, value)


WITH_NUMBERS = ("table", "shift_left", "shift_right", "integer_add", "bit_and", "bit_or")  # after their one operand


def operands(operation: tuple) -> Sequence[int]:
    """The values an operation needs."""
    op, *a = operation
    if op in ("const", "load", "broadcast", "true", "false"):
        return ()
    return a[2:] if op == "store" else a[:1] if op in WITH_NUMBERS else a


@dataclass(frozen=True)
class Hoisted:
    """Work done once: ``uniform`` nodes once a run (one number each), ``slow`` nodes once a segment (one lane vector).

    ``clock`` nodes depend on time and on none of the states; where they are named, they are computed apart.
    """

    uniform: dict[int, int]
    slow: dict[int, int]
    ranks: dict[int, int]
    clock: dict[int, int]


@dataclass(frozen=True)
class Programs:
    """All straight-line code of one model, and what it needs to be fed."""

    equations: Equations
    hoisted: Hoisted
    pivoting: Pivoting
    time_dependent: tuple[int, ...]
    prepare: Program
    rates: Program
    factor: Program
    observe: Program
    tangent: Tangent | None = None  # where sensitivities are asked
    watch: Program | None = None  # what follows an elimination by tables


def compile_programs(equations: Equations, *, narrow: bool = False) -> Programs:
    """Rates, Jacobian with its factorisation and outputs as straight-line code.

    ``narrow``, for float32: what depends on time alone is left to the clock (see float64_in_float32.py).
    """
    graph, n = equations.graph, len(equations.states)
    largest = 2.0**90 if narrow else 2.0**960
    derivatives = Derivatives(graph, equations.sensitivities, largest, blunt=not equations.sensitivities)
    rows = [derivatives.row(r) for r in equations.rates]
    jacobian = {(i, j): node for i, row in enumerate(rows) for j, node in row.items() if isinstance(j, int)}
    time_slopes = {i: row[TIME] for i, row in enumerate(rows) if TIME in row}
    tangent = tangent_of(equations, derivatives, rows, jacobian) if equations.sensitivities else None
    roots = [*equations.rates, *jacobian.values(), *time_slopes.values(), *equations.outputs]
    roots += tangent.roots if tangent else []
    hoisted = _hoist(graph, roots, clock=narrow)
    pivoting = markowitz(n, jacobian)
    return Programs(
        equations,
        hoisted,
        pivoting,
        tuple(time_slopes),
        _prepare(equations, hoisted),
        _rates(equations, hoisted, tuple(time_slopes), narrow=narrow),
        _factor(equations, hoisted, pivoting, jacobian, time_slopes, tangent),
        _observe(equations, hoisted),
        tangent,
        _watch(pivoting, circles_of(n, jacobian)) if pivoting.tabled else None,
    )


def _hoist(graph: Graph, roots: Sequence[int], *, clock: bool) -> Hoisted:
    """Nodes at the border between slow and fast: each gets a slot, what lies behind it leaves the time loop."""
    ranks = rank(graph, roots)
    slow: dict[int, int] = {}
    uniform: dict[int, int] = {}

    def border(node: int) -> None:
        if ranks[node] == 1 and not _is_mask(graph, node):
            uniform.setdefault(node, len(uniform))
        elif ranks[node] == 2 and graph.nodes[node][0] != "slow" and not _is_mask(graph, node):
            slow.setdefault(node, len(slow))

    order = graph.order(roots)
    for node in order:
        for part in graph.operands(node):
            if ranks[part] < ranks[node] or (ranks[node] < 3 and _is_mask(graph, node)):
                border(part)
    for node in roots:
        border(node)
    return Hoisted(uniform, slow, ranks, _of_time_alone(graph, roots) if clock else {})


def _of_time_alone(graph: Graph, roots: Sequence[int]) -> dict[int, int]:
    """The nodes without states at which time enters the rest of the graph, each with a slot."""
    order = graph.order(roots)
    leaves: dict[int, frozenset[str]] = {}
    for node in order:
        op = graph.nodes[node][0]
        inputs = [frozenset([op])] if op in ("state", "time") else [leaves[p] for p in graph.operands(node)]
        leaves[node] = frozenset().union(*inputs)

    def alone(node: int) -> bool:
        return leaves[node] == {"time"} and not _is_mask(graph, node)

    inner = [p for node in order if not alone(node) for p in graph.operands(node)]
    return {node: k for k, node in enumerate(dict.fromkeys(n for n in (*inner, *roots) if alone(n)))}


def _is_mask(graph: Graph, node: int) -> bool:
    return graph.nodes[node][0] in MASKS or graph.truth(node) is not None


class Lowering:
    """Nodes of the graph as operations of a program, each written once, when it is first asked for.

    While preparing, slow nodes are computed; elsewhere they are loaded from their slot. Clock nodes likewise: where a
    ``time`` is given they are computed, elsewhere loaded.
    """

    def __init__(
        self,
        equations: Equations,
        hoisted: Hoisted,
        program: Program,
        *,
        preparing: bool = False,
        time: int | None = None,
    ) -> None:
        self.graph, self.hoisted, self.program = equations.graph, hoisted, program
        self.preparing, self.time = preparing, time
        self.slots = {name: k for k, name in enumerate(equations.slow)}
        self.values: dict[int, int] = {}

    def value(self, root: int) -> int:
        """The value of a node, after what it needs."""
        stack = [root]
        while stack:
            node = stack[-1]
            if node not in self.values:
                known = self._leaf(node)
                if known is None:
                    parts = self.graph.operands(node)
                    missing = [p for p in parts if p not in self.values]
                    if missing:
                        stack.extend(reversed(missing))
                        continue
                    known = self.program.do(self.graph.nodes[node][0], *(self.values[p] for p in parts))
                self.values[node] = known
            stack.pop()
        return self.values[root]

    def _leaf(self, node: int) -> int | None:
        p, hoisted = self.program, self.hoisted
        op, *a = self.graph.nodes[node]
        if op == "const":
            return p.const(self.graph.value(node))  # type: ignore[arg-type]
        if node in hoisted.uniform:
            return p.do("broadcast", hoisted.uniform[node])
        if op == "slow":
            return p.load("slow", self.slots[a[0]])
        if op == "state":
            return p.load("state", a[0])
        if node in hoisted.clock and self.time is None:
            return p.load("clock", hoisted.clock[node])
        if op == "time":
            return p.load("time") if self.time is None else self.time
        if node in hoisted.slow and not self.preparing:
            return p.load("hoisted", hoisted.slow[node])
        return None


def lower(equations: Equations, hoisted: Hoisted, program: Program, roots: Sequence[int]) -> list[int]:
    """The values of several nodes."""
    lowering = Lowering(equations, hoisted, program)
    return [lowering.value(root) for root in roots]


def _prepare(equations: Equations, hoisted: Hoisted) -> Program:
    program = Program()
    lowering = Lowering(equations, hoisted, program, preparing=True)
    for value, slot in [(lowering.value(node), slot) for node, slot in hoisted.slow.items()]:
        program.store("hoisted", slot, value)
    return program


def _rates(equations: Equations, hoisted: Hoisted, time_dependent: Sequence[int], *, narrow: bool) -> Program:
    """``vector`` := the rates and what a stage adds to them: the sum of earlier increments over h, which lies in ``vector``.

    Where ``narrow``, the sum itself lies in ``sum``, as it is wanted again.
    """
    p = Program()
    lowering = Lowering(equations, hoisted, p)
    slopes = {q: k for k, q in enumerate(time_dependent)}
    for q, root in enumerate(equations.rates):
        value = lowering.value(root)
        if narrow:
            value = p.do("fma", p.load("inverse_step"), p.load("sum", q), value)
        else:
            value = p.do("add", value, p.load("vector", q))
        if q in slopes:
            value = p.do("fma", p.load("slope_share"), p.load("time_slope", slopes[q]), value)
        p.store("vector", q, value)
    return p


def _observe(equations: Equations, hoisted: Hoisted) -> Program:
    p = Program()
    lowering = Lowering(equations, hoisted, p)
    for k, root in enumerate(equations.outputs):
        p.store("output", k, lowering.value(root))
    return p


def _factor(
    equations: Equations,
    hoisted: Hoisted,
    pivoting: Pivoting,
    jacobian: Mapping[tuple[int, int], int],
    time_slopes: Mapping[int, int],
    tangent: Tangent | None,
) -> Program:
    """Rates, time slopes and the LU factors of J - c*I in one pass, so that they share every sub-expression.

    Row by row: few numbers are under way at once, and finished rows are read again from ``factors``, where they lie. The
    upper factor has ones on its diagonal, so that the back substitution, which all waits for, multiplies and adds in one.
    In their place stand the reciprocals of the pivots. These have the sign of c*I - J, which the solve is for, all other
    entries that of J - c*I: so no sign is ever turned. With sensitivities their equations at the start of the step are
    kept too. Where tables do the elimination (see elimination.py), J - c*I is stored as it is.
    """
    p = Program()
    lowering = Lowering(equations, hoisted, p)
    circles = _Runaway(p, circles_of(len(equations.states), jacobian))
    slopes = {q: k for k, q in enumerate(time_slopes)}
    varying = {place: k for k, place in enumerate(tangent.varying)} if tangent else {}
    columns: dict[int, list[int]] = {}
    for i, j in sorted(jacobian):
        columns.setdefault(i, []).append(j)
    position = {pivot: k for k, pivot in enumerate(pivoting.order)}
    c = p.load("shift")
    for k, i in enumerate(pivoting.order):
        row = {j: lowering.value(jacobian[i, j]) for j in columns.get(i, ())}
        for j in row:
            if (i, j) in varying:
                p.store("matrix", varying[i, j], row[j])
        rate = lowering.value(equations.rates[i])
        moving = rate
        if pivoting.tabled:
            p.store("moving", i, moving)
        if i in slopes:
            slope = lowering.value(time_slopes[i])
            p.store("time_slope", slopes[i], slope)
            rate = p.do("fma", p.load("slope_share"), slope, rate)
        p.store("increment", i, rate)
        if pivoting.tabled:
            row[i] = p.do("sub", row[i], c) if i in row else p.do("neg", c)
            for j, value in row.items():
                p.store("factor", pivoting.slots[i, j], value)
            continue
        diagonal = p.do("sub", c, row.pop(i)) if i in row else c
        for pivot in pivoting.left(k):
            multiplier = row.pop(pivot)
            p.store("factor", pivoting.slots[i, pivot], multiplier)
            for j in pivoting.right(position[pivot]):
                product = p.do("mul", multiplier, p.load("factors", pivoting.slots[pivot, j]))
                if j == i:
                    diagonal = p.do("sub", diagonal, product)
                else:
                    row[j] = p.do("add", row[j], product) if j in row else product
        inverse = p.do("reciprocal", diagonal)
        p.store("factor", pivoting.slots[i, i], inverse)
        circles.look(i, inverse, moving)
        for j in pivoting.right(k):
            p.store("factor", pivoting.slots[i, j], p.do("mul", row[j], inverse))
    if not pivoting.tabled:
        circles.store()
    for area, nodes in (("drive", tangent.drive.values()), ("switch", tangent.switches)) if tangent else ():
        for k, node in enumerate(nodes):
            p.store(area, k, lowering.value(node))
    return p


def _watch(pivoting: Pivoting, circles: Sequence[Sequence[int]]) -> Program:
    """Whether a step is too long, told from the pivots that an elimination by tables left."""
    p = Program()
    runaway = _Runaway(p, circles)
    for i in pivoting.order:
        runaway.look(i, p.load("factor", pivoting.slots[i, i]), p.load("moving", i))
    runaway.store()
    return p


class _Runaway:
    """Whether a step is too long for something that grows: an implicit method would have it decay.

    States that act on each other in a circle grow at a rate above 1/(h gamma) where the determinant of c*I - J over them, the
    product of their pivots, is negative (an odd number of such rates); a pivot that is infinite stands for a slope that
    is. What does not move at all (a state at zero) is left alone: it stays.
    """

    def __init__(self, program: Program, circles: Sequence[Sequence[int]]) -> None:
        self.p = program
        self.circle = {state: k for k, circle in enumerate(circles) for state in circle}
        self.negative: dict[int, int] = {}
        self.moves: dict[int, int] = {}

    def look(self, state: int, inverse: int, rate: int) -> None:
        if state not in self.circle:
            return
        k, p = self.circle[state], self.p
        negative, moves = p.do("le", inverse, p.const(0.0)), p.do("ne", rate, p.const(0.0))
        self.negative[k] = p.do("xor", self.negative[k], negative) if k in self.negative else negative
        self.moves[k] = p.do("or", self.moves[k], moves) if k in self.moves else moves

    def store(self) -> None:
        p = self.p
        total: int | None = None
        for k, negative in self.negative.items():
            here = p.do("and", negative, self.moves[k])
            total = here if total is None else p.do("or", total, here)
        flag = p.const(0.0) if total is None else p.do("select", total, p.const(1.0), p.const(0.0))
        p.store("runaway", 0, flag)


def uniform_numbers(programs: Programs, values: Mapping[str, float]) -> np.ndarray:
    """The numbers behind the ``broadcast`` slots, (n_uniform,), for one set of parameter values."""
    graph, slots = programs.equations.graph, programs.hoisted.uniform
    known: dict[int, float] = {}
    for node in graph.order(list(slots)):
        op, *a = graph.nodes[node]
        if op == "uniform":
            known[node] = values[a[0]]
        elif op == "const":
            known[node] = graph.value(node)  # type: ignore[assignment]
        else:
            known[node] = _compute(op, [known[p] for p in a])
    return np.array([known[node] for node in slots], float)


def _compute(op: str, parts: Sequence[float]) -> float:
    with np.errstate(all="ignore"):
        if op == "select":
            return parts[1] if parts[0] else parts[2]
        if op in ("true", "false"):
            return op == "true"
        if op == "reciprocal":
            return float(np.divide(1.0, parts[0]))
        if op in ("exp2", "log2"):
            return float(getattr(np, op)(parts[0]))
        return float(_NUMPY[op](*parts))

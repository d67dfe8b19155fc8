"""Straight-line code of the sensitivity equations, for a batch of parameters at a time.

A batch holds the same states for a few parameters, which take turns: what a solve waits for in one parameter it does not
in the next, factors are read once for all, and the numbers of a batch stay in the nearest cache. Only states that can
depend on one of its parameters are computed.

Areas (see `extra_areas`): at each node of a step (see step.py) ``matrix`` holds what the varying entries of J
have changed since the start of the step and ``drive`` d(rate)/d(parameter); those of the start itself come first (J in
full), their slopes in time last.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from respine.engine.codegen.layout import Layout
from respine.engine.codegen.program import Lowering, Program, Programs, lower
from respine.engine.codegen.sensitivity.kinks import AREAS as KINK_AREAS
from respine.engine.equations.tangent import Tangent

WIDTH = 2  # parameters of a batch; with more of them the numbers of a batch leave the nearest cache


@dataclass(frozen=True)
class Batch:
    """``states`` of ``parameters``, side by side: state k of the a-th parameter is vector k * width + a.

    Batches of one ``shape`` share their code.
    """

    group: int
    states: tuple[int, ...]
    parameters: tuple[int, ...]

    @property
    def width(self) -> int:
        """Parameters of the batch."""
        return len(self.parameters)

    @property
    def shape(self) -> str:
        """Name of the shape, states x parameters: batches of one shape share their kernels."""
        return f"{self.group}x{self.width}"

    @property
    def size(self) -> int:
        """Numbers of the batch."""
        return len(self.states) * self.width

    def places(self) -> Iterator[tuple[int, int, int]]:
        """(place, state, which parameter of the batch) of every vector."""
        return ((k * self.width + a, q, a) for k, q in enumerate(self.states) for a in range(self.width))

    def named(self, name: str) -> list[str]:
        """A pointer's name for each parameter."""
        return [f"{name}{a}" for a in range(self.width)]


def batches_of(tangent: Tangent) -> tuple[Batch, ...]:
    """Parameters in batches that share work."""
    return tuple(
        Batch(g, group.states, group.parameters[k : k + WIDTH])
        for g, group in enumerate(tangent.groups)
        for k in range(0, len(group.parameters), WIDTH)
    )


def extra_areas(programs: Programs, stages: int, nodes: int) -> Sequence[tuple[str, int]]:
    """Names and sizes of what sensitivities add to a workspace."""
    tangent, n = _tangent(programs), len(programs.equations.states)
    room = max((batch.size for batch in batches_of(tangent)), default=0)
    return (
        ("matrix", (nodes + 1) * len(tangent.varying)),
        ("drive", (nodes + 1) * len(tangent.drive)),
        ("switch", nodes * len(tangent.switches)),
        ("node_state", n),
        *((area, 1) for area in KINK_AREAS),
        ("switch_now", len(tangent.switches)),
        ("relative", 1),
        ("scale", tangent.n_parameters),
        ("sensitivity_error", 1),
        ("sensitivity_start", room),
        ("sensitivity_slope", room),
        ("sensitivity_stage", stages * room),
        ("sensitivity_new", tangent.n_parameters * n),
    )


def _tangent(programs: Programs) -> Tangent:
    assert programs.tangent is not None
    return programs.tangent


def at_node(programs: Programs) -> Program:
    """``matrix``, ``drive`` and ``switch`` at a node, from its state and time."""
    tangent, p = _tangent(programs), Program()
    lowering = Lowering(programs.equations, programs.hoisted, p)
    for k, node in enumerate(tangent.varying.values()):
        p.store("node_matrix", k, p.do("sub", lowering.value(node), p.load("matrix", k)))
    for k, node in enumerate(tangent.drive.values()):
        p.store("node_drive", k, lowering.value(node))
    for k, node in enumerate(tangent.switches):
        p.store("node_switch", k, lowering.value(node))
    return p


# ---- of a batch ------------------------------------------------------------------------------------------------------
def begin(programs: Programs, batch: Batch) -> Program:
    """sensitivity_start := those of the batch; sensitivity_slope := slope of J times these."""
    p = Program()
    rows: dict[int, list[tuple[int, int]]] = {}
    for k, (i, j) in enumerate(_tangent(programs).varying):
        if j in batch.states:
            rows.setdefault(i, []).append((k, j))
    for place, q, a in batch.places():
        p.store("sensitivity_start", place, p.load(f"old{a}", q))
        total = None
        for k, j in rows.get(q, ()):
            product = p.do("mul", p.load("node_matrix", k), p.load(f"old{a}", j))
            total = product if total is None else p.do("add", total, product)
        p.store("sensitivity_slope", place, p.const(0.0) if total is None else total)
    return p


def drive(programs: Programs, batch: Batch) -> Program:
    """vector += the drives of the batch's own parameters; empty if they have none."""
    p = Program()
    places = {(q, batch.parameters[a]): place for place, q, a in batch.places()}
    for k, where in enumerate(_tangent(programs).drive):
        if where in places:
            place = places[where]
            p.store("vector", place, p.do("add", p.load("vector", place), p.load("node_drive", k)))
    return p


def couple_and_solve(programs: Programs, batch: Batch, *, couple: bool = True) -> Program:
    """vector := (c*I - J)^-1 (vector + matrix * argument)."""
    slots, p, width = programs.pivoting.slots, Program(), range(batch.width)
    place = {(q, a): k for k, q, a in batch.places()}
    order = [i for i in programs.pivoting.order if i in batch.states]
    coupled: dict[int, list[tuple[int, int]]] = {}
    for k, (i, j) in enumerate(_tangent(programs).varying if couple else ()):
        if j in batch.states:
            coupled.setdefault(i, []).append((k, j))
    x: dict[tuple[int, int], int] = {}

    def add(i: int, entry: int, others: Sequence[int]) -> None:
        for a in width:
            x[i, a] = p.do("fma", entry, others[a], x[i, a])

    for k, i in enumerate(order):  # row by row, so that few numbers are under way at a time
        x |= {(i, a): p.load("vector", place[i, a]) for a in width}
        for entry, j in coupled.get(i, ()):
            add(i, p.load("node_matrix", entry), [p.load("argument", place[j, a]) for a in width])
        for j in order[:k]:
            if (i, j) in slots:
                add(i, p.load("factor", slots[i, j]), [x[j, a] for a in width])
        diagonal = p.load("factor", slots[i, i])
        for a in width:
            x[i, a] = p.do("mul", x[i, a], diagonal)
    for k in range(len(order) - 1, -1, -1):
        i = order[k]
        for j in order[k + 1 :]:
            if (i, j) in slots:
                add(i, p.load("factor", slots[i, j]), [x[j, a] for a in width])
        for a in width:
            p.store("vector", place[i, a], x[i, a])
    return p


def finish(programs: Programs, batch: Batch, layout: Layout, stages: int) -> Program:
    """New sensitivities, and the largest squared error norm of all parameters so far.

    A sensitivity times its parameter is held to a multiple of the tolerances of its state: ``relative`` is that multiple
    of the relative tolerance, ``scale`` is the multiple over |parameter|.
    """
    n, p = len(programs.equations.states), Program()
    relative, worst = p.load("relative"), p.load("sensitivity_error")
    scales, totals = [p.load(name) for name in batch.named("scale")], [p.const(0.0)] * batch.width
    for place, q, a in batch.places():
        new = p.load("sensitivity_stage", (stages - 1) * batch.size + place)
        p.store(f"new{a}", q, new)
        error = p.do("sub", new, p.load("sensitivity_stage", (stages - 2) * batch.size + place))
        size = p.do("max", p.do("abs", new), p.do("abs", p.load("sensitivity_start", place)))
        absolute = p.do("mul", scales[a], p.do("broadcast", layout.absolute_tolerance(q)))
        z = p.do("mul", error, p.do("rough", p.do("fma", relative, size, absolute)))
        totals[a] = p.do("fma", z, z, totals[a])
    for total in totals:
        worst = larger(p, worst, p.do("mul", total, p.const(1.0 / n)))
    p.store("sensitivity_error", 0, worst)
    return p


def commit(batch: Batch) -> Program:
    """old := new in lanes whose step is accepted, for one parameter; chosen by bits, as are the states."""
    p = Program()
    taken = p.do("as_bits", p.load("taken"))
    for q in batch.states:
        old, new = (p.do("as_bits", p.load(name, q)) for name in ("old", "new"))
        change = p.do("bit_and_values", p.do("bit_xor_values", old, new), taken)
        p.store("old", q, p.do("as_number", p.do("bit_xor_values", old, change)))
    return p


def larger(p: Program, a: int, b: int) -> int:
    """The larger of two error norms; no number if one of them is none."""
    return p.do("add", p.do("max", a, b), p.do("mul", p.const(0.0), p.do("add", a, b)))


# ---- of the outputs --------------------------------------------------------------------------------------------------
def output_slopes(programs: Programs) -> Program:
    """d(output)/d(parameter), after the outputs themselves."""
    equations, tangent, p = programs.equations, _tangent(programs), Program()
    n, m, count = len(equations.states), len(equations.outputs), tangent.n_parameters
    roots = [*tangent.by_state.values(), *tangent.directly.values()]
    values = lower(equations, programs.hoisted, p, roots)
    by_state = dict(zip(tangent.by_state, values, strict=False))
    directly = dict(zip(tangent.directly, values[len(by_state) :], strict=True))
    reached = {(q, k) for group in tangent.groups for q in group.states for k in group.parameters}
    sums = dict(directly)
    for (o, j), slope in by_state.items():
        for k in range(count):
            if (j, k) in reached:
                total = sums[o, k] if (o, k) in sums else p.const(0.0)
                sums[o, k] = p.do("fma", slope, p.load("sensitivity", k * n + j), total)
    for (o, k), total in sums.items():  # all others stay at zero, with which a workspace begins
        p.store("output", m + o * count + k, total)
    return p

"""Straight-line code of the sensitivity equations, for a few parameters at a time that share every load of a matrix.

Areas (see `extra_areas`): at each node of a step (see sensitivity_step.py) ``matrix`` holds what the varying entries of J
have changed since the start of the step and ``drive`` d(rate)/d(parameter); those of the start itself come first (J in
full), their slopes in time last.
"""

from __future__ import annotations

from collections.abc import Sequence

from respine.engine.layout import Layout
from respine.engine.ordering import Pivoting
from respine.engine.program import Program, Programs, lower
from respine.engine.tangent import Tangent

BLOCK = 2  # parameters advanced together


def extra_areas(programs: Programs, stages: int, nodes: int) -> Sequence[tuple[str, int]]:
    """Names and sizes of what sensitivities add to a workspace."""
    tangent, n = _tangent(programs), len(programs.equations.states)
    return (
        ("matrix", (nodes + 1) * len(tangent.varying)),
        ("drive", (nodes + 1) * len(tangent.drive)),
        ("node_state", n),
        ("scale", tangent.n_parameters),
        ("sensitivity_error", 1),
        ("sensitivity_stage", BLOCK * n),
        ("sensitivity_slope", BLOCK * n),
        ("sensitivity_increment", BLOCK * stages * n),
        ("sensitivity_new", tangent.n_parameters * n),
    )


def _tangent(programs: Programs) -> Tangent:
    assert programs.tangent is not None
    return programs.tangent


def at_node(programs: Programs) -> Program:
    """``matrix`` and ``drive`` at a node, from its state and time."""
    tangent, p = _tangent(programs), Program()
    roots = [*tangent.varying.values(), *tangent.drive.values()]
    values = lower(programs.equations, programs.hoisted, p, roots, preparing=False)
    for k in range(len(tangent.varying)):
        p.store("node_matrix", k, p.do("sub", values[k], p.load("matrix", k)))
    for k, value in enumerate(values[len(tangent.varying) :]):
        p.store("node_drive", k, value)
    return p


def slope_in_time(programs: Programs, members: int) -> Program:
    """sensitivity_slope := slope of J times the sensitivities ``old``."""
    tangent, n, p = _tangent(programs), len(programs.equations.states), Program()
    sums: dict[tuple[int, int], int] = {}
    for k, (i, j) in enumerate(tangent.varying):
        entry = p.load("node_matrix", k)
        for b in range(members):
            product = p.do("mul", entry, p.load("old", b * n + j))
            sums[b, i] = p.do("add", sums[b, i], product) if (b, i) in sums else product
    for b in range(members):
        for i in range(n):
            p.store("sensitivity_slope", b * n + i, sums[b, i] if (b, i) in sums else p.const(0.0))
    return p


def drive(programs: Programs, parameter: int) -> Program:
    """vector += the drive of one parameter."""
    p = Program()
    for k, (i, of) in enumerate(_tangent(programs).drive):
        if of == parameter:
            p.store("vector", i, p.do("add", p.load("vector", i), p.load("node_drive", k)))
    return p


def couple_and_solve(programs: Programs, members: int, stages: int) -> Program:
    """vector := (c*I - J)^-1 (vector + matrix * sensitivity_stage) for each member."""
    tangent, pivoting, p = _tangent(programs), programs.pivoting, Program()
    n = len(programs.equations.states)
    x = {(b, i): p.load("vector", b * stages * n + i) for i in range(n) for b in range(members)}
    for k, (i, j) in enumerate(tangent.varying):
        entry = p.load("node_matrix", k)
        for b in range(members):
            product = p.do("mul", entry, p.load("sensitivity_stage", b * n + j))
            x[b, i] = p.do("add", x[b, i], product)
    _substitute(p, pivoting, x, members)
    for (b, i), value in x.items():
        p.store("vector", b * stages * n + i, value)
    return p


def _substitute(p: Program, pivoting: Pivoting, x: dict[tuple[int, int], int], members: int) -> None:
    """Forward and back substitution, every factor loaded once for all members."""
    order = pivoting.order

    def subtract(i: int, j: int) -> None:
        factor = p.load("factor", pivoting.slots[i, j])
        for b in range(members):
            x[b, i] = p.do("sub", x[b, i], p.do("mul", factor, x[b, j]))

    for k, i in enumerate(order):
        for j in order[:k]:
            if (i, j) in pivoting.slots:
                subtract(i, j)
    for k in range(len(order) - 1, -1, -1):
        for j in pivoting.right(k):
            subtract(order[k], j)
        inverse = p.load("factor", pivoting.slots[order[k], order[k]])
        for b in range(members):
            x[b, order[k]] = p.do("mul", x[b, order[k]], inverse)


def finish(programs: Programs, layout: Layout, members: int, stages: int) -> Program:
    """New sensitivities, and their largest squared error norm so far.

    A sensitivity times its parameter is held to the tolerances of its state: ``scale`` is 1/|parameter|.
    """
    n, p = len(programs.equations.states), Program()
    relative = p.do("broadcast", layout.relative_tolerance)
    worst = p.load("sensitivity_error")
    for b in range(members):
        scale, total = p.load("scale", b), p.const(0.0)
        for q in range(n):
            new = p.load("sensitivity_increment", (b * stages + stages - 1) * n + q)
            p.store("new", b * n + q, new)
            error = p.do("sub", new, p.load("sensitivity_stage", b * n + q))
            size = p.do("max", p.do("abs", new), p.do("abs", p.load("old", b * n + q)))
            absolute = p.do("mul", scale, p.do("broadcast", layout.absolute_tolerance(q)))
            z = p.do("mul", error, p.do("rough", p.do("fma", relative, size, absolute)))
            total = p.do("fma", z, z, total)
        worst = larger(p, worst, p.do("mul", total, p.const(1.0 / n)))
    p.store("sensitivity_error", 0, worst)
    return p


def larger(p: Program, a: int, b: int) -> int:
    """The larger of two error norms; no number if one of them is none."""
    return p.do("add", p.do("max", a, b), p.do("mul", p.const(0.0), p.do("add", a, b)))


def output_slopes(programs: Programs) -> Program:
    """d(output)/d(parameter), after the outputs themselves."""
    equations, tangent, p = programs.equations, _tangent(programs), Program()
    n, m, count = len(equations.states), len(equations.outputs), tangent.n_parameters
    roots = [*tangent.by_state.values(), *tangent.directly.values()]
    values = lower(equations, programs.hoisted, p, roots, preparing=False)
    by_state = dict(zip(tangent.by_state, values, strict=False))
    directly = dict(zip(tangent.directly, values[len(by_state) :], strict=True))
    for o in range(m):
        for k in range(count):
            total = directly[o, k] if (o, k) in directly else p.const(0.0)
            for (of, j), slope in by_state.items():
                if of == o:
                    total = p.do("fma", slope, p.load("sensitivity", k * n + j), total)
            p.store("output", m + o * count + k, total)
    return p

"""Straight-line code of the sensitivity equations for one parameter at a time, whose numbers stay in the nearest cache.

Areas (see `extra_areas`): at each node of a step (see sensitivity_step.py) ``matrix`` holds what the varying entries of J
have changed since the start of the step and ``drive`` d(rate)/d(parameter); those of the start itself come first (J in
full), their slopes in time last.
"""

from __future__ import annotations

from collections.abc import Sequence

from respine.engine.layout import Layout
from respine.engine.program import Program, Programs, lower
from respine.engine.sensitivity_kinks import AREAS as KINK_AREAS
from respine.engine.tangent import Tangent


def extra_areas(programs: Programs, stages: int, nodes: int) -> Sequence[tuple[str, int]]:
    """Names and sizes of what sensitivities add to a workspace."""
    tangent, n = _tangent(programs), len(programs.equations.states)
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
        ("sensitivity_slope", n),
        ("sensitivity_stage", stages * n),
        ("sensitivity_new", tangent.n_parameters * n),
    )


def support_range(programs: Programs) -> tuple[int, int]:
    """First and last + 1 of the states that depend on a parameter."""
    support = _tangent(programs).support or {0}
    return min(support), max(support) + 1


def _tangent(programs: Programs) -> Tangent:
    assert programs.tangent is not None
    return programs.tangent


def at_node(programs: Programs) -> Program:
    """``matrix``, ``drive`` and ``switch`` at a node, from its state and time."""
    tangent, p = _tangent(programs), Program()
    n_matrix, n_drive = len(tangent.varying), len(tangent.drive)
    roots = [*tangent.varying.values(), *tangent.drive.values(), *tangent.switches]
    values = lower(programs.equations, programs.hoisted, p, roots, preparing=False)
    for k in range(n_matrix):
        p.store("node_matrix", k, p.do("sub", values[k], p.load("matrix", k)))
    for k, value in enumerate(values[n_matrix : n_matrix + n_drive]):
        p.store("node_drive", k, value)
    for k, value in enumerate(values[n_matrix + n_drive :]):
        p.store("node_switch", k, value)
    return p


def slope_in_time(programs: Programs) -> Program:
    """sensitivity_slope := slope of J times the sensitivities ``old``."""
    p = Program()
    sums: dict[int, int] = {}
    for k, (i, j) in enumerate(_tangent(programs).varying):
        product = p.do("mul", p.load("node_matrix", k), p.load("old", j))
        sums[i] = p.do("add", sums[i], product) if i in sums else product
    for i in range(*support_range(programs)):
        p.store("sensitivity_slope", i, sums[i] if i in sums else p.const(0.0))
    return p


def drive(programs: Programs, parameter: int) -> Program:
    """vector += the drive of one parameter."""
    p = Program()
    for k, (i, of) in enumerate(_tangent(programs).drive):
        if of == parameter:
            p.store("vector", i, p.do("add", p.load("vector", i), p.load("node_drive", k)))
    return p


def couple_and_solve(programs: Programs, *, couple: bool = True) -> Program:
    """vector := (c*I - J)^-1 (vector + matrix * argument), where the vector can differ from zero."""
    support, slots, p = _tangent(programs).support, programs.pivoting.slots, Program()
    order = [i for i in programs.pivoting.order if i in support]
    x = {i: p.load("vector", i) for i in order}

    def add(op: str, i: int, entry: int, other: int) -> None:
        x[i] = p.do(op, x[i], p.do("mul", entry, other))

    for k, (i, j) in enumerate(_tangent(programs).varying if couple else ()):
        add("add", i, p.load("node_matrix", k), p.load("argument", j))
    for k, i in enumerate(order):  # row by row, so that few numbers are under way at a time
        for j in order[:k]:
            if (i, j) in slots:
                add("sub", i, p.load("factor", slots[i, j]), x[j])
    for k in range(len(order) - 1, -1, -1):
        i = order[k]
        for j in order[k + 1 :]:
            if (i, j) in slots:
                add("add", i, p.load("factor", slots[i, j]), x[j])  # the diagonal carries the sign
        x[i] = p.do("mul", x[i], p.load("factor", slots[i, i]))
    for i, value in x.items():
        p.store("vector", i, value)
    return p


def finish(programs: Programs, layout: Layout, stages: int) -> Program:
    """New sensitivities, and the largest squared error norm of all parameters so far.

    A sensitivity times its parameter is held to a multiple of the tolerances of its state: ``relative`` is that multiple
    of the relative tolerance, ``scale`` is the multiple over |parameter|.
    """
    n, p = len(programs.equations.states), Program()
    relative, scale, total = p.load("relative"), p.load("scale"), p.const(0.0)
    for q in sorted(_tangent(programs).support):
        new = p.load("sensitivity_stage", (stages - 1) * n + q)
        p.store("new", q, new)
        error = p.do("sub", new, p.load("sensitivity_stage", (stages - 2) * n + q))
        size = p.do("max", p.do("abs", new), p.do("abs", p.load("old", q)))
        absolute = p.do("mul", scale, p.do("broadcast", layout.absolute_tolerance(q)))
        z = p.do("mul", error, p.do("rough", p.do("fma", relative, size, absolute)))
        total = p.do("fma", z, z, total)
    p.store("sensitivity_error", 0, larger(p, p.load("sensitivity_error"), p.do("mul", total, p.const(1.0 / n))))
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

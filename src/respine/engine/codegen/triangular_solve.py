"""The triangular solves of one stage of a Rosenbrock step, as a straight-line program.

(1/(h gamma) - J) U_i = f(t_i, Y_i) + sum_j c_ij U_j / h + h d_i df/dt
"""

from __future__ import annotations

from respine.engine.codegen.program import Program, Programs


def solve(programs: Programs, gamma: float, *, first: bool, narrow: bool) -> Program:
    """``vector`` := U_i, from the right-hand side in ``vector``.

    Where ``narrow`` (float32), k_i = U_i / gamma - sum instead (see tableaus.py); the first stage has no sum.
    """
    p, pivoting = Program(), programs.pivoting

    def factor(i: int, j: int) -> int:
        return p.load("factor", pivoting.slots[i, j])

    x: dict[int, int] = {}
    for k, row in enumerate(pivoting.order):  # row by row, so that few values are under way at once
        value = p.load("vector", row)
        for pivot in pivoting.left(k):
            value = p.do("fma", factor(row, pivot), x[pivot], value)
        x[row] = p.do("mul", value, factor(row, row))
    for k in range(len(pivoting.order) - 1, -1, -1):
        row = pivoting.order[k]
        for j in pivoting.right(k):
            x[row] = p.do("fma", factor(row, j), x[j], x[row])
        increment = x[row]
        if narrow:
            increment = p.do("mul", p.const(1 / gamma), increment)
            increment = increment if first else p.do("sub", increment, p.load("sum", row))
        p.store("vector", row, increment)
    return p

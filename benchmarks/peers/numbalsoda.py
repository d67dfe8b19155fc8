"""numbalsoda: LSODA called from compiled code, right-hand side compiled by numba."""

from __future__ import annotations

import numpy as np
from models import Problem

from peers import ABSOLUTE, Solve
from peers.segments import segments, walk
from peers.source import compiled

TITLE = "numbalsoda (LSODA)"
SUBJECTS = 8


def prepare(problem: Problem, people: np.ndarray) -> Solve:
    """The right-hand side is a C callback; the Jacobian is LSODA's own finite differences."""
    from numba import carray, cfunc
    from numbalsoda import lsoda, lsoda_sig

    rhs, n, m = compiled(problem), len(problem.states), len(problem.vary)

    @cfunc(lsoda_sig)
    def callback(t, y, f, p):  # type: ignore[no-untyped-def]
        numbers = carray(p, (m + n,))
        rhs(t, carray(y, (n,)), numbers[:m], numbers[m:], carray(f, (n,)))

    parts, starts, address = segments(problem), problem.starts(people), callback.address

    def solve(rtol: float) -> np.ndarray:
        def solve_row(start: np.ndarray, row: np.ndarray) -> np.ndarray:
            def segment(k: int, part: object, state: np.ndarray) -> np.ndarray:
                numbers = np.concatenate([row, parts[k].infusion])
                states, ok = lsoda(address, state, parts[k].grid, numbers, rtol=rtol, atol=rtol * ABSOLUTE)
                return states[1:] if ok else np.full_like(states[1:], np.nan)

            return walk(problem, parts, start, segment)

        return np.array([solve_row(start, row) for start, row in zip(starts, people, strict=True)])

    callback_kept.append(callback)
    return solve


callback_kept: list[object] = []  # the machine code must outlive the solver that calls it

"""What the SciPy methods share."""

from __future__ import annotations

import numpy as np
from models import Problem

from peers import ABSOLUTE, Solve
from peers.segments import Segment, segments, walk
from peers.source import compiled


def prepare_method(problem: Problem, people: np.ndarray, method: str) -> Solve:
    """``solve_ivp`` with the named method, segment by segment."""
    from scipy.integrate import solve_ivp

    rhs, n = compiled(problem), len(problem.states)
    parts, starts = segments(problem), problem.starts(people)
    rhs(0.0, starts[0], people[0], np.zeros(n), np.empty(n))

    def solve(rtol: float) -> np.ndarray:
        def solve_row(start: np.ndarray, row: np.ndarray) -> np.ndarray:
            def segment(k: int, part: Segment, state: np.ndarray) -> np.ndarray:
                done = solve_ivp(
                    lambda t, y: rhs(t, y, row, part.infusion, np.empty(n)), (part.grid[0], part.grid[-1]), state,
                    method=method, rtol=rtol, atol=rtol * ABSOLUTE, t_eval=part.grid[1:],
                )  # fmt: skip
                return done.y.T if done.success else np.full((len(part.grid) - 1, n), np.nan)

            return walk(problem, parts, start, segment)

        return np.array([solve_row(start, row) for start, row in zip(starts, people, strict=True)])

    return solve

"""respine itself, behind the same two steps as its peers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from models import Problem

from peers import ABSOLUTE, Solve
from respine import engine

TITLE = "respine"
SUBJECTS = 1024


def build(problem: Problem, people: np.ndarray, *, precision: str, threads: int) -> tuple[Solve, Callable[[], dict]]:
    """``solve`` of all states with nothing cut, and ``account`` of the last run (steps, failures)."""
    options = engine.Options(precision=precision, keep_all=True)
    solver = engine.build(problem.system, outputs=problem.states, vary=problem.vary, options=options)
    schedule = problem.schedule(len(people))
    last: list[engine.Solution] = []

    def solve(rtol: float) -> np.ndarray:
        solution = solver.solve(people, schedule, problem.times, rtol=rtol, atol=rtol * ABSOLUTE, threads=threads)
        last[:] = [solution]
        return solution.values

    def account() -> dict:
        return {
            "steps": int(last[0].steps.sum()),
            "failures": len(last[0].failures),
            "settings": dict(last[0].settings),
        }

    return solve, account


def prepare(problem: Problem, people: np.ndarray, precision: str = "float64", threads: int = 1) -> Solve:
    """Machine code is made by the first call of ``solve``, or loaded from the cache folder."""
    return build(problem, people, precision=precision, threads=threads)[0]

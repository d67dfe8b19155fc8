"""The reference every solver is judged by, the error measure, and the tolerance at which a solver meets it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from models import Problem
from peers import segments
from peers.source import compiled

from respine import engine

TIGHT = 1e-11


def reference(problem: Problem, people: np.ndarray) -> np.ndarray:
    """Trajectories (subjects, times, states) by respine at 1e-11, in steps."""
    options = engine.Options(keep_all=True, linear="steps")
    solver = engine.build(problem.system, outputs=problem.states, vary=problem.vary, options=options)
    solution = solver.solve(people, problem.schedule(len(people)), problem.times, rtol=TIGHT, atol=TIGHT * 1e-3)
    if solution.failures:
        raise RuntimeError(f"no reference: {solution.failures[0]}")
    return solution.values


def independent(problem: Problem, people: np.ndarray, method: str) -> np.ndarray:
    """The same by SciPy's Radau or LSODA at 1e-11, with a right-hand side the engine never saw."""
    from scipy.integrate import solve_ivp

    rhs, n = compiled(problem), len(problem.states)
    parts = segments.segments(problem)

    def solve_row(start: np.ndarray, row: np.ndarray) -> np.ndarray:
        def segment(k: int, part: segments.Segment, state: np.ndarray) -> np.ndarray:
            done = solve_ivp(
                lambda t, y: rhs(t, y, row, part.infusion, np.empty(n)), (part.grid[0], part.grid[-1]), state,
                method=method, rtol=TIGHT, atol=TIGHT * 1e-3, t_eval=part.grid[1:],
            )  # fmt: skip
            return done.y.T

        return segments.walk(problem, parts, start, segment)

    return np.array([solve_row(s, row) for s, row in zip(problem.starts(people), people, strict=True)])


def errors(result: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Per subject the largest error over times and states, each state scaled by its largest value in that subject.

    States that nobody was ever dosed into (largest value below 1e-9 in every subject) are left out.
    """
    truth = truth[: len(result)]
    result = result[: len(truth)]
    scale = np.abs(truth).max(axis=1, keepdims=True)
    live = scale.max(axis=(0, 1)) > 1e-9
    scaled = np.abs(result - truth)[:, :, live] / np.maximum(scale[:, :, live], 1e-300)
    return np.where(np.isnan(scaled), np.inf, scaled).max(axis=(1, 2))


def tolerance_for(target: float, ladder: Mapping[float, float]) -> float:
    """Where a ladder of tolerance -> median error crosses ``target``, by log-log interpolation, else its best."""
    rungs = sorted((math.log(r), math.log(max(e, 1e-300))) for r, e in ladder.items() if math.isfinite(e) and e > 0)
    goal = math.log(target)
    for (r1, e1), (r2, e2) in pairwise(rungs):
        if e1 <= goal <= e2 and e2 > e1:
            return math.exp(r1 + (r2 - r1) * (goal - e1) / (e2 - e1))
    if not rungs:
        return math.nan
    if rungs[-1][1] < goal:
        return math.exp(rungs[-1][0])  # already too exact at the loosest rung
    return math.exp(min(rungs, key=lambda rung: rung[1])[0])

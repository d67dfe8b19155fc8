"""The dosing as segments without jumps, for solvers that know no events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from models import Problem


@dataclass(frozen=True)
class Segment:
    """``grid`` from begin to end; ``keep`` marks the points of ``grid[1:]`` to report; ``infusion`` (states,) rates."""

    grid: np.ndarray
    keep: np.ndarray
    infusion: np.ndarray
    jump: np.ndarray  # what boluses add at the begin


def segments(problem: Problem) -> list[Segment]:
    """Cut at every dose and at the end of every infusion."""
    index = {s: k for k, s in enumerate(problem.states)}
    edges = {0.0, float(problem.times[-1])}
    for _, time, _, duration in problem.doses:
        edges |= {time, time + duration}
    edges = {e for e in edges if 0 <= e <= problem.times[-1]}
    cuts = sorted(edges)
    entries = []
    for begin, end in pairwise(cuts):
        infusion, jump = np.zeros(len(index)), np.zeros(len(index))
        for state, time, amount, duration in problem.doses:
            if duration > 0 and time <= begin < time + duration - 1e-9:
                infusion[index[state]] += amount / duration
            if duration == 0 and time == begin:
                jump[index[state]] += amount
        inner = problem.times[(problem.times > begin) & (problem.times <= end)]
        grid = np.unique(np.concatenate([[begin], inner, [end]]))
        entries.append(Segment(grid, np.isin(grid[1:], problem.times), infusion, jump))
    return entries


def walk(
    problem: Problem,
    parts: list[Segment],
    start: np.ndarray,
    solve: Callable[[int, Segment, np.ndarray], np.ndarray],
) -> np.ndarray:
    """One subject's trajectory (times, states); ``solve(k, segment, state)`` gives the states at ``grid[1:]``."""
    out = np.full((len(problem.times), len(start)), np.nan)
    out[0] = state = start
    row = 1
    for k, part in enumerate(parts):
        reached = solve(k, part, state + part.jump)
        kept = reached[part.keep]
        out[row : row + len(kept)] = kept
        row += len(kept)
        state = reached[-1]
    return out

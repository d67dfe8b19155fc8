"""Solve a foreign model closely: tolerances from the model's own scales."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from respine import engine
from respine.engine.equations.specialise import specialise, start_values
from respine.engine.events.hybrid import has_switches
from respine.model.expression import num
from respine.model.system import System

ROUGH_RUNS = ((1e-5, 1e-5), (1e-6, 1e-9), (1e-8, 1e-12))  # relative tolerance, and the absolute one as a share of scale
BELOW_SCALE = 1e-3  # a state is followed down to this share of rtol times its largest value


Solve = Callable[[np.ndarray, float, Mapping[str, float]], np.ndarray]  # times, rtol, atol by state -> values


class Unsolved(Exception):
    """The engine gave up; the text is its reason."""


def trajectories(system: System, outputs: Sequence[str], times: np.ndarray, rtol: float) -> np.ndarray:
    """Values of ``outputs`` at ``times``, (n_times, n_outputs). Raises Unsolved.

    Foreign models count in anything from 1e-20 mol to 1e9 cells, so that no fixed absolute tolerance serves. A rough
    run finds the largest value of every state; the close run has an absolute tolerance of 1e-3 * rtol * that value. The
    rough run goes by each state's start value, and where that is zero by the smallest start value there is. That guess
    may be far too coarse (a step across a pole just below zero), so that a rough run that fails says nothing of the
    model: a closer one follows, and in the end the starts alone give the scale. Only the close run's failure is one.
    """
    states = [s for s in system.states if s not in outputs]
    recorded = (*outputs, *states)
    solve = _solver(system, recorded)
    scales = _start_scales(system)
    if not any(rate != num(0) for rate in system.rates.values()):  # nothing flows: no tolerance matters
        return solve(times, rtol, scales)[:, : len(outputs)]
    largest = _largest(solve, times, recorded, scales)
    scales = {s: largest[s] if 0 < largest.get(s, 0.0) < np.inf else scale for s, scale in scales.items()}
    tight = {s: max(BELOW_SCALE * rtol * scale, 1e-300) for s, scale in scales.items()}
    return solve(times, rtol, tight)[:, : len(outputs)]


def _largest(solve: Solve, times: np.ndarray, recorded: Sequence[str], scales: Mapping[str, float]) -> dict[str, float]:
    """The largest value of everything recorded in the first rough run that comes through; none if none does."""
    for rtol, share in ROUGH_RUNS:
        with contextlib.suppress(Unsolved):
            rough = solve(times, rtol, {s: share * scale for s, scale in scales.items()})
            return dict(zip(recorded, np.nanmax(np.abs(rough), axis=0, initial=0.0), strict=True))
    return {}


def _solver(system: System, outputs: Sequence[str]) -> Solve:
    """The lanes for plain systems; the event solver where there are events or jumps, or nothing moves."""
    solver = engine.build(system, outputs=outputs)
    moves = specialise(system, solver.requirements(engine.Schedule(1)), solver.setup.values).states
    plain = bool(moves) and not system.events and not has_switches(system)

    def solve(times: np.ndarray, rtol: float, atol: Mapping[str, float]) -> np.ndarray:
        solution = solver.solve(times=times, rtol=rtol, atol=atol, locate_jumps=not plain)
        if solution.failures:
            raise Unsolved(str(solution.failures[0]).partition(": ")[2])
        return solution.values[0]

    return solve


def _start_scales(system: System) -> dict[str, float]:
    """A first guess at the size of every state."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        starts = start_values(system, {**system.parameters, **system.inputs})
    sizes = {s: abs(float(v)) for s, v in starts.items()}
    usable = [v for v in sizes.values() if 0 < v < np.inf]
    smallest = min(usable, default=1.0)
    return {s: v if 0 < v < np.inf else smallest for s, v in sizes.items()}

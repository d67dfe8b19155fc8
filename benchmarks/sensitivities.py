"""What the gradients by ten parameters cost, as a multiple of plain solves: alternating, in one run.

    python benchmarks/sensitivities.py [--subjects 64] [--rounds 7] [--rtol 1e-5] [pk standin human]

All states are outputs at all times of the benchmark's problems (models.py), and both runs have the same tolerances.
The check is against central differences of tight solves, for one subject. Where corners of the equations turn, differences
across them are no slopes: those from wide and from narrow steps must agree, at a time and at its neighbours (at one of
them they may agree by chance), or they judge nothing. The share they judge is told.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.models import PROBLEMS, Problem
from respine import engine

COUNT = 10
BAR, BAR_ERROR = 7.0, 1e-6
SHIFT = 1e-2  # of a parameter, in the differences
STEPS = (2.0, 1.0, 0.5, 0.25)  # so many shifts, to both sides
NEIGHBOURS = 6
DOUBT = 1e-7  # differences that disagree by more judge nothing; a tenth of what the gradients may err by


def names_of(problem: Problem) -> tuple[str, ...]:
    """Ten parameters: those in which people differ, then others that are no round number."""
    others = [name for name, value in problem.system.parameters.items() if value not in (0.0, 1.0)]
    return tuple(dict.fromkeys([*problem.vary, *others]))[:COUNT]


def seconds(solver: engine.Solver, problem: Problem, parameters: np.ndarray, rtol: float) -> float:
    """Processor time of one solve, which a busy machine disturbs less than the clock on the wall."""
    schedule, begun = problem.schedule(len(parameters)), time.process_time()
    solution = solver.solve(parameters, schedule, problem.times, rtol=rtol, threads=1)
    assert not solution.failures, solution.failures[0]
    return time.process_time() - begun


def largest_error(problem: Problem, parameters: np.ndarray, names: tuple[str, ...], rtol: float) -> tuple[float, float]:
    """Of the gradients of one subject, relative to each state's largest gradient; and the share that differences judge."""
    solver = engine.build(problem.system, outputs=problem.states, vary=problem.vary, sensitivities=names)
    got = solver.solve(parameters[:1], problem.schedule(1), problem.times, rtol=rtol).gradients
    typical = dict(zip(problem.vary, parameters[0], strict=True))
    at = np.array([typical.get(name, problem.system.parameters[name]) for name in names])
    shifts = SHIFT * np.array([(step, -step) for step in STEPS]).ravel()
    rows = np.repeat(at[None], len(shifts) * len(names), axis=0)
    for k in range(len(names)):
        rows[len(shifts) * k : len(shifts) * (k + 1), k] += at[k] * shifts
    fixed = {name: value for name, value in typical.items() if name not in names}
    plain = engine.build(problem.system, outputs=problem.states, vary=names, fixed=fixed)
    tight = plain.solve(rows, problem.schedule(len(rows)), problem.times, rtol=1e-12).values
    worst, judged, counted = 0.0, 0, 0
    for k in range(len(names)):
        want, doubt = differences(tight[len(shifts) * k : len(shifts) * (k + 1)], at[k])
        size = np.max(np.abs(want), axis=0)
        counts = np.broadcast_to(size * abs(at[k]) > 1e-4 * np.max(np.abs(tight), axis=(0, 1)), want.shape)
        clear = counts & (doubt < DOUBT * size)
        error = np.abs(got[0, :, :, k] - want)[clear] / np.broadcast_to(size, want.shape)[clear]
        worst = max(worst, float(np.max(error, initial=0.0)))
        judged, counted = judged + int(clear.sum()), counted + int(counts.sum())
    return worst, judged / max(counted, 1)


def differences(values: np.ndarray, at: float) -> tuple[np.ndarray, np.ndarray]:
    """Slopes of sixth order from (2 * steps, times, states), and by how much wide and narrow ones disagree."""
    central = [(values[2 * j] - values[2 * j + 1]) / (2 * step * SHIFT * at) for j, step in enumerate(STEPS)]
    wide, narrow = ((64 * c - 20 * b + a) / 45 for a, b, c in (central[:3], central[1:]))
    fourth = (4 * central[3] - central[2]) / 3
    doubt = np.maximum(np.abs(narrow - wide), np.abs(narrow - fourth))
    around = np.pad(doubt, ((NEIGHBOURS, NEIGHBOURS), (0, 0)), mode="edge")
    return narrow, np.lib.stride_tricks.sliding_window_view(around, 2 * NEIGHBOURS + 1, axis=0).max(axis=-1)


def measure(problem: Problem, subjects: int, rounds: int, rtol: float) -> bool:
    """Print the figures; whether they meet the bar."""
    names, parameters = names_of(problem), problem.draw(subjects)
    plain = engine.build(problem.system, outputs=problem.states, vary=problem.vary)
    both = engine.build(problem.system, outputs=problem.states, vary=problem.vary, sensitivities=names)
    for solver in (plain, both):
        seconds(solver, problem, parameters, rtol)  # compiles
    pairs = np.array([[seconds(s, problem, parameters, rtol) for s in (plain, both)] for _ in range(rounds)])
    multiple = float(np.median(pairs[:, 1] / pairs[:, 0]))
    ms = 1e3 * np.median(pairs, axis=0) / subjects
    error, judged = largest_error(problem, parameters, names, 1e-9)
    print(f"{problem.name:8} {len(problem.states):4d} states   plain {ms[0]:8.3f} ms   with {COUNT} gradients {ms[1]:8.3f} ms   "
          f"{multiple:5.2f} plain solves   error at rtol 1e-9: {error:.1e} ({judged:.0%} judged)", flush=True)  # fmt: skip
    return multiple <= BAR and error <= BAR_ERROR


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("problems", nargs="*", help=f"of {', '.join(PROBLEMS)}; all by default")
    parser.add_argument("--subjects", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--rtol", type=float, default=1e-5)
    asked = parser.parse_args()
    unknown = [name for name in asked.problems if name not in PROBLEMS]
    if unknown:
        parser.error(f"no problem {unknown[0]}; choose from {', '.join(PROBLEMS)}")
    result = [
        measure(PROBLEMS[name](), asked.subjects, asked.rounds, asked.rtol) for name in asked.problems or PROBLEMS
    ]
    verdict = "met" if all(result) else "missed"
    print(f"bar: at most {BAR:g} plain solves and an error of {BAR_ERROR:g}; {verdict}")
    return int(not all(result))


if __name__ == "__main__":
    sys.exit(main())

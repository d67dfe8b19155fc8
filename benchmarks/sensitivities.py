"""What the gradients by ten parameters cost, as a multiple of plain solves: alternating, in one run.

    python benchmarks/sensitivities.py [--subjects 64] [--rounds 7] [--rtol 1e-5] [pk standin human]

All states are outputs at all times of the benchmark's problems (models.py), and both runs have the same tolerances.
The check is against central differences of tight solves, for one subject.
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
BAR = 7.0
SHIFT = 1e-2  # of a parameter, in the differences
STEPS = (1.0, -1.0, 0.5, -0.5, 0.25, -0.25)
DOUBT = 3e-7  # differences that disagree by more (noise, or across a corner of the equations) judge nothing


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


def largest_error(problem: Problem, parameters: np.ndarray, names: tuple[str, ...], rtol: float) -> float:
    """Of the gradients of one subject, relative to each state's largest gradient; where differences cannot tell is left out."""
    solver = engine.build(problem.system, outputs=problem.states, vary=problem.vary, sensitivities=names)
    got = solver.solve(parameters[:1], problem.schedule(1), problem.times, rtol=rtol).gradients
    typical = dict(zip(problem.vary, parameters[0], strict=True))
    at = np.array([typical.get(name, problem.system.parameters[name]) for name in names])
    rows = np.repeat(at[None], len(STEPS) * len(names), axis=0)
    for k in range(len(names)):
        rows[len(STEPS) * k : len(STEPS) * (k + 1), k] += at[k] * SHIFT * np.array(STEPS)
    fixed = {name: value for name, value in typical.items() if name not in names}
    plain = engine.build(problem.system, outputs=problem.states, vary=names, fixed=fixed)
    tight = plain.solve(rows, problem.schedule(len(rows)), problem.times, rtol=1e-12).values
    worst = 0.0
    for k in range(len(names)):
        rows_of_k = tight[len(STEPS) * k : len(STEPS) * (k + 1)]
        wide, middle, narrow = (
            (rows_of_k[j] - rows_of_k[j + 1]) / (2 * STEPS[j] * SHIFT * at[k]) for j in range(0, len(STEPS), 2)
        )
        want, doubt = (
            (64 * narrow - 20 * middle + wide) / 45,
            np.abs((4 * narrow - middle) / 3 - (4 * middle - wide) / 3),
        )
        size = np.max(np.abs(want), axis=0)
        clear = (size * abs(at[k]) > 1e-4 * np.max(np.abs(tight), axis=(0, 1))) & (doubt < DOUBT * size)
        error = np.abs(got[0, :, :, k] - want)[clear] / np.broadcast_to(size, clear.shape)[clear]
        worst = max(worst, float(np.max(error, initial=0.0)))
    return worst


def measure(problem: Problem, subjects: int, rounds: int, rtol: float) -> float:
    names, parameters = names_of(problem), problem.draw(subjects)
    plain = engine.build(problem.system, outputs=problem.states, vary=problem.vary)
    both = engine.build(problem.system, outputs=problem.states, vary=problem.vary, sensitivities=names)
    for solver in (plain, both):
        seconds(solver, problem, parameters, rtol)  # compiles
    pairs = np.array([[seconds(s, problem, parameters, rtol) for s in (plain, both)] for _ in range(rounds)])
    multiple = float(np.median(pairs[:, 1] / pairs[:, 0]))
    ms = 1e3 * np.median(pairs, axis=0) / subjects
    error = largest_error(problem, parameters, names, 1e-9)
    print(f"{problem.name:8} {len(problem.states):4d} states   plain {ms[0]:8.3f} ms   with {COUNT} gradients {ms[1]:8.3f} ms   "
          f"{multiple:5.2f} plain solves   largest error at rtol 1e-9: {error:.1e}", flush=True)  # fmt: skip
    return multiple


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
    found = [measure(PROBLEMS[name](), asked.subjects, asked.rounds, asked.rtol) for name in asked.problems or PROBLEMS]
    print(f"bar: at most {BAR:g} plain solves; {'met' if max(found) <= BAR else 'missed'}")
    return int(max(found) > BAR)


if __name__ == "__main__":
    sys.exit(main())

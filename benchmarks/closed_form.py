"""The exact path for linear systems beside a closed form written by hand in NumPy: the same people, the same times, alternating.

    python benchmarks/closed_form.py [--subjects 100000] [--rounds 5]

One tablet into two compartments, 24 samples of the concentration. Both are what a user would wait for: table to table.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

import numpy as np

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.models import PROBLEMS
from respine import engine

DOSE, TIMES = 100.0, np.linspace(0.5, 24.0, 24)


def closed_form(people: np.ndarray) -> np.ndarray:
    """Concentrations (n, 24): Gibaldi M, Perrier D, Pharmacokinetics, 2nd ed. (1982), chapter 2."""
    ka, cl, vc, q, vp = (people[:, [k]] for k in range(5))
    k10, k12, k21 = cl / vc, q / vc, q / vp
    total = k10 + k12 + k21
    alpha = (total + np.sqrt(total**2 - 4 * k10 * k21)) / 2
    beta = k10 * k21 / alpha
    share = DOSE * ka / vc
    a = share * (k21 - alpha) / ((ka - alpha) * (beta - alpha))
    b = share * (k21 - beta) / ((ka - beta) * (alpha - beta))
    return a * np.exp(-alpha * TIMES) + b * np.exp(-beta * TIMES) - (a + b) * np.exp(-ka * TIMES)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--subjects", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    problem = PROBLEMS["linear"]()
    people = problem.draw(asked.subjects)
    solver = engine.build(problem.system, outputs=["central"], vary=problem.vary)
    schedule = engine.Schedule(asked.subjects)
    schedule.dose("depot", time=0.0, amount=DOSE)
    seconds: dict[str, list[float]] = {}
    for _ in range(asked.rounds + 1):  # the first only warms up
        for threads in (1, 2):
            begun = time.perf_counter()
            solution = solver.solve(people, schedule, TIMES, threads=threads)
            result = solution["central"] / people[:, [2]]
            seconds.setdefault(f"respine, {threads} threads", []).append(time.perf_counter() - begun)
        begun = time.perf_counter()
        by_hand = closed_form(people)
        seconds.setdefault("NumPy by hand", []).append(time.perf_counter() - begun)
    known = statistics.median(seconds["NumPy by hand"][1:])
    for name, values in seconds.items():
        middle = statistics.median(values[1:])
        print(f"{name}: {1e3 * middle:.0f} ms for {asked.subjects} people, {middle / known:.1f} times NumPy by hand")
    print(f"largest difference {np.max(np.abs(result / by_hand - 1)):.1e}, {solution.settings['subjects_by']}")


if __name__ == "__main__":
    main()

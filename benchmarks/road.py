"""At least 1000 people with the whole human model, six weeks, twelve doses, under 5 s on two cores; how fast help answers.

python benchmarks/road.py            # exits with 1 if it takes longer
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
import models
from summary import machine

from respine import engine

SUBJECTS, LIMIT, RTOL, ROUNDS = 1000, 5.0, 1e-5, 3


def help_seconds() -> float:
    """`respine --help` as a user waits for it, the best of five."""
    code = "import sys; sys.argv = ['respine', '--help']; from respine.cli import main; main()"
    taken = []
    for _ in range(5):
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=True)
        taken.append(time.perf_counter() - begun)
    return min(taken)


def main() -> int:
    print(f"respine --help: {help_seconds():.2f} s")
    problem = models.human()
    people, schedule = problem.draw(SUBJECTS), problem.schedule(SUBJECTS)
    daily = np.linspace(0, problem.times[-1], 43)
    print(f"{machine()}\n{problem.title}, {SUBJECTS} people, rtol {RTOL:g}, daily outputs, 2 threads")
    slow = False
    for precision in ("float64", "float32"):
        for keep_all, words in ((True, "nothing cut, all states out"), (False, "specialised: symptom and circuit out")):
            outputs = problem.states if keep_all else ("circuit", "symptom")
            options = engine.Options(precision=precision, keep_all=keep_all)
            solver = engine.build(problem.system, outputs=outputs, vary=problem.vary, options=options)
            solver.solve(people[:16], problem.schedule(16), daily, rtol=RTOL)  # machine code
            runs = [solver.solve(people, schedule, daily, rtol=RTOL, threads=2) for _ in range(ROUNDS)]
            seconds = sorted(run.seconds for run in runs)[ROUNDS // 2]
            bad = len(runs[0].failures)
            good = seconds < LIMIT and not bad
            slow |= keep_all and not good
            steps = runs[0].steps.sum(axis=1).mean()
            verdict = "ok" if good else "TOO SLOW"
            print(f"{precision}, {words} ({runs[0].settings['equations']} equations): {seconds:.2f} s, "
                  f"{SUBJECTS / seconds:.0f} people/s, {steps:.0f} steps each, {bad} failed - {verdict}")  # fmt: skip
    return int(slow)


if __name__ == "__main__":
    sys.exit(main())

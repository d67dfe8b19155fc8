"""Cost and memory against the number of subjects, and compile times: each in a fresh process.

python benchmarks/scaling.py human 100000          # one line of JSON
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

VISITS = 8  # after the start, one a week


_COMPILE = """
import os, sys, time
os.environ["RESPINE_CACHE"] = sys.argv[2]
sys.path.insert(0, sys.argv[3])
import models
from respine import engine
problem = models.PROBLEMS[sys.argv[1]]()
schedule = problem.schedule(1)
begun = time.perf_counter()
options = engine.Options(keep_all=True)
solver = engine.build(problem.system, outputs=problem.states, vary=problem.vary, options=options)
solver.code(solver.requirements(schedule))
print(time.perf_counter() - begun)
"""


def against_population(problem: str, sizes: list[int]) -> list[dict[str, float]]:
    """Milliseconds a subject on two threads and peak memory, per precision and size; visit outputs only."""
    answer = []
    for precision in ("float64", "float32"):
        for size in sizes:
            call = [sys.executable, str(Path(__file__)), problem, str(size), precision]
            done = subprocess.run(call, capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError(done.stderr[-2000:])
            answer.append(json.loads(done.stdout.splitlines()[-1]))
            told = f"{answer[-1]['ms']:.3f} ms each, {answer[-1]['memory']:.0f} MB"
            print(f"  {problem} {precision} {size} subjects: {told}", flush=True)
    return answer


def compile_times(problem: str) -> tuple[float, float]:
    """Seconds to the float64 machine code of the whole model, in fresh processes: from nothing, and from the cache."""
    with tempfile.TemporaryDirectory() as folder:
        call = [sys.executable, "-c", _COMPILE, problem, folder, str(Path(__file__).parent)]
        cold, cached = (
            float(subprocess.run(call, capture_output=True, text=True, check=True).stdout.splitlines()[-1])
            for _ in range(2)
        )
    return cold, cached


def main() -> None:
    """What `against_population` runs: the answer as JSON."""
    sys.path.insert(0, str(Path(__file__).parent))
    import models

    from respine import engine

    name, size, precision = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    problem = models.PROBLEMS[name]()
    times = np.linspace(0, problem.times[-1], VISITS + 1)
    solver = engine.build(problem.system, outputs=problem.states[-1:], vary=problem.vary,
                          options=engine.Options(precision=precision, keep_all=True))  # fmt: skip
    solver.solve(problem.draw(64), problem.schedule(64), times, threads=2)  # machine code
    people, schedule = problem.draw(size), problem.schedule(size)
    begun = time.perf_counter()
    solution = solver.solve(people, schedule, times, threads=2)
    seconds = time.perf_counter() - begun
    answer = {"precision": precision, "subjects": size, "ms": seconds / size * 1e3, "failures": len(solution.failures),
              "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}  # fmt: skip
    print(json.dumps(answer))


if __name__ == "__main__":
    main()

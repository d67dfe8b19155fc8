"""The whole run beside its engine: time, memory and disk from 10^3 to 10^6 people, each size in a process of its own.

    python benchmarks/run.py                                 # murrough-2013, 10^3 to 10^5 people, both precisions
    python benchmarks/run.py --people 1000000 --six-weeks    # the full human model, six weeks, weekly visits

The engine's own time is that of solving the same people, shard by shard, with the same threads, on the clock and in seconds of
processor. On a machine that others use, the seconds of processor are the steadier figures.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ENGINE_PEOPLE = 20_000  # from which the engine's own time is taken
COLUMNS = ("study", "precision", "people", "seconds", "cpu", "per_person_us", "engine_us", "ratio", "cpu_us", "engine_cpu_us",
           "cpu_ratio", "peak_mb", "disk_mb", "load")  # fmt: skip


def six_weeks() -> Any:
    """The trial of murrough-2013 with weekly visits for six weeks and weekly infusions."""
    from respine import study

    base = study.load("murrough-2013")
    weeks = [f"{7 * k} d" for k in range(7)]
    endpoint = {"name": "change-6wk", "of": "MADRS", "kind": "change", "at": "42 d"}
    arms = {
        name: arm.to_dict() | {"doses": [dose.to_dict() | {"at": weeks[:-1]} for dose in arm.doses]}
        for name, arm in base.arms.items()
    }
    data = base.to_dict() | {
        "visits": weeks,
        "endpoints": [endpoint],
        "arms": arms,
        "name": "six-weeks",
        "compare": None,
    }
    return study.Study(**{name: value for name, value in data.items() if value is not None})


def measure(people: int, precision: str, weeks: bool, threads: int) -> dict[str, Any]:
    """One run of so many people of all arms; run in a process of its own."""
    from respine import run
    from respine.run import machine

    study = six_weeks() if weeks else "murrough-2013"
    plan = run.plan(study, subjects=max(1, people // 2), precision=precision, threads=threads)
    few = range(min(64, plan.study.subjects))
    for arm in plan.protocol.arms.values():  # machine code is made beforehand
        arm.solve(plan.people_of(arm.name, few), plan.outputs, plan.times, vary=plan.vary, precision=precision)
    with tempfile.TemporaryDirectory() as folder:
        began, cpu = time.perf_counter(), time.process_time()
        run.execute(plan, Path(folder) / "run")
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        disk = sum(file.stat().st_size for file in (Path(folder) / "run").rglob("*")) / 1e6
    peak = machine.peak_memory()
    count, wall, core = 0, 0.0, 0.0
    for shard in plan.in_turn():
        if count >= ENGINE_PEOPLE:
            break
        arm, who = plan.protocol.arm(shard.arm), plan.people_of(shard.arm, shard.people)
        parameters, schedule = arm.parameters(who, plan.vary), arm.schedule(who)
        solver = plan.protocol.solver(plan.outputs, plan.vary, precision=precision)
        at, of_core = time.perf_counter(), time.process_time()
        solver.solve(parameters, schedule, plan.times, start=plan.protocol.begin, rtol=1e-5, threads=threads)
        wall, core, count = wall + time.perf_counter() - at, core + time.process_time() - of_core, count + len(who)
    each = plan.people
    return {
        "study": plan.study.name, "precision": precision, "people": each, "seconds": round(seconds, 2), "cpu": round(cpu, 2),
        "per_person_us": round(seconds / each * 1e6, 1), "engine_us": round(wall / count * 1e6, 1),
        "ratio": round(seconds / each / (wall / count), 2), "cpu_us": round(cpu / each * 1e6, 1),
        "engine_cpu_us": round(core / count * 1e6, 1), "cpu_ratio": round(cpu / each / (core / count), 2),
        "peak_mb": round(peak), "disk_mb": round(disk, 1), "load": round(os.getloadavg()[0], 1),
    }  # fmt: skip


def main() -> None:
    """Measure every size, print the table, write it where asked."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--people", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    words.add_argument("--precision", nargs="+", default=["float64", "float32"])
    words.add_argument("--six-weeks", action="store_true")
    words.add_argument("--threads", type=int, default=2)
    words.add_argument("--out", type=Path)
    words.add_argument("--child", help=argparse.SUPPRESS)
    given = words.parse_args()
    if given.child:
        print(json.dumps(measure(**json.loads(given.child))))
        return
    rows = []
    for precision in given.precision:
        for people in given.people:
            asked = {"people": people, "precision": precision, "weeks": given.six_weeks, "threads": given.threads}
            done = subprocess.run(
                [sys.executable, __file__, "--child", json.dumps(asked)], check=True, capture_output=True, text=True
            )
            rows.append(json.loads(done.stdout.splitlines()[-1]))
            print("  ".join(f"{name} {rows[-1][name]}" for name in COLUMNS), flush=True)
    if given.out:
        with given.out.open("w", newline="") as file:
            table = csv.DictWriter(file, COLUMNS)
            table.writeheader()
            table.writerows(rows)


if __name__ == "__main__":
    main()

"""Kill a run of 200 shards at random moments, resume it each time, and compare its tables with those of an unbroken run.

    python -m tests.run.kills 50 --way local      # or array, cluster

A study with a tiny system, so that the kills fall between, into and after shards, not into the start of Python.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from respine import run
from respine.run import log
from respine.run.plan import Plan
from respine.run.work import Executor
from tests.run.tiny import tiny_system
from tests.trial.stand_ins import STUDY, small_study

TABLES = ("subjects", "visits", "doses", "endpoints", "chain", "failures", "scores", "trajectories")
SHARDS = 200
LONGEST = 0.8  # seconds of work between two kills


def plan(folder: Path, threads: int) -> Plan:
    """2 arms of 2500 people in shards of 25."""
    return run.plan(small_study(folder, STUDY), subjects=2500, system=tiny_system(), shard=25, threads=threads)


def child(folder: Path, way: str) -> None:
    """The process that is killed."""
    made = plan(folder, 2)
    on: Executor | None = None
    if way == "cluster":
        from respine.run.cluster import Cluster

        on = Cluster("local:2")
    print("ready", flush=True)
    if way == "array":
        for part in (1, 2, 3):
            run.run_part(made, folder / "run", part, 3)
    run.execute(made, folder / "run", resume=True, executor=on)


def kill_and_resume(folder: Path, kills: int, way: str, seed: int) -> dict[str, int]:
    """Carry a run out in spite of ``kills``; further runs where one ends before. What happened, in numbers.

    Raises AssertionError where a table differs from the unbroken run's or a shard was computed twice.
    """
    draws, told = random.Random(seed), {"kills": 0, "runs": 0, "shards": 0}
    whole = folder / "whole"
    run.execute(plan(folder, 2), whole)
    wanted = {name: (whole / f"{name}.parquet").read_bytes() for name in TABLES}
    while told["kills"] < kills:
        here = folder / f"{told['runs']:03d}"
        here.mkdir()
        while True:
            command = [sys.executable, "-m", "tests.run.kills", "--child", str(here), "--way", way]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
                assert process.stdout is not None and process.stdout.readline() == "ready\n"
                ends = told["kills"] >= kills
                try:
                    process.wait(timeout=None if ends else draws.uniform(0, LONGEST))
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGKILL)
                    told["kills"] += 1
                    continue
            assert process.returncode == 0
            break
        told["runs"] += 1
        names = [line["shard"] for line in log.read(here / "run") if line["event"] == "shard"]
        assert len(names) == len(set(names)) <= SHARDS, "a shard was computed twice"
        told["shards"] += len(names)
        for name in TABLES:
            assert (here / "run" / f"{name}.parquet").read_bytes() == wanted[name], name
    return told


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("kills", nargs="?", type=int, default=50)
    words.add_argument("--way", choices=("local", "array", "cluster"), default="local")
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--child", type=Path)
    given = words.parse_args()
    if given.child is not None:
        child(given.child, given.way)
        return
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        told = kill_and_resume(Path(folder), given.kills, given.way, given.seed)
    print(f"{given.way}: {told}, identical tables, no shard twice; {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()

"""Runs that are killed and fought over: whatever happens, the tables of the finished run are the same to the bit.

    python -m tests.kill_runs --kills 100 --contests 50     # counts; exit code 1 where anything differs

All by the command line and the tables a user sees. A kill is SIGKILL at a random moment of a run (also while it starts, while
tables are joined and while the report is written); the run then goes on with ``--resume``, often to be killed again. A contest
holds one run still in the middle, asks a second one to go on in its folder, and looks whether that one was refused and
touched nothing; then the first may end.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

MODEL = (
    "central' = -CL/V*central\ndepot' = -ka*depot\ncentral = 0\ndepot = 0\nCL = 5\nV = 40\nka = 1\nlevel := central/V\n"
)
STUDY = """\
schema: respine/study/1
name: killed
title: A run that is killed again and again
model: own.ant
subjects: {people}
seed: 5
covariates: {{}}
arms:
{arms}
visits: [0 h, 6 h, 24 h]
record: [level]
endpoints:
  - {{name: peak, of: level, kind: peak}}
"""
ARM = "  dose-{k}: {{doses: [{{into: central, amount: {k}0 mg, at: [0 h, 8 h, 16 h]}}]}}"
LIMIT_S = 600.0  # a run that is not over by then hangs


@dataclass
class Tally:
    """What was done, and what went wrong."""

    kills: int = 0
    contests: int = 0
    faults: list[str] = field(default_factory=list)


def write_study(folder: Path, people: int = 40, arms: int = 12) -> Path:
    """A study of many small parts with a model of its own."""
    (folder / "own.ant").write_text(MODEL, encoding="utf-8")
    text = STUDY.format(people=people, arms="\n".join(ARM.format(k=k) for k in range(1, arms + 1)))
    study = folder / "study.yaml"
    study.write_text(text, encoding="utf-8")
    return study


def start(study: Path, out: Path) -> subprocess.Popen[str]:
    """``respine run`` as a user starts it, in a process group of its own."""
    words = ["run", str(study), "--out", str(out), "--threads", "1", "--quiet"]
    words += ["--resume"] if out.exists() else []
    return subprocess.Popen(
        [sys.executable, "-m", "respine.cli", *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip


def finish(study: Path, out: Path) -> str:
    """Let a run end; what it says where it does not end well."""
    process = start(study, out)
    _, said = process.communicate(timeout=LIMIT_S)
    return "" if process.returncode == 0 else f"exit code {process.returncode}: {said[-500:]}"


def tables(out: Path) -> dict[str, str]:
    """SHA-256 of every table of a finished run."""
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(out.glob("*.parquet"))}


def contents(out: Path) -> dict[str, tuple[int, int, int]]:
    """Every file and folder with its number, size and time of change."""
    entries = {}
    for path in sorted(out.rglob("*")):
        facts = path.lstat()
        entries[str(path.relative_to(out))] = (facts.st_ino, facts.st_size if path.is_file() else 0, facts.st_mtime_ns)
    return entries


def kill(process: subprocess.Popen[str], after: float) -> bool:
    """SIGKILL to a run and all it started, unless it ended before."""
    try:
        process.wait(timeout=after)
        ended = True
    except subprocess.TimeoutExpired:
        ended = False
    if not ended:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return not ended


def killed_runs(study: Path, folder: Path, whole: dict[str, str], seconds: float, most: int, rng: random.Random,
                tally: Tally) -> None:  # fmt: skip
    """Runs that are killed up to six times each, until ``most`` were."""
    number = 0
    while tally.kills < most:
        out = folder / f"killed-{number}"
        number += 1
        for _ in range(rng.randint(1, 6)):
            if tally.kills < most and kill(start(study, out), rng.uniform(0.3, 1.1) * seconds):
                tally.kills += 1
        said = finish(study, out)
        got = tables(out)
        if said or got != whole:
            different = [name for name in whole if got.get(name) != whole[name]]
            tally.faults.append(f"{out.name}: {said or 'other tables: ' + ', '.join(different)}")


def contested_runs(study: Path, folder: Path, whole: dict[str, str], seconds: float, most: int, rng: random.Random,
                   tally: Tally) -> None:  # fmt: skip
    """Runs held still while another is asked to go on in their folder."""
    number = 0
    while tally.contests < most:
        out = folder / f"contested-{number}"
        number += 1
        first = start(study, out)
        deadline = time.monotonic() + LIMIT_S
        while not (out / "manifest.json").exists() and first.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.15) * seconds)
        if first.poll() is not None:  # it was over before it could be stopped
            first.communicate()
            continue
        os.killpg(first.pid, signal.SIGSTOP)
        try:
            time.sleep(0.05)
            before = contents(out)
            second = start(study, out)
            _, said = second.communicate(timeout=LIMIT_S)
            after = contents(out)
        finally:
            os.killpg(first.pid, signal.SIGCONT)
        finished_already = second.returncode == 0  # the first was at its report: no contest, its tables are there
        tally.contests += not finished_already
        if second.returncode not in (0, 2) or (second.returncode == 2 and after != before):
            touched = sorted(set(before.items()) ^ set(after.items()))[:4]
            tally.faults.append(
                f"{out.name}: the second ended with {second.returncode}, touched {touched}: {said[-300:]}"
            )
        _, said = first.communicate(timeout=LIMIT_S)
        if first.returncode != 0 and not finished_already:
            tally.faults.append(f"{out.name}: the first ended with {first.returncode}: {said[-500:]}")
        if (got := tables(out)) != whole:
            tally.faults.append(f"{out.name}: other tables: {[name for name in whole if got.get(name) != whole[name]]}")


def run(kills: int, contests: int, *, seed: int = 1, people: int = 40, arms: int = 12, progress: bool = False) -> Tally:
    """Kill and contest so often. The first run, undisturbed, says what is right and how long it takes."""
    tally, rng = Tally(), random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        study = write_study(folder, people, arms)
        for again in ("warm", "whole"):  # the first compiles
            begun = time.monotonic()
            if said := finish(study, folder / again):
                tally.faults.append(f"an undisturbed run: {said}")
                return tally
            seconds = time.monotonic() - begun
        whole = tables(folder / "whole")
        if not whole or whole != tables(folder / "warm"):
            tally.faults.append("two undisturbed runs differ")
        while tally.kills < kills or tally.contests < contests:
            killed_runs(study, folder, whole, seconds, min(kills, tally.kills + 10), rng, tally)
            contested_runs(study, folder, whole, seconds, min(contests, tally.contests + 5), rng, tally)
            if progress:
                print(
                    f"{tally.kills} kills, {tally.contests} contests, {len(tally.faults)} faults",
                    flush=True,
                )
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--contests", type=int, default=50)
    parser.add_argument("--people", type=int, default=40, help="people an arm")
    parser.add_argument("--arms", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    tally = run(given.kills, given.contests, seed=given.seed, people=given.people, arms=given.arms, progress=True)
    print("\n".join(tally.faults))
    print(f"{tally.kills} kills, {tally.contests} contested resumes, {len(tally.faults)} faults")
    return 1 if tally.faults else 0


if __name__ == "__main__":
    sys.exit(main())

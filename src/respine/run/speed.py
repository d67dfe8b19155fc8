"""What a run costs: a usual value at first, then what the last runs on this machine took. For estimates alone."""

from __future__ import annotations

import contextlib
import json
import math
from dataclasses import dataclass

from respine.files import store
from respine.run import machine
from respine.run.summary import EXACT_PEOPLE, GROUPS

USUAL = 4e-9  # seconds of one core per person, equation and unit of time; the human model, 2020s server cores
PERSON = 6e-5  # seconds of one core per person besides: drawn, observed, written, put together
SLOWEST, FASTEST = 50.0, 0.02  # times the usual: beyond, something else was measured than this machine
WORTH_KEEPING = 2e6  # units of work from which a run says something about speed
NAME = "speed-2.json"
FIXED_SECONDS = 3.0  # tables and report
ARM_SECONDS = 0.5  # fetching the machine code and putting an arm together
COMPILE_SECONDS = 0.5  # of an arm whose machine code is not kept yet, and of each of its equations
COMPILE_EQUATION = 0.015
FIXED_MEMORY = 420.0  # MB: Python, the libraries, the compiler


@dataclass(frozen=True)
class Cost:
    """Estimates: ``seconds``, of them ``compiling``; MB of ``disk``, of ``memory``, and of parts until the end (``passing``)."""

    seconds: float
    compiling: float
    disk: float
    memory: float
    passing: float


def estimate(
    *, people: int, arms: int, work: float, numbers: int, columns: int, scores: int, shard: int, keep: int, workers: int,
    shards: int, compiling: float = 0.0,
) -> Cost:  # fmt: skip
    """What a run costs.

    ``people`` of all arms, ``work`` as in ``plan``, ``numbers`` of a person's trajectories, ``columns`` of the table of
    people, ``scores`` of a person, people of a ``shard``, people whose trajectories are kept, ``workers`` at once,
    seconds of ``compiling``.
    """
    at_once = min(workers, shards)
    core = work * seconds_per_unit() + people * PERSON
    disk = people * (2.4 * columns + 10 * scores + 60) + keep * numbers * 6
    memory = at_once * shard * (numbers * 8 * 1.6 + columns * 40 + scores * 120) + people * scores * 10
    seconds = FIXED_SECONDS + ARM_SECONDS * arms + compiling + core / workers
    groups = min(shard, GROUPS if people > EXACT_PEOPLE * arms else shard)
    passing = people * (3.2 * columns + 10 * scores + 60) + shards * numbers * 4 * groups
    return Cost(seconds, compiling, disk / 1e6, FIXED_MEMORY + memory / 1e6, passing / 1e6)


def seconds_per_unit() -> float:
    """Seconds of one core for one unit of work (see ``plan``), as last measured here."""
    with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
        seconds = float(json.loads(store.read_kept(NAME) or b"{}")["seconds_per_unit"])
        if FASTEST * USUAL <= seconds <= SLOWEST * USUAL:
            return seconds
    return USUAL


def remember(work: float, seconds: float, threads: int, people: int = 0) -> None:
    """Keep what a run took, mixed with what was known. Without a writable cache folder nothing is kept."""
    cores = min(threads, machine.cores())
    if work < WORTH_KEEPING or not 0 < seconds < math.inf:
        return
    measured = min(max((seconds * cores - people * PERSON) / work, FASTEST * USUAL), SLOWEST * USUAL)
    mixed = math.sqrt(measured * seconds_per_unit())  # one run beside a busy neighbour does not decide alone
    store.write_kept(NAME, json.dumps({"seconds_per_unit": mixed}).encode())


def duration_text(seconds: float) -> str:
    """``12 s``, ``3 min``, ``5 h`` or ``2 d``: as much as an estimate can say."""
    for least, unit, size in ((172_800, "d", 86_400), (5400, "h", 3600), (100, "min", 60)):
        if seconds >= least:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(1, round(seconds))} s"

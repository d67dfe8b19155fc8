"""How fast this machine simulates: a usual value at first, then what its last runs took. For estimates alone."""

from __future__ import annotations

import contextlib
import json
import math
import os

from respine.files import store

USUAL = 1.6e-7  # seconds of one core per person, equation and unit of time; the human model, 2020s server cores
SLOWEST, FASTEST = 50.0, 0.02  # times the usual: beyond, something else was measured than this machine
WORTH_KEEPING = 2e6  # units of work from which a run says something about speed
NAME = "speed.json"


def seconds_per_unit() -> float:
    """Seconds of one core for one unit of work (see ``plan``), as last measured here."""
    with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
        found = float(json.loads(store.read_kept(NAME) or b"{}")["seconds_per_unit"])
        if FASTEST * USUAL <= found <= SLOWEST * USUAL:
            return found
    return USUAL


def remember(work: float, seconds: float, threads: int) -> None:
    """Keep what a run took, mixed with what was known. Without a writable cache folder nothing is kept."""
    cores = min(threads, os.cpu_count() or 1)
    if work < WORTH_KEEPING or not 0 < seconds < math.inf:
        return
    measured = min(max(seconds * cores / work, FASTEST * USUAL), SLOWEST * USUAL)
    mixed = math.sqrt(measured * seconds_per_unit())  # one run beside a busy neighbour does not decide alone
    store.write_kept(NAME, json.dumps({"seconds_per_unit": mixed}).encode())


def words(seconds: float) -> str:
    """``12 s``, ``3 min``, ``5 h`` or ``2 d``: as much as an estimate can say."""
    for least, unit, size in ((172_800, "d", 86_400), (5400, "h", 3600), (100, "min", 60)):
        if seconds >= least:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(1, round(seconds))} s"

"""How a study is carried out: plan, shards, folder, results, resume."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from respine.library import Library
from respine.protocol import Protocol
from respine.run.array import collect, part_of, run_part
from respine.run.budget import Budget
from respine.run.execute import Preempted, Stopped, execute, free_folder
from respine.run.inspect import Status, Verified, plan_of, repair, status, verify
from respine.run.plan import Plan, Shard, plan
from respine.run.results import Results, load
from respine.run.sweep import Axis, Sweep, sweep
from respine.study.schema import Study


def simulate(
    study: Protocol | Study | str | Path, folder: str | Path | None = None, *, subjects: int | None = None,
    seed: int | None = None, threads: int | None = None, resume: bool = False,
    progress: Callable[[int, int], None] | None = None, library: Library | None = None,
) -> Results:  # fmt: skip
    """Simulate a study (a name of the library, a file, a Study or a Protocol) and compare it with what was published.

    ``subjects`` per arm and ``seed`` replace the study's; ``folder`` is the run folder (default ``runs/NAME-xxxx``);
    ``resume`` goes on with a run that was stopped. Raises InputError for a study or folder that cannot be used.
    """
    made = plan(study, subjects=subjects, seed=seed, threads=threads, library=library)
    where = free_folder(made) if folder is None else folder
    return execute(made, where, resume=resume, threads=threads, progress=progress)


__all__ = [
    "Axis",
    "Budget",
    "Plan",
    "Preempted",
    "Results",
    "Shard",
    "Status",
    "Stopped",
    "Sweep",
    "Verified",
    "collect",
    "execute",
    "free_folder",
    "load",
    "part_of",
    "plan",
    "plan_of",
    "repair",
    "run_part",
    "simulate",
    "status",
    "sweep",
    "verify",
]

"""How a study is carried out: plan, shards, folder, results, resume."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from respine.library import Library
from respine.protocol import Protocol
from respine.run.execute import Stopped, execute, free_folder
from respine.run.plan import Plan, Shard, plan
from respine.run.results import Results, load
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
    "Plan",
    "Results",
    "Shard",
    "Stopped",
    "execute",
    "free_folder",
    "load",
    "plan",
    "protocol",
]

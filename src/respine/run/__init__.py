"""How a study is carried out: plan, shards, folder, results, resume.

The room can be called: ``respine.run("murrough-2013")`` plans and executes in one step.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from respine.run.execute import Stopped, execute, free_folder
from respine.run.plan import Plan, Shard, plan
from respine.run.results import Results, load
from respine.study.schema import Study


def run(
    study: Study | str | Path, out: str | Path | None = None, subjects: int | None = None, seed: int | None = None, *,
    threads: int | None = None, resume: bool = False, progress: Callable[[int, int], None] | None = None,
) -> Results:  # fmt: skip
    """Simulate a study (a name of the library, a file, or a loaded study) and compare it with what was published.

    ``subjects`` per arm and ``seed`` replace the study's; ``out`` is the run folder (default ``runs/NAME-xxxx``);
    ``resume`` goes on with a run that was stopped. Raises InputError for a study or folder that cannot be used.
    """
    made = plan(study, subjects=subjects, seed=seed, threads=threads)
    return execute(made, free_folder(made) if out is None else out, resume=resume, threads=threads, progress=progress)


class _Room(ModuleType):
    """``respine.run`` is both this room and the function users know by that name."""

    def __call__(self, *args: Any, **kwargs: Any) -> Results:
        return run(*args, **kwargs)


sys.modules[__name__].__class__ = _Room

__all__ = ["Plan", "Results", "Shard", "Stopped", "execute", "free_folder", "load", "plan", "run"]

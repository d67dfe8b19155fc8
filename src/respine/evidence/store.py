"""Results kept in the user's cache folder: each study is simulated once for the same study, science and code."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from respine.files import store
from respine.library import BUILT_IN
from respine.protocol import resolve
from respine.protocol.protocol import CODE
from respine.run import Results, execute, manifest, plan
from respine.study.schema import Study

KEEP = 8  # results of one study with different science, code, numbers of people or trials of a pool
Progress = Callable[[int, int], None]


def folder() -> Path:
    """Where kept results and unfinished runs lie."""
    return store.cache_folder() / "evidence"


def key(*parts: str) -> str:
    """A digest of the science, the code and everything named in ``parts``."""
    science = BUILT_IN.fingerprint(without=("studies", "evidence", "recipes", "scenes"))
    return store.fingerprint(science, store.code_fingerprint(*CODE, "published", "run", "evidence"), *parts)[:20]


def study_text(study: Study) -> str:
    """What decides the results of a study: the fingerprint of its protocol."""
    return resolve(study).fingerprint


def read(name: str, digest: str) -> Any:
    """What was kept under a name and digest, or None."""
    with contextlib.suppress(OSError, ValueError):
        return json.loads((folder() / f"{name}.{digest}.json").read_text(encoding="utf-8"))
    return None


def write(name: str, digest: str, value: Any) -> None:
    """Keep a value; without a writable folder nothing is kept. Older results of the same name go."""
    with contextlib.suppress(OSError):
        folder().mkdir(parents=True, exist_ok=True)
        store.write_json(folder() / f"{name}.{digest}.json", value)
        old = sorted(folder().glob(f"{name}.????????????????????.json"), key=lambda file: file.stat().st_mtime)
        for file in old[:-KEEP]:
            file.unlink(missing_ok=True)


def simulate(study: Study, subjects: int, threads: int | None = None, progress: Progress | None = None) -> Results:
    """Run a study into the cache folder; a run that was stopped goes on where it was. Raises InputError.

    The caller takes what it needs and calls ``forget``: trajectories are too large to keep.
    """
    made = plan(study, subjects=subjects, threads=threads)
    place = work_folder(made.study)
    place.parent.mkdir(parents=True, exist_ok=True)
    return execute(made, place, resume=(place / manifest.NAME).exists(), threads=threads, progress=progress)


def work_folder(study: Study) -> Path:
    """Where a study is being run."""
    return folder() / "runs" / f"{study.name}-{key(study_text(study), str(study.subjects))}"


def forget(results: Results) -> None:
    """Remove a run from the cache folder once everything was taken from it."""
    shutil.rmtree(results.folder, ignore_errors=True)

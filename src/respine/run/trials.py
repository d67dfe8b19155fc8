"""Simulated trials kept in a folder: made in parts, stopped and gone on with at any part, read again as one.

``trials.json`` says what was asked; ``parts/0000025.npz`` holds the trials from number 25 on. What decides the numbers is the
protocol, the sizes and whether parameters are typical; how many trials there are decides none, so that more can be added later.
"""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from respine.errors import InputError, Problem, argument
from respine.files import store
from respine.protocol import Protocol, resolve
from respine.run.execute import Stopped
from respine.run.folder import refuse_links, study_of
from respine.trial.replicates.trials import Trials, simulate_trials, sizes_of

NAME = "trials.json"
PARTS = "parts"
FORMAT = "respine/trials/1"
PART = 25  # trials of a part: what a stop loses at most

Progress = Callable[[int, int], None]


def facts_of(protocol: Protocol, n: int | Mapping[str, int] | None, typical: bool) -> dict[str, Any]:
    """What a folder of trials says of itself. Raises InputError for a study that says nothing of its size."""
    study = protocol.study
    return {
        "format": FORMAT, "protocol": protocol.fingerprint, "n": sizes_of(study, n), "typical": typical,
        "study": study.to_dict(), "study_file": str(study.file or ""), "study_text": study.text, "name": study.name,
    }  # fmt: skip


def short_name(facts: Mapping[str, Any]) -> str:
    """Name of a folder of trials: the study and four letters of what was asked."""
    asked = [facts["protocol"], facts["n"], facts["typical"]]
    return f"{facts['name']}-trials-{store.fingerprint(json.dumps(asked, sort_keys=True))[:4]}"


def simulate_into(
    out: str | Path, protocol: Protocol, replicates: int, n: int | Mapping[str, int] | None = None, *, typical: bool = False,
    resume: bool = False, seconds: float = float("inf"), threads: int | None = None, progress: Progress | None = None,
) -> int:  # fmt: skip
    """Simulate trials into a folder; returns how many lie there now, fewer than ``replicates`` where ``seconds`` were used up.

    ``resume`` goes on with a folder of the same trials, also to a greater number. Raises InputError for a folder of other
    trials and Stopped, with what was finished, where it is interrupted.
    """
    folder, facts = Path(out), facts_of(protocol, n, typical)
    _prepare(folder, facts, resume)
    began, longest, made = time.monotonic(), 0.0, 0
    total = replicates * sum(facts["n"].values())
    try:
        for first in range(0, replicates, PART):
            count = min(PART, replicates - first)
            if _held(folder, first) < count:
                if made and time.monotonic() - began + longest > seconds:
                    return first
                before = time.monotonic()
                trials = simulate_trials(protocol, count, n, first=first, typical=typical, threads=threads)
                store.write_bytes(_part(folder, first), _encode(trials))
                longest, made = max(longest, time.monotonic() - before) if made else 0.0, made + 1
            if progress is not None:
                progress((first + count) * sum(facts["n"].values()), total)
    except KeyboardInterrupt as stopped:
        done = sum(1 for first in range(0, replicates, PART) if _held(folder, first))
        raise Stopped(done, -(-replicates // PART), folder, getattr(stopped, "signal", None)) from None
    return replicates


def _prepare(folder: Path, facts: Mapping[str, Any], resume: bool) -> None:
    refuse_links(folder)
    file = folder / NAME
    if file.exists():
        there = _facts(folder)
        changed = [name for name in ("protocol", "n", "typical") if there.get(name) != facts[name]]
        if changed:
            why = f"Other trials lie in this folder: {', '.join(changed)} differ."
            raise InputError(Problem(str(folder), "{folder}", "", why, "Choose another {folder}.", ("folder",)))
        if not resume:
            why = "These trials lie in this folder already."
            cure = "Go on with them by {resume}, or choose another {folder}."
            raise InputError(Problem(str(folder), "{folder}", "", why, cure, ("resume", "folder")))
    elif folder.exists() and any(folder.iterdir()):
        why = "The folder holds other files."
        raise InputError(Problem(str(folder), "{folder}", "", why, "Choose another {folder}.", ("folder",)))
    (folder / PARTS).mkdir(parents=True, exist_ok=True)
    store.write_json(file, dict(facts))


def _facts(folder: Path) -> dict[str, Any]:
    try:
        facts = json.loads((folder / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        facts = None
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise InputError(Problem(str(folder), NAME, "", "This folder holds no simulated trials that can be read.",
                                 "Name a folder that `respine trials` wrote."))  # fmt: skip
    return facts


def _part(folder: Path, first: int) -> Path:
    return folder / PARTS / f"{first:07d}.npz"


def _arrays(trials: Trials) -> Iterator[tuple[str, np.ndarray]]:
    for name in ("subject", "arm", "times", "belief", "felt", "seen"):
        yield name, getattr(trials, name)
    if trials.strata is not None:
        yield "strata", trials.strata
    for group in ("scores", "true", "events"):
        for name, values in getattr(trials, group).items():
            yield f"{group}/{name}", values


def _encode(trials: Trials) -> bytes:
    sink = io.BytesIO()
    np.savez_compressed(sink, failed=np.array(trials.failed), **dict(_arrays(trials)))  # type: ignore[arg-type]
    return sink.getvalue()


def _held(folder: Path, first: int) -> int:
    """How many trials a part holds; 0 for one that is missing or damaged, which is made again."""
    try:
        with np.load(_part(folder, first)) as part:
            return len(part["subject"]) if not zipfile.ZipFile(_part(folder, first)).testzip() else 0
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return 0


def load_trials(folder: str | Path) -> Trials:
    """The trials that lie in a folder, all of them as one. Raises InputError for a folder without any."""
    path = Path(folder)
    refuse_links(path)
    facts = _facts(path)
    protocol = resolve(study_of(path, facts))
    parts: list[dict[str, np.ndarray]] = []
    while held := _held(path, first := len(parts) * PART):
        with np.load(_part(path, first)) as arrays:
            parts.append({name: arrays[name] for name in arrays.files})
        if held < PART:
            break
    if not parts:
        raise InputError(argument("folder", str(path), "No part of these trials is finished.", "Simulate them first."))
    whole = {
        name: np.concatenate([part[name] for part in parts]) for name in parts[0] if name not in ("times", "failed")
    }
    groups = {group: {name.partition("/")[2]: values for name, values in whole.items() if name.startswith(f"{group}/")}
              for group in ("scores", "true", "events")}  # fmt: skip
    return Trials(
        protocol, tuple(facts["n"]), facts["typical"], 0, whole["subject"], whole["arm"], parts[0]["times"],
        groups["scores"], groups["true"], whole["belief"], whole["felt"], groups["events"], whole["seen"],
        whole.get("strata"), int(sum(int(part["failed"]) for part in parts)),
    )  # fmt: skip

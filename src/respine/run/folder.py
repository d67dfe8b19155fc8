"""The one reader of run folders: what the manifest says, and the study as it was run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from respine.errors import InputError, Problem
from respine.files import store
from respine.library import BUILT_IN, Library
from respine.run import manifest
from respine.study import own_library
from respine.study.schema import Origin, Study

TABLES = ("subjects", "visits", "doses", "endpoints", "chain", "failures")
"""Tables that every finished run has."""

LOCK = ".lock"


@dataclass(frozen=True)
class RunFolder:
    """A run folder that was read: its manifest and the study it was made from, whatever became of the study's file."""

    folder: Path
    facts: dict[str, Any]
    study: Study


def read_finished(path: str | Path) -> RunFolder:
    """A finished run whose tables are those it wrote. Raises InputError for any other folder."""
    folder = Path(path)
    refuse_links(folder)
    facts = manifest.read(folder)
    if facts["state"] != "complete":
        why = "The run in this folder has not ended."
        raise InputError(
            Problem(str(folder), "state", str(facts["state"]), why, "Finish it with {resume}.", ("resume",))
        )
    missing = [name for name in TABLES if f"{name}.parquet" not in facts["files"]]
    if missing:
        why = f"The manifest has no checksum of {', '.join(missing)}."
        raise InputError(Problem(str(folder), "files", "", why, "Resume the run: what is missing is made again."))
    altered = [name for name, digest in facts["files"].items() if store.file_sha256(folder / name) != digest]
    if altered:
        why = "These tables are not those the run wrote: their checksums differ from the manifest."
        cure = "Resume the run: what does not match is made again."
        raise InputError(*(Problem(str(folder / name), "checksum", name, why, cure) for name in altered))
    return RunFolder(folder, facts, study_of(folder, facts))


def refuse_links(out: Path) -> None:
    """Raise InputError for links in the folder of a run: following them would read or write files of others."""
    names = [out, out / "shards"]
    linked = [path for folder in names for path in (folder.iterdir() if folder.is_dir() else ()) if path.is_symlink()]
    if linked:
        why = "This is a link. A run reads and writes nothing outside its own folder."
        cure = "Remove the link, or choose another {folder}."
        raise InputError(*(Problem(str(path), "{folder}", path.name, why, cure, ("folder",)) for path in linked[:10]))


def study_of(folder: Path, facts: Mapping[str, Any]) -> Study:
    """The study as it was run, from the manifest alone. Raises InputError where the manifest holds none."""
    from pydantic import ValidationError

    written = facts.get("study")
    try:
        study = Study.model_validate(written)
    except ValidationError:
        why = "The manifest holds no study this version can read."
        raise InputError(Problem(str(folder / manifest.NAME), "study", "", why, "Run the study again.")) from None
    file = Path(str(facts.get("study_file") or ""))
    study._origin = Origin(str(folder / manifest.NAME), None, str(facts.get("study_text") or ""), file.parent)
    study._library = _library(file)
    return study


def _library(file: Path) -> Library:
    """The library with the files beside the study, where they are still there."""
    return own_library(BUILT_IN, file.parent) if file.is_file() else BUILT_IN

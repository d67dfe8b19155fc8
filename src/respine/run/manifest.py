"""The manifest of a run folder: what was run with what, and a receipt for every shard."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from respine import library
from respine.errors import InputError, Problem
from respine.files import store
from respine.run.plan import PRECISION, RTOL, Plan

NAME = "manifest.json"
FORMAT = "respine/run/1"
PACKAGES = ("respine", "numpy", "pandas", "pyarrow", "llvmlite", "numba", "antimony", "python-libsbml", "pydantic")
ROOMS = ("model", "engine", "population", "study", "trial", "run")  # the code on which results depend


def identity(plan: Plan) -> dict[str, Any]:
    """What decides the results, by name: two runs with the same identity give the same tables."""
    study = plan.study
    return {
        "study": study.name,
        "study_sha256": store.sha256((study.text or study.model_dump_json()).encode()),
        "subjects": study.subjects,
        "seed": study.seed,
        "shard_people": max(shard.last - shard.first for shard in plan.shards),
        "solver": {"rtol": RTOL, "precision": PRECISION},
        "library_sha256": library_hash(),
        "code_sha256": code_hash(),
    }


def short_name(plan: Plan) -> str:
    """Name of a run: the study and four letters of its identity."""
    return f"{plan.study.name}-{store.sha256(json.dumps(identity(plan), sort_keys=True).encode())[:4]}"


@lru_cache(maxsize=1)
def library_hash() -> str:
    """SHA-256 over the science in the library. Studies are left out: a run is tied to its own study's text."""
    root = Path(library.ROOT)
    chosen = [
        f
        for f in root.rglob("*")
        if f.is_file() and f.suffix in (".ant", ".csv", ".yaml", ".bib") and "studies" not in f.parts
    ]
    return _hash(root, chosen)


@lru_cache(maxsize=1)
def code_hash() -> str:
    """SHA-256 over the Python code on which results depend."""
    root = Path(__file__).parent.parent
    return _hash(root, [f for room in ROOMS for f in (root / room).rglob("*.py")])


def _hash(root: Path, chosen: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in sorted(chosen):
        digest.update(f"{file.relative_to(root).as_posix()}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()


def fresh(plan: Plan) -> dict[str, Any]:
    """The manifest of a run that begins."""
    return {
        "format": FORMAT,
        "state": "running",
        "identity": identity(plan),
        "title": plan.study.title,
        "doi": plan.study.doi,
        "study_text": plan.study.text,
        "study_file": str(plan.study.file or ""),
        "seed": plan.study.seed,
        "subjects": plan.study.subjects,
        "arms": list(plan.study.arms),
        "model": plan.study.model,
        "parameter_draws": plan.draws,
        "equations": plan.equations,
        "equations_before": plan.equations_before,
        "versions": versions(),
        "warnings": [],
        "shards": {},
        "files": {},
    }


def versions() -> dict[str, str]:
    """Versions of Python and the packages that results may depend on."""
    import platform

    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def read(out: Path) -> dict[str, Any]:
    """The manifest of a run folder. Raises InputError where it is none."""
    file = out / NAME
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
        if manifest["format"] != FORMAT or not isinstance(manifest["shards"], dict):
            raise KeyError("format")
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = f"This is not the manifest of a run ({type(error).__name__}: {error})."
        raise InputError(Problem(str(file), "manifest", "", why, "Choose another folder with --out.")) from None
    return dict(manifest)


def write(out: Path, manifest: dict[str, Any]) -> None:
    """Write the manifest in one step."""
    store.write_json(out / NAME, manifest)


_WORDS = {
    "study": "the study",
    "study_sha256": "the text of the study file",
    "subjects": "the number of subjects",
    "seed": "the seed",
    "shard_people": "the size of the shards",
    "solver": "the solver settings",
    "library_sha256": "the library (equations, numbers)",
    "code_sha256": "the version of respine",
}


def check_same(out: Path, manifest: dict[str, Any], plan: Plan) -> None:
    """Raise InputError unless the folder holds a run of exactly this study, seed, library and code."""
    there, now = manifest.get("identity", {}), identity(plan)
    problems = []
    for name, value in now.items():
        if name == "shard_people" and there.get("subjects") != now["subjects"]:
            continue  # it follows from the number of subjects
        if there.get(name) != value:
            seen = str(there.get(name))
            shown = seen if len(seen) <= 40 else seen[:12] + "..."
            why = f"This folder belongs to another run: {_WORDS[name]} differed (now {str(value)[:40]})."
            problems.append(
                Problem(
                    str(out / NAME),
                    f"identity.{name}",
                    shown,
                    why,
                    "Run into another folder with --out, or restore what was run there.",
                )
            )
    if problems:
        raise InputError(*problems)

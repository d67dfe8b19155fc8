"""The manifest of a run folder: what was run with what, and a receipt for every shard."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from respine.errors import InputError, Problem
from respine.files import store
from respine.protocol.settings import PRECISION, RUN_RTOL
from respine.run.plan import Plan

NAME = "manifest.json"
FORMAT = "respine/run/1"
PACKAGES = ("respine", "numpy", "pandas", "pyarrow", "llvmlite", "numba", "antimony", "python-libsbml", "pydantic")


def identity(plan: Plan) -> dict[str, Any]:
    """What decides the results, by name: two runs with the same identity give the same tables."""
    return {
        "protocol": plan.protocol.fingerprint,
        "parts": plan.protocol.facts,
        "name": plan.study.name,
        "subjects": plan.study.subjects,
        "seed": plan.study.seed,
        "shard_people": max(shard.last - shard.first for shard in plan.shards),
        "solver": {"rtol": RUN_RTOL, "precision": PRECISION},
    }


def short_name(plan: Plan) -> str:
    """Name of a run: the study and four letters of its identity."""
    return f"{plan.study.name}-{store.fingerprint(json.dumps(identity(plan), sort_keys=True))[:4]}"


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
        "study": plan.study.to_dict(),
        "population": plan.protocol.population.to_dict(),
        "seed": plan.study.seed,
        "subjects": plan.study.subjects,
        "arms": list(plan.study.arms),
        "model": plan.protocol.system.name,
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
        raise InputError(Problem(str(file), "manifest", "", why, "Choose another {folder}.", ("folder",))) from None
    return dict(manifest)


def write(out: Path, manifest: dict[str, Any]) -> None:
    """Write the manifest in one step."""
    store.write_json(out / NAME, manifest)


_PARTS = {
    "name": "the name of the study",
    "subjects": "the number of subjects",
    "seed": "the seed",
    "shard_people": "the size of the shards",
    "solver": "the solver settings",
}
_FACTS = {
    "study": "the study",
    "population": "the population or the table of people",
    "model": "the model (equations, numbers)",
    "library": "the drug, exposure, scale or expectancy files",
    "code": "the version of respine",
}


def check_same(out: Path, manifest: dict[str, Any], plan: Plan) -> None:
    """Raise InputError unless the folder holds a run of exactly this study, people, model, library and code."""
    there, now = manifest.get("identity", {}), identity(plan)
    differences = [
        (f"identity.{name}", words, there.get(name), now[name])
        for name, words in _PARTS.items()
        # the size of the shards follows from the number of subjects
        if there.get(name) != now[name] and not (name == "shard_people" and there.get("subjects") != now["subjects"])
    ]
    asked = ("subjects", "seed", "name")
    parts = there.get("parts") if isinstance(there.get("parts"), dict) else {}
    differences += [
        (f"identity.parts.{name}", words, parts.get(name), now["parts"][name])
        for name, words in _FACTS.items()
        if parts.get(name) != now["parts"][name]
        # its digest changes with the number of subjects and the seed, which are told already
        and not (name == "study" and any(field == f"identity.{one}" for field, *_ in differences for one in asked))
    ]
    if differences:
        cure = "Run into another {folder}, or restore what was run there."
        raise InputError(*(
            Problem(str(out / NAME), field, _short(old), f"This folder belongs to another run: {words} differed "
                    f"(now {_short(new)}).", cure, ("folder",))
            for field, words, old, new in differences
        ))  # fmt: skip


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 40 else text[:12] + "..."

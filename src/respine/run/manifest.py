"""The manifest of a run folder: what was run with what, and a receipt for every shard."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from respine.errors import InputError, Problem
from respine.files import store
from respine.protocol.settings import RUN_RTOL
from respine.run.plan import Plan

NAME = "manifest.json"
COPY = ".manifest.json"
FORMAT = "respine/run/2"
BEFORE = "respine/run/1"  # finished runs of this form are still read
MOST_BYTES = 1_000_000_000
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
        "kept": min(plan.keep, plan.study.subjects),
        "solver": {"rtol": RUN_RTOL, "precision": plan.precision},
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

    installed = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            installed[name] = "not installed"
    return installed


def copy_of(out: Path) -> Path:
    """The copy of the manifest that ``write`` keeps."""
    return out / COPY


def read(out: Path, name: str = NAME) -> dict[str, Any]:
    """The manifest of a run folder, of the form this version writes. Raises InputError where it is none."""
    file = out / name
    try:
        if file.is_symlink() or not store.is_plain_file(file):
            raise _Form("it is no regular file")
        if file.stat().st_size > MOST_BYTES:
            raise _Form("it is larger than 1 GB")
        manifest = json.loads(file.read_text(encoding="utf-8"))
        _check_form(manifest)
    except (OSError, ValueError, RecursionError) as error:
        said = str(error) if isinstance(error, _Form) else getattr(error, "strerror", None) or "it is no JSON text"
        why = f"This is not the manifest of a run: {said}."
        raise InputError(Problem(str(file), "manifest", "", why, "Choose another {folder}.", ("folder",))) from None
    return dict(manifest)


class _Form(ValueError):
    """What a manifest lacks."""


_KINDS: dict[str, tuple[type, ...]] = {
    "state": (str,), "identity": (dict,), "title": (str,), "doi": (str,), "study_text": (str,), "study_file": (str,),
    "study": (dict,), "population": (dict,), "seed": (int,), "subjects": (int,), "arms": (list,), "model": (str,),
    "parameter_draws": (int,), "equations": (int,), "equations_before": (int,), "versions": (dict,), "warnings": (list,),
    "shards": (dict,), "files": (dict,),
}  # fmt: skip
_OF_SHARD: dict[str, tuple[type, ...]] = {
    "arm": (str,), "first": (int,), "last": (int,), "failed": (int,), "hardly_ill": (int, float, type(None)),
    "lanes": (int, str, type(None)), "rows": (dict,), "sha256": (str,),
}  # fmt: skip


def _check_form(manifest: object) -> None:
    """Raise _Form for the first thing that is not as ``fresh`` and the run write it."""
    if not isinstance(manifest, dict):
        raise _Form("it is not a mapping")
    form = manifest.get("format")
    if form != FORMAT and not (form == BEFORE and manifest.get("state") == "complete"):
        raise _Form(
            f"its format is {_short(form)}, and this version of respine reads {FORMAT} (an unfinished {BEFORE} must be run "
            "anew)"
            if form == BEFORE
            else f"its format is {_short(form)}, and this version of respine reads {FORMAT}"
            if isinstance(form, str) and form.startswith("respine/run/")
            else f'its format is not "{FORMAT}"'
        )
    _check_fields(manifest, _KINDS, "")
    if manifest["state"] not in ("running", "complete"):
        raise _Form('its state is neither "running" nor "complete"')
    _check_digests(manifest["files"], "files")
    for name, receipt in manifest["shards"].items():
        if not isinstance(receipt, dict):
            raise _Form(f"the receipt of shard {_short(name)} is no mapping")
        kinds = _OF_SHARD if form == FORMAT else {k: v for k, v in _OF_SHARD.items() if k not in ("rows", "sha256")}
        _check_fields(receipt, kinds, f"shards.{_short(name)}.")
        if not 0 <= receipt["first"] < receipt["last"]:
            raise _Form(f"the receipt of shard {_short(name)} holds nobody")
    if not all(isinstance(text, str) for text in (*manifest["warnings"], *manifest["arms"])):
        raise _Form("its warnings and arms are not all texts")
    if not all(isinstance(manifest["population"].get(name), str) for name in ("name", "title")):
        raise _Form("its population has no name and title")


def _check_fields(held: dict[str, Any], kinds: dict[str, tuple[type, ...]], before: str) -> None:
    for field, kind in kinds.items():
        if field not in held:
            raise _Form(f'the field "{before}{field}" is missing')
        if not isinstance(held[field], kind) or isinstance(held[field], bool):
            raise _Form(f'the field "{before}{field}" is not of the kind a run writes')


def _check_digests(files: dict[str, Any], before: str) -> None:
    """Names are those of files beside the manifest, never paths out of the folder."""
    for name, digest in files.items():
        if not name or name.startswith(".") or "/" in name or "\\" in name or not isinstance(digest, str):
            raise _Form(f'"{_short(name)}" under "{before}" is no file of a run')


def write(out: Path, manifest: dict[str, Any]) -> None:
    """Write the manifest in one step, and before it a copy, from which it is restored where it is lost."""
    store.write_json(out / COPY, manifest)
    store.write_json(out / NAME, manifest)


_PARTS = {
    "name": "the name of the study",
    "subjects": "the number of subjects",
    "seed": "the seed",
    "shard_people": "the size of the shards",
    "kept": "the number of people whose trajectories are kept",
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
        if there.get(name) != now[name]
        and not (name in ("shard_people", "kept") and there.get("subjects") != now["subjects"])
    ]
    asked = ("subjects", "seed", "name")
    parts = there.get("parts") if isinstance(there.get("parts"), dict) else {}
    differences += [
        (f"identity.parts.{name}", words, parts.get(name), now["parts"][name])
        for name, words in _FACTS.items()
        if parts.get(name) != now["parts"][name]
        # its digest changes with the number of subjects and the seed, which are told already
        and not (name == "study" and any(field == f"identity.{name}" for field, *_ in differences for name in asked))
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

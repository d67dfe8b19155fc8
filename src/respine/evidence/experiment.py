"""Small studies that are defined inside a data file rather than in a file of their own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from respine import library
from respine.files import yaml_file
from respine.study.schema import Study

SEED = 20120


def read(name: str, schema: str) -> dict[str, Any]:
    """A data file of the library as plain values. Raises ValueError where it is of another schema."""
    data = yaml_file.read(Path(library.ROOT) / f"{name}.yaml", name).data
    if data.get("schema") != schema:
        raise ValueError(f"library/{name}.yaml has the schema {data.get('schema')!r}; {schema!r} is wanted")
    return dict(data)


def study_of(
    name: str, people: str, arms: Mapping[str, Any], until: str, covariates: Mapping[str, float] | None = None,
    **more: Any,
) -> Study:  # fmt: skip
    """A study of the people of a population file with these arms (as a study file writes them), seen until ``until``.

    ``covariates`` are the same for everybody; ``more`` are further fields of a study file. Raises pydantic's
    ValidationError for what a study file could not have.
    """
    visits = list(dict.fromkeys([*more.pop("visits", ["0 h"]), until]))
    fixed = {
        id: {"distribution": "constant", "value": float(value), "status": "assumed", "note": "of the experiment"}
        for id, value in (covariates or {}).items()
    }
    return Study.model_validate({
        "name": name, "title": name, "population": people, "subjects": 1, "seed": SEED, "covariates": fixed,
        "arms": dict(arms), "visits": visits, **more,
    })  # fmt: skip

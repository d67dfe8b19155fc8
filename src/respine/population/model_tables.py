"""What a library model knows by name, from its tables alone: no equation is built to check a study file."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from respine import library
from respine.files import yaml_file


@dataclass(frozen=True)
class Tables:
    """Rows of a model by id: ``parameters`` (later tables win) and ``variables`` (states, rules, inputs)."""

    model: str
    species: str
    parameters: dict[str, dict[str, str]]
    variables: dict[str, dict[str, str]]

    def number(self, id: str, column: str = "value") -> float | None:
        """A number of a parameter's row; None where the row or the number is absent."""
        text = self.parameters.get(id, {}).get(column, "").strip()
        return float(text) if text else None

    @property
    def inputs(self) -> list[str]:
        """Ids of the inputs a study may switch."""
        return [id for id, row in self.variables.items() if row["role"] == "input"]

    @property
    def outputs(self) -> list[str]:
        """Ids that can be recorded."""
        return [*self.variables, *self.parameters]


@lru_cache(maxsize=64)
def scale_file(scale: str) -> dict[str, Any]:
    """What the file of a library scale says, as plain values."""
    return dict(yaml_file.read(library.path("scales", scale), "scale").data or {})


@lru_cache(maxsize=1)
def _input_ranges() -> dict[str, tuple[float, float]]:
    """What the exposure files call the sensible range of each input: the widest of them."""
    found: dict[str, tuple[float, float]] = {}
    for name in library.names("exposures"):
        ranges = (yaml_file.read(library.path("exposures", name), "exposure").data or {}).get("range") or {}
        for input, (low, high) in ranges.items():
            before = found.get(input, (low, high))
            found[input] = (min(low, before[0]), max(high, before[1]))
    return found


def input_range(input: str) -> tuple[float, float]:
    """Lowest and highest sensible level of an input; no limit where no exposure file gives one."""
    return _input_ranges().get(input, (0.0, math.inf))


def scale_range(scale: str) -> tuple[float, float] | None:
    """Lowest and highest score of a library scale; None where its file gives none."""
    found = scale_file(scale).get("range")
    if not isinstance(found, list) or len(found) != 2 or not all(isinstance(one, (int, float)) for one in found):
        return None
    return float(found[0]), float(found[1])


@lru_cache(maxsize=16)
def of_model(model: str) -> Tables:
    """The tables of a library model. Raises InputError for a broken model file, KeyError for an unknown model."""
    if model not in library.names("models"):
        raise KeyError(model)
    doc = yaml_file.read(library.path("models", model), "model")
    doc.check()
    parameters = {row["id"]: row for name in doc.data["parameters"] for row in library.rows("parameters", name)}
    variables = {row["id"]: row for name in doc.data["modules"] for row in library.rows("variables", name)}
    return Tables(model, str(doc.data.get("species", model)), parameters, variables)

"""What a model knows by name, from its tables alone: no equation is built to check a study file of a library model."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from respine.files import yaml_file
from respine.library import Library

if TYPE_CHECKING:
    from respine.model.system import System

OWN_MODEL = (".ant", ".xml", ".sbml")
"""Endings by which a model is a file of the user's rather than a name of the library."""


@dataclass(frozen=True)
class ModelTables:
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
    def states(self) -> list[str]:
        """Ids of the states a dose may enter."""
        return [id for id, row in self.variables.items() if row["role"] == "state"]

    @property
    def outputs(self) -> list[str]:
        """Ids that can be recorded."""
        return [*self.variables, *self.parameters]


def scale_file(library: Library, scale: str) -> dict[str, Any]:
    """What the file of a scale says, as plain values."""
    file = library.path("scales", scale)
    return library.parsed((scale_file, file), [file], lambda: dict(yaml_file.read(file, "scale").data or {}))


def scale_range(library: Library, scale: str) -> tuple[float, float] | None:
    """Lowest and highest score of a scale; None where its file gives none."""
    span = scale_file(library, scale).get("range")
    if not _is_span(span):
        return None
    return float(span[0]), float(span[1])


def input_range(library: Library, input: str) -> tuple[float, float]:
    """Lowest and highest level of an input that exposure files call sensible; no limit where none gives one."""
    files = [library.path("exposures", name) for name in library.names("exposures")]
    ranges = library.parsed((input_range, *files), files, lambda: _input_ranges(files))
    return ranges.get(input, (0.0, math.inf))


def _input_ranges(files: Iterable[Path]) -> dict[str, tuple[float, float]]:
    widest: dict[str, tuple[float, float]] = {}
    for file in files:
        doc = yaml_file.read(file, "exposure")
        ranges = (doc.data or {}).get("range") or {}
        for input, span in ranges.items() if isinstance(ranges, dict) else [("", ranges)]:
            if not _is_span(span):
                why, cure = (
                    "The range of an input is its lowest and highest level.",
                    'Write "range: {stress: [0, 1.5]}".',
                )
                doc.problem(("range", input) if input else ("range",), why, cure)
                continue
            before = widest.get(input, (span[0], span[1]))
            widest[input] = (min(span[0], before[0]), max(span[1], before[1]))
        doc.check()
    return widest


def _is_span(span: Any) -> TypeGuard[list[float]]:
    return isinstance(span, list) and len(span) == 2 and all(isinstance(edge, (int, float)) for edge in span)


def is_own_model(model: str) -> bool:
    """Whether a model is named by a file of the user's."""
    return model.endswith(OWN_MODEL)


def of_model(library: Library, model: str) -> ModelTables:
    """The tables of a library model, or what an own model file declares.

    Raises InputError for a broken model file, KeyError for a name the library does not have.
    """
    if is_own_model(model):
        from respine import model as models

        file = Path(model)
        return library.parsed((of_model, model), [file], lambda: of_system(models.load(file)))
    if model not in library.names("models"):
        raise KeyError(model)
    doc = yaml_file.read(library.path("models", model), "model")
    doc.check()
    parameters = {row["id"]: row for name in doc.data["parameters"] for row in library.rows("parameters", name)}
    variables = {row["id"]: row for name in doc.data["modules"] for row in library.rows("variables", name)}
    return ModelTables(model, str(doc.data.get("species", model)), parameters, variables)


def of_system(system: System) -> ModelTables:
    """What a system declares, in the form of the tables; its species goes by the name of the system."""

    def row(id: str, role: str, value: float | None) -> dict[str, str]:
        quantity = system.quantities.get(id)
        return {
            "id": id, "role": role, "value": "" if value is None else repr(value),
            "unit": quantity.unit if quantity is not None else "", "low": "", "high": "",
            "variability": repr(quantity.variability) if quantity is not None else "",
        }  # fmt: skip

    roles = ((system.states, "state"), (system.rules, "rule"), (system.inputs, "input"))
    variables = {id: row(id, role, None) for ids, role in roles for id in ids}
    parameters = {id: row(id, "parameter", value) for id, value in system.parameters.items()}
    return ModelTables(system.name, system.name, parameters, variables)

"""The file of expectancy (``library/scales/_expectancy.yaml``): what people gain from believing to be treated, in numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from respine.files.yaml_file import Document, read
from respine.library import Library
from respine.study.scales import numbers_of


@dataclass(frozen=True)
class Expectancy:
    """The numbers of ``_expectancy.yaml``: components by name, beliefs by kind of control and unblinding.

    ``ranges`` are their 90 % ranges by name (``course``, ``belief.open-label.none``). In a drawn expectancy numbers are
    ``(n_subjects, 1)``.
    """

    numbers: Mapping[str, Any]
    belief: Mapping[str, Mapping[str, Any]]
    procedure_routes: frozenset[str]
    procedure_exposures: frozenset[str]
    treatment_exposures: frozenset[str]
    antidepressants: frozenset[str] = frozenset()
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def load(library: Library) -> Expectancy:
    """The library's expectancy. Raises InputError with every mistake of its file."""
    file = library.top("scales/_expectancy.yaml")
    return library.parsed((load, file), [file], lambda: parse(read(file, "expectancy")))


def parse(doc: Document) -> Expectancy:
    """Expectancy from its file. Raises InputError with every mistake."""
    numbers = numbers_of(doc, doc.data.get("values"), ("values",))
    beliefs = {kind: numbers_of(doc, block, ("belief", kind)) for kind, block in (doc.data.get("belief") or {}).items()}
    doc.check()
    lists = ("procedure_routes", "procedure_exposures", "treatment_exposures", "antidepressants")
    ranges = dict(_ranges(doc.data["values"], ""))
    for kind, block in (doc.data.get("belief") or {}).items():
        ranges |= dict(_ranges(block, f"belief.{kind}."))
    routes, exposures, treatments, drugs = (frozenset(doc.data.get(name) or ()) for name in lists)
    return Expectancy(numbers, beliefs, routes, exposures, treatments, drugs, ranges)


TRIAL_TERMS = ("small_study", "natural", "care_visits", "care_admission", "entry_deviation", "entry_inflation")
"""Numbers that add something to a trial; a block recipe, a starting point for the joint one, is fitted without them."""


def without_trial_terms(model: Expectancy) -> Expectancy:
    """The expectancy with these terms at nothing."""
    return replace(model, numbers={**model.numbers, **{name: 0.0 for name in TRIAL_TERMS if name in model.numbers}})


def _ranges(block: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, tuple[float, float]]]:
    for name, entry in block.items():
        low, value, high = (float(entry.get(part, entry["value"])) for part in ("low", "value", "high"))
        if 0 < low <= value <= high and low < high:
            yield f"{prefix}{name}", (low, high)

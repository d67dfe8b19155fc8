"""Scales as the library describes them: how a score arises from what the model computes.

A scale file names the model output it reads and one of four rules:

* ``severity``: ``score = healthy + (baseline - healthy) * severity ** power``, the symptom scales; ``severity`` is 1 at
the first visit, 0 in health, and carries expectancy as well as biology;
* ``relative``: the same without expectancy, for an output that has its own healthy value (pain);
* ``rise``: ``score = baseline + gain * (output - output at the first visit)``, the vital signs;
* ``level``: ``score = gain * output``, with a log-normal sensitivity of the person (dissociation).

On top of the rule come the fluctuation of a person from visit to visit, the rater's error, the scale's step and its
range.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from respine.errors import InputError, Problem
from respine.files.yaml_file import Document, Place, read
from respine.library import Library

RULES = ("severity", "relative", "rise", "level")
STATUSES = ("literature", "derived", "calibrated", "assumed")
# what each rule cannot do without
_NEEDS = {
    "severity": ("healthy", "power"),
    "relative": ("healthy", "power"),
    "rise": ("gain",),
    "level": ("gain", "sensitivity_cv"),
}
_ALWAYS = ("fluctuation_sd", "fluctuation_time", "rater_sd")


@dataclass(frozen=True)
class Conversion:
    """A baseline taken from another scale by straight lines between published equivalent scores."""

    scale: str
    from_scores: tuple[float, ...]
    to_scores: tuple[float, ...]

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """Equivalent scores, same shape."""
        return np.interp(scores, self.from_scores, self.to_scores)


@dataclass(frozen=True)
class Scale:
    """One instrument: its range and step in ``unit``, the model output it reads, its rule and its numbers by name.

    ``items``: names and usual means of its items where the file has them, with their spread in ``item_numbers``.
    """

    name: str
    title: str
    unit: str
    rule: str
    output: str
    low: float
    high: float
    step: float
    numbers: Mapping[str, float]
    aliases: tuple[str, ...] = ()
    conversion: Conversion | None = None
    response_drop: float = 0.5
    remission_at_most: float | None = None
    sources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    items: Mapping[str, float] = field(default_factory=dict)
    item_numbers: Mapping[str, float] = field(default_factory=dict)

    def number(self, name: str, otherwise: float = math.nan) -> float:
        """A number of the scale file by its name."""
        return self.numbers.get(name, otherwise)

    def printed(self, scores: np.ndarray) -> np.ndarray:
        """Scores as they would stand on the form: whole steps inside the range; NaN stays NaN."""
        steps = np.round((scores - self.low) / self.step) * self.step + self.low if self.step > 0 else scores
        return np.clip(steps, self.low, self.high)


def numbers_of(doc: Document, block: Any, place: Place) -> dict[str, float]:
    """Checked numbers of a library block ``name: {value, unit, status, source}``; mistakes are noted in ``doc``."""
    values: dict[str, float] = {}
    if not isinstance(block, Mapping):
        doc.problem(
            place,
            "The numbers of the file are missing.",
            "Write name: {value: ..., unit: ..., status: ..., source: ...}.",
        )
        return values
    for name, entry in block.items():
        here = (*place, name)
        if not isinstance(entry, Mapping):
            doc.problem(here, "A number of the science stands with its origin.",
                        "Write {value: ..., unit: ..., status: ..., source: ...}.")  # fmt: skip
            continue
        value = entry.get("value")
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            doc.problem((*here, "value"), "This is not a finite number.", "Write a number.")
            continue
        if not entry.get("unit"):
            doc.problem((*here, "unit"), "The unit is missing.", 'Write the unit, "1" if there is none.')
        status = entry.get("status")
        if status not in STATUSES:
            doc.problem(
                (*here, "status"), "The status says where a number comes from.", f"Write one of {', '.join(STATUSES)}."
            )
        elif not entry.get("source") and (status != "assumed" or not entry.get("note")):
            doc.problem((*here, "source"), f"A number of status {status} has neither source nor reason.",
                        "Write source: KEY, or for an assumed number its reason as note.")  # fmt: skip
        values[name] = float(value)
    return values


def load(library: Library, name: str) -> Scale:
    """The scale of that name or alias. Raises InputError with every problem of its file."""
    known = library.names("scales")
    chosen = name if name in known else _by_alias(library).get(_plain(name), "")
    if not chosen:
        why = "The library has no scale of this name."
        raise InputError(Problem("library/scales", "scale", name, why, f"Write one of: {', '.join(known)}."))
    file = library.path("scales", chosen)
    return library.parsed((load, file), [file], lambda: parse(read(file, "scale")))


def is_scale(library: Library, name: str) -> bool:
    """Whether the library has a scale of that name or alias. An output of a model written as the model writes it is none."""
    if name in library.names("scales"):
        return True
    return _plain(name) in _by_alias(library) and name not in _outputs(library)


def _outputs(library: Library) -> frozenset[str]:
    """What the models compute, by the ids of their tables: ``memory`` is an output where ``MEMORY`` is a scale."""
    names = library.names("variables")
    files = [library.path("variables", name) for name in names]

    def parse() -> frozenset[str]:
        return frozenset(row["id"] for name in names for row in library.rows("variables", name))

    return library.parsed((_outputs, *files), files, parse)


def parse(doc: Document) -> Scale:
    """A scale from its file. Raises InputError with every mistake."""
    data = doc.data
    rule = str(data.get("rule", ""))
    if rule not in RULES:
        doc.problem(("rule",), "This is not a rule by which scores arise.", f"Write one of: {', '.join(RULES)}.")
    for key in ("name", "title", "unit", "output", "range", "step"):
        if data.get(key) is None:
            doc.problem((key,), f'The field "{key}" is missing.', f'Add "{key}: ...".')
    numbers = numbers_of(doc, data.get("values"), ("values",))
    for key in (*_NEEDS.get(rule, ()), *_ALWAYS):
        if key not in (data.get("values") or {}):
            doc.problem(
                ("values",), f'A scale with rule {rule} needs "{key}".', f"Add {key}: {{value: ..., unit: ..., ...}}."
            )
    _form(doc)
    doc.check()
    low, high = (float(edge) for edge in data["range"])
    items, item_numbers = _items(doc, high - low)
    return Scale(
        name=data["name"], title=data["title"], unit=data["unit"], rule=rule, output=data["output"], low=low, high=high,
        step=float(data["step"]), numbers=numbers, aliases=tuple(data.get("aliases") or ()),
        conversion=_conversion(data.get("baseline_from")), response_drop=float(data.get("response_drop", 50.0)) / 100,
        remission_at_most=None if data.get("remission_at_most") is None else float(data["remission_at_most"]),
        sources=dict(data["values"]), items=items, item_numbers=item_numbers,
    )  # fmt: skip


def _form(doc: Document) -> None:
    """Texts are texts and numbers numbers; what is missing was told before."""
    data = doc.data
    for key in ("name", "title", "unit", "output"):
        if data.get(key) is not None and not isinstance(data[key], str):
            doc.problem((key,), f'"{key}" is a text.', f"Write {key}: and a text.")
    span = data.get("range")
    if span is not None and not (
        isinstance(span, list) and len(span) == 2 and all(map(_is_number, span)) and span[0] < span[1]
    ):
        doc.problem(("range",), "The range is the lowest and the highest score.", 'Write "range: [0, 60]".')
    for key in ("step", "response_drop", "remission_at_most"):
        if data.get(key) is not None and not _is_number(data[key]):
            doc.problem((key,), f'"{key}" is a number.', f'Write "{key}: 1".')
    if not _are(data.get("aliases") or [], str):
        doc.problem(("aliases",), "Aliases are a list of texts.", 'Write "aliases: [HAM-D]".')
    block = data.get("baseline_from")
    if block and not (
        isinstance(block, dict) and isinstance(block.get("scale"), str) and _pairs(block.get("equivalent"))
    ):
        why = "A conversion names a scale and pairs of equivalent scores."
        doc.problem(("baseline_from",), why, 'Write "baseline_from: {scale: HAMD17, equivalent: [[0, 0], [52, 60]]}".')


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _are(values: object, form: type) -> bool:
    return isinstance(values, list) and all(isinstance(value, form) for value in values)


def _pairs(values: object) -> bool:
    return (
        isinstance(values, list)
        and bool(values)
        and all(isinstance(pair, list) and len(pair) == 2 and all(map(_is_number, pair)) for pair in values)
    )


def _items(doc: Document, span: float) -> tuple[dict[str, float], dict[str, float]]:
    """Mean of each item at a middling total, and how far people and occasions spread around them. Raises InputError."""
    block = doc.data.get("items")
    if block is None:
        return {}, {}
    items = numbers_of(doc, block, ("items",))
    numbers = numbers_of(doc, doc.data.get("item_values"), ("item_values",))
    for key in ("person_sd", "occasion_sd"):
        if key not in numbers:
            doc.problem(("item_values",), f'Items need "{key}", the spread around their means in logits.',
                        f"Add {key}: {{value: ..., unit: ..., ...}}.")  # fmt: skip
    highest = span / max(len(items), 1)
    for name, mean in items.items():
        if not 0 < mean < highest:
            doc.problem(("items", name), f"The mean of an item lies between 0 and {highest:g}, the range shared by all items.",
                        "Correct it.")  # fmt: skip
    doc.check()
    return items, numbers


def _conversion(block: Mapping[str, Any] | None) -> Conversion | None:
    if not block:
        return None
    pairs = [(float(a), float(b)) for a, b in block["equivalent"]]
    return Conversion(str(block["scale"]), tuple(a for a, _ in pairs), tuple(b for _, b in pairs))


def _plain(name: str) -> str:
    """Letters and digits only, so that ``HAM-D`` and ``HAMD`` meet."""
    return "".join(c for c in name.lower() if c.isalnum())


def _by_alias(library: Library) -> dict[str, str]:
    names = library.names("scales")
    files = [library.path("scales", name) for name in names]

    def parse() -> dict[str, str]:
        table: dict[str, str] = {}
        for name, file in zip(names, files, strict=True):
            for alias in (name, *(read(file, "scale").data.get("aliases") or ())):
                table[_plain(alias)] = name
        return table

    return library.parsed((_by_alias, *files), files, parse)

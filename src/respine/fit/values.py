"""Where a calibrated number stands in the library: a cell of a parameter table or an entry of a scale file; read, write."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

from respine import library
from respine.errors import InputError, Problem

STATUS = "calibrated"


@dataclass(frozen=True)
class Place:
    """``file`` is ``parameters/bdnf`` or ``scales/MADRS``; ``id`` the row, or the entry (``belief.open-label.none``).

    ``field`` is ``value`` or, in a parameter table, ``variability``.
    """

    file: str
    id: str
    field: str = "value"

    @property
    def name(self) -> str:
        """How the number is called: ``k_mtorc1``, ``symptom_threshold.variability``, ``MADRS.rater_sd``."""
        kind, _, stem = self.file.partition("/")
        if kind == "scales":
            return f"{stem.removeprefix('_')}.{self.id}"
        return self.id if self.field == "value" else f"{self.id}.{self.field}"

    @property
    def path(self) -> Path:
        """The file."""
        kind, _, stem = self.file.partition("/")
        return library.ROOT / kind / f"{stem}{library.KINDS[kind]}"


@dataclass(frozen=True)
class Number:
    """A value with its 90 % belief (None where there is none) and status, as the library has it now."""

    value: float
    low: float | None
    high: float | None
    status: str
    where: str


@dataclass(frozen=True)
class Calibrated:
    """A value to be written with its 90 % range and the name of the recipe that gives it."""

    place: Place
    value: float
    low: float
    high: float
    recipe: str
    source: str = ""


def read(place: Place) -> Number:
    """The number at a place. Raises InputError if there is none."""
    if not place.path.is_file():
        raise InputError(_nothing(place, "The library has no such file."))
    return _cell(place) if place.file.startswith("parameters/") else _entry(place)


def write(numbers: list[Calibrated]) -> list[Path]:
    """Put calibrated numbers into the library's files, all else untouched; returns the files that changed.

    A value becomes status ``calibrated`` with its recipe under ``where`` (tables) or ``recipe`` (scales). A variability
    keeps the row's status: it is the row's second number. Raises InputError if a place does not exist.
    """
    changed = []
    for file in dict.fromkeys(number.place.path for number in numbers):
        before = text = file.read_text(encoding="utf-8")
        for number in numbers:
            if number.place.path == file:
                text = _with_cell(text, number) if file.suffix == ".csv" else _with_entry(text, number)
        if text != before:
            file.write_text(text, encoding="utf-8")
            changed.append(file)
    return changed


def shown(value: float) -> str:
    """A number as the library prints it: four digits, which is finer than any of them is known."""
    return f"{float(f'{value:.4g}'):g}" if abs(value) < 1e5 else f"{value:.4g}"


def _nothing(place: Place, why: str) -> Problem:
    return Problem(
        f"library/{place.file}", place.id, place.field, why, "Correct the parameter's id or file in the recipe."
    )


def _cell(place: Place) -> Number:
    rows = library.parse_rows(place.path.read_text(encoding="utf-8"), f"library/{place.file}.csv")
    row = next((r for r in rows if r["id"] == place.id), None)
    if row is None:
        raise InputError(_nothing(place, "The table has no row of this id."))

    def number(field: str) -> float | None:
        return float(row[field]) if row[field] else None

    if place.field == "variability":
        return Number(number("variability") or 0.0, None, None, row["status"], row["note"])
    return Number(float(row["value"]), number("low"), number("high"), row["status"], row["where"])


def _with_cell(text: str, calibrated: Calibrated) -> str:
    """The table with one row changed; other lines keep their exact text."""
    header = next(csv.reader([text.splitlines()[0]]))
    lines = text.split("\n")
    for i, line in enumerate(lines[1:], start=1):
        if not line.startswith(f"{calibrated.place.id},"):
            continue
        row = dict(zip(header, next(csv.reader([line])), strict=True))
        if calibrated.place.field == "variability":
            row["variability"] = shown(calibrated.value)
            mark = f"variability calibrated by recipe {calibrated.recipe}"
            row["note"] = row["note"] if mark in row["note"] else "; ".join(p for p in (row["note"], mark) if p)
        else:
            row |= {"value": shown(calibrated.value), "low": shown(calibrated.low), "high": shown(calibrated.high)}
            row |= {"status": STATUS, "where": _where(row["where"], calibrated.recipe)}
            row["source"] = row["source"] or calibrated.source  # an assumed number may have had none
        out = io.StringIO()
        csv.writer(out, lineterminator="").writerow([row[name] for name in header])
        lines[i] = out.getvalue()
        return "\n".join(lines)
    raise InputError(_nothing(calibrated.place, "The table has no row of this id."))


def _where(text: str, recipe: str) -> str:
    """The recipe first, then the rows it stood on before."""
    rest = [part.strip() for part in text.split(";") if part.strip() and not part.strip().startswith("recipe ")]
    return "; ".join([f"recipe {recipe}", *rest])


def _entry(place: Place) -> Number:
    line = _line_of(place.path.read_text(encoding="utf-8"), place)

    def number(field: str) -> float | None:
        match = re.search(rf"\b{field}: (-?[\d.]+(?:[eE][-+]?\d+)?)", line)
        return float(match[1]) if match else None

    value = number("value")
    status = re.search(r"\bstatus: ([\w-]+)", line)
    recipe = re.search(r"\brecipe: ([\w-]+)", line)
    if value is None:
        raise InputError(_nothing(place, "The entry has no value on its line."))
    return Number(
        value, number("low"), number("high"), status[1] if status else "", f"recipe {recipe[1]}" if recipe else ""
    )


def _with_entry(text: str, calibrated: Calibrated) -> str:
    old = _line_of(text, calibrated.place)
    new = old
    for field, value in (("value", calibrated.value), ("low", calibrated.low), ("high", calibrated.high)):
        new = re.sub(rf"\b{field}: -?[\d.]+(?:[eE][-+]?\d+)?", f"{field}: {shown(value)}", new, count=1)
    new = re.sub(r"\bstatus: [\w-]+(, recipe: [\w-]+)?", f"status: {STATUS}, recipe: {calibrated.recipe}", new, count=1)
    return text.replace(old, new, 1)


def _line_of(text: str, place: Place) -> str:
    """The line that holds ``{value: ...}`` of an entry, found by its indented names from the outside in."""
    lines, at = text.split("\n"), 0
    names = place.id.split(".")
    if names[0] != "belief":
        names = ["values", *names]
    for name in names:
        while at < len(lines) and not re.match(rf"\s*{re.escape(name)}:", lines[at]):
            at += 1
        if at == len(lines):
            raise InputError(_nothing(place, f'The file has no entry "{name}".'))
        at += 1
    here = lines[at - 1] if "value:" in lines[at - 1] else lines[at] if at < len(lines) else ""
    if "value:" not in here:
        raise InputError(_nothing(place, "The entry has no value."))
    return here

"""The tables of a library model -> quantities; every fault of every row is kept, none stops the reading."""

from __future__ import annotations

import math
from collections.abc import Iterable
from difflib import get_close_matches

from respine.errors import InputError, Problem
from respine.files import numbers
from respine.library import Library
from respine.model.system import Quantity
from respine.model.units import UnknownUnit, parse

ROLES = ("state", "rule", "input")
STATUSES = ("literature", "derived", "calibrated", "assumed")
DISTRIBUTIONS = ("fixed", "lognormal", "normal", "logitnormal")
VARIABLE_COLUMNS = ["id", "role", "unit", "start", "label", "source", "note"]
PARAMETER_COLUMNS = [
    "id", "value", "unit", "low", "high", "distribution", "variability", "status", "source", "where",
    "population", "note",
]  # fmt: skip

Row = dict[str, str]


class Tables:
    """Variables and parameters of a model by id, and what is wrong with them."""

    def __init__(self, modules: Iterable[str], parameters: Iterable[str], library: Library) -> None:
        self.library = library
        self.problems: list[Problem] = []
        self.variables: dict[str, Quantity] = {}
        self.parameters: dict[str, Quantity] = {}
        self.starts: dict[str, str] = {}  # of states and inputs, as written
        self.overridden: list[Quantity] = []  # rows that a later table replaces
        self.modules: dict[str, str] = {}  # variable -> module
        self.sources = library.references()
        for module in modules:
            for row in self._rows("variables", module, VARIABLE_COLUMNS):
                self._variable(row, module)
        for table in parameters:
            seen: set[str] = set()
            for row in self._rows("parameters", table, PARAMETER_COLUMNS):
                self._parameter(row, seen)

    def _rows(self, kind: str, name: str, columns: list[str]) -> list[Row]:
        try:
            rows = self.library.rows(kind, name)
        except InputError as fault:
            self.problems += fault.problems
            return []
        missing = [c for c in columns if rows and c not in rows[0]]
        if missing:
            why = f"the table lacks the column {missing[0]}." if len(missing) == 1 else "the table lacks columns."
            cure = f"Its header is: {','.join(columns)}"
            self.problems.append(
                Problem(f"{self.library.label(kind, name)}:1", "header", ", ".join(missing), why, cure)
            )
            return []
        return rows

    def _complain(self, row: Row, field: str, why: str, cure: str) -> None:
        where = f"{row['_file']}:{row['_line']}"
        self.problems.append(Problem(where, f"{row['id']}.{field}", row.get(field, ""), why, cure))

    # -- one row ---------------------------------------------------------------------------------------------------

    def _variable(self, row: Row, module: str) -> None:
        name, role = row["id"], row["role"]
        if role not in ROLES:
            self._complain(row, "role", "there is no such role.", f"Write {_one_of(ROLES, role)}.")
        self._unit(row)
        self._sources(row)
        if role == "rule" and row["start"]:
            self._complain(row, "start", "a rule has no start: its formula gives the value.", "Leave the cell empty.")
        if role in ("state", "input") and not row["start"]:
            self._complain(row, "start", f"a {role} needs a value to start from.", "Write its healthy baseline.")
        if role == "input" and row["start"]:
            self._number(row, "start")
        if name in self.variables:
            before = self.variables[name]
            self._complain(
                row,
                "id",
                f"{before.file}:{before.line} already has this id.",
                "Names are written once; choose another.",
            )
            return
        try:
            value: float | None = float(row["start"])
        except ValueError:
            value = None
        self.starts[name] = row["start"]
        self.modules[name] = module
        self.variables[name] = Quantity(
            name, role, row["unit"], value, row["label"], source=row["source"], note=row["note"], file=row["_file"],
            line=int(row["_line"]),
        )  # fmt: skip

    def _parameter(self, row: Row, seen: set[str]) -> None:
        name = row["id"]
        value = self._number(row, "value")
        low, high = (self._number(row, end) if row[end] else None for end in ("low", "high"))
        variability = self._number(row, "variability") if row["variability"] else 0.0
        self._unit(row)
        self._allowed(row)
        self._belief(row, value, low, high, variability)
        self._provenance(row)
        quantity = Quantity(
            name, "parameter", row["unit"], value, "", row["status"], row["source"], row["where"], row["population"],
            low, high, row["distribution"], variability or 0.0, row["note"], row["_file"], int(row["_line"]),
        )  # fmt: skip
        if name in seen:
            before = self.parameters[name]
            self._complain(
                row, "id", f"line {before.line} of the same table already has this id.", "Keep one of the two rows."
            )
        elif name in self.variables:
            v = self.variables[name]
            self._complain(row, "id", f"{v.file}:{v.line} lists it as a {v.role}.", "Rename one of the two.")
        elif name in self.parameters:
            before = self.parameters[name]
            self.overridden.append(before)
            self._same_kind_of_unit(row, before)
        seen.add(name)
        self.parameters[name] = quantity

    def _same_kind_of_unit(self, row: Row, before: Quantity) -> None:
        try:
            agree = parse(row["unit"]).same(parse(before.unit))
        except UnknownUnit:
            return
        if not agree:
            why = f"the row it replaces, {before.file}:{before.line}, is in {before.unit}."
            self._complain(row, "unit", why, f"Give the value in {before.unit}.")

    # -- one cell --------------------------------------------------------------------------------------------------

    def _number(self, row: Row, field: str) -> float | None:
        text = row[field]
        if not text:
            self._complain(row, field, "the cell is empty.", "Write a number.")
            return None
        try:
            value = numbers.number(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            self._complain(
                row, field, "this is not a finite number.", "Write one number with a decimal point, without a unit."
            )
            return None
        return value

    def _unit(self, row: Row) -> None:
        if not row["unit"]:
            self._complain(
                row, "unit", "the unit is missing.", 'Write one such as "1/h", "ng/mL", or "1" for a pure number.'
            )
            return
        try:
            parse(row["unit"])
        except UnknownUnit as reason:
            self._complain(
                row, "unit", f"{reason}.", 'Write units such as "1/h", "ng/mL", "L/h", or "1" for a pure number.'
            )

    def _allowed(self, row: Row) -> None:
        for field, words in (("status", STATUSES), ("distribution", DISTRIBUTIONS)):
            if row[field] not in words:
                why = f"the {field} is missing." if not row[field] else f"there is no such {field}."
                self._complain(row, field, why, f"Write {_one_of(words, row[field])}.")

    def _belief(
        self, row: Row, value: float | None, low: float | None, high: float | None, variability: float | None
    ) -> None:
        if bool(row["low"]) != bool(row["high"]):
            empty = "high" if row["low"] else "low"
            self._complain(row, empty, "only one end of the 90 % belief is given.", "Give both ends, or neither.")
        if value is not None and low is not None and high is not None and not low <= value <= high:
            why = f"the value lies outside its own 90 % belief, {low:g} to {high:g}."
            self._complain(row, "value", why, "Correct the value or its bounds.")
        if variability is not None and variability < 0:
            self._complain(row, "variability", "a spread between people cannot be negative.", "Write a CV or SD, or 0.")
        if variability and row["distribution"] == "fixed":
            why = "people differ in it, but its distribution is fixed."
            self._complain(row, "variability", why, "Write lognormal, normal or logitnormal, or leave the cell empty.")
        numbers = [("value", value), ("low", low), ("high", high)]
        for field, x in numbers:
            if x is None:
                continue
            if row["distribution"] == "lognormal" and x <= 0:
                self._complain(
                    row, field, "a log-normal number is above 0.", "Correct it, or choose another distribution."
                )
            if row["distribution"] == "logitnormal" and not 0 < x < 1:
                self._complain(
                    row,
                    field,
                    "a logit-normal number lies between 0 and 1.",
                    "Correct it, or choose another distribution.",
                )

    def _provenance(self, row: Row) -> None:
        if row["status"] == "assumed":
            if not row["note"] and not row["source"]:
                self._complain(
                    row, "note", "an assumed number needs its reason.", "Say in the note why this value was taken."
                )
        elif row["status"] in STATUSES and not row["source"]:
            cure = "Write keys of references.bib joined by ;, or the status assumed with a note."
            self._complain(row, "source", f"the source of a {row['status']} number is missing.", cure)
        self._sources(row)

    def _sources(self, row: Row) -> None:
        for key in (k.strip() for k in row["source"].split(";") if k.strip()):
            if key not in self.sources:
                why = f'references.bib has no entry "{key}".'
                near = get_close_matches(key, self.sources, 1)
                self._complain(
                    row,
                    "source",
                    why,
                    f'Write "{near[0]}", or add the entry.' if near else "Add the entry, or correct the key.",
                )


def _one_of(words: Iterable[str], seen: str) -> str:
    words = list(words)
    near = get_close_matches(seen, words, 1)
    return f'"{near[0]}"' if near else ", ".join(words[:-1]) + f" or {words[-1]}"

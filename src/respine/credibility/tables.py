"""Tables of the page: cells as people read them, and the same numbers to be saved as CSV."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from respine.report.text import hours

YES_NO = {True: "yes", False: "no", None: "-"}
RIGHT = ("number", "count", "share", "time", "signed", "range")


@dataclass(frozen=True)
class Column:
    """A column of the data, what stands above it, and how its cells are written.

    ``kind``: ``text | code | number | signed | count | share | time | range | yes`` (yes, no); ``range`` is text.
    """

    name: str
    header: str
    kind: str = "text"


@dataclass(frozen=True)
class Shown:
    """A table ready for the page: header and rows of (text, class), and the file that holds the whole table."""

    name: str
    header: list[tuple[str, str]]
    rows: list[list[tuple[str, str]]]
    file: str
    data: str
    length: int
    total: int


def shown(
    name: str, table: pd.DataFrame, columns: Sequence[Column], rows: pd.DataFrame | None = None, most: int | None = None
) -> Shown:
    """The table under ``columns``; ``rows`` are those to be read (all when left out), at most ``most`` of them.

    The CSV file holds every row and column of ``table``.
    """
    read = table if rows is None else rows
    head = read if most is None else read.head(most)
    header = [(column.header, "n" if column.kind in RIGHT else "") for column in columns]
    records = head.to_dict("records")
    cells = [[_cell(record.get(column.name), column.kind) for column in columns] for record in records]
    return Shown(name, header, cells, file_name(name), csv(table), len(records), len(table))


def file_name(name: str) -> str:
    """What a saved table is called."""
    return f"respine-credibility-{name.replace('_', '-')}.csv"


def csv(table: pd.DataFrame) -> str:
    """The table as a data address that a browser saves as a file."""
    text = table.to_csv(index=False, float_format="%.6g")
    return f"data:text/csv;charset=utf-8;base64,{base64.b64encode(text.encode()).decode()}"


def _cell(value: Any, kind: str) -> tuple[str, str]:
    if kind == "yes":
        answer = None if missing(value) else bool(value)
        return YES_NO[answer], "no" if answer is False else ""
    if kind == "range":
        return ("" if missing(value) else str(value)), "n"
    if kind in ("text", "code"):
        return ("" if missing(value) else str(value)), kind if kind == "code" else ""
    if missing(value):
        return "-", "n"
    return written(float(value), kind), "n"


def written(value: float, kind: str = "number") -> str:
    """A number as it stands in a cell."""
    if not math.isfinite(value):
        return "-"
    if kind == "share":
        return f"{100 * value:.0f} %"
    if kind == "count":
        return f"{int(value)}"
    if kind == "time":
        return hours(value)
    if kind == "signed":
        return f"{value:+.2f}"
    return "0" if value == 0 else f"{value:.3g}" if 1e-3 <= abs(value) < 1e5 else f"{value:.2e}"


def missing(value: Any) -> bool:
    """Whether a cell holds nothing."""
    return value is None or (isinstance(value, float) and math.isnan(value)) or value is pd.NA


def interval(low: Any, high: Any) -> str:
    """Two bounds in one cell."""
    if missing(low) or missing(high):
        return ""
    widest = max(abs(low), abs(high))
    ends = (0.0 if abs(end) < 1e-3 * widest else float(end) for end in (low, high))  # next to nothing is nothing here
    return " … ".join(map(written, ends))


def with_intervals(table: pd.DataFrame, **made: tuple[str, str]) -> pd.DataFrame:
    """The table with columns that join two bounds: ``with_intervals(t, range=("low", "high"))``."""
    new = {
        name: [interval(a, b) for a, b in zip(table[low], table[high], strict=True)] if len(table) else []
        for name, (low, high) in made.items()
    }
    return table.assign(**new)

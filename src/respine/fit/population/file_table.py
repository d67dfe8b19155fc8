"""A data file as columns: numbers, texts and the line of every row; nothing is interpreted yet.

Separators (comma, semicolon, tab, blanks) are recognised from the header. Cells ``.``, empty, ``NA`` and ``NaN`` are
missing.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from respine.errors import InputError, Problem
from respine.files import numbers

MISSING = frozenset({"", ".", "na", "nan"})
MOST_BYTES = 500_000_000
MOST_CELL = 10_000


@dataclass
class Table:
    """Columns of a file. ``numbers[name]`` (n_rows,) with NaN where missing or no number; ``texts[name]`` as
    written.
    """

    file: Path
    names: tuple[str, ...]
    texts: dict[str, list[str]]
    lines: np.ndarray
    numbers: dict[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.lines)

    def where(self, row: int) -> str:
        """``file:line`` of a row."""
        return f"{self.file}:{int(self.lines[row])}"

    def is_text(self, name: str) -> bool:
        """Whether some cell that is not missing is no number."""
        values = self.numbers[name]
        return any(np.isnan(v) and t.lower() not in MISSING for v, t in zip(values, self.texts[name], strict=True))

    def only(self, rows: np.ndarray) -> Table:
        """Some of the rows, in order."""
        texts = {name: [cells[r] for r in rows] for name, cells in self.texts.items()}
        numbers = {name: values[rows] for name, values in self.numbers.items()}
        return Table(self.file, self.names, texts, self.lines[rows], numbers)


def number(text: str) -> float:
    """The number of a cell, NaN for a missing value or anything that is no number."""
    try:
        return numbers.number(text) if text.lower() not in MISSING else float("nan")
    except ValueError:
        return float("nan")


def read(file: Path, ignore: str = "") -> Table:
    """Read a file with a header. ``ignore``: lines that start with this are left out, as are lines that start with #.

    ``ignore: "@"`` means, as in NONMEM, every line after the header whose first sign is a letter or @. Raises
    InputError with every line that has too few or too many cells.
    """
    rows = list(_rows(file, ignore))
    if not rows:
        raise InputError(Problem(str(file), "file", "", "The file is empty.", "Give a table with a header."))
    (line, header), body = rows[0], rows[1:]
    names = [name.strip() for name in header]
    problems = [
        Problem(f"{file}:{line}", "header", name, "This column name is empty or stands twice.", "Name each column once.")
        for k, name in enumerate(names) if not name or name in names[:k]
    ]  # fmt: skip
    for at, cells in body:
        if len(cells) != len(names):
            why = f"This line has {len(cells)} cells, the header {len(names)}."
            problems.append(
                Problem(f"{file}:{at}", "row", ",".join(cells)[:60], why, "Give every row one cell a column.")
            )
        elif any(len(cell) > MOST_CELL for cell in cells):
            problems.append(Problem(f"{file}:{at}", "row", "", "A cell is longer than any value.", "Check the quotes."))
    if problems:
        raise InputError(*problems[:50])
    if not body:
        why = "The file has a header and no rows."
        raise InputError(Problem(f"{file}:{line}", "rows", "", why, "Give a table with data."))
    columns = list(zip(*(cells for _, cells in body), strict=True))
    texts = {name: [cell.strip() for cell in column] for name, column in zip(names, columns, strict=True)}
    numbers = {name: np.array([number(t) for t in column]) for name, column in texts.items()}
    return Table(file, tuple(names), texts, np.array([at for at, _ in body], np.int64), numbers)


def _rows(file: Path, ignore: str) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) of every line that counts, the header first."""
    text = _text(file)
    lines = text.splitlines()
    kept = [(k + 1, line) for k, line in enumerate(lines) if line.strip() and not line.startswith("#")]
    if not kept:
        return
    separator = _separator(kept[0][1])
    for k, (at, line) in enumerate(kept):
        first = line.lstrip()[:1]
        if k and ignore and (first.isalpha() or first == "@" if ignore == "@" else line.startswith(ignore)):
            continue
        yield at, line.split() if separator is None else _cells(line, separator, file, at)


def _cells(line: str, separator: str, file: Path, at: int) -> list[str]:
    try:
        cells = next(csv.reader([line], delimiter=separator, skipinitialspace=True, strict=True), [])
    except csv.Error as error:
        raise InputError(
            Problem(f"{file}:{at}", "row", line[:60], f"This is no CSV: {error}.", "Check quotes.")
        ) from None
    return cells


def _separator(header: str) -> str | None:
    """None for blanks."""
    for separator in (",", ";", "\t"):
        if separator in header:
            return separator
    return None


def _text(file: Path) -> str:
    cure = "Name a table: CSV, or columns apart by blanks, with a header."
    try:
        if not file.is_file():
            why = "This is a folder." if file.is_dir() else "There is no such file."
            raise InputError(Problem(str(file), "data", "", why, cure))
        if file.stat().st_size > MOST_BYTES:
            raise InputError(Problem(str(file), "data", "", "The file is larger than 500 MB.", cure))
        return file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(Problem(str(file), "data", "", "The file is not UTF-8 text.", "Save it as UTF-8.")) from None
    except OSError as error:
        why = f"The file cannot be read: {error.strerror or error}."
        raise InputError(Problem(str(file), "data", "", why, "Check the file and its permissions.")) from None


def from_frame(frame: object, name: str = "data") -> Table:
    """A table from a pandas DataFrame; its index is not looked at, line numbers count from 2 as in its CSV."""
    import pandas as pd

    assert isinstance(frame, pd.DataFrame)
    names = tuple(map(str, frame.columns))
    texts: dict[str, list[str]] = {}
    for column, own in zip(names, frame.columns, strict=True):
        texts[column] = ["." if pd.isna(v) else str(v) for v in frame[own]]
    numbers = {column: np.array([number(t) for t in cells]) for column, cells in texts.items()}
    return Table(Path(name), names, texts, np.arange(2, len(frame) + 2), numbers)


def listed(rows: Iterable[int], most: int = 8) -> str:
    """``3, 5, 9 and 12 more``."""
    every = list(rows)
    shown = ", ".join(map(str, every[:most]))
    return shown + (f" and {len(every) - most} more" if len(every) > most else "")

"""The table of a trial, CSV or parquet, as columns of text that remember their lines."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from respine.errors import InputError, Problem
from respine.files import numbers
from respine.trial.analysis.arrays import Array

MISSING = frozenset({"", "NA", "NaN", "nan", "."})
MOST_BYTES = 2_000_000_000
MOST_LISTED = 8  # rows named in one error


@dataclass(frozen=True)
class Table:
    """``columns`` name -> cells (N,) as text, trimmed; ``lines`` (N,) where each row stands in the file."""

    file: str
    columns: dict[str, list[str]]
    lines: list[int]
    row_word: str = "line"

    @property
    def rows(self) -> int:
        return len(self.lines)

    def numbers(self, name: str) -> tuple[Array, list[int]]:
        """The column as numbers (N,), NaN where missing, and the rows whose cells are no numbers."""
        values = np.full(self.rows, np.nan)
        wrong = []
        for i, cell in enumerate(self.columns[name]):
            if cell in MISSING:
                continue
            try:
                value = numbers.number(cell)
            except ValueError:
                wrong.append(i)
                continue
            if math.isfinite(value):
                values[i] = value
            else:
                wrong.append(i)
        return values, wrong

    def labels(self, name: str) -> list[str]:
        """The column as labels, "" where missing; 4 and 4.0 are one label."""
        return ["" if cell in MISSING else plain(cell) for cell in self.columns[name]]

    def problem(
        self, rows: Sequence[int], field: str, why: str, cure: str, seen: Callable[[int], str] | None = None
    ) -> Problem:
        """One mistake of several rows, which are listed."""
        shown = ", ".join(str(self.lines[i]) for i in rows[:MOST_LISTED])
        more = f" and {len(rows) - MOST_LISTED} more" if len(rows) > MOST_LISTED else ""
        plural = "s" if len(rows) > 1 else ""
        listed = f" ({self.row_word}{plural} {shown}{more})"
        sample = (seen or (lambda i: self.columns[field][i] if field in self.columns else ""))(rows[0])
        return Problem(f"{self.file}:{self.lines[rows[0]]}", field, sample, why.rstrip(".") + listed + ".", cure)


def plain(cell: str) -> str:
    """A label with a whole number written as one."""
    if cell.endswith(".0") and cell[:-2].lstrip("-").isdigit():
        return cell[:-2]
    return cell


def read(file: str | Path) -> Table:
    """Read a CSV or parquet file. Raises InputError with what is wrong with its form."""
    path = Path(file).expanduser()
    if path.is_dir() or not path.exists():
        why = "This is a folder." if path.is_dir() else "There is no such file."
        raise InputError(Problem(str(file), "table", "", why, "Name a CSV or parquet file."))
    if not path.is_file():
        raise InputError(Problem(str(file), "table", "", "This is no plain file.", "Name a CSV or parquet file."))
    if path.stat().st_size > MOST_BYTES:
        raise InputError(
            Problem(str(file), "table", "", "The file is larger than 2 GB.", "Leave out columns you do not need.")
        )
    return _parquet(path) if path.suffix.lower() in (".parquet", ".pq") else _csv(path)


def _csv(path: Path) -> Table:
    problems: list[Problem] = []
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        why = f"The file is not UTF-8 text (byte {error.start + 1})."
        raise InputError(Problem(str(path), "table", "", why, "Save it as UTF-8.")) from None
    except OSError as error:
        raise InputError(
            Problem(str(path), "table", "", f"The file cannot be read: {error.strerror}.", "Check it.")
        ) from None
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    usual = csv.field_size_limit(1_000_000)
    try:
        header = [name.strip() for name in next(reader, [])]
        if not any(header):
            raise InputError(
                Problem(f"{path}:1", "table", "", "The file is empty.", "A header line and a row a visit are expected.")
            )
        for i, name in enumerate(header):
            if name in header[:i]:
                why = "Two columns have this name, so it is not clear which is meant."
                problems.append(Problem(f"{path}:1", "header", name, why, "Give each column its own name."))
        cells: list[list[str]] = []
        lines: list[int] = []
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            if len(row) != len(header):
                why = f"The row has {len(row)} cells, the header {len(header)}."
                cure = "Quote cells that hold the delimiter, or add the missing ones."
                if len(problems) < MOST_LISTED:
                    problems.append(Problem(f"{path}:{reader.line_num}", "row", ",".join(row)[:60], why, cure))
                continue
            cells.append([cell.strip() for cell in row])
            lines.append(reader.line_num)
    except csv.Error as error:
        problems.append(
            Problem(f"{path}:{reader.line_num}", "row", "", f"The row cannot be read: {error}.", "Check its quotes.")
        )
    finally:
        csv.field_size_limit(usual)
    if not problems and not cells:
        problems.append(
            Problem(f"{path}:1", "table", "", "There is a header but no row.", "Add a row for every visit.")
        )
    if problems:
        raise InputError(*problems)
    columns = {name: [row[i] for row in cells] for i, name in enumerate(header) if name}
    return Table(str(path), columns, lines)


def _parquet(path: Path) -> Table:
    import pandas as pd

    try:
        frame = pd.read_parquet(path)
    except Exception as error:  # pyarrow raises many kinds for damaged files
        why = f"The file cannot be read as parquet: {str(error).splitlines()[0][:120]}."
        raise InputError(Problem(str(path), "table", "", why, "Write it again, or give a CSV file.")) from None
    if frame.empty:
        raise InputError(Problem(str(path), "table", "", "The table has no row.", "Add a row for every visit."))
    columns = {str(name): [_text(value) for value in frame[name]] for name in frame.columns}
    return Table(str(path), columns, list(range(1, len(frame) + 1)), "row")


def _text(value: object) -> str:
    if isinstance(value, (bool, np.bool_)):
        return "1" if value else "0"
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, (float, np.floating)):
        return repr(float(value))
    text = str(value).strip()
    return "" if text in ("<NA>", "NaT") else text

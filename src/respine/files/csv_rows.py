"""The rows of a CSV file of somebody else; what is no table is one error."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from respine.errors import InputError, Problem

MOST_BYTES = 500_000_000


def csv_rows(path: Path) -> list[list[str]]:
    """All rows that are not empty, the header first. Raises InputError."""
    cure = "Restore the file: CSV in UTF-8, every quote closed, no cell of more than 131 072 letters."
    why = ""
    if not path.is_file():
        why = "This is no plain file."
    elif path.stat().st_size > MOST_BYTES:
        why = "The file is larger than 500 MB."
    if why:
        raise InputError(Problem(str(path), "(the file)", "", why, cure))
    reader = csv.reader(io.StringIO(path.read_bytes().decode("utf-8-sig", "replace"), newline=""))
    try:
        return [row for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise InputError(
            Problem(f"{path}:{reader.line_num}", "row", "", f"This is no CSV table: {error}.", cure)
        ) from None


def csv_records(path: Path) -> list[dict[str, str]]:
    """The rows by the names of the header; cells beyond it are left out, missing ones are empty. Raises InputError."""
    header, *rows = csv_rows(path) or [[]]
    names = [name.strip() for name in header]
    return [dict(zip(names, row + [""] * (len(names) - len(row)), strict=False)) for row in rows]

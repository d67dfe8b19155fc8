"""The rows of a CSV file of somebody else; what is no table is one error."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from respine.errors import InputError, Problem

MOST_BYTES = 500_000_000


def table_text(path: Path, field: str) -> str:
    """The text of a table of a user's own; ``field`` is what names it in errors. Raises InputError."""
    why = ""
    if not path.exists():
        why = "There is no such file."
    elif not path.is_file():
        why = "This is a folder, a pipe or a device, not a CSV file."
    elif path.stat().st_size > MOST_BYTES:
        why = "The file is larger than 500 MB."
    else:
        try:
            return path.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            why = f"The file is not UTF-8 text (byte {error.start + 1})."
        except OSError as error:
            why = f"The file cannot be read: {error.strerror}."
    raise InputError(Problem(str(path), field, "", why, "Give a CSV file in UTF-8."))


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
    reader = csv.reader(io.StringIO(path.read_bytes().decode("utf-8-sig", "replace"), newline=""), strict=True)
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

"""A delimited text file of any program as rows of text with their lines: encoding, separator and header are found."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from respine.errors import InputError, Problem
from respine.interop.faults import Faults

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "": "blanks"}
HEADER_WITHIN = 30  # lines above which the header must stand


@dataclass(frozen=True)
class Row:
    """One row: its line in the file and its cells by column (as the header writes them)."""

    line: int
    cells: dict[str, str]


@dataclass(frozen=True)
class Delimited:
    """A file as text: columns in order, rows, and ``notes`` on what was found or left out."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()


def read(file: str | Path, required: Sequence[str], comment: str, faults: Faults) -> Delimited:
    """The rows below the first line that holds all ``required`` columns (in any case of letters).

    Lines that begin with ``comment`` are left out, with a note. Faults of single rows are added to ``faults``; raises
    InputError where the file as a whole cannot be read.
    """
    path = Path(file).expanduser()
    text, notes = _text(path)
    lines = _lines(text)
    at, separator = _header(path, lines, required, comment)
    above = sum(bool(line.strip()) and not _is_comment(line, comment) for line in lines[:at])
    data = [k for k, line in enumerate(lines[:at]) if line.strip() and not _is_comment(line, comment)
            and all(_numeric(cell.strip()) for cell in _split(line, separator))]  # fmt: skip
    for k in data:
        why = "This is a row of data above the header; it would not be read."
        faults.add(k + 1, "row", lines[k][:60], why, "Move it below the header, or remove it.")
    if above:
        notes.append(f"{above} line{'s' if above > 1 else ''} above the header {'are' if above > 1 else 'is'} not read")
    if separator not in (",", ""):
        notes.append(f"columns are separated by {SEPARATORS[separator]}")
    kept = [line if k >= at and not _is_comment(line, comment) else "" for k, line in enumerate(lines)]
    comments = sum(_is_comment(line, comment) for line in lines[at:])
    if comments:
        notes.append(f'{comments} line{"s" if comments > 1 else ""} that begin with "{comment}" not read')
    cells = _cells(path, kept, separator)
    _, header = next(cells)
    columns = _columns(header, at + 1, faults)
    rows = []
    for line, fields in cells:
        if len(fields) > len(header) and not any(fields[len(header) :]):
            fields = fields[: len(header)]  # empty cells at the end, as spreadsheets write them
        if len(fields) != len(header):
            why = f"A row must have as many cells as the header ({len(header)})."
            faults.add(line, "row", f"{len(fields)} cells", why, "Give every column a cell, . where nothing is meant.")
            continue
        if any("\n" in cell for cell in fields):
            faults.add(line, "row", "", "A cell in quotes goes on over several lines.", "Close the quotes of the cell.")
            continue
        rows.append(Row(line, {name: cell.strip() for name, cell in zip(columns, fields, strict=True)}))
    empty = [c for c in columns if c.startswith("(column ") and not any(row.cells[c] for row in rows)]
    rows = [Row(row.line, {c: v for c, v in row.cells.items() if c not in empty}) for row in rows] if empty else rows
    return Delimited(path, tuple(c for c in columns if c not in empty), tuple(rows), tuple(notes))


def columns(file: str | Path, required: Sequence[str]) -> tuple[str, ...]:
    """The columns of a file, read alone. Raises InputError where there is no header that holds the required ones."""
    path = Path(file).expanduser()
    lines = _lines(_text(path)[0])
    at, separator = _header(path, lines, required, "#")
    return tuple(_columns(next(_cells(path, lines[at : at + 1], separator))[1], at + 1, Faults(path)))


def _empty(path: Path) -> InputError:
    return InputError(Problem(str(path), "file", "", "The file is empty.", "Give a table with a header and rows."))


def _lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _text(path: Path) -> tuple[str, list[str]]:
    """The file as text, with a note where it is not UTF-8. Raises InputError."""
    if not path.is_file():
        seen = "a folder" if path.is_dir() else "no such file" if not path.exists() else "not a file"
        raise InputError(Problem(str(path), "file", seen, "A data file is needed.", "Check the path."))
    try:
        data = path.read_bytes()
    except OSError as refused:
        why = f"The file cannot be read: {refused.strerror}."
        raise InputError(Problem(str(path), "file", "", why, "Check its permissions.")) from None
    notes: list[str] = []
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        if encoding == "utf-8-sig":
            encoding = "latin-1"
            notes.append("the file is not UTF-8 and was read as Latin-1")
    text = data.decode(encoding, errors="replace")
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        why = "The file holds zero bytes, so it is no text."
        raise InputError(Problem(f"{path}:{line}", "file", "", why, "Save the table as CSV (UTF-8)."))
    return text, notes


def _is_comment(line: str, comment: str) -> bool:
    return bool(comment) and line.lstrip().startswith(comment)


def _header(path: Path, lines: Sequence[str], required: Sequence[str], comment: str) -> tuple[int, str]:
    """Index of the header line and its separator. Raises InputError."""
    if not any(line.strip() for line in lines):
        raise _empty(path)
    first = None
    for k, line in enumerate(lines[: HEADER_WITHIN + 200]):
        if not line.strip() or _is_comment(line, comment):
            continue
        if first is None:
            first = k
        if k > first + HEADER_WITHIN:
            break
        for separator in SEPARATORS:
            here = {cell.strip().strip('"').upper() for cell in _split(line, separator)}
            if {name.upper() for name in required} <= here:
                return k, separator
    first = first or 0
    line = lines[first]
    separator = max(SEPARATORS, key=lambda s: (len(_split(line, s)), s == ","))
    names = [cell.strip().strip('"') for cell in _split(line, separator)]
    if all(_numeric(name) for name in names):
        why = "The first line holds numbers; the file has no header."
        cure = f"Write the names of the columns above the rows: {','.join(required)}, ..."
    else:
        lacking = [name for name in required if name.upper() not in {n.upper() for n in names}]
        why, cure = f"Missing: {', '.join(lacking)}.", f"The header must hold {', '.join(required)}."
    raise InputError(Problem(f"{path}:{first + 1}", "columns", ", ".join(names)[:200], why, cure))


def _split(line: str, separator: str) -> list[str]:
    return line.split(separator) if separator else line.split()


def _numeric(text: str) -> bool:
    try:
        float(text.replace(",", ".") or 0)
    except ValueError:
        return text in (".", "NA")
    return True


def _cells(path: Path, lines: Sequence[str], separator: str) -> Iterator[tuple[int, list[str]]]:
    """Line and cells of the header and of every row. Raises InputError where quotes or a cell have no end."""
    if not separator:
        yield from ((k + 1, [cell.strip('"') for cell in line.split()]) for k, line in enumerate(lines) if line.strip())
        return
    reader = csv.reader(io.StringIO("\n".join(lines), newline=""), delimiter=separator, strict=True)
    begin = 1
    try:
        for fields in reader:
            if any(cell.strip() for cell in fields):
                yield begin, fields
            begin = reader.line_num + 1
    except csv.Error as fault:
        limit = f"{csv.field_size_limit():,}".replace(",", " ")
        why = (
            f"A cell has more than {limit} characters."
            if "limit" in str(fault)
            else f"The row cannot be read: {fault}."
        )
        cure = "Look for quotes that are opened and not closed, or leave the column out of the file."
        raise InputError(Problem(f"{path}:{begin}", "row", "", why, cure)) from None


def _columns(header: Sequence[str], line: int, faults: Faults) -> list[str]:
    """Names of the columns; one without a name is called by its place."""
    names = [cell.strip() or f"(column {k + 1})" for k, cell in enumerate(header)]
    upper = [name.upper() for name in names]
    for name in dict.fromkeys(n for n in upper if upper.count(n) > 1):
        why = "Two columns have this name, so it is not known which one is meant."
        faults.add(line, "columns", names[upper.index(name)], why, "Rename or remove one of them.")
    return names

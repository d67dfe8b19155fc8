"""Tables that NONMEM prints ($TABLE), and how exactly a printed number is known."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from respine.errors import InputError, Problem
from respine.interop.control_stream.text import text_of

MOST_BYTES = 500_000_000
_SPREAD = re.compile(r"^TABLE NO\.", re.IGNORECASE)


@dataclass(frozen=True)
class Printed:
    """``values[name]`` (n,) and ``units[name]`` (n,): half a unit of the last digit that is printed; ``lines`` of the file."""

    file: Path
    values: dict[str, np.ndarray]
    units: dict[str, np.ndarray]
    lines: np.ndarray

    def __len__(self) -> int:
        return len(self.lines)


def read(path: Path) -> Printed:
    """A table as NONMEM writes it: with or without "TABLE NO." and names that come again; blanks or commas between cells.

    Only the first table of a file with several is read. Raises InputError for a file that is none.
    """
    header: list[str] | None = None
    rows: list[tuple[int, list[str]]] = []
    first_table: list[str] | None = None
    cure = "Name a table as NONMEM's $TABLE writes it."
    for number, raw in enumerate(text_of(path, "table", cure, MOST_BYTES).splitlines(), 1):
        line = raw.strip()
        if not line:
            continue
        if _SPREAD.match(line):
            if rows and line.split()[2:3] != first_table:
                break
            first_table = line.split()[2:3]
            continue
        cells = [cell.strip() for cell in line.split(",")] if "," in line else line.split()
        if not all(_is_number(cell) for cell in cells):
            if header is None:
                header = [cell.strip("\"'").upper() for cell in cells]
            elif [cell.strip("\"'").upper() for cell in cells] != header:
                raise _fault(path, number, line, "This is neither a row of numbers nor the header again.")
            continue
        if header is None:
            raise _fault(path, number, line, "The table has no header with the names of its columns.")
        if len(cells) != len(header):
            raise _fault(path, number, line, f"The row has {len(cells)} cells, the header {len(header)}.")
        rows.append((number, cells))
    if header is None or not rows:
        raise _fault(path, 1, "", "The file holds no table.")
    if len(set(header)) != len(header):  # NONMEM appends DV PRED RES WRES, which may be there already
        header = [name if name not in header[:k] else f"{name} {k}" for k, name in enumerate(header)]
    columns = list(zip(*(cells for _, cells in rows), strict=True))
    values = {name: np.array([_number(cell) for cell in column]) for name, column in zip(header, columns, strict=True)}
    units = {name: np.array([half_unit(cell) for cell in column]) for name, column in zip(header, columns, strict=True)}
    return Printed(path, values, units, np.array([number for number, _ in rows], np.int64))


def half_unit(cell: str) -> float:
    """Half a unit of the last digit of a printed number: 0.000005 of 1.2345E-01."""
    found = re.fullmatch(r"[+-]?(\d*)\.?(\d*)(?:[EDed]?([+-]?\d+))?", cell)
    if found is None or not (found[1] or found[2]):
        return 0.0
    exponent = int(found[3]) if found[3] else 0
    decimals = len(found[2])
    if "." not in cell and not found[3]:
        return 0.0  # a whole number, as of counts
    return float(0.5 * 10.0 ** min(max(exponent - decimals, -300), 300))


def _number(cell: str) -> float:
    text = cell.upper().replace("D", "E")
    if text in (".", "NAN", "NA", "****", ""):
        return float("nan")
    if text.lstrip("+-") in ("INF", "INFINITY"):
        return float("inf") * (-1 if text.startswith("-") else 1)
    short = re.fullmatch(r"([+-]?\d*\.?\d+)([+-]\d+)", text)  # 1.5-100, as Fortran prints small numbers
    return float(f"{short[1]}E{short[2]}" if short else text)


def _is_number(cell: str) -> bool:
    try:
        _number(cell)
    except ValueError:
        return False
    return True


def _fault(path: Path, line: int, seen: str, why: str) -> InputError:
    return InputError(
        Problem(f"{path}:{line}", "table", seen[:80], why, "Give a table as $TABLE writes it, with its header.")
    )

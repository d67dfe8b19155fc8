"""The science as data: names, paths, texts and rows of the library's files. Imports no other room."""

from __future__ import annotations

import csv
import io
import re
from difflib import get_close_matches
from pathlib import Path

from respine.errors import InputError, Problem

ROOT = Path(__file__).parent

KINDS = {
    "models": ".yaml", "modules": ".ant", "variables": ".csv", "parameters": ".csv", "drugs": ".yaml",
    "exposures": ".yaml", "scales": ".yaml", "populations": ".yaml", "studies": ".yaml", "evidence": ".csv",
}  # fmt: skip


def names(kind: str) -> list[str]:
    """Names of all library files of a kind (``models``, ``drugs`` ...), sorted. Raises KeyError for no such kind."""
    return sorted(file.stem for file in (ROOT / kind).glob(f"*{KINDS[kind]}") if not file.name.startswith((".", "_")))


def path(kind: str, name: str) -> Path:
    """The file behind a name. Raises InputError, listing the names there are, if the library has no such file."""
    known = names(kind)
    if name not in known:
        near = get_close_matches(name, known, 1)
        cure = f'Write "{near[0]}", or one of: ' if near else "Write one of: "
        why = f"the library has no such file in {kind}/."
        raise InputError(Problem("library", kind, name, why, cure + (", ".join(known) or "(none yet)") + "."))
    return ROOT / kind / f"{name}{KINDS[kind]}"


def label(kind: str, name: str) -> str:
    """How errors call a library file: ``library/parameters/bdnf.csv``."""
    return f"library/{kind}/{name}{KINDS[kind]}"


def text(kind: str, name: str) -> str:
    """The text of a library file. Raises InputError for an unknown name."""
    return path(kind, name).read_text(encoding="utf-8")


def rows(kind: str, name: str) -> list[dict[str, str]]:
    """The rows of a CSV file, stripped of outer blanks; ``_file`` and ``_line`` say where each row begins.

    Raises InputError with every row that has more or fewer cells than the header.
    """
    where = label(kind, name)
    reader = csv.reader(io.StringIO(text(kind, name)))
    header = [cell.strip() for cell in next(reader, [])]
    found: list[dict[str, str]] = []
    problems = []
    line = reader.line_num + 1
    for cells in reader:
        if len(cells) == len(header):
            row = dict(zip(header, (cell.strip() for cell in cells), strict=True))
            found.append(row | {"_file": where, "_line": str(line)})
        elif cells:
            why = f"the row has {len(cells)} cells, the header has {len(header)}."
            cure = 'Give every column a cell, and put text with commas in quotes: "a, b".'
            problems.append(Problem(f"{where}:{line}", cells[0], ",".join(cells)[:60], why, cure))
        line = reader.line_num + 1  # a quoted cell may span lines, so the next row's start is not this row's end + 1
    if problems:
        raise InputError(*problems)
    return found


def references() -> dict[str, str]:
    """The BibTeX entry of every source key in the library's ``.bib`` files."""
    texts = (file.read_text(encoding="utf-8") for file in sorted(ROOT.glob("*.bib")))
    entries = (entry for whole in texts for entry in re.split(r"(?m)^(?=@\w+\s*\{)", whole))
    keyed = ((re.match(r"@\w+\s*\{\s*([^,\s]+)", entry), entry) for entry in entries)
    return {match[1]: entry.strip() for match, entry in keyed if match}

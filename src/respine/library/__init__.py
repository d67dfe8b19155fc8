"""The science as data: names, paths, texts and rows of the library's files. Imports no other room."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from difflib import get_close_matches
from pathlib import Path

from respine.errors import InputError, Problem

ROOT = Path(__file__).parent

KINDS = {
    "models": ".yaml", "modules": ".ant", "variables": ".csv", "parameters": ".csv", "drugs": ".yaml",
    "exposures": ".yaml", "scales": ".yaml", "populations": ".yaml", "studies": ".yaml", "evidence": ".csv",
    "recipes": ".yaml",
}  # fmt: skip

Rows = Sequence[dict[str, str]]
_BESIDE: ContextVar[Mapping[str, Rows] | None] = ContextVar("evidence rows of a user", default=None)


@contextmanager
def beside(tables: Mapping[str, Rows]) -> Iterator[None]:
    """Inside the block a user's evidence rows stand at the end of the library's tables, or as tables of their own."""
    token = _BESIDE.set(tables)
    try:
        yield
    finally:
        _BESIDE.reset(token)


def added(name: str) -> list[dict[str, str]]:
    """Rows that ``beside`` adds to an evidence table at the moment."""
    return list((_BESIDE.get() or {}).get(name, ()))


def names(kind: str) -> list[str]:
    """Names of all library files of a kind (``models``, ``drugs`` ...), sorted. Raises KeyError for no such kind."""
    found = {file.stem for file in (ROOT / kind).glob(f"*{KINDS[kind]}") if not file.name.startswith((".", "_"))}
    return sorted(found | set(_BESIDE.get() or ()) if kind == "evidence" else found)


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
    more = added(name) if kind == "evidence" else []
    if more and not (ROOT / kind / f"{name}{KINDS[kind]}").is_file():
        return more
    return [*parse(text(kind, name), label(kind, name)), *more]


def parse(text: str, where: str) -> list[dict[str, str]]:
    """The rows of a CSV text, as ``rows`` gives them; ``where`` is what errors call the file."""
    reader = csv.reader(io.StringIO(text))
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

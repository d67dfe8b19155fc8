"""A library: files by kind and name, from one folder or several laid over each other."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from respine.errors import InputError, Problem

ROOT = Path(__file__).parent

KINDS = {
    "models": ".yaml", "modules": ".ant", "variables": ".csv", "parameters": ".csv", "drugs": ".yaml",
    "exposures": ".yaml", "scales": ".yaml", "populations": ".yaml", "studies": ".yaml", "evidence": ".csv",
    "recipes": ".yaml", "scenes": ".yaml",
}  # fmt: skip

Row = dict[str, str]
T = TypeVar("T")


class Library:
    """Files by kind (``models``, ``drugs``, ``scales`` ...) and name; a value that is handed down, never changed.

    ``roots``: folders that hold ``KIND/NAME.ext``; a file of a later one stands in place of the same name of an earlier
    one. ``numbers``: values that stand in place of those of parameter rows, by id. ``evidence``: further rows by table.
    ``overlay``, ``with_values`` and ``with_evidence`` give changed copies. What is parsed is kept with the text it came
    from, so that an edited file is read anew. A pickled library keeps its roots, not their files.
    """

    def __init__(
        self, roots: Sequence[Path] = (ROOT,), numbers: Mapping[str, float] | None = None,
        evidence: Mapping[str, Sequence[Row]] | None = None,
    ) -> None:  # fmt: skip
        self.roots = tuple(roots)
        self.numbers = dict(numbers or {})
        self.evidence = {table: [dict(row) for row in own] for table, own in (evidence or {}).items()}
        self._parsed: dict[tuple[Any, ...], tuple[tuple[str, ...], Any]] = {}

    def __repr__(self) -> str:
        more = [str(root) for root in self.roots if root != ROOT] + [f"{k} = {v:g}" for k, v in self.numbers.items()]
        own = [f"{len(rows)} rows of {table}" for table, rows in self.evidence.items()]
        return f"Library({', '.join(['built in', *more, *own])})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Library, (self.roots, self.numbers, self.evidence)

    # -- changed copies --------------------------------------------------------------------------------------------

    def overlay(self, folder: str | Path) -> Library:
        """The library with the files of ``folder`` (``drugs/NAME.yaml``, ``scales/NAME.yaml`` ...) over its own.

        Raises InputError where the folder is missing or holds none of the library's kinds.
        """
        root = Path(folder).expanduser()
        if not any((root / kind).is_dir() for kind in KINDS):
            why = "This folder holds none of the library's kinds." if root.is_dir() else "There is no such folder."
            cure = f"Put the files into folders of these names: {', '.join(KINDS)}."
            raise InputError(Problem(str(root), "library", "", why, cure))
        return Library((*self.roots, root.resolve()), self.numbers, self.evidence)

    def with_values(self, values: Mapping[str, float]) -> Library:
        """The library with other typical values of parameters, in the units of its tables.

        Raises InputError for every id that no table has, with the nearest.
        """
        known = {row["id"] for table in self.names("parameters") for row in self.rows("parameters", table)}
        problems = []
        for id in values:
            if id not in known:
                near = get_close_matches(id, known, 1)
                cure = f'Did you mean "{near[0]}"?' if near else "Write an id of library/parameters."
                problems.append(
                    Problem("library overlay", "parameters", id, "No table has a parameter of this id.", cure)
                )
        if problems:
            raise InputError(*problems)
        return Library(self.roots, {**self.numbers, **values}, self.evidence)

    def with_evidence(self, tables: Mapping[str, Sequence[Row]]) -> Library:
        """The library with further evidence rows at the end of its tables, or as tables of their own."""
        joined = {name: [*self.evidence.get(name, []), *rows] for name, rows in tables.items()}
        return Library(self.roots, self.numbers, {**self.evidence, **joined})

    # -- files -----------------------------------------------------------------------------------------------------

    def names(self, kind: str) -> list[str]:
        """Names of all files of a kind, sorted. Raises KeyError for no such kind."""
        ending = KINDS[kind]
        files = (file for root in self.roots for file in (root / kind).glob(f"*{ending}"))
        held = {file.stem for file in files if not file.name.startswith((".", "_"))}
        return sorted(held | set(self.evidence) if kind == "evidence" else held)

    def path(self, kind: str, name: str) -> Path:
        """The file behind a name. Raises InputError, listing the names there are, if the library has no such file."""
        for root in reversed(self.roots):
            file = root / kind / f"{name}{KINDS[kind]}"
            if not name.startswith((".", "_")) and Path(name).name == name and file.is_file():
                return file
        known = self.names(kind)
        near = get_close_matches(name, known, 1)
        cure = f'Write "{near[0]}", or one of: ' if near else "Write one of: "
        why = f"the library has no such file in {kind}/."
        raise InputError(Problem("library", kind, name, why, cure + (", ".join(known) or "(none yet)") + "."))

    def label(self, kind: str, name: str) -> str:
        """How errors call a file: ``library/parameters/bdnf.csv``, or the path of an overlay's file."""
        for root in reversed(self.roots):
            if root != ROOT and (root / kind / f"{name}{KINDS[kind]}").is_file():
                return str(root / kind / f"{name}{KINDS[kind]}")
        return f"library/{kind}/{name}{KINDS[kind]}"

    def text(self, kind: str, name: str) -> str:
        """The text of a file. Raises InputError for an unknown name and for a file that is no text."""
        try:
            return self.path(kind, name).read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            why, cure = f"The file is not UTF-8 text (byte {error.start + 1}).", "Save it as UTF-8."
            raise InputError(Problem(self.label(kind, name), "(the file)", "", why, cure)) from None

    def top(self, name: str) -> Path:
        """A file that stands beside the kinds' folders (``systems.yaml``), the latest root's first."""
        return next((root / name for root in reversed(self.roots) if (root / name).is_file()), self.roots[0] / name)

    def rows(self, kind: str, name: str) -> list[Row]:
        """The rows of a CSV file, stripped of outer blanks; ``_file`` and ``_line`` say where each row begins.

        Raises InputError with every row that has more or fewer cells than the header.
        """
        more = [dict(row) for row in self.evidence.get(name, [])] if kind == "evidence" else []
        if more and not any((root / kind / f"{name}{KINDS[kind]}").is_file() for root in self.roots):
            return more
        where = self.label(kind, name)
        own = self.parsed(
            (parse_rows, where), [self.path(kind, name)], lambda: parse_rows(self.text(kind, name), where)
        )
        rows = [dict(row) for row in own]
        if kind == "parameters":
            for row in rows:
                if row.get("id") in self.numbers:
                    row["value"] = repr(float(self.numbers[row["id"]]))
        return rows + more

    def parsed(self, key: tuple[Any, ...], files: Iterable[Path], parse: Callable[[], T]) -> T:
        """What ``parse`` makes of these files, kept under ``key`` for as long as their texts stay the same."""
        texts = tuple(file.read_text(encoding="utf-8", errors="surrogateescape") for file in files)
        held = self._parsed.get(key)
        if held is None or held[0] != texts:
            self._parsed[key] = held = (texts, parse())
        result: T = held[1]
        return result

    def references(self) -> dict[str, str]:
        """The BibTeX entry of every source key in the ``.bib`` files."""
        texts = (file.read_text("utf-8") for root in self.roots for file in sorted(root.glob("*.bib")))
        entries = (entry for whole in texts for entry in re.split(r"(?m)^(?=@\w+\s*\{)", whole))
        keyed = ((re.match(r"@\w+\s*\{\s*([^,\s]+)", entry), entry) for entry in entries)
        return {match[1]: entry.strip() for match, entry in keyed if match}

    def fingerprint(self, *, without: Sequence[str] = ()) -> str:
        """SHA-256 over names and contents of all files but those of the kinds ``without``, and over all overlaid values."""
        digest = hashlib.sha256(repr((sorted(self.numbers.items()), sorted(self.evidence.items()))).encode())
        for root in self.roots:
            files = [file for kind in KINDS if kind not in without for file in (root / kind).glob(f"*{KINDS[kind]}")]
            files += [*root.glob("*.bib"), *root.glob("*.yaml"), *root.glob("*.csv"), *root.glob("*.parquet")]
            for file in sorted(files):
                digest.update(f"{file.relative_to(root).as_posix()}\0".encode() + file.read_bytes() + b"\0")
        return digest.hexdigest()


def parse_rows(text: str, where: str) -> list[Row]:
    """The rows of a CSV text, as ``Library.rows`` gives them; ``where`` is what errors call the file."""
    reader = csv.reader(io.StringIO(text), strict=True)
    problems: list[Problem] = []
    rows: list[Row] = []
    try:
        header = [cell.strip() for cell in next(reader, [])]
        line = reader.line_num + 1
        for cells in reader:
            if len(cells) == len(header):
                row = dict(zip(header, (cell.strip() for cell in cells), strict=True))
                rows.append(row | {"_file": where, "_line": str(line)})
            elif cells:
                why = f"the row has {len(cells)} cells, the header has {len(header)}."
                cure = 'Give every column a cell, and put text with commas in quotes: "a, b".'
                problems.append(Problem(f"{where}:{line}", cells[0], ",".join(cells)[:60], why, cure))
            line = reader.line_num + 1  # a quoted cell may span lines: this row's end + 1 is not the next row's start
    except csv.Error as error:
        why = f"this is no CSV table: {error}."
        cure = "Close every quote, and keep a cell under 131072 characters."
        problems.append(Problem(f"{where}:{reader.line_num}", "row", "", why, cure))
    if problems:
        raise InputError(*problems)
    return rows

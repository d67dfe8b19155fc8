"""A NONMEM control stream as records: ``$NAME`` with its lines, comments apart, every line with its number."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from respine.errors import InputError, Problem
from respine.interop.control_stream.text import text_of
from respine.interop.faults import Faults

MOST_LETTERS = 2_000_000  # of a file
READ = (
    "PROBLEM", "INPUT", "DATA", "SUBROUTINES", "MODEL", "PK", "ERROR", "PRED", "DES", "THETA", "OMEGA", "SIGMA", "THETAP",
    "THETAPV", "OMEGAP", "OMEGAPD", "PRIOR", "ESTIMATION", "COVARIANCE", "TABLE", "ABBREVIATED",
)  # fmt: skip
ASIDE = (
    "SIZES", "SCATTERPLOT", "WARNINGS", "SIMULATION", "TOL", "RCOV", "RCOVI", "PHIS", "ETAS", "ANNEAL", "FORMAT", "DEFAULT",
    "NONPARAMETRIC",
)  # fmt: skip
"""Records that change neither the model nor the data; they are named and left aside."""
REFUSED = (
    "AES", "AESINITIAL", "BIND", "CHAIN", "CONTR", "DESIGN", "ESTM", "INCLUDE", "INDEXES", "INFN", "LEVEL", "MIX", "MSFI",
    "OLKJDF", "OMIT", "OVARF", "SIGMAP", "SIGMAPD", "SLKJDF", "SUPER", "SVARF", "THETAI", "THETAR", "TTDF",
)  # fmt: skip
_NAMES = (*READ, *ASIDE, *REFUSED)
_FIRST = re.compile(r"^\s*\$([A-Za-z]+)")


@dataclass(frozen=True)
class Line:
    """One line of a record: its number in the file, its text without comment, the comment."""

    number: int
    text: str
    comment: str = ""


@dataclass(frozen=True)
class Record:
    """A record by its full name, the number of its first line, and its lines without the name."""

    name: str
    line: int
    lines: tuple[Line, ...]

    @property
    def text(self) -> str:
        """All of it on one line."""
        return " ".join(line.text for line in self.lines).strip()


def split(path: Path, faults: Faults) -> list[Record]:
    """The records of a file, in order. Records that are not read become faults; raises InputError for no control stream."""
    records: list[Record] = []
    name, first, lines = "", 0, list[Line]()
    for number, raw in enumerate(text_of(path, "file", "Name a control stream.", MOST_LETTERS).splitlines(), 1):
        found = _FIRST.match(raw)
        if found:
            if name:
                records.append(Record(name, first, tuple(lines)))
            name, first, lines = full_name(found[1]) or found[1].upper(), number, []
            raw = raw[found.end() :]
        elif not name:
            if raw.strip() and not raw.lstrip().startswith(";"):
                faults.add(
                    number, "record", raw.strip()[:60], "Text stands before the first record.", "Begin with $PROBLEM."
                )
            continue
        if name != "PROBLEM" and raw.lstrip().startswith('"'):
            lines.append(Line(number, raw.strip()))
            continue
        text, _, comment = raw.partition(";")
        lines.append(Line(number, text.strip(), comment.strip(" ;\t")))
    if name:
        records.append(Record(name, first, tuple(lines)))
    if not any(record.name in ("PK", "PRED", "ERROR") for record in records):
        why = "The file has neither $PK nor $PRED, so it is no control stream with a model."
        raise InputError(Problem(str(path), "file", "", why, "Give the control stream itself (.ctl, .mod, .con)."))
    _check(records, faults)
    return records


def full_name(word: str) -> str | None:
    """The record of a name that may be cut to three letters or more; None for no record of NONMEM."""
    word = word.upper()
    other = {"PRE": "PRED", "PREDI": "PRED", "SUBROUTINE": "SUBROUTINES", "SUBS": "SUBROUTINES", 
             "ESTIMATE": "ESTIMATION", "OMEGAS": "OMEGA",             "COVAR": "COVARIANCE", "PREDPP": None}  # fmt: skip
    if word in _NAMES:
        return word
    if word in other:
        return other[word]
    if len(word) < 3:
        return None
    return next((name for name in _NAMES if name.startswith(word)), None)


def _check(records: list[Record], faults: Faults) -> None:
    """Names that are not read, and a second problem."""
    problems = [record for record in records if record.name == "PROBLEM"]
    for record in problems[1:]:
        faults.add(
            record.line,
            "$PROBLEM",
            record.text[:60],
            "The file holds several problems.",
            "Give one file for each problem.",
        )
    for record in records:
        if record.name in REFUSED:
            why = f"${record.name} is not read."
            faults.add(record.line, f"${record.name}", record.text[:60], why, "Write the model without it.")
        elif record.name not in _NAMES:
            why = "NONMEM has no such record."
            faults.add(record.line, f"${record.name}", "", why, "Correct the name, or remove the record.")


def joined(record: Record) -> Iterator[Line]:
    """Lines with those that end in ``&`` drawn together with the next."""
    held: Line | None = None
    for line in record.lines:
        if held is not None:
            line = Line(held.number, f"{held.text} {line.text}", line.comment)
        held = Line(line.number, line.text[:-1], line.comment) if line.text.endswith("&") else None
        if held is None and line.text:
            yield line
    if held is not None and held.text:
        yield held


def first(records: list[Record], name: str) -> Record | None:
    return next((record for record in records if record.name == name), None)


def every(records: list[Record], *names: str) -> list[Record]:
    return [record for record in records if record.name in names]


_THEIRS = re.compile(r"^\s*\$(INPUT|INP|DATA|DAT|THETA|THE|EST\w*|SUBR?\w*|SIGMA|SIG)\b", re.IGNORECASE | re.MULTILINE)
_MRGSOLVE = re.compile(
    r"^\s*(\$|\[\s*)(PARAM|MAIN|ODE|CMT|CAPTURE|GLOBAL|PKMODEL|INIT|FIXED|SET)\b", re.IGNORECASE | re.MULTILINE
)


def is_control_stream(path: Path) -> bool:
    """Whether a file is a NONMEM control stream by what stands in it; .mod and .txt may be mrgsolve's as well."""
    suffix = path.suffix.lower()
    if suffix in (".ctl", ".con", ".nmctl"):
        return True
    if suffix not in (".mod", ".txt", ".ctr", ".lst", "") or not path.is_file() or path.stat().st_size > MOST_LETTERS:
        return False
    text = path.read_bytes().decode("utf-8", errors="replace")
    return bool(_THEIRS.search(text)) and not _MRGSOLVE.search(text)

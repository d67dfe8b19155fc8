"""$INPUT and $DATA: the records of a NONMEM data file by NM-TRAN's rules, as columns of numbers.

Nothing (``.`` or an empty cell) is 0, as in NONMEM. Records that belong together are those of one ID in a row.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np

from respine.errors import InputError, Problem
from respine.files.suggest import nearest
from respine.interop.control_stream.records import Record
from respine.interop.control_stream.text import text_of
from respine.interop.faults import Faults

MOST_BYTES = 500_000_000
ITEMS = ("ID", "TIME", "DV", "AMT", "EVID", "MDV", "CMT", "RATE", "II", "ADDL", "SS", "PCMT", "L1", "L2", "CALL", "CONT", "XVID1",
         "DATE", "DAT1", "DAT2", "DAT3", "RAW_", "MRG_", "REPL_")  # fmt: skip
DATES = {"DATE": "mdy", "DAT1": "dmy", "DAT2": "ymd", "DAT3": "ydm"}
_NOT_READ = ("CALL", "CONT", "L2", "RAW_", "MRG_", "REPL_")
_COMPARE = {".EQ.": "eq", "=": "eq", "==": "eq", ".EQN.": "eqn", ".NE.": "ne", "/=": "ne", ".NEN.": "nen", ".GT.": "gt",
            ">": "gt",            ".GE.": "ge", ">=": "ge", ".LT.": "lt", "<": "lt", ".LE.": "le", "<=": "le"}  # fmt: skip
_CONDITION = re.compile(r"^\s*([A-Za-z_]\w*)\s*(\.[A-Za-z]{2,3}\.|==|/=|>=|<=|=|>|<)\s*(.+?)\s*$")


@dataclass
class Columns:
    """$INPUT: the name of each column in order (empty: dropped), other names of the same, and where it stands."""

    names: list[str] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)  # dropped columns that have a name, and their places
    synonyms: dict[str, str] = field(default_factory=dict)
    line: int = 0


@dataclass
class Read:
    """The records that count. ``values[name]`` (n_records,); ``lines`` of the file; ``labels`` of IDs; ``notes``."""

    file: Path
    values: dict[str, np.ndarray]
    lines: np.ndarray
    labels: list[str]
    notes: list[str]
    missing: dict[str, int]

    def __len__(self) -> int:
        return len(self.lines)


def columns(records: list[Record], faults: Faults) -> Columns:
    """What $INPUT says."""
    found = Columns(line=records[0].line if records else 0)
    for record in records:
        for line in record.lines:
            for word in re.sub(r"\s*=\s*", "=", line.text.replace(",", " ")).upper().split():
                a, _, b = word.partition("=")
                if not re.fullmatch(r"[A-Z_]\w*", a) or (b and not re.fullmatch(r"[A-Z_]\w*", b)):
                    faults.add(
                        line.number,
                        "$INPUT",
                        word,
                        "This is no name of a column.",
                        "Write NAME, NAME=DROP or NAME=OTHER.",
                    )
                    continue
                drop = {"DROP", "SKIP"} & {a, b}
                if drop:
                    named = b if a in ("DROP", "SKIP") else a
                    if named not in ("", "DROP", "SKIP"):
                        found.dropped.setdefault(named, len(found.names))
                    found.names.append("")
                    continue
                name = a
                if b:  # the reserved name is what the column is called
                    name, other = (b, a) if b in ITEMS else (a, b)
                    found.synonyms[other] = name
                if name in found.names or name in found.synonyms:
                    faults.add(
                        line.number, "$INPUT", name, "Two columns have this name.", "Rename or drop one of them."
                    )
                if name in _NOT_READ or name == "XVID1":
                    faults.add(
                        line.number,
                        "$INPUT",
                        name,
                        f"The item {name} is not read.",
                        f"Drop it: {name}=DROP, where it means nothing.",
                    )
                found.names.append(name)
    for item in ("ID", "DV"):
        if item not in found.names and records:
            faults.add(found.line, "$INPUT", "", f"There is no {item}.", f"Name the column, as in {item}=COLUMN.")
    if not records:
        faults.add(1, "$INPUT", "", "The control stream has no $INPUT.", "Write $INPUT with a name for each column.")
    return found


@dataclass
class Options:
    """$DATA: the file, characters and conditions that leave records out."""

    file: str = ""
    ignore: str = "#"
    conditions: list[tuple[str, str, str]] = field(default_factory=list)
    accept: bool = False
    null: float = 0.0
    most: int | None = None
    line: int = 0


def options(record: Record | None, faults: Faults) -> Options:
    """What $DATA says; options that are not read become faults."""
    found = Options()
    if record is None:
        faults.add(1, "$DATA", "", "The control stream has no $DATA.", "Write $DATA with the name of the file.")
        return found
    found.line = record.line
    text = record.text
    name = re.match(r"\s*(?:'([^']+)'|\"([^\"]+)\"|(\S+))", text)
    if name is None or (name[3] or "").startswith(("*", "(")):
        faults.add(record.line, "$DATA", text[:40], "There is no name of a file.", "Write $DATA file.csv IGNORE=@.")
        return found
    found.file = name[1] or name[2] or name[3]
    rest = text[name.end() :]

    def fault(seen: str, why: str, cure: str) -> None:
        faults.add(record.line, "$DATA", seen, why, cure)

    while rest.strip():
        rest = rest.strip()
        pair = re.match(r"(IGN[A-Z]*|ACC[A-Z]*)\s*=?\s*\(([^()]*(?:\([^()]*\)[^()]*)*)\)", rest, re.IGNORECASE)
        if pair:
            found.accept = pair[1].upper().startswith("ACC")
            for part in re.split(r",", pair[2]):
                condition = _CONDITION.match(part)
                if condition is None or condition[2].upper() not in _COMPARE:
                    plain = re.match(r"^\s*([A-Za-z_]\w*)\s+(\S+)\s*$", part)
                    if plain is None:
                        fault(
                            part.strip(),
                            "This is no condition of records.",
                            "Write NAME.EQ.value, or .NE. .GT. .GE. .LT. .LE.",
                        )
                    else:
                        found.conditions.append((plain[1].upper(), "eq", plain[2].strip("'\"")))
                else:
                    found.conditions.append(
                        (condition[1].upper(), _COMPARE[condition[2].upper()], condition[3].strip("'\""))
                    )
            rest = rest[pair.end() :]
            continue
        single = re.match(r"IGN[A-Z]*\s*=?\s*(?:'(.)'|\"(.)\"|(\S))", rest, re.IGNORECASE)
        if single:
            found.ignore = single[1] or single[2] or single[3]
            rest = rest[single.end() :]
            continue
        word = re.match(r"(\([^()]*\)|[^\s=]+(?:\s*=\s*\S+)?)", rest)
        if word is None:
            fault(rest[:40], "This is no option of $DATA.", "Write IGNORE=@, IGNORE=(...), ACCEPT=(...) or RECORDS=n.")
            break
        seen, upper = word[1], word[1].upper()
        rest = rest[word.end() :]
        if upper in (
            "REWIND",
            "NOREWIND",
            "WIDE",
            "NOWIDE",
            "CHECKOUT",
            "CHECKDATA",
            "NOOPEN",
            "PRED_IGNORE_DATA",
        ) or upper.startswith("BLANKOK"):
            continue
        if upper.startswith("NULL"):
            value = seen.partition("=")[2].strip().strip("'\"")
            if value in ("", ".", "0"):
                continue
            fault(seen, "NULL with a value is not read.", "Write the value into the data.")
        elif re.match(r"REC(ORDS|S)?\s*=\s*\d+$", upper):
            found.most = int(upper.partition("=")[2])
        else:
            fault(seen, "This option of $DATA is not read.", "Change the data file instead, and remove the option.")
    if found.accept and any(c for c in found.conditions) and re.search(r"IGN[A-Z]*\s*=?\s*\(", text, re.IGNORECASE):
        fault("", "IGNORE=(...) and ACCEPT=(...) exclude each other.", "Keep one of them.")
    return found


def read(folder: Path, wanted: Columns, asked: Options, faults: Faults, *, other: Path | None = None) -> Read:
    """The records of the data file beside a control stream. Raises InputError for a file that cannot be read."""
    path = other or Path(asked.file)
    path = path if path.is_absolute() else folder / path
    notes: list[str] = []
    kept = list(_kept(path, wanted, asked, notes))
    if not kept:
        raise InputError(
            Problem(str(path), "records", "", "No record of the data is kept.", "Check IGNORE and ACCEPT of $DATA.")
        )
    problems = Faults(path)
    n = len(kept)
    values: dict[str, np.ndarray] = {}
    missing: dict[str, int] = {}
    clock = _clock(wanted, kept, problems)
    for place, name in enumerate(wanted.names):
        if not name or name in DATES or (name == "TIME" and clock is not None):
            continue
        column = np.zeros(n)
        for k, (line, cells) in enumerate(kept):
            cell = cells[place] if place < len(cells) else ""
            if cell in ("", "."):
                missing[name] = missing.get(name, 0) + 1
                column[k] = asked.null
                continue
            value = number(cell)
            if value is None:
                problems.add(
                    line, name, cell[:40], "This is no number.", "Write a number, or drop the column in $INPUT."
                )
            else:
                column[k] = value
        values[name] = column
    if clock is not None:
        values["TIME"] = clock
        notes.append("TIME is hours since the first record of each subject, from clock times or dates")
    problems.raise_all()
    ids = values["ID"]
    starts = np.flatnonzero(np.append(True, np.diff(ids) != 0))
    labels, used = [""] * n, dict[str, int]()
    for k, a in enumerate(starts):
        label = f"{ids[a]:.10g}"
        used[label] = used.get(label, 0) + 1
        end = starts[k + 1] if k + 1 < len(starts) else n
        labels[a:end] = [label if used[label] == 1 else f"{label}_{used[label]}"] * (end - a)
    again = [label for label, count in used.items() if count > 1]
    if again:
        notes.append(
            f"IDs that come again are new subjects, as in NONMEM ({', '.join(again[:8])}); they are called ID_2, ID_3"
        )
    return Read(path, values, np.array([line for line, _ in kept], np.int64), labels, notes, missing)


def number(cell: str) -> float | None:
    """A number as Fortran reads it; None for a text."""
    text = cell.strip().upper().replace("D", "E")
    found = re.fullmatch(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:E?([+-]?\d+))?", text)
    if found is None:
        return None
    try:
        value = float(f"{found[1]}E{found[2]}" if found[2] else found[1])
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _kept(path: Path, wanted: Columns, asked: Options, notes: list[str]) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) of every record that counts."""
    places = {name: k for k, name in enumerate(wanted.names) if name}
    places |= {other: places[name] for other, name in wanted.synonyms.items() if name in places}
    places |= {name: place for name, place in wanted.dropped.items() if name not in places}
    problems = Faults(path)
    for name, _, _ in asked.conditions:
        if name not in places:
            problems.add(asked.line, "$DATA", name, "$INPUT has no such column.", nearest(name, places))
    problems.raise_all()
    left = 0
    count = 0
    cure = "Correct the name in $DATA, or name the file: --data FILE."
    for line, raw in enumerate(text_of(path, "$DATA", cure, MOST_BYTES).splitlines(), 1):
        if not raw.strip():
            continue
        first = raw.lstrip()[:1]
        if (first.isalpha() or first == "@") if asked.ignore == "@" else raw[:1] == asked.ignore:
            continue
        cells = split(raw)
        if asked.conditions:
            hit = any(
                _holds(cells[places[name]] if places[name] < len(cells) else "", op, value)
                for name, op, value in asked.conditions
            )
            if hit != asked.accept:
                left += 1
                continue
        if asked.most is not None and count >= asked.most:
            break
        count += 1
        yield line, cells
    if left:
        notes.append(f"{left} records were left out by {'ACCEPT' if asked.accept else 'IGNORE'}")


def split(raw: str) -> list[str]:
    """Cells of a line: commas, tabs or blanks between them; blanks beside a comma mean nothing."""
    text = raw.strip()
    if "," in text or "\t" in text:
        text = re.sub(r"[ \t]*,[ \t]*", ",", text)
        return [cell.strip().strip("\"'") for cell in re.split(r",|\t| +", text)]
    return [cell.strip("\"'") for cell in text.split()]


def _holds(cell: str, op: str, value: str) -> bool:
    """A condition of IGNORE or ACCEPT; .EQ. and .NE. compare texts, all others numbers."""
    if op in ("eq", "ne"):
        return (cell.strip() == value.strip()) == (op == "eq")
    a, b = number(cell) if cell not in ("", ".") else 0.0, number(value)
    if a is None or b is None:
        return False
    return {"eqn": a == b, "nen": a != b, "gt": a > b, "ge": a >= b, "lt": a < b, "le": a <= b}[op]


def _clock(wanted: Columns, kept: list[tuple[int, list[str]]], problems: Faults) -> np.ndarray | None:
    """Hours since each subject's first record, where TIME is written as a clock or there are dates; else None."""
    places = {name: k for k, name in enumerate(wanted.names) if name} | {
        n: p for n, p in wanted.dropped.items() if n in DATES
    }
    day = next((name for name in DATES if name in places), None)
    if "TIME" not in places or "ID" not in places:
        return None
    at = places["TIME"]
    times = [cells[at] if at < len(cells) else "" for _, cells in kept]
    if day is None and not any(":" in text for text in times):
        return None
    hours = np.zeros(len(kept))
    begin: dict[str, float] = {}
    ids = [cells[places["ID"]] if places["ID"] < len(cells) else "" for _, cells in kept]
    start = 0.0
    for k, (line, cells) in enumerate(kept):
        value = _hours(times[k])
        days = 0.0 if day is None else _days(cells[places[day]] if places[day] < len(cells) else "", DATES[day])
        if value is None:
            problems.add(line, "TIME", times[k][:20], "This is no time.", "Write hours, or hh:mm.")
        elif days is None:
            problems.add(
                line,
                day or "",
                cells[places[day or ""]][:20],
                "This is no date.",
                f"Write it as {DATES[day or 'DATE']}.",
            )
        else:
            hours[k] = 24 * days + value
        if k == 0 or ids[k] != ids[k - 1]:
            start = hours[k]
        hours[k] -= start
    del begin
    return hours


def _hours(text: str) -> float | None:
    parts = text.split(":")
    if len(parts) == 1:
        return number(text) if text not in ("", ".") else 0.0
    found = [number(part) for part in parts]
    if len(parts) > 3 or any(part is None for part in found):
        return None
    return sum(float(part or 0.0) / 60**k for k, part in enumerate(found))


def _days(text: str, order: str) -> float | None:
    """Days from an arbitrary date; a plain number is a number of days."""
    parts = re.split(r"[-/.]", text.strip())
    if len(parts) == 1:
        return number(text) if text not in ("", ".") else 0.0
    if len(parts) == 2 and order in ("mdy", "dmy"):
        parts = [*parts, "2001"]
    if len(parts) != 3 or not all(part.isdigit() for part in parts):
        return None
    by = dict(zip(order, map(int, parts), strict=True))
    year = by["y"] + (0 if by["y"] >= 100 else 2000 if by["y"] <= 50 else 1900)
    try:
        return float(date(year, by["m"], by["d"]).toordinal())
    except ValueError:
        return None

"""A user's published results and studies: checked, every mistake of all files at once, then predicted like ours."""

from __future__ import annotations

import csv
import dataclasses
import io
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from respine import library
from respine import study as studies
from respine.errors import InputError, Problem
from respine.evidence import studies as predictions
from respine.evidence.row import ROLES, ComparedRow, systems, unpredicted
from respine.evidence.studies import SUBJECTS, Progress
from respine.files import units
from respine.files.suggest import nearest
from respine.published import About, NotCompared, Remark
from respine.published.bars import fault_of, number, published
from respine.published.reasons import note
from respine.published.rows import SIGNS
from respine.study.schema import Compare, Study
from respine.study.selection import place_of

TABLES = ("clinical", "preclinical")  # whose rows are results of studies
NEEDED = {"clinical": ("study", "arm", "endpoint", "time_h", "value", "unit"),
          "preclinical": ("study", "arm", "output", "measure", "time_h", "value", "unit")}  # fmt: skip
DIRECTIONS = ("", "up", "down", "unchanged")
MOST_BYTES = 20_000_000
MOST_PEOPLE = 100_000_000
Row = dict[str, str]
Tell = Callable[[str, str, str], None]


def predict(
    file: str | Path, folder: str | Path, subjects: int = SUBJECTS, *, threads: int | None = None,
    progress: Progress | None = None,
) -> list[ComparedRow]:  # fmt: skip
    """Lines for the rows of a CSV file in the schema of the library's tables, from the study files of a folder.

    A study file names its rows with ``compare``; one without takes the rows whose study (and year) has its name.
    Every row of the file comes back, with its prediction or the reason why there is none. Raises InputError with all
    problems of the CSV file and of every study file together.
    """
    file, folder = Path(file), Path(folder)
    problems: list[Problem] = []
    table = "clinical"
    rows: list[Row] = []
    try:
        table, rows = read(file)
    except InputError as error:
        problems += error.problems
    loaded, more = _studies(folder, library.BUILT_IN.with_evidence({table: rows}))
    problems += more
    problems += _rows_meet_studies(rows, loaded, table) if not problems else []
    if problems:
        raise InputError(*problems)
    chosen = [_with_rows(study, rows, table) for study in loaded]
    compared = predictions.predict(
        [study for study in chosen if study.compare], subjects, threads=threads, progress=progress
    )
    own_places = {place_of(row) for row in rows}
    compared = predictions.without_duplicates(row for row in compared if row.where in own_places)
    reached = {row.where for row in compared}
    names = ", ".join(study.name for study in loaded)
    for row in rows:
        if place_of(row) not in reached:
            named = f"{row.get('study', '')} {row.get('year', '')}".strip()
            why = f'no study simulates it: "{named}" is none of {names}'
            compared.append(unpredicted(row, table, NotCompared.NO_STUDY.because(why)))
    order = {place_of(row): k for k, row in enumerate(rows)}
    unread = {place_of(row): remarks for row in rows if (remarks := _unread(row))}
    compared = [_with_remarks(row, unread.get(row.where, [])) for row in compared]
    return sorted(compared, key=lambda row: order[row.where])


def _with_remarks(row: ComparedRow, remarks: list[Remark]) -> ComparedRow:
    text = "; ".join(part for part in (note(remarks), row.note) if part)
    texts = tuple(remark.text for remark in remarks)
    return dataclasses.replace(row, note=text, remarks=(*texts, *row.remarks)) if remarks else row


def read(file: Path) -> tuple[str, list[Row]]:
    """The table a file is shaped like (``clinical`` or ``preclinical``) and its checked rows, times in hours.

    Columns of the library's table may be left out except study, arm, endpoint (or output and measure), time_h, value and
    unit. A row that does not say what was measured, or on which scale, is compared where a study names an endpoint for it,
    else it is listed with that reason: nothing is taken from its text.
    Rows without ``role`` are ``validate``, rows without ``id`` are named by their line. Raises InputError.
    """
    text = _text(file)
    try:
        header = [cell.strip() for cell in next(csv.reader(io.StringIO(text), strict=True), [])]
    except csv.Error as error:
        cure = "Close every quote, and keep a cell short."
        raise InputError(Problem(f"{file}:1", "(header)", "", f"This is no CSV table: {error}.", cure)) from None
    table = _table_of(header)
    problems = _header(file, header, table)
    if problems:
        raise InputError(*problems)
    rows: list[Row] = []
    try:
        rows = library.parse_rows(text, str(file))
    except InputError as error:
        problems += error.problems
    seen: dict[str, str] = {row["id"]: "the library's table" for row in library.rows("evidence", table)}
    told: dict[tuple[str, ...], str] = {}
    for row in rows:
        cells = tuple(row[name] for name in header if name in row)
        first = told.setdefault(cells, row["_line"])
        if first != row["_line"]:
            why = f"The same result stands in line {first} already: it would count twice."
            problems.append(Problem(place_of(row), "(row)", ",".join(cells)[:60], why, "Remove one of them."))
            continue
        row["_table"] = table
        problems += _row(row, table, seen)
    if not rows and not problems:
        problems.append(Problem(f"{file}:1", "(the file)", "", "The file has a header and no rows.",
                                "Write one line per published result."))  # fmt: skip
    if problems:
        raise InputError(*problems)
    return table, rows


def _text(file: Path) -> str:
    why = ""
    if not file.exists():
        why = "There is no such file."
    elif file.is_dir():
        why = "This is a folder, not a CSV file."
    elif not file.is_file():
        why = "This is a pipe or a device, not a CSV file."
    elif file.stat().st_size > MOST_BYTES:
        why = f"The file has {file.stat().st_size / 1e6:.0f} MB; published results are tables of a few pages."
    if not why:
        try:
            return file.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            why = f"The file is not UTF-8 text (byte {error.start})."
        except OSError as error:
            why = f"The file cannot be read: {error.strerror}."
    raise InputError(Problem(str(file), "--rows", "", why, "Give a CSV file in UTF-8, one published result a line."))


def _table_of(header: Sequence[str]) -> str:
    return "preclinical" if "output" in header and "endpoint" not in header else "clinical"


def _header(file: Path, header: list[str], table: str) -> list[Problem]:
    known = [name for name in library.rows("evidence", table)[0] if not name.startswith("_")]
    known += [name for name in ("output", "direction", "low", "high", "sign", "counts", "system") if name not in known]
    where, problems = f"{file}:1", []
    if ";" in "".join(header) and len(header) == 1:
        return [Problem(where, "(header)", header[0][:60], "The cells are parted by semicolons.",
                        "Save the file with commas between the cells.")]  # fmt: skip
    for name in header:
        if name not in known:
            why = "This is no column of the table of published results."
            problems.append(Problem(where, name or "(empty)", name, why, nearest(name, known)))
        elif header.count(name) > 1 and not any(p.field == name for p in problems):
            problems.append(Problem(where, name, name, "Two columns have this name.", "Keep one of them."))
    return problems + [
        Problem(where, name, "", "The column is missing.", f'Add "{name}" to the first line.')
        for name in NEEDED[table]
        if name not in header
    ]


def _row(row: Row, table: str, seen: dict[str, str]) -> list[Problem]:
    """Problems of one row; times with a unit become hours, blanks that have a default are filled."""
    where, problems = place_of(row), []

    def tell(field: str, why: str, cure: str) -> None:
        problems.append(Problem(where, field, row.get(field, ""), why, cure))

    for name in ("study", "arm", *(("endpoint",) if table == "clinical" else ("output",))):
        if not row.get(name):
            tell(name, "Every row needs it.", f"Write the {name}.")
    row.setdefault("role", "")
    if not row["role"]:
        row["role"] = "validate"
    elif row["role"] not in ROLES:
        tell("role", "A row is fitted, kept for validation, or context.", nearest(row["role"], ROLES))
    if not row.get("id"):
        row["id"] = where
    elif row["id"] in seen:
        tell("id", f"This id is taken already by {seen[row['id']]}.", "Give every row its own id.")
    seen.setdefault(row["id"], where)
    if row.get("year") and not re.fullmatch(r"(19|20)\d\d", row["year"]):
        tell("year", "This is no year.", 'Write it like "2025", or leave it blank.')
    if row.get("system") and row["system"] not in systems():
        tell("system", "There is no such system.", nearest(row["system"], systems()))
    count = number(row.get("n") or "")
    if count is not None and (not 1 <= count <= MOST_PEOPLE or count != int(count)):
        why = f"The number of people is a whole number from 1 to {MOST_PEOPLE:,}."
        tell("n", why, 'Write it like "47", or leave it blank.')
    if row.get("sign", "") not in SIGNS:
        tell("sign", "A number is as measured, or a fall is printed as a benefit.", 'Write "measured" or "benefit".')
    _time(row, tell)
    _value(row, tell)
    return problems


def _time(row: Row, tell: Tell) -> None:
    text = row.get("time_h", "")
    if not text:
        return
    hours = number(text) if re.fullmatch(r"[-+]?[\d.]+(?:[eE][-+]?\d+)?", text) else None
    if hours is None:
        try:
            hours = units.hours(text)
        except units.UnitError as error:
            tell("time_h", f"This is no time. {error.why}", 'Write hours ("24"), or a number with its unit ("7 d").')
            return
    if abs(hours) > units.LONGEST:
        tell("time_h", "This is more than 100 years.", "Write hours of a time that fits into a life.")
    row["time_h"] = repr(float(hours))


def _value(row: Row, tell: Tell) -> None:
    word = row.get("direction", "")
    if word not in DIRECTIONS:
        tell("direction", "A direction is up, down or unchanged.", nearest(word, DIRECTIONS[1:]))
    ends = [row.get(name, "") for name in ("low", "high")]
    for name, text in zip(("low", "high"), ends, strict=True):
        if text and number(text) is None:
            tell(name, "This is no number.", "Write a number, or leave it blank.")
    if bool(ends[0]) != bool(ends[1]):
        tell("low", "A range needs both ends.", "Give low and high, or neither.")
    if not row.get("value") and not (all(ends) or word):
        tell("value", "The row has no result.", "Write the published number.")
    elif row.get("value") and number(row["value"]) is None and not (all(ends) or word) and not _said(row["value"]):
        tell(
            "value", "This is not one number.",
            'Write one number ("-16.5"); put what else was printed into dispersion or note.',
        )  # fmt: skip
    result, share = (
        published(row),
        row.get("unit", "").strip() == "%" and row.get("measure") in ("response", "remission"),
    )
    if result is not None and share and not 0 <= result.value <= 100:
        tell("value", "A share lies between 0 and 100 %.", "Write the percentage.")


def _said(value: str) -> bool:
    """Whether a result is more than one number or plain words: it is listed with its row; what is neither is a slip."""
    return len(re.findall(r"\d+(?:\.\d+)?", value)) > 1 or len(re.findall(r"[A-Za-z]{2,}", value)) > 1


def _unread(row: Row) -> list[Remark]:
    """What of a row was printed in a form that no number can be taken from: its prediction stands without it."""
    remarks = []
    if row.get("n") and number(row["n"]) is None:
        remarks.append(Remark(About.SIZE, f'n "{row["n"]}" is no whole number and is not used'))
    if row.get("dispersion"):
        kind = row.get("dispersion_type") or ""
        fault = fault_of(row["dispersion"], kind) if kind else "kind"
        if fault == "kind":
            text = f'dispersion "{row["dispersion"]}" of kind "{kind}" is not read as an error bar'
            remarks.append(Remark(About.UNREAD, text))
        elif fault:
            remarks.append(Remark(About.UNREAD, f'dispersion "{row["dispersion"]}" holds no {kind}'))
    return remarks


def _studies(folder: Path, known: library.Library) -> tuple[list[Study], list[Problem]]:
    """The studies of a folder, and the problems of all of its files."""
    if not folder.is_dir():
        why = "There is no such folder." if not folder.exists() else "This is a file, not a folder."
        return [], [Problem(str(folder), "--studies", "", why, "Name the folder that holds the study files (.yaml).")]
    files = sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])
    if not files:
        why = "The folder holds no study file (.yaml)."
        return [], [Problem(str(folder), "--studies", "", why, "Write one with: respine new STUDY.yaml")]
    loaded: list[Study] = []
    problems: list[Problem] = []
    for file in files:
        try:
            study = studies.load(file, known)
        except InputError as error:
            if not _is_population(file):
                problems += error.problems
            continue
        if any(study.name == other.name for other in loaded):
            problems.append(Problem(f"{file}:1", "name", study.name, "Two studies of the folder have this name.",
                                    "Give each its own name."))  # fmt: skip
        loaded.append(study)
    return loaded, problems


def _is_population(file: Path) -> bool:
    """Study files may stand beside population files of their own."""
    return bool(re.search(r"^schema:\s*respine/population/", file.read_text(encoding="utf-8", errors="replace"), re.M))


def _rows_meet_studies(rows: Iterable[Row], loaded: Sequence[Study], table: str) -> list[Problem]:
    """A study file without ``compare`` that no row names is a slip of a name: it would be left out silently."""
    problems = []
    named = {(_slug(row.get("study", "")), _slug(f"{row.get('study', '')} {row.get('year', '')}")) for row in rows}
    known = sorted({name for pair in named for name in pair if name})
    for study in loaded:
        if not study.compare and _slug(study.name) not in known:
            why = "No row of the file has this study, and the study names no rows under compare."
            cure = f"Call the study like its rows ({', '.join(known[:6])}), or add compare: {{study: ..., year: ...}}."
            problems.append(Problem(f"{study.file}:1", "name", study.name, why, cure))
    return problems


def _with_rows(study: Study, rows: Sequence[Row], table: str) -> Study:
    """The study with a ``compare`` block for the rows that have its name, if it has none of its own."""
    if study.compare:
        return study
    own_rows = [row for row in rows if _slug(study.name) in
            (_slug(row.get("study", "")), _slug(f"{row.get('study', '')} {row.get('year', '')}"))]  # fmt: skip
    blocks = {(row["study"], row.get("year") or None) for row in own_rows}
    made = tuple(
        Compare.model_validate({"table": table, "study": name} | ({"year": int(year)} if year else {}))
        for name, year in sorted(blocks, key=str)
    )
    return study.replace(compare=made)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")

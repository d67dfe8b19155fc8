"""A user's own table of people: CSV or rows with an id and covariates, one row a person."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import Any

from respine.errors import InputError, Problem
from respine.files import numbers
from respine.files.suggest import nearest
from respine.files.yaml_file import Document
from respine.population import Population, model_tables, quantities
from respine.population.distributions import Share
from respine.population.model_tables import ModelTables
from respine.study.context import Context, scale_names

ID = "id"
MOST_BYTES = 200_000_000
Column = tuple[Any, ...]


def read(doc: Document, asked: object) -> dict[str, Column]:
    """Columns by name of the table a study names (``people: people.csv``) or holds; numbers where all cells are numbers.

    Raises InputError with every faulty row.
    """
    if isinstance(asked, str):
        file = (doc.folder or _here()) / asked
        rows, where = _csv(file), str(file)
    else:
        rows, where = [dict(row) for row in asked or ()], doc.where(("people",))  # type: ignore[attr-defined]
        for k, row in enumerate(rows, 1):
            row["_line"] = k
    problems: list[Problem] = []
    names = list(dict.fromkeys(name for row in rows for name in row if name != "_line"))
    if not rows:
        problems.append(Problem(where, "people", "", "The table holds nobody.", "Give one row for each person."))
    elif ID not in names:
        problems.append(Problem(where, "people", "", f'The table has no column "{ID}".',
                                f'Name the column that tells people apart "{ID}".'))  # fmt: skip
    columns: dict[str, list[Any]] = {name: [] for name in names}
    seen: dict[str, int] = {}
    for row in rows:
        at = f"{where}:{row['_line']}"
        id = str(row.get(ID, "")).strip()
        if ID in names and (not id or id in seen):
            why = "This row has no id." if not id else f"This id stands in row {seen[id]} already."
            problems.append(Problem(at, ID, id, why, "Give each person an id of their own."))
        seen.setdefault(id, row["_line"])
        for name in names:
            cell = row.get(name)
            text = "" if cell is None else str(cell).strip()
            if name != ID and text in ("", ".", "nan", "NaN", "NA"):
                cure = "Fill the cell, or leave the column out."
                problems.append(Problem(at, name, text, "A person without a value here.", cure))
            columns[name].append(text if name == ID else _number(text))
    if problems:
        raise InputError(*problems)
    return {name: tuple(cells) for name, cells in columns.items()}


def check(context: Context, known: ModelTables, population: Population) -> None:
    """Note every problem of the table of people a study names."""
    doc, asked = context.doc, context.doc.data.get("people")
    if asked is None:
        return
    try:
        columns = read(doc, asked)
    except InputError as error:
        doc.problems += error.problems
        return
    subjects = doc.data.get("subjects")
    n = len(columns[ID])
    if isinstance(subjects, int) and subjects > n:
        doc.problem(("subjects",), f"The table of people holds {n}.", f'Write "subjects: {n}" or fewer, or add people.')
    baselines = [f"baseline_{scale}" for scale in scale_names(context.library)]
    names = list(dict.fromkeys([*population.covariates, *baselines, *known.parameters]))
    given = {**population.covariates}
    for name, cells in columns.items():
        if name == ID:
            continue
        if name not in names:
            why = "This column is no covariate of the population, no baseline score and no parameter of the model."
            doc.problem(("people",), why, nearest(name, names), seen=name)
            continue
        own = given.get(name)
        if isinstance(own, Share):
            wrong = sorted({str(cell) for cell in cells if str(cell) not in own.shares})
            if wrong:
                why = f'The column "{name}" holds words the population does not know.'
                doc.problem(("people",), why, nearest(wrong[0], own.shares), seen=wrong[0])
        elif not all(isinstance(cell, float) and math.isfinite(cell) for cell in cells):
            bad = next(cell for cell in cells if not isinstance(cell, float) or not math.isfinite(cell))
            doc.problem(
                ("people",), f'The column "{name}" holds numbers.', "Write a number in every row.", seen=str(bad)
            )
        elif span := _span(context, known, name):
            beyond = [cell for cell in cells if not span[0] <= cell <= span[1]]
            if beyond:
                unit = quantities.unit_of(known, name, context.library)
                why = f"{name} runs from {span[0]:g} to {span[1]:g} {unit}".rstrip() + "; nobody can have this."
                doc.problem(("people",), why, "Correct the cell, or convert the column.", seen=f"{beyond[0]:g}")


def _span(context: Context, known: ModelTables, name: str) -> tuple[float, float] | None:
    """Lowest and highest value that a person can have: of a baseline score, those of its scale."""
    scale = quantities.scale_of(name, context.library)
    return model_tables.scale_range(context.library, scale) if scale else quantities.limits(known, name)


def _csv(file: Any) -> list[dict[str, Any]]:
    try:
        if not file.is_file():
            raise FileNotFoundError(2, "No such file")
        if file.stat().st_size > MOST_BYTES:
            raise InputError(
                Problem(str(file), "people", "", "The table is larger than 200 MB.", "Name a table of people.")
            )
        text = file.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = f"The table cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8 text'}."
        raise InputError(Problem(str(file), "people", "", why, "Name a CSV file beside the study.")) from None
    reader = csv.reader(io.StringIO(text), strict=True)
    try:
        header = [cell.strip() for cell in next(reader, [])]
        body: Sequence[tuple[int, list[str]]] = [(reader.line_num, cells) for cells in reader if cells]
    except csv.Error as error:
        cure = "Close every quote, and keep a cell short."
        raise InputError(
            Problem(f"{file}:{reader.line_num}", "people", "", f"This is no CSV table: {error}.", cure)
        ) from None
    if header and ID not in header:  # a file that is no such table is not quoted
        why = f'The table has no column "{ID}".'
        raise InputError(Problem(f"{file}:1", "people", "", why, f'Name the column that tells people apart "{ID}".'))
    problems = [
        Problem(f"{file}:1", "people", name, "This column stands in the table twice.", "Keep one of them.")
        for name in dict.fromkeys(header) if header.count(name) > 1
    ] + [
        Problem(f"{file}:{line}", "people", ",".join(cells)[:60], f"{len(cells)} cells, the header has {len(header)}.",
                "Give every column a cell.")
        for line, cells in body if len(cells) != len(header)
    ]  # fmt: skip
    if problems:
        raise InputError(*problems)
    return [dict(zip(header, cells, strict=True)) | {"_line": line} for line, cells in body]


def _number(text: str) -> float | str:
    try:
        return numbers.number(text)
    except ValueError:
        return text


def _here() -> Any:
    from pathlib import Path

    return Path()

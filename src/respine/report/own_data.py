"""A user's own results, to stand on top of predictions: arm, output or scale, time, mean, SEM or SD, n."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from respine import library
from respine.errors import InputError, Problem
from respine.files import numbers, units
from respine.files.csv_rows import table_text
from respine.files.suggest import nearest

_EITHER = (("output", "scale"), ("time", "time_h"), ("sem", "sd"))
COLUMNS = ("arm", "output", "scale", "time", "time_h", "mean", "sem", "sd", "n", "control", "note")
_NEEDED = (
    'Columns are arm; output or scale; time ("24 h") or time_h; mean; '
    "and if known sem or sd, n, control (the mean is per cent of that arm)."
)


@dataclass(frozen=True)
class OwnPoint:
    """One result: ``of`` an output or scale, at ``time_h`` hours; ``low`` ... ``high`` is the mean -+ one SEM (NaN without).

    ``control``: the arm of whose value the mean is per cent; empty for a value in the unit of the output.
    """

    arm: str
    of: str
    time_h: float
    mean: float
    low: float
    high: float
    n: int | None
    control: str


def read(file: str | Path, arms: Collection[str], names: Collection[str]) -> list[OwnPoint]:
    """The results of a CSV file for these arms and outputs or scales. Raises InputError with every mistake, by line."""
    path = Path(file).expanduser()
    text = table_text(path, "data")
    problems = _header(path, text)
    if problems:
        raise InputError(*problems)
    points: list[OwnPoint] = []
    try:
        rows = library.parse_rows(text, str(path))
    except InputError as error:
        rows, problems = [], list(error.problems)
    for row in rows:
        known = len(problems)
        point = _point(row, f"{path}:{row['_line']}", arms, names, problems)
        if len(problems) == known:
            points.append(point)
    if not points and not problems:
        problems.append(Problem(f"{path}:1", "data", "", "The table has no row.", _NEEDED))
    if problems:
        raise InputError(*problems)
    return points


def _header(path: Path, text: str) -> list[Problem]:
    where = f"{path}:1"
    try:
        heads = [name.strip() for name in next(csv.reader(io.StringIO(text), strict=True), [])]
    except csv.Error as error:
        return [Problem(where, "header", "", f"This is no CSV table: {error}.", _NEEDED)]
    wrong = [name for name in heads if name not in COLUMNS]
    if wrong or "arm" not in heads or "mean" not in heads or not {"output", "scale"} & set(heads):
        why = f'no column "{wrong[0]}" is known' if wrong else "columns are missing"
        return [Problem(where, "header", ", ".join(heads), f"This is no table of results: {why}.", _NEEDED)]
    twice = [name for name in COLUMNS if heads.count(name) > 1]
    return [Problem(where, name, name, "Two columns have this name.", "Keep one of them.") for name in twice]


def _point(
    row: dict[str, str], where: str, arms: Collection[str], names: Collection[str], problems: list[Problem]
) -> OwnPoint:
    of = row.get("output") or row.get("scale") or ""

    def wrong(field: str, why: str, cure: str) -> None:
        problems.append(Problem(where, field, row.get(field, ""), why, cure))

    for first, second in _EITHER:
        if row.get(first) and row.get(second):
            wrong(second, f'"{first}" stands in this row too; only one of them can be meant.', "Leave one cell empty.")
    if row.get("arm") not in arms:
        wrong("arm", "The study has no arm of this name.", nearest(row.get("arm", ""), list(arms)))
    if of not in names:
        problems.append(Problem(where, "output", of, "The run holds nothing of this name.", nearest(of, list(names))))
    control = row.get("control", "")
    if control and control not in arms:
        wrong("control", "The study has no arm of this name.", nearest(control, list(arms)))
    time = _time(row, wrong)
    mean, sem, sd, n = (_number(row, name, wrong) for name in ("mean", "sem", "sd", "n"))
    if not math.isfinite(mean) and not row.get("mean"):
        wrong("mean", "The mean is missing.", "Write a number.")
    if math.isfinite(n) and (n < 1 or n != int(n)):
        wrong("n", "The number of subjects is a whole number from 1.", 'Write it like "12", or leave the cell empty.')
    elif math.isfinite(sd) and not row.get("sem"):
        if math.isfinite(n):
            sem = sd / math.sqrt(n)
        else:
            wrong("n", "An SD becomes an error of the mean only with n.", "Write n, or sem in place of sd.")
    return OwnPoint(
        row.get("arm", ""), of, time, mean, mean - sem, mean + sem, int(n) if math.isfinite(n) else None, control
    )


def _time(row: dict[str, str], wrong: Any) -> float:
    if row.get("time"):
        try:
            return units.hours(row["time"])
        except units.UnitError as error:
            wrong("time", error.why, error.cure)
            return math.nan
    time = _number(row, "time_h", wrong)
    if abs(time) > units.LONGEST:
        wrong("time_h", "This is more than 100 years.", "Write hours of a time that fits into a life.")
    if not math.isfinite(time) and not row.get("time_h"):
        wrong("time", "The time is missing.", 'Write time ("24 h") or time_h (24).')
    return time


def _number(row: dict[str, str], name: str, wrong: Any) -> float:
    text = row.get(name, "")
    if not text:
        return math.nan
    try:
        value = numbers.number(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or (name in ("sem", "sd", "n") and value < 0):
        wrong(name, "This is no number here.", "Write a number such as 12.5, or leave the cell empty.")
        return math.nan
    return value

"""Which published rows a study means: one selection for the check of the file and for the comparison."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence

from respine.library import Library
from respine.study.endpoints import Endpoint
from respine.study.schema import Compare, RowLink

Row = dict[str, str]
SAME_TIME = 0.01  # of the published time, and at least SAME_TIME_H: two times this close are the same visit
SAME_TIME_H = 0.05


def select(
    rows: Iterable[Row], *, study: str | None = None, year: int | None = None, id: str | None = None,
    text: str | None = None, time: float | None = None,
) -> list[Row]:  # fmt: skip
    """The rows that agree with everything that is given.

    ``study`` is the column of that name in capitals or not, or with the year behind it ("Murrough 2013"); ``text`` is the
    whole of ``endpoint`` (``quantity`` in tables without it); ``time`` in hours. A row without a year, or without a time,
    agrees with any.
    """
    return [
        row for row in rows
        if (id is None or row.get("id") == id)
        and (study is None or _of_study(row, study, year))
        and (study is not None or year is None or row.get("year", "") in ("", str(year)))
        and (text is None or (row.get("endpoint") or row.get("quantity") or "") == text)
        and (time is None or same_time(row, time))
    ]  # fmt: skip


def _of_study(row: Row, study: str, year: int | None) -> bool:
    name, wanted = row.get("study", "").strip().lower(), study.strip().lower()
    of_row = row.get("year", "").strip()
    if name and name == wanted:
        return year is None or of_row in ("", str(year))
    return bool(name and of_row) and f"{name} {of_row}" == wanted and year in (None, int(of_row))


def same_time(row: Row, time: float) -> bool:
    """Whether a row is published for a time, hours, or for none."""
    try:
        of_row = float(row.get("time_h") or "")
    except ValueError:
        return True
    return abs(of_row - time) <= max(SAME_TIME_H, SAME_TIME * abs(of_row))


def rows_of(rows: Iterable[Row], compare: Compare) -> list[Row]:
    """Of the rows of a table those of the study that a ``compare`` block names; all where it names none."""
    return select(rows, study=compare.study, year=compare.year)


def linked(rows: Iterable[Row], link: RowLink, endpoints: Sequence[Endpoint]) -> list[Row]:
    """Of the rows of a study those a link means: of its id, or of its text at its time (the endpoint's if it gives none)."""
    if link.id is not None:
        return select(rows, id=link.id)
    time = link.time
    if time is None:
        at = next((endpoint.time for endpoint in endpoints if endpoint.name == link.endpoint), math.nan)
        time = None if math.isnan(at) else at
    return select(rows, text=link.row, time=time)


def rows_compared(library: Library, compare: Compare, endpoints: Sequence[Endpoint]) -> list[tuple[Row, list[RowLink]]]:
    """Every row that a block is compared with, in the order of the table, and the links that mean it.

    They are the rows of its study, and where it names none those it links. Raises InputError for an unknown table.
    """
    rows = rows_of(library.rows("evidence", compare.table), compare)
    links: dict[str, list[RowLink]] = {}
    for link in compare.rows:
        for row in linked(rows, link, endpoints):
            links.setdefault(place_of(row), []).append(link)
    return [(row, links.get(place_of(row), [])) for row in rows if compare.study is not None or place_of(row) in links]


_BETWEEN_ARMS = re.compile(r"\s+(?:-|−|vs\.?|versus|minus)\s+")  # how the column `arm` writes two arms


def arms_meant(text: str, renamed: Mapping[str, str], arms: Iterable[str]) -> tuple[str, str]:
    """Arm and reference arm of a study that an evidence arm means ("ketamine - midazolam" names both); empty if none.

    ``renamed``: arm of the study: arm as the evidence names it. Capitals do not matter.
    """
    known = {name.lower(): name for name in arms} | {theirs.lower(): ours for ours, theirs in renamed.items()}
    whole = known.get(text.strip().lower(), "")
    if whole:
        return whole, ""
    parts = [known.get(part.strip().lower(), "") for part in _BETWEEN_ARMS.split(text)]
    return (parts[0], parts[1]) if len(parts) == 2 and all(parts) else ("", "")


def place_of(row: Mapping[str, str]) -> str:
    """File and line of a row, ``library/evidence/clinical.csv:12``."""
    return f"{row['_file']}:{row['_line']}"

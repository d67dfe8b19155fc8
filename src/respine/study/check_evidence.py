"""Do the published rows a study is compared with exist, and does each name an arm of the study? One task a question."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from respine.files.suggest import nearest
from respine.files.yaml_file import Place
from respine.study import selection
from respine.study.context import Context, Issue, attempt, draft, listed
from respine.study.endpoints import KINDS, Endpoint
from respine.study.schema import Compare, RowLink
from respine.study.selection import Row


@dataclass(frozen=True)
class Entry:
    """A ``compare`` block that could be read, all rows of its table, and those of its study."""

    compare: Compare
    table: list[Row]
    rows: list[Row]


Task = Callable[[Context, Entry], Iterator[Issue]]


def check(context: Context) -> None:
    """Note every problem of ``compare``."""
    raw = context.doc.data.get("compare")
    entries = [((), raw)] if isinstance(raw, dict) else [((i,), entry) for i, entry in enumerate(listed(raw))]
    for k, (part, entry) in enumerate(entries):
        place: Place = ("compare", *part)
        if not isinstance(entry, dict):
            continue
        if entry in [other for _, other in entries[:k]]:
            why = "This comparison stands in the list twice: every row would be counted twice."
            context.note(place, Issue((), why, "Remove one.", seen=str(entry.get("study", ""))))
            continue
        for issue in _issues(context, entry):
            context.note(place, issue)


def _issues(context: Context, raw: dict[str, Any]) -> Iterator[Issue]:
    table = raw.get("table", "clinical")
    if not isinstance(table, str):
        return
    known = context.library.names("evidence")
    if table not in known:
        yield Issue(("table",), "There is no evidence table of this name.", nearest(table, known))
        return
    compare = attempt(Compare, raw)
    if compare is not None:
        rows = context.library.rows("evidence", table)
        for task in TASKS:
            yield from task(context, Entry(compare, rows, selection.rows_of(rows, compare)))


def arms_exist(context: Context, entry: Entry) -> Iterator[Issue]:
    """The arms that are renamed are arms of the study."""
    for arm in entry.compare.arms:
        if not context.is_arm(arm):
            yield Issue(("arms", arm), "The study has no arm of this name.", nearest(arm, context.arms), seen=arm)


def rows_exist(context: Context, entry: Entry) -> Iterator[Issue]:
    """Some published row is meant, and the table has it."""
    compare = entry.compare
    if compare.study is None and not compare.rows:
        why = "Nothing says which published rows are meant."
        yield Issue((), why, 'Add "study:" and "year:", or "rows:".', seen="")
    elif not entry.rows:
        studies = [f"{row['study']} {row['year']}".strip() for row in entry.table if row.get("study")]
        why = f"The table {compare.table} has no row of this study{'' if compare.year is None else ' and year'}."
        yield Issue(("study",), why, nearest(f"{compare.study} {compare.year or ''}".strip(), studies))


def rows_reach_arms(context: Context, entry: Entry) -> Iterator[Issue]:
    """Every row that counts names an arm of the study, or is left out in so many words."""
    compare, rows = entry.compare, entry.rows
    if compare.study is None or not rows:
        return
    published = list(dict.fromkeys(row["arm"] for row in rows))
    misspelt = [Issue(("leave_out", i), "No row of this study has this arm.", nearest(arm, published))
                for i, arm in enumerate(compare.leave_out) if arm not in published]  # fmt: skip
    misspelt += [Issue(("arms", arm), "No row of this study has this arm.", nearest(name, published))
                 for arm, name in compare.arms.items() if name not in published]  # fmt: skip
    if misspelt or ("arms",) in context.doc.doubled:
        yield from misspelt  # they explain the rows they should have reached
        return
    linked = {link.id for link in compare.rows if link.id}
    arms = [arm for arm in context.arms if arm not in compare.arms]
    for arm in published:
        counting = [row for row in rows if row["arm"] == arm and row.get("role") in ("fit", "validate")]
        reached = arm in compare.leave_out or selection.arms_meant(arm, compare.arms, arms)[0]
        if reached or not counting or all(row.get("id") in linked for row in counting):
            continue
        count = "1 published row names" if len(counting) == 1 else f"{len(counting)} published rows name"
        why = f'{count} the arm "{arm}", which is no arm of this study ({", ".join(context.arms)}).'
        key = next((name for name in context.arms if name not in published and name not in compare.arms), "my-arm")
        cure = f'Add "arms: {{{key}: {arm}}}" under compare, or "leave_out: [{arm}]" if it is knowingly not simulated.'
        yield Issue((), why, cure, seen=arm)


def links_meet(context: Context, entry: Entry) -> Iterator[Issue]:
    """Every link has an endpoint and an arm of the study at one end, and a row of the table at the other."""
    raw = [entry for entry in listed(context.doc.data.get("endpoints")) if isinstance(entry, dict)]
    endpoints = [draft(KINDS.get(str(entry.get("kind")), Endpoint), entry) for entry in raw]
    names = [str(endpoint.name) for endpoint in endpoints]
    for i, link in enumerate(entry.compare.rows):
        if link.endpoint not in names:
            cure = nearest(link.endpoint, names)
            yield Issue(("rows", i, "endpoint"), "The study has no endpoint of this name.", cure)
        if link.arm is not None and not context.is_arm(link.arm):
            cure = nearest(link.arm, context.arms)
            yield Issue(("rows", i, "arm"), "The study has no arm of this name.", cure)
        elif (link.id is None) == (link.row is None):
            why = "A published row is found by its id or by its text: one of the two."
            yield Issue(
                ("rows", i), why, 'Write "id: KET-15", or "row:" with the text of the column endpoint.', seen=""
            )
        elif entry.rows and not selection.linked(entry.rows, link, endpoints):
            yield _unmet(i, link, entry)


def _unmet(i: int, link: RowLink, entry: Entry) -> Issue:
    """Why a link meets no row."""
    if link.id is not None:
        if not selection.select(entry.table, id=link.id):
            ids = [row["id"] for row in entry.table if row.get("id")]
            why = f"The table {entry.compare.table} has no row of this id."
            return Issue(("rows", i, "id"), why, nearest(link.id, ids))
        why = f'This row belongs to another study than "{entry.compare.study}".'
        return Issue(("rows", i, "id"), why, "Name a row of that study.")
    same = selection.select(entry.rows, text=link.row)
    if not same:
        cure = nearest(link.row or "", [row.get("endpoint") or row.get("quantity") or "" for row in entry.rows])
        return Issue(("rows", i, "row"), "No row of this study has this text as its endpoint.", cure)
    times = sorted({float(row["time_h"]) for row in same if row.get("time_h")})
    shown = ", ".join(f"{time:g} h" for time in times)
    meant = f"{link.time:g} h" if link.time is not None else "the time of the endpoint"
    why = f"These rows are published at {shown}, not at {meant}."
    return Issue(("rows", i, "row"), why, f'Add "time: {times[0]:g} h" if that is meant.')


TASKS: tuple[Task, ...] = (arms_exist, rows_exist, rows_reach_arms, links_meet)

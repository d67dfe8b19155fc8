"""Do the published rows a study is compared with exist, and does each name an arm of the study?"""

from __future__ import annotations

from typing import Any

from respine.files.suggest import nearest
from respine.files.yaml_file import Place
from respine.library import Library
from respine.study.context import Context, attempt, listed, time_of
from respine.study.schema import Compare, Tie

Row = dict[str, str]


def check(context: Context) -> None:
    """Note every problem of ``compare``."""
    raw = context.doc.data.get("compare")
    entries = [((), raw)] if isinstance(raw, dict) else [((i,), one) for i, one in enumerate(listed(raw))]
    for k, (part, entry) in enumerate(entries):
        if isinstance(entry, dict) and entry in [other for _, other in entries[:k]]:
            why = "This comparison stands in the list twice: every row would be counted twice."
            context.doc.problem(("compare", *part), why, "Remove one.", seen=str(entry.get("study", "")))
        elif isinstance(entry, dict):
            _entry(context, ("compare", *part), entry)


def rows_of(library: Library, compare: Compare) -> list[Row]:
    """Rows of the evidence table of the named study and year; all rows of the table if no study is named."""
    rows = library.rows("evidence", compare.table)
    return [row for row in rows if _is_study(row, compare.study, compare.year)]


def _is_study(row: Row, study: str | None, year: int | None) -> bool:
    if study is None:
        return year is None or row.get("year", "") == str(year)
    name, when = row.get("study", ""), row.get("year", "")
    return (name == study and year in (None, int(when) if when.isdigit() else None)) or (f"{name} {when}" == study)


def _entry(context: Context, place: Place, raw: dict[str, Any]) -> None:
    doc = context.doc
    table = raw.get("table", "clinical")
    if not isinstance(table, str):
        return
    if table not in context.library.names("evidence"):
        doc.problem(
            (*place, "table"),
            "There is no evidence table of this name.",
            nearest(table, context.library.names("evidence")),
        )
        return
    one = attempt(Compare, raw)
    if one is None:
        return
    for arm in one.arms:
        if not context.is_arm(arm):
            doc.problem(
                (*place, "arms", arm), "The study has no arm of this name.", nearest(arm, context.arms), seen=arm
            )
    rows = rows_of(context.library, one)
    if one.study is None and not one.rows:
        doc.problem(
            place, "Nothing says which published rows are meant.", 'Add "study:" and "year:", or "rows:".', seen=""
        )
    elif not rows:
        studies = [
            f"{row['study']} {row['year']}".strip()
            for row in context.library.rows("evidence", table)
            if row.get("study")
        ]
        why = f"The table {table} has no row of this study{'' if one.year is None else ' and year'}."
        doc.problem((*place, "study"), why, nearest(f"{one.study} {one.year or ''}".strip(), studies))
        return
    elif one.study is not None:
        _arms(context, place, one, rows)
    for i, tie in enumerate(one.rows):
        _tie(context, (*place, "rows", i), tie, one, rows)


def _arms(context: Context, place: Place, one: Compare, rows: list[Row]) -> None:
    """Every row that counts names an arm of the study, or is left out in so many words."""
    doc = context.doc
    published = list(dict.fromkeys(row["arm"] for row in rows))
    for i, arm in enumerate(one.leave_out):
        if arm not in published:
            doc.problem((*place, "leave_out", i), "No row of this study has this arm.", nearest(arm, published))
    for arm, name in one.arms.items():
        if name not in published:
            doc.problem((*place, "arms", arm), "No row of this study has this arm.", nearest(name, published))
    if any(name not in published for name in (*one.arms.values(), *one.leave_out)):
        return  # a misspelt arm explains the rows it should have reached
    tied = {tie.id for tie in one.rows if tie.id}
    reached = {*one.arms.values(), *one.leave_out, *(arm for arm in context.arms if arm not in one.arms)}
    for arm in published:
        mine = [row for row in rows if row["arm"] == arm and row.get("role") in ("fit", "validate")]
        if arm in reached or ("arms",) in doc.doubled or not mine or all(row.get("id") in tied for row in mine):
            continue
        count = "1 published row names" if len(mine) == 1 else f"{len(mine)} published rows name"
        why = f'{count} the arm "{arm}", which is no arm of this study ({", ".join(context.arms)}).'
        key = next((name for name in context.arms if name not in published and name not in one.arms), "my-arm")
        cure = f'Add "arms: {{{key}: {arm}}}" under compare, or "leave_out: [{arm}]" if it is knowingly not simulated.'
        doc.problem(place, why, cure, seen=arm)


def _tie(context: Context, place: Place, tie: Tie, one: Compare, rows: list[Row]) -> None:
    doc = context.doc
    endpoints = {str(e.get("name")): e for e in listed(doc.data.get("endpoints")) if isinstance(e, dict)}
    if tie.endpoint not in endpoints:
        cure = nearest(tie.endpoint, endpoints)
        doc.problem((*place, "endpoint"), "The study has no endpoint of this name.", cure)
    if tie.arm is not None and not context.is_arm(tie.arm):
        doc.problem((*place, "arm"), "The study has no arm of this name.", nearest(tie.arm, context.arms))
        return
    if (tie.id is None) == (tie.row is None):
        why = "A published row is found by its id or by its text: one of the two."
        doc.problem(place, why, 'Write "id: KET-15", or "row:" with the text of the column endpoint.', seen="")
        return
    if tie.id is not None:
        ids = [row["id"] for row in context.library.rows("evidence", one.table) if row.get("id")]
        if tie.id not in ids:
            doc.problem((*place, "id"), f"The table {one.table} has no row of this id.", nearest(tie.id, ids))
        elif tie.id not in [row.get("id") for row in rows]:
            doc.problem(
                (*place, "id"), f'This row belongs to another study than "{one.study}".', "Name a row of that study."
            )
        return
    found = [row for row in rows if row.get("endpoint") == tie.row]
    if not found:
        cure = nearest(tie.row or "", [row.get("endpoint", "") for row in rows])
        doc.problem((*place, "row"), "No row of this study has this text as its endpoint.", cure)
        return
    wanted = tie.time if tie.time is not None else time_of(endpoints.get(tie.endpoint, {}).get("at"))
    if wanted is None:
        return
    times = sorted({float(row["time_h"]) for row in found if row.get("time_h")})
    if times and not any(abs(time - wanted) <= 0.02 * abs(wanted) + 1e-9 for time in times):
        shown = ", ".join(f"{time:g} h" for time in times)
        why = f"These rows are published at {shown}, not at {wanted:g} h."
        doc.problem((*place, "row"), why, f'Add "time: {times[0]:g} h" if that is meant.')

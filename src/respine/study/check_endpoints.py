"""Does each endpoint say what it needs, and does the study measure it?"""

from __future__ import annotations

from typing import Any

from respine.files.suggest import meant, nearest
from respine.files.yaml_file import Place
from respine.population import model_tables
from respine.study.context import Context, attempt, listed, scale_names, time_of
from respine.study.schema import Endpoint

# kind: fields it needs (one of those joined by "|"), fields it may have; name, of, kind, analysis, note always go
FIELDS: dict[str, tuple[str, str]] = {
    "score": ("at", ""),
    "change": ("at", "from"),
    "percent-change": ("at", "from"),
    "response": ("drop at|by", "from"),
    "remission": ("below at|by", ""),
    "time-to-relapse": ("above|lost", "at drop below from until"),
    "relapse-free": ("above|lost until", "at drop below from"),
    "peak": ("", "from until"),
    "trough": ("", "from until"),
    "difference": ("at arm", ""),
    "difference-in-change": ("at arm", "from"),
    "percent-of-control": ("at arm", ""),
    "percent-restored": ("at arm healthy", ""),
    "effect-size": ("at arm", "from"),
    **{f"response-{how}": ("drop at arm", "from") for how in ("difference", "ratio", "odds-ratio")},
    **{f"remission-{how}": ("below at arm", "") for how in ("difference", "ratio", "odds-ratio")},
}
ADJUSTED = ("score", "change", "difference", "difference-in-change")
_CURES = {
    "at": 'Add "at: 24 h", one of the visits.', "at|by": 'Add "at: 24 h" or "by: 7 d", one of the visits.',
    "drop": 'Add "drop: 50 %".', "below": 'Add "below: 10", the highest score that counts as remission.',
    "above|lost": 'Add "above: 20" (a score) or "lost: 50 %" (of the improvement).', "until": 'Add "until: 28 d".',
    "arm": 'Add "arm:" and the name of the arm to compare with.', "healthy": 'Add "healthy:" and the undamaged arm.',
}  # fmt: skip


def check(context: Context) -> None:
    """Note every problem of the endpoints."""
    doc = context.doc
    names: set[str] = set()
    for i, raw in enumerate(listed(doc.data.get("endpoints"))):
        if not isinstance(raw, dict):
            continue
        place: Place = ("endpoints", i)
        name = raw.get("name")
        if isinstance(name, str):
            if name in names:
                doc.problem((*place, "name"), "Two endpoints have this name.", "Give each its own name.")
            names.add(name)
        _measured(context, place, raw)
        _times(context, place, raw)
        _arms(context, place, raw)
        if isinstance(raw.get("kind"), str) and raw["kind"] in FIELDS:
            _fields(context, place, raw)
        one = attempt(Endpoint, raw)
        if one is not None:
            _shares(context, place, one)
            _scores(context, place, one)


def _fields(context: Context, place: Place, raw: dict[str, Any]) -> None:
    kind = raw["kind"]
    needs, may = FIELDS[kind]
    known = {field.alias or name for name, field in Endpoint.model_fields.items()}
    misspelt = {hit for field in raw if field not in known for hit in meant(field, list(known))}
    for need in needs.split():
        given = [field for field in need.split("|") if field in raw]
        if not given and misspelt & set(need.split("|")):
            continue  # the misspelt field is noted already
        if not given:
            wanted = " or ".join(f'"{field}"' for field in need.split("|"))
            context.doc.problem(place, f'A "{kind}" endpoint needs {wanted}.', _CURES[need], seen="")
        elif len(given) > 1:
            context.doc.problem((*place, given[1]), f'"{given[0]}" and "{given[1]}" exclude each other.', "Keep one.")
    allowed = {"name", "of", "kind", "analysis", "note", *needs.replace("|", " ").split(), *may.split()}
    for field in raw:
        if field in known - allowed:
            why = f'"{field}" has no meaning for a "{kind}" endpoint.'
            context.doc.problem((*place, field), why, f"Remove it, or choose another kind: {', '.join(FIELDS)}.")


def _measured(context: Context, place: Place, raw: dict[str, Any]) -> None:
    of = raw.get("of")
    if not isinstance(of, str) or not of:
        return
    doc, scales = context.doc, scale_names(context.library)
    outputs = [] if context.known is None else context.known.outputs
    for field, known in (("observe", scales), ("record", outputs)):
        if of in known:
            if of not in listed(doc.data.get(field)) and field not in context.unsure:
                doc.problem((*place, "of"), f"The study does not {field} it.", f'Add {of} to "{field}: [...]".')
            return
    if context.known is not None:
        why = f"This is neither a scale nor an output of the {context.known.model} model."
        doc.problem((*place, "of"), why, nearest(of, [*scales, *outputs]))
    elif of not in listed(doc.data.get("record")):
        doc.problem((*place, "of"), "There is no scale of this name.", nearest(of, scales))


def _times(context: Context, place: Place, raw: dict[str, Any]) -> None:
    if not context.visits or "visits" in context.unsure:
        return
    written = listed(context.doc.data.get("visits"))
    shown = ", ".join(str(written[index]) for index in context.visits.values())
    for field in ("at", "by", "from", "until"):
        time = time_of(raw.get(field))
        if time is not None and time not in context.visits:
            cure = f'Add "{raw[field]}" to the visits, or write one of: {shown}.'
            context.doc.problem((*place, field), "There is no visit at this time.", cure)
    begin = time_of(raw.get("from"))
    base = context.start if begin is None else begin
    if raw.get("kind") in (
        "change", "percent-change", "response", "difference-in-change", "effect-size", "time-to-relapse", "relapse-free",
        "response-difference", "response-ratio", "response-odds-ratio",
    ):  # fmt: skip
        if begin is None and context.start not in context.visits:
            why = f"There is no baseline visit at the start ({context.start:g} h) to count from."
            context.doc.problem(
                place, why, f'Add "{context.start:g} h" to the visits, or "from:" with another visit.', seen=""
            )
        at = time_of(raw.get("at", raw.get("by")))
        if at is not None and at in context.visits and at <= base:
            context.doc.problem(
                (*place, "at"), "A change needs a later visit than its baseline.", "Write a later visit."
            )
    until = time_of(raw.get("until"))
    if until is not None and until <= base:
        context.doc.problem(
            (*place, "until"), f"The window ends before it starts ({base:g} h).", "Write a later visit."
        )


def _arms(context: Context, place: Place, raw: dict[str, Any]) -> None:
    for field in ("arm", "healthy"):
        name = raw.get(field)
        if isinstance(name, str) and not context.is_arm(name):
            cure = nearest(name, context.arms)
            context.doc.problem((*place, field), "The study has no arm of this name.", cure)


def _scores(context: Context, place: Place, one: Endpoint) -> None:
    """Thresholds that somebody can reach; two arms where two are compared."""
    span = model_tables.scale_range(context.library, one.of) if one.of in scale_names(context.library) else None
    for field in ("below", "above"):
        score = getattr(one, field)
        if span is not None and score is not None and not span[0] <= score <= span[1]:
            why = f"{one.of} runs from {span[0]:g} to {span[1]:g}: {score:g} would decide nothing."
            context.doc.problem((*place, field), why, f"Write a score from {span[0]:g} to {span[1]:g}.")
    if one.analysis in ("ancova", "mmrm") and one.kind not in ADJUSTED:
        why = f'"{one.analysis}" adjusts means for the baseline; a "{one.kind}" has nothing to adjust.'
        context.doc.problem((*place, "analysis"), why, 'Remove it, or write "analysis: observed".')
    if one.healthy is not None and one.healthy == one.arm:
        why = "The damaged and the healthy arm are the same: nothing could be restored."
        context.doc.problem((*place, "healthy"), why, "Name two different arms.")


def _shares(context: Context, place: Place, one: Endpoint) -> None:
    for field in ("drop", "lost"):
        share = getattr(one, field)
        if share is not None and not 0 < share <= 1:
            context.doc.problem(
                (*place, field), "A share of the improvement lies above 0 % and up to 100 %.", 'Write "50 %".'
            )

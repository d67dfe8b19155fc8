"""Does the study measure what each endpoint asks for, when it asks for it? One task a question.

The fields that a kind needs and has are checked by its class (``study/endpoints``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from respine.files import units
from respine.files.constants import SAME_MOMENT_H
from respine.files.suggest import nearest
from respine.files.yaml_file import Place
from respine.population import model_tables as tables
from respine.study.check_doses import MOST_OCCASIONS
from respine.study.context import Context, Issue, attempt, draft, listed
from respine.study.endpoints import KINDS, Endpoint, Extreme, PercentRestored
from respine.study.schema import Dose

Task = Callable[[Context, Endpoint, Place], Iterator[Issue]]
SHOWN = 4  # visits that an error writes out


def check(context: Context) -> None:
    """Note every problem of the endpoints."""
    names: set[object] = set()
    for i, raw in enumerate(listed(context.doc.data.get("endpoints"))):
        if not isinstance(raw, dict):
            continue
        place: Place = ("endpoints", i)
        endpoint = draft(KINDS.get(str(raw.get("kind")), Endpoint), raw)
        if endpoint.name in names:
            context.note(place, Issue(("name",), "Two endpoints have this name.", "Give each its own name."))
        names |= {endpoint.name} - {None}
        for task in TASKS:
            for issue in task(context, endpoint, place):
                context.note(place, issue)


def is_measured(context: Context, endpoint: Endpoint, place: Place) -> Iterator[Issue]:
    """What it reads is a scale that is observed, or an output that is recorded."""
    doc, scales, of = context.doc, context.scales, endpoint.of
    if not of:
        return
    outputs = [] if context.known is None else context.known.outputs
    for field, known in (("observe", scales), ("record", outputs)):
        if of in known:
            if of not in listed(doc.data.get(field)) and field not in context.unsure:
                yield Issue(("of",), f"The study does not {field} it.", f'Add {of} to "{field}: [...]".')
            return
    if context.known is not None:
        why = f"This is neither a scale nor an output of the {context.known.model} model."
        yield Issue(("of",), why, nearest(of, [*scales, *outputs]))
    elif of not in listed(doc.data.get("record")):
        yield Issue(("of",), "There is no scale of this name.", nearest(of, scales))


def times_are_visits(context: Context, endpoint: Endpoint, place: Place) -> Iterator[Issue]:
    """Every time it names is one of the visits."""
    if not context.visits or "visits" in context.unsure:
        return
    written = listed(context.doc.data.get("visits"))
    shown = ", ".join(str(written[index]) for index in context.visits.values())
    for name, field in (("at", "at"), ("by", "by"), ("begin", "from"), ("until", "until")):
        time = getattr(endpoint, name, None)
        if time is not None and time not in context.visits:
            cure = f'Add "{context.doc.texts.get((*place, field), "")}" to the visits, or write one of: {shown}.'
            yield Issue((field,), "There is no visit at this time.", cure)


def follows_its_baseline(context: Context, endpoint: Endpoint, place: Place) -> Iterator[Issue]:
    """A change has a baseline visit before it, a window an end after its beginning."""
    if not context.visits or "visits" in context.unsure:
        return
    begin = getattr(endpoint, "begin", None)
    base = context.start if begin is None else begin
    if endpoint.needs_baseline:
        if begin is None and context.start not in context.visits:
            why = f"There is no baseline visit at the start ({context.start:g} h) to count from."
            cure = f'Add "{context.start:g} h" to the visits, or "from:" with another visit.'
            yield Issue((), why, cure, seen="")
        for field in ("at", "by"):
            time = getattr(endpoint, field, None)
            if time is not None and time in context.visits and time <= base:
                yield Issue((field,), "A change needs a later visit than its baseline.", "Write a later visit.")
    until = getattr(endpoint, "until", None)
    if until is not None and until <= base:
        yield Issue(("until",), f"The window ends before it starts ({base:g} h).", "Write a later visit.")


def arms_exist(context: Context, endpoint: Endpoint, place: Place) -> Iterator[Issue]:
    """The arms it is set against are arms of the study."""
    for field in ("arm", "healthy"):
        name = getattr(endpoint, field, None)
        if name is not None and not context.is_arm(name):
            yield Issue((field,), "The study has no arm of this name.", nearest(name, context.arms))


def damage_has_two_arms(context: Context, endpoint: Endpoint, place: Place) -> Iterator[Issue]:
    """The damaged and the healthy arm differ."""
    if isinstance(endpoint, PercentRestored) and endpoint.arm is not None and endpoint.healthy == endpoint.arm:
        why = "The damaged and the healthy arm are the same: nothing could be restored."
        yield Issue(("healthy",), why, "Name two different arms.")


def scores_can_be_reached(context: Context, endpoint: Endpoint, place: Place) -> Iterator[Issue]:
    """A threshold lies within the range of its scale."""
    span = tables.scale_range(context.library, endpoint.of) if endpoint.of in context.scales else None
    for field in ("below", "above"):
        score = getattr(endpoint, field, None)
        if span is not None and score is not None and not span[0] <= score <= span[1]:
            why = f"{endpoint.of} runs from {span[0]:g} to {span[1]:g}: {score:g} would decide nothing."
            yield Issue((field,), why, f"Write a score from {span[0]:g} to {span[1]:g}.")


def peaks_are_seen(context: Context, endpoint: Endpoint, place: Place) -> Iterator[Issue]:
    """A scale whose effect passes within hours is rated after each dose in which a peak is looked for.

    The time is ``acute`` in the scale's file, from the start of the dose (of an infusion: from its middle, at least to its end).
    """
    if not isinstance(endpoint, Extreme) or endpoint.kind != "peak" or endpoint.of not in context.scales:
        return
    acute = tables.scale_file(context.library, endpoint.of).get("acute")
    if acute is None or not context.visits or "visits" in context.unsure:
        return
    within = units.hours(acute)
    first = context.start if endpoint.begin is None else endpoint.begin
    last = math.inf if endpoint.until is None else endpoint.until
    output = tables.scale_file(context.library, endpoint.of)["output"]
    instead = f'or take "of: {output}" with {output} in record, which is searched between visits as well.'
    missed = {
        round(max(end, start + within / 2), 9) for start, end in _doses(context)
        if first <= start < last and not any(
            start < visit <= last and (start + end) / 2 - SAME_MOMENT_H <= visit <= max(start + within, end) + SAME_MOMENT_H
            for visit in context.visits
        )
    }  # fmt: skip
    if missed:
        times = [f"{end * 60:g} min" if end < 3 else f"{end:g} h" for end in sorted(missed)]
        shown = ", ".join(times[:SHOWN]) + (f" and {len(times) - SHOWN} more" if len(times) > SHOWN else "")
        why = f"{endpoint.of} is rated at visits, and none lies within {acute} after a dose: its peak would be missed."
        yield Issue(("kind",), why, f"Add visits ({shown}), narrow the window with from and until, {instead}")
    if _rules_dose(context):
        why = f"{endpoint.of} is rated at visits, and rules give doses at times that are not known before."
        yield Issue(("kind",), why, f"Name the visit (kind: score), {instead}")


def _doses(context: Context) -> Iterator[tuple[float, float]]:
    """Beginning and end, hours, of every dose of the arms that can be read."""
    for arm in context.arms.values():
        for raw in listed(arm.get("doses")) if isinstance(arm, dict) else ():
            dose = attempt(Dose, raw)
            if dose is not None:
                length = _length(context, dose)
                yield from ((time, time + length) for time in _times(dose))


def _times(dose: Dose) -> list[float]:
    """Hours of every occasion; of the first alone where nothing says how often it is repeated."""
    if dose.every is None or len(dose.at) != 1:
        return list(dose.at)
    times = dose.times or 1
    if dose.until is not None:
        times = min(MOST_OCCASIONS, math.floor((dose.until - dose.at[0] + SAME_MOMENT_H) / dose.every) + 1)
    return [dose.at[0] + dose.every * k for k in range(times)]


def _length(context: Context, dose: Dose) -> float:
    """Hours that an infusion takes, as written or as the drug file says; 0 for what is given at once."""
    if dose.over is not None or context.known is None or dose.drug not in context.drug_names:
        return dose.over or 0.0
    route = context.drug(dose.drug).species.get(context.known.species, {}).get(dose.route)
    usual = None if route is None or route.over is None else route.over.default
    return usual or 0.0


def _rules_dose(context: Context) -> bool:
    rules = listed(context.doc.data.get("rules"))
    then = [rule.get("then") for rule in rules if isinstance(rule, dict)]
    return any(isinstance(action, dict) and ("dose" in action or "start" in action) for action in then)


TASKS: tuple[Task, ...] = (
    is_measured, times_are_visits, follows_its_baseline, arms_exist, damage_has_two_arms, scores_can_be_reached,
    peaks_are_seen,
)  # fmt: skip

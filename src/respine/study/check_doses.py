"""Is this dose one that is given? Is this exposure one the library knows?"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from respine.files import units
from respine.files.fields import Amount
from respine.files.suggest import nearest
from respine.files.yaml_file import Place
from respine.study import check_into, treatments
from respine.study.context import Context, amount_of, attempt
from respine.study.schema import Dose, Exposure

MOST_OCCASIONS = 100_000
MOST_A_DAY = 24.0  # doses of one drug within a day; beyond, the interval is a slip
LONGEST_SPRAYS = 4.0  # hours from the first to the last spray of one dose


def dose(context: Context, place: Place, raw: object) -> None:
    """Note every problem of one dose."""
    if not isinstance(raw, dict):
        return
    if "into" in raw:
        check_into.check(context, place, raw)
        parsed = attempt(Dose, raw)
        if parsed is not None:
            _regular(context, place, parsed)
        return
    for field, example in (("drug", "ketamine"), ("route", "iv")):
        if field not in raw or raw[field] == "":
            cure = f'Add "{field}: {example}"; respine new FILE writes a commented example.'
            context.doc.problem((*place, field), f'The field "{field}" is missing.', cure)
    route = _route(context, place, raw)
    parsed = attempt(Dose, raw)
    if parsed is None:
        if route is not None:  # the amount may be good or bad by itself
            amount = amount_of(raw.get("amount"))
            if amount is not None:
                _amount(context, (*place, "amount"), raw, route, amount)
            else:
                _unit(context, (*place, "amount"), raw, route)
        return
    _regular(context, place, parsed)
    if parsed.every is not None and (parsed.times or 100) > MOST_A_DAY and parsed.every < 24 / MOST_A_DAY - 1e-9:
        why = f"That is a dose every {_time(parsed.every)}, more than {MOST_A_DAY:g} in a day."
        context.doc.problem((*place, "every"), why, 'Write a longer interval, or one infusion with "over:".')
    check_into.weighed(context, place, parsed.amount, parsed.per_spray)
    if route is not None:
        _given(context, place, raw, route, parsed)


def twice(context: Context, place: Place, doses: list[Any]) -> None:
    """The same dose written two times over: a slip of copying that would double it."""
    seen: set[str] = set()
    for i, raw in enumerate(doses):
        parsed = attempt(Dose, raw)
        if parsed is None:
            continue
        content = repr(sorted(_content(parsed).items()))
        if content in seen:
            why = "The same dose stands in this arm already: it would be given twice."
            context.doc.problem(
                (*place, i), why, "Remove one, or write the sum as one amount.", seen=parsed.drug or parsed.into or ""
            )
        seen.add(content)


def _content(dose: Dose) -> dict[str, Any]:
    """A dose without its note, amounts in their canonical unit."""
    return {
        name: (value.value, value.unit) if isinstance(value, Amount) else value
        for name, value in dose
        if name != "note"
    }


def _route(context: Context, place: Place, raw: dict[str, Any]) -> treatments.Route | None:
    name, way = raw.get("drug"), raw.get("route")
    if not isinstance(name, str) or not name:
        return None
    known = context.drug_names
    if name not in known:
        context.doc.problem((*place, "drug"), "The library has no drug of this name.", nearest(name, known))
        return None
    drug = context.drug(name)
    if context.known is None:
        return None
    species = context.known.species
    routes = drug.species.get(species)
    if routes is None:
        others = ", ".join(drug.species)
        why = f"{name} is described for {others}, not for {species}, the species of this population."
        context.doc.problem((*place, "drug"), why, f"Choose a drug for {species}, or a population of {others}.")
        return None
    if not isinstance(way, str) or not way:
        return None
    if way not in routes:
        why = f"{name} has no route of this name in {species}."
        empty = [] if any(route.dose for route in routes.values()) else _empty_by(context, way, species)
        cure = f'Write "drug: {empty[0]}" for that route. ' if empty else ""
        context.doc.problem((*place, "route"), why, cure + nearest(way, routes))
        return None
    return routes[way]


def _empty_by(context: Context, way: str, species: str) -> list[str]:
    """Treatments without a drug in them that are given by a route: what a placebo by that route is called."""
    names = []
    for name in context.library.names("drugs"):
        route = context.drug(name).species.get(species, {}).get(way)
        if route is not None and not (route.dose or route.into or route.sets):
            names.append(name)
    return names


def _regular(context: Context, place: Place, timed: Dose | Exposure) -> None:
    """The times at which it happens."""
    doc, at = context.doc, timed.at or ()
    later = next((k for k, (first, second) in enumerate(pairwise(at), start=1) if second < first), None)
    if later is not None:
        why = f"This comes before {_time(at[later - 1])}, which stands to the left of it."
        doc.problem((*place, "at", later), why, "Correct the time or its unit, or write the times in their order.")
    if timed.every is None:
        for field in ("times", "until"):
            if getattr(timed, field) is not None and isinstance(timed, Dose):
                why = f'"{field}" repeats a dose, but nothing says how often.'
                doc.problem((*place, field), why, 'Add "every: 24 h" or another interval.')
        if timed.times is not None and isinstance(timed, Exposure):
            doc.problem(
                (*place, "times"), 'Nothing says how often: "every" is missing.', 'Add "every: 56 h" or the like.'
            )
    else:
        if len(at) > 1:
            why = '"every" starts from one moment; "at" gives several.'
            doc.problem((*place, "at"), why, 'Write one moment, or leave "every" away and list all.')
        if timed.times is None and timed.until is None:
            doc.problem((*place, "every"), "Nothing says when the repetition ends.", 'Add "times: 8" or "until: 28 d".')
        if timed.times is not None and timed.until is not None:
            doc.problem((*place, "until"), '"times" and "until" both say when it ends.', "Keep one of them.")
        if timed.until is not None and at:
            if timed.until < at[0]:
                doc.problem((*place, "until"), f"This is before the first at {at[0]:g} h.", "Write a later time.")
            elif (timed.until - at[0]) / timed.every > MOST_OCCASIONS:
                doc.problem(
                    (*place, "every"), f"These are more than {MOST_OCCASIONS} occasions.", "Write a longer interval."
                )
    if len(set(at)) < len(at):
        doc.problem((*place, "at"), "The same moment stands in the list twice.", "Remove one.")
    if at and context.visits and min(at) > max(context.visits):
        why = f"This starts after the last visit ({max(context.visits):g} h): it would change nothing."
        doc.problem((*place, "at"), why, "Write an earlier time, or add a later visit.")
    elif at and context.visits and "co_medication" not in place and place[0] != "rules":
        _beyond(context, place, timed)


def _beyond(context: Context, place: Place, timed: Dose | Exposure) -> None:
    """Occasions after the last visit: nobody would see what they do."""
    last, at = max(context.visits), sorted(timed.at or ())
    if timed.every is None:
        late = [time for time in at if time > last]
        if late:
            why = f"{_count(len(late))} of {len(at)} after the last visit ({last:g} h) would change nothing."
            context.doc.problem(
                (*place, "at"), why, "Leave the late ones out, or add a later visit.", seen=f"{late[0]:g} h"
            )
    elif timed.times is not None and len(at) == 1 and at[0] + timed.every * (timed.times - 1) > last + 1e-9:
        fit = int((last - at[0]) / timed.every + 1e-9) + 1
        why = f"{_count(timed.times - fit)} of {timed.times} after the last visit ({last:g} h) would change nothing."
        context.doc.problem((*place, "times"), why, f'Write "times: {fit}", or add a later visit.')


def _count(number: int) -> str:
    return f"{number} occasion" + ("" if number == 1 else "s")


def _given(context: Context, place: Place, raw: dict[str, Any], route: treatments.Route, parsed: Dose) -> None:
    doc, name = context.doc, f"{parsed.drug} by {parsed.route}"
    if parsed.over is not None:
        _over(context, place, route, parsed)
    elif route.over is not None and route.over.default is None:
        doc.problem(place, f"{name} needs the length of the infusion.", 'Add "over: 40 min".', seen="")
    if route.spray is None:
        for field in ("sprays", "per-spray", "apart"):
            if field in raw:
                doc.problem((*place, field), f"{name} is not given in sprays.", "Remove this field.")
    if parsed.amount is None:
        if parsed.per_spray is not None and parsed.sprays is not None and route.spray is not None:
            text = f"{parsed.per_spray.value * parsed.sprays:g} {parsed.per_spray.unit}"
            total = Amount(value=parsed.per_spray.value * parsed.sprays, unit=parsed.per_spray.unit, text=text)
            _amount(context, (*place, "per-spray"), raw, route, total)
        elif route.dose:
            doc.problem(place, f"{name} needs an amount.", f'Add "amount: ..." within {_ranges(route)}.', seen="")
        return
    if not route.dose:
        doc.problem((*place, "amount"), f"{name} has no amount: it contains no drug.", "Leave the amount away.")
        return
    _amount(context, (*place, "amount"), raw, route, parsed.amount)
    if parsed.per_spray is not None and route.spray is not None:
        count = parsed.sprays or parsed.amount.value / parsed.per_spray.value
        same = (
            parsed.per_spray.unit == parsed.amount.unit
            and abs(count * parsed.per_spray.value / parsed.amount.value - 1) < 1e-6
        )
        if not same or abs(count - round(count)) > 1e-6:
            why = f"Sprays of {parsed.per_spray.text} do not add up to {parsed.amount.text}."
            doc.problem((*place, "per-spray"), why, "Correct one of amount, sprays and per-spray.")
    if route.spray is not None:
        _sprays(context, place, route.spray, route, parsed)


def _sprays(context: Context, place: Place, spray: treatments.Spray, route: treatments.Route, parsed: Dose) -> None:
    """Does the amount come out of a whole number of sprays?"""
    doc, holds, amount = context.doc, spray.amount, parsed.amount
    assert amount is not None
    apart = spray.apart if parsed.apart is None else parsed.apart
    if parsed.apart is not None and apart * ((parsed.sprays or 1) - 1) > LONGEST_SPRAYS:
        why = f"The sprays of one dose would take {_time(apart * ((parsed.sprays or 1) - 1))}."
        doc.problem((*place, "apart"), why, 'Write a shorter time, or single doses with "at: [...]".')
    elif parsed.apart is not None and parsed.sprays is None and parsed.apart > LONGEST_SPRAYS:
        doc.problem((*place, "apart"), f"Sprays of one dose lie up to {_time(LONGEST_SPRAYS)} apart.", "Write less.")
    if parsed.per_spray is not None or amount.unit not in {unit for unit, _, _ in (d.canonical for d in route.dose)}:
        return
    if amount.unit != holds.unit:
        if parsed.sprays is None:
            why = f"A spray holds {holds.text}; an amount in {amount.unit} does not say how many sprays."
            doc.problem((*place, "amount"), why, f'Write it in {holds.unit}, or add "sprays: 2".')
        return
    count = amount.value / holds.value
    whole = max(1, round(count))
    if parsed.sprays is None:
        if abs(count - whole) > 1e-6:
            why = f"{amount.text} is no whole number of sprays of {holds.text}."
            near = " or ".join(
                f'"{k * holds.value:g} {holds.unit}"' for k in sorted({max(1, int(count)), int(count) + 1})
            )
            doc.problem((*place, "amount"), why, f'Write {near}, or say what a spray holds with "per-spray: ...".')
    elif abs(parsed.sprays - count) > 1e-6:
        many = "1 spray holds" if parsed.sprays == 1 else f"{parsed.sprays} sprays hold"
        why = f"{many} {parsed.sprays * holds.value:g} {holds.unit} ({holds.text} each), not {amount.text}."
        each = f'"per-spray: {amount.value / parsed.sprays:.4g} {amount.unit}" if a spray held that'
        fitting = f'Write "sprays: {whole}"' if abs(count - whole) <= 1e-6 else "Correct one"
        cure = f"{fitting}, or add {each}."
        doc.problem((*place, "sprays"), why, cure)


def _over(context: Context, place: Place, route: treatments.Route, parsed: Dose) -> None:
    doc, name, over = context.doc, f"{parsed.drug} by {parsed.route}", parsed.over
    assert over is not None
    if route.over is None:
        doc.problem((*place, "over"), f"{name} is not an infusion.", 'Remove "over".')
        return
    high = route.over.high
    if over < route.over.low or (high is not None and over > high):
        top = "more" if high is None else f"{_time(high)}"
        why = f"{name} is given over {_time(route.over.low)} to {top}."
        doc.problem((*place, "over"), why, "Write a time within that range.")
    gap = parsed.every
    if len(parsed.at) > 1:
        moments = sorted(parsed.at)
        gap = min(b - a for a, b in pairwise(moments)) or None
    if gap is not None and over > gap:
        doc.problem(
            (*place, "over"), f"The next infusion, {gap:g} h later, would start before this one ends.", "Shorten it."
        )


def _amount(context: Context, place: Place, raw: dict[str, Any], route: treatments.Route, amount: Amount) -> None:
    """Unit and size of an amount against what the route is dosed with."""
    name = f"{raw.get('drug')} by {raw.get('route')}"
    ranges = {unit: (low, high) for unit, low, high in (dose.canonical for dose in route.dose)}
    if not ranges:
        return
    if amount.unit in ranges:
        low, high = ranges[amount.unit]
        if low <= amount.value <= high:
            return
    customary, (least, most) = next(iter(ranges.items()))
    as_written = amount.text or f"{amount.value:g} {amount.unit}"
    weight = context.weight
    other = {f"{customary}/kg": 1 / weight, customary.removesuffix("/kg"): weight}.get(amount.unit) if weight else None
    if customary.endswith("/kg") and amount.unit == customary.removesuffix("/kg") and weight:
        why = (
            f"{name} is dosed per body weight in this study's population ({least:g}-{most:g} {customary}); "
            f"{as_written} is {amount.value / weight:.1g} {customary} for {weight:g} kg."
        )
        if least <= amount.value <= most:
            flat = (
                f', or "{amount.value * weight:g} {amount.unit}" if a flat dose is meant'
                if amount.unit in ranges
                else ""
            )
            cure = f'Write "{amount.value:g} {customary}"{flat}.'
        else:
            cure = f"Write an amount within {_ranges(route)}."
    elif amount.unit in ranges:
        low, high = ranges[amount.unit]
        why = f"{name} is dosed from {low:g} to {high:g} {amount.unit}; {as_written} lies outside."
        cure = f"Write an amount within {_ranges(route)}."
    else:
        why = f"{name} is dosed in {' or '.join(ranges)}, not in {amount.unit}."
        if other is not None and least <= amount.value * other <= most:
            same = f'"{amount.value * other:.3g} {customary}", which it is for {weight:g} kg'
            cure = f"Write {same}, or another amount within {_ranges(route)}."
        else:
            cure = f"Write an amount within {_ranges(route)}."
    context.doc.problem(place, why, cure, seen=as_written)


def _unit(context: Context, place: Place, raw: dict[str, Any], route: treatments.Route) -> None:
    """A bare number: name the unit in which it would make sense."""
    text = str(raw.get("amount", "")).strip()
    parts = units.split(text)
    if parts is None or parts[1] or parts[0] <= 0 or not route.dose:
        return
    fitting = [unit for unit, low, high in (dose.canonical for dose in route.dose) if low <= parts[0] <= high]
    usual = " or ".join(dose.unit for dose in route.dose)
    why = f"A dose without a unit; {raw.get('drug')} by {raw.get('route')} is dosed in {usual}."
    likely = " or ".join(f'"{text} {unit}"' for unit in fitting)
    cure = f"Write {likely}, as the source says." if likely else f"Write an amount within {_ranges(route)}."
    context.doc.instead(place, why, cure)


def _ranges(route: treatments.Route) -> str:
    return " or ".join(f"{low:g}-{high:g} {unit}" for unit, low, high in (dose.canonical for dose in route.dose))


def _time(hours: float) -> str:
    if hours < 1:
        return f"{hours * 3600:.3g} s" if hours < 1 / 60 else f"{hours * 60:.3g} min"
    return f"{hours:g} h" if hours < 72 else f"{hours / 24:g} d"


def exposure(context: Context, place: Place, raw: object) -> None:
    """Note every problem of one exposure."""
    name = raw.get("exposure") if isinstance(raw, dict) else None
    if not isinstance(raw, dict) or not isinstance(name, str) or not name:
        return
    known = context.exposure_names
    if name not in known:
        context.doc.problem((*place, "exposure"), "The library has no exposure of this name.", nearest(name, known))
        return
    file, parsed = context.exposure(name), attempt(Exposure, raw)
    if context.known is not None:
        absent = [input for input in file.sets if input not in context.known.inputs]
        if absent:
            why = f"{name} acts on {', '.join(absent)}, which the {context.known.model} model does not have."
            context.doc.problem((*place, "exposure"), why, "Choose another exposure, or a population of another model.")
    if parsed is None:
        return
    wanted, foreign = ("at", ("from",)) if file.kind == "pulse" else ("from", ("at", "every", "times", "lasts"))
    if wanted not in raw and not any(field in raw for field in foreign):
        why = f"{name} is a {file.kind}: it needs a time."
        context.doc.problem(place, why, f'Add "{wanted}: 0 h".', seen="")
    for field in foreign:
        if field in raw:
            how = "at, every, times, lasts" if file.kind == "pulse" else "from, until, level"
            context.doc.problem(
                (*place, field), f"{name} is a {file.kind}: it is described by {how}.", "Remove this field."
            )
    if file.kind == "pulse":
        _regular(context, place, parsed)
        if parsed.until is not None and parsed.every is None:
            context.doc.problem(
                (*place, "until"), "Nothing says how often it happens until then.", 'Add "every: 56 h".'
            )
        lasts = parsed.lasts if parsed.lasts is not None else file.lasts
        if lasts is None:
            context.doc.problem(place, f"{name} needs a length.", 'Add "lasts: 30 min".', seen="")
        else:
            _apart(context, place, parsed, lasts)
    elif parsed.begin is not None and parsed.until is not None and parsed.until <= parsed.begin:
        context.doc.problem((*place, "until"), f'This is not after "from" ({parsed.begin:g} h).', "Write a later time.")
    elif parsed.begin is not None and context.visits and parsed.begin >= max(context.visits):
        why = f"This starts at or after the last visit ({max(context.visits):g} h): it would change nothing."
        context.doc.problem((*place, "from"), why, "Write an earlier time, or add a later visit.")
    for input, value in file.sets.items():
        low, high = file.range.get(input, (0.0, float("inf")))
        if not low <= value * parsed.level <= high:
            why = f"{name} at level {parsed.level:g} sets {input} to {value * parsed.level:g}; {low:g} to {high:g} makes sense."
            context.doc.problem((*place, "level"), why, "Write a level within that range.")


def _apart(context: Context, place: Place, parsed: Exposure, lasts: float) -> None:
    """Pulses must end before the next begins."""
    moments = sorted(parsed.at or ())
    gaps = [b - a for a, b in pairwise(moments) if b > a] + ([parsed.every] if parsed.every is not None else [])
    if gaps and lasts > min(gaps) + 1e-9:
        field = "lasts" if parsed.lasts is not None else ("every" if parsed.every is not None else "at")
        why = f"Each lasts {_time(lasts)}, and the next would begin {_time(min(gaps))} after it began."
        context.doc.problem((*place, field), why, "Shorten it, or leave more time between.")

"""Can people behave as a study says, and can its trial be carried out? Names, times and shares of ``behaviour`` and ``trial``."""

from __future__ import annotations

from typing import Any

from respine.files.suggest import nearest
from respine.files.yaml_file import Place
from respine.population import model_tables
from respine.study import check_doses
from respine.study.behaviour import Leaving
from respine.study.context import Context, attempt, listed, time_of


def check(context: Context) -> None:
    """Note every mistake of meaning in ``behaviour`` and ``trial``."""
    behaviour, trial = context.doc.data.get("behaviour"), context.doc.data.get("trial")
    if isinstance(behaviour, dict):
        _behaviour(context, behaviour)
    if isinstance(trial, dict):
        _trial(context, trial)


def _behaviour(context: Context, raw: dict[str, Any]) -> None:
    for field in ("dropout", "discontinuation"):
        laws = raw.get(field)
        for i, entry in enumerate(laws if isinstance(laws, list) else [laws] if isinstance(laws, dict) else []):
            place: Place = ("behaviour", field, i) if isinstance(laws, list) else ("behaviour", field)
            if isinstance(entry, dict):
                _seen(context, (*place, "scale"), entry.get("scale"), ("at", "above"), entry)
                _arms(context, (*place, "arms"), entry.get("arms"))
                law = attempt(Leaving, entry)
                if law is not None and law.until is not None and context.visits:
                    last = max(context.visits) - context.start
                    if law.until > last * 1000:
                        why = "The share is reached long after the last visit, so that nobody would leave."
                        context.doc.problem((*place, "until"), why, f'Write "until: {last / 24:g} d" or less.')
    rescue = raw.get("rescue")
    if isinstance(rescue, dict):
        place = ("behaviour", "rescue")
        _seen(context, (*place, "scale"), rescue.get("scale"), ("above",), rescue)
        _arms(context, (*place, "arms"), rescue.get("arms"))
        begin = time_of(rescue.get("from"))
        if begin is not None and context.visits and begin > max(context.visits):
            why = "Rescue would be possible only after the last visit: nobody would ever get it."
            context.doc.problem((*place, "from"), why, "Write an earlier time.")
        if isinstance(rescue.get("dose"), dict):
            check_doses.dose(context, (*place, "dose"), {"at": "0 h"} | rescue["dose"])
    relapse = raw.get("relapse")
    if isinstance(relapse, dict):
        _seen(context, ("behaviour", "relapse", "scale"), relapse.get("scale"), ("above",), relapse)


def _trial(context: Context, raw: dict[str, Any]) -> None:
    doc = context.doc
    sizes = raw.get("n")
    if isinstance(sizes, dict):
        for name in sizes:
            if not context.is_arm(str(name)):
                doc.problem(
                    ("trial", "n", name), "The study has no arm of this name.", nearest(str(name), context.arms)
                )
        for name in context.arms:
            arm = context.arms[name]
            if name not in sizes and not (isinstance(arm, dict) and arm.get("n_published")):
                doc.problem(("trial", "n"), f'Nothing says how many people the arm "{name}" has.', f"Add {name}: 100.")
    if raw.get("design") == "sequential-parallel" and len(context.arms) != 3:
        why = f"A sequential parallel trial has three arms (drug-drug, placebo-drug, placebo-placebo), not {len(context.arms)}."
        doc.problem(("trial", "design"), why, "Write the three arms in this order.")
    if raw.get("design") in ("withdrawal", "crossover") and len(context.arms) != 2:
        why = f"A {raw['design']} trial has two arms here; this study has {len(context.arms)}."
        doc.problem(("trial", "design"), why, "Keep two arms.")
    for field in ("stage",):
        time = time_of(raw.get(field))
        if time is not None and context.visits and time not in context.visits:
            doc.problem(("trial", field), "Nobody is rated at this time.", f'Add "{raw[field]}" to the visits.')
    select = raw.get("select")
    if isinstance(select, dict):
        _seen(context, ("trial", "select", "scale"), select.get("scale"), (), select)
        time = time_of(select.get("at"))
        if time is not None and context.visits and time not in context.visits:
            doc.problem(
                ("trial", "select", "at"), "Nobody is rated at this time.", f'Add "{select["at"]}" to the visits.'
            )
    block, names = (raw.get("randomisation") or {}), {}
    for i, estimand in enumerate(listed(raw.get("estimands"))):
        name = estimand.get("name") if isinstance(estimand, dict) else None
        if name in names:
            doc.problem(("trial", "estimands", i, "name"), "Two estimands have this name.", "Give each its own name.")
        names[name] = i
    if isinstance(block, dict) and context.population is not None:
        known = [*context.population.covariates, *(doc.data.get("covariates") or {})]
        strata = block.get("strata")
        for i, stratum in enumerate(strata if isinstance(strata, list) else [strata] if strata else []):
            name = (
                stratum if isinstance(stratum, str) else stratum.get("covariate") if isinstance(stratum, dict) else None
            )
            if isinstance(name, str) and name not in known:
                place = (
                    ("trial", "randomisation", "strata", i)
                    if isinstance(strata, list)
                    else ("trial", "randomisation", "strata")
                )
                doc.problem(place, "The people have no covariate of this name.", nearest(name, known), seen=name)


def _arms(context: Context, place: Place, raw: object) -> None:
    for name in raw if isinstance(raw, list) else [raw] if isinstance(raw, str) else []:
        if isinstance(name, str) and not context.is_arm(name):
            context.doc.problem(place, "The study has no arm of this name.", nearest(name, context.arms), seen=name)


def _seen(context: Context, place: Place, scale: object, scores: tuple[str, ...], raw: dict[str, Any]) -> None:
    """A scale exists, the study observes it, and thresholds lie within it."""
    if not isinstance(scale, str):
        return
    if scale not in context.scales:
        context.doc.problem(place, "There is no scale of this name.", nearest(scale, context.scales))
        return
    if scale not in listed(context.doc.data.get("observe")) and "observe" not in context.unsure:
        context.doc.problem(place, "The study does not observe it.", f'Add {scale} to "observe: [...]".')
    span = model_tables.scale_range(context.library, scale)
    for field in scores:
        value = raw.get(field)
        if span is not None and isinstance(value, (int, float)) and not span[0] <= value <= span[1]:
            why = f"{scale} runs from {span[0]:g} to {span[1]:g}."
            context.doc.problem((*place[:-1], field), why, "Write a score within that range.")

"""What a study file means: every name exists, every number is sensible, every time lies where it can.

Works on the raw values, part by part, so that one mistake does not hide the others.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from pydantic import TypeAdapter, ValidationError

from respine.errors import InputError
from respine.files import units
from respine.files.find import find
from respine.files.suggest import nearest
from respine.files.yaml_file import Document, Place
from respine.library import Library
from respine.population import Population, load, model_tables
from respine.population.check import (
    covariate_instead,
    covariate_problems,
    group_problems,
    own_model,
    parameter_problem,
    tables_of,
)
from respine.population.distributions import Covariate
from respine.population.read import everybody_alike, load_from, with_model
from respine.study import check_doses, check_endpoints, check_evidence, check_trial, people_table
from respine.study.context import Context, listed, scale_names, time_of
from respine.study.schema import Genotype

MOST_VISITS = 2000
MOST_RECORDED = 10_000  # moments of a run: beyond, curves fill the memory and say nothing more
_COVARIATE: TypeAdapter[Any] = TypeAdapter(Covariate)


def meaning(doc: Document, library: Library) -> Population | None:
    """Note every problem of meaning; the population if it could be loaded, with the study's own model."""
    population = population_of(doc, library)
    known = _known(doc, library, population)
    start = time_of(doc.data.get("start", "0 h"))
    context = Context(doc, library, population, known, 0.0 if start is None else start, {})
    _visits(context)
    _names(context, "observe", scale_names(library), "scale")
    if known is not None:
        _names(context, "record", known.outputs, f"state, rule, input or parameter of the {known.model} model")
    _covariates(context)
    _parameters(context, ("parameters",), doc.data.get("parameters"))
    _baselines(context)
    _alike(context)
    _together(context)
    for name, raw in context.arms.items():
        _arm(context, name, raw)
    check_endpoints.check(context)
    check_evidence.check(context)
    _rules(context)
    check_trial.check(context)
    if known is not None and population is not None:
        people_table.check(context, known, population)
    return population


def population_of(doc: Document, library: Library) -> Population | None:
    """The population a study names or holds, with the study's own model in place of its own; None where there is none."""
    asked, model = doc.data.get("population"), doc.data.get("model")
    try:
        if isinstance(asked, dict):
            population = load_from(asked, doc, library)
        elif isinstance(asked, str) and asked:
            population = load(find(asked, "populations", "population", library, doc.folder), library)
        elif asked is None and isinstance(model, str):
            population = everybody_alike(model)
        else:
            if asked is None:
                why = 'The field "population" is missing.'
                doc.problem(
                    ("population",), why, 'Add "population: mdd-treatment-resistant"; respine model names lists all.'
                )
            return None
    except InputError as error:
        for problem in error.problems:
            if problem.field == "population":
                doc.problem(("population",), problem.why, problem.cure)
            else:
                doc.problems.append(problem)  # it names its own file and line
        return None
    if isinstance(model, str) and model:
        population = with_model(population, own_model(doc, model))
    return population


def _known(doc: Document, library: Library, population: Population | None) -> model_tables.ModelTables | None:
    """What the study's model knows by name."""
    field = "model" if isinstance(doc.data.get("model"), str) else "population"
    return None if population is None else tables_of(doc, population.model, library, field)


def _visits(context: Context) -> None:
    doc, last = context.doc, None
    count = len(listed(doc.data.get("visits")))
    if count > MOST_VISITS:
        why = f"{count} visits are more than any trial has ({MOST_VISITS} at most)."
        doc.problem(("visits",), why, 'List the visits; curves in between are kept by "record".')
        context.unsure.add("visits")
        return
    for i, raw in enumerate(listed(doc.data.get("visits"))):
        time = time_of(raw)
        if time is None:
            context.unsure.add("visits")
            continue
        place: Place = ("visits", i)
        if time < context.start:
            why = f'"{raw}" lies before the first baseline visit ({context.start:g} h).'
            cure = f'Write a time at or after {context.start:g} h, or move the baseline with "start: {raw}".'
            doc.problem(place, why, cure)
        elif time in context.visits:
            doc.problem(place, "This visit stands in the list twice.", "Remove one.")
        elif last is not None and time < last:
            doc.problem(place, "The visits are not in the order of time.", "Sort them.")
        last = time if last is None else max(last, time)
        context.visits.setdefault(time, i)


def _together(context: Context) -> None:
    """Fields that make sense only beside others."""
    doc = context.doc
    if "washout" in doc.data and doc.data.get("design", "parallel") in ("parallel", "single-arm"):
        why = "Only a crossover has a wash-out between its periods."
        doc.problem(("washout",), why, 'Remove it, or write "design: crossover".')
    step = time_of(doc.data.get("record_every"))
    if step is not None and step > 0 and context.visits:
        points = (max(context.visits) - context.start) / step
        if points > MOST_RECORDED:
            why = f"This records {points:,.0f} moments of everybody; {MOST_RECORDED:,} are the most.".replace(",", " ")
            least = (max(context.visits) - context.start) / MOST_RECORDED
            cure = f'Write a longer step, "{max(1, math.ceil(least * 60))} min" or more, or leave the field out.'
            doc.problem(("record_every",), why, cure)


def _names(context: Context, field: str, known: list[str], role: str) -> None:
    seen: set[str] = set()
    if not isinstance(context.doc.data.get(field, []), list):
        context.unsure.add(field)
    for i, name in enumerate(listed(context.doc.data.get(field))):
        if not isinstance(name, str):
            context.unsure.add(field)
            continue
        if name not in known:
            context.unsure.add(field)
            context.doc.problem((field, i), f"There is no {role} of this name.", nearest(name, known))
        elif name in seen:
            context.doc.problem((field, i), "This name stands in the list twice.", "Remove one.")
        seen.add(name)


def _covariates(context: Context) -> None:
    """The study's own covariates stand in for those of the population, so they must be known there."""
    given = context.doc.data.get("covariates")
    if not isinstance(given, dict) or context.population is None or context.known is None:
        return
    baselines = [f"baseline_{scale}" for scale in scale_names(context.library)]
    known = [*context.population.covariates, *(name for name in baselines if name not in context.population.covariates)]
    for name, raw in given.items():
        if name not in known and name not in context.known.parameters:
            why = "This is no covariate of the population, no baseline score and no parameter of its model."
            context.doc.problem(("covariates", name), why, nearest(name, known), seen=name)
        else:
            for place, why, cure in _spread(context, name, raw):
                context.doc.problem(("covariates", name, *place), why, cure)
        by = raw.get("by") if isinstance(raw, dict) else None
        if isinstance(by, str) and by not in {**context.population.covariates, **given}:
            cure = nearest(by, context.population.covariates)
            context.doc.problem(("covariates", name, "by"), "There is no covariate of this name.", cure)
            return
    read = {name: covariate for name, raw in given.items() if (covariate := _covariate_of(raw)) is not None}
    for name, why, cure in group_problems({**context.population.covariates, **read}):
        place = ("covariates", name, "by") if name in given else ("covariates", _by(context, name))
        context.doc.problem(place, why, cure)


def _by(context: Context, name: str) -> str:
    """The covariate by which a covariate of the population goes."""
    assert context.population is not None
    return str(getattr(context.population.covariates.get(name), "by", name))


def _spread(context: Context, name: str, raw: object) -> list[tuple[Place, str, str]]:
    """What is impossible in the spread of a covariate; nothing where it cannot be read."""
    covariate = _covariate_of(raw)
    return (
        []
        if covariate is None or context.known is None
        else list(covariate_problems(context.known, name, covariate, context.library))
    )


def _covariate_of(raw: object) -> Any:
    """The raw covariate as a distribution, or None where it cannot be read."""
    try:
        return _COVARIATE.validate_python(raw)
    except ValidationError:
        return None


def _baselines(context: Context) -> None:
    """A score needs somebody who can be rated, and a score to start from."""
    if context.known is None or context.population is None:
        return
    given = context.doc.data.get("covariates")
    there = {*context.population.covariates, *(given if isinstance(given, dict) else ())}
    for i, name in enumerate(listed(context.doc.data.get("observe"))):
        if name not in scale_names(context.library):
            continue
        if context.known.species != "human":
            why = f"{name} is rated in people; the population lives in the {context.known.model} model."
            context.doc.problem(("observe", i), why, 'Remove it, and "record" what is measured in animals.')
            continue
        scale = model_tables.scale_file(context.library, name)
        aliases, conversion = scale.get("aliases"), scale.get("baseline_from")
        other = conversion.get("scale") if isinstance(conversion, dict) else None
        from_scales = [name, *(aliases if isinstance(aliases, list) else []), *([other] if other else [])]
        known = any(f"baseline_{name}" in there for name in from_scales) or "baseline_mean" in scale.get("values", {})
        if scale.get("rule") in ("severity", "relative") and not known:
            why = "Nothing says how ill these people are on this scale at the first visit."
            cure = f'Add "covariates: {{baseline_{name}: {{distribution: normal, ...}}}}", or observe another scale.'
            context.doc.problem(("observe", i), why, cure)


def _covariate(context: Context, id: str) -> bool:
    """Whether each person has their own value of this parameter."""
    given = context.doc.data.get("covariates")
    own = given if isinstance(given, dict) else {}
    return id in own or (context.population is not None and id in context.population.covariates)


def _alike(context: Context) -> None:
    """Names of arms that only a computer tells apart."""
    seen: dict[str, str] = {}
    for name in context.arms:
        plain = " ".join(str(name).lower().split())
        if plain in seen:
            why = f'This name differs from the arm "{seen[plain]}" in capitals or blanks only.'
            context.doc.problem(("arms", name), why, "Give it a name that readers can tell apart.", seen=name)
        seen.setdefault(plain, name)


def _arm(context: Context, name: str, raw: object) -> None:
    if not isinstance(raw, dict):
        return
    place: Place = ("arms", name)
    for field in ("doses", "co_medication"):
        for i, entry in enumerate(listed(raw.get(field))):
            check_doses.dose(context, (*place, field, i), entry)
        check_doses.twice(context, (*place, field), listed(raw.get(field)))
    for i, entry in enumerate(listed(raw.get("exposures"))):
        check_doses.exposure(context, (*place, "exposures", i), entry)
    overrides = raw.get("parameters")
    _parameters(context, (*place, "parameters"), overrides)
    if context.known is None:
        return
    genotype = raw.get("genotype")
    for id in genotype if isinstance(genotype, dict) else ():
        if id in Genotype.model_fields and id not in context.known.parameters:
            why = f"The {context.known.model} model does not know this genotype."
            context.doc.problem((*place, "genotype", id), why, "Leave it out.")
        elif isinstance(overrides, dict) and id in overrides:
            why = f"{id} is given as genotype and as parameter."
            context.doc.problem((*place, "parameters", id), why, "Keep one of them.")


def _parameters(context: Context, place: Place, values: object) -> None:
    """Typical values that the study or an arm sets: the model has them, within their bounds, and nobody's own."""
    if context.known is None or not isinstance(values, dict):
        return
    for id, value in values.items():
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            problem = parameter_problem(context.known, id, value)
            if problem is None and _covariate(context, id):
                problem = covariate_instead(id)
            if problem:
                context.doc.problem((*place, id), *problem)


def _rules(context: Context) -> None:
    rules = [rule for rule in listed(context.doc.data.get("rules")) if isinstance(rule, dict)]
    names = [rule.get("name") for rule in rules]
    for i, rule in enumerate(rules):
        place: Place = ("rules", i)
        if names.index(rule.get("name")) < i:
            context.doc.problem((*place, "name"), "Two rules have this name.", "Give each its own name.")
        for k, arm in enumerate(listed(rule.get("arms"))):
            if isinstance(arm, str) and arm not in context.arms:
                context.doc.problem((*place, "arms", k), "There is no arm of this name.", nearest(arm, context.arms))
        for at, condition in _conditions(rule.get("when"), (*place, "when")):
            never = _contradiction(condition)
            if never:
                why = "These two conditions never hold together: the rule would never act."
                context.doc.problem((*at, *never.split(".")), why, "Correct one of them, or make two rules.")
            other = condition.get("on")
            if isinstance(other, str) and other not in names:
                context.doc.problem(
                    (*at, "on"), "There is no rule of this name.", nearest(other, [str(n) for n in names])
                )
            elif isinstance(other, str) and not any(
                rule.get("name") == other and isinstance(rule.get("then"), dict) and "start" in rule["then"]
                for rule in rules
            ):
                context.doc.problem(
                    (*at, "on"), "This rule starts no course: nobody is ever on it.", "Name a rule with start."
                )
            scale = condition.get("scale")
            if isinstance(scale, str) and scale not in scale_names(context.library):
                cure = nearest(scale, scale_names(context.library))
                context.doc.problem((*at, "scale"), "There is no scale of this name.", cure)
            elif isinstance(scale, str):
                _seen_by_rule(context, at, condition, scale)
            visit = time_of(condition.get("visit"))
            if condition.get("visit") == "daily" and context.visits:
                count = (max(context.visits) - context.start) / 24
                if count > MOST_VISITS:
                    why = f"These are {count:.0f} decisions in a row; {MOST_VISITS} are the most."
                    context.doc.problem((*at, "visit"), why, 'Write "weekly", or a shorter study.')
            if visit is not None and context.visits and visit not in context.visits and "visits" not in context.unsure:
                why = "There is no visit at this time: the rule would never act."
                context.doc.problem((*at, "visit"), why, f'Add "{condition["visit"]}" to the visits.')
        then = rule.get("then") if isinstance(rule.get("then"), dict) else {}
        assert isinstance(then, dict)
        for field in ("hold", "stop"):
            other = then.get(field)
            if isinstance(other, str) and other not in names:
                cure = nearest(other, [str(name) for name in names])
                context.doc.problem((*place, "then", field), "There is no rule of this name.", cure)
        for field in ("dose", "start"):
            if isinstance(then.get(field), dict):
                check_doses.dose(context, (*place, "then", field), {"at": "0 h"} | then[field])


def _seen_by_rule(context: Context, at: Place, condition: dict[str, Any], scale: str) -> None:
    """A rule decides by what is observed, and by a score that somebody can have."""
    if scale not in listed(context.doc.data.get("observe")) and "observe" not in context.unsure:
        why = "The study does not observe it: the rule could not see it."
        context.doc.problem((*at, "scale"), why, f'Add {scale} to "observe: [...]".')
    span = model_tables.scale_range(context.library, scale)
    for field in ("above", "below"):
        parts = units.split(str(condition.get(field, "")))
        if span is not None and parts is not None and not span[0] <= parts[0] <= span[1]:
            why = f"{scale} runs from {span[0]:g} to {span[1]:g}."
            context.doc.problem((*at, field), why, "Write a score within that range.")


def _contradiction(raw: dict[str, Any]) -> str:
    """The field of a condition that can never hold beside another; empty where there is none."""
    tests = [("above", "below", raw), ("change-more-than", "change-less-than", raw)]
    if isinstance(raw.get("last-dose"), dict):
        tests.append(("longer-ago-than", "less-ago-than", raw["last-dose"]))
    for low, high, where in tests:
        parts = [units.split(str(where.get(field, ""))) for field in (low, high)]
        if parts[0] and parts[1] and parts[0][1] == parts[1][1] and parts[0][0] >= parts[1][0]:
            return f"last-dose.{high}" if where is not raw else high
    return ""


def _conditions(raw: object, place: Place) -> Iterator[tuple[Place, dict[str, Any]]]:
    while isinstance(raw, dict):
        yield place, raw
        raw, place = raw.get("and"), (*place, "and")

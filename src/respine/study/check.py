"""What a study file means: every name exists, every number is sensible, every time lies where it can.

Works on the raw values, part by part, so that one mistake does not hide the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from respine.errors import InputError
from respine.population import Population, load, tables
from respine.population.check import parameter_problem
from respine.population.read import find, nearest
from respine.population.yaml_file import Document, Place
from respine.study import check_doses, check_endpoints, check_evidence
from respine.study.context import Context, listed, scale_names, time_of
from respine.study.schema import Genotype


def meaning(doc: Document) -> Population | None:
    """Note every problem of meaning; the population if it could be loaded."""
    population = _population(doc)
    known = tables.of_model(population.model) if population is not None else None
    start = time_of(doc.data.get("start", "0 h"))
    context = Context(doc, population, known, 0.0 if start is None else start, {})
    _visits(context)
    _names(context, "observe", scale_names(), "scale")
    if known is not None:
        _names(context, "record", known.outputs, f"state, rule, input or parameter of the {known.model} model")
    _covariates(context)
    for name, raw in context.arms.items():
        _arm(context, name, raw)
    check_endpoints.check(context)
    check_evidence.check(context)
    _rules(context)
    return population


def _population(doc: Document) -> Population | None:
    name = doc.data.get("population")
    if not isinstance(name, str) or not name:
        return None
    beside: Path = doc.file.parent
    try:
        return load(find(name, "populations", "population", beside))
    except InputError as error:
        for one in error.problems:
            inside = one.field not in ("population", "(the file)")
            why = f"{one.where} {one.field}: {one.why}" if inside else one.why
            doc.problem(("population",), why, one.cure)
        return None


def _visits(context: Context) -> None:
    doc, last = context.doc, None
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


def _names(context: Context, field: str, known: list[str], what: str) -> None:
    seen: set[str] = set()
    for i, name in enumerate(listed(context.doc.data.get(field))):
        if not isinstance(name, str):
            context.unsure.add(field)
            continue
        if name not in known:
            context.unsure.add(field)
            context.doc.problem((field, i), f"There is no {what} of this name.", nearest(name, known))
        elif name in seen:
            context.doc.problem((field, i), "This name stands in the list twice.", "Remove one.")
        seen.add(name)


def _covariates(context: Context) -> None:
    """The study's own covariates stand in for those of the population, so they must be known there."""
    given = context.doc.data.get("covariates")
    if not isinstance(given, dict) or context.population is None or context.known is None:
        return
    baselines = [f"baseline_{scale}" for scale in scale_names()]
    known = [*context.population.covariates, *(name for name in baselines if name not in context.population.covariates)]
    for name, raw in given.items():
        if name not in known and name not in context.known.parameters:
            why = "This is no covariate of the population, no baseline score and no parameter of its model."
            context.doc.problem(("covariates", name), why, nearest(name, known), seen=name)
        by = raw.get("by") if isinstance(raw, dict) else None
        if isinstance(by, str) and by not in {**context.population.covariates, **given}:
            cure = nearest(by, context.population.covariates)
            context.doc.problem(("covariates", name, "by"), "There is no covariate of this name.", cure)


def _arm(context: Context, name: str, raw: object) -> None:
    if not isinstance(raw, dict):
        return
    place: Place = ("arms", name)
    for field in ("doses", "co_medication"):
        for i, one in enumerate(listed(raw.get(field))):
            check_doses.dose(context, (*place, field, i), one)
    for i, one in enumerate(listed(raw.get("exposures"))):
        check_doses.exposure(context, (*place, "exposures", i), one)
    if context.known is None:
        return
    overrides = raw.get("parameters")
    for id, value in overrides.items() if isinstance(overrides, dict) else ():
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            problem = parameter_problem(context.known, id, value)
            if problem:
                context.doc.problem((*place, "parameters", id), *problem)
    genotype = raw.get("genotype")
    for id in genotype if isinstance(genotype, dict) else ():
        if id in Genotype.model_fields and id not in context.known.parameters:
            why = f"The {context.known.model} model does not know this genotype."
            context.doc.problem((*place, "genotype", id), why, "Leave it out.")
        elif isinstance(overrides, dict) and id in overrides:
            why = f"{id} is given as genotype and as parameter."
            context.doc.problem((*place, "parameters", id), why, "Keep one of them.")


def _rules(context: Context) -> None:
    rules = [one for one in listed(context.doc.data.get("rules")) if isinstance(one, dict)]
    names = [one.get("name") for one in rules]
    for i, rule in enumerate(rules):
        place: Place = ("rules", i)
        if names.index(rule.get("name")) < i:
            context.doc.problem((*place, "name"), "Two rules have this name.", "Give each its own name.")
        for at, condition in _conditions(rule.get("when"), (*place, "when")):
            scale = condition.get("scale")
            if isinstance(scale, str) and scale not in scale_names():
                cure = nearest(scale, scale_names())
                context.doc.problem((*at, "scale"), "There is no scale of this name.", cure)
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


def _conditions(raw: object, place: Place) -> Iterator[tuple[Place, dict[str, Any]]]:
    while isinstance(raw, dict):
        yield place, raw
        raw, place = raw.get("and"), (*place, "and")

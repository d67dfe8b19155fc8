"""What a population file means: the names it uses must exist in its model, its correlations must be possible."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from respine.errors import InputError
from respine.files.suggest import nearest
from respine.files.yaml_file import Document, Place
from respine.library import Library
from respine.population import model_tables, quantities
from respine.population.distributions import (
    ByGroup,
    Constant,
    Covariate,
    HardyWeinberg,
    LogNormal,
    Normal,
    Share,
)
from respine.population.quantities import GENOTYPES
from respine.population.schema import Correlation, Override, Population


def meaning(doc: Document, population: Population | None, library: Library) -> tuple[str, Population | None]:
    """Note every problem of meaning; the species of the model, as far as it is known, and the population in its units."""
    name = doc.data.get("model")
    known = tables_of(doc, name, library) if isinstance(name, str) else None
    if known is None:
        return "", population
    if population is not None:
        _covariates(doc, population, known, library)
        _history(doc, population, known, library)
        _overrides(doc, population, known)
        _correlations(doc, population, known)
        population = _in_units(population, known, library)
    return known.species, population


def _in_units(population: Population, known: model_tables.ModelTables, library: Library) -> Population:
    """The population with every number in the unit its name stands for."""
    covariates = quantities.all_in_units(population.covariates, known, library)
    parameters = {id: _override(override, known, id)[0] for id, override in population.parameters.items()}
    return population.model_copy(update={"covariates": covariates, "parameters": parameters})


def _override(override: Override, known: model_tables.ModelTables, id: str) -> tuple[Override, tuple[str, str] | None]:
    """A typical value in the unit of its table, and what is wrong with its unit."""
    unit = known.parameters.get(id, {}).get("unit", "")
    ratio = quantities.factor(override.unit, unit, id) if id in known.parameters else 1.0
    if isinstance(ratio, tuple):
        return override, ratio
    return (
        override if ratio == 1.0 else override.model_copy(update={"value": override.value * ratio, "unit": unit})
    ), None


def tables_of(doc: Document, model: str, library: Library, field: str = "model") -> model_tables.ModelTables | None:
    """The tables of the model a file names, an own model by its path from the file; None with the problem noted."""
    try:
        return model_tables.of_model(library, own_model(doc, model))
    except KeyError:
        cure = nearest(model, library.names("models")) + " A file of your own ends in .ant or .xml."
        doc.problem((field,), "There is no such model.", cure)
    except InputError as error:
        doc.problems += error.problems
    return None


def own_model(doc: Document, model: str) -> str:
    """A model as it is loaded: a library name as it is, an own file with its whole path (also when asked again)."""
    if not model_tables.is_own_model(model) or doc.folder is None:
        return model
    return str((doc.folder / model).absolute())


def _covariates(doc: Document, population: Population, known: model_tables.ModelTables, library: Library) -> None:
    for name, covariate in population.covariates.items():
        if cure := quantities.name_fault(known, name, population.covariates, library):
            why = f"Nothing reads a covariate of this name: no dose, no scale, and no parameter of the {known.model} model."
            doc.problem(("covariates", name), why, cure, seen=name)
            continue
        for place, why, cure in covariate_problems(known, name, covariate, library):
            doc.problem(("covariates", name, *place), why, cure)
    for name, why, cure in group_problems(population.covariates):
        doc.problem(("covariates", name, "by"), why, cure)


def group_problems(covariates: Mapping[str, Covariate]) -> Iterator[tuple[str, str, str]]:
    """Name, reason and cure for every covariate whose groups are not those of the covariate it goes by."""
    for name, covariate in covariates.items():
        if not isinstance(covariate, ByGroup):
            continue
        other = covariates.get(covariate.by)
        if not isinstance(other, Share):
            words = [key for key, item in covariates.items() if isinstance(item, Share)]
            yield name, f'"{covariate.by}" is no covariate in categories.', nearest(covariate.by, words)
        elif set(covariate.groups) != set(other.shares):
            shares = ", ".join(other.shares)
            why = f'The groups of {name} ({", ".join(covariate.groups)}) are not those of "{covariate.by}" ({shares}).'
            yield name, why, f"Write one entry for each of: {shares}."


def _history(doc: Document, population: Population, known: model_tables.ModelTables, library: Library) -> None:
    for i, phase in enumerate(population.history):
        place = ("history",) if isinstance(doc.data["history"], dict) else ("history", i)
        for input, level in phase.inputs.items():
            if input not in known.inputs:
                why = f'The {known.model} model has no input "{input}".'
                doc.problem((*place, input), why, nearest(input, known.inputs), seen=input)
                continue
            wrong = quantities.factor(level.unit, known.variables[input].get("unit", ""), input)
            if isinstance(wrong, tuple) or wrong != 1.0:
                unit = known.variables[input].get("unit", "") or "1"
                why, cure = wrong if isinstance(wrong, tuple) else (f"{input} is in {unit}.", f'Write "unit: {unit}".')
                doc.problem((*place, input, "unit"), why, cure)
                continue
            low, high = model_tables.input_range(library, input)
            if not low <= level.typical <= high or level.smallest < min(low, 0.0):
                why = f"{input} makes sense from {low:g} to {high:g}; here it is {level.typical:g} (from {level.smallest:.3g})."
                doc.problem((*place, input), why, "Write a level within that range.")
        if phase.lasts.unit not in ("", "h"):
            why = "Times of a history carry their unit themselves."
            doc.problem((*place, "for", "unit"), why, 'Write "mean: 180 d" and leave the field "unit" out.')
        if phase.lasts.smallest < 0 or phase.lasts.typical <= 0:
            doc.problem((*place, "for"), "A history lasts more than zero.", 'Write for example "for: 180 d".')
        elif phase.until is not None and phase.until <= -phase.lasts.largest:
            doc.problem((*place, "until"), "This history would end before it begins.", "Write a later time.")


def _overrides(doc: Document, population: Population, known: model_tables.ModelTables) -> None:
    for id, override in population.parameters.items():
        converted, wrong_unit = _override(override, known, id)
        if wrong_unit:
            doc.problem(("parameters", id, "unit"), *wrong_unit)
            continue
        problem = parameter_problem(known, id, converted.value)
        if problem is None and id in population.covariates:
            problem = covariate_instead(id)
        if problem:
            doc.problem(("parameters", id), *problem, seen=f"{override.value:g}")


def covariate_instead(id: str) -> tuple[str, str]:
    """Why a covariate cannot also be set as a parameter, and the cure."""
    why = f"{id} is a covariate of this population: each person has their own, and this value would be ignored."
    return why, f'Change it under "covariates:", for example "{id}: {{distribution: constant, value: ...}}".'


def _spills(normal: Normal, span: tuple[float, float]) -> bool:
    """Whether more than some 2 % of people would lie beyond one end of the scale."""
    inside = span[0] <= normal.mean <= span[1]
    below = normal.low is None and normal.mean - 2 * normal.sd < span[0]
    return inside and (below or (normal.high is None and normal.mean + 2 * normal.sd > span[1]))


def covariate_problems(
    known: model_tables.ModelTables, name: str, covariate: Covariate, library: Library
) -> Iterator[tuple[Place, str, str]]:
    """Place, reason and cure for everything in a covariate's spread that no person can have."""
    scale = quantities.scale_of(name, library)
    span = model_tables.scale_range(library, scale) if scale else None
    row = known.parameters.get(name)
    parts = (
        [(("groups", word), group) for word, group in covariate.groups.items()]
        if isinstance(covariate, ByGroup)
        else [((), covariate)]
    )
    for place, written in parts:
        part = quantities.in_unit(written, known, name, library)
        if isinstance(part, tuple):
            yield (*place, "unit"), *part
            continue
        if isinstance(part, Share):
            if span is not None or row is not None:
                yield (*place, "distribution"), f"{name} is a number, not a word.", 'Write "distribution: normal".'
            continue
        if isinstance(part, HardyWeinberg):
            continue
        assert isinstance(part, (Constant, Normal, LogNormal))
        beyond = [] if name in GENOTYPES else list(quantities.living(known, name, part))
        yield from (((*place, *at), why, cure) for at, why, cure in beyond)
        if beyond:
            continue
        if name in GENOTYPES and not GENOTYPES[name][0] <= part.smallest <= part.largest <= GENOTYPES[name][1]:
            low, high = GENOTYPES[name]
            field = next(f for f in ("value", "low", "mean", "median") if getattr(part, f, None) is not None)
            yield (*place, field), f"{name} runs from {low:g} to {high:g}.", "Write a value within that range."
        if span is not None and isinstance(part, Normal) and _spills(part, span):
            why = f"{scale} runs from {span[0]:g} to {span[1]:g}; with this SD many people would lie outside."
            yield (*place, "sd"), why, f'Cut it off with "low: {span[0]:g}, high: {span[1]:g}".'
        elif span is not None:
            for field in ("value", "mean", "median", "low", "high"):
                number = getattr(part, field, None)
                if number is not None and not span[0] <= number <= span[1]:
                    why = f"{scale} runs from {span[0]:g} to {span[1]:g}; {number:g} lies outside."
                    yield (*place, field), why, f"Write a score from {span[0]:g} to {span[1]:g}."
        elif row is not None and (known.number(name) or 0) > 0 and (part.typical <= 0 or part.smallest < 0):
            field = next(f for f in ("low", "value", "mean") if getattr(part, f, None) is not None)
            why = f"{name} ({row['unit']}) must be above zero; this spread reaches {part.smallest:.3g}."
            yield (*place, field), why, 'Correct it, or cut it off with "low: ...".'


def parameter_problem(known: model_tables.ModelTables, id: str, value: float) -> tuple[str, str] | None:
    """Why a model cannot take this typical value, and the cure; None where it can."""
    if id not in known.parameters:
        return f'The {known.model} model has no parameter "{id}".', nearest(id, known.parameters)
    low, high = known.number(id, "low"), known.number(id, "high")
    unit = known.parameters[id]["unit"]
    if not math.isfinite(value):
        return None  # noted already: it is no number
    knocked_out = value == 0 and low is not None and low >= 0  # a mechanism that is taken away lies outside any belief
    if low is not None and high is not None and not low <= value <= high and not knocked_out:
        why = f"{value:g} {unit} lies outside the bounds of {id}, {low:g} to {high:g} {unit}."
        return why, f"Write a value from {low:g} to {high:g} (in {unit}){', or 0 for a knock-out' if low > 0 else ''}."
    return None


def _correlations(doc: Document, population: Population, known: model_tables.ModelTables) -> None:
    names = list(dict.fromkeys([*population.covariates, *known.parameters]))
    for i, correlation in enumerate(population.correlations):
        for name in correlation.between:
            if name not in names:
                why = f'"{name}" is neither a covariate of this file nor a parameter of the {known.model} model.'
                doc.problem(("correlations", i, "between"), why, nearest(name, names), seen=name)
            elif _alike(population, known, name):
                why = f"{name} is the same for everybody, so that nothing can go with it."
                cure = "Leave the correlation out, or give it a spread between people."
                doc.problem(("correlations", i, "between"), why, cure, seen=name)
        if correlation.unit not in ("", "1"):
            doc.problem(("correlations", i, "unit"), "A correlation is a pure number.", "Leave the unit out.")
        if correlation.between[0] == correlation.between[1]:
            doc.problem(
                ("correlations", i, "between"), "This correlates a name with itself.", "Name two different ones."
            )
    pairs = [frozenset(correlation.between) for correlation in population.correlations]
    for i, pair in enumerate(pairs):
        if pair in pairs[:i]:
            why = "This pair stands in the list already."
            doc.problem(("correlations", i, "between"), why, "Keep one of the two.", seen=" and ".join(sorted(pair)))
    matrix = correlation_matrix(population.correlations)[1]
    if len(matrix) and np.linalg.eigvalsh(matrix)[0] < 1e-10:
        why = "These correlations contradict each other: their matrix is not positive definite."
        doc.problem(("correlations",), why, "Bring them nearer to zero, or leave one out.", seen="")


def _alike(population: Population, known: model_tables.ModelTables, name: str) -> bool:
    """Whether all people have the same value."""
    dose_1 = population.covariates.get(name)
    if dose_1 is None:
        return not known.number(name, "variability")
    parts = dose_1.groups.values() if isinstance(dose_1, ByGroup) else [dose_1]
    return all(isinstance(part, Constant) for part in parts)


def correlation_matrix(correlations: tuple[Correlation, ...]) -> tuple[list[str], np.ndarray]:
    """Names that are correlated with others, and their correlation matrix."""
    names = list(dict.fromkeys(name for correlation in correlations for name in correlation.between))
    matrix = np.eye(len(names))
    for correlation in correlations:
        i, j = (names.index(name) for name in correlation.between)
        if i != j:
            matrix[i, j] = matrix[j, i] = correlation.r
    return names, matrix

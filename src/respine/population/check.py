"""What a population file means: the names it uses must exist in its model, its correlations must be possible."""

from __future__ import annotations

import numpy as np

from respine import library
from respine.population import read, tables
from respine.population.distributions import ByGroup, Share
from respine.population.schema import Correlation, Population
from respine.population.yaml_file import Document


def meaning(doc: Document, population: Population | None) -> str:
    """Note every problem of meaning; the species of the model, as far as it is known."""
    name = doc.data.get("model")
    if not isinstance(name, str):
        return ""
    if name not in library.names("models"):
        doc.problem(("model",), "There is no such model.", read.nearest(name, library.names("models")))
        return ""
    known = tables.of_model(name)
    if population is not None:
        _covariates(doc, population)
        _history(doc, population, known)
        _overrides(doc, population, known)
        _correlations(doc, population, known)
    return known.species


def _covariates(doc: Document, population: Population) -> None:
    for name, one in population.covariates.items():
        if not isinstance(one, ByGroup):
            continue
        other = population.covariates.get(one.by)
        place = ("covariates", name, "by")
        if not isinstance(other, Share):
            words = [key for key, item in population.covariates.items() if isinstance(item, Share)]
            doc.problem(place, f'"{one.by}" is no covariate in categories.', read.nearest(one.by, words))
        elif set(one.groups) != set(other.shares):
            shares = ", ".join(other.shares)
            doc.problem(
                place, f'The groups are not those of "{one.by}" ({shares}).', f"Write one entry for each of: {shares}."
            )


def _history(doc: Document, population: Population, known: tables.Tables) -> None:
    for i, phase in enumerate(population.history):
        place = ("history",) if isinstance(doc.data["history"], dict) else ("history", i)
        for input in phase.inputs:
            if input not in known.inputs:
                why = f'The {known.model} model has no input "{input}".'
                doc.problem((*place, input), why, read.nearest(input, known.inputs), seen=input)


def _overrides(doc: Document, population: Population, known: tables.Tables) -> None:
    for id, override in population.parameters.items():
        problem = parameter_problem(known, id, override.value)
        if problem:
            doc.problem(("parameters", id), *problem, seen=f"{override.value:g}")


def parameter_problem(known: tables.Tables, id: str, value: float) -> tuple[str, str] | None:
    """Why a model cannot take this typical value, and the cure; None where it can."""
    if id not in known.parameters:
        return f'The {known.model} model has no parameter "{id}".', read.nearest(id, known.parameters)
    low, high = known.number(id, "low"), known.number(id, "high")
    unit = known.parameters[id]["unit"]
    if low is not None and high is not None and not low <= value <= high:
        why = f"{value:g} {unit} lies outside the bounds of {id}, {low:g} to {high:g} {unit}."
        return why, f"Write a value from {low:g} to {high:g} (in {unit})."
    return None


def _correlations(doc: Document, population: Population, known: tables.Tables) -> None:
    names = [*population.covariates, *known.parameters]
    for i, one in enumerate(population.correlations):
        for name in one.between:
            if name not in names:
                why = f'"{name}" is neither a covariate of this file nor a parameter of the {known.model} model.'
                doc.problem(("correlations", i, "between"), why, read.nearest(name, names), seen=name)
        if one.between[0] == one.between[1]:
            doc.problem(
                ("correlations", i, "between"), "This correlates a name with itself.", "Name two different ones."
            )
    matrix = correlation_matrix(population.correlations)[1]
    if len(matrix) and np.linalg.eigvalsh(matrix)[0] < 1e-10:
        why = "These correlations contradict each other: their matrix is not positive definite."
        doc.problem(("correlations",), why, "Bring them nearer to zero, or leave one out.", seen="")


def correlation_matrix(correlations: tuple[Correlation, ...]) -> tuple[list[str], np.ndarray]:
    """Names that are correlated with others, and their correlation matrix."""
    names = list(dict.fromkeys(name for one in correlations for name in one.between))
    matrix = np.eye(len(names))
    for one in correlations:
        i, j = (names.index(name) for name in one.between)
        if i != j:
            matrix[i, j] = matrix[j, i] = one.r
    return names, matrix

"""From a population file to a checked Population."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from respine.files import yaml_file
from respine.files.find import find
from respine.files.form import model_problems, require_schema
from respine.files.yaml_file import Document, Place
from respine.library import BUILT_IN, Library
from respine.population import check, model_tables, quantities
from respine.population.distributions import Covariate
from respine.population.schema import Population


def load(path_or_name: str | Path, library: Library = BUILT_IN) -> Population:
    """Read and check a population file, or one of the library. Raises InputError with all problems of the file."""
    file = find(path_or_name, "populations", "population", library)
    return checked(yaml_file.read(file, "population", form="respine/"), library)


def load_from(data: dict[str, Any], around: Document, library: Library = BUILT_IN) -> Population:
    """A population that stands inside a study, as plain values. Raises InputError with all its problems."""
    doc = Document(around.file, data, lines=_below(around, "population"), texts={}, made=around.made)
    doc.named_from, doc.prefix = around.folder, ("population",)
    return checked(doc, library)


def _below(doc: Document, field: str) -> dict[Place, int]:
    """Lines of what stands below a field, by their place inside it."""
    return {place[1:]: line for place, line in doc.lines.items() if place[:1] == (field,)}


def everybody_alike(model: str) -> Population:
    """People without covariates or history: for an own model that is given no population."""
    return Population(name="everybody-alike", title="people who do not differ", model=model, covariates={})


def with_model(population: Population, model: str) -> Population:
    """The population living in another model."""
    changed = population.model_copy(update={"model": model})
    changed._species = ""
    return changed


def with_covariates(population: Population, covariates: Mapping[str, Covariate], library: Library) -> Population:
    """The population with other covariates over its own, each in the unit of its name."""
    if not covariates:
        return population
    known = model_tables.of_model(library, population.model)
    own = quantities.all_in_units(covariates, known, library)
    return population.model_copy(update={"covariates": {**population.covariates, **own}})


def checked(doc: Document, library: Library) -> Population:
    """The population a document describes. Raises InputError with all its problems."""
    population: Population | None = None
    require_schema(doc, Population)
    try:
        population = Population.model_validate(doc.data)
    except ValidationError as error:
        model_problems(doc, error, Population)
    species, population = check.meaning(doc, population, library)
    doc.check()
    assert population is not None
    model = check.own_model(doc, population.model)
    population = population.model_copy(update={"model": model}) if model != population.model else population
    population._species, population._file, population._text = species, None if doc.made else doc.file, doc.text
    return population

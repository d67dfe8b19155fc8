"""From a population file to a checked Population."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from respine.files import yaml_file
from respine.files.find import find
from respine.files.form import model_problems
from respine.population import check
from respine.population.schema import Population


def load(path_or_name: str | Path) -> Population:
    """Read and check a population file, or one of the library. Raises InputError with all problems of the file."""
    file = find(path_or_name, "populations", "population")
    doc = yaml_file.read(file, "population")
    population: Population | None = None
    try:
        population = Population.model_validate(doc.data)
    except ValidationError as error:
        model_problems(doc, error, Population)
    species = check.meaning(doc, population)
    doc.check()
    assert population is not None
    population._species, population._file, population._text = species, file, doc.text
    return population

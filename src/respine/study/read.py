"""From a study file to a checked Study: form, fields, then meaning; every mistake of the file at once."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from respine.errors import InputError, Problem
from respine.files import yaml_file
from respine.files.find import find
from respine.files.form import model_problems
from respine.study import check
from respine.study.schema import MOST_SUBJECTS, Study


def load(path_or_name: str | Path) -> Study:
    """Read and check a study file, or a study of the library. Raises InputError with all problems of the file."""
    file = find(path_or_name, "studies", "study")
    doc = yaml_file.read(file, "study")
    study: Study | None = None
    try:
        study = Study.model_validate(doc.data)
    except ValidationError as error:
        model_problems(doc, error, Study)
    population = check.meaning(doc)
    doc.check()
    assert study is not None and population is not None
    study._file, study._text = file, doc.text
    study._people = population.model_copy(update={"covariates": {**population.covariates, **study.covariates}})
    return study


def require_result(study: Study) -> None:
    """Raise InputError for a study that looks at nothing: it can be read, not run."""
    if not (study.observe or study.record):
        why = "The study observes no scale and records no output: it has no result."
        where = f"{study.file}:1" if study.file else study.name
        raise InputError(Problem(where, "observe", "", why, 'Add "observe: [MADRS]" or "record: [...]".'))


def change(study: Study, *, subjects: int | None = None, seed: int | None = None) -> Study:
    """The study with another number of subjects per arm or another seed, checked. Raises InputError."""
    update = {name: value for name, value in (("subjects", subjects), ("seed", seed)) if value is not None}
    if not update:
        return study
    changed = study.model_copy(update=update)
    problems = []
    for name, value in update.items():
        low, high = (1, MOST_SUBJECTS) if name == "subjects" else (0, 2**63 - 1)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            why = f"{name} must be a whole number from {low} to {high}."
            problems.append(Problem("command line", f"--{name}", str(value), why, "Give another number."))
    if problems:
        raise InputError(*problems)
    return changed

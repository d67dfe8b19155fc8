"""From a study file to a checked Study: form, fields, then meaning; every mistake of the file at once."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from respine.errors import InputError, Problem
from respine.files import yaml_file
from respine.files.find import find
from respine.files.form import model_problems, require_schema
from respine.files.yaml_file import Document
from respine.library import BUILT_IN, KINDS, ROOT, Library
from respine.population import Population
from respine.study import check
from respine.study.schema import Origin, Study

OWN_KINDS = ("drugs", "exposures", "scales")
"""Kinds of library files that may stand beside a study, in folders of these names."""


def load(path_or_name: str | Path, library: Library = BUILT_IN) -> Study:
    """Read and check a study file, or a study of the library. Raises InputError with all problems of the file.

    Files in ``drugs/``, ``exposures/`` and ``scales/`` beside the study stand over those of ``library``.
    """
    file = find(path_or_name, "studies", "study", library)
    return checked(yaml_file.read(file, "study"), own_library(library, file.parent))


def parse(text: str, library: Library = BUILT_IN, name: str = "study text") -> Study:
    """A checked study from YAML text; other files are named from the working folder. Raises InputError."""
    return checked(yaml_file.read_text(text, "study", Path(name)), library)


def checked(doc: Document, library: Library) -> Study:
    """The study a document describes, its meaning checked. Raises InputError with all its problems."""
    study: Study | None = None
    require_schema(doc, Study)
    try:
        study = Study.model_validate(doc.data)
    except ValidationError as error:
        model_problems(doc, error, Study)
    check.meaning(doc, library)
    doc.check()
    assert study is not None
    study._origin = Origin(str(doc.file), doc.file, doc.text, doc.folder)
    study._library, study._checked = library, True
    return study


def check_study(study: Study, library: Library | None = None) -> None:
    """Raise InputError with every problem of meaning of a study that was made or changed in Python."""
    library = library or study.library
    if study._checked and library is study.library:
        return
    doc = values_of(study)
    check.meaning(doc, library)
    doc.check()
    study._checked = library is study.library


def population_of(study: Study, library: Library | None = None) -> Population:
    """The population of a study, in the study's own model where it has one, without the study's own covariates.

    Raises InputError where it cannot be found or read.
    """
    doc = values_of(study)
    population = check.population_of(doc, library or study.library)
    doc.check()
    assert population is not None
    return population


def document(study: Study) -> Document:
    """The study as a document: its values, and where errors say they stand."""
    origin = study.origin
    if origin.text and origin.file is not None:
        return yaml_file.read_text(origin.text, "study", origin.file)
    return values_of(study)


def values_of(study: Study) -> Document:
    """The study's values as a document, without the lines of a file."""
    doc = Document(Path(study.origin.where), study.to_dict(), made=True)
    doc.named_from = study.origin.folder
    return doc


def own_library(library: Library, folder: Path) -> Library:
    """The library with the drug, exposure and scale files of a folder over its own."""
    own = [kind for kind in OWN_KINDS if any((folder / kind).glob(f"*{KINDS[kind]}"))]
    return library.overlay(folder) if own and folder.resolve() not in (ROOT, *library.roots) else library


def require_result(study: Study) -> None:
    """Raise InputError for a study that looks at nothing: it can be read, not run."""
    if not (study.observe or study.record):
        why = "The study observes no scale and records no output: it has no result."
        where = f"{study.file}:1" if study.file else study.origin.where
        raise InputError(Problem(where, "observe", "", why, 'Add "observe: [MADRS]" or "record: [...]".'))

"""Hierarchical models (the package comp): submodels are put in their places, and what is left is core SBML."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import libsbml

from respine.errors import InputError, Problem

if TYPE_CHECKING:
    from respine.model.sbml_document import Document


def flatten(document: Document, folder: Path | None) -> None:
    """Replace a document by its flat form. Raises InputError with what cannot be put together."""
    sbml = document.sbml
    _refuse_files(document, folder)
    options = libsbml.ConversionProperties()
    options.addOption("flatten comp", True)
    options.addOption("leavePorts", False)
    options.addOption("abortIfUnflattenable", "requiredOnly")
    options.addOption("stripUnflattenablePackages", True)
    options.addOption("performValidation", False)  # the flat model is checked as any other
    options.addOption("basePath", str(folder) if folder else ".")
    sbml.getErrorLog().clearLog()  # faults have been raised; libSBML converts nothing after a mere warning
    if sbml.convert(options) != libsbml.LIBSBML_OPERATION_SUCCESS:
        faults = []
        for k in range(sbml.getNumErrors()):
            error = sbml.getError(k)
            if error.getSeverity() >= libsbml.LIBSBML_SEV_ERROR:
                why = " ".join(error.getMessage().split()) or error.getShortMessage()
                where = document.where(error.getLine())
                cure = f"See rule {error.getErrorId()} of the SBML specification."
                faults.append(Problem(where, "package comp", error.getShortMessage(), why, cure))
        why = "libSBML cannot put its submodels together, and says no more."
        general = Problem(document.name, "package comp", "", why, "Flatten the model with the tool that wrote it.")
        raise InputError(*(faults or [general]))
    # positions of the nested document no longer hold: elements were copied and renamed
    document.line = lambda line: 0
    document.notes.append("submodels (package comp) are put in their places; their symbols are called SUBMODEL__ID")


def _refuse_files(document: Document, folder: Path | None) -> None:
    """Definitions in other files are read from the document's own folder only."""
    plugin = document.sbml.getPlugin("comp")
    problems = []
    for definition in plugin.getListOfExternalModelDefinitions():
        source = definition.getSource()
        where = (folder / source).resolve() if folder else None
        if where is None or folder is None or not where.is_relative_to(folder.resolve()) or not where.is_file():
            why = "the definition lies in a file that is not in the folder of this document."
            cure = "Put the file beside it, or flatten the model first."
            problems.append(document.problem(definition, source, why, cure))
    if problems:
        raise InputError(*problems)

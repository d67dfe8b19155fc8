"""Open an SBML document and refuse, by name and line, what respine cannot compute faithfully."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import libsbml

from respine.errors import InputError, Problem

# a declaration that names no encoding is UTF-8 by the XML standard, and one that is absent is 1.0
_PEDANTIC = frozenset({libsbml.MissingXMLDecl, libsbml.MissingXMLEncoding})
# faults that change no number: units, notes, annotations, modifiers that a reaction does not list, what is written first
_BESIDE_THE_MATHS = frozenset({
    libsbml.InvalidUnitIdSyntax, libsbml.DanglingUnitReference, libsbml.InvalidUnitsValue, libsbml.EmptyListOfUnits,
    libsbml.InvalidUnitKind, libsbml.L3TimeUnitsOnModel, libsbml.L3VolumeUnitsOnModel, libsbml.L3AreaUnitsOnModel,
    libsbml.L3LengthUnitsOnModel, libsbml.L3ExtentUnitsOnModel, libsbml.L3V2SubstanceUnitsOnModel,
    libsbml.Invalid1DCompartmentUnits, libsbml.Invalid2DCompartmentUnits, libsbml.Invalid3DCompartmentUnits,
    libsbml.InvalidSpeciesSusbstanceUnits, libsbml.SubstanceUnitsOnSpecies, libsbml.InvalidParameterUnits,
    libsbml.DuplicateMetaId, libsbml.InvalidMetaidSyntax, libsbml.InvalidSBOTermSyntax,
    libsbml.MissingAnnotationNamespace, libsbml.DuplicateAnnotationNamespaces, libsbml.SBMLNamespaceInAnnotation,
    libsbml.MultipleAnnotations, libsbml.NotesNotInXHTMLNamespace, libsbml.NotesContainsXMLDecl,
    libsbml.NotesContainsDOCTYPE, libsbml.InvalidNotesContent, libsbml.OnlyOneNotesElementAllowed,
    libsbml.UndeclaredSpeciesRef, libsbml.UndeclaredSpeciesInStoichMath, libsbml.InvalidRuleOrdering,
    libsbml.InvalidApplyCiInLambda,
})  # fmt: skip
_HARMLESS = frozenset(
    {"layout", "render", "groups", "l3v2extendedmath"}
)  # pictures, names, and maths that L3V2 has anyway


@dataclass
class Document:
    """An open document; it must outlive every libSBML object taken from it, or the interpreter dies."""

    sbml: Any
    name: str

    @property
    def model(self) -> Any:
        return self.sbml.getModel()

    def problem(self, element: Any, seen: str, why: str, cure: str) -> Problem:
        """A Problem at an element of this document."""
        name = element.getId() if element.isSetId() else ""
        return Problem(
            f"{self.name}:{element.getLine()}", f"<{element.getElementName()}> {name}".strip(), seen, why, cure
        )


def open_document(path_or_text: str | Path) -> Document:
    """Read SBML of any level from a file or a string. Raises InputError with every fault and unsupported construct."""
    text = str(path_or_text)
    if isinstance(path_or_text, str) and text.lstrip("\ufeff \t\r\n").startswith("<"):
        document = Document(libsbml.readSBMLFromString(text.lstrip("\ufeff \t\r\n")), "SBML text")
    elif Path(text).is_file():
        document = Document(libsbml.readSBMLFromFile(text), text)
    else:
        cure = "Give the path of an .xml file, or the SBML text itself."
        raise InputError(Problem(text[:80], "file", "", "there is no such file.", cure))
    _raise_faults(document)
    if document.model is None:
        raise InputError(Problem(document.name, "<sbml>", "", "the document holds no model.", "Add a <model> element."))
    refused = [*_packages(document), *_constructs(document)]
    if refused:
        raise InputError(*refused)
    _check(document)
    return document


def _raise_faults(document: Document) -> None:
    faults = []
    for k in range(document.sbml.getNumErrors()):
        error = document.sbml.getError(k)
        if error.getSeverity() >= libsbml.LIBSBML_SEV_ERROR and error.getErrorId() not in _PEDANTIC | _BESIDE_THE_MATHS:
            why = " ".join(error.getMessage().split()) or error.getShortMessage()
            where = f"{document.name}:{error.getLine()}"
            faults.append(
                Problem(
                    where,
                    "SBML",
                    error.getShortMessage(),
                    why,
                    f"See rule {error.getErrorId()} of the SBML specification.",
                )
            )
    if faults:
        raise InputError(*faults)


def _check(document: Document) -> None:
    """The consistency rules of the specification that bear on the mathematics; units and style are not the reader's."""
    for category in (
        libsbml.LIBSBML_CAT_UNITS_CONSISTENCY,
        libsbml.LIBSBML_CAT_MODELING_PRACTICE,
        libsbml.LIBSBML_CAT_SBO_CONSISTENCY,
    ):
        document.sbml.setConsistencyChecks(category, False)
    document.sbml.checkConsistency()
    _raise_faults(document)


def _packages(document: Document) -> list[Problem]:
    sbml = document.sbml
    why = "this SBML package changes what the model means, and respine does not read it."
    cure = "Flatten or convert the model to core SBML first."
    found = []
    for k in range(sbml.getNumPlugins()):
        package = sbml.getPlugin(k).getPackageName()
        if package == "fbc" or (package not in _HARMLESS and sbml.getPackageRequired(package)):
            found.append(document.problem(sbml, f"package {package}", why, cure))
    for k in range(sbml.getNumUnknownPackages()):
        prefix = sbml.getUnknownPackagePrefix(k)
        if prefix not in _HARMLESS and sbml.getPackageRequired(prefix):
            found.append(document.problem(sbml, f"package {prefix}", why, cure))
    return found


def _constructs(document: Document) -> list[Problem]:
    model = document.model
    found = []
    for rule in model.getListOfRules():
        if rule.isAlgebraic() and rule.isSetMath():
            why = "an algebraic rule makes a differential-algebraic system; respine solves ordinary ones."
            cure = "Solve the rule for one variable and write it as an assignment rule."
            found.append(document.problem(rule, libsbml.formulaToL3String(rule.getMath()), why, cure))
    for reaction in model.getListOfReactions():
        if reaction.isSetFast() and reaction.getFast():
            why = "a fast reaction stands for an equilibrium, which needs a differential-algebraic system."
            cure = 'Write its rates out and set fast="false".'
            found.append(document.problem(reaction, 'fast="true"', why, cure))
    return found

"""Open an SBML document and refuse, by name and line, what respine cannot compute faithfully."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import libsbml

from respine.errors import InputError, Problem
from respine.model.limits import Limits
from respine.model.scan import Outline, scan
from respine.model.source import declared_as_utf8

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
_CORE = frozenset({"core", "l3v2extendedmath"})  # maths that L3V2 has anyway
_CATEGORIES = tuple(getattr(libsbml, name) for name in dir(libsbml) if name.startswith("LIBSBML_CAT_"))
# chains of functions, and numbers of rules and starts, up to which libSBML looks for circles in no time
_CALLS, _ASSIGNED = 8, 60
_PICTURES = frozenset(
    {"layout", "render", "groups"}
)  # of no bearing on the mathematics, whatever they say of themselves


@dataclass
class Document:
    """An open document; it must outlive every libSBML object taken from it, or the interpreter dies.

    ``line`` translates a line of the document to one of what the user wrote (0: unknown); ``notes`` say what is in it
    and not read.
    """

    sbml: Any
    name: str
    line: Callable[[int], int] = int
    notes: list[str] = field(default_factory=list)

    @property
    def model(self) -> Any:
        return self.sbml.getModel()

    def where(self, line: int) -> str:
        """``file:line``, or the file alone where the line is unknown."""
        line = self.line(line)
        return f"{self.name}:{line}" if line else self.name

    def problem(self, element: Any, seen: str, why: str, cure: str) -> Problem:
        """A Problem at an element of this document."""
        name = element.getId() if element.isSetId() else ""
        where = self.where(element.getLine())
        return Problem(where, f"<{element.getElementName()}> {name}".strip(), seen, why, cure)


def open_document(
    data: bytes, name: str, limits: Limits, folder: Path | None = None, line: Callable[[int], int] = int
) -> Document:
    """Read SBML of any level. Raises InputError with every fault and unsupported construct.

    ``folder``: where the files of external model definitions may lie.
    """
    outline = scan(data, name, limits)
    text = _without_packages_of_level_3(data, outline).decode(_encoding(data))
    document = Document(libsbml.readSBMLFromString(declared_as_utf8(text)), name, line)
    ignored = _ignored_packages(document)
    _raise_faults(document, ignored)
    if document.model is None:
        raise InputError(Problem(name, "<sbml>", "", "the document holds no model.", "Add a <model> element."))
    if document.sbml.getLevel() > 2 and document.sbml.getPlugin("comp") is not None:
        from respine.model.sbml_comp import flatten

        flatten(document, folder)
    refused = [*_packages(document), *_constructs(document)]
    if refused:
        raise InputError(*refused)
    _check(document, ignored)
    document.notes += [*_not_read(document, ignored), *(f"{element}, line {at}, is not SBML and is not read"
                       for element, at in outline.foreign.items())]  # fmt: skip
    return document


def _encoding(data: bytes) -> str:
    """The encoding of a document that has been scanned."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    match = re.match(rb"""(?:\xef\xbb\xbf)?<\?xml[^>]*?encoding\s*=\s*["']([\w.-]+)["']""", data)
    name = match[1].decode().lower() if match else "utf-8"
    return "utf-8-sig" if name in ("utf-8", "utf8") else name


def _without_packages_of_level_3(data: bytes, outline: Outline) -> bytes:
    """Level 1 and 2 know no packages, and libSBML refuses ``layout:required="false"`` there; it says nothing anyway."""
    if outline.level > 2:
        return data
    root = re.search(rb"<(?:\w+:)?sbml\b[^>]*>", data)
    if root is None:
        return data
    plain = re.sub(rb"""\s\w+:required\s*=\s*(["'])false\1""", lambda m: b"\n" * m[0].count(b"\n") + b" ", root[0])
    return data[: root.start()] + plain + data[root.end() :]


def _raise_faults(document: Document, ignored: Iterable[str]) -> None:
    faults = []
    for k in range(document.sbml.getNumErrors()):
        error = document.sbml.getError(k)
        if error.getSeverity() < libsbml.LIBSBML_SEV_ERROR or error.getPackage() in ignored:
            continue
        if error.getErrorId() in _PEDANTIC | _BESIDE_THE_MATHS:
            continue
        why = " ".join(error.getMessage().split()) or error.getShortMessage()
        cure = f"See rule {error.getErrorId()} of the SBML specification."
        faults.append(Problem(document.where(error.getLine()), "SBML", error.getShortMessage(), why, cure))
    if faults:
        raise InputError(*faults)


def _check(document: Document, ignored: Iterable[str]) -> None:
    """The consistency rules of the specification that bear on the mathematics; units and style are not the reader's."""
    general = libsbml.LIBSBML_CAT_GENERAL_CONSISTENCY
    others = (
        libsbml.LIBSBML_CAT_IDENTIFIER_CONSISTENCY,
        libsbml.LIBSBML_CAT_MATHML_CONSISTENCY,
        libsbml.LIBSBML_CAT_OVERDETERMINED_MODEL,
    )
    chained = _nested_calls(document) > _CALLS or _assigned(document.model) > _ASSIGNED
    rounds: list[tuple[Any, tuple[Any, ...]]] = [(document.sbml, (general, *others))]
    if chained:
        rounds = [(document.sbml, others), (_without_chains(document), (general,))]
    for sbml, wanted in rounds:
        sbml.getErrorLog().clearLog()  # libSBML checks no further where reading found a fault, be it one of style
        for category in _CATEGORIES:
            sbml.setConsistencyChecks(category, category in wanted)
        sbml.checkConsistency()
        _raise_faults(Document(sbml, document.name, document.line), ignored)


def _assigned(model: Any) -> int:
    return int(model.getNumRules() + model.getNumInitialAssignments())


def _nested_calls(document: Document) -> int:
    """How many functions call each other in the longest chain, up to the number that matters."""
    functions = {f.getId(): set(called(f.getBody())) for f in document.model.getListOfFunctionDefinitions()
                 if f.getBody() is not None}  # fmt: skip
    depth, now = 0, set(functions)
    while now and depth <= _CALLS:
        now = {name for name in functions if functions[name] & now}
        depth += 1
    return depth


def _without_chains(document: Document) -> Any:
    """A copy in which functions call no others and rules and starts use no others.

    libSBML looks for circles in a time that grows with the fourth power of a chain; the reader looks for its own.
    """
    copy = document.sbml.clone()
    model = copy.getModel()
    for f in model.getListOfFunctionDefinitions():
        if f.getBody() is not None and next(called(f.getBody()), None) is not None:
            arguments = [f.getArgument(k).getName() for k in range(f.getNumArguments())]
            f.setMath(libsbml.parseL3Formula(f"lambda({', '.join([*arguments, ' + '.join(arguments) or '0'])})"))
    for element in (*model.getListOfRules(), *model.getListOfInitialAssignments()):
        if element.isSetMath() and element.getTypeCode() != libsbml.SBML_RATE_RULE:
            element.setMath(libsbml.parseL3Formula("1"))
    return copy


def called(node: Any) -> Iterator[str]:
    """The functions a formula calls."""
    stack = [node]
    while stack:
        node = stack.pop()
        if node.isFunction() and node.getName():
            yield node.getName()
        stack += [node.getChild(k) for k in range(node.getNumChildren())]


# -- packages ----------------------------------------------------------------------------------------------------------


def _package_names(document: Document) -> list[str]:
    sbml = document.sbml
    known = [sbml.getPlugin(k).getPackageName() for k in range(sbml.getNumPlugins())]
    unknown = [sbml.getUnknownPackagePrefix(k) for k in range(sbml.getNumUnknownPackages())]
    return [name for name in (*known, *unknown) if name not in _CORE]


def _ignored_packages(document: Document) -> list[str]:
    """Packages that say of themselves that the mathematics is whole without them, and pictures."""
    required = document.sbml.getPackageRequired
    if document.sbml.getLevel() < 3:  # there are no packages before Level 3
        return _package_names(document)
    return [name for name in _package_names(document) if name in _PICTURES or not required(name)]


def _packages(document: Document) -> list[Problem]:
    why = "this SBML package changes what the model means, and respine does not read it."
    cure = "Flatten or convert the model to core SBML first."
    ignored = _ignored_packages(document)
    names = [name for name in _package_names(document) if name not in ignored]
    return [document.problem(document.sbml, f"package {name}", why, cure) for name in names]


def _not_read(document: Document, ignored: Iterable[str]) -> list[str]:
    """What the document holds and the reader leaves aside, in words."""
    level = document.sbml.getLevel()
    notes = [f'the package {name} is not read; the file says required="false": the equations are whole without it'
             if name not in _PICTURES else f"the package {name} (pictures, names) is not read"
             for name in ignored if level > 2]  # fmt: skip
    constraints = document.model.getNumConstraints()
    if constraints:
        lines = ", ".join(str(document.line(c.getLine())) for c in document.model.getListOfConstraints())
        count = "1 constraint is" if constraints == 1 else f"{constraints} constraints are"
        notes.append(f"{count} not watched while the model is solved (line {lines})")
    return notes


# -- constructs --------------------------------------------------------------------------------------------------------


def _constructs(document: Document) -> list[Problem]:
    model = document.model
    problems = []
    for rule in model.getListOfRules():
        if rule.isAlgebraic() and rule.isSetMath():
            why = "an algebraic rule makes a differential-algebraic system; respine solves ordinary ones."
            cure = "Solve the rule for one variable and write it as an assignment rule."
            problems.append(document.problem(rule, libsbml.formulaToL3String(rule.getMath())[:200], why, cure))
    for reaction in model.getListOfReactions():
        if reaction.isSetFast() and reaction.getFast():
            why = "a fast reaction stands for an equilibrium, which needs a differential-algebraic system."
            cure = 'Write its rates out and set fast="false".'
            problems.append(document.problem(reaction, 'fast="true"', why, cure))
    for event in model.getListOfEvents():
        if event.isSetTimeUnits() and event.getTimeUnits() not in ("time", "second"):
            why = "the event counts its delay in a time unit of its own."
            cure = "Give the delay in the time unit of the model, and remove timeUnits."
            problems.append(document.problem(event, f'timeUnits="{event.getTimeUnits()}"', why, cure))
    return problems

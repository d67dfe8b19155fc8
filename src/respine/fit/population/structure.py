"""The structural model of a problem: Antimony text, a file or a library name -> a checked ``System``.

Parameters that the problem gives a value to (``individual``) may be left without one in the model; a state without a
start value starts at 0.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from respine.errors import InputError, Problem
from respine.fit.population import advan
from respine.model.antimony_text import complaint
from respine.model.system import System

ANTIMONY = (".ant", ".txt", ".antimony")
SBML = (".xml", ".sbml")


def load(model: str, beside: Path, given: Collection[str]) -> System:
    """The system of a text, file (beside a folder) or library name; ``given`` need no value in it. Raises
    InputError.
    """
    try:
        named = advan.named(model)
    except ValueError as error:
        raise InputError(Problem("model", "model", model, f"{error}.", "See docs/fitting.md, model.")) from None
    if named is not None:
        return _from_antimony(named, "model", given)
    if "\n" in model or "'" in model:
        return _from_antimony(model, "model", given)
    path = Path(model).expanduser()
    path = path if path.is_absolute() else beside / path
    if path.suffix.lower() in ANTIMONY and path.is_file():
        return _from_antimony(path.read_text(encoding="utf-8"), str(path), given)
    if path.suffix.lower() in SBML and path.is_file():
        return _from_sbml(path.read_text(encoding="utf-8"), given)
    if path.suffix:
        why = "There is no such model file." if not path.is_file() else "The ending says nothing about what it holds."
        cure = "Name a file of Antimony (.ant) or SBML (.xml), a library model, or write the Antimony text itself."
        raise InputError(Problem(str(path), "model", model, why, cure))
    from respine.model import load as from_library

    return from_library(model)


def _from_antimony(text: str, name: str, given: Collection[str]) -> System:
    import antimony

    antimony.clearPreviousLoads()
    antimony.freeAll()
    if antimony.loadAntimonyString(text) < 0:
        why = " ".join(complaint().split()) or "Antimony gives no reason."
        cure = "Correct the text; see https://tellurium.readthedocs.io/en/latest/antimony.html."
        raise InputError(Problem(name, "model", "", why, cure))
    return _from_sbml(str(antimony.getSBMLString(antimony.getMainModuleName())), given)


def _from_sbml(text: str, given: Collection[str]) -> System:
    from respine.model import load_sbml

    return load_sbml(_with_values(text, given))


def _with_values(text: str, given: Collection[str]) -> str:
    """The document with a number for each of ``given``, and with 0 as the start of states that have none."""
    import libsbml

    document: Any = libsbml.readSBMLFromString(text)
    model: Any = document.getModel()
    if model is None:
        return text
    ruled = {model.getRule(k).getVariable() for k in range(model.getNumRules()) if model.getRule(k).isAssignment()}
    moving = {model.getRule(k).getVariable() for k in range(model.getNumRules()) if model.getRule(k).isRate()}
    started = {model.getInitialAssignment(k).getSymbol() for k in range(model.getNumInitialAssignments())}
    for k in range(model.getNumParameters()):
        parameter = model.getParameter(k)
        name = parameter.getId()
        if parameter.isSetValue() or name in ruled or name in started:
            continue
        if name in moving:
            parameter.setValue(0.0)
        elif name in given:
            parameter.setValue(1.0)
    return str(libsbml.writeSBMLToString(document))

"""One way in for every model: a name of the library, a file, or text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from respine.errors import InputError, Problem
from respine.library import Library
from respine.model.content import Content
from respine.model.limits import Limits
from respine.model.source import SUFFIXES, Source, from_file, from_text, is_text
from respine.model.system import System


def load(given: str | Path, library: Library, values: Mapping[str, float] | None, limits: Limits) -> System:
    """See ``respine.model.load``."""
    if isinstance(given, str) and not is_text(given) and given in library.names("models"):
        if values:
            why = "every number of a library model stands in its tables."
            raise InputError(Problem(given, "values", ", ".join(values), why, "Set parameters where it is solved."))
        from respine.model.assemble import load as assembled

        return assembled(given, library)
    return _system(_source(given, library, limits), values, limits)


def load_sbml(given: str | Path, values: Mapping[str, float] | None, limits: Limits) -> System:
    """See ``respine.model.load_sbml``."""
    text = isinstance(given, str) and given.lstrip("\ufeff \t\r\n").startswith("<")
    source = from_text(str(given), limits) if text else from_file(Path(given), limits)
    return _system(replace(source, language="SBML"), values, limits)


def _system(source: Source, values: Mapping[str, float] | None, limits: Limits) -> System:
    from respine.model import reader

    reader.start()  # it imports libSBML while numpy is imported here
    from respine.model.read_sbml import system_of

    content = reader.read(source, limits)
    _fill(content, values or {})
    return system_of(content, limits)


def _source(given: str | Path, library: Library, limits: Limits) -> Source:
    """The document meant. Raises InputError."""
    if not isinstance(given, (str, Path)):
        why = f"a model is a name, a file or a text, not {type(given).__name__}."
        raise InputError(Problem("load", "source", "", why, 'Write load("human"), load("my.ant") or load(text).'))
    if is_text(given):
        return from_text(str(given), limits)
    path = Path(given)
    if isinstance(given, Path) or path.suffix.lower() in SUFFIXES or _exists(path):
        return from_file(path, limits)
    if "=" in given or "->" in given:  # a statement or two on one line
        return from_text(given, limits)
    names = library.names("models")
    near = get_close_matches(given, names, 1)
    why = "there is neither a library model nor a file of this name."
    cure = f'Write "{near[0]}". ' if near else ""
    cure += f"Library models are {', '.join(names)}; a file is SBML (.xml) or Antimony (.ant)."
    raise InputError(Problem("load", "source", given[:80], why, cure))


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _fill(content: Content, values: Mapping[str, float]) -> None:
    """Numbers from the caller for symbols the file leaves without one. Raises InputError."""
    problems = []
    for name, value in values.items():
        v = content.variables.get(name)
        if v is None:
            near = get_close_matches(name, content.variables, 1)
            cure = f"Did you mean {near[0]}?" if near else "Name a compartment, species or parameter of the file."
            problems.append(Problem(content.name, "values", name, "the model has no such symbol.", cure))
        elif v.given or name in content.starts or name in content.rules:
            why = "the file gives it a value already."
            problems.append(Problem(content.at(v.line), "values", name, why, "Change it where the model is solved."))
        elif not isinstance(value, (int, float)) or isinstance(value, bool) or not abs(value) < float("inf"):
            problems.append(Problem(content.name, "values", f"{name}={value}", "this is no number.", "Write a number."))
        else:
            content.variables[name] = replace(v, value=float(value), given=True)
    if problems:
        raise InputError(*problems)

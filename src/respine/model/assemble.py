"""A library model -> one checked system: fragments and tables joined, read by Antimony and libSBML, units proved."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from respine.errors import InputError, Problem
from respine.files.suggest import nearest
from respine.library import Library
from respine.model.antimony_text import complaint
from respine.model.expression import num, symbols
from respine.model.fragments import Statement, statements
from respine.model.order import in_order
from respine.model.system import Quantity, System
from respine.model.tables import Tables

_KEYS = {"title", "species", "modules", "parameters", "note"}
_READ_BY = ("drugs", "exposures", "scales", "populations", "studies")  # these files may name a parameter, too


@dataclass
class Parts:
    """What a library model is made of."""

    name: str
    library: Library
    statements: list[Statement]
    tables: Tables
    problems: list[Problem]


def load(name: str, library: Library) -> System:
    """A library model as a checked system, cached until anything it is made of changes. Raises InputError."""
    from respine.model import cache

    library.path("models", name)  # an unknown name is told before anything else
    key = cache.key_of(name, library)
    kept = cache.read(key)
    if kept is None:
        kept = assemble(name, library)
        cache.write(key, kept)
    return kept


def assemble(name: str, library: Library) -> System:
    """Build and check a library model. Raises InputError with all problems of its modules and tables at once."""
    parts = _parts(name, library)
    parts.problems += [*_names(parts), *_starts(parts), *_circles(parts)]
    lines = _antimony(parts)
    sbml = _to_sbml(parts, lines)  # also names the formulas Antimony cannot read
    if parts.problems:
        raise InputError(*sorted(set(parts.problems), key=_place))
    system = _told(_read(sbml, parts.name), parts)
    faults = [*_unit_problems(system, parts), *_start_faults(system, parts)]
    if faults:
        raise InputError(*sorted(faults, key=_place))
    _prove(system, parts)
    return system


def _read(sbml: str, name: str) -> System:
    """The equations of SBML that Antimony made from fragments of ours: read here, without a process of its own."""
    from respine.model.limits import LIMITS
    from respine.model.read_sbml import system_of
    from respine.model.sbml_content import read_content
    from respine.model.sbml_document import open_document

    return system_of(read_content(open_document(sbml.encode(), name, LIMITS)))


def _place(problem: Problem) -> tuple[str, int]:
    file, _, line = problem.where.rpartition(":")
    return (file, int(line)) if line.isdigit() else (problem.where, 0)


# -- reading ---------------------------------------------------------------------------------------------------------


def _parts(name: str, library: Library) -> Parts:
    problems: list[Problem] = []
    modules, tables = _members(name, library)
    written: list[Statement] = []
    for module in modules:
        try:
            written += statements(module, library, problems)
        except InputError as fault:
            problems += fault.problems
    read = Tables(modules, tables, library)
    return Parts(name, library, written, read, problems + read.problems)


def _members(name: str, library: Library) -> tuple[list[str], list[str]]:
    """Modules and parameter tables of a model file. Raises InputError."""
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedMap
    from ruamel.yaml.error import MarkedYAMLError

    where = library.label("models", name)
    try:
        data: Any = YAML(typ="rt").load(library.text("models", name))
    except MarkedYAMLError as fault:
        line = fault.problem_mark.line + 1 if fault.problem_mark else 1
        raise InputError(Problem(f"{where}:{line}", "YAML", "", f"{fault.problem}.", "Correct the YAML.")) from None
    if not isinstance(data, CommentedMap):
        cure = "Write title, species, modules and parameters."
        raise InputError(Problem(f"{where}:1", "model", "", "the file is not a mapping.", cure))
    problems = []
    for key in data:
        if key not in _KEYS:
            line = data.lc.key(key)[0] + 1
            cure = f"Fields are {', '.join(sorted(_KEYS))}."
            problems.append(Problem(f"{where}:{line}", str(key), "", "a model has no such field.", cure))
    lists = []
    for key in ("modules", "parameters"):
        value = data.get(key)
        line = data.lc.key(key)[0] + 1 if key in data else 1
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value) or not value:
            why, cure = "this must be a list of names.", f"Write {key}: [name, name]."
            problems.append(Problem(f"{where}:{line}", key, str(value or ""), why, cure))
            value = []
        twice = dict.fromkeys(i for i in value if value.count(i) > 1)
        problems += [Problem(f"{where}:{line}", key, i, "the name is listed twice.", "List it once.") for i in twice]
        lists.append([str(item) for item in value])
    if problems:
        raise InputError(*problems)
    return lists[0], lists[1]


# -- do names, rows and equations fit together? ----------------------------------------------------------------------


def _names(parts: Parts) -> Iterable[Problem]:
    variables, parameters = parts.tables.variables, parts.tables.parameters
    defined: dict[str, Statement] = {}
    used: dict[str, Statement] = {}
    for s in parts.statements:
        for symbol in s.symbols():
            used.setdefault(symbol, s)
        if s.name in defined:
            why = f"{defined[s.name].where} already defines it."
            yield Problem(s.where, s.name, s.text[:70], why, "Names are written once; remove or rename one of the two.")
        else:
            defined[s.name] = s
            yield from _row_of(s, parts)
    for symbol, s in used.items():
        if symbol not in variables and symbol not in parameters and symbol not in defined:
            near = get_close_matches(symbol, [*variables, *parameters], 1)
            why = "the symbol is defined nowhere: no equation, no row in a variables or parameters table."
            row = f"add a row to library/parameters/{s.module}.csv"
            cure = f"Write {near[0]}, or {row}." if near else f"{row[0].upper()}{row[1:]}."
            yield Problem(s.where, s.name, symbol, why, cure)
    for q in variables.values():
        if q.role in ("state", "rule") and q.id not in defined:
            sign = f"{q.id}' = ...;" if q.role == "state" else f"{q.id} := ...;"
            why = "no module of the model has an equation for it."
            yield Problem(f"{q.file}:{q.line}", q.id, q.role, why, f"Add {sign} or remove the row.")
        if q.role == "input" and q.id not in used:
            why = "no equation uses this input."
            yield Problem(f"{q.file}:{q.line}", q.id, "input", why, "Use it, or remove the row.")
    yield from _unused(parts, set(used))


def _row_of(s: Statement, parts: Parts) -> Iterable[Problem]:
    row = parts.tables.variables.get(s.name)
    role = "state" if s.rate else "rule"
    if row is None:
        taken = parts.tables.parameters.get(s.name)
        where = f"; {taken.file}:{taken.line} lists it as a parameter" if taken else ""
        table = f"library/variables/{s.module}.csv"
        cure = f"Add a row with role {role}, unit and label to {table}."
        yield Problem(s.where, s.name, "", f"{table} has no row for it{where}.", cure)
    elif row.role != role:
        why = f"{row.file}:{row.line} calls it a {row.role}, but this equation makes it a {role}."
        other = f"{s.name} := ...;" if s.rate else f"{s.name}' = ...;"
        yield Problem(s.where, s.name, s.text[:70], why, f"Correct the role, or write {other} here.")


def _unused(parts: Parts, used: set[str]) -> Iterable[Problem]:
    """Parameter rows that neither an equation, nor a start, nor a file of drugs, people or studies mentions."""
    words = re.compile(r"[A-Za-z_]\w*")
    for start in parts.tables.starts.values():
        used |= set(words.findall(start))
    idle = [q for q in parts.tables.parameters.values() if q.id not in used]
    if idle:
        for kind in _READ_BY:
            for name in parts.library.names(kind):
                used |= set(words.findall(parts.library.text(kind, name)))
    for q in idle:
        if q.id not in used:
            why = "nothing in this model uses this row."
            cure = f"Remove it, or correct its id. {nearest(q.id, [name for name in parts.tables.parameters if name in used])}"
            yield Problem(f"{q.file}:{q.line}", q.id, "", why, cure)


def _starts(parts: Parts) -> Iterable[Problem]:
    """Starts that are neither a number nor a formula over known rules and parameters."""
    known = {*parts.tables.parameters, *parts.tables.variables}
    for name, text in parts.tables.starts.items():
        q = parts.tables.variables[name]
        if q.role != "state" or not text or q.value is not None:
            continue
        unknown = [s for s in Statement(name, False, text, "", 0).symbols() if s not in known]
        for symbol in unknown:
            near = get_close_matches(symbol, known, 1)
            cure = f"Write {near[0]}." if near else "Write a number, or a rule or parameter of the model."
            yield Problem(f"{q.file}:{q.line}", f"{name}.start", text, f"{symbol} is defined nowhere.", cure)


def _circles(parts: Parts) -> Iterable[Problem]:
    """Rules that need each other's value at the same moment."""
    rules = {s.name: s for s in parts.statements if not s.rate}
    try:
        in_order({name: s.symbols() for name, s in rules.items()}, lambda name: rules[name].where)
    except InputError as fault:
        yield from fault.problems


# -- Antimony and SBML -----------------------------------------------------------------------------------------------


def _antimony(parts: Parts) -> list[str]:
    """One statement a line, so that Antimony's line numbers lead back to the fragment; declarations follow."""
    tables = parts.tables
    declared = [f"{q.id} = {q.value!r};" for q in tables.parameters.values() if q.value is not None]
    for name, text in tables.starts.items():
        if text and tables.variables[name].role != "rule":
            declared.append(f"{name} = {text};")
    return [s.text for s in parts.statements] + declared


def _to_sbml(parts: Parts, lines: list[str]) -> str:
    """SBML of the joined text; statements Antimony refuses are reported, blanked, and the rest tried again."""
    lines = list(lines)
    while message := _refusal(lines, parts.name):
        match = re.search(r"line (\d+):\s*(.*)", message)
        k = int(match[1]) - 2 if match else -1
        if not match or not 0 <= k < len(parts.statements) or not lines[k]:
            kept = list(_reserved(parts))
            general = Problem(
                parts.library.label("models", parts.name), "Antimony", "", message, "Correct the modules."
            )
            parts.problems += kept or ([] if parts.problems else [general])
            return ""
        s = parts.statements[k]
        cure = "Correct the formula; it may hold names, + - * / ^, brackets and functions such as exp, ln, max."
        parts.problems.append(Problem(s.where, s.name, s.text[:70], f"Antimony cannot read it: {match[2]}", cure))
        lines[k] = ""
    import antimony

    return str(antimony.getSBMLString(antimony.getMainModuleName()))


def _refusal(lines: Iterable[str], name: str) -> str:
    """Load a model into Antimony; its complaint, or nothing."""
    import antimony

    antimony.clearPreviousLoads()
    body = "\n".join(lines)
    word = re.sub(r"\W", "_", name) + "_"  # the trailing line keeps it apart from the model's symbols
    if antimony.loadAntimonyString(f"model *{word}()\n{body}\nend\n") >= 0:
        return ""
    return " ".join(complaint().split()) or "it gives no reason."


def _reserved(parts: Parts) -> Iterable[Problem]:
    """Symbols whose names Antimony keeps for itself (volume, compartment, at ...)."""
    for q in (*parts.tables.variables.values(), *parts.tables.parameters.values()):
        if _refusal([f"{q.id} = 1.5; probe_ := 2 * {q.id};"], "probe"):
            why = "Antimony keeps this word for itself, so it cannot name a symbol."
            yield Problem(f"{q.file}:{q.line}", q.id, "", why, f"Choose a longer name, such as {q.id}_level.")


def _told(system: System, parts: Parts) -> System:
    """The system with what the tables say of each symbol, in the order of the modules."""
    tables = parts.tables
    quantities: dict[str, Quantity] = {**tables.variables, **tables.parameters}
    # an input never switched by an equation looks like a parameter to SBML; the table knows better
    inputs = {n: float(q.value or 0.0) for n, q in tables.variables.items() if q.role == "input"}
    parameters = {n: float(q.value or 0.0) for n, q in tables.parameters.items()}
    rates = {s.name: system.rates[s.name] for s in parts.statements if s.rate}
    return replace(
        system, name=parts.name, time_unit="h", parameters=parameters, inputs=inputs, rates=rates,
        initial={n: system.initial[n] if (v := quantities[n].value) is None else num(v) for n in rates},
        quantities=quantities,
    )  # fmt: skip


def _unit_problems(system: System, parts: Parts) -> Iterable[Problem]:
    from respine.model.unit_check import unit_faults

    by_name: Mapping[str, Statement] = {s.name: s for s in parts.statements}
    for name, why in unit_faults(system).items():
        s = by_name[name]
        cure = f"Correct the equation, or the unit in library/variables/{s.module}.csv."
        yield Problem(s.where, name, s.text[:100], why, cure)


def _start_faults(system: System, parts: Parts) -> Iterable[Problem]:
    """Starts that need states which need the starts."""
    known = {*system.parameters, *system.inputs}
    waiting = {**system.initial, **system.rules}
    while True:
        ready = [n for n, e in waiting.items() if all(s in known for s in symbols(e))]
        if not ready:
            break
        known.update(ready)
        for n in ready:
            del waiting[n]
    for name in (n for n in waiting if n in system.initial):
        q = system.quantities[name]
        why = "the start depends, through rules, on itself."
        cure = "Write a number, or a rule of parameters only."
        yield Problem(f"{q.file}:{q.line}", f"{name}.start", parts.tables.starts[name], why, cure)


def _prove(system: System, parts: Parts) -> None:
    """libSBML's own verdict on the model as it would be exported: consistency and strict units. Raises InputError."""
    import libsbml

    from respine.model.write_sbml import document

    sbml = document(system)
    sbml.setConsistencyChecks(libsbml.LIBSBML_CAT_MODELING_PRACTICE, False)
    sbml.checkConsistency()
    by_name = {s.name: s for s in parts.statements}
    problems = []
    for k in range(sbml.getNumErrors()):
        error = sbml.getError(k)
        message = " ".join(error.getMessage().split())
        named = [by_name[w] for w in re.findall(r"'(\w+)'", message) if w in by_name]
        where = named[0].where if named else parts.library.label("models", parts.name)
        field = named[0].name if named else error.getCategoryAsString()
        problems.append(Problem(where, field, "", f"libSBML: {message}", "Correct the equation or the units it uses."))
    if problems:
        raise InputError(*problems)

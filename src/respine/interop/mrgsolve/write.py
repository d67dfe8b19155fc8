"""A system as mrgsolve model text: parameters, compartments, starts, rates, and rules as captured values."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from respine.errors import InputError, Problem
from respine.model.expression import Expr, postorder, symbols
from respine.model.system import System

_SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==",
          "ne": "!=", "and": "&&", "or": "||", "xor": "!="}  # fmt: skip
_FUNCTIONS = {"ln": "log", "abs": "fabs", "min": "std::min", "max": "std::max"}
_TAKEN = frozenset(
    [
        "double",
        "int",
        "bool",
        "if",
        "else",
        "for",
        "while",
        "return",
        "TIME",
        "SOLVERTIME",
        "ID",
        "EVID",
        "CMT",
        "AMT",
        "RATE",
        "SS",
        "II",
        "ADDL",
        "DV",
        "NEWIND",
        "self",
        "auto",
        "char",
        "float",
        "long",
        "short",
        "void",
        "const",
        "static",
        "struct",
        "class",
        "new",
        "delete",
        "true",
        "false",
        "namespace",
        "using",
        "template",
        "this",
        "public",
        "private",
        "switch",
        "case",
        "break",
        "default",
        "do",
        "goto",
        "sizeof",
        "typedef",
        "union",
        "unsigned",
        "signed",
        "volatile",
        "extern",
        "register",
        "inline",
        "operator",
        "friend",
        "try",
        "catch",
        "throw",
    ]
)


def to_mrgsolve(system: System) -> str:
    """mrgsolve model text of a system. Raises InputError for what mrgsolve has no word for: events, names it keeps."""
    problems = []
    if system.events:
        why = "mrgsolve has no events that a state triggers."
        problems.append(Problem(system.name, "events", system.events[0].id, why, "Export SBML or Antimony."))
    for name in (*system.parameters, *system.inputs, *system.rules, *system.rates):
        if name in _TAKEN or not re.fullmatch(r"[A-Za-z]\w*", name):
            why = "mrgsolve cannot use the name."
            problems.append(Problem(system.name, "names", name, why, "Rename it in the model."))
    if problems:
        raise InputError(*problems)
    values = {**system.parameters, **system.inputs}
    at_start = _needed(system, [e for e in system.initial.values() if e[0] != "num"])
    lines = [
        "$PROB",
        f"{system.name}; time in {system.time_unit or 'the unit of its rates'}; written by respine",
        "",
        "$PARAM @annotated",
    ]
    lines += [f"{name} : {_number(value)} : {_about(system, name)}" for name, value in values.items()]
    lines += ["", "$CMT @annotated", *(f"{name} : {_about(system, name)}" for name in system.rates), "", "$MAIN"]
    lines += [
        f"double start_{name} = {_c(_renamed(system.rules[name], at_start, system), 'TIME')};" for name in at_start
    ]
    for name, start in system.initial.items():
        lines.append(f"{name}_0 = {_c(_renamed(start, at_start, system), 'TIME')};")
    lines += ["", "$ODE", *(f"double {name} = {_c(rule, 'SOLVERTIME')};" for name, rule in system.rules.items())]
    lines += [f"dxdt_{name} = {_c(rate, 'SOLVERTIME')};" for name, rate in system.rates.items()]
    if system.rules:
        lines += ["", "$CAPTURE @annotated", *(f"{name} : {_about(system, name)}" for name in system.rules)]
    return "\n".join([*lines, ""])


def _needed(system: System, formulas: Iterable[Expr]) -> list[str]:
    """Rules that starts depend on, in order."""
    needed: set[str] = set()
    waiting = [s for e in formulas for s in symbols(e)]
    while waiting:
        name = waiting.pop()
        if name in system.rules and name not in needed:
            needed.add(name)
            waiting += symbols(system.rules[name])
    return [name for name in system.rules if name in needed]


def _renamed(expr: Expr, rules: list[str], system: System) -> Expr:
    """With the rules as they are at the start, and states by their start values."""
    from respine.model.expression import substitute, sym

    values = {name: sym(f"start_{name}") for name in rules}
    values |= {s: system.initial[s] for s in symbols(expr) if s in system.initial}
    for _ in range(len(system.initial)):
        expr = substitute(expr, values)
        if not any(s in system.initial for s in symbols(expr)):
            break
        values = {s: _renamed(system.initial[s], rules, system) for s in symbols(expr) if s in system.initial}
    return expr


def _about(system: System, name: str) -> str:
    q = system.quantities.get(name)
    text = " ".join((q.label or name).replace(":", ",").split()) if q else name
    return f"{text} ({q.unit})" if q and q.unit else text


def _number(value: float) -> str:
    if not math.isfinite(value):
        return "NAN" if value != value else "INFINITY" if value > 0 else "-INFINITY"
    return repr(float(value))


def _c(expr: Expr, time: str) -> str:
    """The formula in C++, every operator in brackets: no order of precedence to think of."""
    made: dict[int, str] = {}
    for node in postorder(expr):
        op, *parts = node
        if op == "num":
            made[id(node)] = _number(parts[0]) if parts[0] >= 0 else f"({_number(parts[0])})"
        elif op == "sym":
            made[id(node)] = parts[0]
        elif op == "time":
            made[id(node)] = time
        else:
            made[id(node)] = _operation(op, [made[id(part)] for part in parts])
    return made[id(expr)]


def _operation(op: str, x: list[str]) -> str:
    if op in _SIGNS:
        return f"({x[0]} {_SIGNS[op]} {x[1]})"
    if op == "neg":
        return f"(-{x[0]})"
    if op == "not":
        return f"(!{x[0]})"
    if op == "if":
        return f"({x[0]} ? {x[1]} : {x[2]})"
    return f"{_FUNCTIONS.get(op, op)}({', '.join(x)})"

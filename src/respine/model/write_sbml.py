"""System -> SBML Level 3 Version 2, with units, provenance and, if asked, doses and input changes as events."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import libsbml

from respine.errors import InputError, Problem
from respine.model.expression import Expr, num, sym
from respine.model.system import Event, Quantity, System
from respine.model.units import UnknownUnit, parts

Bolus = tuple[str, float, float, float]  # state, time, amount, duration (0 = all at once)
InputChange = tuple[str, float, float]  # input, time, value from then on

_TYPES = {
    "add": libsbml.AST_PLUS, "sub": libsbml.AST_MINUS, "mul": libsbml.AST_TIMES, "div": libsbml.AST_DIVIDE,
    "pow": libsbml.AST_POWER, "neg": libsbml.AST_MINUS, "min": libsbml.AST_FUNCTION_MIN,
    "max": libsbml.AST_FUNCTION_MAX, "exp": libsbml.AST_FUNCTION_EXP,
    "ln": libsbml.AST_FUNCTION_LN, "sqrt": libsbml.AST_FUNCTION_ROOT,
    "abs": libsbml.AST_FUNCTION_ABS, "floor": libsbml.AST_FUNCTION_FLOOR, "ceil": libsbml.AST_FUNCTION_CEILING,
    "sin": libsbml.AST_FUNCTION_SIN, "cos": libsbml.AST_FUNCTION_COS, "tan": libsbml.AST_FUNCTION_TAN,
    "asin": libsbml.AST_FUNCTION_ARCSIN, "acos": libsbml.AST_FUNCTION_ARCCOS, "atan": libsbml.AST_FUNCTION_ARCTAN,
    "sinh": libsbml.AST_FUNCTION_SINH, "cosh": libsbml.AST_FUNCTION_COSH, "tanh": libsbml.AST_FUNCTION_TANH,
    "asinh": libsbml.AST_FUNCTION_ARCSINH, "acosh": libsbml.AST_FUNCTION_ARCCOSH, "atanh": libsbml.AST_FUNCTION_ARCTANH,
    "lt": libsbml.AST_RELATIONAL_LT, "le": libsbml.AST_RELATIONAL_LEQ, "gt": libsbml.AST_RELATIONAL_GT,
    "ge": libsbml.AST_RELATIONAL_GEQ, "eq": libsbml.AST_RELATIONAL_EQ, "ne": libsbml.AST_RELATIONAL_NEQ,
    "and": libsbml.AST_LOGICAL_AND, "or": libsbml.AST_LOGICAL_OR, "xor": libsbml.AST_LOGICAL_XOR,
    "not": libsbml.AST_LOGICAL_NOT,
}  # fmt: skip


def to_sbml(system: System, *, doses: Iterable[Bolus] = (), inputs: Iterable[InputChange] = ()) -> str:
    """SBML L3V2 text of a system.

    ``doses``: (state, time, amount, duration), in the state's unit and the system's time unit; ``inputs``: (input,
    time, value). Both become SBML events. Raises InputError for a dose into something that is no state, and the like.
    """
    return str(libsbml.writeSBMLToString(document(system, doses=doses, inputs=inputs)))


def document(system: System, *, doses: Iterable[Bolus] = (), inputs: Iterable[InputChange] = ()) -> Any:
    """The libSBML document of a system; keep it as long as anything taken from it is used."""
    rates, events, infusions = with_given(system, list(doses), list(inputs))
    sbml = libsbml.SBMLDocument(3, 2)
    model = sbml.createModel()
    model.setId(_identifier(system.name))
    units = _Units(model)
    if time_unit := units.of(system.time_unit):
        model.setTimeUnits(time_unit)
    changing = {name for event in events for name, _ in event.assignments}
    starts = {**system.parameters, **system.inputs, **dict.fromkeys(infusions, 0.0)}
    rates_given = {name: Quantity(name, "input", _per_time(system, s)) for name, s in infusions.items()}
    notes = {**system.quantities, **rates_given}
    for name in (*starts, *system.rates, *system.rules):
        constant = name in starts and name not in changing
        _parameter(model, units, name, notes.get(name), starts.get(name), constant)
    for name, expr in system.initial.items():
        if expr[0] == "num":
            model.getParameter(name).setValue(expr[1])
        else:
            start = model.createInitialAssignment()
            start.setSymbol(name)
            start.setMath(_ast(expr))
    for name, expr in system.rules.items():
        rule = model.createAssignmentRule()
        rule.setVariable(name)
        rule.setMath(_ast(expr))
    for name, expr in rates.items():
        rule = model.createRateRule()
        rule.setVariable(name)
        rule.setMath(_ast(expr))
    for event in events:
        _event(model, units, event, notes, system.time_unit)
    return sbml


def _per_time(system: System, state: str) -> str:
    quantity = system.quantities.get(state)
    unit = quantity.unit if quantity else ""
    return f"({unit})/{system.time_unit}" if unit else ""


def with_given(
    system: System, doses: list[Bolus], inputs: list[InputChange]
) -> tuple[dict[str, Expr], list[Event], dict[str, str]]:
    """Rates with infusions added, events with doses added, and the infusion parameters with the state each feeds."""
    _refuse(system, doses, inputs)
    rates = dict(system.rates)
    changes: dict[float, dict[str, Expr]] = defaultdict(dict)
    infusions: dict[str, str] = {}
    for state in dict.fromkeys(d[0] for d in doses if d[3] > 0):
        name = f"infusion_into_{state}"
        infusions[name] = state
        rates[state] = ("add", rates[state], sym(name))
        spans = [
            (t, t + duration, amount / duration) for s, t, amount, duration in doses if s == state and duration > 0
        ]
        for at in sorted({edge for begin, end, _ in spans for edge in (begin, end)}):
            # the whole rate at every edge, so that nothing is left over when the last infusion ends
            changes[at][name] = num(math.fsum(rate for begin, end, rate in spans if begin <= at < end))
    for state, at, amount, duration in doses:
        if duration == 0:
            before = changes[at].get(state, sym(state))
            changes[at][state] = ("add", before, num(amount))
    for name, at, value in inputs:
        changes[at][name] = num(value)
    given = [
        Event(f"given_{k}", ("ge", ("time",), num(at)), tuple(changes[at].items()), initial_value=False)
        for k, at in enumerate(sorted(changes), start=1)
    ]
    return rates, [*(_in_full(system, event) for event in system.events), *given], infusions


def _refuse(system: System, doses: list[Bolus], inputs: list[InputChange]) -> None:
    problems = []
    for k, (state, at, amount, duration) in enumerate(doses):
        if state not in system.rates:
            why = "a dose can only go into a state of the model."
            problems.append(Problem("doses", f"doses[{k}]", state, why, "Name one of its states."))
        if not (math.isfinite(at) and math.isfinite(amount) and math.isfinite(duration) and duration >= 0):
            why = "time, amount and duration of a dose must be finite, the duration not negative."
            problems.append(Problem("doses", f"doses[{k}]", f"{at}, {amount}, {duration}", why, "Correct the numbers."))
    for k, (name, at, value) in enumerate(inputs):
        if name not in system.inputs:
            why = f"only an input can be switched; the model's inputs are {', '.join(system.inputs) or '(none)'}."
            problems.append(Problem("inputs", f"inputs[{k}]", name, why, "Name an input."))
        if not (math.isfinite(at) and math.isfinite(value)):
            problems.append(
                Problem("inputs", f"inputs[{k}]", f"{at}, {value}", "both must be finite.", "Correct the numbers.")
            )
    if problems:
        raise InputError(*problems)


class _Units:
    """Unit definitions of a model, made on first use; their names keep the text people write."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.ids: dict[str, str] = {}

    def of(self, text: str) -> str:
        """The id of a unit's definition, empty for a unit respine cannot parse."""
        if not text:
            return ""
        if text not in self.ids:
            self.ids[text] = self._define(text)
        return self.ids[text]

    def _define(self, text: str) -> str:
        try:
            made = parts(text)
        except UnknownUnit:
            return ""
        if made == parts("1"):
            return "dimensionless"
        name = "unit_" + re.sub(r"\W+", "_", text.replace("/", "_per_").replace("^", "_to_")).strip("_")
        while name in self.ids.values():
            name += "_"
        definition = self.model.createUnitDefinition()
        definition.setId(name)
        definition.setName(text)
        for part in made:
            unit = definition.createUnit()
            unit.setKind(libsbml.UnitKind_forName(part.kind))
            unit.setExponent(float(part.exponent))
            unit.setScale(part.scale)
            unit.setMultiplier(part.multiplier)
        return name


def _parameter(
    model: Any, units: _Units, name: str, about: Quantity | None, value: float | None, constant: bool
) -> None:
    parameter = model.createParameter()
    parameter.setId(name)
    parameter.setConstant(constant)
    if value is not None:
        parameter.setValue(value)
    if about is None:
        return
    if unit := units.of(about.unit):
        parameter.setUnits(unit)
    if about.label:
        parameter.setName(about.label)
    if text := _provenance(about):
        parameter.setNotes(f'<body xmlns="http://www.w3.org/1999/xhtml"><p>{text}</p></body>')


def _provenance(q: Quantity) -> str:
    known: Mapping[str, str] = {
        "role": q.role, "status": q.status, "source": q.source, "where": q.where, "population": q.population,
        "90 % belief": f"{q.low:g} to {q.high:g}" if q.low is not None and q.high is not None else "",
        "distribution": q.distribution if q.variability else "",
        "variability": f"{q.variability:g}" if q.variability else "", "note": q.note,
    }  # fmt: skip
    text = "; ".join(f"{key}: {value}" for key, value in known.items() if value)
    known_of_it = q.status or q.source or q.note
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") if known_of_it else ""


def _in_full(system: System, event: Event) -> Event:
    """The event with assigned amounts as formulas: concentration times the volume as the event finds it."""
    given = dict(event.assignments)
    late = event.delay is not None and event.values_from_trigger_time
    for name, volume in event.by_volume:
        if late and volume not in system.parameters:
            why = f"the event sets a concentration after a delay, in a volume ({volume}) that moves meanwhile."
            raise InputError(Problem(system.name, event.id, name, why, "Let the event use values from its execution."))
        given[name] = ("mul", given[name], sym(volume))
    return replace(event, assignments=tuple(given.items()), by_volume=())


def _event(model: Any, units: _Units, event: Event, about: Mapping[str, Quantity], time_unit: str) -> None:
    made = model.createEvent()
    made.setId(event.id)
    made.setUseValuesFromTriggerTime(event.values_from_trigger_time)
    trigger = made.createTrigger()
    trigger.setPersistent(event.persistent)
    trigger.setInitialValue(event.initial_value)
    trigger.setMath(_ast(event.trigger, units.of(time_unit)))
    if event.delay is not None:
        made.createDelay().setMath(_ast(event.delay))
    if event.priority is not None:
        made.createPriority().setMath(_ast(event.priority))
    for name, expr in event.assignments:
        assignment = made.createEventAssignment()
        assignment.setVariable(name)
        quantity = about.get(name)
        assignment.setMath(_ast(expr, units.of(quantity.unit) if quantity and event.id.startswith("given_") else ""))


def _ast(expr: Expr, unit: str = "") -> Any:
    """The libSBML AST of a formula; bare numbers carry ``unit``, or are marked dimensionless."""
    op = expr[0]
    node = libsbml.ASTNode()
    if op == "num":
        _number(node, expr[1], unit or "dimensionless")
    elif op == "sym":
        node.setType(libsbml.AST_NAME)
        node.setName(expr[1])
    elif op == "time":
        node.setType(libsbml.AST_NAME_TIME)
        node.setName("time")
    else:
        operands = (expr[2], expr[1], expr[3]) if op == "if" else expr[1:]
        node.setType(libsbml.AST_FUNCTION_PIECEWISE if op == "if" else _TYPES[op])
        if op == "sqrt":
            node.addChild(_ast(num(2)))
        for part in operands:
            node.addChild(_ast(part, unit))
    return node


def _number(node: Any, value: float, unit: str) -> None:
    if math.isfinite(value) and value == int(value) and abs(value) < 2**31:
        node.setType(libsbml.AST_INTEGER)
        node.setValue(int(value))
    else:
        node.setType(libsbml.AST_REAL)
        node.setValue(float(value))
    if math.isfinite(value):
        node.setUnits(unit)


def _identifier(name: str) -> str:
    text = re.sub(r"\W", "_", name, flags=re.ASCII) or "model"
    return text if not text[0].isdigit() else f"_{text}"

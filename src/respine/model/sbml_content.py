"""An open SBML document -> its content: every declaration, with functions and local names resolved in formulas."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any

from respine.errors import InputError, Problem
from respine.model.content import Content, Flow, Variable
from respine.model.expression import RATE_OF, Expr, num, sym, symbols
from respine.model.limits import LIMITS, Limits
from respine.model.mathml import Scope, Unsupported, formula
from respine.model.order import in_order
from respine.model.sbml_document import Document, called
from respine.model.sbml_units import time_unit, unit_text
from respine.model.sharing import Key, Shared, TooLarge, name_repeated_parts
from respine.model.system import Event


@dataclass
class _Reading:
    """A document on its way into ``content``, and what is wrong with it so far."""

    document: Document
    content: Content
    scope: Scope
    problems: list[Problem] = field(default_factory=list)

    @property
    def model(self) -> Any:
        return self.document.model

    def line(self, element: Any) -> int:
        return self.document.line(element.getLine())

    def complain(self, element: Any, seen: str, why: str, cure: str) -> None:
        self.problems.append(self.document.problem(element, seen, why, cure))


def read_content(document: Document, limits: Limits = LIMITS, lift: Callable[[Content], None] | None = None) -> Content:
    """All declarations of an open document. Raises InputError with every construct that cannot be read.

    ``lift`` may change what has been read before large formulas are cut.
    """
    model = document.model
    content = Content(document.name, model.getId() or "model", time_unit(model), tuple(document.notes))
    content.taken = _ids(model)
    reading = _Reading(document, content, Scope(shared=Shared(limits.terms)))
    try:
        _functions(reading)
        _compartments(reading)
        _species(reading)
        _parameters(reading)
        _rules(reading)
        _starts(reading)
        for reaction in model.getListOfReactions():
            _reaction(reading, reaction)
        for k, event in enumerate(model.getListOfEvents()):
            _event(reading, event, k)
        _undefined(reading)
        if reading.problems:
            raise InputError(*reading.problems)
        if lift is not None:
            lift(content)
        _name_repeated_parts(content, limits)
    except TooLarge:
        raise InputError(*reading.problems, _too_large(document.name, limits)) from None
    return content


def _too_large(name: str, limits: Limits) -> Problem:
    why = f"its formulas, with functions written out, have more than {limits.terms:,} different terms."
    return Problem(
        name, "formulas", "", why, "Write functions that call each other as rules, or limits=Limits(terms=...)."
    )


def _name_repeated_parts(content: Content, limits: Limits) -> None:
    """Large formulas keep each repeated part once, as a rule."""
    formulas: dict[Key, Expr] = {}
    for slot in ("rules", "rates", "starts", "reactions"):
        formulas |= {(name, slot): expr for name, expr in getattr(content, slot).items()}
    formulas |= {(f.reaction, "flow", str(k)): f.stoichiometry for k, f in enumerate(content.flows)}
    for k, event in enumerate(content.events):
        formulas |= {(event.id, "event", str(k), part): expr for part, expr in event.formulas().items()}
    written, parts = name_repeated_parts(formulas, limits.terms, content.unique)
    if not parts:
        return
    for slot in ("rules", "rates", "starts", "reactions"):
        table = getattr(content, slot)
        table.update({name: written[name, slot] for name in table})
    content.flows = [replace(f, stoichiometry=written[f.reaction, "flow", str(k)]) for k, f in enumerate(content.flows)]
    content.events = [
        event.with_formulas({part: written[event.id, "event", str(k), part] for part in event.formulas()})
        for k, event in enumerate(content.events)
    ]
    content.rules |= {name: expr for name, (_, expr) in parts.items()}
    content.lines |= {name: content.lines.get(owner, 0) for name, (owner, _) in parts.items()}
    content.parts = frozenset(parts)


def _ids(model: Any) -> set[str]:
    """Every id of the model, those of species references included."""
    return {element.getId() for element in _all_elements(model) if element.isSetId()}


def _all_elements(model: Any) -> Iterator[Any]:
    """Every element; libSBML's own list takes its first entry off in no time, but looks up the k-th slowly."""
    elements = model.getListOfAllElements()
    for _ in range(elements.getSize()):
        yield elements.remove(0)


def _math(reading: _Reading, element: Any, scope: Scope | None = None, node: Any = None) -> Expr | None:
    """The element's formula; None where it has none (L3V2 lets it be absent) or cannot be read (a problem is kept)."""
    node = element.getMath() if node is None else node
    if node is None:
        return None
    try:
        return formula(node, scope or reading.scope)
    except Unsupported as reason:
        reading.complain(element, str(reason), "respine cannot compute this.", "Rewrite the formula without it.")
        return None


def _functions(reading: _Reading) -> None:
    """Function definitions with calls to each other resolved, in whatever order they are written."""
    waiting = {f.getId(): f for f in reading.model.getListOfFunctionDefinitions() if f.getBody() is not None}
    calls = {name: set(called(f.getBody())) & waiting.keys() for name, f in waiting.items()}
    try:
        order = in_order(calls, lambda name: reading.document.where(waiting[name].getLine()))
    except InputError as circle:
        reading.problems += circle.problems
        return
    for name in order:
        f = waiting[name]
        arguments = tuple(f.getArgument(k).getName() for k in range(f.getNumArguments()))
        body = _math(reading, f, node=f.getBody())
        unknown = sorted(set(symbols(body)) - set(arguments)) if body is not None else []
        if unknown:
            cure = "Make it an argument of the function."
            reading.complain(f, ", ".join(unknown), "a function may use nothing but its arguments.", cure)
        reading.scope.functions[name] = (arguments, num(math.nan) if body is None else body)


def _declare(reading: _Reading, variable: Variable, element: Any) -> None:
    content = reading.content
    if variable.id in content.variables or variable.id in content.reactions:
        why = "two elements have this id."
        reading.complain(element, variable.id, why, "Give each its own id.")
    content.variables[variable.id] = variable


def _compartments(reading: _Reading) -> None:
    model = reading.model
    for c in model.getListOfCompartments():
        dimensions = c.getSpatialDimensionsAsDouble() if c.isSetSpatialDimensions() or c.getLevel() < 3 else 3.0
        if c.getLevel() >= 3 and any((c.isSetSize(), model.getInitialAssignment(c.getId()), model.getRule(c.getId()))):
            dimensions = dimensions or 3.0  # in Level 3 even a point has a size, if the file gives one
        level_one = c.getLevel() == 1 and not c.isSetSize()  # Level 1 gives every compartment volume 1
        value = 1.0 if level_one else (c.getSize() if c.isSetSize() else math.nan)
        unit = unit_text(model, c.getUnits())
        given = c.isSetSize() or level_one
        v = Variable(c.getId(), "compartment", value, reading.line(c), given, unit, c.getName(), dimensions=dimensions)
        _declare(reading, v, c)


def _species(reading: _Reading) -> None:
    model = reading.model
    for s in model.getListOfSpecies():
        amount = not s.isSetInitialConcentration()
        value = (
            s.getInitialConcentration()
            if not amount
            else (s.getInitialAmount() if s.isSetInitialAmount() else math.nan)
        )
        home = reading.content.variables.get(s.getCompartment())
        conversion = s.getConversionFactor() if s.isSetConversionFactor() else model.getConversionFactor()
        unit = unit_text(model, s.getSubstanceUnits())
        given = s.isSetInitialConcentration() or s.isSetInitialAmount()
        v = Variable(
            s.getId(), "species", value, reading.line(s), given, unit, s.getName(), s.getCompartment(),
            home.dimensions if home else 3.0, amount, s.getHasOnlySubstanceUnits(), s.getBoundaryCondition(),
            s.getConstant(), conversion or "",
        )  # fmt: skip
        _declare(reading, v, s)


def _parameters(reading: _Reading) -> None:
    for p in reading.model.getListOfParameters():
        _declare(reading, _parameter(reading, p, p.getId()), p)


def _parameter(reading: _Reading, p: Any, name: str) -> Variable:
    """A global or local parameter under a name of the model."""
    value = p.getValue() if p.isSetValue() else math.nan
    unit = unit_text(reading.model, p.getUnits())
    return Variable(name, "parameter", value, reading.line(p), p.isSetValue(), unit, p.getName())


def _rules(reading: _Reading) -> None:
    content = reading.content
    for rule in reading.model.getListOfRules():
        expr = _math(reading, rule)
        if expr is not None and not rule.isAlgebraic():
            name = rule.getVariable()
            if name in content.rules or name in content.rates:
                why = f"another rule determines it already, {content.where(name)}."
                reading.complain(rule, name, why, "Keep one of the two.")
            (content.rates if rule.isRate() else content.rules)[name] = expr
            content.lines[name] = reading.line(rule)


def _starts(reading: _Reading) -> None:
    for start in reading.model.getListOfInitialAssignments():
        expr = _math(reading, start)
        name = start.getSymbol()
        if expr is not None:
            if name in reading.content.starts or name in reading.content.rules:
                why = f"its start is determined already, {reading.content.where(name)}."
                reading.complain(start, name, why, "Keep one of the two.")
            reading.content.starts[name] = expr
            reading.content.lines.setdefault(name, reading.line(start))


def _reaction(reading: _Reading, reaction: Any) -> None:
    content, name = reading.content, reaction.getId()
    content.lines[name] = reading.line(reaction)
    law = reaction.getKineticLaw()
    expr = None
    if law is not None:
        local: dict[str, Expr] = {}
        locals_ = law.getListOfLocalParameters() if reaction.getLevel() >= 3 else law.getListOfParameters()
        for p in locals_:
            own = content.unique(f"{name}_{p.getId()}")
            content.variables[own] = _parameter(reading, p, own)
            local[p.getId()] = sym(own)
        expr = _math(reading, law, replace(reading.scope, local=local))
    flows = [flow for sign, references in ((-1, reaction.getListOfReactants()), (1, reaction.getListOfProducts()))
             for flow in (_flow(reading, r, name, sign) for r in references)]  # fmt: skip
    if expr is None:
        moved = [
            f.species for f in flows if f.species in content.variables and not content.variables[f.species].boundary
        ]
        if moved and not reading.problems:
            why = f"the reaction has no kinetic law, so how fast it changes {moved[0]} is unknown."
            reading.complain(reaction, "", why, "Add a <kineticLaw> with a formula.")
        return
    content.reactions[name] = expr
    content.flows += flows


def _flow(reading: _Reading, reference: Any, reaction: str, sign: int) -> Flow:
    stoichiometry: Expr | None
    if reference.isSetStoichiometryMath() and reference.getStoichiometryMath().getMath() is not None:
        stoichiometry = _math(reading, reference.getStoichiometryMath())
    elif reference.getLevel() >= 3 and reference.isSetId():
        name = reference.getId()
        given = reference.isSetStoichiometry()
        value = reference.getStoichiometry() if given else math.nan
        v = Variable(name, "stoichiometry", value, reading.line(reference), given, "1", reference.getName())
        _declare(reading, v, reference)
        stoichiometry = sym(name)
    elif reference.getLevel() >= 3 and not reference.isSetStoichiometry():
        stoichiometry = None
        why = "the stoichiometry is not given, and SBML Level 3 has no default."
        reading.complain(reference, reference.getSpecies(), why, 'Write stoichiometry="1".')
    else:
        stoichiometry = num(reference.getStoichiometry() / (reference.getDenominator() or 1))
    signed = num(0) if stoichiometry is None else stoichiometry
    if sign < 0:
        signed = num(-signed[1]) if signed[0] == "num" else ("neg", signed)
    return Flow(reference.getSpecies(), reaction, signed)


def _event(reading: _Reading, event: Any, k: int) -> None:
    content = reading.content
    trigger = event.getTrigger()
    condition = _math(reading, trigger) if trigger is not None else None
    if condition is None:
        return  # L3V2: an event without a trigger formula never happens
    changes = [(a.getVariable(), _math(reading, a)) for a in event.getListOfEventAssignments()]
    for name, times in Counter(name for name, _ in changes).items():
        if times > 1:
            reading.complain(event, name, f"the event sets it {times} times at once.", "Keep one of the assignments.")
    modern = event.getLevel() >= 3
    content.events.append(
        Event(
            id=event.getId() or f"event_{k + 1}",
            trigger=condition,
            assignments=tuple((name, expr) for name, expr in changes if expr is not None),
            delay=_math(reading, event.getDelay()) if event.isSetDelay() else None,
            priority=_math(reading, event.getPriority()) if modern and event.isSetPriority() else None,
            persistent=trigger.getPersistent() if modern else True,
            initial_value=trigger.getInitialValue() if modern else True,
            values_from_trigger_time=event.getUseValuesFromTriggerTime(),
        )
    )
    content.lines[content.events[-1].id] = reading.line(event)


def _undefined(reading: _Reading) -> None:
    """Formulas and declarations that mention a name the model does not define."""
    content = reading.content
    known = {*content.variables, *content.reactions}
    places = [*content.rules.items(), *content.rates.items(), *content.starts.items(), *content.reactions.items()]
    places += [(f.reaction, f.stoichiometry) for f in content.flows]
    for e in content.events:
        places += [(e.id, part) for part in e.formulas().values()]
    for place, expr in places:
        for name in dict.fromkeys(symbols(expr)):
            bare = name.removeprefix(RATE_OF)
            if bare not in known:
                why = f"the formula of {place} uses a name that has no value in the model."
                _unknown(reading, content.where(place), place, bare, why)
    set_by_events = {(e.id, name) for e in content.events for name, _ in e.assignments}
    targets = {(name, name) for name in {*content.rules, *content.rates, *content.starts}} | set_by_events
    for place, name in sorted(targets):
        if name not in content.variables:
            _unknown(reading, content.where(place), place, name, "it is set, but is no variable of the model.")
    kinds = {name: v.kind for name, v in content.variables.items()}
    for v in content.variables.values():
        if v.kind == "species" and kinds.get(v.compartment) != "compartment":
            _unknown(
                reading, content.at(v.line), v.id, v.compartment, "the species lies in no compartment of the model."
            )
        if v.conversion and kinds.get(v.conversion) != "parameter":
            _unknown(
                reading, content.at(v.line), v.id, v.conversion, "the conversion factor is no parameter of the model."
            )
    for f in content.flows:
        if kinds.get(f.species) != "species":
            _unknown(
                reading, content.where(f.reaction), f.reaction, f.species, "it reacts, but is no species of the model."
            )


def _unknown(reading: _Reading, where: str, place: str, name: str, why: str) -> None:
    few = len(reading.problems) < 20  # to look through every name takes time
    near = get_close_matches(name, reading.content.variables, 1) if few else []
    cure = f"Write {near[0]}, or declare it." if near else "Declare it, or correct the name."
    reading.problems.append(Problem(where, place, name, why, cure))

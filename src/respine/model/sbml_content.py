"""What an SBML model declares, as plain Python: variables, rules, reactions, events. No meaning is resolved here."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from respine.errors import InputError, Problem
from respine.model.expression import Expr, num, sym, symbols
from respine.model.mathml import Scope, Unsupported, formula
from respine.model.sbml_document import Document
from respine.model.system import Event


@dataclass(frozen=True)
class Variable:
    """A compartment, species, parameter or species reference; ``value`` is NaN where the file gives none."""

    id: str
    kind: str
    value: float
    line: int
    given: bool = True  # whether the file gives the value; NaN can be meant
    unit: str = ""
    label: str = ""
    compartment: str = ""
    dimensions: float = 3.0
    initial_is_amount: bool = True
    only_substance: bool = False
    boundary: bool = False
    constant: bool = False
    conversion: str = ""


@dataclass(frozen=True)
class Flow:
    """One species of one reaction: the species' amount gains ``stoichiometry`` times the reaction's rate."""

    species: str
    reaction: str
    stoichiometry: Expr


@dataclass
class Content:
    """Everything a model declares; formulas are expressions with function definitions and local names resolved."""

    document: Document
    variables: dict[str, Variable] = field(default_factory=dict)
    rules: dict[str, Expr] = field(default_factory=dict)
    rates: dict[str, Expr] = field(default_factory=dict)
    starts: dict[str, Expr] = field(default_factory=dict)
    reactions: dict[str, Expr] = field(default_factory=dict)
    flows: list[Flow] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    lines: dict[str, int] = field(default_factory=dict)  # where each rule, rate, reaction or start is written
    problems: list[Problem] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)

    def unique(self, name: str) -> str:
        """A name nothing in the model has."""
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        return name

    def where(self, name: str) -> str:
        """Where the formula of a symbol is written."""
        return f"{self.document.name}:{self.lines.get(name, 0)}"


def read_content(document: Document) -> Content:
    """All declarations of an open document. Raises InputError with every construct that cannot be read."""
    content = Content(document)
    content.taken = _ids(document)
    scope = Scope(_functions(content))
    _compartments(content)
    _species(content)
    _parameters(content)
    _rules(content, scope)
    _starts(content, scope)
    for reaction in document.model.getListOfReactions():
        _reaction(content, scope, reaction)
    for k, event in enumerate(document.model.getListOfEvents()):
        _event(content, scope, event, k)
    _undefined(content)
    if content.problems:
        raise InputError(*content.problems)
    return content


def _ids(document: Document) -> set[str]:
    """Every id of the model, those of species references included."""
    elements = document.model.getListOfAllElements()
    return {e.getId() for e in (elements.get(k) for k in range(elements.getSize())) if e.isSetId()}


def _math(content: Content, element: Any, scope: Scope, node: Any = None) -> Expr | None:
    """The element's formula; None where it has none (L3V2 lets it be absent) or cannot be read (a problem is kept)."""
    node = element.getMath() if node is None else node
    if node is None:
        return None
    try:
        return formula(node, scope)
    except Unsupported as reason:
        cure = "Rewrite the formula without it."
        content.problems.append(content.document.problem(element, str(reason), "respine cannot compute this.", cure))
        return None


def _functions(content: Content) -> dict[str, tuple[tuple[str, ...], Expr]]:
    """Function definitions with calls to each other resolved, in whatever order they are written."""
    waiting = {f.getId(): f for f in content.document.model.getListOfFunctionDefinitions() if f.getBody() is not None}
    done: dict[str, tuple[tuple[str, ...], Expr]] = {}
    while waiting:
        ready = [f for f in waiting.values() if not (set(_called(f.getBody())) & set(waiting))]
        if not ready:
            first = next(iter(waiting.values()))
            why = "these functions call each other in a circle."
            content.problems.append(content.document.problem(first, ", ".join(waiting), why, "Break the circle."))
            return done
        for f in ready:
            del waiting[f.getId()]
            arguments = tuple(f.getArgument(k).getName() for k in range(f.getNumArguments()))
            body = _math(content, f, Scope(done), f.getBody())
            done[f.getId()] = (arguments, num(math.nan) if body is None else body)
    return done


def _called(node: Any) -> Iterator[str]:
    if node.isFunction() and node.getName():
        yield node.getName()
    for k in range(node.getNumChildren()):
        yield from _called(node.getChild(k))


def _declare(content: Content, variable: Variable, element: Any) -> None:
    if variable.id in content.variables or variable.id in content.reactions:
        why = "two elements have this id."
        content.problems.append(content.document.problem(element, variable.id, why, "Give each its own id."))
    content.variables[variable.id] = variable


def _compartments(content: Content) -> None:
    model = content.document.model
    for c in model.getListOfCompartments():
        dimensions = c.getSpatialDimensionsAsDouble() if c.isSetSpatialDimensions() or c.getLevel() < 3 else 3.0
        if c.getLevel() >= 3 and any((c.isSetSize(), model.getInitialAssignment(c.getId()), model.getRule(c.getId()))):
            dimensions = dimensions or 3.0  # in Level 3 even a point has a size, if the file gives one
        level_one = c.getLevel() == 1 and not c.isSetSize()  # Level 1 gives every compartment volume 1
        value = 1.0 if level_one else (c.getSize() if c.isSetSize() else math.nan)
        unit = unit_text(model, c.getUnits())
        given = c.isSetSize() or level_one
        v = Variable(c.getId(), "compartment", value, c.getLine(), given, unit, c.getName(), dimensions=dimensions)
        _declare(content, v, c)


def _species(content: Content) -> None:
    model = content.document.model
    for s in model.getListOfSpecies():
        amount = not s.isSetInitialConcentration()
        value = (
            s.getInitialConcentration()
            if not amount
            else (s.getInitialAmount() if s.isSetInitialAmount() else math.nan)
        )
        home = content.variables.get(s.getCompartment())
        conversion = s.getConversionFactor() if s.isSetConversionFactor() else model.getConversionFactor()
        unit = unit_text(model, s.getSubstanceUnits())
        given = s.isSetInitialConcentration() or s.isSetInitialAmount()
        v = Variable(
            s.getId(), "species", value, s.getLine(), given, unit, s.getName(), s.getCompartment(),
            home.dimensions if home else 3.0, amount, s.getHasOnlySubstanceUnits(), s.getBoundaryCondition(),
            s.getConstant(), conversion or "",
        )  # fmt: skip
        _declare(content, v, s)


def _parameters(content: Content) -> None:
    for p in content.document.model.getListOfParameters():
        _declare(content, _parameter(content, p, p.getId()), p)


def _parameter(content: Content, p: Any, name: str) -> Variable:
    """A global or local parameter under a name of the model."""
    value = p.getValue() if p.isSetValue() else math.nan
    unit = unit_text(content.document.model, p.getUnits())
    return Variable(name, "parameter", value, p.getLine(), p.isSetValue(), unit, p.getName())


def unit_text(model: Any, name: str) -> str:
    """A unit as a person writes it: the definition's name, or its parts put together."""
    definition = model.getUnitDefinition(name) if name else None
    if definition is None:
        return "1" if name == "dimensionless" else name
    if definition.isSetName() and definition.getName():
        return str(definition.getName())
    return " ".join(_unit_part(u) for u in definition.getListOfUnits()) or "1"


def _unit_part(u: Any) -> str:
    import libsbml

    factor = u.getMultiplier() * 10.0 ** u.getScale()
    power = u.getExponentAsDouble()
    base = libsbml.UnitKind_toString(u.getKind())
    base = base if factor == 1 else f"({factor:g} {base})"
    return base if power == 1 else f"{base}^{power:g}"


def _rules(content: Content, scope: Scope) -> None:
    for rule in content.document.model.getListOfRules():
        expr = _math(content, rule, scope)
        if expr is not None and not rule.isAlgebraic():
            (content.rates if rule.isRate() else content.rules)[rule.getVariable()] = expr
            content.lines[rule.getVariable()] = rule.getLine()


def _starts(content: Content, scope: Scope) -> None:
    for start in content.document.model.getListOfInitialAssignments():
        expr = _math(content, start, scope)
        if expr is not None:
            content.starts[start.getSymbol()] = expr
            content.lines.setdefault(start.getSymbol(), start.getLine())


def _reaction(content: Content, scope: Scope, reaction: Any) -> None:
    name = reaction.getId()
    content.lines[name] = reaction.getLine()
    law = reaction.getKineticLaw()
    expr = None
    if law is not None:
        local: dict[str, Expr] = {}
        locals_ = law.getListOfLocalParameters() if reaction.getLevel() >= 3 else law.getListOfParameters()
        for p in locals_:
            own = content.unique(f"{name}_{p.getId()}")
            content.variables[own] = _parameter(content, p, own)
            local[p.getId()] = sym(own)
        expr = _math(content, law, replace(scope, local=local))
    flows = [flow for sign, references in ((-1, reaction.getListOfReactants()), (1, reaction.getListOfProducts()))
             for flow in (_flow(content, scope, r, name, sign) for r in references)]  # fmt: skip
    if expr is None:
        moved = [
            f.species for f in flows if f.species in content.variables and not content.variables[f.species].boundary
        ]
        if moved and not content.problems:
            why = f"the reaction has no kinetic law, so how fast it changes {moved[0]} is unknown."
            content.problems.append(content.document.problem(reaction, "", why, "Add a <kineticLaw> with a formula."))
        return
    content.reactions[name] = expr
    content.flows += flows


def _flow(content: Content, scope: Scope, reference: Any, reaction: str, sign: int) -> Flow:
    stoichiometry: Expr | None
    if reference.isSetStoichiometryMath() and reference.getStoichiometryMath().getMath() is not None:
        stoichiometry = _math(content, reference.getStoichiometryMath(), scope)
    elif reference.getLevel() >= 3 and reference.isSetId():
        name = reference.getId()
        given = reference.isSetStoichiometry()
        value = reference.getStoichiometry() if given else math.nan
        v = Variable(name, "stoichiometry", value, reference.getLine(), given, "1", reference.getName())
        _declare(content, v, reference)
        stoichiometry = sym(name)
    elif reference.getLevel() >= 3 and not reference.isSetStoichiometry():
        stoichiometry = None
        why = "the stoichiometry is not given, and SBML Level 3 has no default."
        content.problems.append(
            content.document.problem(reference, reference.getSpecies(), why, 'Write stoichiometry="1".')
        )
    else:
        stoichiometry = num(reference.getStoichiometry() / (reference.getDenominator() or 1))
    signed = num(0) if stoichiometry is None else stoichiometry
    if sign < 0:
        signed = num(-signed[1]) if signed[0] == "num" else ("neg", signed)
    return Flow(reference.getSpecies(), reaction, signed)


def _event(content: Content, scope: Scope, event: Any, k: int) -> None:
    trigger = event.getTrigger()
    condition = _math(content, trigger, scope) if trigger is not None else None
    if condition is None:
        return  # L3V2: an event without a trigger formula never happens
    changes = ((a.getVariable(), _math(content, a, scope)) for a in event.getListOfEventAssignments())
    modern = event.getLevel() >= 3
    content.events.append(
        Event(
            id=event.getId() or f"event_{k + 1}",
            trigger=condition,
            assignments=tuple((name, expr) for name, expr in changes if expr is not None),
            delay=_math(content, event.getDelay(), scope) if event.isSetDelay() else None,
            priority=_math(content, event.getPriority(), scope) if modern and event.isSetPriority() else None,
            persistent=trigger.getPersistent() if modern else True,
            initial_value=trigger.getInitialValue() if modern else True,
            values_from_trigger_time=event.getUseValuesFromTriggerTime(),
        )
    )
    content.lines[content.events[-1].id] = event.getLine()


def _undefined(content: Content) -> None:
    """Formulas that mention a name the model does not define."""
    known = {*content.variables, *content.reactions}
    places = [*content.rules.items(), *content.rates.items(), *content.starts.items(), *content.reactions.items()]
    places += [(f.reaction, f.stoichiometry) for f in content.flows]
    for e in content.events:
        parts = [e.trigger, *(expr for _, expr in e.assignments), *(x for x in (e.delay, e.priority) if x is not None)]
        places += [(e.id, part) for part in parts]
    for place, expr in places:
        for name in dict.fromkeys(symbols(expr)):
            bare = name.split(":")[-1]
            if bare not in known:
                why = f"the formula of {place} uses a name that has no value in the model."
                content.problems.append(
                    Problem(content.where(place), place, bare, why, "Declare it, or correct the name.")
                )

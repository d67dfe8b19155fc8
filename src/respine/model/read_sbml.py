"""SBML -> System: states are chosen so that every id means in the engine what SBML says it means in formulas."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from respine.errors import InputError, Problem
from respine.model.expression import Expr, evaluate, num, substitute, sym, symbols
from respine.model.mathml import RATE_OF, fold
from respine.model.order import circle, in_order
from respine.model.sbml_content import Content, Variable, read_content, unit_text
from respine.model.sbml_document import open_document
from respine.model.system import Event, Quantity, Species, System


def load_sbml(path_or_text: str | Path) -> System:
    """A system from SBML of any level. Raises InputError with every fault and every construct respine cannot solve."""
    document = open_document(path_or_text)
    try:
        return _Builder(read_content(document)).system()
    except RecursionError:
        why = "a formula is nested too deeply, or formulas need each other's values in a long circle."
        raise InputError(Problem(document.name, "<model>", "", why, "Write it in smaller parts.")) from None


class _Builder:
    """Turns declarations into equations: which symbols are states, rules, inputs, parameters, and their formulas."""

    def __init__(self, content: Content) -> None:
        self.content = content
        self.parameters: dict[str, float] = {}
        self.inputs: dict[str, float] = {}
        self.rules: dict[str, Expr] = {**content.rules, **content.reactions}
        self.rates: dict[str, Expr] = {}
        self.initial: dict[str, Expr] = {}
        self.amount_of: dict[str, str] = {}  # species whose amount has a symbol of its own
        self.rate_rules: dict[str, Expr] = {}  # what each rateOf marker means
        self.species: dict[str, Species] = {}
        self.changed = {name for event in content.events for name, _ in event.assignments}
        self.moving = {*content.rules, *content.rates, *self.changed}

    def system(self) -> System:
        content = self.content
        for variable in content.variables.values():
            if variable.kind == "species":
                self._species(variable)
            else:
                self._plain(variable)
        self._settle_starts()
        events = tuple(self._event(event) for event in content.events)
        self._resolve_rates_of(events)
        zero_rate = {name: num(0) for name in self.initial if name not in self.rates}
        self.rates |= zero_rate
        events = tuple(_without_markers(event, self._rate_symbol) for event in events)
        self._complain_about_missing_values(events)
        order = in_order({name: list(symbols(expr)) for name, expr in self.rules.items()}, self.content.where)
        rules = {name: self.rules[name] for name in order}
        model = content.document.model
        return System(
            name=model.getId() or "model",
            time_unit=_time_unit(model),
            parameters=self.parameters,
            inputs=self.inputs,
            rules=rules,
            rates=self.rates,
            initial={name: self.initial[name] for name in self.rates},
            events=events,
            quantities=self._quantities(rules),
            species=self.species,
        )

    # -- one variable at a time: state, rule, input or parameter, and its start ------------------------------------

    def _plain(self, v: Variable) -> None:
        """A compartment, parameter or stoichiometry."""
        if v.id in self.rules:
            return
        start = self.content.starts.get(v.id, num(v.value))
        self._hold(v.id, start, self.content.rates.get(v.id))

    def _hold(self, name: str, start: Expr, rate: Expr | None) -> None:
        """Give a symbol its start, and its rate where it has one."""
        if rate is not None:
            self.rates[name], self.initial[name] = rate, start
        elif start[0] != "num":
            self.initial[name] = start  # constant or event-driven; settled once all starts are known
        elif name in self.changed:
            self.inputs[name] = start[1]
        else:
            self.parameters[name] = start[1]

    def _species(self, v: Variable) -> None:
        as_amount = v.only_substance or v.dimensions == 0
        volume = sym(v.compartment)
        flow = self._flow(v)
        if as_amount:
            self.species[v.id] = Species(
                v.id, v.compartment, "amount", sym(v.id), ("div", sym(v.id), volume) if v.dimensions else None
            )
        else:
            self.species[v.id] = Species(v.id, v.compartment, "concentration", ("mul", sym(v.id), volume), sym(v.id))
        if v.id in self.rules:
            return
        rate = self.content.rates.get(v.id)
        jumps = v.compartment in self.changed  # a jump of the volume keeps amounts, so it dilutes concentrations
        if as_amount or v.compartment not in self.moving or (rate is not None and not jumps):
            if rate is None and flow is not None:
                rate = flow if as_amount else ("div", flow, volume)
            self._hold(v.id, self._start(v, as_amount), rate)
            return
        if rate is not None:  # a rule for the concentration, in a volume that also moves by events
            grown = self.content.rates.get(v.compartment)
            flow = ("mul", rate, volume)
            flow = flow if grown is None else ("add", flow, ("mul", sym(v.id), grown))
        # the volume moves: the amount is what is kept
        own = self.content.unique(f"{v.id}_amount")
        self.amount_of[v.id] = own
        if v.id in self.changed:
            self.changed.add(own)
        self._hold(own, self._start(v, True), flow)
        self.rules[v.id] = ("div", sym(own), volume)
        self.species[v.id] = Species(v.id, v.compartment, "concentration", sym(own), sym(v.id))

    def _flow(self, v: Variable) -> Expr | None:
        """Change of the species' amount by reactions, None where nothing changes it."""
        if v.boundary or v.constant:
            return None
        flows = [f for f in self.content.flows if f.species == v.id and f.stoichiometry != num(0)]
        if not flows:
            return None
        total = fold("add", [_times(f.stoichiometry, sym(f.reaction)) for f in flows])
        return ("mul", sym(v.conversion), total) if v.conversion else total

    def _start(self, v: Variable, as_amount: bool) -> Expr:
        """The species' start as amount or concentration, from what the file gives."""
        assigned = self.content.starts.get(v.id)
        if assigned is not None:
            given, given_amount = assigned, v.only_substance or v.dimensions == 0
        else:
            given, given_amount = num(v.value), v.initial_is_amount or v.dimensions == 0
        if given_amount == as_amount or given == num(0):
            return given
        volume = self._fixed_size(v.compartment)
        if given[0] == "num" and math.isnan(given[1]):
            return given
        if given[0] == "num" and volume and self._flow(v) is None and v.id not in self.content.rates:
            return num(given[1] * volume if as_amount else given[1] / volume)  # stays a number a user can change
        return ("mul", given, sym(v.compartment)) if as_amount else ("div", given, sym(v.compartment))

    def _fixed_size(self, compartment: str) -> float:
        """A compartment's size where it is a plain number for good, else 0."""
        value = self.content.variables[compartment].value
        fixed = compartment not in self.moving and compartment not in self.content.starts and math.isfinite(value)
        return value if fixed else 0.0

    # -- starts of symbols that have no rate ---------------------------------------------------------------------

    def _settle_starts(self) -> None:
        """Symbols with a computed start and no rate: rules of constants, or, if events change them, resting states."""
        for name in [n for n in self.initial if n not in self.rates and n not in self.changed]:
            expr = self._at_start(self.initial[name], (name,))
            if not any(True for _ in symbols(expr)):
                self.parameters[name] = float(evaluate(expr, {}, 0.0))
            else:
                self.rules[name] = expr
        for name in [n for n in self.initial if n in self.rules or n in self.parameters]:
            del self.initial[name]
        self.initial = {name: substitute_time(expr) for name, expr in self.initial.items()}

    def _at_start(self, expr: Expr, path: tuple[str, ...]) -> Expr:
        """The expression at the start of time, over parameters only."""
        values: dict[str, Expr] = {}
        for name in dict.fromkeys(symbols(expr)):
            if name in path:
                raise circle([*path[path.index(name) :], name], self.content.where)
            if name.startswith(RATE_OF):
                inner: Expr = self._rate_expression(name.removeprefix(RATE_OF))
                values[name] = self._at_start(inner, (*path, name))
            elif name in self.inputs:
                values[name] = num(self.inputs[name])
            elif name in self.initial:
                values[name] = self._at_start(self.initial[name], (*path, name))
            elif name in self.rules:
                values[name] = self._at_start(self.rules[name], (*path, name))
        return substitute_time(substitute(expr, values))

    # -- events --------------------------------------------------------------------------------------------------

    def _event(self, event: Event) -> Event:
        """The event with assignments to the symbols the engine holds."""
        assignments = tuple((self.amount_of.get(name, name), expr) for name, expr in event.assignments)
        kept = [name for name, _ in event.assignments if name in self.amount_of]
        volumes = tuple((self.amount_of[name], self.content.variables[name].compartment) for name in kept)
        return Event(**{**event.__dict__, "assignments": assignments, "by_volume": volumes})

    # -- rateOf --------------------------------------------------------------------------------------------------

    def _resolve_rates_of(self, events: Iterable[Event]) -> None:
        wanted = {s for table in (self.rules, self.rates, self.initial) for e in table.values() for s in symbols(e)}
        wanted |= {s for event in events for e in _formulas(event) for s in symbols(e)}
        for marker in sorted(s for s in wanted if s.startswith(RATE_OF)):
            self._rate_symbol(marker)
        for table in (self.rules, self.rates, self.initial):
            for name, expr in list(table.items()):
                table[name] = _replace_markers(expr, self._rate_symbol)

    def _rate_symbol(self, marker: str) -> Expr:
        """A rule that holds the rate of a symbol, made on first use."""
        made = self.rate_rules
        if marker not in made:
            expr = self._rate_expression(marker.removeprefix(RATE_OF))
            if expr[0] == "num":
                made[marker] = expr
            else:
                name = self.content.unique(f"rate_of_{marker.removeprefix(RATE_OF)}")
                made[marker] = sym(name)
                self.rules[name] = num(0)  # holds the place while inner markers are resolved
                self.rules[name] = _replace_markers(expr, self._rate_symbol)
        return made[marker]

    def _rate_expression(self, name: str) -> Expr:
        if name in self.rates:
            return self.rates[name]
        if name in self.amount_of:
            volume = self.content.variables[name].compartment
            moved: Expr = self.rates.get(self.amount_of[name], num(0))
            grown = self._rate_expression(volume)
            if grown == num(0):
                return ("div", moved, sym(volume))
            return ("div", ("sub", moved, ("mul", sym(name), grown)), sym(volume))
        if name in self.rules and name in {*self.content.rules, *self.content.reactions}:
            where = self.content.where(name)
            why = "rateOf of a symbol that an assignment rule or a reaction determines has no formula to take."
            raise InputError(Problem(where, name, f"rateOf({name})", why, "Write the derivative out."))
        return num(0)

    # -- order and completeness ----------------------------------------------------------------------------------

    def _complain_about_missing_values(self, events: Iterable[Event]) -> None:
        """A symbol without a value is an error where anything depends on it; elsewhere it stays NaN."""
        used = {s for table in (self.rules, self.rates, self.initial) for e in table.values() for s in symbols(e)}
        used |= {s for event in events for e in _formulas(event) for s in symbols(e)}
        used |= set(self.rates)
        empty = [n for n, v in {**self.parameters, **self.inputs}.items() if math.isnan(v) and n in used]
        empty += [n for n, e in self.initial.items() if e[0] == "num" and math.isnan(e[1])]
        back = {own: s for s, own in self.amount_of.items()}
        problems = []
        for name in empty:
            public = back.get(name, name)
            v = self.content.variables.get(public)
            if v is None or v.given or public in self.content.starts or public in self.changed:
                continue
            where = f"{self.content.document.name}:{v.line}"
            why = f"the {v.kind} has no value, and formulas of the model need it."
            problems.append(
                Problem(where, f"{v.kind} {public}", "", why, "Give it a value, an initial assignment or a rule.")
            )
        if problems:
            raise InputError(*problems)

    def _quantities(self, rules: Iterable[str]) -> dict[str, Quantity]:
        roles = dict.fromkeys(self.parameters, "parameter") | dict.fromkeys(self.inputs, "input")
        roles |= dict.fromkeys(self.rates, "state") | dict.fromkeys(rules, "rule")
        out = {}
        for name, role in roles.items():
            v = self.content.variables.get(name)
            start = self.initial.get(name)
            value = self.parameters.get(name, self.inputs.get(name, start[1] if start and start[0] == "num" else None))
            unit = self._species_unit(v) if v else ""
            line = v.line if v else self.content.lines.get(name, 0)
            out[name] = Quantity(
                name, role, unit, value, v.label if v else "", file=self.content.document.name, line=line
            )
        return out

    def _species_unit(self, v: Variable) -> str:
        if v.kind != "species" or self.species[v.id].means == "amount" or not v.unit:
            return v.unit
        return f"{v.unit}/{self.content.variables[v.compartment].unit or 'volume'}"


def substitute_time(expr: Expr) -> Expr:
    """The expression at time 0, where SBML starts."""
    if expr[0] == "time":
        return num(0)
    if expr[0] in ("num", "sym"):
        return expr
    return (expr[0], *(substitute_time(part) for part in expr[1:]))


def _times(factor: Expr, of: Expr) -> Expr:
    if factor == num(1):
        return of
    return ("neg", of) if factor == num(-1) else ("mul", factor, of)


def _formulas(event: Event) -> list[Expr]:
    optional = [part for part in (event.delay, event.priority) if part is not None]
    return [event.trigger, *(expr for _, expr in event.assignments), *optional]


def _replace_markers(expr: Expr, rate_symbol: Callable[[str], Expr]) -> Expr:
    markers = {s: rate_symbol(s) for s in symbols(expr) if s.startswith(RATE_OF)}
    return substitute(expr, markers) if markers else expr


def _without_markers(event: Event, rate_symbol: Callable[[str], Expr]) -> Event:
    clean = {
        "trigger": _replace_markers(event.trigger, rate_symbol),
        "assignments": tuple((name, _replace_markers(expr, rate_symbol)) for name, expr in event.assignments),
        "delay": None if event.delay is None else _replace_markers(event.delay, rate_symbol),
        "priority": None if event.priority is None else _replace_markers(event.priority, rate_symbol),
    }
    return Event(**{**event.__dict__, **clean})


def _time_unit(model: Any) -> str:
    name = model.getTimeUnits() if model.getLevel() >= 3 else "time"
    text = unit_text(model, name)
    return "second" if text == "time" else text

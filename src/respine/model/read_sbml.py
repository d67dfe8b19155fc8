"""SBML -> System: states are chosen so that every id means in the engine what SBML says it means in formulas."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace

from respine.errors import InputError, Problem
from respine.model.content import Content, Variable
from respine.model.expression import (
    RATE_OF,
    Expr,
    evaluate,
    fold,
    mentions_time,
    num,
    rebuild,
    substitute,
    sym,
    symbols,
)
from respine.model.limits import LIMITS, Limits
from respine.model.order import in_order
from respine.model.sharing import Key, Shared, TooLarge, name_repeated_parts
from respine.model.system import Event, Quantity, Species, System


def system_of(content: Content, limits: Limits = LIMITS) -> System:
    """The equations of what a document declares. Raises InputError."""
    try:
        return _Builder(content, limits).system()
    except TooLarge:
        why = f"its start values, written out, have more than {limits.terms:,} different terms."
        cure = "Write some of the initial assignments as rules, or limits=Limits(terms=...)."
        raise InputError(Problem(content.name, "starts", "", why, cure)) from None


class _Builder:
    """Turns declarations into equations: which symbols are states, rules, inputs, parameters, and their formulas."""

    def __init__(self, content: Content, limits: Limits) -> None:
        self.content, self.limits = content, limits
        self.parameters: dict[str, float] = {}
        self.inputs: dict[str, float] = {}
        self.rules: dict[str, Expr] = {**content.rules, **content.reactions}
        self.rates: dict[str, Expr] = {}
        self.initial: dict[str, Expr] = {}
        self.amount_of: dict[str, str] = {}  # species whose amount has a symbol of its own
        self.rate_rules: dict[str, Expr] = {}  # what each rateOf marker means
        self.species: dict[str, Species] = {}
        self.flows = _by_species(content)
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
        events = self._name_repeated_parts(events)
        needs = {name: list(symbols(expr)) for name, expr in self.rules.items()}
        rules = {name: self.rules[name] for name in in_order(needs, content.where)}
        in_order(needs | {name: list(symbols(expr)) for name, expr in self.initial.items()}, content.where)
        return System(
            name=content.model,
            time_unit=content.time_unit,
            parameters=self.parameters,
            inputs=self.inputs,
            rules=rules,
            rates=self.rates,
            initial={name: self.initial[name] for name in self.rates},
            events=events,
            quantities=self._quantities(rules),
            species=self.species,
            notes=content.notes,
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
        flows = self.flows.get(v.id)
        if not flows:
            return None
        total = fold("add", flows)
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
        settled = [n for n in self.initial if n not in self.rates and n not in self.changed]
        at_start = self._at_start(settled)
        for name in settled:
            expr = at_start[name]
            if any(True for _ in symbols(expr)):
                self.rules[name] = expr
            else:
                self.parameters[name] = float(evaluate(expr, {}, 0.0))
            del self.initial[name]
        self.initial = {name: _at_time_zero(expr) for name, expr in self.initial.items()}

    def _at_start(self, settled: list[str]) -> dict[str, Expr]:
        """What each of these constants is at the start of time, over symbols that never change."""
        formulas, order = self._formulas_at_start(settled)
        fixed = set(settled)
        shared = Shared(self.limits.terms)
        known: dict[str, Expr] = {}
        for name in order:
            needed = set(symbols(formulas[name]))
            if name in self.rules and not mentions_time(self.rules[name]) and not (needed & formulas.keys()) - fixed:
                fixed.add(name)
            values = {s: shared.intern(sym(s) if s in fixed else known[s]) for s in needed & formulas.keys()}
            known[name] = shared.substitute(shared.intern(formulas[name]), values)
        return {name: known[name] for name in settled}

    def _formulas_at_start(self, settled: list[str]) -> tuple[dict[str, Expr], list[str]]:
        """The formulas behind these names, at time 0, and an order in which to evaluate them. Raises InputError."""
        formulas: dict[str, Expr] = {}
        waiting = list(settled)
        while waiting:
            name = waiting.pop()
            if name in formulas:
                continue
            expr = self._formula_at_start(name)
            if expr is not None:
                formulas[name] = _at_time_zero(expr)
                waiting += symbols(formulas[name])
        needs = {name: list(symbols(expr)) for name, expr in formulas.items()}
        return formulas, in_order(needs, self.content.where)

    def _formula_at_start(self, name: str) -> Expr | None:
        """What a symbol is at the start of time; None for a parameter, which is itself."""
        if name.startswith(RATE_OF):
            return self._rate_expression(name.removeprefix(RATE_OF))
        if name in self.inputs:
            return num(self.inputs[name])
        return self.initial.get(name, self.rules.get(name))

    # -- events --------------------------------------------------------------------------------------------------

    def _event(self, event: Event) -> Event:
        """The event with assignments to the symbols the engine holds."""
        assignments = tuple((self.amount_of.get(name, name), expr) for name, expr in event.assignments)
        kept = [name for name, _ in event.assignments if name in self.amount_of]
        volumes = tuple((self.amount_of[name], self.content.variables[name].compartment) for name in kept)
        return replace(event, assignments=assignments, by_volume=volumes)

    # -- rateOf --------------------------------------------------------------------------------------------------

    def _resolve_rates_of(self, events: Iterable[Event]) -> None:
        wanted = {s for table in (self.rules, self.rates, self.initial) for e in table.values() for s in symbols(e)}
        wanted |= {s for event in events for e in event.formulas().values() for s in symbols(e)}
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

    def _name_repeated_parts(self, events: tuple[Event, ...]) -> tuple[Event, ...]:
        """Large formulas keep each repeated part once, as a rule; most were named when they were read."""
        tables = {"rules": self.rules, "rates": self.rates, "initial": self.initial}
        formulas: dict[Key, Expr] = {(n, slot): e for slot, table in tables.items() for n, e in table.items()}
        for k, event in enumerate(events):
            formulas |= {(event.id, str(k), part): expr for part, expr in event.formulas().items()}
        written, parts = name_repeated_parts(formulas, self.limits.terms, self.content.unique)
        for slot, table in tables.items():
            table.update({name: written[name, slot] for name in table})
        self.rules |= {name: expr for name, (_, expr) in parts.items()}
        self.content.lines |= {name: self.content.lines.get(owner, 0) for name, (owner, _) in parts.items()}
        return tuple(
            event.with_formulas({part: written[event.id, str(k), part] for part in event.formulas()})
            for k, event in enumerate(events)
        )

    # -- order and completeness ----------------------------------------------------------------------------------

    def _complain_about_missing_values(self, events: Iterable[Event]) -> None:
        """A symbol without a value is an error where anything depends on it; elsewhere it stays NaN."""
        used = {s for table in (self.rules, self.rates, self.initial) for e in table.values() for s in symbols(e)}
        used |= {s for event in events for e in event.formulas().values() for s in symbols(e)}
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
            where = self.content.at(v.line)
            kind = "state" if public in self.rates and v.kind == "parameter" else v.kind
            why = f"the {kind} has no value, and formulas of the model need it."
            cure = f'Give it a value, an initial assignment or a rule; or load(..., values={{"{public}": 1.0}}).'
            problems.append(Problem(where, f"{kind} {public}", "", why, cure))
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
            out[name] = Quantity(name, role, unit, value, v.label if v else "", file=self.content.name, line=line)
        return out

    def _species_unit(self, v: Variable) -> str:
        if v.kind != "species" or self.species[v.id].means == "amount" or not v.unit:
            return v.unit
        return f"{v.unit}/{self.content.variables[v.compartment].unit or 'volume'}"


def _at_time_zero(expr: Expr) -> Expr:
    """The expression at time 0, where SBML starts."""
    return rebuild(expr, lambda leaf: num(0) if leaf[0] == "time" else leaf)


def _by_species(content: Content) -> dict[str, list[Expr]]:
    """What each species gains per time, reaction by reaction."""
    flows: dict[str, list[Expr]] = {}
    for f in content.flows:
        if f.stoichiometry != num(0):
            flows.setdefault(f.species, []).append(_times(f.stoichiometry, sym(f.reaction)))
    return flows


def _times(factor: Expr, of: Expr) -> Expr:
    if factor == num(1):
        return of
    return ("neg", of) if factor == num(-1) else ("mul", factor, of)


def _replace_markers(expr: Expr, rate_symbol: Callable[[str], Expr]) -> Expr:
    markers = {s: rate_symbol(s) for s in symbols(expr) if s.startswith(RATE_OF)}
    return substitute(expr, markers) if markers else expr


def _without_markers(event: Event, rate_symbol: Callable[[str], Expr]) -> Event:
    return event.with_formulas({part: _replace_markers(e, rate_symbol) for part, e in event.formulas().items()})

"""One checked system of equations: what the model room hands to every room below it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from respine.files.html import card
from respine.model.expression import Expr, symbols


@dataclass(frozen=True)
class Quantity:
    """What is known of one symbol: unit, value, source.

    ``role`` is ``state``, ``rule``, ``parameter`` or ``input``. ``low``/``high`` bound the typical value with 90 %
    belief; ``variability`` is the between-subject CV (log-normal) or SD (normal, logit), 0 where people do not differ.
    """

    id: str
    role: str
    unit: str
    value: float | None = None
    label: str = ""
    status: str = ""
    source: str = ""
    where: str = ""
    population: str = ""
    low: float | None = None
    high: float | None = None
    distribution: str = "fixed"
    variability: float = 0.0
    note: str = ""
    file: str = ""
    line: int = 0


@dataclass(frozen=True)
class Event:
    """An SBML event: when ``trigger`` turns true, ``assignments`` happen (after ``delay``).

    ``by_volume`` pairs an assigned state with a compartment: the assigned concentration becomes the state's amount
    in the size the compartment has before the event's assignments.
    """

    id: str
    trigger: Expr
    assignments: tuple[tuple[str, Expr], ...]
    delay: Expr | None = None
    priority: Expr | None = None
    persistent: bool = True
    initial_value: bool = True
    values_from_trigger_time: bool = True
    by_volume: tuple[tuple[str, str], ...] = ()

    def formulas(self) -> dict[str, Expr]:
        """Every formula of the event: trigger, delay and priority where it has them, and assignments by their number."""
        optional = {"delay": self.delay, "priority": self.priority}
        given = {"trigger": self.trigger} | {part: expr for part, expr in optional.items() if expr is not None}
        return given | {str(k): expr for k, (_, expr) in enumerate(self.assignments)}

    def with_formulas(self, formulas: Mapping[str, Expr]) -> Event:
        """The event with other formulas in the places that ``formulas()`` names."""
        changes = tuple((name, formulas[str(k)]) for k, (name, _) in enumerate(self.assignments))
        delay, priority = formulas.get("delay"), formulas.get("priority")
        return replace(self, trigger=formulas["trigger"], assignments=changes, delay=delay, priority=priority)


@dataclass(frozen=True)
class Species:
    """An SBML species: its id means an amount or a concentration in formulas; both can be asked for.

    ``concentration`` is None where the compartment has no size (0-dimensional).
    """

    id: str
    compartment: str
    means: str  # "amount" or "concentration"
    amount: Expr
    concentration: Expr | None


@dataclass(frozen=True)
class System:
    """Equations with every symbol resolved.

    ``parameters`` are constant in time; ``inputs`` are piecewise constant in time (a study or an event changes them)
    and carry their value at the start; ``rules`` are assignment rules in an order in which they can be evaluated;
    ``rates`` gives d(state)/d(time) per ``time_unit``; ``initial`` gives each state's start, over parameters, inputs,
    rules and other states' starts. ``notes`` say what the model's file holds and respine does not read.
    """

    name: str
    time_unit: str
    parameters: Mapping[str, float]
    inputs: Mapping[str, float]
    rules: Mapping[str, Expr]
    rates: Mapping[str, Expr]
    initial: Mapping[str, Expr]
    events: tuple[Event, ...] = ()
    quantities: Mapping[str, Quantity] = field(default_factory=dict)
    species: Mapping[str, Species] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return (
            f"System {self.name}: {len(self.rates)} states, {len(self.rules)} rules, {len(self.parameters)} parameters, "
            f"{len(self.inputs)} inputs, {len(self.events)} events; time in {self.time_unit}"
        )

    def _repr_html_(self) -> str:
        labels = {id: q for id, q in self.quantities.items()}
        rows = [
            (id, labels[id].label if id in labels else "", labels[id].unit if id in labels else "") for id in self.rates
        ]
        facts = [("states", len(self.rates)), ("rules", len(self.rules)), ("parameters", len(self.parameters)),
                 ("inputs", ", ".join(self.inputs)), ("time", self.time_unit)]  # fmt: skip
        return card(f"System {self.name}", facts, ("state", "what it is", "unit"), rows)

    @property
    def states(self) -> tuple[str, ...]:
        """Names of the states, in the order of every state vector."""
        return tuple(self.rates)

    def dependencies(self, names: Iterable[str], live: Collection[str] | None = None) -> set[str]:
        """Everything from which ``names`` are computed, themselves included: through rules, starts, rates and events.

        ``live``: the states whose rates count; all of them where it is left out.
        """
        known: set[str] = set()
        waiting = [
            *names,
            *(name for event in self.events for expr in event.formulas().values() for name in symbols(expr)),
        ]
        while waiting:
            name = waiting.pop()
            if name in known:
                continue
            known.add(name)
            rate = self.rates.get(name) if live is None or name in live else None
            for formula in (self.rules.get(name), self.initial.get(name), rate):
                waiting += symbols(formula) if formula is not None else ()
        return known

    def with_rules(self, rules: Mapping[str, Expr]) -> System:
        """The same system with further assignment rules, each over symbols it already has.

        ``system.with_rules({"S1_mmol": system.species["S1"].amount})`` makes an amount an output. Raises KeyError.
        """
        known = {*self.parameters, *self.inputs, *self.rules, *self.rates}
        for name, expr in rules.items():
            missing = [s for s in symbols(expr) if s not in known]
            if missing or name in known:
                raise KeyError(f"{name}: {missing[0]} is not in the model" if missing else f"{name} is taken")
            known.add(name)
        return replace(self, rules={**self.rules, **rules})

    def provenance(self) -> list[dict[str, object]]:
        """One row a symbol: id, role, value, unit, belief, spread between people, status, source, where, note, file."""
        return [
            {
                "id": q.id, "role": q.role, "label": q.label, "value": q.value, "unit": q.unit, "low": q.low,
                "high": q.high, "distribution": q.distribution, "variability": q.variability, "status": q.status,
                "source": q.source, "where": q.where, "population": q.population, "note": q.note,
                "file": f"{q.file}:{q.line}" if q.file else "",
            }
            for q in self.quantities.values()
        ]  # fmt: skip

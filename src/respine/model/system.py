"""One checked system of equations: what the model room hands to every room below it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from respine.model.expression import Expr


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
    """An SBML event: when ``trigger`` turns true, ``assignments`` happen (after ``delay``)."""

    id: str
    trigger: Expr
    assignments: tuple[tuple[str, Expr], ...]
    delay: Expr | None = None
    priority: Expr | None = None
    persistent: bool = True
    initial_value: bool = True
    values_from_trigger_time: bool = True


@dataclass(frozen=True)
class System:
    """Equations with every symbol resolved.

    ``parameters`` are constant in time; ``inputs`` are piecewise constant in time (a study or an event changes them) and
    carry their value at the start; ``rules`` are assignment rules in an order in which they can be evaluated; ``rates``
    gives d(state)/d(time) per ``time_unit``; ``initial`` gives each state's start, over parameters, inputs and rules.
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

    @property
    def states(self) -> tuple[str, ...]:
        """Names of the states, in the order of every state vector."""
        return tuple(self.rates)

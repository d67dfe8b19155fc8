"""What an SBML model declares, as plain Python: variables, rules, reactions, events. No meaning is resolved here.

Nothing here is an object of libSBML, so that it can come from another process, and libSBML need not be there.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from respine.model.expression import Expr
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
    """Everything a model declares; formulas are expressions with function definitions and local names resolved.

    ``name`` is what messages call the document, ``notes`` what it holds and nobody reads, ``parts`` the repeated parts
    of large formulas, which stand among the rules.
    """

    name: str
    model: str = ""
    time_unit: str = ""
    notes: tuple[str, ...] = ()
    variables: dict[str, Variable] = field(default_factory=dict)
    rules: dict[str, Expr] = field(default_factory=dict)
    rates: dict[str, Expr] = field(default_factory=dict)
    starts: dict[str, Expr] = field(default_factory=dict)
    reactions: dict[str, Expr] = field(default_factory=dict)
    flows: list[Flow] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    lines: dict[str, int] = field(default_factory=dict)  # where each rule, rate, reaction or start is written
    taken: set[str] = field(default_factory=set)
    parts: frozenset[str] = frozenset()

    def unique(self, name: str) -> str:
        """A name nothing in the model has."""
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        return name

    def where(self, name: str) -> str:
        """Where the formula of a symbol is written: ``file:line``, or the file where the line is unknown."""
        return self.at(self.lines.get(name, 0))

    def at(self, line: int) -> str:
        return f"{self.name}:{line}" if line else self.name

"""Which states of a model a drug enters by each route: what a data set's compartments are mapped to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from typing import TYPE_CHECKING

from respine import library
from respine.errors import InputError, Problem
from respine.model.infix import infix

if TYPE_CHECKING:
    import pandas as pd

    from respine.model.expression import Expr


@dataclass(frozen=True)
class DosedState:
    """One state that a dose enters.

    ``share`` of the dose and ``later_share`` (second and later sprays) are numbers or formulas of the model's parameters;
    ``duration``: hours (number or formula) over which it enters at a constant rate, empty where it enters at once or over
    the length of the infusion; ``unit``: the customary unit of the dose. The states themselves hold mg.
    """

    drug: str
    route: str
    state: str
    share: str
    later_share: str
    duration: str
    unit: str


def dosed_states(species: str = "human", drug: str | None = None, route: str | None = None) -> pd.DataFrame:
    """A row per drug, route and state: ``drug, route, state, share, later_share, duration, unit``.

    ``drug`` and ``route`` keep one of each (aliases of a drug are understood). Drugs that only hold an input of the
    model at a level enter no state and have no row. Raises InputError for a drug, species or route that is not known.
    """
    import pandas as pd

    names = library.names("drugs") if drug is None else [drug_of(drug)]
    rows = [row for name in names for row in of_drug(name, species) if route in (None, row.route)]
    if not rows and (drug is not None or route is not None):
        _refuse(species, drug, route)
    return pd.DataFrame([asdict(row) for row in rows], columns=[field.name for field in fields(DosedState)])


def drug_of(name: str) -> str:
    """The drug file that a name or alias means. Raises InputError."""
    from respine.study import treatments

    known = treatments.drug_names(library.BUILT_IN)
    if name not in known:
        near = get_close_matches(name, known, 3)
        cure = f"Write {' or '.join(near)}." if near else f"Drugs are {', '.join(library.names('drugs'))}."
        raise InputError(Problem("library", "drug", name, "The library has no drug of that name.", cure))
    return known[name]


def of_drug(name: str, species: str) -> Iterator[DosedState]:
    """The rows of one drug file."""
    from respine.study import treatments

    for route, way in treatments.drug(library.BUILT_IN, name).species.get(species, {}).items():
        for part in way.into:
            yield DosedState(name, route, part.state, _text(part.fraction), _text(part.later), _text(part.duration),
                             way.dose[0].unit if way.dose else "")  # fmt: skip


def _text(formula: Expr | None) -> str:
    return "" if formula is None else infix(formula)


def _refuse(species: str, drug: str | None, route: str | None) -> None:
    """Says which routes there are, or that nothing of a drug enters a state."""
    from respine.study import treatments

    names = library.names("drugs") if drug is None else [drug_of(drug)]
    every = {name: treatments.drug(library.BUILT_IN, name).species.get(species, {}) for name in names}
    routes = sorted({r for ways in every.values() for r in ways})
    who = drug or "a drug"
    if not routes:
        has = sorted({s for name in names for s in treatments.drug(library.BUILT_IN, name).species})
        why, cure = f"{who} is not described in {species}.", f"Species are {', '.join(has)}."
        raise InputError(Problem("dosed_states", "species", species, why, cure))
    if route is not None and route not in routes:
        cure = f"Routes are {', '.join(routes)}."
        raise InputError(Problem("dosed_states", "route", route, f"{who} has no such route in {species}.", cure))

"""Is this a dose that can enter a state of the model, and are there weights for a dose per kg?"""

from __future__ import annotations

from typing import Any

from respine.files import units
from respine.files.fields import Amount
from respine.files.suggest import nearest
from respine.files.yaml_file import Place
from respine.study.context import Context, attempt
from respine.study.schema import Dose


def check(context: Context, place: Place, raw: dict[str, Any]) -> None:
    """A dose that goes straight into a state: the model has the state, and nothing is said of drug, route or sprays."""
    for field in ("drug", "route", "sprays", "per-spray", "apart"):
        if field in raw:
            context.doc.problem((*place, field), f'"into" and "{field}" exclude each other.', "Keep one.")
    if "amount" not in raw:
        context.doc.problem(place, "A dose into a state needs an amount.", 'Add "amount: 100 mg".', seen="")
    state = raw["into"]
    if context.known is not None and isinstance(state, str) and state not in context.known.states:
        why = f"The {context.known.model} model has no state of this name."
        context.doc.problem((*place, "into"), why, nearest(state, context.known.states))
    parsed = attempt(Dose, raw)
    if parsed is not None:
        _is_amount(context, (*place, "amount"), parsed.amount)
        weighed(context, place, parsed.amount, None)


def _is_amount(context: Context, place: Place, amount: Amount | None) -> None:
    """A word of a model's own may be its unit of amount; a time, a share or an amount per area is none."""
    base, per, by = ("", "", "") if amount is None else amount.unit.partition("/")
    if base in units.HOURS or base == "%" or (per and by != "kg"):
        why = "This is no amount that can enter a state."
        context.doc.problem(place, why, 'Write an amount, per kg of body weight or not: "100 mg", "0.5 mg/kg".')


def weighed(context: Context, place: Place, whole: Amount | None, spray: Amount | None) -> None:
    """A dose per kg, as a whole or a spray, needs people who weigh something."""
    field = "amount" if whole is not None else "per-spray"
    amount = whole or spray
    if amount is None or not amount.unit.endswith("/kg") or context.population is None:
        return
    own = context.doc.data.get("covariates")
    known = {*context.population.covariates, *(own if isinstance(own, dict) else ())}
    if "weight_kg" not in known and not context.doc.data.get("people"):
        why = "A dose per kg needs a body weight, and nobody of this population has one."
        cure = (
            'Write the amount without "/kg"; or give people a covariate weight_kg, which the model has as a parameter.'
        )
        context.doc.problem((*place, field), why, cure)

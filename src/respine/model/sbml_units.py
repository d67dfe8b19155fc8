"""Units of an SBML document as texts that respine reads again."""

from __future__ import annotations

import math
from typing import Any

from respine.model.units import Unit, UnknownUnit, parse

_TIMES = {1: "second", 60: "min", 3600: "hour", 86_400: "day", 604_800: "week", 31_557_600: "year"}


def time_unit(model: Any) -> str:
    """The unit of time by its name where that says what it is, else by its length in seconds."""
    name = model.getTimeUnits() if model.getLevel() >= 3 else "time"
    text = unit_text(model, name)
    definition = model.getUnitDefinition(name) if name else None
    if definition is None or not definition.isVariantOfTime():
        return "second" if text == "time" else text
    seconds = math.prod((u.getMultiplier() * 10.0 ** u.getScale()) ** u.getExponentAsDouble()
                        for u in definition.getListOfUnits())  # fmt: skip
    try:
        if parse(text).same(Unit(seconds, parse("second").powers)):
            return text
    except UnknownUnit:
        pass
    return next((word for length, word in _TIMES.items() if math.isclose(length, seconds)), f"({seconds:g} second)")


def unit_text(model: Any, name: str) -> str:
    """A unit as a person writes it: the definition's name where that is no other unit, or its parts put together."""
    definition = model.getUnitDefinition(name) if name else None
    if definition is None or definition.getNumUnits() == 0:  # a word that nothing explains: Antimony's "has furlong"
        return "1" if name == "dimensionless" else name
    parts = "*".join(_unit_part(u) for u in definition.getListOfUnits())
    named = str(definition.getName()) if definition.isSetName() else ""
    return parts if not named or _contradicts(named, parts) else named


def _contradicts(name: str, parts: str) -> bool:
    """Whether a name says one unit and its parts another: a name is free text."""
    try:
        return not parse(name).same(parse(parts))
    except UnknownUnit:
        return False


_SIGNS = {"gram": "g", "mole": "mol", "litre": "L", "metre": "m", "second": "s"}
_PREFIXES = {-15: "f", -12: "p", -9: "n", -6: "u", -3: "m", 0: "", 3: "k"}
_TIME_SIGNS = {60: "min", 3600: "h", 86_400: "d"}


def _unit_part(u: Any) -> str:
    """A part in the signs that units are written with (``mg``, ``h^-1``), so that it can be read again."""
    import libsbml

    factor = u.getMultiplier() * 10.0 ** u.getScale()
    power = u.getExponentAsDouble()
    word = base = libsbml.UnitKind_toString(u.getKind())
    exponent = round(math.log10(factor)) if factor > 0 else 0
    if base == "second" and factor in _TIME_SIGNS:
        word = _TIME_SIGNS[int(factor)]
    elif base in _SIGNS and exponent in _PREFIXES and math.isclose(factor, 10.0**exponent):
        word = _PREFIXES[exponent] + _SIGNS[base]
    elif factor != 1:
        word = f"({factor:g} {base})"
    return word if power == 1 else f"{word}^{power:g}"

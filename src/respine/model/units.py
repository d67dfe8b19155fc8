"""Unit text ("ng/mL", "1/(uM*h)", "mg/kg^0.75") -> powers of the SI base units and a factor, and SBML unit parts.

A parser of our own because a model must load in a fraction of pint's import time.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cache

BASES = ("kilogram", "metre", "second", "mole", "ampere", "kelvin", "candela")
Powers = tuple[float, ...]


@dataclass(frozen=True)
class Unit:
    """``factor`` times a product of base units: ``powers`` in the order of ``BASES``. 1 h = 3600 s."""

    factor: float
    powers: Powers

    def __mul__(self, other: Unit) -> Unit:
        powers = tuple(a + b for a, b in zip(self.powers, other.powers, strict=True))
        return Unit(self.factor * other.factor, powers)

    def __truediv__(self, other: Unit) -> Unit:
        return self * other**-1

    def __pow__(self, exponent: float) -> Unit:
        return Unit(self.factor**exponent, tuple(p * exponent for p in self.powers))

    def same(self, other: Unit) -> bool:
        """Whether both measure the same kind of thing on the same scale (mg/L is ug/mL, but not ng/mL)."""
        return self.alike(other) and math.isclose(self.factor, other.factor, rel_tol=1e-9)

    def alike(self, other: Unit) -> bool:
        """Whether both measure the same kind of thing, on whatever scale."""
        return all(math.isclose(a, b, abs_tol=1e-9) for a, b in zip(self.powers, other.powers, strict=True))


@dataclass(frozen=True)
class Part:
    """One factor of a unit in SBML's terms: (multiplier * 10^scale * kind)^exponent."""

    kind: str
    exponent: float = 1
    scale: int = 0
    multiplier: float = 1.0


class UnknownUnit(ValueError):
    """The text is not a unit respine knows; the message says which part."""


def _base(**powers: float) -> Powers:
    return tuple(float(powers.get(base, 0)) for base in BASES)


NONE = Unit(1.0, _base())
HOUR = Unit(3600.0, _base(second=1))

_SI: dict[str, Unit] = {  # SBML's own kinds that we use
    "dimensionless": NONE,
    "kilogram": Unit(1, _base(kilogram=1)),
    "gram": Unit(1e-3, _base(kilogram=1)),
    "metre": Unit(1, _base(metre=1)),
    "second": Unit(1, _base(second=1)),
    "mole": Unit(1, _base(mole=1)),
    "litre": Unit(1e-3, _base(metre=3)),
    "ampere": Unit(1, _base(ampere=1)),
    "kelvin": Unit(1, _base(kelvin=1)),
    "candela": Unit(1, _base(candela=1)),
    "pascal": Unit(1, _base(kilogram=1, metre=-1, second=-2)),
    "newton": Unit(1, _base(kilogram=1, metre=1, second=-2)),
    "joule": Unit(1, _base(kilogram=1, metre=2, second=-2)),
    "watt": Unit(1, _base(kilogram=1, metre=2, second=-3)),
    "volt": Unit(1, _base(kilogram=1, metre=2, second=-3, ampere=-1)),
    "coulomb": Unit(1, _base(second=1, ampere=1)),
    "ohm": Unit(1, _base(kilogram=1, metre=2, second=-3, ampere=-2)),
    "siemens": Unit(1, _base(kilogram=-1, metre=-2, second=3, ampere=2)),
    "farad": Unit(1, _base(kilogram=-1, metre=-2, second=4, ampere=2)),
    "hertz": Unit(1, _base(second=-1)),
}

_MOLAR = (Part("mole"), Part("litre", -1))
_PREFIXABLE: dict[str, tuple[Part, ...]] = {
    "g": (Part("gram"),), "m": (Part("metre"),), "s": (Part("second"),), "mol": (Part("mole"),), "L": (Part("litre"),),
    "l": (Part("litre"),), "M": _MOLAR, "Pa": (Part("pascal"),), "N": (Part("newton"),), "J": (Part("joule"),),
    "W": (Part("watt"),), "V": (Part("volt"),), "A": (Part("ampere"),), "C": (Part("coulomb"),),
    "S": (Part("siemens"),), "F": (Part("farad"),), "Hz": (Part("hertz"),), "K": (Part("kelvin"),),
    "ohm": (Part("ohm"),),
}  # fmt: skip
_COUNTS = [
    "1", "point", "points", "score", "beat", "beats", "count", "counts", "cell", "cells", "spine", "spines",
    "event", "events", "person", "people", "subject",
]  # fmt: skip
_WHOLE: dict[str, tuple[Part, ...]] = {
    **{name: (Part("dimensionless"),) for name in [*_COUNTS, "dimensionless", "fraction", "ratio"]},
    "%": (Part("dimensionless", 1, -2),), "percent": (Part("dimensionless", 1, -2),),
    "min": (Part("second", 1, 0, 60.0),), "minute": (Part("second", 1, 0, 60.0),),
    "h": (Part("second", 1, 0, 3600.0),), "hour": (Part("second", 1, 0, 3600.0),),
    "d": (Part("second", 1, 0, 86400.0),), "day": (Part("second", 1, 0, 86400.0),),
    "days": (Part("second", 1, 0, 86400.0),),
    "week": (Part("second", 1, 0, 604800.0),), "weeks": (Part("second", 1, 0, 604800.0),),
    "year": (Part("second", 1, 0, 31557600.0),), "years": (Part("second", 1, 0, 31557600.0),),
    "second": (Part("second"),), "Da": (Part("gram"), Part("mole", -1)), "kDa": (Part("gram", 1, 3), Part("mole", -1)),
    "mmHg": (Part("pascal", 1, 0, 133.322387415),), "degC": (Part("kelvin"),), "cal": (Part("joule", 1, 0, 4.184),),
    "kcal": (Part("joule", 1, 3, 4.184),),
}  # fmt: skip
_PREFIX = {"f": -15, "p": -12, "n": -9, "u": -6, "µ": -6, "μ": -6, "m": -3, "c": -2, "d": -1, "k": 3, "M": 6, "G": 9}

_TOKEN = re.compile(r"\s*(?:(\d+(?:\.\d+)?|\.\d+)|([A-Za-zµμ%]+)|([*/^()·-]))")


@cache
def parse(text: str) -> Unit:
    """The unit a text stands for. Raises UnknownUnit."""
    total = NONE
    for part in parts(text):
        kind = _SI[part.kind]
        total = total * Unit(part.multiplier * 10.0**part.scale * kind.factor, kind.powers) ** part.exponent
    return total


@cache
def parts(text: str) -> tuple[Part, ...]:
    """The unit as SBML parts, in the order written. Raises UnknownUnit."""
    tokens = _tokens(text)
    if not tokens:
        raise UnknownUnit("the unit is empty; write 1 for a pure number")
    parts, rest = _product(tokens, text)
    if rest:
        raise UnknownUnit(f'"{rest[0]}" in "{text}" is out of place')
    kept = tuple(p for p in parts if p.kind != "dimensionless" or p.scale)
    return kept or (Part("dimensionless"),)


def _tokens(text: str) -> list[str]:
    tokens, at = [], 0
    stripped = text.strip()
    while at < len(stripped):
        match = _TOKEN.match(stripped, at)
        if not match:
            raise UnknownUnit(f'"{stripped[at]}" in "{text}" cannot stand in a unit')
        tokens.append(match[0].strip().replace("·", "*"))
        at = match.end()
    return tokens


def _product(tokens: list[str], text: str) -> tuple[list[Part], list[str]]:
    product, rest = _factor(tokens, text)
    while rest and rest[0] in "*/":
        sign = 1 if rest[0] == "*" else -1
        more, rest = _factor(rest[1:], text)
        product = product + [_power(p, sign) for p in more]
    return product, rest


def _factor(tokens: list[str], text: str) -> tuple[list[Part], list[str]]:
    if not tokens:
        raise UnknownUnit(f'"{text}" ends too early')
    head, rest = tokens[0], tokens[1:]
    if head == "(":
        factor, rest = _product(rest, text)
        if not rest or rest[0] != ")":
            raise UnknownUnit(f'a bracket is not closed in "{text}"')
        rest = rest[1:]
    else:
        factor = list(_named(head, text))
    if rest and rest[0] == "^":
        sign, rest = (-1, rest[2:]) if rest[1:2] == ["-"] else (1, rest[1:])
        try:
            exponent = sign * float(rest[0])
        except (IndexError, ValueError):
            raise UnknownUnit(f'"^" in "{text}" needs a number after it') from None
        factor, rest = [_power(p, exponent) for p in factor], rest[1:]
    return factor, rest


def _power(part: Part, exponent: float) -> Part:
    return Part(part.kind, part.exponent * exponent, part.scale, part.multiplier)


def _named(name: str, text: str) -> tuple[Part, ...]:
    if name in _WHOLE:
        return _WHOLE[name]
    if name in _PREFIXABLE:
        return _PREFIXABLE[name]
    first, *rest = _PREFIXABLE.get(name[1:], ()) or (None,)
    if first is None or name[0] not in _PREFIX:
        raise UnknownUnit(f'"{name}" in "{text}" is not a unit respine knows')
    return (Part(first.kind, first.exponent, first.scale + _PREFIX[name[0]], first.multiplier), *rest)


def text_of(unit: Unit) -> str:
    """A unit in words of SI, for errors: ``1e-06 kilogram/metre^3``."""
    named = [(base, power) for base, power in zip(BASES, unit.powers, strict=True) if abs(power) > 1e-9]
    up = [base if p == 1 else f"{base}^{p:g}" for base, p in named if p > 0]
    down = [base if p == -1 else f"{base}^{-p:g}" for base, p in named if p < 0]
    if not named:
        return "1 (a pure number)" if math.isclose(unit.factor, 1) else f"{unit.factor:g} (a pure number)"
    size = "" if math.isclose(unit.factor, 1) else f"{unit.factor:g} "
    return size + ("*".join(up) or "1") + "".join(f"/{d}" for d in down)

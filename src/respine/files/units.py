"""The handful of units a study file uses: times, doses, shares. Small: a general unit library takes 0.7 s to import."""

from __future__ import annotations

import math
import re
from fractions import Fraction

_SECONDS = {
    1: ("s", "sec", "second", "seconds"), 60: ("min", "minute", "minutes"), 3600: ("h", "hr", "hour", "hours"),
    86400: ("d", "day", "days"), 604800: ("wk", "week", "weeks"),
}  # fmt: skip
HOURS = {name: Fraction(seconds, 3600) for seconds, names in _SECONDS.items() for name in names}

MILLIGRAMS = {"ng": 1e-6, "ug": 1e-3, "µg": 1e-3, "μg": 1e-3, "mcg": 1e-3, "mg": 1.0, "g": 1e3, "gram": 1e3}
NANOMOLES = {"pmol": 1e-3, "nmol": 1.0, "umol": 1e3, "µmol": 1e3, "μmol": 1e3, "mmol": 1e6, "mol": 1e9, "mole": 1e9}

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_PARTS = re.compile(rf"^\s*(?P<number>{_NUMBER})\s*(?P<unit>[^\d\s+.,\-].*?)?\s*$")

DURATION_PATTERN = rf"^\s*{_NUMBER}\s*({'|'.join(sorted(HOURS, key=len, reverse=True))})\s*$"
PERCENT_PATTERN = rf"^\s*{_NUMBER}\s*%\s*$"
AMOUNT_PATTERN = rf"^\s*{_NUMBER}\s*[A-Za-zµμ][^\s]*\s*$"


LONGEST = 876_600.0  # hours in 100 years: what lies beyond is a slip, and would keep a machine busy for days
SHORTEST = 1e-9  # hours, four microseconds; fractions of a billion digits are never formed


class UnitError(ValueError):
    """A text that is no quantity of the wanted kind: ``why`` it cannot work and the ``cure``."""

    def __init__(self, why: str, cure: str) -> None:
        super().__init__(f"{why} {cure}")
        self.why = why
        self.cure = cure


def split(text: str) -> tuple[float, str] | None:
    """Number and unit of a text such as ``0.5 mg/kg``; None where it is not of that form or the number overflows."""
    match = _PARTS.match(text)
    if match is None or not math.isfinite(float(match["number"])):
        return None
    return float(match["number"]), (match["unit"] or "")


def hours(value: object) -> float:
    """Hours of a text such as ``40 min`` or ``7 d``. Raises UnitError."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise UnitError("A time is a number and a unit.", 'Write it like "40 min", "24 h" or "7 d".')
    if not isinstance(value, str):
        raise UnitError(
            f"{value:g} has no unit: it could mean minutes, hours or days.", f'Write "{value:g} h" or "{value:g} d".'
        )
    parts = split(value)
    if parts is None:
        raise UnitError("This is not a time: a number and a unit.", 'Write it like "40 min", "24 h" or "7 d".')
    unit = parts[1]
    if not unit:
        raise UnitError(
            f"{value.strip()} has no unit: it could mean minutes, hours or days.",
            f'Write "{value.strip()} h" or "{value.strip()} d".',
        )
    if unit not in HOURS:
        why = f'"{unit}" is no unit of time here (months and years differ in length).' if unit[0] in "myM" else (
            f'"{unit}" is no unit of time.'
        )  # fmt: skip
        raise UnitError(why, "Use s, min, h, d or wk.")
    if abs(parts[0]) * float(HOURS[unit]) > LONGEST * 1.1:
        raise UnitError("This is more than 100 years.", "Write a time that fits into a life.")
    written_zero = not any(digit in "123456789" for digit in re.split("[eE]", value)[0])
    if written_zero:
        return 0.0
    if abs(parts[0]) * float(HOURS[unit]) < SHORTEST:
        raise UnitError("This is shorter than anything that happens in a body.", 'Write "0 h", or a longer time.')
    # exactly, then rounded once: 0.1 d and 2.4 h, 40 min and 2400 s are the same moment
    result = float(Fraction(str(value).strip().removesuffix(unit).strip()) * HOURS[unit])
    if abs(result) > LONGEST:
        raise UnitError("This is more than 100 years.", "Write a time that fits into a life.")
    return result


def fraction(value: object) -> float:
    """The share of a text such as ``50 %``, as a fraction. Raises UnitError."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise UnitError("A share is a number and a percent sign.", 'Write it like "50 %".')
    if not isinstance(value, str):
        percent = value * 100 if 0 < abs(value) < 1 else value
        raise UnitError(f"{value:g} could mean {value:g} % or {value * 100:g} %.", f'Write "{percent:g} %".')
    parts = split(value)
    if parts is None or parts[1] != "%":
        raise UnitError("This is not a share: a number and a percent sign.", 'Write it like "50 %".')
    return parts[0] / 100


def canonical(unit: str) -> tuple[str, float]:
    """Canonical unit of an amount and the factor to it: ``ug/kg`` gives ``("mg/kg", 0.001)``.

    Masses become mg, amounts of substance nmol, each also per kg of body weight. A unit that is neither comes back as
    it is with factor 1: a drug file may dose in a unit of its own.
    """
    unit = unit.replace(" ", "")
    base, per, weight = unit.partition("/")
    if not per or weight == "kg":
        for table, name in ((MILLIGRAMS, "mg"), (NANOMOLES, "nmol")):
            if base in table:
                return name + per + weight, table[base]
    return unit, 1.0


_FULL_STOP = re.compile(r"^\s*[+-]?\d+,\d+(?!\d*,)")


def amount(value: object) -> tuple[float, str]:
    """Number and canonical unit of a dose such as ``0.5 mg/kg``. Raises UnitError."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise UnitError("A dose is a number and a unit.", 'Write it like "0.5 mg/kg" or "28 mg".')
    text = value if isinstance(value, str) else f"{value:g}"
    if _FULL_STOP.match(text):
        raise UnitError("A decimal comma is not read here.", f'Write "{text.strip().replace(",", ".", 1)}".')
    parts = split(text)
    if parts is None:
        raise UnitError("This is not a dose: a number and a unit.", 'Write it like "0.5 mg/kg" or "28 mg".')
    number, unit = parts
    if not unit:
        raise UnitError(
            f"A dose without a unit: {text} could be mg or mg/kg.",
            f'Write "{text} mg/kg" or "{text} mg", as the source says.',
        )
    name, factor = canonical(unit)
    if not math.isfinite(number * factor):
        raise UnitError("No dose is of this size.", "Correct the number or its unit.")
    return number * factor, name

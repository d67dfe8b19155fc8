"""Numbers and times as people write them."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd


def hours(time_h: float) -> str:
    """A time as people say it: 40 min, 24 h, 3.5 d, 100 h, 7 d."""
    if missing(time_h):
        return ""
    size = abs(time_h)
    if 0 < size < 1:
        return f"{time_h * 60:g} min" if size * 60 >= 1 else f"{time_h * 3600:g} s"
    if size <= 72 or (size < 240 and size % 12):  # half days are said as days: every 3.5 d
        return f"{time_h:.4g} h"
    return f"{time_h / 24:.4g} d"


def records(table: pd.DataFrame) -> list[Any]:
    """The rows, columns as attributes."""
    return list(table.itertuples(index=False))


def thousands(count: int) -> str:
    """A count with thin groups of three: 12 000."""
    return f"{count:,}".replace(",", "\N{NO-BREAK SPACE}")


def missing(value: Any) -> bool:
    """Whether a cell holds nothing: None, NaN or NA."""
    return value is None or bool(pd.isna(value))


_PEOPLE = {"human": ("person", "people"), "rat": ("rat", "rats"), "mouse": ("mouse", "mice")}


def subjects_word(model: str, count: int = 2) -> str:
    """What the subjects of a model are called: people, rats, mice; subjects of a model of one's own."""
    singular, many = _PEOPLE.get(model, ("subject", "subjects"))
    return singular if count == 1 else many


def plain_number(value: float, digits: int) -> str:
    """A number with so many decimals; never minus zero."""
    text = f"{value:.{digits}f}"
    return text[1:] if text.startswith("-") and not text.strip("-0.") else text


def decimals(low: float, high: float, *values: float) -> int:
    """Decimals that show two figures of the width of an interval, and at most four figures of the largest number in it."""
    sizes = [abs(v) for v in (low, high, *values) if not missing(v)]
    largest = max(sizes, default=0.0)
    most = max(0, 3 - math.floor(math.log10(largest))) if largest > 0 else 0
    width = math.nan if missing(low) or missing(high) else abs(high - low)
    if not width > 1e-6 * largest:  # what rounding leaves is no width
        return min(most, 1 if largest < 10 else 0)
    return min(most, 6, max(0, 1 - math.floor(math.log10(width))))

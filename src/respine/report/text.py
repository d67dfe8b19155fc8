"""Numbers and times as people write them."""

from __future__ import annotations

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

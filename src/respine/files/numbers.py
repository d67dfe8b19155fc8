"""The number of a cell or word, read the same way everywhere."""

from __future__ import annotations

import re

_FORM = re.compile(r"\s*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\s*")
_NOT_FINITE = ("nan", "inf", "infinity")


def number(text: str) -> float:
    """A number as tables write it; infinities and NaN as those. Raises ValueError.

    Python's ``float`` also takes ``1_0`` for 10 and digits of other scripts, and gives 0 for what is too small for it
    (``1e-999``): here they are no numbers.
    """
    if not _FORM.fullmatch(text):
        if text.strip().lower().lstrip("+-") in _NOT_FINITE:
            return float(text)
        raise ValueError(f"no number: {text[:40]!r}")
    value = float(text)
    if value == 0.0 and any(digit in "123456789" for digit in re.split("[eE]", text)[0]):
        raise ValueError(f"too small for a number: {text[:40]!r}")
    return value

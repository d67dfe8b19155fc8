"""Published directions ("up", "block"): what would have to be seen for the model to agree."""

from __future__ import annotations

import math

CLEAR = 0.02  # of the reference: less than this is no change in either direction
SAME = 0.05  # of the reference: within this counts as unchanged even where the interval is narrower
WORDS = ("up", "down", "unchanged")


def holds(direction: str, predicted: float, low: float, high: float, reference: float) -> bool | None:
    """Whether a predicted median with its 90 % interval agrees with a published direction; None for no such word."""
    if not math.isfinite(predicted):
        return None
    scale = abs(reference) or 100.0
    if direction == "up":
        return predicted > reference + CLEAR * scale
    if direction == "down":
        return predicted < reference - CLEAR * scale
    if direction == "unchanged":
        return abs(predicted - reference) <= SAME * scale or bool(low <= reference <= high)
    return None


def rule(direction: str, reference: float) -> str:
    """The rule in words."""
    words = {
        "up": f"direction: median more than {100 * CLEAR:g} % above {reference:g}",
        "down": f"direction: median more than {100 * CLEAR:g} % below {reference:g}",
        "unchanged": f"direction: median within {100 * SAME:g} % of {reference:g}, or within 90 % of such experiments",
    }
    return words[direction]

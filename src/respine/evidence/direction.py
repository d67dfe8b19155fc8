"""Published directions ("up", "block"): what would have to be seen for the model to agree."""

from __future__ import annotations

import math

CLEAR = 0.02  # of the reference: less than this is no change in either direction
CLEAR_OF_NOTHING = 0.1  # of the width of the 90 % interval, where no change is 0 and a share of it has no size
SAME = 0.05  # of the reference: within this counts as unchanged even where the interval is narrower
WORDS = ("up", "down", "unchanged")


def holds(direction: str, predicted: float, low: float, high: float, reference: float) -> bool | None:
    """Whether a predicted median with its 90 % interval agrees with a published direction; None for no such word."""
    if not math.isfinite(predicted):
        return None
    clear = CLEAR * abs(reference) if reference else CLEAR_OF_NOTHING * (high - low)
    if direction == "up":
        return predicted > reference + clear
    if direction == "down":
        return predicted < reference - clear
    if direction == "unchanged":
        return abs(predicted - reference) <= SAME * abs(reference) or bool(low <= reference <= high)
    return None


def rule(direction: str, reference: float) -> str:
    """The rule in words."""
    clear = f"{100 * CLEAR:g} %" if reference else f"{100 * CLEAR_OF_NOTHING:g} % of its 90 % interval"
    words = {
        "up": f"direction: median more than {clear} above {reference:g}",
        "down": f"direction: median more than {clear} below {reference:g}",
        "unchanged": f"direction: median within {100 * SAME:g} % of {reference:g}, or within 90 % of such experiments",
    }
    return words[direction]

"""Expected cost of a trial with what its wrong decisions cost: an effective arm that loses, an ineffective one that wins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from respine.errors import InputError, argument

if TYPE_CHECKING:
    from respine.trial.power.results import Counts

KNOWN = ("person", "fixed", "miss", "false")


def check(costs: Mapping[str, float]) -> None:
    """Raise InputError for a cost that has no name here or is negative."""
    for name, value in costs.items():
        if name not in KNOWN:
            raise InputError(
                argument("costs", name, "There is no cost of this name.", f"Write some of: {', '.join(KNOWN)}.")
            )
        if not np.isfinite(value) or value < 0:
            raise InputError(argument("costs", f"{name}={value}", "A cost is a number of zero or more.", "Correct it."))


def expected(counts: Counts, k: int, n: int, costs: Mapping[str, float]) -> float:
    """Expected cost at the size ``k``: people of both arms, and wrong decisions weighed by how likely the draws make them.

    Whether an arm is effective in a draw is told from the effect found with the largest size, by its probability given the
    spread between draws (the draws as prior).
    """
    from scipy.special import ndtr

    effect, se = counts.drawn["effect"], counts.drawn["se"]
    known = np.isfinite(effect) & (se > 0)
    effect, se, won = effect[known], se[known], counts.drawn["won"][known, k]
    sign = -1.0 if counts.comparison.outcome.lower_is_better else 1.0
    prior = max(float(np.var(effect, ddof=1) - np.mean(se**2)), 1e-12)
    weight = prior / (prior + se**2)
    middle = weight * effect + (1 - weight) * effect.mean()
    effective = ndtr(sign * middle / np.sqrt(weight * se**2))
    wrong = costs.get("miss", 0.0) * effective * (1 - won) + costs.get("false", 0.0) * (1 - effective) * won
    return float(costs.get("fixed", 0.0) + costs.get("person", 0.0) * 2 * n + wrong.mean())

"""A total score item by item: whole numbers within each item's range that add up to the total in every case.

How a person's items deviate from the scale's profile lasts (``person_sd``) or changes from visit to visit (``occasion_sd``);
given these, the profile is shifted on the logit scale until the expected items add up to the total, and the fractions are
handed out to the largest remainders (Hamilton's method of apportionment). No score of any scale depends on it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from respine import population
from respine.errors import InputError, Problem
from respine.study.scales import Scale

OWN_SCALE = {"suicidal-thoughts": "MADRS-SUICIDE"}  # an item that has a scale of its own is what that scale says
AT_ONCE = 100_000  # rows shared out together: bounds the memory
HALVINGS = 40
WIDEST = 30.0  # logits


def item_scores(
    seed: int, scale: Scale, arm: str, subjects: np.ndarray, totals: np.ndarray, own: dict[str, np.ndarray] | None = None
) -> np.ndarray:  # fmt: skip
    """Items of total scores (n, V) of ``subjects`` (n,), ascending, in the order of ``scale.items``: (n, V, K), NaN where the
    total is NaN. ``own``: scores (n, V) of items that were rated by a scale of their own, kept as far as the total allows.

    Raises InputError for a scale without items.
    """
    if not scale.items:
        cure = "Ask for MADRS, or write the block items into a scale file of your own."
        raise InputError(Problem(f"library/scales/{scale.name}.yaml", "items", scale.name,
                                 "Nothing says which items this scale has.", cure))  # fmt: skip
    n, visits = totals.shape
    names, count = list(scale.items), len(scale.items)
    share = np.array([scale.items[name] for name in names]) / _highest(scale)
    person = population.normals_of(seed, f"items {scale.name}", subjects, count)[:, None, :]
    occasion = population.normals_of(seed, f"items {scale.name} {arm}", subjects, count * visits)
    logits = (
        np.log(share / (1 - share))
        + scale.item_numbers["person_sd"] * person
        + scale.item_numbers["occasion_sd"] * occasion.reshape(n, visits, count)
    )
    shared = np.full((n, visits, count), np.nan)
    known = np.isfinite(totals)
    kept = {names.index(item): scores[known] for item, scores in (own or {}).items() if item in names}
    shared[known] = allocate(totals[known], logits[known], _highest(scale), kept)
    return shared


def _highest(scale: Scale) -> float:
    return (scale.high - scale.low) / len(scale.items)


def allocate(
    totals: np.ndarray, logits: np.ndarray, highest: float, kept: dict[int, np.ndarray] | None = None
) -> np.ndarray:
    """Whole numbers from 0 to ``highest`` in (N, K) that add up to ``totals`` (N,) row by row, higher where ``logits`` are.

    ``kept``: by column, values (N,) that stand as far as the rest can make up the total.
    """
    made = np.zeros(logits.shape)
    rest, free = totals.astype(float), [k for k in range(logits.shape[1]) if k not in (kept or {})]
    for k, values in (kept or {}).items():
        later = sum(other > k for other in kept or {})
        room = highest * (len(free) + later)
        made[:, k] = np.where(np.isfinite(values), np.clip(values, rest - room, np.minimum(rest, highest)), 0.0)
        rest = rest - made[:, k]
    for i in range(0, len(totals), AT_ONCE):
        part = slice(i, i + AT_ONCE)
        made[part, free] = _shared(rest[part], logits[part][:, free], highest)
    return made


def _shared(totals: np.ndarray, logits: np.ndarray, highest: float) -> np.ndarray:
    low, high = np.full(len(totals), -WIDEST), np.full(len(totals), WIDEST)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        below = _expected(logits, middle, highest).sum(axis=1) < totals
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    expected = _expected(logits, (low + high) / 2, highest)
    whole = np.minimum(np.floor(expected), highest)
    more = np.round(totals - whole.sum(axis=1))[:, None]
    # fractions rank who gets the points that are left; who stands at the top of the item gets none
    fraction = np.where(whole < highest, expected - whole, -1.0)
    rank = np.argsort(np.argsort(-fraction, axis=1, kind="stable"), axis=1, kind="stable")
    return np.asarray(whole + (rank < more))


def _expected(logits: np.ndarray, shift: np.ndarray, highest: float) -> np.ndarray:
    return np.asarray(highest / (1 + np.exp(-(logits + shift[:, None]))))


def rated_by_itself(scale: Scale, observed: Sequence[str]) -> dict[str, str]:
    """Items of the scale that a study rates by a scale of their own, with the name of that scale."""
    return {item: OWN_SCALE[item] for item in scale.items if OWN_SCALE.get(item) in observed}

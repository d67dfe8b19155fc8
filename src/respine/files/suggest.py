"""Words near to the one that was written: the cure of a misspelt name."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable

# what people write instead of the name of a field; each counts where the field on the right exists
OTHER_WORDS = {
    "time": "at", "times_at": "at", "when": "at", "start_at": "at", "dose": "amount", "quantity": "amount",
    "duration": "over", "infusion": "over", "length": "lasts", "interval": "every", "frequency": "every",
    "repeats": "times", "count": "times", "n": "subjects", "participants": "subjects", "people": "subjects",
    "random_seed": "seed", "groups": "arms", "treatments": "arms", "outcomes": "endpoints", "scales": "observe",
    "n_people": "n_published", "medication": "co_medication", "comedication": "co_medication", "scale": "of",
    "type": "kind", "version": "schema", "id": "name", "assessments": "visits", "placebo": "control",
}  # fmt: skip


def nearest(word: str, known: Iterable[str]) -> str:
    """`Did you mean "ketamine"?` or the known words, for the cure of a misspelt name."""
    names = list(dict.fromkeys(known))
    close = close_matches(word, names)
    if close:
        others = f" There are: {', '.join(names)}." if 2 < len(names) <= 10 else ""
        return "Did you mean " + " or ".join(f'"{name}"' for name in close) + "?" + others
    if not names:
        return "There is none to choose from."
    shown = ", ".join(names[:14]) + (", ..." if len(names) > 14 else "")
    return f"Write one of: {shown}."


MOST_NAMES = 300  # beyond, only the first that begin alike are looked at: every name costs, and so does every mistake


def close_matches(word: str, names: Iterable[str]) -> list[str]:
    lower = {name.lower(): name for name in names}
    if len(lower) > MOST_NAMES:
        alike = (low for low in lower if low[:1] == word[:1].lower() and abs(len(low) - len(word)) <= 2)
        lower = {low: lower[low] for low in itertools.islice(alike, MOST_NAMES)}
    return [lower[hit] for hit in difflib.get_close_matches(word.lower(), list(lower), n=2, cutoff=0.6)]


def meant(word: str, fields: list[str]) -> list[str]:
    """The fields somebody may have meant who wrote this word."""
    return [hit for hit in (OTHER_WORDS.get(word.lower()),) if hit in fields] or close_matches(word, fields)

"""How large a model from outside may be: looked at before anything is made of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds on a document that is not respine's own; ``load(..., limits=Limits(seconds=120))`` widens one.

    ``megabytes``: size of the text; ``elements``: XML elements; ``depth``: elements or brackets inside each other;
    ``terms``: different terms of all formulas, functions written out; ``seconds`` and ``memory_gb``: what the process
    that reads may take.
    """

    megabytes: float = 64.0
    elements: int = 200_000
    depth: int = 1_000
    terms: int = 200_000
    seconds: float = 15.0
    memory_gb: float = 4.0


LIMITS = Limits()

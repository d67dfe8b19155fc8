"""Faults of the rows of a table: the same fault of many rows is told once, with all its lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from respine.errors import InputError, Problem

_SEEN_SHOWN = 3


@dataclass
class Faults:
    """Collects faults of one file; ``raise_all`` ends the reading with all of them."""

    path: Path
    names: Mapping[str, str] = field(
        default_factory=dict
    )  # columns as the file writes them, by what they are called here
    _found: dict[tuple[str, str, str], list[tuple[int, str]]] = field(default_factory=dict)

    def add(self, line: int, column: str, seen: str, why: str, cure: str) -> None:
        """A fault of a line; ``why`` and ``cure`` say nothing that differs between lines of the same fault."""
        self._found.setdefault((self.names.get(column, column), why, cure), []).append((line, seen))

    def __bool__(self) -> bool:
        return bool(self._found)

    def raise_all(self, before: Sequence[Problem] = ()) -> None:
        """Raises InputError with the problems ``before`` and every fault, in the order of the file; returns where none is."""
        if not self._found and not before:
            return
        problems = list(before)
        for (column, why, cure), places in sorted(self._found.items(), key=lambda item: item[1][0][0]):
            first, others = places[0], places[1:]
            if others:
                different = list(dict.fromkeys(seen for _, seen in others if seen and seen != first[1]))
                also = "".join(f', "{seen}"' for seen in different[:_SEEN_SHOWN])
                more = " ..." if len(different) > _SEEN_SHOWN else ""
                lines = ranges(line for line, _ in others)
                why = f"{why} Also in line{'s' if len(others) > 1 else ''} {lines}{f' ({also[2:]}{more})' if also else ''}."
            problems.append(Problem(f"{self.path}:{first[0]}", column, first[1], why, cure))
        raise InputError(*problems)


def ranges(numbers: Iterable[int]) -> str:
    """Whole numbers with their runs drawn together: "3, 5-8, 12"."""
    spans: list[list[int]] = []
    for number in sorted(set(numbers)):
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ", ".join(str(low) if low == high else f"{low}-{high}" for low, high in spans)

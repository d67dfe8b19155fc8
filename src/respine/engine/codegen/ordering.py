"""A static pivot order for the sparse matrix c*I - J: Markowitz on the diagonal, fill computed once per model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Pivoting:
    """Pivot order, the non-zeros of the factors (fill included), and a storage slot for each.

    Pivots stay on the diagonal: c*I - J is diagonally dominated by c = 1/(h*gamma) once the step is small enough, and
    a poor factorisation shows as a rejected step.
    """

    order: tuple[int, ...]
    slots: dict[tuple[int, int], int]

    def below(self, k: int) -> list[int]:
        """Rows later in the order with a non-zero in pivot column ``order[k]``."""
        pivot = self.order[k]
        return [i for i in self.order[k + 1 :] if (i, pivot) in self.slots]

    def left(self, k: int) -> list[int]:
        """Columns earlier in the order with a non-zero in row ``order[k]``."""
        row = self.order[k]
        return [j for j in self.order[:k] if (row, j) in self.slots]

    def right(self, k: int) -> list[int]:
        """Columns later in the order with a non-zero in pivot row ``order[k]``."""
        pivot = self.order[k]
        return [j for j in self.order[k + 1 :] if (pivot, j) in self.slots]


def markowitz(n: int, nonzeros: Iterable[tuple[int, int]]) -> Pivoting:
    """Pick, again and again, the diagonal pivot with the least possible fill (ties: the lower number)."""
    rows: list[set[int]] = [{i} for i in range(n)]
    columns: list[set[int]] = [{i} for i in range(n)]
    for i, j in nonzeros:
        rows[i].add(j)
        columns[j].add(i)
    left = set(range(n))
    order: list[int] = []
    pattern = {(i, j) for i in range(n) for j in rows[i]}
    while left:
        pivot = min(left, key=lambda k: ((len(rows[k]) - 1) * (len(columns[k]) - 1), k))
        left.remove(pivot)
        order.append(pivot)
        row, column = rows[pivot] - {pivot}, columns[pivot] - {pivot}
        for i in column:
            rows[i] |= row
            rows[i].discard(pivot)
            pattern.update((i, j) for j in row)
        for j in row:
            columns[j] |= column
            columns[j].discard(pivot)
    return Pivoting(tuple(order), {ij: slot for slot, ij in enumerate(sorted(pattern))})

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


def circles_of(n: int, nonzeros: Iterable[tuple[int, int]]) -> list[list[int]]:
    """States that act on each other in a circle, or one on itself (i, i); all others cannot grow by themselves.

    Strongly connected parts, by Tarjan R (1972) SIAM J Comput 1:146, without recursion.
    """
    acts: list[list[int]] = [[] for _ in range(n)]
    itself = set()
    for i, j in nonzeros:
        acts[j].append(i)
        if i == j:
            itself.add(i)
    number, lowest, waiting, found = [-1] * n, [0] * n, [], []
    standing = [False] * n
    count = 0
    for root in range(n):
        if number[root] >= 0:
            continue
        path = [(root, iter(acts[root]))]
        number[root] = lowest[root] = count
        count += 1
        waiting.append(root)
        standing[root] = True
        while path:
            node, rest = path[-1]
            step = next(rest, None)
            if step is None:
                path.pop()
                if path:
                    lowest[path[-1][0]] = min(lowest[path[-1][0]], lowest[node])
                if lowest[node] == number[node]:
                    place = waiting.index(node)
                    circle, waiting[place:] = waiting[place:], []
                    for member in circle:
                        standing[member] = False
                    if len(circle) > 1 or node in itself:
                        found.append(sorted(circle))
            elif number[step] < 0:
                number[step] = lowest[step] = count
                count += 1
                waiting.append(step)
                standing[step] = True
                path.append((step, iter(acts[step])))
            elif standing[step]:
                lowest[node] = min(lowest[node], number[step])
    return found

"""A static pivot order for the sparse matrix c*I - J: Markowitz on the diagonal, fill computed once per model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

STRAIGHT = 6_000  # products of an elimination up to which it is written out as straight-line code


@dataclass(frozen=True)
class Pivoting:
    """Pivot order, the non-zeros of the factors (fill included), and a storage slot for each.

    Pivots stay on the diagonal: c*I - J is diagonally dominated by c = 1/(h*gamma) once the step is small enough, and
    a poor factorisation shows as a rejected step.
    """

    order: tuple[int, ...]
    slots: dict[tuple[int, int], int]

    @cached_property
    def _rows(self) -> list[tuple[list[int], list[int]]]:
        """For each place in the order the columns left and right of the pivot, in the order of elimination."""
        place = {state: k for k, state in enumerate(self.order)}
        rows: list[tuple[list[int], list[int]]] = [([], []) for _ in self.order]
        for i, j in self.slots:
            if i != j:
                rows[place[i]][place[j] > place[i]].append(j)
        for left, right in rows:
            left.sort(key=place.__getitem__)
            right.sort(key=place.__getitem__)
        return rows

    def left(self, k: int) -> list[int]:
        """Columns earlier in the order with a non-zero in row ``order[k]``."""
        return self._rows[k][0]

    def right(self, k: int) -> list[int]:
        """Columns later in the order with a non-zero in pivot row ``order[k]``."""
        return self._rows[k][1]

    @cached_property
    def products(self) -> int:
        """How many products the elimination takes."""
        place = {state: k for k, state in enumerate(self.order)}
        return sum(len(self.right(place[pivot])) for k in range(len(self.order)) for pivot in self.left(k))

    @property
    def tabled(self) -> bool:
        """Whether there are so many that loops over tables do them, not straight-line code (see elimination.py)."""
        return self.products > STRAIGHT

    def by_row(self) -> Pivoting:
        """The same with slots row by row, each row in the order of elimination: what loops read one after the other."""
        entries = [(i, j) for k, i in enumerate(self.order) for j in (*self.left(k), i, *self.right(k))]
        return Pivoting(self.order, {entry: slot for slot, entry in enumerate(entries)})


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
    pivoting = Pivoting(tuple(order), {ij: slot for slot, ij in enumerate(sorted(pattern))})
    return pivoting.by_row() if pivoting.tabled else pivoting


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
    number, lowest, waiting, circles = [-1] * n, [0] * n, [], []
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
                        circles.append(sorted(circle))
            elif number[step] < 0:
                number[step] = lowest[step] = count
                count += 1
                waiting.append(step)
                standing[step] = True
                path.append((step, iter(acts[step])))
            elif standing[step]:
                lowest[node] = min(lowest[node], number[step])
    return circles

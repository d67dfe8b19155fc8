"""Write sums so that terms which occur together in several rates are added first, once.

What leaves one state enters another: the same terms stand in both rates with opposite sign. Added in another order,
each rate rounds differently, and mass that is moved fast to and fro leaks or appears at the rate of that rounding,
which swamps a slow loss (Robertson's problem ends with 1e-8 relative error instead of 3e-12). Sharing the partial sum
makes the roundings equal. It also saves additions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from heapq import heapify, heappop, heappush

from respine.engine.equations.graph import Graph

Terms = dict[int, int]  # term -> +1 or -1
Pair = tuple[int, int, int]  # first term, second term, product of their signs


def share_sums(graph: Graph, roots: Sequence[int]) -> list[int]:
    """The same sums, term for term, as new nodes; roots that are no sums stay as they are."""
    split = [_terms(graph, root) for root in roots]
    sums = [terms for terms, _ in split]
    single = [len(terms) < 2 for terms in sums]
    _Sharing(graph, sums).join_all()
    return [
        root if alone else _total(graph, terms, repeated)
        for root, alone, terms, (_, repeated) in zip(roots, single, sums, split, strict=True)
    ]


class _Sharing:
    """Pairs of terms by how often they occur together; the most frequent is joined first, then the lowest numbers.

    A term of one sum alone is in no pair that occurs twice, and is left out: sums of thousands of terms cost no more
    than what they share. (A constant may come to be one that another sum holds.)
    """

    def __init__(self, graph: Graph, sums: list[Terms]) -> None:
        self.graph, self.sums = graph, sums
        self.holders: dict[int, set[int]] = {}  # term -> sums that hold it
        for k, terms in enumerate(sums):
            for term in terms:
                self.holders.setdefault(term, set()).add(k)
        shared = [self._shared(terms) for terms in sums]
        self.count: Counter[Pair] = Counter(pair for terms in shared for pair in _pairs(terms))
        self.waiting = [(-times, pair) for pair, times in self.count.items() if times > 1]
        heapify(self.waiting)

    def _shared(self, terms: Terms) -> Terms:
        return {t: sign for t, sign in terms.items() if len(self.holders[t]) > 1 or self.graph.value(t) is not None}

    def join_all(self) -> None:
        """Until no pair occurs twice."""
        while self.waiting:
            negative, pair = heappop(self.waiting)
            if self.count[pair] == -negative:  # else it has another place in the queue, or none
                self._join(*pair)

    def _join(self, first: int, second: int, sign: int) -> None:
        joined = self.graph.add(first, second) if sign > 0 else self.graph.sub(first, second)
        touched: set[Pair] = set()
        for k in sorted(self.holders[first] & self.holders[second]):
            terms = self.sums[k]
            if terms[first] * terms[second] != sign or joined in terms:
                continue
            others = {t: s for t, s in self._shared(terms).items() if t not in (first, second)}
            gone = {first: terms.pop(first), second: terms.pop(second)}
            for term, own in gone.items():
                self._change(term, own, others, -1, touched)
                self.holders[term].discard(k)
            terms[joined] = gone[first]
            self.holders.setdefault(joined, set()).add(k)
            self._change(joined, gone[first], others, +1, touched)
        self.count[first, second, sign] = 0
        touched.discard((first, second, sign))
        for pair in touched:
            if self.count[pair] > 1:
                heappush(self.waiting, (-self.count[pair], pair))

    def _change(self, term: int, sign: int, others: Terms, by: int, touched: set[Pair]) -> None:
        for other, its in others.items():
            pair = (min(term, other), max(term, other), sign * its)
            self.count[pair] += by
            touched.add(pair)


def _terms(graph: Graph, root: int) -> tuple[Terms, list[tuple[int, int]]]:
    """The terms of a sum by sign, and those that come up again."""
    terms: Terms = {}
    repeated = []
    stack = [(root, 1)]
    while stack:
        node, sign = stack.pop()
        op, *parts = graph.nodes[node]
        if op == "add":
            stack += [(parts[1], sign), (parts[0], sign)]
        elif op == "sub":
            stack += [(parts[1], -sign), (parts[0], sign)]
        elif op == "neg":
            stack.append((parts[0], -sign))
        elif node in terms:
            repeated.append((node, sign))
        else:
            terms[node] = sign
    return terms, repeated


def terms_of(graph: Graph, root: int) -> list[tuple[int, int]]:
    """The terms of a sum, each with its sign; one that comes up twice stands twice."""
    terms, repeated = _terms(graph, root)
    return [*terms.items(), *repeated]


def _pairs(terms: Terms) -> Iterator[Pair]:
    ordered = sorted(terms)
    for k, a in enumerate(ordered):
        for b in ordered[k + 1 :]:
            yield a, b, terms[a] * terms[b]


def _total(graph: Graph, terms: Terms, repeated: Sequence[tuple[int, int]]) -> int:
    """The sum, positive terms first so that no negation is left over."""
    ordered = sorted([*terms.items(), *repeated], key=lambda item: -item[1])
    (node, sign), *rest = ordered
    total = node if sign > 0 else graph.neg(node)
    for node, sign in rest:
        total = graph.add(total, node) if sign > 0 else graph.sub(total, node)
    return total

"""Write sums so that terms which occur together in several rates are added first, once.

What leaves one state enters another: the same terms stand in both rates with opposite sign. Added in another order,
each rate rounds differently, and mass that is moved fast to and fro leaks or appears at the rate of that rounding,
which swamps a slow loss (Robertson's problem ends with 1e-8 relative error instead of 3e-12). Sharing the partial sum
makes the roundings equal. It also saves additions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from respine.engine.equations.graph import Graph

Terms = dict[int, int]  # term -> +1 or -1
Pair = tuple[int, int, int]  # first term, second term, product of their signs


def share_sums(graph: Graph, roots: Sequence[int]) -> list[int]:
    """The same sums, term for term, as new nodes; roots that are no sums stay as they are."""
    split = [_terms(graph, root) for root in roots]
    sums = [terms for terms, _ in split]
    single = [len(terms) < 2 for terms in sums]
    count: Counter[Pair] = Counter(pair for terms in sums for pair in _pairs(terms))
    while count:
        pair, times = min(count.items(), key=lambda item: (-item[1], item[0]))
        if times < 2:
            break
        first, second, sign = pair
        joined = graph.add(first, second) if sign > 0 else graph.sub(first, second)
        changed = [t for t in sums if t.get(first, 0) * t.get(second, 0) == sign and joined not in t]
        del count[pair]
        for terms in changed:
            count.subtract(_pairs(terms))
            terms[joined] = terms.pop(first)
            del terms[second]
            count.update(_pairs(terms))
        count += Counter()  # forgets what no longer occurs
        count.pop(pair, None)
    return [
        root if alone else _total(graph, terms, repeated)
        for root, alone, terms, (_, repeated) in zip(roots, single, sums, split, strict=True)
    ]


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

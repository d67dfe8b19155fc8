"""Shared partial sums: the same value, equal roundings in rates that exchange mass."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from respine import engine
from respine.engine.equations.graph import Graph
from respine.engine.equations.sums import share_sums
from tests.engine.systems import formula, system


def value(graph: Graph, node: int, states: list[float]) -> float:
    op, *parts = graph.nodes[node]
    if op == "const":
        return graph.value(node) or 0.0
    if op == "state":
        return states[parts[0]]
    x = [value(graph, part, states) for part in parts]
    return {"add": lambda: x[0] + x[1], "sub": lambda: x[0] - x[1], "neg": lambda: -x[0], "mul": lambda: x[0] * x[1]}[
        op
    ]()


TERMS = st.lists(st.tuples(st.integers(0, 5), st.sampled_from([1, -1])), min_size=1, max_size=8)


@given(st.lists(TERMS, min_size=1, max_size=6), st.lists(st.integers(-50, 50), min_size=6, max_size=6))
def test_sums_keep_their_value(rates, numbers):
    """Whole numbers, so that the order of addition cannot matter."""
    graph = Graph()
    roots = []
    for terms in rates:
        total = graph.zero
        for k, sign in terms:
            total = graph.add(total, graph.state(k)) if sign > 0 else graph.sub(total, graph.state(k))
        roots.append(total)
    before = [value(graph, root, numbers) for root in roots]
    assert [value(graph, root, numbers) for root in share_sums(graph, roots)] == before


def test_exchange_is_the_same_number_on_both_sides():
    graph = Graph()
    names = {name: graph.state(k) for k, name in enumerate("abc")}
    first, two = share_sums(graph, [graph.build(formula("b - a"), names), graph.build(formula("a - c - b"), names)])
    big, tiny = 0.1, 1e-9
    exchange = value(graph, first, [big, big * (1 + 1e-12), tiny])
    assert value(graph, two, [big, big * (1 + 1e-12), tiny]) == -exchange - tiny


def test_slow_loss_beside_a_fast_exchange():
    """Robertson's problem, long after: the sum of what is exchanged decays a million times slower than its rounding."""
    s = system(
        {"a": "-k*a + e*b*c", "b": "k*a - f*b*b - e*b*c", "c": "f*b*b"},
        {"a": 1.0, "b": 0.0, "c": 0.0},
        {"k": 0.04, "e": 1e4, "f": 3e7},
    )
    solver = engine.build(s, outputs=["a"])
    got = solver.solve(times=[1e11], rtol=1e-10, atol={"a": 1e-20, "b": 1e-26, "c": 1e-13})["a"][0, 0]
    assert math.isclose(got, 2.083340149701255e-08, rel_tol=1e-9)  # Test Set for IVP Solvers, problem ROBER
    assert np.isfinite(got)

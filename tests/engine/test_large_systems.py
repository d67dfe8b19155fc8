"""Large systems: loops over tables in place of straight-line elimination, long functions in parts, chains of rules."""

from __future__ import annotations

import numpy as np
import pytest

from respine import engine, model
from respine.engine.codegen import code, emit, machine, ordering
from respine.engine.codegen.ordering import markowitz

N = 24


@pytest.fixture
def anew(monkeypatch, tmp_path):
    """Nothing is taken from what an earlier run kept."""
    for room in (code, machine):
        monkeypatch.setattr(room, "read_cached", lambda *_: None)
        monkeypatch.setattr(room, "write_cached", lambda *_: None)
    return monkeypatch


def ring(n: int = N) -> model.System:
    """Saturable exchange round a ring, each rate held back by a state further on, with a clock and a slow loss."""
    lines = []
    for i in range(n):
        before, further = (i - 1) % n, (5 * i + 3) % n
        lines.append(f"f{i} := 2*s{i}/(1 + s{i})/(1 + s{further}); s{i} = {1 + 0.1 * i};")
        lines.append(f"s{i}' = f{before} - f{i} - 0.01*s{i}*(1 + sin(time));")
    return model.load("\n".join(lines))


def solved(system: model.System, precision: str = "float64", sensitivities: tuple[str, ...] = ()) -> np.ndarray:
    options = engine.Options(precision=precision)
    solver = engine.build(system, outputs=list(system.states), options=options, sensitivities=sensitivities)
    start = np.zeros((1, 0))
    solution = solver.solve(start, engine.Schedule(1), np.linspace(0, 5, 6), start=0.0, rtol=1e-6)
    assert (solution.status == 0).all()
    return solution.values


@pytest.mark.parametrize(("precision", "close"), [("float64", 1e-13), ("float32", 1e-5)])
def test_elimination_by_tables_is_that_of_straight_line_code(anew, precision, close):
    system = ring()
    written_out = solved(system, precision)
    anew.setattr(ordering, "STRAIGHT", 0)
    np.testing.assert_allclose(solved(system, precision), written_out, rtol=close)


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_a_function_in_parts_computes_the_same(anew, precision):
    system = ring()
    whole = solved(system, precision)
    for very_long in (10**9, 0):
        anew.setattr(emit, "LONG", 0)
        anew.setattr(emit, "PART", 50)
        anew.setattr(emit, "VERY_LONG", very_long)
        np.testing.assert_allclose(solved(system, precision), whole, rtol=1e-13 if precision == "float64" else 1e-5)


def test_slots_by_row_lie_in_the_order_of_elimination():
    pivoting = markowitz(N, [(i, (i * 7 + k) % N) for i in range(N) for k in (0, 1, 5)]).by_row()
    for k, i in enumerate(pivoting.order):
        entries = [*pivoting.left(k), i, *pivoting.right(k)]
        slots = [pivoting.slots[i, j] for j in entries]
        assert slots == list(range(slots[0], slots[0] + len(entries)))
    assert sorted(pivoting.slots.values()) == list(range(len(pivoting.slots)))


def test_a_system_that_is_dense_is_solved_by_tables(anew):
    """Linear and dense: the loss of every state into every other keeps the total."""
    n = 60
    system = model.load("\n".join(
        f"s{i}' = " + " + ".join(f"{0.01 * (1 + (i * j) % 7)}*s{j}" for j in range(n) if j != i)
        + f" - {0.01 * sum(1 + (i * j) % 7 for j in range(n) if j != i)}*s{i}; s{i} = {i};" for i in range(n)
    ))  # fmt: skip
    values = solved(system)[0]
    np.testing.assert_allclose(values.sum(axis=1), n * (n - 1) / 2, rtol=1e-9)


def test_one_sum_of_a_thousand_terms_and_a_chain_of_rules():
    terms = " + ".join(f"{k}*x*exp(-{k})" for k in range(1, 1001))
    chain = "".join(f"r{k} := r{k - 1} + 1e-3*x;\n" for k in range(1, 401))
    system = model.load(f"x' = -({terms})*1e-1; x = 1;\nr0 := 0*x;\n{chain}y' = r400; y = 0;")
    rate = 0.1 * sum(k * np.exp(-k) for k in range(1, 1001))
    values = solved(system)[0]
    x = np.exp(-rate * np.linspace(0, 5, 6))
    np.testing.assert_allclose(values[:, list(system.states).index("x")], x, rtol=1e-5)
    np.testing.assert_allclose(values[:, list(system.states).index("y")], 0.4 * (1 - x) / rate, rtol=1e-5, atol=1e-9)

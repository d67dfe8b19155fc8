"""Rows of the joint posterior: numbers of a draw come from one row, what it does not hold keeps its own range."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from respine import model, population
from respine.population import posterior as tables
from respine.population.posterior import Posterior, name_of

HUMAN = model.load("human")
KNOWN = [
    q for q in HUMAN.quantities.values()
    if q.role == "parameter" and q.low is not None and q.low < q.high and q.variability == 0 and not q.population
][:3]  # fmt: skip
VARIED = next(
    q
    for q in HUMAN.quantities.values()
    if q.role == "parameter" and q.variability > 0 and q.distribution == "lognormal"
)
PEOPLE = population.load("mdd")


def table(n: int = 50) -> Posterior:
    values = {name_of(q.file, q.id): np.linspace(q.low, q.high, n) for q in KNOWN}
    return Posterior(values, {name_of(q.file, q.id): (q.value, q.low, q.high) for q in KNOWN}, "digest")


def sampled(posterior: Posterior | None, n: int = 80, n_draws: int = 20, **more):
    return population.sample(PEOPLE, HUMAN, range(n), 3, n_draws=n_draws, posterior=posterior, **more)


def test_all_numbers_of_a_draw_come_from_one_row() -> None:
    posterior = table()
    people = sampled(posterior)
    places = [
        np.searchsorted(posterior.values[name_of(q.file, q.id)], people.parameters[q.id].to_numpy() * (1 - 1e-12))
        for q in KNOWN
    ]
    for other in places[1:]:
        np.testing.assert_array_equal(other, places[0])
    rows = posterior.rows(3, 20)
    np.testing.assert_array_equal(places[0], rows[people.draw])


def test_rows_come_in_an_order_of_the_seed_and_none_twice_before_all_came() -> None:
    posterior = table()
    assert sorted(posterior.rows(1, 50)) == list(range(50))
    assert not np.array_equal(posterior.rows(1, 50), posterior.rows(2, 50))
    np.testing.assert_array_equal(posterior.rows(1, 20), posterior.rows(1, 50)[:20])


def test_a_number_that_was_changed_keeps_its_own_range() -> None:
    posterior, first = table(), KNOWN[0]
    quantities = {**HUMAN.quantities, first.id: replace(first, low=first.low * 0.9)}
    changed = replace(HUMAN, quantities=quantities)
    people = population.sample(PEOPLE, changed, range(40), 3, n_draws=20, posterior=posterior)
    prior = population.sample(PEOPLE, changed, range(40), 3, n_draws=20)
    np.testing.assert_array_equal(people.parameters[first.id], prior.parameters[first.id])
    assert not np.array_equal(people.parameters[KNOWN[1].id], prior.parameters[KNOWN[1].id])


def test_an_arm_that_sets_a_number_and_a_run_without_draws_are_left_alone() -> None:
    given = sampled(table(), typical={KNOWN[0].id: KNOWN[0].value})
    assert np.all(given.parameters[KNOWN[0].id] == KNOWN[0].value)
    assert KNOWN[0].id not in sampled(table(), draw_parameters=False).parameters


def test_the_spread_between_people_may_be_a_number_of_the_posterior_too() -> None:
    q, n = VARIED, 30
    values = {name_of(q.file, q.id): np.full(n, q.value), name_of(q.file, q.id, "variability"): np.full(n, 1e-9)}
    low, high = (q.value if edge is None else edge for edge in (q.low, q.high))
    basis = {name_of(q.file, q.id): (q.value, low, high), name_of(q.file, q.id, "variability"): (q.variability,) * 3}
    people = sampled(Posterior(values, basis, "d"))
    np.testing.assert_allclose(people.parameters[q.id], q.value, rtol=1e-6)


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    made = table()
    told = {"draws": 50, "blocks": {}}
    columns = {**made.values, "trial.setting:one": np.zeros(50)}
    content = tables.encode(columns, made.basis, told)
    assert content == tables.encode(columns, made.basis, told)
    (tmp_path / "parameters").mkdir()
    (tmp_path / tables.FILE).write_bytes(content)
    from respine.library import BUILT_IN

    back = tables.load(BUILT_IN.overlay(tmp_path))
    assert back is not None and len(back) == 50 and back.facts["draws"] == 50
    assert set(back.trials) == {"trial.setting:one"} and back.basis == made.basis
    for name, column in made.values.items():
        assert back.values[name] == pytest.approx(column, rel=1e-6)

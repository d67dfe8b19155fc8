"""Mode and draws where the answer is known: linear rows, whose posterior is normal."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from respine.fit.posterior import agreement, draws, mode
from respine.population import Posterior

RNG = np.random.default_rng(3)
ROWS, NUMBERS = 12, 8
JACOBIAN = RNG.normal(size=(ROWS, NUMBERS)) * 1.5
JACOBIAN[:, -2:] = 0.0  # two numbers that no row informs
AIM = RNG.normal(size=ROWS)
EXACT = np.linalg.inv(JACOBIAN.T @ JACOBIAN + np.eye(NUMBERS))


def rows(z: np.ndarray) -> np.ndarray:
    return z @ JACOBIAN.T - AIM


def curved(z: np.ndarray) -> np.ndarray:
    return rows(z + 0.05 * z**2)


def quiet(_: str) -> None: ...


def mode_of(evaluate) -> mode.Mode:
    return mode.find(evaluate, np.zeros(NUMBERS), 4, quiet, lambda _: None)


def test_the_mode_of_linear_rows_is_exact() -> None:
    np.testing.assert_allclose(mode_of(rows).z, EXACT @ JACOBIAN.T @ AIM, atol=1e-8)


def test_the_mode_is_no_worse_than_any_vector_near_it() -> None:
    best = mode_of(curved)
    best = mode.find(curved, best.z, 4, quiet, lambda _: None)
    near = best.z + 0.02 * RNG.normal(size=(200, NUMBERS))
    assert np.all(mode.cost(curved(near), near) >= best.costs[-1] - 1e-2)


def test_numbers_that_no_row_informs_are_known_as_such() -> None:
    assert mode_of(rows).live.tolist() == [True] * 6 + [False] * 2
    np.testing.assert_allclose(mode_of(rows).spread(), np.sqrt(np.diag(EXACT)), rtol=1e-6)


def make(n: int, seed: int, evaluate=rows) -> draws.Members:
    at = mode_of(evaluate)
    e, u = draws.moved(seed, 0, n, ROWS, NUMBERS)
    return draws.make(evaluate, at, e, u, 6, quiet)


def test_draws_of_linear_rows_have_the_mean_and_covariance_of_the_posterior() -> None:
    n = 4000
    z = make(n, 1).z
    np.testing.assert_allclose(z.mean(axis=0), EXACT @ JACOBIAN.T @ AIM, atol=4 / np.sqrt(n))
    np.testing.assert_allclose(np.cov(z.T), EXACT, atol=6 / np.sqrt(n))


def test_uninformed_numbers_keep_their_prior_exactly() -> None:
    _, u = draws.moved(7, 0, 50, ROWS, NUMBERS)
    np.testing.assert_allclose(make(50, 7).z[:, -2:], u[:, -2:])


def test_two_seeds_agree_and_other_rows_do_not() -> None:
    number = SimpleNamespace(z=lambda value: value)
    names = [f"n{k}" for k in range(NUMBERS)]
    forward = SimpleNamespace(numbers=[SimpleNamespace(name=name, z=number.z) for name in names], own=[])
    made = SimpleNamespace(mode=mode_of(rows), z=make(400, 1).z, forward=forward)

    def table(z: np.ndarray) -> Posterior:
        return Posterior(dict(zip(names, z.T, strict=True)), {}, "")

    away, ratio = agreement(made, table(make(400, 2).z))
    assert away < 2 and ratio == pytest.approx(1, abs=0.1)
    away, _ = agreement(made, table(make(400, 2).z + 0.5))
    assert away > 5


def test_a_draw_is_the_same_in_any_batch() -> None:
    at = mode_of(curved)
    e, u = draws.moved(5, 10, 14, ROWS, NUMBERS)
    whole_e, whole_u = draws.moved(5, 0, 14, ROWS, NUMBERS)
    np.testing.assert_array_equal(e, whole_e[10:])
    np.testing.assert_array_equal(u, whole_u[10:])
    first = draws.make(curved, at, e, u, 3, quiet).z
    np.testing.assert_allclose(first, draws.make(curved, at, whole_e, whole_u, 3, quiet).z[10:], atol=1e-6)


def test_two_seeds_agree_within_sampling_error_and_all_draws_differ() -> None:
    a, b = make(400, 1, curved).z, make(400, 2, curved).z
    error = np.sqrt(a.var(axis=0) / 400 + b.var(axis=0) / 400)
    assert np.sqrt(np.mean(((a.mean(axis=0) - b.mean(axis=0)) / error) ** 2)) < 2.0
    assert len(np.unique(a.round(9), axis=0)) == 400


def test_a_vector_that_cannot_be_computed_is_not_taken() -> None:
    def holed(z: np.ndarray) -> np.ndarray:
        r = curved(z)
        r[z[:, 0] > 0.3] = np.nan
        return r

    members = make(60, 3, holed)
    assert np.isfinite(members.r).all() and np.isfinite(members.costs).all()


def test_rows_that_cannot_be_computed_at_the_start_are_an_error() -> None:
    with pytest.raises(ValueError, match="cannot be computed"):
        mode.find(lambda z: np.full((len(z), ROWS), np.nan), np.zeros(NUMBERS), 1, quiet, lambda _: None)

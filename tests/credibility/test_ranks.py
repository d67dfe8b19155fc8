"""Sensitivity measures against answers known beforehand."""

from __future__ import annotations

import numpy as np
import pytest

from respine.credibility import ranks
from respine.credibility.sensitivity import hypercube


def points(n: int = 4000, k: int = 3) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(n, k))


def test_equal_values_share_a_rank() -> None:
    assert ranks.ranks(np.array([3.0, 1.0, 3.0, 2.0])).tolist() == [3.5, 1.0, 3.5, 2.0]


def test_one_monotone_cause_has_prcc_one_whatever_its_form() -> None:
    x = points()
    prcc, r2 = ranks.partial_rank_correlations(x, np.exp(-5 * x[:, 1]))
    assert prcc[1] == pytest.approx(-1) and r2 == pytest.approx(1)


def test_what_has_no_effect_stays_inside_the_band_of_chance() -> None:
    x = points(2000, 60)
    prcc, _ = ranks.partial_rank_correlations(x, x[:, 0] + 0.5 * points(2000, 1)[:, 0] ** 3)
    idle = np.abs(prcc[1:]) > ranks.chance_band(2000, 60)
    assert idle.mean() < 0.15  # 5 % are expected
    assert abs(prcc[0]) > 0.5


def test_prcc_is_the_partial_correlation_of_ranks() -> None:
    x = points(300, 2)
    y = x[:, 0] + x[:, 1]
    r = np.corrcoef(np.vstack([[ranks.ranks(c) for c in x.T], ranks.ranks(y)]))
    by_hand = (r[0, 2] - r[0, 1] * r[1, 2]) / np.sqrt((1 - r[0, 1] ** 2) * (1 - r[1, 2] ** 2))
    assert ranks.partial_rank_correlations(x, y)[0][0] == pytest.approx(by_hand, rel=1e-9)


def test_variance_explained_alone_adds_up_for_a_sum() -> None:
    x = points(8000)
    assert ranks.explained_alone(x, x[:, 0] + 2 * x[:, 1]) == pytest.approx([0.2, 0.8, 0.0], abs=0.04)
    assert ranks.explained_alone(x, x[:, 0] * x[:, 1]) == pytest.approx([0.0, 0.0, 0.0], abs=0.05)  # interaction alone


def test_a_column_that_does_not_vary_gets_nothing() -> None:
    x = np.column_stack([points(100, 1), np.ones(100)])
    assert ranks.partial_rank_correlations(x, x[:, 0])[0].tolist() == pytest.approx([1.0, 0.0])


def test_too_few_vectors_are_refused() -> None:
    with pytest.raises(ValueError, match="too few"):
        ranks.partial_rank_correlations(points(5, 4), np.arange(5.0))


def test_a_hypercube_has_one_point_in_each_stripe_and_columns_of_their_own() -> None:
    table = hypercube(7, "x", 50, ["a", "b"])
    assert (np.sort((table * 50).astype(int), axis=0) == np.arange(50)[:, None]).all()
    assert np.array_equal(hypercube(7, "x", 50, ["b", "c"])[:, 0], table[:, 1])
    assert not np.array_equal(hypercube(8, "x", 50, ["a"]), table[:, :1])

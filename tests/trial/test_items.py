"""A total item by item: whole numbers in range that add up to the score, near the published internal consistency."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from respine.errors import InputError
from respine.library import BUILT_IN
from respine.protocol import resolve
from respine.study import Study, scales
from respine.trial.items import allocate, item_scores
from respine.trial.replicates import Trials, simulate_trials
from tests.trial.replicates.conftest import TEXT

MADRS = scales.load(BUILT_IN, "MADRS")


@settings(max_examples=60, deadline=None)
@given(arrays.arrays(float, (7, 10), elements=st.floats(-12, 12)), st.lists(st.integers(0, 60), min_size=7, max_size=7))
def test_items_are_whole_in_range_and_add_up(logits: np.ndarray, totals: list[int]) -> None:
    items = allocate(np.array(totals, float), logits, 6.0)
    assert (items == np.round(items)).all() and items.min() >= 0 and items.max() <= 6
    assert items.sum(axis=1).tolist() == totals


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 60), min_size=5, max_size=5), st.lists(st.integers(0, 6), min_size=5, max_size=5))
def test_an_item_with_a_scale_of_its_own_is_kept_where_the_total_allows(totals: list[int], own: list[int]) -> None:
    kept = np.array(own, float)
    items = allocate(np.array(totals, float), np.zeros((5, 10)), 6.0, {9: kept})
    assert items.sum(axis=1).tolist() == totals
    possible = (kept <= totals) & (kept >= np.array(totals) - 54)
    assert (items[possible, 9] == kept[possible]).all()


def test_the_order_of_the_means_and_the_ten_items() -> None:
    assert len(MADRS.items) == 10 and list(MADRS.items)[-1] == "suicidal-thoughts"
    items = item_scores(1, MADRS, "a", np.arange(4000), np.full((4000, 1), 33.0))[:, 0]
    published = np.array(list(MADRS.items.values()))
    assert items.mean(axis=0) == pytest.approx(published, abs=0.25)
    np.testing.assert_array_equal(
        items, item_scores(1, MADRS, "a", np.arange(9000), np.full((9000, 1), 33.0))[:4000, 0]
    )


def test_internal_consistency_is_that_of_the_published_trials() -> None:
    """Cronbach's alpha 0.84 and 0.91 (johnson-2016), of totals that spread as under treatment."""
    totals = np.clip(np.round(np.random.default_rng(3).normal(22, 10, (6000, 1))), 0, 60)
    items = item_scores(1, MADRS, "a", np.arange(6000), totals)[:, 0]
    alpha = 10 / 9 * (1 - items.var(axis=0).sum() / items.sum(axis=1).var())
    assert 0.84 <= alpha <= 0.91


@pytest.fixture(scope="module")
def rated() -> Trials:
    scales_of = "[MADRS, HAMD17, QIDS-SR, SSI, CADSS, MADRS-SUICIDE]"
    text = TEXT.replace("[MADRS, CADSS]", scales_of) + "behaviour: {missed-visits: 20 %}\n"
    return simulate_trials(resolve(Study.from_yaml(text)), 2, 10)


def test_trials_have_items_where_asked(rated: Trials) -> None:
    items, seen = rated.items("MADRS"), rated.observed("MADRS")
    np.testing.assert_array_equal(sum(items.values()), seen)
    alone = rated.observed("MADRS-SUICIDE")
    there = np.isfinite(seen) & (alone <= seen)
    np.testing.assert_array_equal(items["suicidal-thoughts"][there], alone[there])
    with pytest.raises(InputError, match="items"):
        rated.items("CADSS")


@pytest.mark.parametrize("name", ["MADRS", "HAMD17", "QIDS-SR", "SSI", "CADSS", "MADRS-SUICIDE"])
def test_scores_are_whole_numbers_inside_the_range(rated: Trials, name: str) -> None:
    scale, values = rated.protocol.scale(name), rated.scores[name]
    assert (values == np.round(values)).all() and values.min() >= scale.low and values.max() <= scale.high
    assert np.abs(values - rated.true[name])[..., 1:].mean() > 0.2  # rated, with noise

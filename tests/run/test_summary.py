"""Quantiles over people from shards: exact where everybody is kept, within the stated error where not."""

from __future__ import annotations

import numpy as np
import pytest

from respine.run import summary


def _together(parts: list[np.ndarray], exact: bool) -> summary.Summary:
    made = summary.Summary(parts[0].shape[2], parts[0].shape[1])
    for part in parts:
        made.add(*summary.of_people(part, np.ones(len(part), bool), exact))
    return made


def test_few_people_are_exact() -> None:
    values = np.random.default_rng(1).normal(size=(300, 4, 2)).astype(np.float32).astype(float)
    made = _together([values[:100], values[100:101], values[101:]], True)
    result = made.quantiles()
    wanted = np.quantile(values, list(summary.QUANTILES.values()), axis=0).transpose(0, 2, 1)
    np.testing.assert_array_equal(result, wanted)
    assert made.people == 300


@pytest.mark.parametrize("shards", [3, 90])
def test_many_people_are_within_the_stated_error(shards: int) -> None:
    draws = np.random.default_rng(2)
    shape = (400, 2, 3)
    kinds = np.stack([draws.normal(size=(shards, *shape[:2])), draws.exponential(size=(shards, *shape[:2])) ** 3,
                      np.round(draws.normal(size=(shards, *shape[:2])) * 3)], axis=-1)  # fmt: skip
    made = _together(list(kinds), False)
    assert bool(made._blocks) == (shards == 90)  # many shards are put together on the way
    result, everybody = made.quantiles(), np.sort(kinds.reshape(-1, 2, 3), axis=0)
    for q, share in enumerate(summary.QUANTILES.values()):
        for output in range(3):
            for time in range(2):
                column, value = everybody[:, time, output], result[q, output, time]
                spread = 1e-6 * np.ptp(column)
                below = np.searchsorted(column, value - spread, "left") / len(column)
                above = np.searchsorted(column, value + spread, "right") / len(column)
                person = 1 / len(column)
                if output < 2:  # where people tie, a mean of neighbours may lie between two values that people have
                    assert below - summary.MOST_ERROR - person <= share <= above + summary.MOST_ERROR + person
                else:
                    near = np.quantile(column, [max(0, share - 0.005), min(1, share + 0.005)])
                    assert near[0] - 1e-6 <= value <= near[1] + 1e-6


def test_who_is_not_well_is_left_out_whole() -> None:
    values = np.ones((5, 2, 2))
    values[1, 1, 0], values[2, 0, 1] = np.nan, np.inf
    ok = np.array([True, True, True, False, True])
    means, sizes = summary.of_people(values, ok, False)
    assert means.shape == (2, 2, 2) and sizes.tolist() == [1, 1]
    nobody = summary.Summary(2, 2)
    nobody.add(*summary.of_people(values, np.zeros(5, bool), False))
    assert np.isnan(nobody.quantiles()).all()


def test_order_survives_negative_numbers() -> None:
    values = np.array([[3.0, -1.0, 0.0, -7.5, 2.0]], np.float32)
    ordered, sizes = summary._in_order(values, np.array([1, 2, 3, 4, 5]))
    assert ordered.tolist() == [[-7.5, -1.0, 0.0, 2.0, 3.0]] and sizes.tolist() == [[4, 2, 3, 5, 1]]

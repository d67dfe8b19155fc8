"""Accepted and weighted virtual patients: the moments asked for, what was held out, and what cannot be reached."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from respine.errors import InputError
from respine.population.plausible import accept, weigh

TARGETS = {
    "madrs": {"mean": 33.0, "sd": 5.0},
    "crp": {"mean": 0.3, "sd": 1.0, "log": True},
    "age": {"mean": 45.0, "sd": 10.0},
}


def wide(n: int = 6000) -> pd.DataFrame:
    """People spread far more widely than the cohort; age goes with MADRS a little."""
    rng = np.random.default_rng(4)
    madrs = rng.uniform(10, 56, n)
    age = 45 + 0.4 * (madrs - 33) + rng.normal(0, 9.8, n)
    return pd.DataFrame({"madrs": madrs, "crp": np.exp(rng.normal(0, 2, n)), "age": age})


def test_the_accepted_are_spread_as_the_cohort_is() -> None:
    accepted = accept(wide(), TARGETS, held_out=["age"])
    table = accepted.table.set_index("quantity")
    assert accepted.size == len(accepted.accepted) > 400
    for name in ("madrs", "crp"):
        row = table.loc[name]
        assert row["mean_cohort"] == pytest.approx(row["mean_wanted"], abs=0.15 * row["sd_wanted"])
        assert row["sd_cohort"] == pytest.approx(row["sd_wanted"], rel=0.12) and row["distance"] < 0.06
    assert table.loc["age", "role"] == "held out" and table.loc["age", "sd_cohort"] == pytest.approx(10, rel=0.1)
    assert table.loc["madrs", "sd_candidates"] > 12


def test_targets_may_be_correlated() -> None:
    people = wide(8000)
    people["other"] = np.random.default_rng(1).uniform(-4, 4, len(people))
    wanted = {"madrs": {"mean": 33, "sd": 5}, "other": {"mean": 0, "sd": 1}}
    accepted = accept(people, wanted, correlation=np.array([[1, 0.6], [0.6, 1]]))
    kept = people.iloc[accepted.accepted]
    assert np.corrcoef(kept["madrs"], kept["other"])[0, 1] == pytest.approx(0.6, abs=0.08)


def test_weights_give_the_moments_exactly_at_the_price_of_a_smaller_sample() -> None:
    weighed = weigh(wide(), TARGETS, held_out=["age"])
    table = weighed.table.set_index("quantity")
    assert table.loc["madrs", "mean_cohort"] == pytest.approx(33, abs=1e-4)
    assert table.loc["madrs", "sd_cohort"] == pytest.approx(5, abs=1e-3)
    assert 500 < weighed.size < 6000 and weighed.weight.mean() == pytest.approx(1)


def test_equal_targets_keep_everybody() -> None:
    rng = np.random.default_rng(0)
    people = pd.DataFrame({"x": rng.normal(0, 1, 2000)})
    wanted = {"x": {"mean": people["x"].mean(), "sd": people["x"].std(ddof=0)}}
    assert weigh(people, wanted).size == pytest.approx(2000, rel=1e-6)


@pytest.mark.parametrize(
    ("targets", "why"),
    [
        ({"mdrs": {"mean": 33, "sd": 5}}, "no quantity of this name"),
        ({"madrs": {"mean": 33, "sd": 0}}, "SD of a target"),
        ({"madrs": {"mean": 90, "sd": 2}}, "do not reach"),
        ({"age": {"mean": 4, "sd": 1, "log": True}}, "logarithm|log-normal"),
    ],
)
def test_what_cannot_be_reached_is_refused(targets: dict, why: str) -> None:  # type: ignore[type-arg]
    for method in (accept, weigh):
        people = wide()
        people.loc[0, "age"] = -1.0
        with pytest.raises(InputError, match=why):
            method(people, targets)

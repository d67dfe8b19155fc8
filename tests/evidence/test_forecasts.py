"""Scores of forecasts: exact answers, then that an honest forecaster is found to be one."""

from __future__ import annotations

import math

import numpy as np
import pytest

from respine.evidence import forecasts
from respine.evidence.row import ComparedRow
from respine.population import inverse_normal
from respine.trial.trials import LEVELS

Q = np.asarray(inverse_normal(np.asarray(LEVELS)))
RNG = np.random.default_rng(5)


def row(published: float, mean: float = 0.0, sd: float = 1.0, **told) -> ComparedRow:
    q = mean + sd * Q
    facts = {
        "id": "x", "table": "clinical", "system": "s", "what": "", "role": "fit", "kind": "trial", "study": "t", "unit": "points",
        "predicted": mean, "low": q[1], "high": q[37], "q25": q[9], "q75": q[29], "published": published, "z": (published - mean) / sd,
        "published_low": published - 1.96, "published_high": published + 1.96, "quantiles": tuple(q), "arm_type": "active", "kin": "k",
    }  # fmt: skip
    return ComparedRow(**{**facts, **told})


def test_the_interval_score_is_the_width_and_a_fine_outside() -> None:
    assert forecasts.interval_score(0.0, -1.0, 2.0) == pytest.approx(3.0)
    assert forecasts.interval_score(2.5, -1.0, 2.0) == pytest.approx(3.0 + 20 * 0.5)


def test_the_score_of_a_normal_forecast_is_the_closed_form() -> None:
    """CRPS of a standard normal at y: y (2 F(y) - 1) + 2 f(y) - 1/sqrt(pi) (Gneiting & Raftery 2007)."""
    for y in (0.0, 0.7, -1.3):
        exact = (
            y * math.erf(y / math.sqrt(2)) + 2 * math.exp(-y * y / 2) / math.sqrt(2 * math.pi) - 1 / math.sqrt(math.pi)
        )
        assert forecasts.crps(y, Q) == pytest.approx(exact, rel=0.06)


def test_the_place_of_an_honest_forecast_is_uniform() -> None:
    places = [forecasts.pit(y, Q, 0.0, u) for y, u in zip(RNG.normal(size=4000), RNG.uniform(size=4000), strict=True)]
    assert np.histogram(places, np.linspace(0, 1, 11))[0] == pytest.approx(400, abs=80)


def test_the_place_of_a_count_is_drawn_over_its_step() -> None:
    """Two of ten people: 20 % is all that lies between 15 and 25 %."""
    counts = np.quantile(10.0 * RNG.binomial(10, 0.3, 4000), LEVELS)
    seen = 10.0 * RNG.binomial(10, 0.3, 4000)
    places = [forecasts.pit(y, counts, 5.0, u) for y, u in zip(seen, RNG.uniform(size=4000), strict=True)]
    assert np.histogram(places, np.linspace(0, 1, 6))[0] == pytest.approx(800, abs=200)


def test_a_trial_counts_once_however_many_rows_it_has() -> None:
    many = [row(5.0, id=f"a{k}", study="many") for k in range(9)]
    lines = forecasts.record([*many, row(0.0, id="b", study="one")])
    told = forecasts.by_arm_type(lines).set_index("arm_type").loc["all"]
    assert told["trials"] == 2 and told["rows"] == 10
    assert told["inside_90"] == pytest.approx(0.5)


def test_skill_is_measured_against_results_of_other_trials_of_the_class() -> None:
    others = [row(value, id=f"o{value}", study=f"t{value}", year=2000) for value in (9.0, 10.0, 11.0)]
    good = row(10.0, mean=10.0, sd=0.2, id="good", study="mine", year=2010)
    lines = forecasts.record([*others, good]).set_index("id").loc["good"]
    assert lines["class mean crps"] > lines["crps"] > 0
    assert math.isfinite(lines["meta-analysis interval_score"])
    alone = forecasts.record([good]).iloc[0]
    assert math.isnan(alone["class mean crps"])


def test_no_later_trial_is_used_where_two_earlier_ones_are_there() -> None:
    early = [row(v, id=f"e{v}", study=f"e{v}", year=2001) for v in (1.0, 2.0)]
    late = [row(v, id=f"l{v}", study=f"l{v}", year=2020) for v in (50.0, 60.0)]
    mean, _ = forecasts.references(row(1.5, study="mine", year=2010), [*early, *late])
    assert mean is not None and mean.mean == pytest.approx(1.5)


def test_random_effects_of_equal_results_have_no_spread_between_trials() -> None:
    result = forecasts._meta_analysis(np.array([2.0, 2.0, 2.0]), np.array([1.0, 1.0, 1.0]), 1.0)
    assert result is not None and result.mean == 2.0 and result.sd == pytest.approx(math.sqrt(1 / 3 + 1))


def test_rows_without_a_distribution_or_a_number_are_left_out() -> None:
    assert len(forecasts.record([row(math.nan), row(1.0, quantiles=()), row(1.0, kind="exposure")])) == 0


def test_the_histogram_adds_up() -> None:
    lines = forecasts.record([row(v, id=str(v), study=str(v)) for v in RNG.normal(size=50)])
    assert forecasts.histogram(lines)["share"].sum() == pytest.approx(1.0)

"""Power and assurance: against closed forms, over n, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

from respine.errors import InputError
from respine.trial.analysis.sequential.sample_size import power_means
from respine.trial.power import power
from respine.trial.power.curve import Curve, fit, size_and_error
from respine.trial.power.question import sizes
from respine.trial.replicates.analyses import ancova
from tests.trial.replicates.conftest import Make, trial

__all__ = ["trial"]


@pytest.mark.parametrize(("effect", "n"), [(0.5, 64), (0.25, 200), (0.8, 20)])
def test_counted_power_of_two_arms_is_that_of_the_noncentral_t(effect: float, n: int) -> None:
    rng = np.random.default_rng(7)
    trials = 3000
    answer = ancova(rng.normal(effect, 1, (trials, n)), rng.normal(0, 1, (trials, n)), None, None)
    won = ((answer.p < 0.05) & (answer.estimate > 0)).mean()
    exact = power_means(2 * n, effect, alpha=0.05, sided=2).power
    assert won == pytest.approx(exact, abs=3.5 * np.sqrt(exact * (1 - exact) / trials))


def test_power_of_a_simulated_study_is_the_closed_form_with_its_effect_and_sd(trial: Make) -> None:
    protocol = trial()
    result = power(protocol, "10,20,40", analysis="t-test", replicates=150, threads=1)
    effect = result.effects.iloc[0]
    for _, row in result.table.iterrows():
        exact = power_means(2 * row["n"], abs(effect["effect"]), effect["sd_within"], alpha=0.05, sided=2).power
        least = np.sqrt(max(exact * (1 - exact), 0.01) / 150)
        assert row["power"] == pytest.approx(exact, abs=3.5 * max(row["power_error"], least))
    reach = result.sizes[(result.sizes["for"] == "power") & (result.sizes["target"] == 0.8)].iloc[0]
    near = next(
        n
        for n in range(4, 400)
        if power_means(2 * n, abs(effect["effect"]), effect["sd_within"], alpha=0.05, sided=2).power > 0.8
    )
    assert reach["low"] - 2 <= near <= reach["high"] + 2


def test_assurance_is_the_mean_of_power_over_draws() -> None:
    """Normal effects with normal uncertainty: Phi((m sqrt(n/2) - z) / sqrt(1 + s^2 n/2)), by quadrature as well."""
    z = float(stats.norm.ppf(0.975))
    curve = Curve(0.5, 0.4, z)
    draws = stats.norm.ppf((np.arange(200_000) + 0.5) / 200_000) * 0.4 + 0.5
    for n in (20, 80, 320):
        assert float(curve(n)) == pytest.approx(stats.norm.sf(z - draws * np.sqrt(n / 2)).mean(), abs=1e-5)
    assert curve.limit == pytest.approx(stats.norm.cdf(0.5 / 0.4)) and curve.size(0.95) == np.inf
    n = np.array([20.0, 60, 120, 200])
    again = fit(n, np.asarray(curve(n)), np.full(4, 1e6), z, spread=True)
    assert again is not None and (again.m, again.s) == pytest.approx((0.5, 0.4), rel=1e-3)


def test_n_for_a_power_comes_back_from_counts_of_a_known_curve() -> None:
    rng = np.random.default_rng(1)
    z, n = float(stats.norm.ppf(0.975)), np.array([20.0, 50, 80])
    curve = Curve(0.5, 0.0, z)
    won = (rng.random((2000, 3)) < curve(n)).astype(float)
    size, low, high = size_and_error(n, won, np.ones(3), 0.8, z, spread=False)
    assert low <= curve.size(0.8) <= high and high - low < 8 and low <= size <= high


def test_results_are_the_same_with_any_threads_and_plain_as_json(trial: Make) -> None:
    options = {"n": "10", "replicates": 50, "dropout": "20%", "costs": {"person": 1000.0, "miss": 1e6, "false": 1e5}}
    first, two = (power(trial(), threads=k, **options) for k in (1, 2))  # type: ignore[arg-type]
    assert first.table.equals(two.table)
    assert 0.1 < first.effects.iloc[0]["missing_arm"] < 0.3
    assert {"power", "assurance", "cost"} <= set(json.loads(json.dumps(first.plain()))["power"][0])
    assert (first.table["cost"] > 20_000).all()
    drawing = first.plot()
    assert set(drawing.table["kind"]) == {"power", "assurance"} and len(drawing.table) == 2


def test_a_trial_of_shares_is_powered_as_well(trial: Make) -> None:
    result = power(trial(), "20", endpoint="responders", replicates=50, threads=1)
    assert result.table["analysis"].tolist() == ["score-test"] and result.effects.iloc[0]["effect"] > 0


def test_a_small_budget_is_told(trial: Make) -> None:
    result = power(trial(), "10", replicates=5000, budget=0.001, threads=1)
    assert result.replicates == 50 and any("budget was used up after 50 of 5000" in note for note in result.notes)


def test_sizes_are_read_as_they_are_written() -> None:
    assert sizes("20:200") == (20, 50, 80, 110, 140, 170, 200)
    assert sizes("20:100:40") == (20, 60, 100) and sizes("40, 20") == (20, 40) and sizes(30) == (30,)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"n": "200:20"}, "ends before it begins"),
        ({"n": "many"}, "no numbers of people"),
        ({"n": 2}, "people an arm"),
        ({"alpha": 0.7}, "between 0 and 0.5"),
        ({"dropout": "120%"}, "More people would leave than there are"),
        ({"dropout": {"drg": "10%"}}, "no arm of this name"),
        ({"endpoint": "nothing"}, "no endpoint of this name"),
        ({"against": "placebo"}, "no arm of this name"),
        ({"visits": ["3 d"]}, "Nobody is rated then"),
        ({"analysis": "anova"}, "no analysis of this name"),
        ({"endpoint": "responders", "analysis": "mmrm"}, "yes or no"),
        ({"replicates": 3}, "the least"),
        ({"costs": {"persn": 3}}, "no cost of this name"),
        ({"estimand": "composite"}, "no failures"),
    ],
)
def test_what_cannot_be_asked_is_refused(trial: Make, options: dict, why: str) -> None:  # type: ignore[type-arg]
    arguments = {"n": 10, "replicates": 50, "threads": 1} | options
    behaviour = {"discontinuation": {"by": "random", "share": "50 %", "until": "14 d"}}
    protocol = trial(behaviour=behaviour) if "estimand" in options else trial()
    with pytest.raises(InputError, match=why):
        power(protocol, **arguments)

"""Trials of the published size: the interval holds people and parameters as theory says, and nothing depends on
chance.
"""

from __future__ import annotations

import numpy as np
import pytest

from respine.study.endpoints import Endpoint, endpoint
from respine.trial import Panel, in_trials_of_published_size

CHANGE = endpoint("change", name="c", of="MADRS", at=24.0)
SIZES = {"drug": 40, "saline": 20}
BETWEEN, WITHIN = 2.0, 8.0


def _panel(per_draw: int, draws: int = 200, between: float = BETWEEN, seed: int = 0) -> Panel:
    """Changes of mean -10 (drug) and -5, with parameter draws that move both arms together."""
    rng = np.random.default_rng(seed)
    n = per_draw * draws
    draw = np.arange(n) % draws
    moved = rng.normal(0, between, draws)[draw]
    values = {}
    for arm, mean in (("drug", -10.0), ("saline", -5.0)):
        base = np.full(n, 34.0)
        values[arm, "MADRS"] = np.column_stack([base, base + mean + moved + rng.normal(0, WITHIN, n)])
    return Panel(np.arange(n), draw, {"MADRS": np.array([0.0, 24.0])}, values)


def _sd(of: Endpoint, panel: Panel, sizes: dict[str, int] = SIZES) -> float:
    result = in_trials_of_published_size(of, "drug", panel, sizes, seed=1)
    assert result.p05 < result.median < result.p95
    return (result.p95 - result.p05) / (2 * 1.645)


@pytest.mark.parametrize("per_draw", [10, 20, 100])
def test_the_interval_holds_people_and_parameters(per_draw: int) -> None:
    wanted = np.sqrt(BETWEEN**2 + WITHIN**2 / 40)
    assert _sd(CHANGE, _panel(per_draw)) == pytest.approx(wanted, rel=0.15)


def test_with_many_people_published_only_parameters_remain() -> None:
    assert _sd(CHANGE, _panel(20), {"drug": 5000, "saline": 5000}) == pytest.approx(BETWEEN, rel=0.2)


def test_few_draws_do_not_make_parameters_look_known() -> None:
    wide = [_sd(CHANGE, _panel(20, draws=5, seed=k), {"drug": 1000, "saline": 1000}) for k in range(15)]
    assert np.sqrt(np.mean(np.square(wide))) > 0.7 * BETWEEN and np.median(wide) > 0.5 * BETWEEN


def test_what_moves_both_arms_cancels_in_a_difference() -> None:
    difference = endpoint("difference-in-change", name="d", of="MADRS", at=24.0, arm="saline")
    wanted = np.sqrt(WITHIN**2 / 40 + WITHIN**2 / 20)
    assert _sd(difference, _panel(100)) == pytest.approx(wanted, rel=0.15)


def test_arms_are_made_of_different_people() -> None:
    """The same virtual people in both arms must not make a difference look sure."""
    panel = _panel(100, between=0.0)
    twins = Panel(
        panel.subjects,
        panel.draw,
        panel.times,
        {(a, "MADRS"): panel.values["drug", "MADRS"] for a in ("drug", "saline")},
    )
    difference = endpoint("difference-in-change", name="d", of="MADRS", at=24.0, arm="saline")
    assert _sd(difference, twins) > 0.8 * np.sqrt(WITHIN**2 / 40 + WITHIN**2 / 20)


def test_shares_stay_between_0_and_100_and_have_the_binomial_spread() -> None:
    panel = _panel(100, between=0.0)
    response = endpoint("response", name="r", of="MADRS", at=24.0, drop=0.3)
    share = (panel.values["drug", "MADRS"][:, 1] <= 0.7 * 34).mean()
    assert _sd(response, panel) == pytest.approx(100 * np.sqrt(share * (1 - share) / 40), rel=0.2)
    few = in_trials_of_published_size(response, "drug", _panel(10, between=0.0), SIZES, 1)
    assert {round(x * 40 / 100, 6) % 1 for x in (few.p05, few.p95)} == {0.0}  # whole people also when draws are small
    never = in_trials_of_published_size(
        endpoint("remission", name="r", of="MADRS", at=24.0, below=-99.0), "drug", _panel(10), SIZES, 1
    )
    assert (never.p05, never.median, never.p95) == (0, 0, 0)


def test_the_same_seed_gives_the_same_interval_and_another_another() -> None:
    panel = _panel(20)
    first, again, other = (in_trials_of_published_size(CHANGE, "drug", panel, SIZES, seed) for seed in (1, 1, 2))
    assert first == again and first != other


def test_one_person_per_draw_is_told(caplog: pytest.LogCaptureFixture) -> None:
    result = in_trials_of_published_size(CHANGE, "drug", _panel(1), SIZES, 1)
    assert "too few virtual people" in result.note and np.isfinite(result.median)


def test_nobody_gives_no_number_and_a_reason() -> None:
    panel = _panel(2)
    empty = Panel(
        panel.subjects, panel.draw, panel.times, {k: np.full_like(v, np.nan) for k, v in panel.values.items()}
    )
    result = in_trials_of_published_size(CHANGE, "drug", empty, SIZES, 1)
    assert np.isnan(result.median) and "nobody" in result.note


def test_a_laboratory_moves_what_departs_from_no_change() -> None:
    percent = endpoint("percent-of-control", name="p", of="MADRS", at=24.0, arm="saline")
    panel = _panel(100, between=0.0)
    alone = in_trials_of_published_size(percent, "drug", panel, SIZES, seed=1)
    same = in_trials_of_published_size(percent, "drug", panel, SIZES, seed=1, laboratory=np.ones(1000))
    twice = in_trials_of_published_size(percent, "drug", panel, SIZES, seed=1, laboratory=np.full(1000, 2.0))
    assert same == alone
    assert np.subtract(twice.quantiles, 100) == pytest.approx(2 * np.subtract(alone.quantiles, 100))

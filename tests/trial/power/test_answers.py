"""What each trial answers: the power of the same trials, and looks against their closed forms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from respine.errors import InputError
from respine.trial.analysis.sequential.design import design
from respine.trial.power import power
from respine.trial.power.answers import answers, summary, with_looks
from respine.trial.power.question import Comparison, comparisons
from respine.trial.replicates import Trials, simulate_trials
from tests.trial.replicates.conftest import Make, trial

__all__ = ["trial"]


def test_the_share_of_trials_won_is_the_power(trial: Make) -> None:
    protocol = trial()
    found = answers(simulate_trials(protocol, 50, 20, typical=True), comparisons(protocol, method="ancova"))
    short = summary(found).iloc[0]
    asked = power(protocol, 20, analysis="ancova", replicates=50, threads=1)
    assert short["won"] == asked.table["power"].iloc[0]
    assert short["estimate"] == pytest.approx(asked.effects["effect"].iloc[0], rel=1e-12)
    assert (found["low"] < found["estimate"]).all() and (found["estimate"] < found["high"]).all()


def normal(trial: Make, effect: float, replicates: int, n: int) -> tuple[Trials, Comparison]:
    """Trials with a standard normal change that is ``effect`` lower in the first arm, and their comparison by t test."""
    protocol = trial()
    rng = np.random.default_rng(11)
    arm = np.tile(np.arange(2 * n) % 2, (replicates, 1))
    scores = np.zeros((replicates, 2 * n, 5))
    scores[..., -1] = rng.standard_normal((replicates, 2 * n)) - effect * (arm == 0)
    one = simulate_trials(protocol, 1, n)
    events = {kind: np.full(arm.shape, np.inf) for kind in one.events}
    whole = replace(one, subject=np.zeros_like(arm), arm=arm, scores={"MADRS": scores}, true={"MADRS": scores}, belief=scores,
                    felt=scores, events=events, seen=np.ones(scores.shape, bool))  # fmt: skip
    return whole, comparisons(protocol, method="t-test")[0]


@pytest.mark.parametrize("family", ["OF", "P", "asP"])
def test_power_with_looks_is_that_of_the_design(trial: Make, family: str) -> None:
    plan = design(family, [0.4, 1.0], 0.025)
    trials, asked = normal(trial, 0.4, 3000, 100)
    found = with_looks(trials, asked, plan)
    exact = plan.stops(0.4 * np.sqrt(100 / 2))
    for look in (1, 2):
        share = ((found["look"] == look) & (found["end"] == "win")).mean()
        p = float(exact.above[look - 1])
        assert share == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / 3000) + 0.003)
    assert found["people"].mean() == pytest.approx(200 * plan.expected_information(0.4 * np.sqrt(50)), rel=0.02)


def test_the_level_holds_when_the_size_is_re_estimated_and_power_grows(trial: Make) -> None:
    plan = design("asOF", [0.5, 1.0], 0.025)
    null, asked = normal(trial, 0.0, 4000, 60)
    found = with_looks(null, asked, plan, enlarge=2.0)
    assert (found["end"] == "win").mean() == pytest.approx(0.025, abs=4 * np.sqrt(0.025 / 4000))
    grown, plain = (
        with_looks(normal(trial, 0.4, 1500, n)[0], asked, plan, enlarge=e) for n, e in ((60, 2.0), (40, 1.0))
    )
    assert (grown["end"] == "win").mean() > (plain["end"] == "win").mean() + 0.03  # the plan of both is 40 an arm
    assert grown["people"].max() == 120 and plain["people"].max() == 80 and 0.05 < (grown["enlarged"] > 1).mean() < 0.6


def test_futility_ends_trials_without_an_effect(trial: Make) -> None:
    trials, asked = normal(trial, 0.0, 1000, 40)
    found = with_looks(trials, asked, design("OF", 2, 0.025, futility=[0.0]))
    assert (found["end"] == "futile").mean() == pytest.approx(0.5, abs=0.06)


def test_plans_that_cannot_be_carried_out_are_refused(trial: Make) -> None:
    trials, asked = normal(trial, 0.0, 5, 20)
    for plan, enlarge in (
        (design("OF", 3, 0.025), 2.0),
        (design("OF", 2, 0.05, 2), 1.0),
        (design("OF", 2, 0.025), 0.5),
    ):
        with pytest.raises(InputError):
            with_looks(trials, asked, plan, enlarge=enlarge)
    with pytest.raises(InputError, match="fewer than"):
        with_looks(trials, asked, design("OF", [0.05, 1.0], 0.025))

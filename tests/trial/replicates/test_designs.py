"""Crossover, randomised withdrawal and sequential parallel trials: against what parallel arms or closed forms say."""

from __future__ import annotations

import numpy as np
import pytest

from respine.errors import InputError
from respine.trial.replicates import simulate_trials
from respine.trial.replicates.analyses import ancova
from respine.trial.replicates.designs import (
    as_sequences,
    crossover_answers,
    selected,
    sequential_parallel,
    withdrawal_times,
)
from respine.trial.replicates.trials import chosen

from .conftest import Make

ONE = {"drug": "ketamine", "route": "iv", "amount": "0.5 mg/kg", "over": "40 min", "at": "0 h"}
NONE = {"drug": "saline", "route": "iv", "over": "40 min", "at": "0 h"}
ARMS = {"drug": {"doses": [ONE]}, "saline": {"doses": [NONE]}}


def test_a_crossover_finds_what_a_parallel_trial_finds_with_fewer_people(trial: Make) -> None:
    changes = {"arms": ARMS, "visits": ["0 h", "24 h", "4 d"], "endpoints": ()}
    parallel = simulate_trials(trial(**changes), 30, 30, typical=True)
    form = {"n": 30, "design": "crossover", "period": "4 d"}
    protocol = as_sequences(trial(**changes, design="crossover", washout="24 d", trial=form))
    assert list(protocol.study.arms) == ["drug-then-saline", "saline-then-drug"]
    assert protocol.study.visits == (0, 24, 96, 672, 696, 768)
    trials = simulate_trials(protocol, 30, typical=True)
    crossed = crossover_answers(trials, "MADRS", 24.0, 28 * 24.0)
    y, rows = parallel.observed("MADRS"), np.arange(30)[:, None]
    a, b = ((y[:, :, 1] - y[:, :, 0])[rows, who] for who in chosen(parallel, ("drug", "saline")))
    straight = ancova(a, b, None, None)
    error = np.hypot(straight.estimate.std(), crossed.estimate.std()) / np.sqrt(30)
    assert crossed.estimate.mean() == pytest.approx(straight.estimate.mean(), abs=4 * error + 0.4)
    assert crossed.estimate.mean() < -3 and crossed.se.mean() < 0.9 * straight.se.mean()


def test_randomised_withdrawal_takes_responders_and_those_who_stop_relapse_more(trial: Make) -> None:
    course = ONE | {"every": "6 h"}
    arms = {"go-on": {"doses": [course | {"times": 168}]},
            "stop": {"doses": [course | {"times": 56}, NONE | {"at": "14 d", "every": "6 h", "times": 112}]}}  # fmt: skip
    protocol = trial(
        arms=arms, expectancy="none", visits=[f"{k} d" for k in range(0, 43, 7)], endpoints=(),
        behaviour={"relapse": {"scale": "MADRS", "lost": "50 %"}},
        trial={"n": 60, "design": "withdrawal", "select": {"scale": "MADRS", "at": "14 d", "fall": "50 %"}},
    )  # fmt: skip
    trials = simulate_trials(protocol, 4, typical=True)
    inside = selected(trials)
    y = trials.scores["MADRS"]
    assert (inside == (y[:, :, 2] <= 0.5 * y[:, :, 0])).all() and 0.1 < inside.mean() < 0.95
    time, event, kept = withdrawal_times(trials)
    rate = [event[kept & (trials.arm == k)].mean() for k in range(2)]
    assert rate[1] > rate[0] + 0.15
    assert (time[kept] > 0).all() and np.nanmax(time) <= 28 * 24


def test_sequential_parallel_is_the_weighted_mean_of_both_stages(trial: Make) -> None:
    later = {"at": "7 d"}
    arms = {"drug-drug": {"doses": [ONE, ONE | later]}, "placebo-drug": {"doses": [NONE, ONE | later]},
            "placebo-placebo": {"doses": [NONE, NONE | later]}}  # fmt: skip
    form = {
        "n": {"drug-drug": 30, "placebo-drug": 30, "placebo-placebo": 30},
        "design": "sequential-parallel",
        "stage": "7 d",
    }
    protocol = trial(arms=arms, visits=["0 h", "24 h", "7 d", "8 d"], endpoints=(), trial=form)
    trials = simulate_trials(protocol, 20, typical=True)
    result = sequential_parallel(trials, "MADRS")
    assert result.estimate.mean() < -1 and result.p.shape == (20,)
    assert result.se.mean() == pytest.approx(result.estimate.std(ddof=1), rel=0.5)
    with pytest.raises(InputError, match="no sequential parallel"):
        sequential_parallel(simulate_trials(trial(), 1, 8), "MADRS")

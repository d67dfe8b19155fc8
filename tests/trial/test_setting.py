"""What a trial has of its own: setting, size of effects, care, natural course, entry."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from respine import population
from respine.library import BUILT_IN
from respine.protocol import resolve
from respine.study import scales
from respine.study.endpoints import endpoint
from respine.trial.expectancy import strength
from respine.trial.setting import begins_antidepressant, drawn, exaggeration, laboratory_factors, regression
from tests.trial.stand_ins import arm_of, small_study

DRAW = np.arange(4000)
PEOPLE = np.arange(3000)
TIMES = np.array([0.0, 24.0, 168.0, 672.0])


def test_small_trials_exaggerate_and_a_trial_of_a_hundred_does_not(tmp_path: Path) -> None:
    study = small_study(tmp_path)
    numbers = {"small_study": 1.2}
    sizes = {
        n: exaggeration(small_study(tmp_path, **{"n_published: 20": f"n_published: {n}"}), numbers)
        for n in (10, 100, 1000)
    }
    assert sizes[10] > 1.2 and sizes[100] == pytest.approx(1.0) and 0.9 < sizes[1000] < 1.0
    pool = study.replace(pooled_trials=4, arms={k: a.replace(n_published=400) for k, a in study.arms.items()})
    assert exaggeration(pool, numbers) == pytest.approx(1.0)  # four trials of a hundred an arm
    assert exaggeration(study, {}) == 1.0


def test_a_pool_has_the_mean_setting_of_its_trials(tmp_path: Path) -> None:
    asked = resolve(small_study(tmp_path))
    many = resolve(small_study(tmp_path).replace(pooled_trials=25))
    spread = [np.log(drawn(replace(p, posterior=None), DRAW).numbers["setting"]).std() for p in (asked, many)]
    assert spread[0] == pytest.approx(0.55, abs=0.1) and spread[1] < 0.45 * spread[0]


def test_laboratories_differ_where_nobody_rates(tmp_path: Path) -> None:
    study = small_study(tmp_path)
    spines = endpoint("percent-of-control", name="s", of="spine_total", at=24.0, arm="saline")
    score = endpoint("difference-in-change", name="d", of="MADRS", at=24.0, arm="saline")
    one = laboratory_factors(study, spines, 4000)
    many = laboratory_factors(study.replace(pooled_trials=25), spines, 4000)
    assert one is not None and many is not None and laboratory_factors(study, score, 4000) is None
    assert np.median(one) == pytest.approx(1.0, abs=0.05) and 0.3 < np.log(one).std() < 0.55
    assert np.log(many).std() < 0.5 * np.log(one).std()


def test_setting_and_effect_are_the_same_in_all_arms_of_a_trial(tmp_path: Path) -> None:
    protocol = resolve(small_study(tmp_path))
    own = drawn(protocol, DRAW % 7)
    assert len(np.unique(own.numbers["setting"])) == len(np.unique(own.numbers["effect"])) == 7


def test_prior_and_posterior_can_be_chosen(tmp_path: Path) -> None:
    study = small_study(tmp_path)
    assert resolve(study.replace(uncertainty="prior")).posterior is None


def test_an_antidepressant_begun_openly_gives_hope_to_all(tmp_path: Path) -> None:
    drug = "co_medication: [{drug: escitalopram, route: oral, amount: 10 mg, at: 0 h, every: 24 h, times: 28}]"
    control = "control: {kind: inactive-placebo, unblinding: high}"
    beside = small_study(tmp_path, **{control: f"{control}\n    {drug}"})
    alone = small_study(tmp_path)
    earlier = small_study(tmp_path, **{control: f"{control}\n    {drug.replace('at: 0 h', 'at: -56 d')}"})
    gain = {
        name: strength(arm_of(study, "saline"), PEOPLE, TIMES, None).mean(axis=0)
        for name, study in {"beside": beside, "alone": alone, "earlier": earlier}.items()
    }
    assert gain["beside"][3] > 1.5 * gain["alone"][3]
    np.testing.assert_allclose(gain["earlier"], gain["alone"])  # it is nothing new to them
    said = small_study(tmp_path).replace(care={"new_antidepressant": True})
    assert begins_antidepressant(said, (), arm_of(said, "saline").protocol.expectancy)


def test_care_and_time_help_whatever_is_believed(tmp_path: Path) -> None:
    nothing = {"control: {kind: inactive-placebo, unblinding: high}": "control: {kind: none}"}
    plain = small_study(tmp_path, **nothing)
    ward = plain.replace(care={"admission": True})
    seen = plain.replace(care={"visits_per_week": 3})
    gain = [strength(arm_of(study, "saline"), PEOPLE, TIMES, None).mean(axis=0) for study in (plain, ward, seen)]
    assert gain[0][0] == 0 and np.all(np.diff(gain[0]) > 0)
    assert np.all(gain[1][1:] > gain[0][1:]) and np.all(gain[2][1:] > gain[0][1:])
    three_months = strength(arm_of(plain, "saline"), PEOPLE, np.array([0.0, 2190.0]), None).mean(axis=0)[1]
    assert 0.15 < 1 - np.exp(-three_months) < 0.4  # 23 % remit untreated in three months (Whiteford 2013)


def test_people_fall_back_from_the_score_they_entered_with(tmp_path: Path) -> None:
    study, scale = small_study(tmp_path), scales.load(BUILT_IN, "MADRS")
    numbers = {"entry_deviation": 0.5, "entry_inflation": 0.03}
    entry = np.full(len(PEOPLE), 34.0)
    back = regression(study, scale, PEOPLE, np.array([0.0, 1.0, 24.0 * 365]), entry, numbers)
    assert np.all(back[:, 0] == 0)
    assert back[:, 1].mean() == pytest.approx(-0.03 * 34, abs=0.2)  # the inflation is gone at once
    assert back[:, 2].mean() == pytest.approx(-0.03 * 34 - 0.5 * scale.number("fluctuation_sd"), abs=0.5)
    assert back[:, 2].std() == pytest.approx(scale.number("fluctuation_sd"), rel=0.1)  # the stationary law at entry
    assert np.all(regression(study, scales.load(BUILT_IN, "SBP"), PEOPLE, TIMES, entry, numbers) == 0.0)
    assert np.all(regression(study, scale, PEOPLE, TIMES, entry, None) == 0.0)


def test_kept_random_numbers_are_not_shared(tmp_path: Path) -> None:
    first = population.normals(1, "shared", 0, 10)
    first[:] = 0.0
    assert np.all(population.normals(1, "shared", 0, 10) != 0.0)

"""From trajectories to scores: exact without noise, correlated with it, whole for who failed, the same in any batch."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respine import trial
from respine.errors import InputError
from respine.library import BUILT_IN
from respine.protocol import resolve
from respine.study import Study, scales
from respine.study.expectancy import without_trial_terms
from respine.trial.observe import residual, true_scores
from tests.trial.stand_ins import arm_of, people, small_study, solution

TIMES = [0.0, 4.0, 24.0, 168.0]
NO_CONTROL = {"control: {kind: inactive-placebo, unblinding: high}": "control: {kind: none}"}


def _observed(study, arm: str, n: int = 60, **outputs: list[float]) -> pd.DataFrame:
    return trial.observe(arm_of(study, arm), people(n), solution(TIMES, n, **outputs))


def _plain(study, arm: str):
    """The arm in a trial that has nothing of its own: no natural course, effects of the size that the model has."""
    protocol = resolve(study)
    alone = without_trial_terms(protocol.expectancy)
    numbers = {**alone.numbers, "effect_sd": 0.0}
    ranges = {name: pair for name, pair in alone.ranges.items() if numbers.get(name, 1.0) > 0}
    return replace(protocol, expectancy=replace(alone, numbers=numbers, ranges=ranges), posterior=None).arm(arm)


def _true(rows: pd.DataFrame, scale: str) -> np.ndarray:
    return rows[rows["scale"] == scale].pivot(index="subject", columns="time_h", values="true_value").to_numpy()


def test_a_score_follows_the_symptom_between_baseline_and_health(tmp_path: Path) -> None:
    arm = _plain(small_study(tmp_path, **NO_CONTROL), "saline")
    rows = trial.observe(arm, people(60), solution(TIMES, 60, symptom=[0.8, 0.6, 0.4, 0.0]))
    healthy = scales.load(BUILT_IN, "MADRS").number("healthy")
    wanted = healthy + (34 - healthy) * np.array([1, 0.75, 0.5, 0.0])
    np.testing.assert_allclose(_true(rows, "MADRS"), np.tile(wanted, (60, 1)))


def test_worse_than_at_baseline_is_a_higher_score(tmp_path: Path) -> None:
    arm = _plain(small_study(tmp_path, **NO_CONTROL), "saline")
    rows = trial.observe(arm, people(60), solution(TIMES, 60, symptom=[0.5, 0.6, 0.7, 1.0]))
    assert np.all(np.diff(_true(rows, "MADRS"), axis=1) > 0)


def test_expectancy_lowers_what_the_biology_leaves_and_stops_at_health(tmp_path: Path) -> None:
    study, healthy = small_study(tmp_path), scales.load(BUILT_IN, "MADRS").number("healthy")
    flat = _true(_observed(study, "saline", symptom=[0.8] * 4), "MADRS")
    assert np.allclose(flat[:, 0], 34) and np.all(flat[:, 2] < 34) and np.all(flat >= healthy)
    well = solution(TIMES, 60, symptom=[0.8, 0.0, 0.0, 0.0])
    helped = _true(trial.observe(_plain(study, "drug"), people(60), well), "MADRS")
    np.testing.assert_allclose(helped[:, 1:], healthy)  # nothing is left for expectancy


def test_hardly_ill_people_neither_jump_nor_divide_by_nothing(tmp_path: Path) -> None:
    study = small_study(tmp_path, **NO_CONTROL)
    rows = trial.observe(_plain(study, "saline"), people(60), solution(TIMES, 60, symptom=[0.0, 0.001, 0.0, 0.0]))
    rows = _true(rows, "MADRS")
    assert np.all(np.isfinite(rows)) and np.allclose(rows, 34, atol=1)
    ill, well = (solution(TIMES, 10, symptom=[level] * 4) for level in (0.9, 0.0))
    assert trial.count_hardly_ill(resolve(study), well) == 10 and trial.count_hardly_ill(resolve(study), ill) == 0


@pytest.mark.parametrize(
    ("symptom", "floors", "hardly"), [(0.09, 1, True), (0.2, 1, False), (0.2, 3, True), (0.31, 3, False)]
)
def test_hardly_ill_is_below_so_many_floors_of_the_scale(symptom: float, floors: float, hardly: bool) -> None:
    scale = scales.load(BUILT_IN, "MADRS")  # its floor is 0.1
    assert trial.hardly_ill(np.array([symptom, np.nan]), scale, floors).tolist() == [hardly, False]


def test_pressure_rises_over_each_persons_own_baseline(tmp_path: Path) -> None:
    rows = _true(_observed(small_study(tmp_path), "drug", systolic_pressure_rise=[0.0, 12.0, 3.0, 0.0]), "SBP")
    np.testing.assert_allclose(rows - rows[:, :1], np.tile([0, 12.0, 3.0, 0], (60, 1)))
    assert rows[:, 0].std() > 5  # people differ


def test_dissociation_is_skewed_between_people_with_mean_one(tmp_path: Path) -> None:
    rows = trial.observe(
        arm_of(small_study(tmp_path), "drug"), people(4000), solution(TIMES, 4000, cadss_drive=[0.0, 10.0, 0.0, 0.0])
    )
    points = _true(rows, "CADSS")[:, 1] - scales.load(BUILT_IN, "CADSS").number("background")
    assert points.mean() == pytest.approx(10, rel=0.06) and np.median(points) < 8.5


def test_scores_are_whole_inside_the_range_and_hold_every_visit(tmp_path: Path) -> None:
    rows = _observed(small_study(tmp_path), "drug", symptom=[0.8, 0.2, 0.1, 0.5])
    assert list(rows.columns) == ["subject", "arm", "time_h", "scale", "value", "true_value"]
    assert len(rows) == 60 * 4 * 3 and set(rows["time_h"]) == set(TIMES)
    assert np.all(rows["value"] == rows["value"].round()) and rows["value"].min() >= 0


def test_failed_people_are_left_out_whole(tmp_path: Path) -> None:
    solved = solution(TIMES, 10, symptom=[0.8] * 4)
    solved.values[3, 2:] = np.nan
    solved.status[3] = 2
    rows = trial.observe(arm_of(small_study(tmp_path), "drug"), people(10), solved)
    assert 3 not in set(rows["subject"]) and len(rows) == 9 * 4 * 3 and rows["value"].notna().all()


def test_the_same_person_has_the_same_scores_in_any_batch(tmp_path: Path) -> None:
    study = small_study(tmp_path)
    whole = trial.observe(arm_of(study, "drug"), people(30), solution(TIMES, 30, symptom=[0.8, 0.5, 0.3, 0.4]))
    part = trial.observe(arm_of(study, "drug"), people(10, first=10), solution(TIMES, 10, symptom=[0.8, 0.5, 0.3, 0.4]))
    own = whole[whole["subject"].between(10, 19)].sort_values(["scale", "subject", "time_h"]).reset_index(drop=True)
    pd.testing.assert_frame_equal(own, part.sort_values(["scale", "subject", "time_h"]).reset_index(drop=True))


def test_residuals_have_the_size_and_correlation_of_the_scale_file(tmp_path: Path) -> None:
    study, scale = small_study(tmp_path), scales.load(BUILT_IN, "MADRS")
    times = np.array([0.0, 168.0, 336.0, 100_000.0])
    noise = residual(study, scale, "drug", np.arange(20_000), times)
    sd, rater, tau = scale.number("fluctuation_sd"), scale.number("rater_sd"), scale.number("fluctuation_time")
    wanted = np.sqrt(sd**2 * (1 - np.exp(-2 * times / tau)) + rater**2)
    np.testing.assert_allclose(noise.std(axis=0), wanted, rtol=0.02)
    shared = sd**2 * (1 - np.exp(-2 * 168 / tau)) * np.exp(-168 / tau)  # covariance of weeks 1 and 2
    assert np.corrcoef(noise[:, 1], noise[:, 2])[0, 1] == pytest.approx(shared / (wanted[1] * wanted[2]), abs=0.02)


def test_arms_share_people_but_not_days_and_raters(tmp_path: Path) -> None:
    study, scale = small_study(tmp_path), scales.load(BUILT_IN, "MADRS")
    a, b = (residual(study, scale, arm, np.arange(5000), np.array(TIMES)) for arm in ("drug", "saline"))
    assert abs(np.corrcoef(a[:, 3], b[:, 3])[0, 1]) < 0.05


def test_ham_d_takes_its_baseline_from_madrs_and_unknown_baselines_are_refused(tmp_path: Path) -> None:
    study = small_study(tmp_path, **{"observe: [MADRS, CADSS, SBP]": "observe: [HAMD17, MADRS]"})
    scale = scales.load(BUILT_IN, "HAMD17")
    who = people(5, madrs=26.0)
    true = true_scores(study, scale, who, np.arange(5), np.ones((5, 2)), None)
    np.testing.assert_allclose(true, 20.0)
    with pytest.raises(InputError, match="baseline_HAMD17"):
        blank = type(who)(who.covariates.drop(columns="baseline_MADRS"), who.parameters, who.draw)
        true_scores(study, scale, blank, np.arange(5), np.ones((5, 2)), None)


def test_outputs_that_observing_takes_are_named_and_checked(tmp_path: Path) -> None:
    study = small_study(tmp_path)
    assert trial.required_outputs(resolve(study)) == ["symptom", "cadss_drive", "systolic_pressure_rise"]
    system = resolve(study).system
    rules = {name: rule for name, rule in system.rules.items() if name != "systolic_pressure_rise"}
    with pytest.raises(InputError, match="computes nothing of this name"):
        trial.required_outputs(resolve(study, system=dataclasses.replace(system, rules=rules)))


@pytest.fixture(scope="module")
def any_study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """One study for many examples."""
    return small_study(tmp_path_factory.mktemp("any"))


@settings(max_examples=100)
@given(
    symptom=st.lists(st.floats(0, 1), min_size=2, max_size=6),
    gain=st.floats(0, 20),
    madrs=st.floats(0, 60),
    name=st.sampled_from(["MADRS", "HAMD17", "SSI"]),
)
def test_no_drug_and_no_expectancy_carry_anybody_beyond_health(
    any_study: Study, symptom: list[float], gain: float, madrs: float, name: str
) -> None:
    scale, output, who = scales.load(BUILT_IN, name), np.array([symptom]), people(1, madrs=madrs)
    true = true_scores(any_study, scale, who, np.arange(1), output, np.full(output.shape, gain))
    baseline = true_scores(any_study, scale, who, np.arange(1), output[:, :1], np.zeros((1, 1)))
    assert np.all(true >= np.minimum(scale.number("healthy"), baseline) - 1e-9)

"""Scores at decision times: those of the visits where there is one, and lawful numbers of their own in between."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from respine import trial
from respine.library import BUILT_IN
from respine.protocol.output_times import rating_times
from respine.study import scales
from respine.trial.interim import InterimScores, residual_between
from respine.trial.observe import deviations, residual
from tests.trial.stand_ins import arm_of, people, small_study, solution

SUBJECTS = np.arange(4000)


@pytest.mark.parametrize("name", ["MADRS", "SBP"])
def test_looking_more_often_moves_no_number_of_a_visit(tmp_path: Path, name: str) -> None:
    study, scale = small_study(tmp_path), scales.load(BUILT_IN, name)
    ratings = rating_times(study)
    often = np.unique(np.concatenate([ratings, np.arange(0, 169, 12.0)]))
    at_visits = residual(study, scale, "drug", SUBJECTS, ratings)
    between = residual_between(study, scale, "drug", SUBJECTS, often)
    np.testing.assert_array_equal(between[:, np.isin(often, ratings)], at_visits)
    part = residual_between(study, scale, "drug", SUBJECTS[100:150], often)
    np.testing.assert_array_equal(part, between[100:150])  # whoever else is in the shard


def test_between_visits_the_fluctuation_follows_the_same_law(tmp_path: Path) -> None:
    study, scale = small_study(tmp_path), scales.load(BUILT_IN, "MADRS")
    times = np.array([0.0, 24.0, 60.0, 96.0, 168.0])  # 60 and 96 h are no visits
    sd, rater, slow = (scale.number(n) for n in ("fluctuation_sd", "rater_sd", "fluctuation_time"))
    lag = np.abs(times[:, None] - times[None, :])
    wanted = sd**2 * np.exp(-lag / slow) + rater**2 * np.eye(len(times))
    state, _ = deviations(study, scale, "drug", SUBJECTS, rating_times(study))
    start = state[:, 0].var()  # 0 where the population gives the scores at entry
    wanted -= sd**2 * (1 - start) * np.exp(-(times[:, None] + times[None, :]) / slow)
    result = np.cov(residual_between(study, scale, "drug", SUBJECTS, times).T)
    np.testing.assert_allclose(result, wanted, atol=0.07 * wanted.max())


def test_what_is_seen_at_a_visit_is_what_the_visit_keeps(tmp_path: Path) -> None:
    study, times = small_study(tmp_path), [0.0, 4.0, 24.0, 48.0, 168.0]
    solved = solution(times, 30, symptom=[0.8, 0.4, 0.3, 0.35, 0.5], cadss_drive=[0.0, 9.0, 0.0, 0.0, 0.0])
    rows = trial.observe(arm_of(study, "drug"), people(30), solved)
    scores = InterimScores(arm_of(study, "drug"), people(30), np.array([24.0, 48.0, 168.0]), ["MADRS", "CADSS"])
    for name in ("MADRS", "CADSS"):
        kept = rows[rows["scale"] == name].pivot(index="subject", columns="time_h", values="value")
        for time in (24.0, 168.0):
            observed = scores.at(time, solved, [])[name]
            np.testing.assert_array_equal(observed.now, kept[time])
            np.testing.assert_array_equal(observed.baseline, kept[0.0])
    assert np.isfinite(scores.at(48.0, solved, [])["MADRS"].now).all()

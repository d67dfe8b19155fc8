"""Expectancy: its time course, its sizes by control, and that it never carries anybody beyond health."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from respine.library import BUILT_IN
from respine.study.expectancy import load as load_expectancy
from respine.study.expectancy import without_trial_terms
from respine.trial.expectancy import procedure_times, strength
from tests.trial.stand_ins import arm_of, small_study

SUBJECTS = np.arange(4000)
TIMES = np.array([-24.0, 0.0, 2.0, 24.0, 168.0, 336.0, 1008.0])
PILLS = {"route: iv, amount: 0.5 mg/kg, over: 40 min": "route: oral, amount: 1 mg/kg"}
SALINE = "control: {kind: inactive-placebo, unblinding: high}"


def _share(study, arm: str = "saline", felt: np.ndarray | None = None) -> np.ndarray:
    """Mean share of the way to health that expectancy takes."""
    return (1 - np.exp(-strength(arm_of(study, arm), SUBJECTS, TIMES, felt))).mean(axis=0)


def test_nothing_happens_before_the_first_visit_or_at_it(tmp_path: Path) -> None:
    assert np.all(strength(arm_of(small_study(tmp_path), "saline"), SUBJECTS, TIMES[:2], None) == 0)


def test_controls_work_in_the_order_of_how_well_they_are_believed(tmp_path: Path) -> None:
    at_24h = {}
    for kind, unblinding in [
        ("none", "none"),
        ("inactive-placebo", "high"),
        ("inactive-placebo", "none"),
        ("active-placebo", "low"),
        ("open-label", "none"),
    ]:
        doses = "doses: [{drug: saline, route: iv, over: 40 min, at: 0 h}]"
        study = small_study(tmp_path, **{SALINE: f"control: {{kind: {kind}, unblinding: {unblinding}}}\n    {doses}"})
        at_24h[kind, unblinding] = _share(study)[3]
    values = list(at_24h.values())
    assert values[0] < 0.01 and values == sorted(values) and len(set(values)) == len(values)


def test_a_saline_infusion_and_midazolam_have_the_published_sizes(tmp_path: Path) -> None:
    saline = _share(small_study(tmp_path))
    assert 0.05 < saline[3] < 0.15  # 8.8 % responders; nobody felt better in one small trial
    study = small_study(tmp_path, **{SALINE: "control: {kind: active-placebo, unblinding: low}"})
    assert 0.22 < _share(study)[3] < 0.32  # -8.8 points of 27 to 33 to lose


def test_a_masked_control_without_doses_is_treated_when_the_drug_is(tmp_path: Path) -> None:
    study = small_study(tmp_path)
    np.testing.assert_array_equal(procedure_times(arm_of(study, "saline")), [0.0])
    oral = small_study(tmp_path, **PILLS)
    assert len(procedure_times(arm_of(oral, "saline"))) == 0
    assert _share(oral)[2] < _share(study)[2]  # pills have no procedure, only the course


def test_two_weeks_hold_the_published_part_of_six(tmp_path: Path) -> None:
    """61.6 % in 47 trials (Posternak 2005), 53 % in 88 people (Goldstein 2004): the calibrated course lies between."""
    oral = small_study(tmp_path, **PILLS)
    alone = without_trial_terms(load_expectancy(BUILT_IN))
    course = strength(arm_of(oral, "saline"), SUBJECTS, TIMES, None, model=alone).mean(axis=0)
    assert 0.53 < course[5] / course[6] < 0.64
    assert course[5] / course[6] == pytest.approx(0.616, abs=0.04)


def test_what_is_felt_raises_belief_in_a_blinded_drug_arm(tmp_path: Path) -> None:
    study = small_study(tmp_path)
    nothing = strength(arm_of(study, "drug"), SUBJECTS, TIMES, np.zeros((len(SUBJECTS), len(TIMES))))
    much = strength(arm_of(study, "drug"), SUBJECTS, TIMES, np.full((len(SUBJECTS), len(TIMES)), 40.0))
    unknown = strength(arm_of(study, "drug"), SUBJECTS, TIMES, None)
    np.testing.assert_allclose(nothing, unknown)
    assert np.all(much[:, 2:] > nothing[:, 2:])
    prior = load_expectancy(BUILT_IN).numbers["belief_blinded"]
    assert np.all(much[:, 2:] <= nothing[:, 2:] / prior)  # belief ends at certainty


def test_a_person_has_the_same_trait_in_every_batch(tmp_path: Path) -> None:
    study = small_study(tmp_path)
    whole = strength(arm_of(study, "saline"), np.arange(50), TIMES, None)
    part = strength(arm_of(study, "saline"), np.arange(20, 30), TIMES, None)
    np.testing.assert_array_equal(whole[20:30], part)

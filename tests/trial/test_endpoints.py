"""Endpoints against numbers worked out by hand, and analysis of covariance against least squares."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from respine import trial
from respine.study.endpoints import CLASSES, Endpoint, endpoint
from respine.trial import Panel
from respine.trial.analysis.arrays_mmrm import differences
from respine.trial.endpoints import estimate, per_person, sample_of, why_not
from tests.trial.stand_ins import STUDY, small_study

NAN = np.nan
# four people: 30 -> 15 -> 9, 30 -> 16 -> 30, 20 -> 10 -> 12, and one lost
SCORES = np.array([[30, 15, 9, 9], [30, 16, 30, 28], [20, 10, 12, 18], [40, NAN, NAN, NAN]], float)
CONTROL = np.array([[30, 28, 27, 26], [30, 30, 30, 30], [20, 18, 17, 10], [40, 36, 38, 35]], float)
TIMES = np.array([0.0, 24.0, 72.0, 168.0])
PANEL = Panel(
    np.arange(4), np.zeros(4, int), {"MADRS": TIMES}, {("drug", "MADRS"): SCORES, ("saline", "MADRS"): CONTROL}
)


def _value(of: Endpoint, arm: str = "drug", panel: Panel = PANEL) -> float:
    return float(estimate(of, arm, sample_of(of, panel, ["drug", "saline"])))


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"kind": "score", "at": 24.0}, (15 + 16 + 10) / 3),
        ({"kind": "change", "at": 24.0}, (-15 - 14 - 10) / 3),
        ({"kind": "percent-change", "at": 24.0}, (-50 - 14 / 0.3 - 50) / 3),
        ({"kind": "response", "at": 24.0, "drop": 0.5}, 200 / 3),  # exactly half the baseline counts
        ({"kind": "response", "by": 168.0, "drop": 0.5}, 200 / 3),
        ({"kind": "response", "at": 24.0, "drop": 0.45}, 100.0),
        ({"kind": "remission", "at": 72.0, "below": 10.0}, 100 / 3),
        ({"kind": "remission", "by": 72.0, "below": 10.0}, 200 / 3),
        ({"kind": "peak", "begin": 24.0}, (15 + 30 + 18) / 3),
        ({"kind": "trough", "begin": 0.0, "until": 72.0}, (9 + 16 + 10 + 40) / 4),
        ({"kind": "difference", "at": 24.0, "arm": "saline"}, 41 / 3 - 28.0),
        ({"kind": "difference-in-change", "at": 24.0, "arm": "saline"}, -13 + 2.0),
        ({"kind": "percent-of-control", "at": 24.0, "arm": "saline"}, 100 * (41 / 3) / 28),
    ],
)  # fmt: skip
def test_endpoints_by_hand(fields: dict, wanted: float) -> None:
    assert _value(endpoint(name="e", of="MADRS", **fields)) == pytest.approx(wanted)


def test_relapse_of_responders_counts_time_from_the_first_visit() -> None:
    fields = {"name": "e", "of": "MADRS", "at": 24.0, "until": 168.0, "drop": 0.5}
    relapse = endpoint("time-to-relapse", above=12.0, **fields)
    # persons 0 and 2 respond at 24 h; 2 is at 12 points or more at 72 h; 0 never and counts with the end of follow-up
    np.testing.assert_array_equal(per_person(relapse, PANEL, "drug"), [168, NAN, 72, NAN])
    assert _value(endpoint("relapse-free", above=12.0, **fields)) == pytest.approx(50)
    assert _value(endpoint("time-to-relapse", above=18.0, **fields)) == pytest.approx((168 + 168) / 2)
    assert _value(endpoint("time-to-relapse", lost=0.2, **fields)) == pytest.approx((168 + 72) / 2)
    later = endpoint("time-to-relapse", above=12.0, **(fields | {"until": 72.0})).from_start(0.0)
    assert _value(later) == pytest.approx((72 + 72) / 2)


def test_percent_restored_lies_between_the_damaged_and_the_healthy_arm() -> None:
    flat = {arm: np.full((3, 1), level) for arm, level in (("healthy", 1.0), ("ill", 0.8), ("treated", 0.9))}
    panel = Panel(np.arange(3), np.zeros(3, int), {"x": np.array([24.0])}, {(arm, "x"): v for arm, v in flat.items()})
    restored = endpoint("percent-restored", name="e", of="x", at=24.0, arm="ill", healthy="healthy")
    assert float(estimate(restored, "treated", sample_of(restored, panel, list(flat)))) == pytest.approx(50)


def test_effect_size_is_cohens_d() -> None:
    a, b = SCORES[:3, 1] - SCORES[:3, 0], CONTROL[:, 1] - CONTROL[:, 0]
    pooled = np.sqrt((a.var(ddof=1) * 2 + b.var(ddof=1) * 3) / 5)
    assert _value(endpoint("effect-size", name="e", of="MADRS", at=24.0, arm="saline")) == pytest.approx(
        (a.mean() - b.mean()) / pooled
    )


def test_analysis_of_covariance_agrees_with_least_squares() -> None:
    rng = np.random.default_rng(3)
    base = {arm: rng.normal(30, 5, 40) for arm in ("drug", "saline")}
    after = {
        "drug": 0.6 * base["drug"] - 4 + rng.normal(0, 3, 40),
        "saline": 0.6 * base["saline"] + rng.normal(0, 3, 40),
    }
    panel = Panel(np.arange(40), np.zeros(40, int), {"MADRS": np.array([0.0, 24.0])},
                  {(arm, "MADRS"): np.column_stack([base[arm], after[arm]]) for arm in base})  # fmt: skip
    change = np.concatenate([after[a] - base[a] for a in base])
    design = np.column_stack([np.repeat([1, 0], 40), np.repeat([0, 1], 40), np.concatenate(list(base.values()))])
    drug, saline, slope = np.linalg.lstsq(design, change, rcond=None)[0]
    grand = np.concatenate(list(base.values())).mean()
    asked = endpoint("change", name="e", of="MADRS", at=24.0, analysis="ancova")
    assert _value(asked, "drug", panel) == pytest.approx(drug + slope * grand)
    assert _value(asked, "saline", panel) == pytest.approx(saline + slope * grand)
    fields = {"name": "e", "of": "MADRS", "at": 24.0, "arm": "saline", "analysis": "ancova"}
    difference = endpoint("difference-in-change", **fields)
    assert _value(difference, "drug", panel) == pytest.approx(drug - saline)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"of": "HAMD17", "kind": "change", "at": 24.0}, "HAMD17 is not observed in arm drug"),
        ({"of": "MADRS", "kind": "change", "at": 25.0}, "not observed at 25 h"),
        ({"of": "MADRS", "kind": "difference", "at": 24.0, "arm": "sugar"}, "not observed in arm sugar"),
        ({"of": "MADRS", "kind": "change", "at": 24.0, "begin": -24.0}, "not observed at -24 h"),
    ],
)  # fmt: skip
def test_what_cannot_be_computed_says_why(fields: dict, words: str) -> None:
    assert words in why_not(endpoint(name="e", **fields), PANEL, "drug")
    assert why_not(endpoint("change", name="e", of="MADRS", at=24.0), PANEL, "drug") == ""


@pytest.mark.parametrize("family", CLASSES, ids=lambda family: family.__name__)
def test_every_class_has_a_value_a_person_and_a_unit(family: type[Endpoint]) -> None:
    assert per_person.dispatch(family) is not per_person.dispatch(object)
    assert family.gives and family.__doc__
    assert "note" in family.model_fields and family.model_construct(kind=family.__name__).unit("points")


@pytest.mark.parametrize(
    ("kind", "unit"),
    [("score", "ng/mL"), ("peak", "ng/mL"), ("difference", "ng/mL"), ("percent-change", "%"), ("relapse-free", "%"),
     ("time-to-relapse", "h"), ("effect-size", "SD"), ("response-difference", "%"), ("remission-odds-ratio", "ratio"),
     ("percent-of-control", "%")],
)  # fmt: skip
def test_units_are_known_by_the_class(kind: str, unit: str) -> None:
    assert endpoint(kind).unit("ng/mL") == unit


def test_the_studys_endpoints_with_spread(tmp_path: Path) -> None:
    table = trial.endpoint_values(small_study(tmp_path), PANEL).set_index(["endpoint", "arm"])
    row = table.loc[("change-24h", "drug")]
    assert (row["n"], row["value"], row["unit"]) == (3, pytest.approx(-13), "points")
    assert row["sd"] == pytest.approx(np.std([-15, -14, -10], ddof=1)) and row["se"] == pytest.approx(
        row["sd"] / np.sqrt(3)
    )
    assert ("difference-24h", "saline") not in table.index  # an arm is not compared with itself
    assert table.loc[("difference-24h", "drug"), "against"] == "saline" and row["against"] == ""


def test_a_recorded_output_has_its_own_unit(tmp_path: Path) -> None:
    text = STUDY.replace("record: [symptom]", "record: [plasma_ketamine, symptom]")
    text += (
        "  - {name: highest, of: plasma_ketamine, kind: peak}\n  - {name: ill, of: symptom, kind: score, at: 24 h}\n"
    )
    units = trial.endpoint_values(small_study(tmp_path, text), PANEL).set_index("endpoint")["unit"]
    assert set(units["highest"]) == {"ng/mL"} and set(units["ill"]) == {"1"}


def test_a_panel_holds_observed_rows_where_they_belong() -> None:
    rows = [(7, "drug", 0.0, "MADRS", 30.0), (7, "drug", 24.0, "MADRS", 15.0), (3, "drug", 0.0, "MADRS", 20.0)]
    visits = pd.DataFrame(rows, columns=["subject", "arm", "time_h", "scale", "value"])
    panel = Panel.of(visits, pd.Series({3: 0, 5: 1, 7: 1}))
    np.testing.assert_array_equal(panel.values["drug", "MADRS"], [[20, NAN], [NAN, NAN], [30, 15]])
    np.testing.assert_array_equal(panel.draw, [0, 1, 1])
    assert panel.column("MADRS", 24.01) == 1 and panel.column("MADRS", 23.0) is None


def test_the_last_score_after_the_baseline_is_carried_forward() -> None:
    lost = np.array([[30, 15, NAN, NAN], [30, 16, 30, NAN], [20, NAN, NAN, 18], [40, NAN, NAN, NAN]], float)
    panel = replace(PANEL, values={**PANEL.values, ("drug", "MADRS"): lost})
    carried = {"name": "e", "of": "MADRS", "at": 72.0, "analysis": "locf"}
    change = endpoint("change", **carried)
    # 30 -> 15 and 30 -> 30; of the third nobody knows a later score yet, and the baseline of the fourth is not carried forward
    assert _value(change, "drug", panel) == pytest.approx(-7.5)
    assert _value(endpoint("change", **{**carried, "at": 168.0}), "drug", panel) == pytest.approx((-15 + 0 - 2) / 3)
    assert _value(endpoint("response", **carried, drop=0.5), "drug", panel) == pytest.approx(50.0)
    assert _value(endpoint("change", **{**carried, "analysis": "observed"}), "drug", panel) == pytest.approx(0.0)
    assert _value(change, "saline", panel) == _value(
        endpoint("change", **{**carried, "analysis": "none"}), "saline", panel
    )


def trial_of_three_visits(lost: float) -> Panel:
    rng = np.random.default_rng(5)
    values = {}
    for arm, effect in (("drug", -6.0), ("saline", -2.0), ("other", -3.0)):
        base = rng.normal(30, 4, 60)
        person = rng.normal(0, 3, (60, 1))
        later = 0.7 * base[:, None] + effect * np.array([0.5, 0.8, 1.0]) + person + rng.normal(0, 2, (60, 3))
        gone = np.cumsum(rng.random((60, 3)) < lost, axis=1) > 0
        values[arm, "MADRS"] = np.column_stack([base, np.where(gone, NAN, later)])
    return Panel(np.arange(60), np.zeros(60, int), {"MADRS": TIMES}, values)


@pytest.mark.parametrize("at", TIMES[1:])
def test_a_mixed_model_of_complete_scores_is_the_analysis_of_covariance(at: float) -> None:
    panel, arms = trial_of_three_visits(0.0), ["drug", "saline", "other"]
    fields = {"name": "e", "of": "MADRS", "at": float(at), "arm": "saline"}
    by_model, by_visit = (endpoint("difference-in-change", **fields, analysis=word) for word in ("mmrm", "ancova"))
    sample = sample_of(by_model, panel, arms)
    assert float(estimate(by_model, "drug", sample)) == float(
        estimate(by_visit, "drug", sample_of(by_visit, panel, arms))
    )
    y = np.concatenate([panel.values[arm, "MADRS"] for arm in ("saline", "drug", "other")])
    fitted = differences(y[:, 1:], np.repeat([0, 1, 2], 60), y[:, 0])
    visit = list(TIMES[1:]).index(at)
    assert float(estimate(by_model, "drug", sample)) == pytest.approx(fitted.estimate[0, visit], rel=1e-8)


@pytest.mark.parametrize("at", TIMES[1:])
def test_where_scores_are_missing_the_answer_is_that_of_the_mixed_model(at: float) -> None:
    panel, arms = trial_of_three_visits(0.25), ["saline", "drug", "other"]
    y = np.concatenate([panel.values[arm, "MADRS"] for arm in arms])
    there = np.isfinite(y[:, 1:]).any(axis=1)
    fitted = differences(y[there, 1:], np.repeat([0, 1, 2], 60)[there], y[there, 0])
    visit = list(TIMES[1:]).index(at)
    by_model = endpoint("difference-in-change", name="e", of="MADRS", at=float(at), arm="saline", analysis="mmrm")
    for k, arm in enumerate(arms[1:]):
        value = float(estimate(by_model, arm, sample_of(by_model, panel, arms)))
        assert value == pytest.approx(fitted.estimate[k, visit], rel=1e-7)
    seen = endpoint("difference-in-change", name="e", of="MADRS", at=float(at), arm="saline", analysis="ancova")
    if at > TIMES[1]:  # the people still there are not those who began
        assert abs(float(estimate(seen, "drug", sample_of(seen, panel, arms))) - fitted.estimate[0, visit]) > 0.01


def test_adjusted_means_need_a_baseline() -> None:
    panel = replace(PANEL, times={"MADRS": TIMES + 1})
    assert "not observed at 0 h" in why_not(
        endpoint("score", name="e", of="MADRS", at=25.0, analysis="mmrm"), panel, "drug"
    )

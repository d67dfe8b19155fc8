"""HAMD17 of 172 patients (masked from Goldstein 2004) against R's nlme with emmeans, and against rbmi."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from respine.trial.analysis import Row, analyze
from tests.conftest import needed

PLAN = """
schema: respine/analysis/1
data: {subject: PATIENT, arm: THERAPY, reference: PLACEBO, visit: VISIT, outcome: CHANGE, baseline: BASVAL}
analyses:
  - {name: main, method: mmrm, df: satterthwaite}
  - {name: ml, method: mmrm, estimation: ML, df: satterthwaite, visits: 7}
  - {name: kr, method: mmrm, visits: 7}
  - name: j2r
    method: imputation
    strategy: jump-to-reference
    by: conditional-mean
    tipping_point: {arm: DRUG, limit: 10}
  - {name: j2r-bayes, method: imputation, strategy: jump-to-reference, visits: 7, imputations: 100}
  - {name: mar-bayes, method: imputation, strategy: missing-at-random, visits: 7, imputations: 100}
  - {name: cr, method: imputation, strategy: copy-reference, by: conditional-mean, visits: 7}
  - {name: cir, method: imputation, strategy: copy-increments-in-reference, by: conditional-mean, visits: 7}
"""


@pytest.fixture(scope="module")
def answers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[tuple[str, str, str], Row]]:
    folder = needed("antidepressant-trials")
    plan = tmp_path_factory.mktemp("plan") / "plan.yaml"
    plan.write_text(PLAN)
    results = analyze(folder / "goldstein2004_hamd17_dia.csv", plan)
    rows = {a.name: {(r.quantity, r.group, r.visit): r for r in a.rows} for a in results.answers}
    facts = {a.name: a.facts for a in results.answers}
    assert facts["main"]["log_likelihood"] == pytest.approx(-1747.10142503, abs=1e-6)
    assert facts["ml"]["log_likelihood"] == pytest.approx(-1741.30298900, abs=1e-6)
    return rows


def test_contrasts_and_means_of_r(answers: dict[str, dict[tuple[str, str, str], Row]], reference: Path) -> None:
    folder = reference / "antidepressant-trials"
    with (folder / "mmrm_contrasts_R_nlme_gls.csv").open() as lines:
        for case in csv.DictReader(lines):
            row = answers["main"]["difference", case["contrast"], case["visit"]]
            assert (row.estimate, row.se) == pytest.approx(
                (float(case["estimate"]), float(case["se_modelbased"])), rel=1e-5
            )
    with (folder / "mmrm_lsmeans_R_nlme_gls.csv").open() as lines:
        for case in csv.DictReader(lines):
            row = answers["main"]["mean", case["THERAPY"], case["VISIT"]]
            assert (row.estimate, row.se) == pytest.approx((float(case["emmean"]), float(case["SE"])), rel=1e-5)
    last = answers["main"]["difference", "DRUG - PLACEBO", "7"]
    assert (round(last.estimate, 3), round(last.se, 3)) == (-2.802, 1.114)


def test_jump_to_reference_of_rbmi(answers: dict[str, dict[tuple[str, str, str], Row]], reference: Path) -> None:
    """Conditional mean imputation with the jackknife; rbmi shows placebo minus drug."""
    with (reference / "antidepressant-trials" / "expected_imputation_rbmi.csv").open() as lines:
        for case in csv.DictReader(lines):
            kind, *_, visit = case["parameter"].split("_")
            if kind == "trt":
                row, sign = answers["j2r"]["difference", "DRUG - PLACEBO", visit], -1
            else:
                arm = "DRUG" if "_ref_" in case["parameter"] else "PLACEBO"
                row, sign = answers["j2r"]["mean", arm, visit], 1
            limits = (row.lower, row.upper) if sign == 1 else (-row.upper, -row.lower)
            assert sign * row.estimate == pytest.approx(float(case["estimate"]), abs=6e-4)
            assert row.se == pytest.approx(float(case["se"]), abs=6e-4)
            assert limits == pytest.approx((float(case["lci"]), float(case["uci"])), abs=1.1e-3)


def test_multiple_imputation_agrees_within_its_monte_carlo_error(
    answers: dict[str, dict[tuple[str, str, str], Row]],
) -> None:
    """100 imputations: the variance between them over 100; at random the mixed model is the limit."""
    j2r, exact = answers["j2r-bayes"], answers["j2r"]
    key = ("difference", "DRUG - PLACEBO", "7")
    assert j2r[key].estimate == pytest.approx(exact[key].estimate, abs=4 * 0.42 / 10)
    at_random, model = answers["mar-bayes"][key], answers["kr"][key]
    assert at_random.estimate == pytest.approx(model.estimate, abs=4 * 0.55 / 10)
    assert at_random.se == pytest.approx(model.se, rel=0.1)
    assert at_random.se > 1.0


def test_strategies_are_ordered_as_their_assumptions(answers: dict[str, dict[tuple[str, str, str], Row]]) -> None:
    """At random keeps the whole effect, increments some of it, jumping the least."""
    key = ("difference", "DRUG - PLACEBO", "7")
    effect = {name: abs(answers[name][key].estimate) for name in ("main", "cir", "j2r", "cr")}
    assert effect["main"] > effect["cir"] > effect["j2r"]
    assert effect["main"] > effect["cr"] > effect["j2r"]


def test_the_tipping_point_is_where_the_p_value_is_alpha(answers: dict[str, dict[tuple[str, str, str], Row]]) -> None:
    tip = answers["j2r"]["tipping point", "DRUG - PLACEBO", "7"]
    assert 0 < tip.estimate < 10
    assert tip.p == pytest.approx(0.05, abs=1e-6)
    assert answers["j2r"]["tipping point", "DRUG - PLACEBO", "4"].note == "not significant without a shift"

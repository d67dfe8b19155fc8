"""Answers of SAS PROC MIXED on FEV1 of 200 people: every structure, every method for degrees of freedom.

Figures read from the SAS listings in the public repository of the R package openpharma/mmrm (folders ``design/SAS``,
``design/ddfm_covtype``, ``design/KR``, ``design/Robust``), and those of the reference folder.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from respine.trial.analysis.means import term_contrasts
from respine.trial.analysis.mmrm.covariance import BY_NAME
from respine.trial.analysis.mmrm.fit import fit
from respine.trial.analysis.mmrm.freedom import Inference, NoFreedom
from tests.trial.analysis.conftest import Fev

NAMES = {"AR(1)": "ar(1)", "compound symmetry": "cs", "heterogeneous Toeplitz": "toeph", "unstructured": "un"}
METHODS = {
    "Kenward-Roger (linear)": "kenward-roger-linear", "Kenward-Roger": "kenward-roger", "Satterthwaite": "satterthwaite"
}  # fmt: skip
FOUR_DIGITS = 5e-4  # relative; SAS stops at a relative change of 1e-8, some way before the maximum

# FEV1 ~ ARMCD, difference TRT - PBO: structure, method, estimate, SE, df
ARM = [
    ("arh(1)", "kenward-roger", 3.72674356244499, 0.7590316099633, 188.225339095373),
    ("arh(1)", "kenward-roger-linear", 3.72674356244499, 0.75924807546934, 188.225339095373),
    ("toep", "kenward-roger", 4.47051860580552, 0.87839805519623, 160.027408337368),
    ("ante(1)", "kenward-roger", 3.72344028834729, 0.66172017349971, 162.393385281755),
    ("ante(1)", "kenward-roger-linear", 3.72344028834729, 0.66158550758897, 162.393385281755),
    ("csh", "kenward-roger", 3.77090812499029, 0.67414806011886, 190.737701349941),
    ("csh", "kenward-roger-linear", 3.77090812499029, 0.67403858183242, 190.737701349941),
    ("sp(exp)", "kenward-roger", 4.21488979997259, 0.90527620094771, 195.584197921463),
    ("sp(exp)", "kenward-roger-linear", 4.2149, 0.9055, 196),
]  # fmt: skip


def test_the_answers_of_the_reference_folder(fev: Fev, reference: Path) -> None:
    with (reference / "mmrm" / "answers.csv").open() as lines:
        cases = list(csv.DictReader(lines))
    assert len(cases) >= 14
    for case in cases:
        terms = ["ARMCD"] if "ARMCD" in case["model"] else []
        matrix = fev.matrix(terms)
        result = fit(fev.data(matrix), BY_NAME[NAMES[case["covariance"]]].name, case["estimation"] == "REML")
        method = METHODS[case["df_method"]]
        contrast = Inference(result, method).contrast(np.eye(matrix.x.shape[1])[-1])  # type: ignore[arg-type]
        assert contrast.estimate == pytest.approx(float(case["estimate"]), rel=5e-5)
        assert contrast.se == pytest.approx(float(case["se"]), rel=FOUR_DIGITS)
        df = float(case["df"])
        assert contrast.df == pytest.approx(df, rel=FOUR_DIGITS) or round(contrast.df) == df
        assert result.deviance == pytest.approx(float(case["minus_2_loglik"]), abs=0.051)
        if case["lower"]:
            assert contrast.lower == pytest.approx(float(case["lower"]), rel=FOUR_DIGITS)
            assert contrast.upper == pytest.approx(float(case["upper"]), rel=FOUR_DIGITS)


@pytest.mark.parametrize(("name", "method", "estimate", "se", "df"), ARM)
def test_kenward_roger_by_structure(fev: Fev, name: str, method: str, estimate: float, se: float, df: float) -> None:
    matrix = fev.matrix(["ARMCD"])
    coordinates = np.column_stack([fev.number("VISITN"), fev.number("VISITN2")])
    result = fit(fev.data(matrix, coordinates=coordinates), BY_NAME[name].name)
    contrast = Inference(result, method).contrast(np.array([0.0, 1.0]))  # type: ignore[arg-type]
    assert contrast.estimate == pytest.approx(estimate, rel=5e-5)
    assert contrast.se == pytest.approx(se, rel=FOUR_DIGITS)
    assert contrast.df == pytest.approx(df, rel=FOUR_DIGITS) or round(contrast.df) == df


def test_spatial_gaussian(fev: Fev) -> None:
    matrix = fev.matrix(["ARMCD"])
    coordinates = np.column_stack([fev.number("VISITN"), fev.number("VISITN2")])
    result = fit(fev.data(matrix, coordinates=coordinates), "spatial-gaussian")
    contrast = Inference(result, "kenward-roger").contrast(np.array([0.0, 1.0]))
    assert (round(contrast.estimate, 4), round(contrast.se, 4), round(contrast.df)) == (4.2312, 0.9016, 250)
    assert result.deviance == pytest.approx(3868.21965706, abs=1e-4)
    assert dict(result.parameters()) == {
        "variance": pytest.approx(85.3830, rel=1e-4), "range": pytest.approx(1.3379, rel=1e-4)
    }  # fmt: skip


def test_covariance_parameters_and_a_covariance_for_each_arm(fev: Fev) -> None:
    matrix = fev.matrix([])
    ante = fit(fev.data(matrix), "heterogeneous-ante-dependence")
    values = [value for _, value in ante.parameters()]
    assert values == pytest.approx(
        [114.89, 44.6313, 26.8922, 158.47, 0.7106, 0.1033, 0.3657], rel=FOUR_DIGITS, abs=1e-4
    )
    assert ante.deviance == pytest.approx(3713.49317786, abs=1e-4)
    grouped = fit(fev.data(matrix, by_arm=True), "heterogeneous-toeplitz")
    assert grouped.deviance == pytest.approx(3704.49921127, abs=1e-4)
    assert [value for _, value in grouped.parameters()] == pytest.approx(
        [
            104.43,
            40.8152,
            25.0541,
            127.27,
            0.3315,
            -0.1172,
            -0.3567,
            74.6153,
            34.2766,
            49.8505,
            220.20,
            0.4677,
            0.1540,
            -0.2741,
        ],
        rel=1e-3,
    )
    contrast = Inference(grouped).contrast(np.ones(1))
    assert (round(contrast.estimate, 3), round(contrast.se, 4), round(contrast.df)) == (41.477, 0.3563, 170)


FULL = ["ARMCD*AVISIT", "RACE", "SEX"]


def test_a_whole_trial_model_with_type_iii_tests(fev: Fev) -> None:
    matrix = fev.matrix(FULL)
    result = fit(fev.data(matrix))
    inference = Inference(result, "satterthwaite")
    assert result.deviance == pytest.approx(3386.44987722, abs=1e-5)
    expected = {  # the introduction of the R package has more digits than the listing of SAS: estimate, SE, df
        "intercept": (30.77748, 0.88656, 218.80), "RACE Black or African American": (1.53050, 0.62448, 168.67),
        "RACE White": (5.64357, 0.66561, 157.14), "SEX Female": (0.32606, 0.53195, 166.13),
        "ARMCD TRT": (3.77423, 1.07415, 145.55),
        "AVISIT VIS2": (4.83959, 0.80172, 143.88), "AVISIT VIS3": (10.34211, 0.82269, 155.56),
        "AVISIT VIS4": (15.05390, 1.31281, 138.47), "ARMCD TRT : AVISIT VIS2": (-0.04193, 1.12932, 138.56),
        "ARMCD TRT : AVISIT VIS3": (-0.69369, 1.18765, 158.17), "ARMCD TRT : AVISIT VIS4": (0.62423, 1.85085, 129.72),
    }  # fmt: skip
    for name, (estimate, se, df) in expected.items():
        contrast = inference.contrast(np.eye(len(result.columns))[result.columns.index(name)])
        assert contrast.estimate == pytest.approx(estimate, abs=5e-4 * se), (
            name
        )  # R, too, stops before the slope is zero
        assert contrast.se == pytest.approx(se, rel=1e-4), name
        assert contrast.df == pytest.approx(df, rel=FOUR_DIGITS), name
    tests = {("ARMCD",): (1, 169, 31.67), ("AVISIT",): (3, 148, 142.11), ("ARMCD", "AVISIT"): (3, 148, 0.26),
             ("RACE",): (2, 166, 36.92), ("SEX",): (1, 166, 0.38)}  # fmt: skip
    for term, (df1, df2, f) in tests.items():
        joint = inference.joint(term_contrasts(matrix, term))
        assert (joint.df1, round(joint.df2)) == (df1, df2), term
        assert joint.f == pytest.approx(f, rel=2e-4, abs=0.006), term


def test_weights_and_least_squares_means(fev: Fev) -> None:
    """Estimates and standard errors of SAS; degrees of freedom of R's mmrm, as those of SAS leave the weights out of account.

    (https://github.com/openpharma/mmrm/issues/132; R output in ``design/R/R_weighted_mmrm.txt``)
    """
    matrix = fev.matrix(FULL)
    result = fit(fev.data(matrix, weights=fev.number("WEIGHT")))
    inference = Inference(result, "satterthwaite")
    assert result.deviance == pytest.approx(3475.77144483, abs=1e-4)
    means = {("VIS1", "TRT"): (36.7707, 0.7762, 142), ("VIS1", "PBO"): (33.3745, 0.7724, 147),
             ("VIS3", "PBO"): (43.4221, 0.4678, 128), ("VIS4", "TRT"): (52.4316, 1.2260, 133)}  # fmt: skip
    for (visit, arm), (estimate, se, df) in means.items():
        contrast = inference.contrast(matrix.row({"AVISIT": visit, "ARMCD": arm}))
        assert contrast.estimate == pytest.approx(estimate, abs=2e-4)
        assert contrast.se == pytest.approx(se, rel=FOUR_DIGITS)
        assert round(contrast.df) == df
    last = matrix.row({"AVISIT": "VIS4", "ARMCD": "TRT"}) - matrix.row({"AVISIT": "VIS4", "ARMCD": "PBO"})
    contrast = inference.contrast(last)
    assert (contrast.estimate, contrast.se, contrast.df) == pytest.approx((4.2616, 1.6902, 133.26), rel=FOUR_DIGITS)


def test_empirical_standard_errors_and_between_within(fev: Fev) -> None:
    matrix = fev.matrix(["ARMCD"])
    result = fit(fev.data(matrix))
    contrast = Inference(result, "between-within-sas", robust=True).contrast(np.array([0.0, 1.0]))
    assert (round(contrast.estimate, 4), round(contrast.se, 4), contrast.df) == (3.8197, 0.6396, 195)
    weighted = fit(fev.data(matrix, weights=fev.number("WEIGHT")), "ar1")
    contrast = Inference(weighted, "between-within-sas", robust=True).contrast(np.array([0.0, 1.0]))
    assert contrast.estimate == pytest.approx(3.62838307125478, rel=1e-5)
    assert contrast.se == pytest.approx(0.9766083014759, rel=1e-4)


def test_between_within_as_in_the_r_package(fev: Fev) -> None:
    matrix = fev.matrix(FULL)
    result = fit(fev.data(matrix))
    inference = Inference(result, "between-within")
    df = {
        name: inference.contrast(row).df for name, row in zip(result.columns, np.eye(len(result.columns)), strict=True)
    }
    assert df["SEX Female"] == df["ARMCD TRT"] == 192
    assert df["AVISIT VIS2"] == df["intercept"] == df["ARMCD TRT : AVISIT VIS3"] == 334
    both = np.eye(len(result.columns))[[result.columns.index("SEX Female"), result.columns.index("AVISIT VIS2")]]
    assert inference.joint(both).df2 == 192
    with pytest.raises(NoFreedom, match="SAS splits"):
        Inference(fit(fev.data(matrix), "ar1"), "between-within-sas")
    assert Inference(result, "residual").contrast(np.eye(len(result.columns))[0]).df == 526
    assert Inference(result, "asymptotic").contrast(np.eye(len(result.columns))[0]).df == np.inf

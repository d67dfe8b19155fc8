"""MMRM where the answer is known exactly, and where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from respine.trial.analysis.arrays_mmrm import differences
from respine.trial.analysis.mmrm.covariance import STRUCTURES
from respine.trial.analysis.mmrm.fit import Data, NoCovariance, fit
from respine.trial.analysis.mmrm.freedom import Inference, NoFreedom
from tests.trial.analysis.conftest import autoregressive, long_data, sparse_trial


def complete_trial(rng: np.random.Generator, n: int = 24, m: int = 3) -> tuple[np.ndarray, np.ndarray]:
    y = rng.standard_normal((n, m)) @ np.linalg.cholesky(autoregressive(m, 0.5, 2.0)).T
    return y, np.arange(n) % 2


@pytest.mark.parametrize("df", ["satterthwaite", "kenward-roger", "kenward-roger-linear"])
def test_complete_unstructured_data_are_a_t_test_at_each_visit(df: str) -> None:
    y, arm = complete_trial(np.random.default_rng(1))
    result = differences(y, arm, df=df)
    for v in range(y.shape[1]):
        test = stats.ttest_ind(y[arm == 1, v], y[arm == 0, v])
        assert result.p[0, v] == pytest.approx(test.pvalue, rel=1e-8)
        assert result.df[0, v] == pytest.approx(22)


def test_complete_compound_symmetry_is_the_split_plot_analysis_of_variance() -> None:
    """Arm against patients within arms, arm by visit against the residual: F and its degrees of freedom are exact."""
    y, arm = complete_trial(np.random.default_rng(2))
    y += np.random.default_rng(7).normal(0, 2, 24)[:, None]
    n, m = y.shape
    visit = [np.broadcast_to((np.arange(m) == k).astype(float), (n, m)) for k in range(m)]
    treated = np.broadcast_to(arm[:, None].astype(float), (n, m))
    data = long_data(y, [*visit, *(v * treated for v in visit)])
    result = fit(data, "compound-symmetry")
    means = y.mean(axis=1)
    between = stats.ttest_ind(means[arm == 1], means[arm == 0])
    for method in ("kenward-roger", "satterthwaite"):
        inference = Inference(result, method)  # type: ignore[arg-type]
        overall = inference.contrast(np.array([0, 0, 0, 1, 1, 1]) / 3)
        assert (overall.df, overall.p) == pytest.approx((22, between.pvalue), rel=1e-6)
        interaction = inference.joint(np.array([[0, 0, 0, 1, -1, 0], [0, 0, 0, 0, 1, -1.0]]))
        assert interaction.df2 == pytest.approx(44, rel=1e-6)
        assert interaction.f == pytest.approx(_interaction_f(y, arm), rel=1e-6)


def _interaction_f(y: np.ndarray, arm: np.ndarray) -> float:
    cell = np.array([y[arm == a].mean(axis=0) for a in (0, 1)])
    n, m = y.shape
    effect = cell - cell.mean(axis=1, keepdims=True) - cell.mean(axis=0) + cell.mean()
    inner = y - cell[arm] - (y.mean(axis=1) - cell[arm].mean(axis=1))[:, None]
    return float((n / 2 * (effect**2).sum() / (m - 1)) / ((inner**2).sum() / ((n - 2) * (m - 1))))


def test_maximum_likelihood_of_complete_data_is_that_of_the_textbook() -> None:
    y, _ = complete_trial(np.random.default_rng(3))
    n, m = y.shape
    visit = [np.broadcast_to((np.arange(m) == k).astype(float), (n, m)) for k in range(m)]
    centred = y - y.mean(axis=0)
    assert fit(long_data(y, visit), reml=False).covariances[0] == pytest.approx(centred.T @ centred / n, rel=1e-8)
    assert fit(long_data(y, visit), reml=True).covariances[0] == pytest.approx(centred.T @ centred / (n - 1), rel=1e-8)


@pytest.mark.parametrize("structure", [s.name for s in STRUCTURES if not s.spatial])
def test_every_structure_finds_the_top(structure: str) -> None:
    """The slope is zero and no step to either side is better."""
    result = fit(sparse_trial(np.random.default_rng(8), n=60), structure)
    top = result.maximum
    assert top.value.gradient is not None
    assert np.abs(top.value.gradient).max() < 1e-4
    for e in np.eye(len(top.theta)):
        for step in (-0.01, 0.01):
            moved = result.likelihood.value(result.groups.working(top.theta + step * e))
            assert moved.deviance > top.value.deviance


def test_nested_structures_are_ordered() -> None:
    data = sparse_trial(np.random.default_rng(9), n=80)
    chains = [
        ("independent", "compound-symmetry", "toeplitz", "heterogeneous-toeplitz", "unstructured"),
        ("ar1", "heterogeneous-ar1", "heterogeneous-ante-dependence", "unstructured"),
    ]
    for chain in chains:
        deviances = [fit(data, name).deviance for name in chain]
        assert deviances == sorted(deviances, reverse=True)


def test_hard_starts_end_at_the_same_top() -> None:
    """Strong correlations, variances of very different size, a third missing: the answer in other units is the same."""
    rng = np.random.default_rng(10)
    for _ in range(20):
        m, n = 5, 50
        sd = np.exp(rng.normal(0, 1.5, m))
        y = rng.standard_normal((n, m)) @ np.linalg.cholesky(autoregressive(m, 0.97) * np.outer(sd, sd)).T
        y[rng.random((n, m)) < 0.3] = np.nan
        y[np.isnan(y).all(axis=1), 0] = 0.0
        arm = np.arange(n) % 2
        a, b = differences(y, arm), differences(y / sd, arm)
        assert a.estimate == pytest.approx(b.estimate * sd, rel=1e-4, abs=1e-6)
        assert a.df == pytest.approx(b.df, rel=1e-3)


def test_a_structure_that_cannot_be_estimated_is_named_and_the_next_is_taken() -> None:
    rng = np.random.default_rng(11)
    y, arm = complete_trial(rng, n=8, m=6)  # six visits, four patients an arm: too few for 21 numbers
    y[:, 5] = y[:, 4]  # and a visit that repeats the one before
    y[:4, 1:] = np.nan
    n, m = y.shape
    visit = [np.broadcast_to((np.arange(m) == k).astype(float), (n, m)) for k in range(m)]
    data = long_data(y, visit)
    with pytest.raises(NoCovariance) as trouble:
        fit(data, "unstructured")
    assert [t.structure for t in trouble.value.tried] == ["unstructured"]
    assert "singular" in trouble.value.tried[0].reason
    result = fit(data, ["unstructured", "compound-symmetry"])
    assert result.structure.name == "compound-symmetry"
    assert [t.structure for t in result.tried] == ["unstructured"]
    assert differences(y, arm, covariance=["un", "cs"], df="satterthwaite").covariance == "compound-symmetry"


def test_visits_that_nobody_shares_are_named() -> None:
    y = np.full((20, 3), np.nan)
    rng = np.random.default_rng(12)
    y[:10, :2], y[10:, 1:] = rng.standard_normal((10, 2)), rng.standard_normal((10, 2))
    with pytest.raises(NoCovariance, match="no patient was seen at both visit 1 and visit 3"):
        fit(long_data(y, [np.ones((20, 3))]))


def test_outcomes_that_the_effects_reproduce_are_refused() -> None:
    with pytest.raises(NoCovariance, match="reproduce every outcome"):
        fit(long_data(np.ones((10, 2)), [np.ones((10, 2))]))


def test_columns_that_others_add_up_to_are_left_out() -> None:
    data = sparse_trial(np.random.default_rng(13))
    doubled = Data(
        data.y,
        np.column_stack([np.ones(len(data.y)), data.x]),
        data.subject,
        data.visit,
        data.visits,
        ("1", *data.columns),
    )
    result = fit(doubled)
    assert result.aliased == ["3"]  # the last indicator of visits
    assert result.deviance == pytest.approx(fit(data).deviance)


def test_refusals_of_methods() -> None:
    data = sparse_trial(np.random.default_rng(14))
    with pytest.raises(NoFreedom, match="REML"):
        Inference(fit(data, reml=False), "kenward-roger")
    with pytest.raises(NoFreedom, match="empirical"):
        Inference(fit(data), "satterthwaite", robust=True)

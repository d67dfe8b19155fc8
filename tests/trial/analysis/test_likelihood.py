"""The deviance against a multivariate normal written out, its derivatives against differences."""

from __future__ import annotations

import numpy as np
import pytest

from respine.trial.analysis.mmrm.covariance import BY_NAME
from respine.trial.analysis.mmrm.fit import Data, fit
from respine.trial.analysis.mmrm.freedom import Inference
from respine.trial.analysis.mmrm.likelihood import Likelihood
from respine.trial.analysis.mmrm.maximise import Groups
from respine.trial.analysis.mmrm.patterns import group
from tests.trial.analysis.conftest import sparse_trial


def written_out(data: Data, sigma: np.ndarray, reml: bool) -> float:
    """-2 log-likelihood with the whole covariance matrix of all rows."""
    same = data.subject[:, None] == data.subject
    v = np.where(same, sigma[data.visit[:, None], data.visit], 0.0)
    w = np.linalg.inv(v)
    h = data.x.T @ w @ data.x
    beta = np.linalg.solve(h, data.x.T @ w @ data.y)
    rest = data.y - data.x @ beta
    free = len(data.y) - (data.x.shape[1] if reml else 0)
    value = np.linalg.slogdet(v)[1] + rest @ w @ rest + free * np.log(2 * np.pi)
    return float(value + (np.linalg.slogdet(h)[1] if reml else 0.0))


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", ["unstructured", "heterogeneous-toeplitz", "ar1", "compound-symmetry"])
def test_deviance_and_derivatives(name: str, reml: bool) -> None:
    data = sparse_trial(np.random.default_rng(3))
    m = len(data.visits)
    z = np.column_stack([data.x, data.y])
    likelihood = Likelihood(
        group(z, data.subject, data.visit, m, np.zeros(data.subject.max() + 1, np.int64), None), reml
    )
    groups = Groups(BY_NAME[name], m, np.zeros(1, np.int64), 1, np.zeros((1, m, m)))
    theta = groups.structure.start(0.8 * np.eye(m) + 0.3, np.zeros((1, m, m)))
    value = likelihood.with_derivatives(groups.working(theta))
    assert value.deviance == pytest.approx(written_out(data, groups.working(theta).sigma[0], reml), rel=1e-12)
    h = 1e-5
    for a, e in enumerate(np.eye(len(theta))):
        up, down = (likelihood.with_derivatives(groups.working(theta + s * h * e)) for s in (1, -1))
        assert value.gradient is not None and value.hessian is not None and value.slopes is not None
        assert value.gradient[a] == pytest.approx((up.deviance - down.deviance) / (2 * h), rel=1e-6, abs=1e-6)
        assert up.gradient is not None and down.gradient is not None
        assert value.hessian[a] == pytest.approx((up.gradient - down.gradient) / (2 * h), rel=1e-6, abs=1e-5)


def test_expected_information_is_that_of_the_formula() -> None:
    """tr(P V_a P V_b) with all matrices written out."""
    data = sparse_trial(np.random.default_rng(4), n=12, m=3)
    result = fit(data, "heterogeneous-ar1")
    parts = result.groups.working(result.maximum.theta)
    value = result.likelihood.with_derivatives(parts)
    same = data.subject[:, None] == data.subject
    spread = [np.where(same, s[data.visit[:, None], data.visit], 0.0) for s in (parts.sigma[0], *parts.first[:, 0])]
    w = np.linalg.inv(spread[0])
    p = w - w @ data.x @ np.linalg.solve(data.x.T @ w @ data.x, data.x.T @ w)
    expected = [[np.trace(p @ a @ p @ b) for b in spread[1:]] for a in spread[1:]]
    assert value.expected == pytest.approx(np.array(expected), rel=1e-9)


def test_the_maximum_does_not_depend_on_units_or_order() -> None:
    data = sparse_trial(np.random.default_rng(5))
    base = fit(data)
    order = np.random.default_rng(0).permutation(len(data.y))
    subject = data.subject.max() - data.subject
    moved = Data(1e6 + 1e4 * data.y[order], data.x[order], subject[order], data.visit[order], data.visits, data.columns)
    other = fit(moved)
    assert other.coefficients[-1] == pytest.approx(1e4 * base.coefficients[-1], rel=1e-6)
    assert other.covariances == pytest.approx(1e8 * base.covariances, rel=1e-5)
    a, b = (Inference(f, "kenward-roger").contrast(np.eye(5)[-1]) for f in (base, other))
    assert (b.se, b.df, b.p) == pytest.approx((1e4 * a.se, a.df, a.p), rel=1e-5)


def test_a_weight_counts_a_row_as_often() -> None:
    """One visit, weight 2: as if the row stood twice, in estimates (not in degrees of freedom)."""
    rng = np.random.default_rng(6)
    n = 30
    y, x = rng.standard_normal(n), np.column_stack([np.ones(n), np.arange(n) % 2])
    weights = np.where(np.arange(n) < 10, 2.0, 1.0)
    weighted = fit(Data(y, x, np.arange(n), np.zeros(n, np.int64), ("1",), ("a", "b"), weights=weights))
    root = np.sqrt(weights)
    assert weighted.coefficients == pytest.approx(np.linalg.lstsq(x * root[:, None], y * root, rcond=None)[0])

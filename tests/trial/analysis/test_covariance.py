"""Covariance structures: every derivative against differences, both parametrisations the same matrix."""

from __future__ import annotations

import numpy as np
import pytest

from respine.trial.analysis.mmrm.covariance import STRUCTURES, Structure
from tests.trial.analysis.conftest import autoregressive

M = 4
DISTANCE = np.abs(np.subtract.outer([0.0, 1.0, 2.5, 7.0], [0.0, 1.0, 2.5, 7.0]))[None]


def start(structure: Structure) -> np.ndarray:
    sd = np.array([1.0, 1.4, 0.8, 2.0])
    theta = structure.start(autoregressive(M, 0.4) * np.outer(sd, sd), DISTANCE)
    rng = np.random.default_rng(1)
    return theta * (1 + 0.05 * rng.standard_normal(len(theta)))


@pytest.mark.parametrize("structure", STRUCTURES, ids=lambda s: s.name)
def test_derivatives_by_the_working_parameters(structure: Structure) -> None:
    theta, h = start(structure), 1e-6
    assert len(theta) == structure.count(M)
    parts = structure.working(theta, M, DISTANCE)
    for a in range(len(theta)):
        step = h * np.eye(len(theta))[a]
        up, down = structure.working(theta + step, M, DISTANCE), structure.working(theta - step, M, DISTANCE)
        assert parts.first[a] == pytest.approx((up.sigma - down.sigma) / (2 * h), abs=1e-7)
        assert parts.second[a] == pytest.approx((up.first - down.first) / (2 * h), abs=1e-7)


@pytest.mark.parametrize("structure", STRUCTURES, ids=lambda s: s.name)
def test_reported_parameters_are_those_of_sas(structure: Structure) -> None:
    """The derivatives by the reported parameters, rebuilt from the working ones by the chain rule."""
    theta = start(structure)
    working, reported = structure.working(theta, M, DISTANCE), structure.reported(theta, M, DISTANCE)
    assert reported.sigma == pytest.approx(working.sigma)
    values = np.array([value for _, value in structure.table(theta, ["1", "2", "3", "4"])])
    h = 1e-6
    jacobian = np.array([
        (
            np.array([v for _, v in structure.table(theta + h * e, ["1", "2", "3", "4"])])
            - np.array([v for _, v in structure.table(theta - h * e, ["1", "2", "3", "4"])])
        )
        / (2 * h)
        for e in np.eye(len(theta))
    ])  # fmt: skip
    assert len(values) == len(theta)
    if (
        structure.linear
    ):  # covariances in place of correlations: the table shows correlations, the derivatives are by covariances
        assert np.count_nonzero(reported.second) == 0
        assert np.einsum("a,atjk->tjk", _linear_values(structure, reported.sigma[0]), reported.first) == pytest.approx(
            reported.sigma
        )
        return
    by_chain = np.einsum("ab,btjk->atjk", jacobian, reported.first)
    assert working.first == pytest.approx(by_chain, rel=1e-5, abs=1e-7)


def _linear_values(structure: Structure, sigma: np.ndarray) -> np.ndarray:
    return np.array([sigma[0, 0], sigma[1, 0]]) if structure.name == "compound-symmetry" else sigma[:, 0]


@pytest.mark.parametrize("structure", [s for s in STRUCTURES if not s.linear], ids=lambda s: s.name)
def test_second_derivatives_by_the_reported_parameters(structure: Structure) -> None:
    """Moving a variance or correlation moves the first derivatives as the second say."""
    theta = start(structure)
    parts = structure.reported(theta, M, DISTANCE)
    n_sd = 0 if structure.correlation is None else (M if structure.heterogeneous else 1)
    if structure.correlation is None:
        assert np.count_nonzero(parts.second) == 0
        return
    for a in range(len(theta)):
        h = 1e-6
        moved = []
        for sign in (1, -1):
            other = theta.copy()
            if a < n_sd:
                other[a] = 0.5 * np.log(np.exp(2 * theta[a]) + sign * h)
            else:
                other[a] = np.log(np.exp(theta[a]) + sign * h) if structure.spatial else theta[a] + sign * h
            moved.append(structure.reported(other, M, DISTANCE).first)
        assert parts.second[a] == pytest.approx((moved[0] - moved[1]) / (2 * h), abs=2e-6)


@pytest.mark.parametrize("structure", STRUCTURES, ids=lambda s: s.name)
def test_rescaled_parameters_give_the_scaled_matrix(structure: Structure) -> None:
    theta = start(structure)
    scaled = structure.working(structure.rescaled(theta, M, 3.0), M, DISTANCE).sigma
    assert scaled == pytest.approx(9 * structure.working(theta, M, DISTANCE).sigma)

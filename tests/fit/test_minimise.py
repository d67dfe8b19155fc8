"""Damped least squares on problems with known answers."""

from __future__ import annotations

import numpy as np
import pytest

from respine.fit.minimise import minimise


def test_a_straight_line_is_found_exactly_with_its_textbook_errors() -> None:
    times = np.linspace(0, 9, 10)
    data = 2.0 + 0.5 * times + np.array([1, -1] * 5) * 0.3
    design = np.column_stack([np.ones(10), times])

    def residuals(x: np.ndarray) -> np.ndarray:
        return (data - x @ design.T) / 0.3

    minimum = minimise(residuals, np.array([10.0, -3.0]), tolerance=1e-14)
    exact = np.linalg.lstsq(design, data, rcond=None)[0]
    assert minimum.x == pytest.approx(exact, abs=1e-6)
    assert minimum.covariance == pytest.approx(0.09 * np.linalg.inv(design.T @ design), rel=1e-5)
    assert minimum.converged


def test_the_banana_valley() -> None:
    """Rosenbrock 1960: the minimum lies at (1, 1) at the end of a curved valley."""
    minimum = minimise(
        lambda x: np.column_stack([10 * (x[:, 1] - x[:, 0] ** 2), 1 - x[:, 0]]), np.array([-1.2, 1.0]),
        difference=1e-6, most_steps=200, tolerance=1e-15,
    )  # fmt: skip
    assert minimum.x == pytest.approx([1.0, 1.0], abs=1e-4)
    assert minimum.cost < 1e-8


@pytest.mark.parametrize("central", [False, True])
def test_an_exponential_decay(central: bool) -> None:
    times = np.linspace(0, 10, 30)
    truth = np.array([np.log(5.0), np.log(0.4)])
    data = 5.0 * np.exp(-0.4 * times)

    def residuals(x: np.ndarray) -> np.ndarray:
        return np.exp(x[:, :1]) * np.exp(-np.exp(x[:, 1:]) * times) - data

    minimum = minimise(residuals, np.array([0.0, 1.0]), difference=1e-5, tolerance=1e-14, central=central)
    assert minimum.x == pytest.approx(truth, abs=1e-4)


def test_a_prior_alone_gives_back_its_middle_and_width() -> None:
    minimum = minimise(lambda x: (x - np.array([3.0, -1.0])) / np.array([0.5, 2.0]), np.zeros(2), tolerance=1e-14)
    assert minimum.x == pytest.approx([3.0, -1.0], abs=1e-6)
    assert minimum.errors == pytest.approx([0.5, 2.0], rel=1e-5)


def test_what_no_residual_sees_has_an_infinite_error() -> None:
    minimum = minimise(lambda x: x[:, :1] - 4.0, np.array([0.0, 7.0]), tolerance=1e-14)
    assert minimum.x == pytest.approx([4.0, 7.0], abs=1e-6)
    assert minimum.errors[0] == pytest.approx(1.0, rel=1e-5)
    assert np.isinf(minimum.errors[1])


def test_vectors_that_cannot_be_computed_are_stepped_around() -> None:
    """Residuals that exist only for x > 0: the fit neither stops at nor crosses the edge."""

    def residuals(x: np.ndarray) -> np.ndarray:
        return np.log(np.where(x > 0, x, np.nan)) - np.log(0.01)

    minimum = minimise(residuals, np.array([5.0]), difference=1e-4, most_steps=100, tolerance=1e-14)
    assert minimum.x[0] == pytest.approx(0.01, rel=1e-3)
    with pytest.raises(ValueError, match="cannot be computed at the start"):
        minimise(residuals, np.array([-1.0]))

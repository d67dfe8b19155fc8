"""Curves of compartment models against closed forms and areas."""

from __future__ import annotations

import numpy as np
import pytest

from respine.fit.curves import mammillary


def test_one_compartment_bolus_and_infusion() -> None:
    times = np.array([0.0, 0.5, 1.0, 3.0])
    bolus = mammillary(10.0, 0.0, times, 20.0, 5.0, [])
    assert bolus == pytest.approx(500.0 * np.exp(-0.25 * times))
    infused = mammillary(10.0, 1.0, times, 20.0, 5.0, [])
    rising = 1000 * 10 / 5.0 * (1 - np.exp(-0.25 * np.minimum(times, 1.0)))
    assert infused == pytest.approx(rising * np.exp(-0.25 * np.maximum(times - 1.0, 0.0)))


def test_area_is_dose_over_clearance_whatever_the_tissues() -> None:
    times = np.linspace(0, 400, 400_001)
    for over in (0.0, 0.5):
        level = mammillary(7.0, over, times, 14.0, 95.0, [(102.0, 287.0), (180.0, 22.4)])
        assert np.trapezoid(level, times) == pytest.approx(7000 / 95.0, rel=1e-3)


def test_two_compartments_against_their_exponentials() -> None:
    """The macro constants of a two-compartment model, Gibaldi and Perrier 1982."""
    v, k10, k12, k21 = 10.0, 0.3, 0.5, 0.2
    total = k10 + k12 + k21
    root = np.sqrt(total**2 - 4 * k10 * k21)
    a, b = (total + root) / 2, (total - root) / 2
    times = np.linspace(0, 20, 9)
    exact = 100.0 * ((a - k21) / (a - b) * np.exp(-a * times) + (k21 - b) / (a - b) * np.exp(-b * times))
    assert mammillary(1.0, 0.0, times, v, v * k10, [(v * k12 / k21, v * k12)]) == pytest.approx(exact, rel=1e-10)

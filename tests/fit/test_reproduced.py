"""Every calibrated number of the library comes out of its recipe again: the slow test behind `respine calibrate --check`."""

from __future__ import annotations

import pytest

from respine import fit


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(fit.names()))
def test_the_library_holds_what_the_recipe_gives(name: str) -> None:
    calibration = fit.calibrate(name)
    off = calibration.parameters.loc[~calibration.parameters["within"], ["parameter", "value", "library"]]
    assert calibration.reproduced, off.to_string()

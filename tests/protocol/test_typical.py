"""The typical subject: deterministic, the same alone and among many, and what arms fix stays fixed."""

from __future__ import annotations

import numpy as np
import pytest

from respine import study as studies
from respine.protocol.typical import TypicalStudy, typical, typical_covariates

STUDY = "naive-ketamine-li-2010"
TIMES = [0.0, 0.5, 1.0, 24.0]


def test_vectors_do_not_depend_on_each_other() -> None:
    many = TypicalStudy(STUDY, ["mtorc1", "plasma_ketamine"], TIMES, vary=["k_mtorc1"], arms=["ketamine"])
    own = many.system.parameters["k_mtorc1"]
    values = many.predict(np.array([[own], [2 * own], [own]]))
    assert values.shape == (3, 1, 4, 2)
    assert np.array_equal(values[0], values[2]) and not np.allclose(values[0, 0, :, 0], values[1, 0, :, 0])
    alone = typical(STUDY, ["mtorc1"], TIMES)
    assert alone["ketamine"]["mtorc1"] == pytest.approx(values[0, 0, :, 0], rel=1e-4)
    other = typical(STUDY, ["mtorc1"], TIMES, {"k_mtorc1": 2 * own})
    assert other["ketamine"]["mtorc1"] == pytest.approx(values[1, 0, :, 0], rel=1e-4)


def test_an_arm_in_which_nothing_moves_has_values() -> None:
    courses = typical(STUDY, ["plasma_ketamine"], TIMES)
    assert np.array_equal(courses["vehicle"]["plasma_ketamine"], np.zeros(4))
    assert courses["ketamine"]["plasma_ketamine"].max() > 0


def test_what_an_arm_sets_is_not_varied() -> None:
    study = studies.load("ketamine-met-met")
    assert typical_covariates(studies.population_of(study), study.arms["met-ketamine"])["val66met"] == 1.0
    varied = TypicalStudy(study, ["val66met"], [0.0], vary=["val66met"], arms=["met-ketamine", "val-ketamine"])
    assert varied.predict(np.array([[0.5]]))[0, :, 0, 0].tolist() == [1.0, 0.0]


def test_an_absorbed_fraction_reaches_the_dose() -> None:
    nasal = TypicalStudy("daly-2018", ["s_ketamine_plasma"], [1.0], vary=["nasal_fraction_first"])
    arm = nasal.arms.index("esketamine-84") if "esketamine-84" in nasal.arms else len(nasal.arms) - 1
    values = nasal.predict(np.array([[0.2], [0.8], [0.5]]))[:, arm, 0, 0]
    assert values[0] < values[2] < values[1]


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match="1 columns"):
        TypicalStudy(STUDY, ["mtorc1"], TIMES, vary=["k_mtorc1"]).predict(np.zeros((2, 2)))

"""A block as a whole on a recipe with a known answer: data made by the model itself are found again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from respine.fit import block, cohort, recipe
from respine.fit.recipe import Prior, Target
from respine.fit.values import Place
from respine.model.system import Quantity
from respine.protocol.typical import TypicalStudy

RECIPE = """\
schema: respine/recipe/1
block: made
settings: {{seed: 3, starts: 3, polish: 1, difference: 0.001, most_steps: 30}}
parameters:
  - {{id: ketamine_Vp1_70kg, in: parameters/ketamine_human, prior: {{low: 40, median: 120, high: 360, note: wide}}}}
  - {{id: k_venous, in: parameters/ketamine_human, prior: {{low: 2, median: 8, high: 32, note: wide}}}}
targets:
  - {{row: PK036, table: pk, study: infusions, arm: venous-30-min, output: s_ketamine_plasma, as: value, at: 30 min, value: {0}, tolerance: 0.05, why: made}}
  - {{row: PK036, table: pk, study: infusions, arm: venous-30-min, output: s_ketamine_plasma, as: value, at: 1 h, value: {1}, tolerance: 0.05, why: made}}
  - {{row: PK036, table: pk, study: infusions, arm: venous-30-min, output: s_ketamine_plasma, as: value, at: 3 h, value: {2}, tolerance: 0.05, why: made}}
"""


def test_values_behind_made_data_are_found_again(tmp_path: Path) -> None:
    truth = {"ketamine_Vp1_70kg": 200.0, "k_venous": 15.0}
    study = TypicalStudy(recipe.experiment("infusions"), ["s_ketamine_plasma"], [0.0, 0.5, 1.0, 3.0], list(truth),
                         arms=["venous-30-min"])  # fmt: skip
    made = study.predict(np.array([list(truth.values())]))[0, 0, 1:, 0]
    file = tmp_path / "made.yaml"
    file.write_text(RECIPE.format(*made), encoding="utf-8")
    calibration = block.calibrate(file)
    assert calibration.minimum.converged
    values = dict(zip(calibration.parameters["parameter"], calibration.parameters["value"], strict=True))
    assert values == pytest.approx(truth, rel=0.02)
    assert (calibration.parameters["low"] < calibration.parameters["value"]).all()
    assert calibration.targets["within"].all()
    assert not calibration.reproduced  # the library does not hold them, and nothing was written
    again = block.calibrate(file)
    assert again.parameters["value"].tolist() == calibration.parameters["value"].tolist()


def target(**changes: object) -> Target:
    base: dict[str, object] = {"row": {"id": "X"}, "study": "s", "arm": "a", "value": 2.0, "tolerance": 0.5}
    return Target(**(base | changes))  # type: ignore[arg-type]


def test_residuals_count_standard_errors_and_bounds_one_side() -> None:
    at = np.array([1.0, 2.0, 3.0])
    assert block.residual(target(), at) == pytest.approx([-2.0, 0.0, 2.0])
    assert block.residual(target(bound="at_most"), at) == pytest.approx([0.0, 0.0, 2.0])
    assert block.residual(target(bound="at_least"), at) == pytest.approx([-2.0, 0.0, 0.0])
    # on the log scale the first-order misfit near the value is the same
    assert block.residual(target(logarithm=True), np.array([2.02])) == pytest.approx([0.04], rel=0.01)


def test_priors_are_asymmetric_on_their_scale() -> None:
    prior = Prior(median=2.0, low=1.0, high=8.0, scale="log", source="")
    assert prior.from_scale(prior.centre) == pytest.approx(2.0)
    assert prior.from_scale(prior.centre - 1.6448536 * prior.spread(below=True)) == pytest.approx(1.0)
    assert prior.from_scale(prior.centre + 1.6448536 * prior.spread(below=False)) == pytest.approx(8.0)


def test_people_keep_their_distance_from_the_typical_person() -> None:
    quantity = Quantity("x", "parameter", "1", 2.0, distribution="lognormal", variability=0.3)
    eta = np.array([-1.0, 0.0, 2.0])
    column = 2.0 * np.exp(np.sqrt(np.log1p(0.09)) * eta)
    place = Place("parameters/t", "x")
    wider = Place("parameters/t", "x", "variability")
    moved = cohort.moved(quantity, column, [(place, np.array([3.0, 2.0])), (wider, np.array([0.3, 0.6]))], 2).reshape(
        2, 3
    )
    assert moved[0] == pytest.approx(column * 1.5)
    assert moved[1] == pytest.approx(2.0 * np.exp(np.sqrt(np.log1p(0.36)) * eta))

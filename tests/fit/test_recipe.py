"""Recipes: roles are law, every mistake is told, and the library's own recipes keep to their rows."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from respine import library
from respine.errors import InputError
from respine.fit import recipe
from respine.fit.cohort import CohortTargets
from respine.fit.typical import half_rise
from respine.study import scales

GOOD = """\
schema: respine/recipe/1
block: mine
parameters:
  - {id: k_mtorc1, in: parameters/bdnf, prior: {low: 4, median: 9, high: 20, note: wide}}
targets:
  - {row: KET-02, table: preclinical, study: naive-ketamine-li-2010, arm: ketamine, against: vehicle, output: mtorc1,
     as: ratio, at: 1 h, value: 2.5, tolerance: 0.3, why: two- to threefold}
"""


def problems(tmp_path: Path, text: str) -> str:
    file = tmp_path / "mine.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as raised:
        recipe.load(file)
    return str(raised.value)


def test_a_good_recipe_loads(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(GOOD, encoding="utf-8")
    loaded = recipe.load(file)
    assert loaded.parameters[0].name == "k_mtorc1"
    assert loaded.targets[0].at == 1.0
    assert (loaded.targets[0].value, loaded.targets[0].tolerance) == (2.5, 0.3)


@pytest.mark.parametrize("role", ["validate", "context"])
@pytest.mark.parametrize("table", ["clinical", "preclinical", "pk", "population"])
def test_a_row_that_is_not_for_fitting_is_refused(tmp_path: Path, table: str, role: str) -> None:
    row = next((r["id"] for r in library.rows("evidence", table) if r["role"] == role), None)
    if row is None:
        pytest.skip(f"{table} has no row of role {role}")
    text = problems(tmp_path, GOOD.replace("row: KET-02, table: preclinical", f"row: {row}, table: {table}"))
    assert f'has the role "{role}": nothing may be tuned to it' in text


def test_a_row_inside_a_published_curve_is_refused_as_well(tmp_path: Path) -> None:
    row = next(
        r["id"] for r in library.rows("evidence", "pk") if r["role"] == "validate" and re.fullmatch(r"G?PK\d+", r["id"])
    )
    target = (
        "targets:\n  - {row: PK108, table: pk, study: infusions, arm: venous-bolus-racemate, output: plasma_ketamine, "
        f"as: curve, times: [1 h], tolerance: 0.2, why: x, curve: {{dose: 1, rows: {{V1: PK108, CL: {row}}}}}}}\n"
    )
    assert "nothing may be tuned to it" in problems(tmp_path, GOOD[: GOOD.index("targets:")] + target)


def test_all_mistakes_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    text = (
        GOOD.replace("low: 4, median: 9", "low: 12, median: 9")
        .replace("at: 1 h", "at: 1")
        .replace("why: two- to threefold", "becuase: x")
        .replace("block: mine", "block: mine\nseting: 1")
    )
    told = problems(tmp_path, text)
    for expected in ("not in this order", "has no unit", "becuase", "needs its reason", "seting"):
        assert expected in told
    assert all(":" in line.split()[0] for line in told.splitlines() if line.startswith("/"))


def test_a_number_that_the_library_lacks_is_told(tmp_path: Path) -> None:
    assert "has no number k_mtor" in problems(tmp_path, GOOD.replace("id: k_mtorc1", "id: k_mtor"))


def test_a_text_row_needs_a_number_of_its_own(tmp_path: Path) -> None:
    assert "is not one number" in problems(tmp_path, GOOD.replace("value: 2.5, ", ""))


def test_a_lag_has_an_earlier_output_and_a_window(tmp_path: Path) -> None:
    bare = GOOD.replace("as: ratio", "as: lag")
    assert bare != GOOD
    told = problems(tmp_path, bare)
    assert "Write after: OUTPUT" in told and "read over a window" in told


def test_half_of_the_greatest_rise_is_found_between_points() -> None:
    moments = np.array([0.0, 1.0, 2.0, 3.0])
    window = np.array([[1.0, 1.0, 3.0, 2.0], [0.0, 4.0, 4.0, 5.0], [2.0, 2.0, 2.0, 2.0]])
    assert half_rise(moments, window).tolist() == pytest.approx([1.5, 0.625, 0.0])


BLOCKS = ["pk", "signalling", "spine-turnover", "stress", "slow-drugs", "symptom-scale", "expectancy", "side-effects"]


def test_the_library_has_its_blocks() -> None:
    assert set(BLOCKS) <= set(recipe.names())


@pytest.mark.parametrize("block", BLOCKS)
def test_a_recipe_of_the_library_loads_under_its_name_and_keeps_to_rows_of_role_fit(block: str) -> None:
    loaded = recipe.load(block)
    assert loaded.block == block
    assert all(target.row["role"] == "fit" for target in loaded.targets)
    for free in loaded.parameters:
        assert free.prior.low < free.prior.median < free.prior.high


def test_no_number_is_calibrated_by_two_recipes() -> None:
    names = [free.name if free.place.file != "parameters/human" else f"human {free.name}"
             for block in recipe.names() for free in recipe.load(block).parameters]  # fmt: skip
    assert len(set(names)) == len(names)


def test_every_calibrated_number_names_a_recipe_that_holds_it() -> None:
    held = {(free.place.file, free.place.id): block for block in recipe.names() for free in recipe.load(block).parameters
            if free.place.field == "value"}  # fmt: skip
    for table in library.names("parameters"):
        for row in library.rows("parameters", table):
            if row["status"] == "calibrated":
                block = held.get((f"parameters/{table}", row["id"]))
                assert block and f"recipe {block}" in row["where"], (table, row["id"])
                assert float(row["low"]) < float(row["value"]) < float(row["high"])


HARDLY_ILL = """\
schema: respine/recipe/1
block: mine
parameters:
  - {id: k_mtorc1, in: parameters/bdnf, prior: {low: 4, median: 9, high: 20, note: wide}}
targets:
  - {row: population-madrs-baseline-transform-1-2-women-esketamine, table: population, study: murrough-2013, arm: midazolam,
     endpoint: change-24h, statistic: hardly-ill, at_most: 5, tolerance: 1.5, why: people enter with 28 points or more}
"""


def test_hardly_ill_is_one_floor_of_the_scale_unless_the_recipe_says_more(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(HARDLY_ILL, encoding="utf-8")
    (target,) = recipe.load(file).targets
    more = dataclasses.replace(target, floors=3.0)
    fit = SimpleNamespace(  # what the share is read from: two people, one hardly ill, MADRS with a floor of 0.1
        endpoints={"change-24h": SimpleNamespace(of="MADRS")}, study=SimpleNamespace(start=0.0), times=np.array([0.0]),
        outputs=["symptom"], protocol=SimpleNamespace(scale=lambda name: scales.load(library.BUILT_IN, name)),
    )  # fmt: skip
    path = np.array([[[0.05]], [[0.2]]])
    shares = [CohortTargets._hardly_ill(fit, target, path) for target in (target, more)]  # type: ignore[arg-type]
    assert shares == [50.0, 100.0]
    assert "Floors of a scale" in problems(tmp_path, HARDLY_ILL.replace("statistic: hardly-ill", "floors: 3"))

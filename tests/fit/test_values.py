"""Numbers are read from and written to tables and scale files, and nothing else in them changes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from respine import library
from respine.errors import InputError
from respine.fit import values
from respine.fit.values import Calibrated, Place


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for kind in ("parameters", "scales"):
        shutil.copytree(library.ROOT / kind, tmp_path / kind)
    monkeypatch.setattr(library, "ROOT", tmp_path)
    return tmp_path


def changed_lines(before: str, after: str) -> list[tuple[str, str]]:
    old, new = before.split("\n"), after.split("\n")
    assert len(old) == len(new)
    return [(a, b) for a, b in zip(old, new, strict=True) if a != b]


def test_a_cell_of_a_table(copy: Path) -> None:
    place = Place("parameters/bdnf", "k_mtorc1")
    file = copy / "parameters" / "bdnf.csv"
    before = file.read_text(encoding="utf-8")
    assert values.write([Calibrated(place, 11.23456, 7.0, 18.0, "signalling")]) == [file]
    result = values.read(place)
    assert (result.value, result.low, result.high, result.status) == (11.23, 7.0, 18.0, "calibrated")
    assert result.where.startswith("recipe signalling")
    assert len(changed_lines(before, file.read_text(encoding="utf-8"))) == 1
    values.write([Calibrated(place, 11.23456, 7.0, 18.0, "signalling")])
    assert values.read(place).where.count("recipe") == 1


def test_a_variability_leaves_the_value_alone(copy: Path) -> None:
    place = Place("parameters/symptoms", "symptom_threshold", "variability")
    before = values.read(Place("parameters/symptoms", "symptom_threshold"))
    values.write([Calibrated(place, 0.12, 0.1, 0.2, "symptom-scale")])
    assert values.read(place).value == 0.12
    after = values.read(Place("parameters/symptoms", "symptom_threshold"))
    assert (after.value, after.low, after.high, after.status) == (before.value, before.low, before.high, before.status)


@pytest.mark.parametrize(
    ("file", "id"),
    [("scales/MADRS", "rater_sd"), ("scales/_expectancy", "acute"), ("scales/_expectancy", "acute_time"),
     ("scales/_expectancy", "belief.inactive-placebo.high"), ("scales/_expectancy", "belief.active-placebo.high")],
)  # fmt: skip
def test_an_entry_of_a_scale_file(copy: Path, file: str, id: str) -> None:
    place = Place(file, id)
    before = place.path.read_text(encoding="utf-8")
    values.write([Calibrated(place, 0.4321, 0.1, 0.9, "expectancy")])
    result = values.read(place)
    assert (result.value, result.low, result.high, result.status) == (0.4321, 0.1, 0.9, "calibrated")
    assert result.where == "recipe expectancy"
    assert len(changed_lines(before, place.path.read_text(encoding="utf-8"))) == 1


def test_a_number_that_is_not_there(copy: Path) -> None:
    for place in (Place("parameters/bdnf", "nothing"), Place("scales/MADRS", "nothing"), Place("scales/NONE", "x")):
        with pytest.raises(InputError):
            values.read(place)

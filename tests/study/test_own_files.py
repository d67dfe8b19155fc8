"""A study with a model and people of its own, named by a path from wherever the user stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from respine import study
from respine.errors import InputError
from respine.protocol import resolve

MODEL = "depot' = -ka*depot\ncentral' = ka*depot - k*central\ndepot = 0\ncentral = 0\nka = 1\nk = 0.1\n"
STUDY = """\
schema: respine/study/1
name: own
title: Own model, own people
model: two.ant
people: people.csv
subjects: 3
seed: 1
arms:
  a: {doses: [{into: depot, amount: 100 mg, at: 0 h}]}
visits: [0 h, 24 h]
record: [central]
endpoints: [{name: end, of: central, kind: score, at: 24 h}]
"""


def write(folder: Path) -> Path:
    folder.mkdir()
    (folder / "two.ant").write_text(MODEL, encoding="utf-8")
    (folder / "people.csv").write_text("id,ka\nx,1\ny,2\nz,3\n", encoding="utf-8")
    (folder / "own.yaml").write_text(STUDY, encoding="utf-8")
    return folder / "own.yaml"


def test_own_files_are_found_from_every_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path / "here")
    prints = {}
    for place, name in ((tmp_path, "here/own.yaml"), (tmp_path / "here", "own.yaml"), (tmp_path / "here", str(file))):
        monkeypatch.chdir(place)
        loaded = study.load(name)
        prints[place, name] = resolve(loaded, loaded.library).fingerprint
    assert len(set(prints.values())) == 1


def test_a_study_that_moves_with_its_files_is_the_same(tmp_path: Path) -> None:
    here, there = (study.load(write(tmp_path / name)) for name in ("here", "there"))
    assert resolve(here, here.library).fingerprint == resolve(there, there.library).fingerprint
    (tmp_path / "there" / "two.ant").write_text(MODEL.replace("0.1", "0.2"), encoding="utf-8")
    there = study.load(tmp_path / "there" / "own.yaml")
    assert resolve(here, here.library).fingerprint != resolve(there, there.library).fingerprint


def test_every_fault_of_a_table_of_people_is_told(tmp_path: Path) -> None:
    file = write(tmp_path / "here")
    text = STUDY.replace("model: two.ant", "population: mdd-treatment-resistant").replace(
        "into: depot", "into: escitalopram_central"
    )
    file.write_text(
        text.replace("record: [central]", "observe: [MADRS]").replace("of: central", "of: MADRS"), encoding="utf-8"
    )
    table = tmp_path / "here" / "people.csv"
    table.write_text("id,weight_kg,baseline_MADRS\na,70,30\nb,80,33\nb,,31\n,60,30\n", encoding="utf-8")
    with pytest.raises(InputError) as rows:
        study.load(file)
    told = {
        (problem.where.rpartition(":")[2], problem.field)
        for problem in rows.value.problems
        if "people.csv" in problem.where
    }
    assert told == {("4", "id"), ("4", "weight_kg"), ("5", "id")}
    table.write_text("id,weight_kg,baseline_MADRS,shoe\na,70,30,4\nb,-5,33,4\nc,60,99,4\n", encoding="utf-8")
    with pytest.raises(InputError) as cells:
        study.load(file)
    assert {problem.seen for problem in cells.value.problems if problem.field == "people"} == {"shoe", "-5", "99"}

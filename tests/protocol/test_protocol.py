"""A protocol is a value: it survives a journey into a process without files, and its fingerprint tells every change."""

from __future__ import annotations

import ast
import dataclasses
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from respine import library, run, study
from respine.errors import InputError
from respine.protocol import resolve
from respine.run import shards
from tests.run.tiny import tiny_system
from tests.trial.stand_ins import small_study

ELSEWHERE = """
import pathlib, pickle, sys
import numpy as np
import respine.library.library as known
known.ROOT = pathlib.Path("/nowhere")
known.Library.path = known.Library.text = known.Library.rows = lambda *a, **k: sys.exit("a library file was read")
protocol = pickle.loads(pathlib.Path(sys.argv[1]).read_bytes())
arm = protocol.arm("drug")
people = arm.people(range(20))
solution = arm.solve(people, ["symptom", "plasma_ketamine"], np.array([0.0, 4.0, 24.0, 168.0]), threads=1)
np.save(sys.argv[2], solution.values)
print(protocol.fingerprint)
"""


def test_a_pickled_protocol_gives_the_same_bits_where_there_is_no_library(tmp_path: Path) -> None:
    protocol = resolve(small_study(tmp_path), system=tiny_system())
    (tmp_path / "protocol.pickle").write_bytes(pickle.dumps(protocol))
    command = [sys.executable, "-c", ELSEWHERE, str(tmp_path / "protocol.pickle"), str(tmp_path / "there.npy")]
    told = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=os.environ, check=False)
    assert told.returncode == 0, told.stderr
    assert told.stdout.strip() == protocol.fingerprint
    arm = protocol.arm("drug")
    times = np.array([0.0, 4.0, 24.0, 168.0])
    here = arm.solve(arm.people(range(20)), ["symptom", "plasma_ketamine"], times, threads=1)
    np.testing.assert_array_equal(np.load(tmp_path / "there.npy"), here.values)


def _fingerprint(asked: study.Study, system=None) -> str:
    return resolve(asked, system=system or tiny_system()).fingerprint


def test_the_fingerprint_tells_every_input_apart(tmp_path: Path) -> None:
    asked = small_study(tmp_path)
    whole = _fingerprint(asked)
    assert whole == _fingerprint(study.Study.from_yaml(asked.to_yaml()))  # comments and layout are no part of it
    people = [{"id": str(k), "weight_kg": 60.0 + k} for k in range(60)]
    changed = {
        "dose": asked.arm("drug").replace(doses=[{**asked.arms["drug"].doses[0].to_dict(), "amount": "1 mg/kg"}]),
        "seed": asked.replace(seed=6),
        "subjects": asked.replace(subjects=61),
        "visits": asked.replace(visits=["0 h", "4 h", "24 h", "8 d"]),
        "title": asked.replace(title="Another title"),
        "population": asked.replace(population="mdd"),
        "people": asked.replace(people=people),
        "people's numbers": asked.replace(people=[*people[:-1], {"id": "59", "weight_kg": 1.0 + 60}]),
        "scales": asked.replace(observe=["MADRS", "CADSS"]),
        "covariates": asked.replace(covariates={"baseline_MADRS": {
            "distribution": "constant", "value": 30, "status": "assumed", "note": "all alike"}}),
    }  # fmt: skip
    prints = {name: _fingerprint(other) for name, other in changed.items()}
    prints["model"] = _fingerprint(asked, tiny_system(relief=0.7))
    assert whole not in prints.values() and len(set(prints.values())) == len(prints)


@pytest.mark.parametrize(
    ("kind", "name", "old", "new"),
    [
        ("drugs", "ketamine", "felt: high", "felt: low"),
        ("scales", "MADRS", "step: 1", "step: 2"),
        ("populations", "mdd-treatment-resistant", "for: 365 d", "for: 200 d"),
    ],
)
def test_an_edited_library_file_is_another_protocol(kind: str, name: str, old: str, new: str, tmp_path: Path) -> None:
    asked = small_study(tmp_path)
    text = library.text(kind, name)
    if old not in text:
        pytest.fail(f"{kind}/{name} no longer holds {old!r}: choose another edit")
    (tmp_path / "own" / kind).mkdir(parents=True)
    (tmp_path / "own" / kind / f"{name}.yaml").write_text(text.replace(old, new, 1), encoding="utf-8")
    edited = library.BUILT_IN.overlay(tmp_path / "own")
    assert resolve(asked, edited, tiny_system()).fingerprint != _fingerprint(asked)


def test_a_population_edited_between_two_shards_is_told_not_mixed_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = library.text("populations", "mdd-treatment-resistant")
    (tmp_path / "people.yaml").write_text(people, encoding="utf-8")
    asked = small_study(tmp_path, **{"mdd-treatment-resistant": "people.yaml"})
    plan = run.plan(asked, system=tiny_system(), shard=30, threads=1)
    compute, kept = shards.compute, []

    def stops(*args, **more):
        if len(kept) == 1:
            raise KeyboardInterrupt
        kept.append(1)
        return compute(*args, **more)

    monkeypatch.setattr(shards, "compute", stops)
    with pytest.raises(run.Stopped):
        run.execute(plan, tmp_path / "run")
    monkeypatch.undo()
    (tmp_path / "people.yaml").write_text(people.replace("sd: 13.33", "sd: 9", 1) + "\n# edited\n", encoding="utf-8")
    edited = study.load(asked.file)
    assert resolve(edited, system=tiny_system()).facts["population"] != plan.protocol.facts["population"]
    with pytest.raises(InputError, match="the population or the table of people differed"):
        run.execute(run.plan(edited, system=tiny_system(), shard=30, threads=1), tmp_path / "run", resume=True)


def test_results_belong_to_the_study_they_were_made_from(tmp_path: Path) -> None:
    asked = small_study(tmp_path)
    run.execute(run.plan(asked, system=tiny_system(), threads=1), tmp_path / "run")
    assert asked.file is not None
    asked.file.write_text(asked.text.replace("A small study", "Quite another one"), encoding="utf-8")
    assert run.load(tmp_path / "run").study.title == "A small study"
    asked.file.unlink()
    assert run.load(tmp_path / "run").study == asked


def test_changed_tables_of_a_run_are_refused(tmp_path: Path) -> None:
    run.execute(run.plan(small_study(tmp_path), system=tiny_system(), threads=1), tmp_path / "run")
    file = tmp_path / "run" / "endpoints.parquet"
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(InputError, match="not those the run wrote"):
        run.load(tmp_path / "run")


def test_a_table_of_people_is_who_takes_part(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("id,weight_kg,baseline_MADRS\n" + "".join(
        f"p{k},{50 + k},{25 + k % 10}\n" for k in range(60)))  # fmt: skip
    asked = small_study(tmp_path, **{"subjects: 60": "subjects: 60\npeople: people.csv"})
    people = resolve(asked, system=tiny_system()).arm("drug").people(range(10, 20))
    assert people.covariates["weight_kg"].tolist() == [60.0 + k for k in range(10)]
    assert people.covariates["baseline_MADRS"].tolist() == [25.0 + k for k in range(10)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id,weight_kg\na,70\n", "The table of people holds 1"),
        ("name,weight_kg\na,70\n", 'no column "id"'),
        ("id,weigth_kg\n" + "".join(f"{k},70\n" for k in range(60)), "weight_kg"),
        ("id,weight_kg\n" + "".join(f"{k},70\n" for k in range(59)) + "7,60\n", "stands in row 9 already"),
        ("id,weight_kg\n" + "".join(f"{k},\n" for k in range(60)), "without a value"),
        ("id,weight_kg\n" + "".join(f"{k},heavy\n" for k in range(60)), "holds numbers"),
        ("id,weight_kg\n" + "".join(f"{k},70,1\n" for k in range(60)), "3 cells, the header has 2"),
        ("id,sex\n" + "".join(f"{k},woman\n" for k in range(60)), "holds words the population does not know"),
        ("id,id\n" + "".join(f"{k},{k}\n" for k in range(60)), "stands in the table twice"),
        ("", "holds nobody"),
        ('id,weight_kg\na,"' + "x" * 200_000 + '"\n', "no CSV table"),
    ],
)  # fmt: skip
def test_faults_of_a_table_of_people(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=words):
        small_study(tmp_path, **{"subjects: 60": "subjects: 60\npeople: people.csv"})


def test_one_set_of_tolerances_and_monitors() -> None:
    """Solvers for studies are built in one place, so that a fit cannot use trajectories that a run refuses."""
    house = Path(run.__file__).parents[1]
    builders = []
    for file in house.rglob("*.py"):
        if {"engine", "qualify"} & set(file.relative_to(house).parts):
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            name = node.func if isinstance(node, ast.Call) else None
            if isinstance(name, ast.Attribute) and name.attr == "build" and getattr(name.value, "id", "") == "engine":
                builders.append(file.relative_to(house).as_posix())
    rooms = {file for file in builders if not file.startswith(("fit/population/", "interop/", "cli/doctor"))}
    assert rooms == {"protocol/arm.py"}


def test_a_frozen_value() -> None:
    protocol = resolve(study.load("murrough-2013"))
    assert hash(protocol) == hash(dataclasses.replace(protocol)) and protocol == dataclasses.replace(protocol)
    with pytest.raises(dataclasses.FrozenInstanceError):
        protocol.study = None  # type: ignore[misc]

"""A run folder: the same bytes for any number of threads and after any interruption, and never half a file."""

from __future__ import annotations

import dataclasses
import errno
import importlib
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import respine
from respine import run
from respine.errors import InputError
from respine.files import parquet
from respine.model.expression import num, sym
from respine.population.random import uniforms
from respine.run import shard_file, shards, speed, target
from respine.run.plan import Plan
from tests.run.tiny import tiny_system
from tests.trial.stand_ins import STUDY, small_study

TABLES = ("subjects", "visits", "doses", "endpoints", "chain", "failures", "scores", "trajectories")


def _plan(folder: Path, **changed: float) -> Plan:
    return run.plan(small_study(folder, STUDY), system=tiny_system(**changed), shard=25, threads=1)


def _bytes(folder: Path) -> dict[str, bytes]:
    return {name: (folder / f"{name}.parquet").read_bytes() for name in TABLES}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Plan, run.Results]:
    """One finished run to compare others with."""
    folder = tmp_path_factory.mktemp("whole")
    plan = _plan(folder)
    return folder / "run", plan, run.execute(plan, folder / "run")


def test_a_plan_says_what_it_will_cost(tmp_path: Path) -> None:
    plan = _plan(tmp_path)
    assert (
        len(plan.shards) == 6 and plan.people == 120 and [s.arm for s in plan.shards] == ["drug"] * 3 + ["saline"] * 3
    )
    assert plan.seconds > 0 and plan.megabytes > 0 and 1 <= plan.equations <= plan.equations_before == 4
    assert set(plan.vary) == {"k_elimination", "relief"} and {0.0, 4.0, 24.0, 168.0} <= set(plan.times.tolist())
    assert "small  2 arms x 60 people, 7 d" in str(plan)
    assert np.all(np.diff(plan.times) > 1e-6)


def test_the_estimate_learns_from_what_runs_took(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESPINE_CACHE", str(tmp_path / "cache"))
    assert speed.seconds_per_unit() == speed.USUAL
    speed.remember(1e3, 1.0, 1)  # too little to say anything
    assert speed.seconds_per_unit() == speed.USUAL
    for _ in range(20):
        speed.remember(1e8, 3e8 * speed.USUAL, 1)
    assert speed.seconds_per_unit() == pytest.approx(3 * speed.USUAL, rel=1e-3)
    (tmp_path / "cache" / speed.NAME).write_text('{"seconds_per_unit": "soon"}')
    assert speed.seconds_per_unit() == speed.USUAL
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RESPINE_CACHE", str(tmp_path / "file"))
    speed.remember(1e8, 10.0, 1)  # nowhere to keep it: no harm
    assert [speed.duration_text(s) for s in (0.2, 12.4, 600, 7200, 1e6)] == ["1 s", "12 s", "10 min", "2 h", "12 d"]


def test_few_people_hold_little_of_the_uncertainty(whole: tuple[Path, Plan, run.Results]) -> None:
    _, plan, results = whole
    assert plan.draws == 6 and any("6 draws of the uncertain parameters" in warning for warning in results.warnings)


def test_subjects_and_seed_can_be_replaced_and_are_checked(tmp_path: Path) -> None:
    study = small_study(tmp_path)
    plan = run.plan(study, subjects=10, seed=9, system=tiny_system())
    assert (plan.study.subjects, plan.study.seed, plan.people) == (10, 9, 20)
    for wrong in ({"subjects": 0}, {"seed": -1}, {"threads": 0}):
        with pytest.raises(InputError):
            run.plan(study, system=tiny_system(), **wrong)


def test_the_folder_describes_itself(whole: tuple[Path, Plan, run.Results]) -> None:
    out, plan, results = whole
    facts = json.loads((out / "manifest.json").read_text())
    assert facts["state"] == "complete" and facts["study_text"] == plan.study.text and facts["seed"] == 5
    assert set(facts["files"]) == {f"{name}.parquet" for name in TABLES} and len(facts["shards"]) == 6
    assert all(len(receipt["sha256"]) == 64 and receipt["rows"]["subjects"] for receipt in facts["shards"].values())
    assert not list(out.rglob("*.part")) and not (out / "shards").exists()  # what shards held is in the tables, once
    assert {"respine", "numpy", "python"} <= set(facts["versions"]) and len(facts["identity"]["protocol"]) == 64
    assert all(path.exists() for path in results.paths.values())


def test_tables_hold_everybody_in_order(whole: tuple[Path, Plan, run.Results]) -> None:
    out, _, results = whole
    visits = pd.read_parquet(out / "visits.parquet")
    assert len(visits) == 120 * 4 * 3 and set(visits["subject"]) == set(range(60))
    arm = pd.Categorical(visits["arm"], ["drug", "saline"], ordered=True)
    assert list(visits.assign(arm=arm).sort_values(["arm", "subject", "time_h"], kind="stable").index) == list(
        range(len(visits))
    )
    subjects = pd.read_parquet(out / "subjects.parquet")
    assert len(subjects) == 120 and {"draw", "weight_kg", "baseline_MADRS", "k_elimination", "relief"} <= set(
        subjects.columns
    )
    a, b = (subjects[subjects["arm"] == arm].drop(columns="arm").reset_index(drop=True) for arm in ("drug", "saline"))
    pd.testing.assert_frame_equal(a, b)  # the same people in every arm
    doses = pd.read_parquet(out / "doses.parquet")
    assert len(doses) == 60 and set(doses["arm"]) == {"drug"}
    assert list(results.failures.columns) == [
        "subject",
        "arm",
        "status",
        "time_h",
        "state",
        "value",
        "reason",
        "cure",
    ] and not len(results.failures)


def test_the_chain_is_the_quantiles_of_the_trajectories(whole: tuple[Path, Plan, run.Results]) -> None:
    out, plan, results = whole
    assert list(results.chain.columns) == ["arm", "output", "time_h", "n", "p05", "p25", "median", "p75", "p95"]
    kept = pd.read_parquet(out / "trajectories.parquet")
    assert list(kept.columns) == ["subject", "arm", "time_h", *plan.outputs] and kept["symptom"].dtype == np.float32
    arrays = kept.loc[kept["arm"] == "drug", list(plan.outputs)].to_numpy().reshape(60, len(plan.times), -1)
    rows = results.chain[(results.chain["arm"] == "drug") & (results.chain["output"] == "symptom")]
    wanted = np.quantile(arrays[:, :, plan.outputs.index("symptom")].astype(float), [0.05, 0.5, 0.95], axis=0)
    np.testing.assert_allclose(rows[["p05", "median", "p95"]].to_numpy().T, wanted)
    assert set(rows["n"]) == {60} and rows["time_h"].tolist() == plan.times.tolist()


def test_results_as_json_rows(whole: tuple[Path, Plan, run.Results]) -> None:
    rows = whole[2].to_json_rows()
    text = json.dumps(rows, allow_nan=False)
    assert len(json.loads(text)) == 5  # two endpoints in two arms, one difference
    first = rows[0]
    assert list(first)[:10] == [
        "study",
        "arm",
        "endpoint",
        "time_h",
        "median",
        "p05",
        "p95",
        "published",
        "inside",
        "role",
    ]
    assert first["p05"] < first["median"] < first["p95"] and first["published"] is None and first["inside"] is None
    assert "people, rating noise and parameter uncertainty" in first["note"]


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_change_no_byte(whole: tuple[Path, Plan, run.Results], tmp_path: Path, threads: int) -> None:
    out, plan, _ = whole
    run.execute(plan, tmp_path / "run", threads=threads)
    assert _bytes(tmp_path / "run") == _bytes(out)


def test_a_killed_run_goes_on_to_the_same_bytes(
    whole: tuple[Path, Plan, run.Results], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, plan, _ = whole
    calls = []

    def dies(*args: object, **kwargs: object) -> object:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return compute(*args, **kwargs)  # type: ignore[arg-type]

    compute = shards.compute
    monkeypatch.setattr(shards, "compute", dies)
    with pytest.raises(run.Stopped, match=r"stopped after 3 of 6 shards; go on with resume=True"):
        run.execute(plan, tmp_path / "run")
    (tmp_path / "run" / "shards" / ".00003.abc.part").write_bytes(b"half")  # what a kill while writing leaves
    seen: list[tuple[int, int]] = []
    run.execute(plan, tmp_path / "run", resume=True, progress=lambda done, total: seen.append((done, total)))
    assert len(calls) == 7 and _bytes(tmp_path / "run") == _bytes(out)
    assert seen[-1] == (120, 120) and not list((tmp_path / "run").rglob("*.part"))


def _stopped_after(plan: Plan, out: Path, shards_done: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that was interrupted once so many shards were written."""
    compute, calls = shards.compute, []

    def dies(*args: object) -> object:
        calls.append(1)
        if len(calls) > shards_done:
            raise KeyboardInterrupt
        return compute(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(shards, "compute", dies)
    with pytest.raises(run.Stopped):
        run.execute(plan, out)
    monkeypatch.setattr(shards, "compute", compute)


@pytest.mark.parametrize("damage", ["flipped", "cut short", "emptied", "of another shard", "of another run"])
def test_a_damaged_shard_is_made_again(
    whole: tuple[Path, Plan, run.Results], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    out, plan, _ = whole
    again = tmp_path / "run"
    _stopped_after(plan, again, 3, monkeypatch)
    names = sorted(path.name for path in (again / "shards").iterdir())
    damaged, data = again / "shards" / names[1], (again / "shards" / names[1]).read_bytes()
    if damage == "of another run":
        other = _plan(tmp_path, k_effect=0.4)
        _stopped_after(other, tmp_path / "other", 3, monkeypatch)
    made = {
        "flipped": lambda: data[:700] + bytes([data[700] ^ 1]) + data[701:],
        "cut short": lambda: data[:-100],
        "emptied": lambda: b"",
        "of another shard": lambda: (again / "shards" / names[0]).read_bytes(),
        "of another run": lambda: (tmp_path / "other" / "shards" / names[1]).read_bytes(),
    }[damage]()
    damaged.write_bytes(made)
    computed: list[str] = []
    compute = shards.compute
    monkeypatch.setattr(
        shards, "compute", lambda p, shard, *rest: computed.append(shard.name) or compute(p, shard, *rest)
    )
    results = run.execute(plan, again, resume=True)
    assert sorted(computed) == sorted({*(s.name for s in plan.shards)} - {n[:5] for n in names} | {names[1][:5]})
    assert _bytes(again) == _bytes(out)
    assert any(f"shard {names[1][:5]} (arm " in w and "computed again" in w for w in results.warnings)


@given(place=st.integers(0, 10**9), bit=st.integers(0, 7))
@settings(max_examples=200, deadline=None)
def test_no_flipped_bit_of_a_shard_passes(place: int, bit: int) -> None:
    data = shard_file.pack({"a.parquet": bytes(range(256)), "b": b""}, {"arm": "drug", "first": 0})
    loaded = shard_file.unpack(data)
    assert loaded is not None and loaded.members == {"a.parquet": bytes(range(256)), "b": b""}
    at = place % len(data)
    assert shard_file.unpack(data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1 :]) is None
    assert shard_file.unpack(data[:at]) is None and shard_file.unpack(data + b"x") is None


@pytest.mark.parametrize("name", TABLES)
def test_a_damaged_table_is_made_again(whole: tuple[Path, Plan, run.Results], tmp_path: Path, name: str) -> None:
    out, plan, _ = whole
    again = Path(shutil.copytree(out, tmp_path / "run"))
    file = again / f"{name}.parquet"
    file.write_bytes(file.read_bytes()[:-9] + b"damage123")
    with pytest.raises(InputError, match="checksums differ"):
        run.load(again)
    results = run.execute(plan, again, resume=True)
    assert _bytes(again) == _bytes(out) and any(f"{name}.parquet did not match" in w for w in results.warnings)


def test_a_finished_run_is_read_back_not_simulated(
    whole: tuple[Path, Plan, run.Results], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, plan, results = whole
    monkeypatch.setattr(shards, "compute", lambda *a: pytest.fail("simulated again"))
    again = run.execute(plan, out, resume=True)
    pd.testing.assert_frame_equal(again.endpoints, pd.read_parquet(out / "endpoints.parquet"))
    assert again.to_json_rows() == results.to_json_rows()
    loaded = run.load(out)
    assert loaded.to_json_rows() == results.to_json_rows() and loaded.study.subjects == 60


@pytest.mark.parametrize(
    ("subject", "words"),
    [
        ("seed", "the seed"),
        ("subjects", "number of subjects"),
        ("study", "the study differed"),
        ("shard", "size of the shards"),
    ],
)
def test_a_folder_of_another_run_is_refused(
    whole: tuple[Path, Plan, run.Results], tmp_path: Path, subject: str, words: str
) -> None:
    out, before = whole[0], _bytes(whole[0])
    text = STUDY.replace("A small study", "Another study") if subject == "study" else STUDY
    given = (
        {"seed": 6}
        if subject == "seed"
        else {"subjects": 50}
        if subject == "subjects"
        else {"shard": 20}
        if subject == "shard"
        else {}
    )
    other = run.plan(small_study(tmp_path, text), system=tiny_system(), **({"shard": 25} | given))
    with pytest.raises(InputError, match=words):
        run.execute(other, out, resume=True)
    assert _bytes(out) == before


def test_folders_that_cannot_be_taken(whole: tuple[Path, Plan, run.Results], tmp_path: Path) -> None:
    out, plan, _ = whole
    with pytest.raises(InputError, match="Add resume=True"):
        run.execute(plan, out)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty and holds no run"):
        run.execute(plan, tmp_path)
    with pytest.raises(InputError, match="file, not a folder"):
        run.execute(plan, tmp_path / "notes.txt")
    with pytest.raises(InputError, match="is a file, not a folder"):
        run.execute(plan, tmp_path / "notes.txt" / "below")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "manifest.json").write_text("{")
    with pytest.raises(InputError, match="not the manifest of a run"):
        run.execute(plan, tmp_path / "broken", resume=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["broken", "notes.txt"]


def test_a_full_disk_keeps_what_is_finished(
    whole: tuple[Path, Plan, run.Results], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, plan, _ = whole
    write, written = target.Folder.write, []

    def full(self: target.Folder, name: str, data: bytes) -> None:
        if len(written) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(name)
        write(self, name, data)

    monkeypatch.setattr(target.Folder, "write", full)
    with pytest.raises(OSError, match="2 of 6 shards are finished and kept") as caught:
        run.execute(plan, tmp_path / "run")
    assert caught.value.errno == errno.ENOSPC
    monkeypatch.setattr(target.Folder, "write", write)
    run.execute(plan, tmp_path / "run", resume=True)
    assert _bytes(tmp_path / "run") == _bytes(out)


def test_a_run_that_cannot_fit_on_the_disk_does_not_begin(tmp_path: Path) -> None:
    plan = dataclasses.replace(_plan(tmp_path), megabytes=1e15)
    with pytest.raises(OSError, match="needs about 1000000000000000 MB") as caught:
        run.execute(plan, tmp_path / "vast")
    assert caught.value.errno == errno.ENOSPC and not list((tmp_path / "vast" / "shards").iterdir())


def test_two_runs_cannot_share_a_folder(tmp_path: Path) -> None:
    locked = importlib.import_module("respine.run.execute").locked  # the room's `execute` is the function
    (tmp_path / "x").mkdir()
    with (
        locked(tmp_path / "x"),
        pytest.raises(InputError, match="Another process"),
        locked(tmp_path / "x"),
    ):
        pass


def test_a_failing_person_is_named_and_stops_nothing(tmp_path: Path) -> None:
    plan = _plan(tmp_path)
    spoiled = plan.people_of

    def people_of(arm: str, numbers: range) -> object:
        people = spoiled(arm, numbers)
        people.parameters.loc[people.covariates["subject"] == 30, "k_elimination"] = np.nan
        return people

    object.__setattr__(plan, "people_of", people_of)
    results = run.execute(plan, tmp_path / "run")
    assert results.failures["subject"].tolist() == [30, 30] and results.failures["arm"].tolist() == ["drug", "saline"]
    row = results.failures.iloc[0]
    assert row["status"] == "bad-parameter" and row["reason"] and row["cure"]
    visits = pd.read_parquet(tmp_path / "run" / "visits.parquet")
    assert 30 not in set(visits["subject"]) and visits["value"].notna().all() and visits["subject"].nunique() == 59
    assert set(results.chain["n"]) == {59} and results.chain["median"].notna().all()
    assert (results.endpoints["n_simulated"] == 59).all()


def test_everybody_failing_gives_reasons_not_numbers(tmp_path: Path) -> None:
    system = tiny_system()
    grows = ("add", num(1.0), ("mul", sym("symptom"), sym("symptom")))  # reaches infinity within two hours
    runaway = dataclasses.replace(system, rates={**system.rates, "symptom": grows})
    plan = run.plan(small_study(tmp_path), subjects=12, system=runaway, threads=1)
    results = run.execute(plan, tmp_path / "run")
    assert (
        len(results.failures) == 24
        and results.failures["time_h"].notna().all()
        and results.chain["median"].isna().all()
    )
    assert set(results.failures["state"]) == {"symptom"}
    assert results.endpoints["median"].isna().all() and results.endpoints["note"].str.len().gt(0).all()
    assert results.to_json_rows() == [] and len(results.unmatched) == 5


def test_parquet_bytes_are_the_same_for_the_same_table() -> None:
    table = pd.DataFrame({"a": np.arange(5), "b": list("vwxyz"), "c": [True, None, False, None, True]})
    assert parquet.encode(table) == parquet.encode(table.copy())
    assert parquet.encode(table) != parquet.encode(table.assign(a=0))


def test_front_door() -> None:
    assert {"simulate", "load_study", "load_model", "compile", "plan"} <= set(dir(respine))
    for name in dir(respine):
        assert getattr(respine, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = respine.nothing


def test_counter_based_numbers_do_not_know_the_shard() -> None:
    np.testing.assert_array_equal(uniforms(1, "x", 0, 50, 3)[25:], uniforms(1, "x", 25, 50, 3))

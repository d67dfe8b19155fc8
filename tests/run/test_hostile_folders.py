"""A run touches nothing outside its folder and nothing of another run; what it cannot use is one clear error."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from respine import run
from respine.errors import InputError
from respine.run import manifest, shards
from respine.run.plan import Plan
from tests.run.tiny import tiny_system
from tests.trial.stand_ins import STUDY, small_study


def _plan(folder: Path) -> Plan:
    return run.plan(small_study(folder, STUDY), system=tiny_system(), shard=25, threads=1)


@pytest.fixture
def copy(whole: tuple[Path, Plan], tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole[0], tmp_path / "run"))


HOLDS_LOCK = """
import fcntl, pathlib, sys
handle = open(pathlib.Path(sys.argv[1]) / ".lock", "r+")
fcntl.flock(handle, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def _state(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in sorted(folder.rglob("*"))}


@pytest.mark.parametrize("resume", [True, False])
def test_a_refused_run_touches_nothing_of_the_one_that_runs(whole: tuple[Path, Plan], copy: Path, resume: bool) -> None:
    for half in (copy / ".visits.parquet.part", copy / "shards" / ".00003.x.part"):
        half.parent.mkdir(exist_ok=True)
        half.write_bytes(b"being written")
    command = [sys.executable, "-c", HOLDS_LOCK, str(copy)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        before = _state(copy)
        with pytest.raises(InputError, match="Another process is running into this folder"):
            run.execute(whole[1], copy, resume=resume)
        assert _state(copy) == before
        other.communicate("")
    run.execute(whole[1], copy, resume=True)
    assert not list(copy.rglob("*.part"))


@pytest.mark.parametrize(
    "name",
    [".lock", "manifest.json", "visits.parquet", "report.html", "shards", "shards/00001.shard", "log.jsonl",
     ".visits.parquet.part", "shards/.00001.x.part", ".manifest.json.part"],
)  # fmt: skip
def test_links_in_a_run_folder_are_not_followed(whole: tuple[Path, Plan], copy: Path, name: str) -> None:
    link, outside = copy / name, copy.parent / "outside"
    if link.is_dir():
        shutil.move(link, outside)
    else:
        outside.write_bytes(link.read_bytes() if link.exists() else b"of somebody else")
        link.unlink(missing_ok=True)
        link.parent.mkdir(exist_ok=True)
    link.symlink_to(outside)
    before = _state(copy.parent)
    with pytest.raises(InputError, match="is a link"):
        run.execute(whole[1], copy, resume=True)
    with pytest.raises(InputError, match="is a link"):
        run.load(copy)
    assert _state(copy.parent) == before


def test_writing_replaces_a_link_that_came_in_between(tmp_path: Path) -> None:
    from respine.files import store

    victim = tmp_path / "victim"
    victim.write_text("untouched")
    for name in ("table", ".table.part"):
        (tmp_path / name).symlink_to(victim)
    store.write_bytes(tmp_path / "table", b"new")
    (tmp_path / "folder").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "kept").touch()
    (tmp_path / ".folder.part").symlink_to(tmp_path / "elsewhere")
    store.write_folder(tmp_path / "folder", {"a": b"1"})
    assert victim.read_text() == "untouched" and (tmp_path / "table").read_bytes() == b"new"
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["kept"]
    assert not (tmp_path / "folder").is_symlink() and (tmp_path / "folder" / "a").read_bytes() == b"1"


def _without(name: str) -> Any:
    return lambda facts: {key: value for key, value in facts.items() if key != name}


def _with(**changed: Any) -> Any:
    return lambda facts: facts | changed


SHAPES = {
    **{f"no {name}": _without(name) for name in ("format", "state", "files", "shards", "identity", "study", "warnings",
                                                 "population", "seed", "model", "arms", "versions", "equations")},
    "a newer version": _with(format="respine/run/9"),
    "another format": _with(format=7),
    "another state": _with(state="half"),
    "files in a list": _with(files=["visits.parquet"]),
    "files elsewhere": _with(files={"../visits.parquet": "0"}),
    "files without digest": _with(files={"visits.parquet": None}),
    "shards in a list": _with(shards=[1]),
    "a receipt of nothing": _with(shards={"00000": None}),
    "a receipt without checksum": _with(shards={"00000": {"arm": "drug", "first": 0, "last": 25}}),
    "a checksum that is none": lambda facts: facts | {"shards": {"0": facts["shards"]["00000"] | {"sha256": 7}}},
    "an unfinished run of an older form": _with(format="respine/run/1", state="running"),
    "a receipt backwards": lambda facts: facts | {"shards": {"0": facts["shards"]["00000"] | {"first": 9, "last": 1}}},
    "numbers as warnings": _with(warnings=[1]),
    "a truth as seed": _with(seed=True),
    "a population of nothing": _with(population={}),
    "a list": lambda facts: [facts],
    "a number": lambda facts: 3,
    "nothing": lambda facts: None,
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_manifests_of_any_shape_are_one_clear_error(whole: tuple[Path, Plan], copy: Path, shape: str) -> None:
    file = copy / manifest.NAME
    file.write_text(json.dumps(SHAPES[shape](json.loads(file.read_text()))))
    for use in (lambda: run.load(copy), lambda: run.execute(whole[1], copy, resume=True)):
        with pytest.raises(InputError) as refused:
            use()
        assert len(refused.value.problems) == 1 and "not the manifest of a run" in str(refused.value)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"format": ' + "9" * 5000 + "}", "\x00", "\ufeff{}"])
def test_a_manifest_that_is_no_json(copy: Path, text: str) -> None:
    (copy / manifest.NAME).write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="not the manifest"):
        run.load(copy)


def test_a_manifest_that_is_a_pipe_or_huge(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "MOST_BYTES", 10)
    with pytest.raises(InputError, match="larger than"):
        run.load(copy)
    (copy / manifest.NAME).unlink()
    os.mkfifo(copy / manifest.NAME)
    began = time.perf_counter()
    with pytest.raises(InputError, match="no regular file"):
        run.load(copy)
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize("name", ["subjects", "visits", "doses", "endpoints", "chain", "failures"])
def test_a_table_without_checksum_is_not_read_but_made_again(whole: tuple[Path, Plan], copy: Path, name: str) -> None:
    facts = json.loads((copy / manifest.NAME).read_text())
    del facts["files"][f"{name}.parquet"]
    (copy / manifest.NAME).write_text(json.dumps(facts))
    (copy / f"{name}.parquet").write_bytes(b"altered")
    with pytest.raises(InputError, match="no checksum"):
        run.load(copy)
    run.execute(whole[1], copy, resume=True)
    assert (copy / f"{name}.parquet").read_bytes() == (whole[0] / f"{name}.parquet").read_bytes()


def _during_the_third_shard(monkeypatch: pytest.MonkeyPatch, act: Any) -> None:
    compute, count = shards.compute, [0]

    def counted(*args: Any) -> Any:
        count[0] += 1
        if count[0] == 3:
            act()
        return compute(*args)

    monkeypatch.setattr(shards, "compute", counted)


@pytest.mark.parametrize("moved", ["removed", "moved"])
def test_a_folder_that_goes_under_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: str) -> None:
    plan, out = _plan(tmp_path), tmp_path / "run"
    act = {"removed": lambda: shutil.rmtree(out), "moved": lambda: out.rename(tmp_path / "away")}[moved]
    _during_the_third_shard(monkeypatch, act)
    with pytest.raises(OSError, match="was removed while it ran"):
        run.execute(plan, out)
    assert not out.exists()


def test_a_limit_on_the_size_of_files_is_told_and_the_run_goes_on_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, out = _plan(tmp_path), tmp_path / "run"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    _during_the_third_shard(monkeypatch, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (64, hard)))
    try:
        with pytest.raises(OSError, match=r"ulimit -f.*2 of 6 shards are finished") as refused:
            run.execute(plan, out)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert refused.value.errno == errno.EFBIG
    assert run.execute(plan, out, resume=True).details["state"] == "complete"

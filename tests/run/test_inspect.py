"""What there is of a run: status, verify, repair; parts by many processes; budgets; signals."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from respine import run
from respine.errors import InputError
from respine.run import Budget, array, log, machine, manifest, shards
from respine.run.plan import Plan
from respine.run.work import Halt
from tests.run.tiny import tiny_system
from tests.trial.stand_ins import STUDY, small_study

TABLES = ("subjects", "visits", "doses", "endpoints", "chain", "failures", "scores", "trajectories")


def _plan(folder: Path, threads: int = 1) -> Plan:
    return run.plan(small_study(folder, STUDY), system=tiny_system(), shard=25, threads=threads)


def _bytes(folder: Path) -> dict[str, bytes]:
    return {name: (folder / f"{name}.parquet").read_bytes() for name in TABLES}


@pytest.fixture
def half(whole: tuple[Path, Plan], tmp_path: Path) -> Path:
    """A run that ended with its budget after 3 of 6 shards."""
    run.execute(whole[1], tmp_path / "half", budget=Budget(people=60))
    return tmp_path / "half"


@pytest.fixture
def same_system(monkeypatch: pytest.MonkeyPatch, whole: tuple[Path, Plan]) -> None:
    """Plans made from a manifest have the tiny system too."""
    made = run.plan

    def with_tiny(*args: Any, **kwargs: Any) -> Plan:
        return made(*args, **{"system": tiny_system(), **kwargs})

    monkeypatch.setattr(sys.modules["respine.run.inspect"], "plan", with_tiny)


def test_a_budget_ends_with_equal_arms_and_says_what_it_is_worth(whole: tuple[Path, Plan], tmp_path: Path) -> None:
    out, plan = tmp_path / "run", whole[1]
    part = run.execute(plan, out, budget=Budget(people=60))
    assert part.details["state"] == "running" and part.details["so_far"] == 25
    assert any("from 25 of 60 people an arm" in warning for warning in part.warnings)
    assert set(part.endpoints["n_simulated"].dropna()) == {25} and not (out / "visits.parquet").exists()
    run.execute(plan, out, resume=True)
    assert _bytes(out) == _bytes(whole[0])


def test_budgets_in_words() -> None:
    assert Budget.of("10min") == Budget(seconds=600) and Budget.of(" 1.5 h") == Budget(seconds=5400)
    assert Budget.of("20000") == Budget(people=20000)
    for wrong in ("", "0", "-3", "ten", "10 weeks", "1.5", "nan", "1e9"):
        with pytest.raises(InputError, match="neither a time"):
            Budget.of(wrong)
    assert Halt(until=time.monotonic() - 1).spent(0) and not Halt(people=5).spent(4) and Halt(people=5).spent(5)


def test_status_of_a_run_on_its_way_and_of_a_finished_one(whole: tuple[Path, Plan], half: Path) -> None:
    progress = run.status(half)
    assert (progress.state, progress.shards_done, progress.shards, progress.people) == ("running", 3, 6, 120)
    assert progress.people_done == 75 and progress.study == "small" and progress.last
    done = run.status(whole[0])
    assert (done.state, done.shards_done, done.people_done, done.seconds_left) == ("complete", 6, 120, None)
    with pytest.raises(InputError, match="no such folder"):
        run.status(half / "nowhere")


def test_a_clock_that_was_set_back_gives_no_pace(half: Path) -> None:
    lines = log.read(half)
    late, early = "2031-01-01T00:00:00.000+00:00", "2011-01-01T00:00:00.000+00:00"
    moved = [line | {"when": late if k == 0 else early} for k, line in enumerate(lines)]
    (half / log.NAME).write_text("".join(json.dumps(line) + "\n" for line in moved) + "{half a li")
    assert run.status(half).people_per_s is None and run.status(half).people_done == 75


@pytest.mark.usefixtures("same_system")
def test_verify_names_what_is_damaged_and_repair_mends_it(whole: tuple[Path, Plan], half: Path) -> None:
    assert run.verify(whole[0]).sound and run.verify(whole[0]).checked == len(TABLES)
    verified = run.verify(half)
    assert verified.sound and len(verified.missing) == 3 and verified.state == "running"
    first, second = sorted((half / "shards").iterdir())[:2]
    data = first.read_bytes()
    first.write_bytes(data[:500] + bytes([data[500] ^ 4]) + data[501:])
    second.write_bytes(second.read_bytes()[:-50])
    (half / "shards" / "00077.shard").write_bytes(data)
    (half / "shards" / ".00004.zz.part").write_bytes(b"half")
    verified = run.verify(half)
    assert not verified.sound
    assert {finding.what for finding in verified.findings if finding.harm} == {
        f"shard {first.stem}",
        f"shard {second.stem}",
        "shard 00077",
    }
    run.repair(half)
    assert _bytes(half) == _bytes(whole[0]) and run.verify(half).sound and not (half / "shards").exists()


@pytest.mark.usefixtures("same_system")
@pytest.mark.parametrize("lost", ["removed", "cut short", "of a newer version"])
def test_a_lost_manifest_is_restored(whole: tuple[Path, Plan], half: Path, tmp_path: Path, lost: str) -> None:
    for folder in (half, Path(shutil.copytree(whole[0], tmp_path / "done"))):
        file = folder / manifest.NAME
        text = file.read_text()
        made = {
            "removed": None,
            "cut short": text[:200],
            "of a newer version": text.replace("respine/run/2", "respine/run/9"),
        }
        file.unlink()
        if made[lost] is not None:
            file.write_text(made[lost])
        assert [finding.what for finding in run.verify(folder).findings if finding.harm] == [manifest.NAME]
        run.repair(folder)
        assert _bytes(folder) == _bytes(whole[0])


def test_shards_without_any_manifest_are_kept_by_their_own_study_alone(
    whole: tuple[Path, Plan], half: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (manifest.NAME, manifest.COPY):
        (half / name).unlink()
    with pytest.raises(InputError, match="manifest is gone"):
        run.execute(whole[1], half)
    with pytest.raises(InputError, match="shards alone do not say"):
        run.repair(half)
    other = run.plan(small_study(tmp_path), seed=6, system=tiny_system(), shard=25, threads=1)
    before = {path.name: path.read_bytes() for path in half.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match="belongs to another run"):
        run.execute(other, half, resume=True)
    assert before == {path.name: path.read_bytes() for path in half.rglob("*") if path.is_file()}
    compute, computed = shards.compute, []
    monkeypatch.setattr(shards, "compute", lambda *a: computed.append(a[1].name) or compute(*a))
    run.execute(whole[1], half, resume=True)
    assert len(computed) == 3 and _bytes(half) == _bytes(whole[0])


@pytest.mark.usefixtures("same_system")
def test_parts_by_many_processes_give_the_same_tables(whole: tuple[Path, Plan], tmp_path: Path) -> None:
    out, plan = tmp_path / "run", whole[1]
    assert run.run_part(plan, out, 2, 4) == (2, 2)
    with pytest.raises(InputError, match="4 of 6 shards are missing or damaged"):
        run.collect(out)
    assert [run.run_part(plan, out, part, 4) for part in (4, 1, 3, 2)] == [(2, 2), (1, 1), (1, 1), (2, 2)]
    assert all(json.loads((out / name).read_text())["shards"] == {} for name in (manifest.NAME, manifest.COPY))
    results = run.collect(out)
    assert _bytes(out) == _bytes(whole[0]) and results.details["state"] == "complete"
    assert run.run_part(plan, out, 3, 4) == (1, 1)  # a task that is started again has nothing to do
    other = run.plan(small_study(tmp_path), seed=6, system=tiny_system(), shard=25, threads=1)
    with pytest.raises(InputError, match="the seed"):
        run.run_part(other, out, 1, 4)


def test_every_shard_is_in_one_part(whole: tuple[Path, Plan]) -> None:
    for of in (1, 2, 5, 6, 7, 30):
        parts = [array.shards_of(whole[1], part, of) for part in range(1, of + 1)]
        assert [shard for part in parts for shard in part] == whole[1].in_turn()
    for wrong in ("", "0/4", "5/4", "1", "a/b", "1/0", "-1/3"):
        with pytest.raises(InputError, match="no part of the form"):
            run.part_of(wrong)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_run_that_is_asked_to_end_has_not_failed(whole: tuple[Path, Plan], tmp_path: Path, number: int,
                                                   monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    from respine.cli.signals import preemptible

    compute, calls = shards.compute, []

    def asked(*args: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            os.kill(os.getpid(), number)
        return compute(*args)

    monkeypatch.setattr(shards, "compute", asked)
    out = tmp_path / "run"
    with pytest.raises(run.Stopped) as stopped, preemptible():
        run.execute(whole[1], out)
    assert stopped.value.signal == number and stopped.value.finished == 2
    assert signal.getsignal(number) == signal.SIG_DFL
    assert [line["event"] for line in log.read(out)][-1] == "stopped"
    monkeypatch.setattr(shards, "compute", compute)
    run.execute(whole[1], out, resume=True, threads=2)
    assert _bytes(out) == _bytes(whole[0])


def test_the_cores_are_those_this_process_may_use(tmp_path: Path) -> None:
    if hasattr(os, "sched_getaffinity"):
        code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\nfrom respine.run import machine\nprint(machine.cores())"
        assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "1\n"
    own = tmp_path / "cgroup"
    own.write_text("0::/batch/job\n")
    (tmp_path / "batch" / "job").mkdir(parents=True)
    assert machine._quota(tmp_path, own) is None
    (tmp_path / "batch" / "cpu.max").write_text("150000 100000\n")
    (tmp_path / "batch" / "job" / "cpu.max").write_text("max 100000\n")
    assert machine._quota(tmp_path, own) == 1.5
    own.write_text("3:cpu,cpuacct:/x\n")
    (tmp_path / "cpu" / "x").mkdir(parents=True)
    (tmp_path / "cpu" / "x" / "cpu.cfs_quota_us").write_text("400000")
    (tmp_path / "cpu" / "x" / "cpu.cfs_period_us").write_text("100000")
    assert machine._quota(tmp_path, own) == 4.0

"""`respine run` from the outside: what stands on stdout, on stderr and in the folder."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from respine.cli.app import app

COLUMNS = ["study", "arm", "endpoint", "time_h", "median", "p05", "p95", "published", "inside", "role"]


def respine(folder: Path, *words: str) -> Result:
    """The command in this process, which knows its own code by now: a second process would read it anew."""
    with contextlib.chdir(folder):
        return CliRunner().invoke(app, words, prog_name="respine")


def alone(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    command = [sys.executable, "-m", "respine.cli", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Result]]:
    folder = tmp_path_factory.mktemp("cli-run")
    yield folder, respine(folder, "run", "murrough-2013", "--subjects", "40", "--out", "here")


def test_the_terminal(first: tuple[Path, Result]) -> None:
    _, done = first
    assert done.exit_code == 0, done.stderr
    assert done.stderr == ""  # no progress where there is no terminal, no warning of any library
    lines = done.stdout.splitlines()
    assert lines[0].startswith("murrough-2013  2 arms x 40 people, 7 d, ")
    assert any(line.split()[:4] == ["MADRS", "change", "24", "h"] and "ketamine" in line for line in lines)
    header = next(line for line in lines if line.split()[:2] == ["endpoint", "arm"])
    assert all(column in header for column in ("predicted (median)", "unit", "published", "inside", "role"))
    assert "4 draws of the uncertain parameters are too few for an interval" in " ".join(done.stdout.split())
    assert lines[-2].split() == ["report", str(Path("here") / "report.html")]
    assert lines[-1].strip() == "Research software. Not advice for any person."
    assert max(map(len, lines)) < 250


def test_the_report_is_there_and_offline(first: tuple[Path, Result]) -> None:
    folder, _ = first
    text = (folder / "here" / "report.html").read_text(encoding="utf-8")
    assert "Ketamine in plasma" in text and "MADRS, change from baseline" in text
    assert "<script" not in text and "@import" not in text and 'src="' not in text


def test_a_finished_run_is_shown_again_and_not_run_again(first: tuple[Path, Result]) -> None:
    folder, done = first
    before = {p.name: p.stat().st_mtime_ns for p in (folder / "here").iterdir() if p.suffix == ".parquet"}
    again = respine(folder, "run", "murrough-2013", "--subjects", "40", "--out", "here")
    assert again.exit_code == 0, again.stderr
    assert "holds this run already, finished; nothing is simulated again" in again.stdout
    assert again.stdout.splitlines()[1:] == done.stdout.splitlines()[1:]
    assert before == {p.name: p.stat().st_mtime_ns for p in (folder / "here").iterdir() if p.suffix == ".parquet"}


def test_json_is_pure(first: tuple[Path, Result]) -> None:
    folder, _ = first
    done = respine(folder, "run", "murrough-2013", "--subjects", "40", "--out", "here", "--json")
    rows = json.loads(done.stdout)
    assert len(rows) >= 6
    for row in rows:
        assert list(row)[: len(COLUMNS)] == COLUMNS
        assert row["p05"] <= row["median"] <= row["p95"]
        if row["published"] is not None:
            assert row["inside"] is (row["p05"] <= row["published"] <= row["p95"])
            assert row["role"] in {"fit", "validate", "context"}
    assert "people, rating noise and parameter uncertainty together" in rows[0]["note"]
    assert "Research software" in done.stderr


def test_quiet(first: tuple[Path, Result]) -> None:
    folder, _ = first
    done = respine(folder, "run", "murrough-2013", "--subjects", "40", "--out", "here", "--quiet")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")


def test_another_run_is_never_written_over(first: tuple[Path, Result]) -> None:
    folder, _ = first
    done = respine(folder, "run", "murrough-2013", "--subjects", "41", "--out", "here")
    assert done.exit_code == 2
    assert "--out" in done.stderr and "nothing was run" in done.stderr


def test_a_place_that_is_a_file(first: tuple[Path, Result]) -> None:
    folder, _ = first
    (folder / "file").write_text("mine")
    done = respine(folder, "run", "murrough-2013", "--subjects", "40", "--out", "file")
    assert done.exit_code == 2 and "Traceback" not in done.stderr
    assert (folder / "file").read_text() == "mine"


def test_the_default_folder_is_named_after_the_run(tmp_path: Path) -> None:
    done = alone(tmp_path, "run", "murrough-2013", "--subjects", "8", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")  # no library warns either
    (made,) = (tmp_path / "runs").iterdir()
    assert made.name.startswith("murrough-2013-") and len(made.name) == len("murrough-2013-") + 4


def test_a_rodent_protocol(tmp_path: Path) -> None:
    done = respine(tmp_path, "run", "stress-ketamine-li-2011", "--subjects", "20", "--out", "r")
    assert done.exit_code == 0, done.stderr
    assert "rats" in (tmp_path / "r" / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_stopped_and_resumed_gives_the_same_bits(tmp_path: Path) -> None:
    words = ["run", "murrough-2013", "--subjects", "4000", "--quiet"]
    command = [sys.executable, "-m", "respine.cli", *words, "--out", "stopped"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    shards = tmp_path / "stopped" / "shards"
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline and not (shards.is_dir() and any(shards.iterdir())):
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=120)
    assert process.returncode == 130, told
    assert "--resume" in told and "Traceback" not in told
    assert alone(tmp_path, *words, "--out", "stopped", "--resume").returncode == 0
    assert alone(tmp_path, *words, "--out", "whole").returncode == 0
    for name in ("visits", "doses", "subjects", "endpoints", "chain"):
        file = f"{name}.parquet"
        assert (tmp_path / "stopped" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes(), name

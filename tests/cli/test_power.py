"""`respine power`: tables, JSON, files, and mistakes of the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from respine.protocol import resolve
from tests.run.tiny import tiny_system
from tests.trial.replicates.conftest import TEXT

from .conftest import Respine


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A study file, solved in a small system."""
    (tmp_path / "trial.yaml").write_text(TEXT)
    monkeypatch.setattr(
        "respine.trial.power.compute.resolve", lambda study, library=None: resolve(study, system=tiny_system())
    )
    return "trial.yaml"


def test_power_prints_both_numbers_and_writes_its_files(respine: Respine, study: str, tmp_path: Path) -> None:
    told = respine("power", study, "--n", "10", "--replicates", "50", "--dropout", "drug=10%,saline=20%", "--threads", "1",
                   "--cost", "person=1000", "-o", "p.csv", "--figure", "p.svg")  # fmt: skip
    assert told.exit_code == 0, told.output
    for words in (
        "drug against saline",
        "assurance",
        "+/-",
        "n an arm for power of 80 %",
        "within a draw",
        "expected cost",
    ):
        assert words in told.stdout
    assert "assurance" in (tmp_path / "p.csv").read_text() and "<svg" in (tmp_path / "p.svg").read_text()


def test_json_is_pure(respine: Respine, study: str) -> None:
    told = respine("power", study, "--n", "10", "--replicates", "50", "--visit", "all", "--threads", "1", "--json")
    rows = json.loads(told.stdout)["power"]
    assert [row["visit_h"] for row in rows] == [24, 96, 168, 336] and {row["n"] for row in rows} == {10}


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--dropout", "120%"), "More people would leave"),
        (("--dropout", "10%", "--dropout", "20%"), "--dropout"),
        (("--cost", "person"), "person=25000"),
        (("--n", "9-12"), "--n"),
        (("--budget", "soon"), "--budget"),
    ],
)
def test_mistakes_name_the_flag(respine: Respine, study: str, words: tuple[str, ...], why: str) -> None:
    told = respine("power", study, "--replicates", "50", *words)
    assert told.exit_code == 2 and why in told.output

"""`respine compare`: two runs from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from respine import simulate

from .conftest import Respine


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from respine import load_study

    folder = tmp_path_factory.mktemp("two runs")
    study = load_study("murrough-2013").replace(subjects=20)
    simulate(study, folder / "full")
    simulate(study.set("arms.ketamine.doses[0].amount", "0.25 mg/kg"), folder / "half")
    return folder


def test_what_differs(respine: Respine, runs: Path) -> None:
    done = respine("compare", runs / "full", runs / "half", "--plot", "MADRS", "--plot", "circuit")
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[1].split() == ["arms.ketamine.doses[0].amount", "0.5", "mg/kg", "0.25", "mg/kg"]
    row = next(line for line in lines if line.startswith("MADRS change 24 h") and " ketamine " in line)
    assert "+" in row and row.endswith("points")  # half the dose, less fall
    same = next(line for line in lines if line.startswith("MADRS change 24 h") and " midazolam " in line)
    assert same.split()[-3] in ("0", "0.0")  # the same people, the same dose
    figure = runs / "half" / "compared-with-full.svg"
    assert figure.read_text(encoding="utf-8").count("circuit") == 0 and figure.stat().st_size > 5000


def test_as_json_and_into_a_file(respine: Respine, runs: Path, tmp_path: Path) -> None:
    done = respine("compare", runs / "full", runs / "half", "--json", "--out", "both.png")
    answer = json.loads(done.stdout)
    assert [row["field"] for row in answer["changed"]] == ["arms.ketamine.doses[0].amount"]
    assert answer["figure"] == "both.png" and (tmp_path / "both.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_beside_itself(respine: Respine, runs: Path, tmp_path: Path) -> None:
    done = respine("compare", runs / "full", runs / "full", "--out", "same.pdf")
    assert done.exit_code == 0 and "Both runs were asked the same." in done.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("full", "absent"), "manifest"),
        (("full", "half", "--plot", "MADR"), 'Did you mean "MADRS"'),
        (("full", "half", "--out", "x.doc"), "Write one of .svg"),
    ],
)
def test_mistakes(respine: Respine, runs: Path, words: tuple[str, ...], told: str) -> None:
    done = respine("compare", *(str(runs / word) if word in ("full", "half", "absent") else word for word in words))
    assert done.exit_code == 2 and told in done.stderr and "Traceback" not in done.stderr

"""`respine trials`: answers, a table to analyse, figures, going on, and mistakes."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from respine.protocol import resolve
from tests.run.tiny import tiny_system
from tests.trial.replicates.conftest import TEXT

from .conftest import Respine

DROPOUT = "behaviour: {dropout: {by: random, share: 30 %, until: 14 d}}\n"


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A study file, solved in a small system."""
    (tmp_path / "trial.yaml").write_text(TEXT + DROPOUT)
    for place in ("respine.protocol.resolve", "respine.run.trials.resolve"):
        monkeypatch.setattr(place, lambda study, library=None: resolve(study, system=tiny_system()))
    return "trial.yaml"


def test_trials_answer_and_write_what_is_asked(respine: Respine, study: str, tmp_path: Path) -> None:
    told = respine("trials", study, "--replicates", "30", "--n", "12", "-o", "t", "--table", "3", "--items", "MADRS",
                   "--figure", "responses", "--figure", "forest", "--figure", "dropout", "--figure", "belief", "--visit", "all",
                   "--boundary", "OF")  # fmt: skip
    assert told.exit_code == 0, told.output
    with (tmp_path / "t" / "answers.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == 30 * 4 and {row["analysis"] for row in rows} == {"mmrm"}
    with (tmp_path / "t" / "trial-3.csv").open() as lines:
        table = list(csv.DictReader(lines))
    assert len(table) == 24 * 4
    for row in table:
        items = [row[name] for name in list(row)[-10:]]
        assert row["score"] == "" or sum(map(float, items)) == float(row["score"])
    for name in ("responses", "forest", "dropout", "belief"):
        assert "<svg" in (tmp_path / "t" / f"{name}.svg").read_text()
    plan = ("schema: respine/analysis/1\n"
            "data: {subject: subject, arm: arm, reference: saline, visit: visit_d, outcome: change, baseline: baseline}\n"
            "analyses: [{name: main, method: mmrm, visits: 14}]\n")  # fmt: skip
    (tmp_path / "plan.yaml").write_text(plan)
    analysed = respine("analyze", "t/trial-3.csv", "--plan", "plan.yaml", "-o", "found.csv")
    assert analysed.exit_code == 0, analysed.output
    with (tmp_path / "found.csv").open() as lines:
        one = next(row for row in csv.DictReader(lines) if row["quantity"] == "difference")
    same = next(row for row in rows if row["trial"] == "3" and float(row["visit_h"]) == 336)
    assert float(one["estimate"]) == pytest.approx(float(same["estimate"]), rel=1e-6)


def test_it_goes_on_and_prints_pure_json(respine: Respine, study: str) -> None:
    words = [
        "trials",
        study,
        "--n",
        "12",
        "-o",
        "t",
        "--json",
        "--boundary",
        "asP",
        "--looks",
        "0.5,1",
        "--enlarge",
        "1.5",
    ]
    first = respine(*words, "--replicates", "10")
    assert first.exit_code == 0, first.output
    again = respine(*words, "--replicates", "10", "--resume")
    assert json.loads(first.stdout) == json.loads(again.stdout)
    more = json.loads(respine(*words, "--replicates", "30", "--resume").stdout)
    assert more["trials"] == 30 and more["looks"][0]["most_people"] <= 24


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        (("--n", "many"), "--n"),
        (("--figure", "respnses"), "--figure"),
        (("--figure", "relapse"), "--figure"),
        (("--table", "99"), "--table"),
        (("--looks", "0.05,1", "--boundary", "OF"), "--looks"),
        (("--enlarge", "2", "--boundary", "OF", "--looks", "3"), "--enlarge"),
        (("--against", "placebo"), "--against"),
        (("--budget", "soon"), "--budget"),
        (("--estimand", "composite"), "--estimand"),
    ],
)
def test_mistakes_name_the_flag(respine: Respine, study: str, words: tuple[str, ...], flag: str) -> None:
    more = "  discontinuation: {by: random, share: 50 %, until: 14 d}\n"
    Path(study).write_text(TEXT + "behaviour:\n" + more if "composite" in words else Path(study).read_text())
    told = respine("trials", study, "--replicates", "2", "--n", "20", "-o", "t", *words)
    assert told.exit_code == 2 and flag in told.output

"""`respine credibility`: bad input is told before any work, JSON is pure, Ctrl-C leaves no page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from respine import credibility
from respine.cli.app import app
from respine.credibility import Assessment, Options, Work, page


def respine(*words: object) -> Result:
    return CliRunner().invoke(app, ["credibility", *map(str, words)], prog_name="respine")


@pytest.fixture
def ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: Assessment) -> Path:
    """An empty folder, and findings that are there already."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(credibility, "plan", lambda options: Work(options, (), ()))
    monkeypatch.setattr(credibility, "assess", lambda planned, progress: small)
    monkeypatch.setattr(page, "html", lambda _: page.MARK)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--out", "report.pdf"), ".html"),
        (("--out", "."), "--out"),
        (("--out", "nowhere/report.html"), "does not exist"),
        (("--qualification", "none.json"), "respine qualify"),
    ],
)
def test_bad_input_ends_with_2_before_any_work(
    words: tuple[str, ...], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(credibility, "assess", lambda *_: pytest.fail("work was done"))
    result = respine(*words)
    assert result.exit_code == 2, result.output
    assert told in result.stderr and "Traceback" not in result.output and list(tmp_path.iterdir()) == []


def test_json_is_pure_and_the_page_is_there(ready: Path) -> None:
    result = respine("--quick", "--json")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert {"question", "criteria", "facts", "calibrated", "by_role", "effects", "failing"} <= set(answer)
    assert answer["facts"]["failing"] == ["A2"] and "criterion" in result.stderr
    assert (ready / "respine-credibility.html").is_file()


def test_ctrl_c_leaves_no_page(ready: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object) -> Assessment:
        raise KeyboardInterrupt

    monkeypatch.setattr(credibility, "assess", stopped)
    result = respine()
    assert result.exit_code == 130 and "no page was written" in result.stderr and list(ready.iterdir()) == []


def test_a_plan_says_what_it_costs(own_cache: Path) -> None:
    quick = credibility.plan(Options(quick=True, subjects=33))
    assert len(quick.left_out) > 20 and "left out" in str(quick) and "parameter vectors" in str(quick)
    assert not [piece for piece in quick.pieces if piece.call.endswith(":rows_of")]
    assert quick.seconds < 120

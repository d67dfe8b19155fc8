"""`respine qualify`: exit codes and the last line."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from respine.cli.app import app
from tests.qualify.test_sbml import case
from tests.qualify.test_stiff import LINEAR, folder


def run(*words: str):
    return CliRunner().invoke(app, ["qualify", *map(str, words)])


def test_pass_fail_and_bad_input(tmp_path):
    good, bad = tmp_path / "good", tmp_path / "bad"
    case(good, "00001")
    case(bad, "00001")
    case(bad, "00002", 5.0)
    result = run("sbml", good)
    assert result.exit_code == 0 and result.output.splitlines()[-1] == "1/1 pass"
    assert any(line.split() == ["Reaction", "1/1"] for line in result.output.splitlines())
    result = run("sbml", bad)
    assert result.exit_code == 1 and result.output.splitlines()[-1] == "1/2 pass"
    assert "00002" in result.output and "00001" not in result.output  # what passes is listed only with --all
    for words in (("sbml", tmp_path / "absent"), ("stiff", tmp_path / "absent"), ("models", good)):
        assert run(*words).exit_code == 2


def test_json(tmp_path):
    result = run("stiff", folder(tmp_path, linear=LINEAR), "--json")
    answer = json.loads(result.output)
    assert result.exit_code == 0 and answer["passed"] == answer["bound"] == 1
    assert answer["cases"][0]["case"] == "linear" and answer["cases"][0]["outcome"] == "pass"

"""respine fit and respine data check."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from respine.cli.app import app
from tests.fit.population import toy
from tests.fit.population.test_problem import written

runner = CliRunner()


def test_fit_prints_tables_and_json(tmp_path):
    path = written(tmp_path)
    out = runner.invoke(app, ["fit", str(path), "--out", str(tmp_path / "fit"), "--quiet"])
    assert out.exit_code == 0, out.output
    assert "converged" in out.output and "TVCL" in out.output and (tmp_path / "fit" / "estimates.csv").exists()
    out = runner.invoke(app, ["fit", str(path), "--maxeval", "0", "--json"])
    told = json.loads(out.stdout)
    assert out.exit_code == 0 and told["method"] == "focei" and told["findings"] == []
    assert told["estimates"][0]["estimate"] == 4.0
    assert (
        json.loads(runner.invoke(app, ["fit", str(path), "--maxeval", "0", "--json", "--method", "foce"]).stdout)[
            "objective"
        ]
        != told["objective"]
    )
    errors = json.loads(runner.invoke(app, ["fit", str(path), "--maxeval", "0", "--covariance", "--json"]).stdout)
    assert errors["standard_errors"]["kind"] == "sandwich"


def test_a_fit_that_is_no_answer_ends_with_one(tmp_path):
    from tests.fit.population.test_problem import FILE

    text = FILE.replace("TVCL: {start: 4, lower: 0}", "TVCL: {start: 2, lower: 0}\n  twin: {start: 2, lower: 0}")
    path = written(tmp_path, text.replace("CL: TVCL*", "CL: TVCL*twin*"))
    out = runner.invoke(app, ["fit", str(path), "--quiet"])
    assert out.exit_code == 1 and "unidentifiable" in out.output and "NO ANSWER" in out.output


def test_mistakes_end_with_two(tmp_path):
    out = runner.invoke(app, ["fit", str(written(tmp_path)), "--method", "focus"])
    assert out.exit_code == 2
    out = runner.invoke(app, ["fit", str(tmp_path / "nothing.yaml")])
    assert out.exit_code == 2


def test_before_and_after_a_fit(tmp_path):
    path = written(tmp_path)
    told = json.loads(runner.invoke(app, ["fit", str(path), "--information", "--people", "3", "--json"]).stdout)
    assert told["people"] == 3 * 30 and all(row["se"] > 0 for row in told["expected"])
    design = runner.invoke(app, ["fit", str(path), "--information", "--samples", "3"])
    assert design.exit_code == 0 and "of the D-criterion of all candidates" in design.output
    out = runner.invoke(
        app, ["fit", str(path), "--profile", "--bootstrap", "3", "--out", str(tmp_path / "o"), "--quiet"]
    )
    assert out.exit_code == 0 and "by likelihood profiles" in out.output and "bootstrap" in out.output
    assert len((tmp_path / "o" / "replicates.csv").read_text().splitlines()) == 4
    assert len((tmp_path / "o" / "profile.csv").read_text().splitlines()) == 6


def test_draws_of_a_posterior(tmp_path):
    path, folder = written(tmp_path), tmp_path / "draws"
    words = [
        "fit",
        str(path),
        "--method",
        "nuts",
        "--draws",
        "8",
        "--tune",
        "8",
        "--chains",
        "2",
        "--out",
        str(folder),
        "--json",
    ]
    out = runner.invoke(app, words)
    told = json.loads(out.stdout)
    assert out.exit_code == 1 and not told["answer"] and {f["kind"] for f in told["findings"]} >= {"few-draws"}
    assert len((folder / "draws.csv").read_text().splitlines()) == 17 and told["priors"][0]["parameters"] == "TVCL"
    assert json.loads(runner.invoke(app, words).stdout)["summary"] == told["summary"]


@pytest.mark.parametrize("as_json", [False, True])
def test_data_check(tmp_path, as_json):
    toy.data(3).to_csv(tmp_path / "good.csv", index=False, na_rep=".")
    (tmp_path / "bad.csv").write_text("ID,TIME,DV\n1,0,x\n1,2,1\n1,1,1\n")
    extra = ["--json"] if as_json else []
    good = runner.invoke(app, ["data", "check", str(tmp_path / "good.csv"), *extra])
    bad = runner.invoke(app, ["data", "check", str(tmp_path / "bad.csv"), *extra])
    assert good.exit_code == 0 and bad.exit_code == 1
    if as_json:
        assert json.loads(good.stdout)["counts"]["subjects"] == 3
        assert [v["lines"] for v in json.loads(bad.stdout)["violations"]] == [[2], [4]]
    else:
        assert "0 errors" in good.output and "line 2" in bad.output and "line 4" in bad.output
    renamed = runner.invoke(app, ["data", "check", str(tmp_path / "good.csv"), "--column", "DV=WT"])
    assert renamed.exit_code == 0

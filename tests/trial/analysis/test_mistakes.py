"""Bad tables and bad plans: all mistakes at once, each with its place, its rows and what to write."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from respine.cli.app import app
from respine.errors import InputError
from respine.trial.analysis import analyze
from respine.trial.analysis.plan import load
from tests.trial.analysis.test_analyze import DATA, HEAD, trial

MMRM = "analyses:\n  - {name: main, method: mmrm}\n"


def mistakes(tmp_path: Path, table: pd.DataFrame | str, plan: str) -> list[str]:
    """The problems, as they are printed."""
    text = table if isinstance(table, str) else table.to_csv(index=False)
    (tmp_path / "t.csv").write_text(text)
    (tmp_path / "p.yaml").write_text(HEAD + plan)
    with pytest.raises(InputError) as trouble:
        analyze(tmp_path / "t.csv", tmp_path / "p.yaml")
    assert "nothing was run" in str(trouble.value)
    return [str(problem).replace(str(tmp_path) + "/", "") for problem in trouble.value.problems]


def test_every_mistake_of_a_table_at_once_with_its_rows(tmp_path: Path) -> None:
    table = trial().astype({"score": object, "base": object})
    table.loc[4, "score"] = "twelve"
    table.loc[7, "score"] = 88
    table.loc[10, "base"] = -3
    table = pd.concat([table, table.iloc[[3, 12]]])
    table.iloc[20, table.columns.get_loc("arm")] = "ketamine" if table.iloc[20]["arm"] == "placebo" else "placebo"
    told = "\n".join(mistakes(tmp_path, table, DATA + MMRM))
    assert 't.csv:6  score: "twelve"' in told and "no number" in told
    assert 't.csv:9  score: "88"' in told and "0 to 60, the range of MADRS" in told
    assert 't.csv:12  base: "-3"' in told
    assert "lines 182, 183" in told and "already in line 5" in told
    assert "a patient has one arm" in told
    assert "a patient has one base" in told


def test_many_rows_are_counted_not_all_listed(tmp_path: Path) -> None:
    table = trial()
    table["score"] = 99.0
    told = mistakes(tmp_path, table, DATA + MMRM)
    assert len(told) == 1
    assert "and 172 more" in told[0]


def test_columns_that_are_not_there(tmp_path: Path) -> None:
    plan = DATA.replace("score", "scor") + (
        "analyses:\n  - {name: a, method: mmrm, covariates: [sexx, sex*agee]}\n"
        "  - {name: b, method: cox, time: days, event: event}\n  - {name: c, method: ancova, visits: [4, 9]}\n"
    )
    told = "\n".join(mistakes(tmp_path, trial(), plan))
    assert 'p.yaml:2  data.outcome: "scor"' in told and 'Did you mean "score"' in told
    assert 'p.yaml:4  analyses[0].covariates: "sexx"' in told and 'Did you mean "sex"' in told
    assert '"agee"' in told
    assert 'p.yaml:5  analyses[1].time: "days"' in told


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (DATA + "analyses:\n  - {name: a, method: mmrn}\n", 'Did you mean "mmrm"'),
        (DATA + "analyses:\n  - {name: a}\n", 'The field "method" is missing'),
        (DATA + "analyses: []\n", "There is nothing here"),
        (DATA + "analyses:\n  - {name: a, method: mmrm, covariance: unstructerd}\n", 'Did you mean "unstructured"'),
        (DATA + "analyses:\n  - {name: a, method: mmrm, df: kenward-rodger}\n", 'Did you mean "kenward-roger'),
        (DATA + "analyses:\n  - {name: a, method: mmrm, colour: red}\n", 'There is no field "colour"'),
        (DATA + "analyses:\n  - {name: a, method: mmrm, estimand: x}\n", "No estimand has this name"),
        (DATA + "analyses:\n  - {name: a, method: mmrm}\n  - {name: a, method: clda}\n", "used twice"),
        (DATA + "analyses:\n  - {name: a, method: mmrm, covariance: sp_exp}\n", "needs to know distances"),
        (DATA + "analyses:\n  - {name: a, method: mmrm, coordinates: [site]}\n", "for spatial structures"),
        (DATA + "analyses:\n  - {name: a, method: mmrm, estimation: ML}\n", "Kenward-Roger is defined for REML"),
        (DATA + "analyses:\n  - {name: a, method: mmrm, weights: event}\n", "not above 0"),
        (DATA + "analyses:\n  - {name: a, method: mmrm, covariance_for_each: site}\n", 'Write "factors: [site]"'),
        (DATA + "analyses:\n  - {name: a, method: ancova, visits: 9}\n", "No row of the table is of visit 9"),
        (DATA + "analyses:\n  - {name: a, method: responders, response: {}}\n", "one rule"),
        (DATA + "analyses:\n  - {name: a, method: responders, response: {fall: 50, at_most: 10}}\n", "one rule"),
        (DATA + "analyses:\n  - {name: a, method: imputation, strategy: guess}\n", "not known here"),
        (DATA + "analyses:\n  - {name: a, method: imputation, strategy: retrieved-dropout}\n", "Without an estimand"),
        (DATA + "analyses:\n  - {name: a, method: imputation, strategy: copy-reference, covariates: [stop]}\n", "changes within"),
        (
            DATA + "analyses:\n  - {name: a, method: imputation, strategy: copy-reference, "
            "tipping_point: {arm: drug, limit: 5}}\n",
            "No patient is in this arm",
        ),
        (DATA.replace("placebo", "placbo") + MMRM, 'Did you mean "placebo"'),
        (DATA.replace("scale: MADRS", "scale: MADR") + MMRM, "no scale of this name"),
        (DATA.replace("week,", "week, visits: [1, 2],") + MMRM, "does not know this visit"),
        (DATA.replace("visit: week, ", "") + MMRM, "more than one row"),
        (DATA.replace("outcome: score, ", "") + MMRM, "needs a score"),
        (DATA.replace("base: base", "base: base") + "alpha: 2\n" + MMRM, "alpha"),
        (DATA + "estimands:\n  - {name: e, events: [{event: s, column: stop, strategy: ignore}]}\n" + MMRM, "not known here"),
        ("subject: id\n" + MMRM, 'There is no field "subject"'),
    ],
)  # fmt: skip
def test_a_mistake_of_a_plan_is_told(tmp_path: Path, plan: str, words: str) -> None:
    assert words in "\n".join(mistakes(tmp_path, trial(), plan))


REFUSED = [
    ("principal-stratum", "{name: a, method: mmrm, estimand: e}", "no analysis here identifies it"),
    ("composite", "{name: a, method: mmrm, estimand: e}", "method: responders"),
    ("composite", "{name: a, method: imputation, strategy: copy-reference, estimand: e}", "method: responders"),
    ("while-on-treatment", "{name: a, method: clda, estimand: e}", "method: ancova"),
    ("while-on-treatment", "{name: a, method: cox, time: time, event: event, estimand: e}", "no score to treat"),
    ("hypothetical", "{name: a, method: ancova, estimand: e}", "method: mmrm"),
    ("hypothetical", "{name: a, method: responders, response: {fall: 50}, estimand: e}", "strategy: composite"),
    ("hypothetical", "{name: a, method: imputation, strategy: jump-to-reference, estimand: e}", "a treatment policy"),
    (
        "treatment-policy",
        "{name: a, method: imputation, strategy: missing-at-random, estimand: e}",
        "a hypothetical strategy",
    ),
    ("treatment-policy", "{name: a, method: mmrm, estimand: e}", "no score after the event is in the table"),
    (
        "hypothetical",
        "{name: a, method: log-rank, time: time, event: event, estimand: e}",
        "Name the column of its time",
    ),
    (
        "treatment-policy",
        "{name: a, method: imputation, strategy: retrieved-dropout, estimand: e}",
        "too few to learn from",
    ),
]


@pytest.mark.parametrize(("strategy", "entry", "words"), REFUSED)
def test_an_estimand_the_analysis_cannot_serve_is_refused(
    tmp_path: Path, strategy: str, entry: str, words: str
) -> None:
    event = f"{{event: stopping, column: stop, strategy: {strategy}}}"
    plan = f"{DATA}estimands:\n  - {{name: e, events: [{event}]}}\nanalyses:\n  - {entry}\n"
    told = "\n".join(mistakes(tmp_path, trial(), plan))
    assert words in told
    assert "p.yaml:6" in told


def test_an_event_that_unhappens_and_one_that_is_no_flag(tmp_path: Path) -> None:
    plan = DATA + (
        "estimands:\n  - {name: e, events: [{event: stopping, column: stop, strategy: hypothetical}]}\n"
        "analyses:\n  - {name: a, method: mmrm, estimand: e}\n"
    )
    table = trial()
    table.loc[:2, "stop"] = [1, 0, 0]
    assert "Write 1 in every row from the event on" in mistakes(tmp_path, table, plan)[0]
    table.loc[:2, "stop"] = [0, 0, 3]
    assert "Write 0 or 1" in mistakes(tmp_path, table, plan)[0]


def test_a_covariance_that_cannot_be_estimated_says_what_was_tried(tmp_path: Path) -> None:
    """Six patients at eight visits: the matrix is singular."""
    table = trial(n=6, lost=0.0)
    rng = np.random.default_rng(1)
    more = [
        row | {"week": week, "score": float(rng.integers(0, 60))}
        for row in table.query("week == 1").to_dict("records")
        for week in (6, 8, 10, 12, 14)
    ]
    plan = DATA + "analyses:\n  - {name: a, method: mmrm, covariance: un, model: [arm, visit]}\n"
    told = mistakes(tmp_path, pd.concat([table, pd.DataFrame(more)]), plan)
    assert (
        "No covariance of the visits could be estimated. Tried unstructured: the estimated covariance matrix is singular"
        in told[0]
    )
    assert 'Write "covariance: [unstructured, heterogeneous-toeplitz, heterogeneous-ar1, ar1]"' in told[0]


def test_numbers_with_a_few_texts_are_not_taken_for_labels(tmp_path: Path) -> None:
    table = trial().astype({"site": object})
    table.loc[5, "site"] = "n/k"
    told = mistakes(tmp_path, table, DATA + "analyses:\n  - {name: a, method: ancova, covariates: [site]}\n")
    assert 't.csv:7  site: "n/k"' in told[0] and 'write "factors: [site]"' in told[0]
    plan = (
        DATA.replace("{subject", "{factors: [site], subject")
        + "analyses:\n  - {name: a, method: ancova, covariates: [site], visits: 4}\n"
    )
    (tmp_path / "p.yaml").write_text(HEAD + plan)
    assert analyze(tmp_path / "t.csv", tmp_path / "p.yaml").answers[0].rows


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("id,arm,week,score,base\n", "no row"),
        ("id,arm,week,score,base,base\np1,placebo,1,3,4,5\n", "Two columns"),
        ("id,arm,week,score,base\np1,placebo,1,3\n", "4 cells, the header 5"),
        ('id,arm,week,score,base\np1,placebo,1,"3,4\n', "quotes"),
        ("id,arm,week,score,base\n,placebo,1,3,4\np2,ketamine,1,,4\n", "The cell is empty"),
        ("id,arm,week,score,base\np1,placebo,1,1e999,4\np2,ketamine,1,3,4\n", "no number"),
        ("id,arm,week,score,base\np1,placebo,1,,30\np2,ketamine,1,,31\n", "No row with a score"),
    ],
)
def test_damaged_tables(tmp_path: Path, text: str, words: str) -> None:
    assert words in "\n".join(mistakes(tmp_path, text, DATA + MMRM))


def test_files_that_are_not_there_and_both_mistakes_together(tmp_path: Path) -> None:
    plan = tmp_path / "p.yaml"
    plan.write_text(HEAD + DATA + "analyses:\n  - {name: a, method: nothing}\n")
    with pytest.raises(InputError) as trouble:
        analyze(tmp_path / "none.csv", plan)
    assert len(trouble.value.problems) == 2
    bad = tmp_path / "bad.parquet"
    bad.write_bytes(b"PAR1 no parquet")
    for file in (bad, tmp_path):
        done = CliRunner().invoke(app, ["analyze", str(file), "--plan", str(plan)])
        assert done.exit_code == 2
        assert "Traceback" not in done.stderr


def test_a_formula_is_read_and_never_run(tmp_path: Path) -> None:
    plan = DATA + "analyses:\n  - {name: a, method: mmrm, model: ['__import__(\"os\").abort()']}\n"
    assert "no column of this name" in mistakes(tmp_path, trial(), plan)[0]


def test_a_missing_package_is_named_with_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "statsmodels.stats.proportion", None)
    plan = DATA + "analyses:\n  - {name: a, method: responders, response: {fall: 50}}\n"
    assert "pip install 'respine[stats]'" in mistakes(tmp_path, trial(), plan)[0]


def test_a_plan_is_read_with_its_aliases(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(
        HEAD + DATA + "analyses:\n  - {name: a, method: mmrm, covariance: [UN, ARH(1)], df: KR, visits: 4}\n"
    )
    part = load(file).parts[0]
    assert part.covariance == ("unstructured", "heterogeneous-ar1")  # type: ignore[attr-defined]
    assert part.df == "kenward-roger"  # type: ignore[attr-defined]
    assert part.visits == ("4",)  # type: ignore[attr-defined]

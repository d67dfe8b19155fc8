"""Plans carried out on small tables with known answers, from file to result."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from typer.testing import CliRunner

from respine.cli.app import app
from respine.trial.analysis import Results, Row, analyze
from respine.trial.analysis.rates import score_interval

HEAD = "schema: respine/analysis/1\n"
DATA = "data: {subject: id, arm: arm, reference: placebo, visit: week, outcome: score, baseline: base, scale: MADRS}\n"


def trial(seed: int = 1, n: int = 60, lost: float = 0.25) -> pd.DataFrame:
    """Two arms, three visits, dropouts, a discontinuation column, a time and an event for each patient."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        arm = ("placebo", "ketamine")[i % 2]
        base = float(np.clip(np.round(rng.normal(32, 4)), 20, 45))
        level = rng.normal(0, 4)
        stop = int(rng.integers(1, 3)) if rng.random() < lost else 9
        time, event = float(np.round(rng.exponential(8 if i % 2 else 4), 1)) + 0.1, int(rng.random() < 0.8)
        for v, week in enumerate((1, 2, 4)):
            score = base - (3 + 2 * v) * (1 + (i % 2)) + level + rng.normal(0, 3)
            rows.append({
                "id": f"p{i:03d}", "arm": arm, "week": week, "base": base, "sex": "f" if i % 3 else "m", "stop": int(v >= stop),
                "score": float(np.clip(np.round(score), 0, 60)) if v < stop else np.nan, "time": time, "event": event,
                "site": i % 4,
            })  # fmt: skip
    return pd.DataFrame(rows)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    table = tmp_path / "trial.csv"
    trial().to_csv(table, index=False)
    return table, tmp_path / "plan.yaml"


def carried_out(files: tuple[Path, Path], analyses: str, data: str = DATA, more: str = "") -> Results:
    files[1].write_text(HEAD + data + more + "analyses:\n" + analyses)
    return analyze(*files)


def rows(results: Results, index: int = 0) -> dict[tuple[str, str, str], Row]:
    return {(r.quantity, r.group, r.visit): r for r in results.answers[index].rows}


def test_ancova_is_least_squares(files: tuple[Path, Path]) -> None:
    table = rows(carried_out(files, "  - {name: a, method: ancova, visits: 4, covariates: [sex]}\n"))
    last = trial().query("week == 4").dropna(subset=["score"])
    x = np.column_stack([np.ones(len(last)), last["arm"] == "ketamine", last["base"], last["sex"] == "m"]).astype(float)
    beta, rss, *_ = np.linalg.lstsq(x, last["score"].to_numpy(), rcond=None)
    se = np.sqrt(rss[0] / (len(last) - 4) * np.linalg.inv(x.T @ x)[1, 1])
    row = table["difference", "ketamine - placebo", "4"]
    assert (row.estimate, row.se, row.df) == pytest.approx((beta[1], se, len(last) - 4))
    robust = rows(carried_out(files, "  - {name: a, method: ancova, visits: 4, covariates: [sex], robust: true}\n"))
    residual = last["score"].to_numpy() - x @ beta
    bread = np.linalg.inv(x.T @ x)
    leverage = np.einsum("ij,jk,ik->i", x, bread, x)
    hc3 = bread @ (x.T @ (x * ((residual / (1 - leverage)) ** 2)[:, None])) @ bread
    assert robust["difference", "ketamine - placebo", "4"].se == pytest.approx(np.sqrt(hc3[1, 1]))


def test_mmrm_clda_and_their_agreement(files: tuple[Path, Path]) -> None:
    """cLDA is more precise than no adjustment and close to MMRM adjusted for the baseline."""
    results = carried_out(
        files,
        "  - {name: m, method: mmrm}\n  - {name: c, method: clda}\n"
        "  - {name: plain, method: mmrm, model: [arm*visit], report: [differences, overall]}\n",
    )
    key = ("difference", "ketamine - placebo", "4")
    adjusted, clda, plain = (rows(results, i)[key] for i in range(3))
    assert clda.estimate == pytest.approx(adjusted.estimate, abs=0.35 * adjusted.se)
    assert clda.se == pytest.approx(adjusted.se, rel=0.08)
    assert plain.se > clda.se
    overall = rows(results, 2)["difference", "ketamine - placebo", "all visits"]
    assert overall.estimate == pytest.approx(
        np.mean([rows(results, 2)["difference", "ketamine - placebo", v].estimate for v in "124"])
    )
    assert results.answers[1].facts["patients"] == 60


def test_clda_with_complete_data_has_the_textbook_estimate(tmp_path: Path) -> None:
    """One visit after the baseline, nobody lost: the difference adjusted by the pooled slope (Liang and Zeger 2000)."""
    table = trial(lost=0.0).query("week == 1")
    table.to_csv(tmp_path / "t.csv", index=False)
    fitted = rows(
        carried_out(
            (tmp_path / "t.csv", tmp_path / "p.yaml"),
            "  - {name: c, method: clda, estimation: ML, df: satterthwaite}\n",
        )
    )
    base, score, arm = table["base"].to_numpy(), table["score"].to_numpy(), (table["arm"] == "ketamine").to_numpy()
    x = np.column_stack([np.ones(60), arm, base]).astype(float)
    beta = np.linalg.lstsq(x, score, rcond=None)[0]
    assert fitted["difference", "ketamine - placebo", "1"].estimate == pytest.approx(beta[1], rel=1e-6)


def test_wilcoxon_and_the_hodges_lehmann_shift(files: tuple[Path, Path]) -> None:
    row = rows(carried_out(files, "  - {name: w, method: wilcoxon, visits: 4}\n"))[
        "shift (Hodges-Lehmann)", "ketamine - placebo", "4"
    ]
    last = trial().query("week == 4").dropna(subset=["score"])
    a, b = (last.loc[last["arm"] == arm, "score"].to_numpy() for arm in ("ketamine", "placebo"))
    assert row.p == pytest.approx(stats.mannwhitneyu(a, b).pvalue)
    assert row.estimate == np.median(np.subtract.outer(a, b))
    assert row.lower < row.estimate < row.upper


def two_by_two(tmp_path: Path, counts: dict[str, tuple[int, int]], extra: str = "") -> Results:
    rows_ = [
        {"id": f"{arm}{i}", "arm": arm, "yes": int(i < x)} for arm, (x, n) in counts.items() for i in range(n)
    ]  # fmt: skip
    pd.DataFrame(rows_).to_csv(tmp_path / "t.csv", index=False)
    plan = "data: {subject: id, arm: arm, reference: control}\n"
    entry = f"  - {{name: r, method: responders, response: {{column: 'yes'}}{extra}}}\n"
    return carried_out((tmp_path / "t.csv", tmp_path / "p.yaml"), entry, plan)


@pytest.mark.parametrize(
    ("interval", "low", "high"),
    [("newcombe", 0.0524, 0.3339), ("wald", 0.0575, 0.3425), ("score", 0.0528, 0.3382)],
)
def test_risk_difference_of_newcombe_1998(tmp_path: Path, interval: str, low: float, high: float) -> None:
    """56 of 70 against 48 of 80 (Newcombe 1998, table II, methods 10, 1 and 5: Miettinen-Nurminen)."""
    table = rows(two_by_two(tmp_path, {"control": (48, 80), "drug": (56, 70)}, f", interval: {interval}"))
    row = table["risk difference", "drug - control", "only"]
    assert (row.estimate, row.lower, row.upper) == pytest.approx((0.2, low, high), abs=1.1e-4)
    assert table["risk ratio", "drug - control", "only"].estimate == pytest.approx(0.8 / 0.6)
    assert table["odds ratio", "drug - control", "only"].estimate == pytest.approx(56 * 32 / (14 * 48))
    assert table["odds ratio", "drug - control", "only"].p == pytest.approx(
        stats.chi2_contingency([[56, 14], [48, 32]], correction=False)[1]
    )


def test_score_intervals_invert_the_score_test() -> None:
    for x1, n1, x2, n2 in ((56, 70, 48, 80), (9, 10, 3, 10), (0, 20, 5, 25), (20, 20, 11, 30)):
        low, high = score_interval(x1, n1, x2, n2, 0.95)
        assert low < x1 / n1 - x2 / n2 < high or x1 in (0, n1)
        wide = score_interval(x1, n1, x2, n2, 0.99)
        assert wide[0] <= low and high <= wide[1]
    low, high = score_interval(15, 15, 19, 21, 0.95, risk_ratio=True)
    assert low < 15 * 21 / (15 * 19) < high
    # Koopman 1984 without the factor n / (n - 1): 36/40 against 16/80 gives 2.94 to 7.15
    assert score_interval(36, 40, 16, 80, 0.95, risk_ratio=True) == pytest.approx((2.94, 7.15), abs=0.05)


def test_an_arm_without_response_has_no_ratio(tmp_path: Path) -> None:
    table = rows(two_by_two(tmp_path, {"control": (0, 20), "drug": (6, 20)}))
    assert np.isnan(table["risk ratio", "drug - control", "only"].estimate)
    assert table["risk difference", "drug - control", "only"].estimate == pytest.approx(0.3)


def test_responders_by_fall_from_baseline(files: tuple[Path, Path]) -> None:
    plan = "  - {name: r, method: responders, response: {fall: 30}, visits: 4, strata: [sex], covariates: [sex]}\n"
    table = rows(carried_out(files, plan))
    last = trial().query("week == 4")
    responds = (last["base"] - last["score"]) >= 0.3 * last["base"]
    for arm in ("placebo", "ketamine"):
        assert table["share", arm, "4"].estimate == pytest.approx(responds[last["arm"] == arm].mean())
    crude = table["risk difference", "ketamine - placebo", "4"].estimate
    assert table["risk difference, standardised", "ketamine - placebo", "4"].estimate == pytest.approx(crude, abs=0.06)
    assert table["odds ratio, stratified", "ketamine - placebo", "4"].p < 0.5
    observed = rows(
        carried_out(files, "  - {name: r, method: responders, response: {fall: 30}, missing: observed, visits: 4}\n")
    )
    assert observed["share", "placebo", "4"].n == int(last.loc[last["arm"] == "placebo", "score"].notna().sum())


LEUKAEMIA = {  # weeks in remission (Freireich 1963), + censored
    "6-MP": "6 6 6 6+ 7 9+ 10 10+ 11+ 13 16 17+ 19+ 20+ 22 23 25+ 32+ 32+ 34+ 35+",
    "placebo": "1 1 2 2 3 4 4 5 5 8 8 8 8 11 11 12 12 15 17 22 23",
}


def test_times_of_the_leukaemia_trial(tmp_path: Path) -> None:
    """R's survival package: chi-squared 16.79; Cox 1.572 (SE 0.412, Efron), 1.509 (0.410, Breslow); medians 23 and 8."""
    table = [
        {"id": f"{arm}{i}", "arm": arm, "weeks": float(text.rstrip("+")), "relapse": int("+" not in text)}
        for arm, texts in LEUKAEMIA.items()
        for i, text in enumerate(texts.split())
    ]
    pd.DataFrame(table).to_csv(tmp_path / "t.csv", index=False)
    plan = (
        "  - {name: km, method: kaplan-meier, time: weeks, event: relapse, at: [10, 40]}\n"
        "  - {name: lr, method: log-rank, time: weeks, event: relapse}\n"
        "  - {name: efron, method: cox, time: weeks, event: relapse}\n"
        "  - {name: breslow, method: cox, time: weeks, event: relapse, ties: breslow}\n"
    )
    results = carried_out(
        (tmp_path / "t.csv", tmp_path / "p.yaml"), plan, "data: {subject: id, arm: arm, reference: 6-MP}\n"
    )
    curve = rows(results, 0)
    assert curve["median time", "6-MP", ""].estimate == 23
    assert curve["median time", "placebo", ""].estimate == 8
    at10 = curve["survival at 10", "6-MP", ""]
    assert (at10.estimate, at10.se) == pytest.approx((0.7529, 0.0963), abs=1e-4)
    assert "beyond" in curve["survival at 40", "6-MP", ""].note
    test = results.answers[1].rows[0]
    assert test.statistic == pytest.approx(16.79, abs=0.005)
    assert test.p == pytest.approx(4.17e-5, rel=0.01)
    for index, log, se in ((2, 1.572, 0.412), (3, 1.509, 0.410)):
        row = results.answers[index].rows[0]
        assert (np.log(row.estimate), row.se) == pytest.approx((log, se), abs=6e-4)


def test_estimands_change_what_is_analysed(files: tuple[Path, Path]) -> None:
    table = trial()
    rng = np.random.default_rng(5)
    after = table["stop"] == 1
    keep = after & (rng.random(len(table)) < 0.7)
    table.loc[keep, "score"] = np.clip(table.loc[keep, "base"] - 1, 0, 60)  # scores after stopping, hardly any better
    table.to_csv(files[0], index=False)
    more = (
        "estimands:\n"
        "  - {name: policy, events: [{event: stopping, column: stop, strategy: treatment-policy}]}\n"
        "  - {name: if-taken, events: [{event: stopping, column: stop, strategy: hypothetical}]}\n"
        "  - {name: failure, events: [{event: stopping, column: stop, strategy: composite}]}\n"
        "  - {name: while, events: [{event: stopping, column: stop, strategy: while-on-treatment}]}\n"
    )
    plan = (
        "  - {name: a, method: mmrm, estimand: policy}\n  - {name: b, method: mmrm, estimand: if-taken}\n"
        "  - {name: c, method: responders, estimand: failure, response: {fall: 25}}\n"
        "  - {name: d, method: ancova, estimand: while}\n"
        "  - {name: e, method: imputation, strategy: retrieved-dropout, estimand: policy, imputations: 60}\n"
        "  - {name: f, method: wilcoxon, estimand: failure}\n"
    )
    results = carried_out(files, plan, more=more)
    key = ("difference", "ketamine - placebo", "4")
    policy, taken = rows(results, 0)[key], rows(results, 1)[key]
    assert policy.estimate > taken.estimate  # those who stopped are worse off, more of their scores count
    assert results.answers[0].facts["observations"] > results.answers[1].facts["observations"]
    stopped = set(table.loc[after, "id"])
    counted = rows(results, 2)["share", "ketamine", "4"]
    treated = table.query("week == 4 and arm == 'ketamine'")
    responds = ((treated["base"] - treated["score"]) >= 0.25 * treated["base"]) & ~treated["id"].isin(stopped)
    assert counted.estimate == pytest.approx(responds.mean())
    assert rows(results, 3)["difference", "ketamine - placebo", "4"].n == 60  # nobody misses the last visit then
    retrieved = rows(results, 4)[key]
    assert retrieved.estimate == pytest.approx(policy.estimate, abs=1.5 * policy.se)
    assert "after the event" in " ".join(results.answers[4].notes)


def test_delta_by_visit_and_results_as_files(files: tuple[Path, Path], tmp_path: Path) -> None:
    plan = (
        "  - {name: none, method: imputation, strategy: jump-to-reference, imputations: 10}\n"
        "  - {name: worse, method: imputation, strategy: jump-to-reference, imputations: 10, "
        "delta: {add: 3, arm: ketamine, each_visit: true}}\n"
    )
    results = carried_out(files, plan)
    key = ("difference", "ketamine - placebo", "4")
    missing = trial().query("week == 4 and arm == 'ketamine'")
    steps = trial().query("arm == 'ketamine'").groupby("id")["stop"].sum()
    moved = rows(results, 1)[key].estimate - rows(results, 0)[key].estimate
    assert moved == pytest.approx(3 * steps.sum() / len(missing), abs=0.15)  # the baseline takes part of it
    out = tmp_path / "out.csv"
    done = CliRunner().invoke(app, ["analyze", str(files[0]), "--plan", str(files[1]), "--json", "-o", str(out)])
    assert done.exit_code == 0, done.stderr
    shown = json.loads(done.stdout)
    assert shown["analyses"][0]["rows"][0]["quantity"] == "mean"
    written = pd.read_csv(out)
    assert len(written) == sum(len(a.rows) for a in results.answers)
    assert set(written["analysis"]) == {"none", "worse"}


def test_parquet_and_csv_agree_and_the_terminal_shows_a_table(files: tuple[Path, Path], tmp_path: Path) -> None:
    parquet = tmp_path / "trial.parquet"
    trial().to_parquet(parquet)
    plan = "  - {name: main, method: mmrm, df: satterthwaite, covariance: toeph}\n"
    a = carried_out(files, plan)
    b = carried_out((parquet, files[1]), plan)
    assert a.answers[0].rows == b.answers[0].rows
    done = CliRunner().invoke(app, ["analyze", str(parquet), "--plan", str(files[1])])
    assert done.exit_code == 0, done.stderr
    assert "main (mmrm)" in done.stdout
    assert "covariance heterogeneous-toeplitz (SAS TOEPH)" in done.stdout
    assert "ketamine - placebo" in done.stdout


def test_visits_are_in_the_order_of_their_numbers_or_of_the_plan(files: tuple[Path, Path]) -> None:
    table = trial()
    table["week"] = "Week " + table["week"].replace(4, 12).astype(str)
    table.sample(frac=1, random_state=1).to_csv(files[0], index=False)
    results = carried_out(files, "  - {name: m, method: mmrm, covariance: ar1, df: satterthwaite}\n")
    assert list(dict.fromkeys(r.visit for r in results.answers[0].rows)) == ["Week 1", "Week 2", "Week 12"]
    data = DATA.replace("visit: week", "visit: week, visits: [Week 12, Week 1, Week 2]")
    other = carried_out(files, "  - {name: m, method: mmrm, covariance: ar1, df: satterthwaite}\n", data)
    assert list(dict.fromkeys(r.visit for r in other.answers[0].rows)) == ["Week 12", "Week 1", "Week 2"]
    assert other.answers[0].facts["log_likelihood"] != results.answers[0].facts["log_likelihood"]


def test_a_fallback_is_said(files: tuple[Path, Path]) -> None:
    table = trial(n=12, lost=0.6)
    table.loc[table["week"] == 4, "score"] = np.nan
    first = table.index[(table["week"] == 4)][:2]
    table.loc[first, "score"] = [30.0, 22.0]
    table.to_csv(files[0], index=False)
    results = carried_out(
        files, "  - {name: m, method: mmrm, covariance: [un, cs], model: [arm, visit], df: satterthwaite}\n"
    )
    assert results.answers[0].facts["covariance"] in ("unstructured", "compound-symmetry")
    if results.answers[0].facts["covariance"] == "compound-symmetry":
        assert any("unstructured could not be estimated" in note for note in results.answers[0].notes)


def test_the_plan_of_the_docs_runs(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "docs" / "analysis.md").read_text(encoding="utf-8")
    plan = text.split("```yaml\n")[1].split("```")[0]
    (tmp_path / "plan.yaml").write_text(plan)
    table = trial().rename(
        columns={"id": "PATIENT", "arm": "THERAPY", "week": "VISIT", "base": "BASVAL", "stop": "STOPPED"}
    )
    table["THERAPY"] = table["THERAPY"].map({"ketamine": "DRUG", "placebo": "PLACEBO"})
    table["VISIT"] = table["VISIT"].map({1: 5, 2: 6, 4: 7})
    table["HAMDTL17"] = np.minimum(table["score"], 52)
    table.to_csv(tmp_path / "trial.csv", index=False)
    results = analyze(tmp_path / "trial.csv", tmp_path / "plan.yaml")
    assert [a.estimand for a in results.answers] == ["if-taken", "treatment-policy", ""]

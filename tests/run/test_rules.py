"""Rules in a run: the same as fixed doses where they amount to that, replayed from the ledger, the same bytes always."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from respine import run, trial
from respine.files.constants import SAME_MOMENT_H
from respine.model.expression import num, sym
from respine.model.system import System
from respine.protocol import Decisions
from respine.protocol.stages import solve_in_stages
from respine.run import shards
from tests.run.tiny import tiny_system
from tests.trial.stand_ins import small_study

HEAD = """
schema: respine/study/1
name: small
title: A small study
population: mdd-treatment-resistant
subjects: 24
seed: 5
arms:
  a: {control: {kind: open-label}, doses: DOSES}
  b: {control: {kind: none}}
visits: [0 h, 4 h, 3 d, 7 d]
observe: [MADRS, CADSS, SBP]
record: [symptom, plasma_ketamine]
endpoints: [{name: change, of: MADRS, kind: change, at: 7 d}]
"""
DRUG = "drug: ketamine, route: iv, amount: 0.5 mg/kg, over: 40 min"
ALWAYS = "{name: always, arms: a, when: {visit: daily}, then: {dose: {" + DRUG + "}}, limit: {total: 3}}"
NEVER = "{name: never, arms: a, when: {visit: daily, scale: MADRS, above: 60}, then: {dose: {" + DRUG + "}}}"
NEEDED = [
    "{name: needed, arms: a, when: {visit: daily, scale: MADRS, above: 20, and: {last-dose: {longer-ago-than: 47 h}}}, "
    "then: {dose: {" + DRUG + "}}, limit: {per-week: 3}}",
    "{name: hold, when: {scale: SBP, above: 130}, then: {hold: needed, for: 1 d}}",
    "{name: switch, arms: [a], when: {visit: 3 d, scale: MADRS, change-less-than: 60 %}, then: {stop: needed, start: {"
    + DRUG.replace("40 min", "30 h") + ", every: 36 h, times: 4}}}",
]  # fmt: skip
TABLES = ("visits", "doses", "decisions", "endpoints", "chain", "failures", "subjects")


def planned(folder: Path, *rules: str, doses: str = "[]", shard: int = 24, system: System | None = None) -> run.Plan:
    text = HEAD.replace("DOSES", doses)
    text += "rules:\n" + "".join(f"  - {rule}\n" for rule in rules) if rules else ""
    return run.plan(small_study(folder, text), system=system or tiny_system(), shard=shard, threads=1)


def solved(plan: run.Plan, arm: str = "a", people: range = range(24)):
    """Trajectories of an arm as a run solves them, and the doses that rules gave."""
    chosen, who = plan.protocol.arm(arm), plan.people_of(arm, people)
    if not chosen.rules:
        return chosen.solve(who, plan.outputs, plan.times, vary=plan.vary, threads=1), None
    decisions = Decisions(chosen, who)
    scores = trial.InterimScores(chosen, who, decisions.times, decisions.scales())
    solution = solve_in_stages(chosen, who, plan.outputs, plan.times, scores, decisions, vary=plan.vary, threads=1)
    return solution, decisions


def in_one_go(plan: run.Plan, arm: str, people: range, given):
    """The same people with the doses that rules gave as fixed doses, without stages: the check of a ledger."""
    chosen, who = plan.protocol.arm(arm), plan.people_of(arm, people)
    schedule = chosen.schedule(who, given=given)
    return chosen.solve(who, plan.outputs, plan.times, vary=plan.vary, schedule=schedule, threads=1)


def alike(first, other, tolerance: float = 1e-4) -> None:
    """The same trajectories at the times both keep, to the tolerance of the solver."""
    times = np.intersect1d(first.times, other.times)
    assert len(times) > 50 and first.outputs == other.outputs
    a, b = (s.values[:, np.isin(s.times, times)] for s in (first, other))
    size = np.maximum(np.abs(b).max(axis=(0, 1)), 1e-6)
    assert np.isfinite(a).all() and np.abs((a - b) / size).max() < tolerance


def test_a_rule_that_never_acts_changes_nothing(tmp_path: Path) -> None:
    (never, work), (without, _) = solved(planned(tmp_path, NEVER)), solved(planned(tmp_path))
    alike(never, without)
    assert not work.given and len(work.table()) == 0


@pytest.mark.parametrize("over", ["40 min", "0 min", "30 h"])  # 30 h: it still runs at the next decision
def test_a_rule_that_always_acts_is_a_fixed_dose(tmp_path: Path, over: str) -> None:
    rule = ALWAYS.replace("40 min", over).replace("visit: daily", "visit: daily, last-dose: {longer-ago-than: 47 h}")
    fixed = "[{" + DRUG.replace("40 min", over) + ", at: [0 d, 2 d, 4 d]}]"
    ruled, without = planned(tmp_path, rule), planned(tmp_path, doses=fixed)
    alike(solved(ruled)[0], solved(without)[0])
    a, b = run.execute(ruled, tmp_path / "a"), run.execute(without, tmp_path / "b")
    doses = [pd.read_parquet(result.folder / "doses.parquet").drop(columns="why") for result in (a, b)]
    pd.testing.assert_frame_equal(*doses)
    visits = [pd.read_parquet(result.folder / "visits.parquet") for result in (a, b)]
    kept = [table[(table["arm"] == "a") & table["scale"].isin(["MADRS", "SBP"])] for table in visits]
    np.testing.assert_allclose(kept[0]["true_value"], kept[1]["true_value"], atol=0.02)
    assert np.mean(kept[0]["value"].to_numpy() == kept[1]["value"].to_numpy()) > 0.98  # a step where rounding differs


def test_a_drug_that_holds_an_input_is_a_fixed_dose_too(tmp_path: Path) -> None:
    tiny = tiny_system()
    relieved = ("sub", tiny.rates["symptom"], ("mul", num(0.02), ("mul", sym("cytokine_block"), sym("symptom"))))
    system = dataclasses.replace(
        tiny, inputs={**tiny.inputs, "cytokine_block": 0.0}, rates={**tiny.rates, "symptom": relieved}
    )
    drug = "drug: celecoxib, route: oral, amount: 200 mg"  # holds its input for 24 h, until the next decision exactly
    for rule, at in (("visit: daily", "[0 d, 1 d, 2 d]"), ("visit: daily, last-dose: {longer-ago-than: 47 h}", "[0 d, 2 d, 4 d]"),
                     ("visit: 4 h", "[4 h]")):  # fmt: skip
        ruled = ALWAYS.replace("visit: daily", rule).replace(DRUG, drug)
        fixed = planned(tmp_path, doses=f"[{{{drug}, at: {at}}}]", system=system)
        alike(solved(planned(tmp_path, ruled, system=system))[0], solved(fixed)[0])


@pytest.fixture(scope="module")
def needed(tmp_path_factory: pytest.TempPathFactory) -> tuple[run.Plan, run.Results]:
    folder = tmp_path_factory.mktemp("needed")
    plan = planned(folder, *NEEDED, shard=10)
    return plan, run.execute(plan, folder / "run")


def test_a_frozen_replay_of_the_ledger_gives_the_same_path(
    needed: tuple[run.Plan, run.Results], tmp_path: Path
) -> None:
    plan, _ = needed
    solution, work = solved(plan)
    assert {dose.rule for dose in work.given} == {"needed", "switch"}
    who = plan.people_of("a", range(24))
    alike(in_one_go(plan, "a", range(24), work.given), solution)
    # and as a study of fixed doses, written for one person after the other
    ledger = plan.protocol.arm("a").ledger(who, work.given)
    for person in (0, 7, 23):
        rows = ledger[ledger["subject"] == person]
        listed = [
            "{" + DRUG.replace("40 min", over) + f", at: [{', '.join(f'{t:g} h' for t in rows['time_h'][rows['why'] == why])}]}}"
            for why, over in (("rule needed", "40 min"), ("rule switch", "30 h")) if (rows["why"] == why).any()
        ]  # fmt: skip
        fixed = planned(tmp_path, doses=f"[{', '.join(listed)}]")
        alone, _ = solved(fixed, people=range(person, person + 1))
        alike(dataclasses.replace(solution, values=solution.values[person : person + 1]), alone)


def test_every_decision_is_kept_with_what_was_seen(needed: tuple[run.Plan, run.Results]) -> None:
    _, results = needed
    rows, doses = (pd.read_parquet(results.paths[name]) for name in ("decisions", "doses"))
    visits = pd.read_parquet(results.paths["visits"])
    assert set(rows["rule"]) == {"needed", "hold", "switch"} and set(rows["outcome"]) == {"done", "refused"}
    gave = rows[(rows["rule"] == "needed") & (rows["outcome"] == "done")]
    given = doses[doses["why"] == "rule needed"]
    assert sorted(zip(gave["subject"], gave["time_h"])) == sorted(zip(given["subject"], given["time_h"]))  # noqa: B905
    assert (gave["value"] > 20).all()
    merged = rows.merge(visits, on=["subject", "arm", "time_h", "scale"], suffixes=("", "_kept"))
    assert len(merged) > 20 and (merged["value"] == merged["value_kept"]).all()  # a decision at a visit sees the visit
    counted = results.details["decisions"]
    assert counted["a"]["needed"]["done"] == len(gave) and set(counted["b"]) == {"hold"}
    assert not any("never acted" in warning for warning in results.warnings)


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_change_no_byte(needed: tuple[run.Plan, run.Results], tmp_path: Path, threads: int) -> None:
    plan, results = needed
    run.execute(plan, tmp_path / "run", threads=threads)
    for name in TABLES:
        assert (tmp_path / "run" / f"{name}.parquet").read_bytes() == results.paths[name].read_bytes(), name


def test_the_size_of_the_shards_changes_nothing(needed: tuple[run.Plan, run.Results], tmp_path: Path) -> None:
    _, results = needed
    other = run.execute(planned(tmp_path, *NEEDED, shard=24), tmp_path / "run")
    for name in TABLES:
        a, b = (pd.read_parquet(result.paths[name]) for result in (results, other))
        pd.testing.assert_frame_equal(a, b, check_exact=True)


def test_a_killed_run_goes_on_to_the_same_bytes(
    needed: tuple[run.Plan, run.Results], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, results = needed
    compute, calls = shards.compute, []

    def dies(*args, **kwargs):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return compute(*args, **kwargs)

    monkeypatch.setattr(shards, "compute", dies)
    with pytest.raises(run.Stopped):
        run.execute(plan, tmp_path / "run")
    run.execute(plan, tmp_path / "run", resume=True)
    for name in TABLES:
        assert (tmp_path / "run" / f"{name}.parquet").read_bytes() == results.paths[name].read_bytes(), name


def test_a_decision_at_the_last_moment_is_kept(tmp_path: Path) -> None:
    plan = planned(tmp_path, ALWAYS.replace("visit: daily", "visit: 7 d"))
    results = run.execute(plan, tmp_path / "run")
    rows, doses = (pd.read_parquet(results.paths[name]) for name in ("decisions", "doses"))
    assert len(rows) == len(doses) == 24 and set(rows["time_h"]) == set(doses["time_h"]) == {168.0}


def test_the_same_person_decides_alike_in_every_arm(tmp_path: Path) -> None:
    plan = planned(tmp_path, ALWAYS.replace("arms: a, ", ""))
    (a, _), (b, _) = solved(plan, "a"), solved(plan, "b")
    np.testing.assert_array_equal(a.values, b.values)


def test_who_fails_is_named_and_decides_no_more(tmp_path: Path) -> None:
    plan = planned(tmp_path, ALWAYS.replace("total: 3", "total: 5"))
    rates = dict(plan.protocol.system.rates)
    grows = ("mul", num(1e-3), ("mul", sym("drug"), ("mul", sym("symptom"), sym("symptom"))))
    rates["symptom"] = ("add", rates["symptom"], ("mul", ("sub", sym("relief"), num(0.8)), ("mul", num(1e4), grows)))
    system = dataclasses.replace(plan.protocol.system, rates=rates)
    protocol = dataclasses.replace(plan.protocol, system=system)
    results = run.execute(dataclasses.replace(plan, protocol=protocol), tmp_path / "run")
    failed = results.failures
    assert 0 < len(failed) < 24 and (failed["time_h"] >= 0).all() and failed["reason"].str.len().min() > 10
    rows, visits = (pd.read_parquet(results.paths[name]) for name in ("decisions", "visits"))
    last = rows.groupby("subject")["time_h"].max()
    for failure in failed.itertuples():
        assert last[failure.subject] <= failure.time_h + SAME_MOMENT_H
    assert set(failed["subject"]).isdisjoint(visits[visits["arm"] == "a"]["subject"])
    assert (rows[~rows["subject"].isin(failed["subject"])].groupby("subject").size() == 8).all()


def test_a_rule_nobody_meets_is_said(tmp_path: Path) -> None:
    results = run.execute(planned(tmp_path, NEVER), tmp_path / "run")
    assert any("the rule never never acted on anybody" in warning for warning in results.warnings)
    assert run.load(tmp_path / "run").details["decisions"] == {"a": {"never": {"done": 0, "refused": 0}}, "b": {}}


@pytest.mark.slow
def test_the_example_of_the_docs_in_the_human_model(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "studies.md").read_text(encoding="utf-8")
    example = text.split("```yaml\n")[2].split("```")[0]
    plan = run.plan(small_study(tmp_path, example), subjects=16, threads=1)
    results = run.execute(plan, tmp_path / "run")
    assert not len(results.failures) and results.details["decisions"]["as-needed"]["as-needed"]["done"] > 30
    solution, work = solved(plan, "as-needed", range(16))
    # at rtol 1e-5 the symptom of either errs by up to 3e-4 of its size
    alike(in_one_go(plan, "as-needed", range(16), work.given), solution, 5e-4)


def test_an_independent_solver_with_the_ledger_alone_gives_the_same_path(needed: tuple[run.Plan, run.Results]) -> None:
    """The equations written out here, the doses read from the ledger, LSODA from dose to dose: nothing of the engine is used."""
    from scipy.integrate import solve_ivp

    plan, results = needed
    ledger = pd.read_parquet(results.folder / "doses.parquet")
    subjects = pd.read_parquet(results.folder / "subjects.parquet")
    kept = pd.read_parquet(results.folder / "trajectories.parquet")
    kept = kept.loc[kept["arm"] == "a", list(plan.outputs)]
    trajectories = kept.to_numpy().reshape(-1, len(plan.times), len(plan.outputs))
    column = plan.outputs.index("symptom")
    for person in (1, 11, 20):
        row = subjects[(subjects["arm"] == "a") & (subjects["subject"] == person)].iloc[0]
        own = ledger[(ledger["arm"] == "a") & (ledger["subject"] == person)]
        lasts = own["why"].map({"rule needed": 40 / 60, "rule switch": 30.0}).to_numpy()
        begin, rate = own["time_h"].to_numpy(), 0.5 * own["amount_mg"].to_numpy() / lasts

        def slopes(t, y, begin=begin, lasts=lasts, rate=rate, row=row):
            drug = y[0] + y[1]
            effect = drug / (drug + 2.0)
            into = (rate * ((begin <= t) & (t < begin + lasts))).sum()
            target = 1.0 - row["relief"] * y[2]
            return [into - row["k_elimination"] * y[0], into - row["k_elimination"] * y[1], 0.5 * (effect - y[2]),
                    0.05 * (target - y[3])]  # fmt: skip

        times = plan.times
        edges = np.unique(np.concatenate([[-2000.0], begin, begin + lasts, [times[-1]]]))
        edges = edges[edges <= times[-1]]
        y, result = np.zeros(4), np.full(len(times), np.nan)
        for a, b in pairwise(edges):
            inside = (times > a - 1e-9) & (times <= b)
            part = solve_ivp(slopes, (a, b - 1e-9), y, method="LSODA", rtol=1e-8, atol=1e-10,
                             t_eval=np.clip(times[inside], a, b - 1e-9))  # fmt: skip
            result[inside], y = (
                part.y[3],
                part.y[:, -1] if inside.any() and times[inside][-1] == b else _end(slopes, a, b, y),
            )
        np.testing.assert_allclose(trajectories[person, :, column], result, rtol=2e-3)


def _end(slopes, a: float, b: float, y: np.ndarray) -> np.ndarray:
    from scipy.integrate import solve_ivp

    return np.asarray(solve_ivp(slopes, (a, b - 1e-9), y, method="LSODA", rtol=1e-8, atol=1e-10).y[:, -1])


def test_as_needed_for_twelve_weeks_never_passes_its_caps_and_can_be_drawn(tmp_path: Path) -> None:
    from respine import report

    text = HEAD.replace("DOSES", "[]").replace("visits: [0 h, 4 h, 3 d, 7 d]", "visits: [0 h, 14 d, 28 d, 56 d, 84 d]")
    text = text.replace("at: 7 d", "at: 84 d") + (
        "rules:\n"
        "  - {name: morning, arms: a, when: {visit: daily, scale: MADRS, above: 16}, then: {dose: {" + DRUG + "}}, "
        "limit: {per-day: 1, per-week: 3}}\n"
    )
    plan = run.plan(small_study(tmp_path, text), system=tiny_system(), threads=1)
    results = run.execute(plan, tmp_path / "run")
    ledger = pd.read_parquet(results.folder / "doses.parquet")
    assert len(ledger) > 200
    for _, own in ledger.groupby("subject"):
        times = own["time_h"].to_numpy()
        assert all(((times > t - 24 + 1e-6) & (times <= t)).sum() <= 1 for t in times)
        assert all(((times > t - 168 + 1e-6) & (times <= t)).sum() <= 3 for t in times)
    most = int(ledger.groupby("subject").size().idxmax())
    drawing = report.plot_patient(report.read(results.folder, system=tiny_system()), most, "a")
    given = drawing.table[drawing.table["why"] == "rule morning"]
    assert len(given) == (ledger["subject"] == most).sum() and (drawing.table["what"] == "refused: morning").any()
    drawing.save(tmp_path / "patient.svg")


TITRATE = [
    "{name: start, arms: a, when: {visit: 0 h}, then: {start: {drug: esketamine, route: iv, amount: 0.2 mg/kg, every: 84 h, until: 84 d}}}",
    "{name: up, arms: a, when: {visit: 7 d, scale: MADRS, change-less-than: 50 %}, then: {stop: start, "
    "start: {drug: esketamine, route: iv, amount: 0.4 mg/kg, every: 84 h, until: 84 d}}}",
    "{name: weekly, arms: a, when: {on: up, visit: 28 d, scale: MADRS, change-more-than: 10 %}, then: {stop: up, "
    "start: {drug: esketamine, route: iv, amount: 0.4 mg/kg, every: 7 d, until: 84 d}}}",
    "{name: fortnightly, arms: a, when: {on: weekly, visit: 56 d, scale: MADRS, change-more-than: 10 %}, then: {stop: weekly, "
    "start: {drug: esketamine, route: iv, amount: 0.4 mg/kg, every: 14 d, until: 84 d}}}",
    "{name: back, arms: a, when: {on: fortnightly, visit: 70 d, scale: MADRS, change-less-than: 10 %}, then: {stop: fortnightly, "
    "start: {drug: esketamine, route: iv, amount: 0.4 mg/kg, every: 7 d, until: 84 d}}}",
]  # fmt: skip


def test_titration_and_taper_to_the_longest_interval_that_holds(tmp_path: Path) -> None:
    """Steps of dose and interval are courses that end each other: up where there is no response, apart where it holds."""
    text = HEAD.replace("DOSES", "[]").replace(
        "visits: [0 h, 4 h, 3 d, 7 d]", "visits: [0 h, 7 d, 28 d, 56 d, 70 d, 84 d]"
    )
    text = text.replace("at: 7 d", "at: 84 d") + "rules:\n" + "".join(f"  - {rule}\n" for rule in TITRATE)
    plan = run.plan(small_study(tmp_path, text), system=tiny_system(), threads=1)
    _, work = solved(plan)
    ledger = plan.protocol.arm("a").ledger(plan.people_of("a", range(24)), work.given)
    first, second = (
        ledger[ledger["why"] == f"rule {name}"].groupby("subject")["amount_mg"].first() for name in ("start", "up")
    )
    np.testing.assert_allclose(second, 2 * first[second.index])
    raised = set(ledger.loc[ledger["why"] == "rule up", "subject"])
    assert 0 < len(raised) < 25
    for person in raised:
        own = ledger[ledger["subject"] == person]
        for rule, gap in (("rule start", 84), ("rule up", 84), ("rule weekly", 168), ("rule fortnightly", 336)):
            times = own.loc[own["why"] == rule, "time_h"].to_numpy()
            assert (np.diff(times) == gap).all()
        assert own["time_h"].is_monotonic_increasing and (own.groupby("time_h").size() == 1).all()
    fortnightly = set(ledger.loc[ledger["why"] == "rule fortnightly", "subject"])
    assert set(ledger.loc[ledger["why"] == "rule back", "subject"]) <= fortnightly
    assert (ledger["why"] == "rule weekly").any() and (ledger["why"] == "rule fortnightly").any()


@pytest.mark.slow
def test_nasal_use_as_needed_for_twelve_weeks_in_the_human_model(tmp_path: Path) -> None:
    text = HEAD.replace("DOSES", "[]").replace("visits: [0 h, 4 h, 3 d, 7 d]", "visits: [0 h, 28 d, 84 d]")
    text = text.replace("at: 7 d", "at: 84 d").replace("subjects: 24", "subjects: 8") + (
        "rules:\n"
        "  - {name: needed, arms: a, when: {visit: daily, scale: MADRS, above: 14}, "
        "then: {dose: {drug: ketamine, route: nasal, amount: 50 mg}}, limit: {per-day: 1, per-week: 3}}\n"
    )
    plan = run.plan(small_study(tmp_path, text), threads=1)
    solution, work = solved(plan, people=range(8))
    ledger = plan.protocol.arm("a").ledger(plan.people_of("a", range(8)), work.given)
    assert len(ledger) > 60 and (ledger.groupby(["subject", "time_h"]).size() == 1).all()
    for _, own in ledger.groupby("subject"):
        times = own["time_h"].to_numpy()
        assert (np.diff(times) >= 24 - 1e-6).all()
        assert all(((times > t - 168 + 1e-6) & (times <= t)).sum() <= 3 for t in times)
    alike(in_one_go(plan, "a", range(8), work.given), solution, 5e-4)

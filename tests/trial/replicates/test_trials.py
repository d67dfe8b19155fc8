"""Trials by arms, replicates and draws: who keeps which numbers, who is allotted what, what an estimand takes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respine.errors import InputError
from respine.trial.analysis.arrays_mmrm import differences
from respine.trial.replicates import Trials, simulate_trials
from respine.trial.replicates.analyses import ancova, mmrm, remits, responds, shares
from respine.trial.replicates.cohort import Cohort
from respine.trial.replicates.estimands import named, scored
from respine.trial.replicates.randomise import STRIDE, allot, subjects

from .conftest import Make


def by_person(trials: Trials) -> dict[tuple[int, str], np.ndarray]:
    """Everything that was simulated of each person in each arm."""
    return {
        (int(trials.subject[r, i]), trials.arms[trials.arm[r, i]]): np.concatenate(
            [trials.scores["MADRS"][r, i], trials.true["MADRS"][r, i], trials.felt[r, i], trials.belief[r, i],
             [trials.events["dropout"][r, i]]]
        )
        for r in range(len(trials)) for i in range(trials.subject.shape[1])
    }  # fmt: skip


BEHAVIOUR = {"dropout": {"by": "state", "scale": "MADRS", "share": "20 %", "until": "14 d", "at": 25, "ratio": 1.1}}


@pytest.mark.parametrize("change", ["n", "replicates", "order", "arms", "threads", "part"])
def test_a_person_keeps_every_draw(trial: Make, change: str) -> None:
    protocol = trial(behaviour=BEHAVIOUR)
    reference = by_person(simulate_trials(protocol, 3, 8, threads=1))
    other, options = protocol, {"n": 8, "replicates": 3, "threads": 1, "first": 0}
    arms = dict(protocol.study.arms)
    if change == "n":
        options["n"] = 13
    elif change == "replicates":
        options["replicates"] = 5
    elif change == "threads":
        options["threads"] = 2
    elif change == "part":
        options |= {"first": 1, "replicates": 2}
    elif change == "order":
        other = protocol.with_study(arms=dict(reversed(arms.items())))
    else:
        other = protocol.with_study(arms=arms | {"open": arms["saline"].replace(control={"kind": "open-label"})})
    result = by_person(simulate_trials(other, options["replicates"], options["n"], threads=options["threads"],
                                      first=options["first"]))  # fmt: skip
    same = reference.keys() & result.keys()
    assert len(same) >= 12
    for key in same:
        np.testing.assert_array_equal(reference[key], result[key])


def test_a_person_has_one_body_in_every_arm_and_trial_of_any_size(trial: Make) -> None:
    protocol = trial()
    who = np.array([3, 7, STRIDE + 1, 5 * STRIDE + 2])
    first, other = (Cohort(protocol.arm(arm)).people(who, who // STRIDE) for arm in protocol.arms)
    alone = Cohort(protocol.arm("drug")).people(who[2:3], who[2:3] // STRIDE)
    assert first.parameters.equals(other.parameters) and first.covariates.equals(other.covariates)
    assert first.parameters.iloc[2].tolist() == alone.parameters.iloc[0].tolist()


def test_a_trial_has_one_draw_for_its_arms_and_typical_ones_have_none(trial: Make) -> None:
    protocol = trial()
    who = subjects(np.arange(4), 3).ravel()
    relief = Cohort(protocol.arm("drug")).people(who, who // STRIDE).draw
    assert relief.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    typical = Cohort(protocol.arm("drug"), typical=True).people(who, who // STRIDE)
    assert typical.parameters["k_elimination"].median() == pytest.approx(0.3, rel=0.4)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 12), st.integers(0, 1000))
def test_blocks_give_every_trial_its_planned_sizes(a: int, b: int, units: int, seed: int) -> None:
    sizes = [a * units, b * units]
    arms = allot(seed, subjects(np.arange(5), sum(sizes)), sizes)
    assert (sizes == np.stack([(arms == k).sum(axis=1) for k in range(2)]).T).all()


def test_blocks_are_balanced_on_the_way_and_strata_within_themselves() -> None:
    who = subjects(np.arange(20), 60)
    arms = allot(1, who, [30, 30], block=4)
    assert (np.abs(np.cumsum(2 * arms - 1, axis=1)) <= 2).all()
    strata = (np.arange(60) % 3 == 0).astype(int) * np.ones((20, 1), int)
    arms = allot(1, who, [30, 30], block=4, strata=strata)
    for stratum in (0, 1):
        chosen = arms[:, strata[0] == stratum]
        assert (np.abs(np.cumsum(2 * chosen - 1, axis=1)) <= 2).all()
    simple = allot(1, subjects(np.arange(500), 60), [30, 30], method="simple")
    assert simple.mean() == pytest.approx(0.5, abs=0.02) and len(set(simple.sum(axis=1).tolist())) > 5
    with pytest.raises(ValueError, match="ratio"):
        allot(1, who, [20, 40], block=4)


def test_the_study_says_how_people_are_allotted(trial: Make) -> None:
    protocol = trial(trial={"n": {"drug": 20, "saline": 10}, "randomisation": {"strata": ["sex"], "block": 6}})
    trials = simulate_trials(protocol, 10)
    assert trials.strata is not None and trials.subject.shape == (10, 30)
    for row, strata in zip(trials.arm, trials.strata, strict=True):
        for code in np.unique(strata):
            drug = (row[strata == code] == 0).sum()
            assert abs(drug - 2 / 3 * (strata == code).sum()) <= 2
    with pytest.raises(InputError, match="how many people"):
        simulate_trials(trial(), 2)


def test_whole_data_give_the_mixed_model_and_the_covariance_analysis_alike() -> None:
    rng = np.random.default_rng(2)
    y = 30 + 4 * rng.normal(size=(3, 30, 1)) + rng.normal(size=(3, 30, 5)).cumsum(axis=2)
    quick = mmrm(y[:, :15], y[:, 15:], [2, 4])
    for r in range(3):
        arm = np.repeat([1, 0], 15)
        slow = differences(y[r, :, 1:], arm, y[r, :, 0])
        for k, column in enumerate((2, 4)):
            assert quick[k].estimate[r] == pytest.approx(slow.estimate[0, column - 1], rel=1e-6)
            assert quick[k].se[r] == pytest.approx(slow.se[0, column - 1], rel=1e-5)
            assert quick[k].p[r] == pytest.approx(slow.p[0, column - 1], rel=1e-4)


def test_shares_and_failures() -> None:
    values = np.array([[[30.0, 14, 20], [30, 20, 16], [30, np.nan, np.nan], [np.nan, 10, 10]]])
    assert responds(values, 1, 0.5)[0].tolist()[:3] == [1, 0, 0] and np.isnan(responds(values, 1, 0.5)[0, 3])
    failed = np.array([[True, False, False, False]])
    assert responds(values, 1, 0.5, failed)[0, 0] == 0 and remits(values, 1, 15)[0, 0] == 1
    answer = shares(np.array([[1.0] * 30 + [0] * 20]), np.array([[1.0] * 20 + [0] * 30]))
    assert answer.estimate[0] == pytest.approx(0.2) and answer.p[0] == pytest.approx(0.0455, abs=2e-4)  # z = 2 exactly


def test_missing_people_are_left_out_of_the_covariance_analysis() -> None:
    rng = np.random.default_rng(5)
    a, b, base = rng.normal(size=(1, 20)), rng.normal(size=(1, 20)), rng.normal(size=(2, 1, 20))
    a[0, 15:] = np.nan
    short = ancova(a[:, :15], b, base[0][:, :15], base[1])
    holes = ancova(a, b, base[0], base[1])
    assert holes.estimate[0] == pytest.approx(short.estimate[0]) and holes.df[0] == short.df[0]


def test_the_table_of_a_trial_can_be_analysed(trial: Make, tmp_path) -> None:  # type: ignore[no-untyped-def]
    from respine.trial.analysis import analyze

    trials = simulate_trials(trial(behaviour={"dropout": {"by": "random", "share": "30 %", "until": "14 d"}}), 1, 30)
    table = trials.table(0, "MADRS")
    table.to_csv(tmp_path / "t.csv", index=False)
    (tmp_path / "p.yaml").write_text(
        "schema: respine/analysis/1\n"
        "data: {subject: subject, arm: arm, reference: saline, visit: visit_d, outcome: change, baseline: baseline}\n"
        "analyses: [{name: main, method: mmrm, visits: 14}]\n"
    )
    row = next(
        r for r in analyze(tmp_path / "t.csv", tmp_path / "p.yaml").answers[0].rows if r.quantity == "difference"
    )
    y = trials.observed("MADRS")[0]
    there = np.isfinite(y[:, 1:]).any(axis=1)
    quick = differences(y[there, 1:], (trials.arm[0][there] == 0).astype(int), y[there, 0])
    assert row.estimate == pytest.approx(quick.estimate[0, -1], rel=1e-6)


def test_estimands_take_scores_as_their_strategy_says(trial: Make) -> None:
    law = {"by": "random", "share": "50 %", "until": "14 d"}
    trials = simulate_trials(trial(behaviour={"discontinuation": law}), 2, 20)
    stopped = np.isfinite(trials.events["discontinuation"])
    assert 0.3 < stopped.mean() < 0.7
    after = trials.times > trials.events["discontinuation"][..., None]
    policy = scored(trials, "MADRS", named(trials, "treatment-policy"))
    assert np.isfinite(policy.values).all()
    hypothetical = scored(trials, "MADRS", named(trials, "hypothetical"))
    assert np.isnan(hypothetical.values[after]).all() and np.isfinite(hypothetical.values[~after]).all()
    on = scored(trials, "MADRS", named(trials, "while-on-treatment")).values
    r, i = map(int, np.argwhere(stopped)[0])
    last = int(np.flatnonzero(~after[r, i])[-1])
    assert (on[r, i, last:] == policy.values[r, i, last]).all()
    assert (scored(trials, "MADRS", named(trials, "composite")).failed == stopped).all()
    with pytest.raises(InputError, match="no estimand"):
        named(trials, "polcy")


def test_inflated_baselines_look_like_improvement_in_every_arm(trial: Make) -> None:
    plain, inflated = (
        simulate_trials(trial(trial={"n": 200, "screening-inflation": points}), 1, typical=True) for points in (0, 3)
    )
    for k in range(2):
        change = [
            (t.scores["MADRS"][0, :, -1] - t.scores["MADRS"][0, :, 0])[t.arm[0] == k].mean() for t in (plain, inflated)
        ]
        assert change[1] - change[0] == pytest.approx(-3, abs=0.1)  # a few stand at the top of the scale
    np.testing.assert_array_equal(plain.true["MADRS"], inflated.true["MADRS"])

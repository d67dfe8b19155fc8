"""What people do: who leaves when, by which law, and what it does to the answers of completers and of the right estimand."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from respine.errors import InputError
from respine.study import Study
from respine.trial.replicates import simulate_trials
from respine.trial.replicates.cohort import Cohort
from respine.trial.replicates.estimands import named, scored

from .conftest import TEXT, Make

N = 600


def leaving(by: str, **more: object) -> dict[str, object]:
    return {"by": by, "share": "30 %", **({"until": "14 d"} if by != "side-effects" else {}), **more}


def by_score(by: str) -> dict[str, object]:
    return leaving(by, scale="MADRS", at=25, ratio=1.15)


def test_dropout_at_random_takes_the_share_it_says(trial: Make) -> None:
    trials = simulate_trials(trial(behaviour={"dropout": leaving("random")}), 1, N, typical=True)
    gone = trials.events["dropout"][0]
    share = np.isfinite(gone).mean()
    assert share == pytest.approx(0.3, abs=3 * np.sqrt(0.3 * 0.7 / (2 * N)))
    half = (gone <= 7 * 24).mean()  # a constant hazard: 1 - sqrt(0.7) by half the time
    assert half == pytest.approx(1 - np.sqrt(0.7), abs=3 * np.sqrt(0.16 * 0.84 / (2 * N)))
    assert (trials.seen[0].sum(axis=1) < len(trials.times)).mean() == pytest.approx(share)


def test_the_law_by_score_asks_the_last_score_and_the_law_by_state_the_present_one(trial: Make) -> None:
    seen = simulate_trials(trial(behaviour={"dropout": by_score("score")}), 1, N, typical=True)
    state = simulate_trials(trial(behaviour={"dropout": by_score("state")}), 1, N, typical=True)
    rate = -np.log(0.7) / (14 * 24)
    for trials, values in ((seen, seen.scores["MADRS"][0]), (state, state.true["MADRS"][0])):
        hazard = rate * 1.15 ** (values - 25)
        between = hazard[:, :-1] if trials is seen else (hazard[:, 1:] + hazard[:, :-1]) / 2
        stay = np.exp(-(between * np.diff(trials.times)).sum(axis=1))
        gone = np.isfinite(trials.events["dropout"][0])
        assert gone.mean() == pytest.approx(1 - stay.mean(), abs=3.5 * np.sqrt((stay * (1 - stay)).sum()) / (2 * N))


def test_dropout_by_the_state_biases_completers_by_as_much_as_theory_says(trial: Make) -> None:
    """Completers are a sample weighted by the chance to stay, exp(-H): the sick leave, and what is left looks well.

    The drug arm, in which people differ more (some respond, some do not), is flattered more, so that the drug looks better than
    it is. Scores of everybody, as an estimand of treatment policy needs them, are not biased.
    """
    protocol = trial(behaviour={"dropout": by_score("state")})
    trials = simulate_trials(protocol, 4, N, typical=True)
    whole = trials.scores["MADRS"] - trials.scores["MADRS"][:, :, :1]
    kept = np.isfinite(trials.observed("MADRS")[:, :, -1])
    rate = -np.log(0.7) / (14 * 24)
    hazard = rate * 1.15 ** (trials.true["MADRS"] - 25)
    stay = np.exp(-((hazard[..., 1:] + hazard[..., :-1]) / 2 * np.diff(trials.times)).sum(axis=2))
    bias, theory, error = {}, {}, {}
    for code, arm in enumerate(trials.arms):
        of = trials.arm == code
        y, w, k = whole[of][:, -1], stay[of], kept[of]
        bias[arm] = y[k].mean() - y.mean()
        theory[arm] = (w * y).sum() / w.sum() - y.mean()
        error[arm] = y.std() * np.sqrt((1 - w.mean()) / k.sum())
        assert bias[arm] == pytest.approx(theory[arm], abs=4 * error[arm])
    assert theory["drug"] < theory["saline"] < -1
    apart = {name: part["drug"] - part["saline"] for name, part in (("found", bias), ("theory", theory))}
    spread = np.hypot(error["drug"], error["saline"])
    assert apart["theory"] < -0.3 and apart["found"] == pytest.approx(apart["theory"], abs=3 * spread)
    assert apart["found"] < -2 * spread  # beyond chance, in the direction that theory says


def test_who_stops_and_is_followed_leaves_the_policy_estimand_unbiased(trial: Make) -> None:
    law = {"discontinuation": by_score("state")}
    trials = simulate_trials(trial(behaviour=law), 1, N, typical=True)
    policy = scored(trials, "MADRS", named(trials, "treatment-policy")).values
    np.testing.assert_array_equal(policy, trials.scores["MADRS"])
    lost = simulate_trials(trial(behaviour=law | {"follow-up": "50 %"}), 1, N, typical=True)
    stopped = np.isfinite(trials.events["discontinuation"][0])
    gone = np.isfinite(lost.events["dropout"][0])
    assert gone.sum() / stopped.sum() == pytest.approx(0.5, abs=0.12) and not gone[~stopped].any()


def test_who_stops_loses_the_effect_and_nothing_before_it_changes(trial: Make) -> None:
    on = simulate_trials(trial(), 1, 100, typical=True)
    law = {"discontinuation": leaving("random") | {"share": "60 %", "arms": ["drug"]}}
    off = simulate_trials(trial(behaviour=law), 1, 100, typical=True)
    stop = off.events["discontinuation"][0]
    before = off.times <= stop[:, None]
    np.testing.assert_allclose(off.true["MADRS"][0][before], on.true["MADRS"][0][before], rtol=1e-4)
    early = (stop < 84) & (off.arm[0] == 0)
    assert early.sum() > 5
    assert (off.true["MADRS"][0][early, -1] > on.true["MADRS"][0][early, -1]).all()
    assert not np.isfinite(stop[off.arm[0] == 1]).any()


def test_side_effects_drive_out_those_who_feel_them(trial: Make) -> None:
    law = leaving("side-effects", scale="CADSS", above=10) | {"share": "50 %"}
    trials = simulate_trials(trial(behaviour={"dropout": law}), 1, N, typical=True)
    felt = (trials.felt[0] > 10).any(axis=1)
    gone = np.isfinite(trials.events["dropout"][0])
    assert felt.sum() > 50 and not gone[~felt].any()
    assert gone[felt].mean() == pytest.approx(0.5, abs=3.5 * np.sqrt(0.25 / felt.sum()))


def test_missed_doses_and_visits(trial: Make) -> None:
    protocol = trial(behaviour={"missed-doses": "25 %", "missed-visits": "10 %"})
    cohort = Cohort(protocol.arm("drug"), typical=True)
    course = cohort.follow(cohort.people(np.arange(400), np.zeros(400, int)))
    ledger = protocol.arm("drug").ledger(course.people, taken=course.taken)
    doses = ledger.groupby("subject").size()
    assert doses.mean() == pytest.approx(1 + 3 * 0.75, abs=0.15) and (ledger.groupby("time_h").size().iloc[0] == 400)
    assert (~course.seen[:, 1:]).mean() == pytest.approx(0.1, abs=0.025) and course.seen[:, 0].all()


def test_rescue_begins_at_the_visit_that_calls_for_it_and_helps(trial: Make) -> None:
    dose = {"drug": "ketamine", "route": "iv", "amount": "0.5 mg/kg", "over": "40 min", "every": "48 h", "times": 4}
    rescue = {"scale": "MADRS", "above": 28, "from": "4 d", "arms": ["saline"], "dose": dose}
    plain = simulate_trials(trial(), 1, 100, typical=True)
    trials = simulate_trials(trial(behaviour={"rescue": rescue}), 1, 100, typical=True)
    begun = trials.events["rescue"][0]
    called = np.isfinite(begun)
    assert called.sum() > 20 and set(begun[called]) <= {96.0, 168.0, 336.0} and not called[trials.arm[0] == 0].any()
    first = called & (begun == 96.0)
    assert (trials.true["MADRS"][0][first, 3] < plain.true["MADRS"][0][first, 3]).all()
    np.testing.assert_allclose(trials.true["MADRS"][0][first, :3], plain.true["MADRS"][0][first, :3], rtol=1e-5)


def test_relapse_is_seen_in_responders_alone(trial: Make) -> None:
    trials = simulate_trials(trial(behaviour={"relapse": {"scale": "MADRS", "lost": "50 %"}}), 1, 300, typical=True)
    y, when = trials.scores["MADRS"][0], trials.events["relapse"][0]
    best = np.minimum.accumulate(y, axis=1)
    responded = (best[:, :-1] <= 0.5 * y[:, :1]).any(axis=1)
    assert np.isfinite(when).any() and not np.isfinite(when[~responded]).any()


@pytest.mark.parametrize(
    ("behaviour", "why"),
    [
        ("{dropout: {by: random, share: 120 %, until: 14 d}}", "from 0 % to below 100 %"),
        ("{dropout: [{by: random, share: 60 %, until: 14 d}, {by: random, share: 50 %, until: 14 d}]}", "more people leave"),
        ("{dropout: {by: state, share: 20 %, until: 14 d}}", 'needs "scale"'),
        ("{dropout: {by: random, share: 20 %, until: 14 d, ratio: 2}}", "does not use"),
        ("{dropout: {by: state, share: 20 %, until: 14 d, scale: HAMD17, at: 20, ratio: 1.1}}", "does not observe"),
        ("{dropout: {by: state, share: 20 %, until: 14 d, scale: MADRS, at: 90, ratio: 1.1}}", "runs from 0 to 60"),
        ("{dropout: {by: random, share: 20 %, until: 14 d, arms: [sline]}}", "no arm of this name"),
        ("{rescue: {scale: MADRS, above: 28, from: 30 d}}", "after the last visit"),
        ("{relapse: {scale: MADRS}}", "a share of the improvement"),
    ],
)  # fmt: skip
def test_behaviour_that_cannot_be_is_refused(behaviour: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        Study.from_yaml(f"{TEXT}behaviour: {behaviour}\n")


@pytest.mark.parametrize(
    ("form", "why"),
    [
        ("{n: {drug: 20}}", 'how many people the arm "saline"'),
        ("{n: {drg: 20, saline: 3}}", "no arm of this name"),
        ("{design: sequential-parallel, stage: 7 d}", "three arms"),
        ("{design: crossover}", 'needs "period"'),
        ("{period: 7 d}", "belongs to a crossover"),
        ("{randomisation: {method: simple, block: 4}}", "neither blocks nor strata"),
        ("{randomisation: {strata: [sx]}}", "no covariate of this name"),
        ("{estimands: [{name: a}, {name: a}]}", "Two estimands"),
    ],
)
def test_a_trial_that_cannot_be_is_refused(form: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        Study.from_yaml(f"{TEXT}trial: {form}\n")


def test_the_fragments_of_the_docs_are_valid() -> None:
    page = (Path(__file__).parents[3] / "docs" / "design.md").read_text(encoding="utf-8")
    form, behaviour = re.findall(r"^```yaml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    text = TEXT.replace("drug:", "ketamine:").replace("saline:", "midazolam:").replace("arm: saline", "arm: midazolam")
    study = Study.from_yaml(
        text.replace("14 d", "28 d")
        .replace("{ketamine: ketamine", "{drug: ketamine")
        .replace("{midazolam: ", "{saline: ")
        .replace("{ketamine: saline", "{drug: saline")
        + form
        + behaviour
    )
    assert study.trial is not None and study.behaviour is not None and len(study.behaviour.leavings) == 4

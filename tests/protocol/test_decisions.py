"""Rules at work on scores that are written down beforehand: who gets what, when, and why not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from respine import study
from respine.errors import InputError
from respine.protocol import Decisions, Observed
from tests.study.symbols import protocol_of

PRN = "{name: prn, when: {visit: daily, scale: MADRS, above: 20}, then: {dose: {drug: ketamine, route: nasal, amount: 50 mg}}"
HOLD = "{name: pressure, when: {scale: SBP, above: 160 mmHg}, then: {hold: prn, for: 1 d}}"
COURSE = "{drug: ketamine, route: iv, amount: 0.5 mg/kg, every: 3.5 d, times: 3}"


def deciding(
    folder: Path, *rules: str, doses: str = "[]", arm: str = "a", visits: str = "[0 h, 7 d, 14 d]", n: int = 3
):
    file = folder / "one.yaml"
    listed = "".join(f"  - {rule}\n" for rule in rules)
    file.write_text(
        "schema: respine/study/1\nname: one\ntitle: One\npopulation: mdd-treatment-resistant\nsubjects: 9\nseed: 1\n"
        f"arms: {{a: {{doses: {doses}}}, b: {{}}}}\nvisits: {visits}\nobserve: [MADRS, SBP]\nrules:\n{listed}"
    )
    loaded = study.load(file)
    chosen = protocol_of(loaded).arm(arm)
    return Decisions(chosen, chosen.people(range(n)))


def carry_out(work: Decisions, madrs=30.0, sbp=120.0, able=True) -> Decisions:
    """Let every decision time pass; scores are numbers, or functions of (time, person)."""
    n = len(work.subjects)
    for k, time in enumerate(work.times):
        now = {}
        for name, score in (("MADRS", madrs), ("SBP", sbp)):
            values = [score(time, i) if callable(score) else score for i in range(n)]
            now[name] = Observed(np.array(values, float), np.full(n, 40.0 if name == "MADRS" else 120.0))
        here = np.full(n, able) if not callable(able) else np.array([able(time, i) for i in range(n)])
        work.decide(time, now, here)
        work.give_until(time, work.times[k + 1] if k + 1 < len(work.times) else np.inf, here)
    return work


def days(work: Decisions, person: int = 0, rule: str | None = None) -> list[float]:
    times = [dose.time[person] / 24 for dose in work.given if rule in (None, dose.rule)]
    return [float(t) for t in times if np.isfinite(t)]


def test_decision_times_are_those_that_rules_name(tmp_path: Path) -> None:
    def times(*rules: str) -> list[float]:
        return (deciding(tmp_path, *rules, visits="[0 h, 4 h, 7 d, 9.5 d]").times / 24).tolist()

    then = "then: {dose: {drug: ketamine, route: nasal, amount: 50 mg}}}"
    assert times("{name: a, when: {visit: daily}, " + then) == [float(d) for d in range(10)]
    assert times("{name: a, when: {visit: weekly}, " + then) == [0, 7]
    assert times("{name: a, when: {visit: every}, " + then) == pytest.approx([0, 1 / 6, 7, 9.5])
    assert times("{name: a, when: {}, " + then) == pytest.approx([0, 1 / 6, 7, 9.5])
    assert times("{name: a, when: {visit: 9.5 d}, " + then) == [9.5]
    both = times("{name: a, when: {visit: weekly}, " + then, "{name: b, when: {visit: 9.5 d}, then: {stop: a}}")
    assert both == [0, 7, 9.5]


def test_always_and_never(tmp_path: Path) -> None:
    assert days(carry_out(deciding(tmp_path, PRN + "}"))) == [float(d) for d in range(15)]  # day 14 is the last visit
    never = carry_out(deciding(tmp_path, PRN + "}"), madrs=20.0)
    assert not never.given and len(never.table()) == 0


@pytest.mark.parametrize(
    ("limit", "wanted"),
    [
        ("{per-day: 1, per-week: 3}", [0, 1, 2, 7, 8, 9, 14]),
        ("{total: 4}", [0, 1, 2, 3]),
        ("{per-week: 2, total: 5}", [0, 1, 7, 8, 14]),
    ],
)
def test_limits(tmp_path: Path, limit: str, wanted: list[float]) -> None:
    work = carry_out(deciding(tmp_path, PRN + f", limit: {limit}}}"))
    assert days(work) == wanted
    rows = work.table()
    of_person = rows[rows["subject"] == 0]
    assert len(of_person) == 15 and (of_person["outcome"] == "done").sum() == len(wanted)
    refused = of_person[of_person["outcome"] == "refused"]
    assert refused["why"].str.startswith("limit: ").all() and set(refused["seen"]) == {"MADRS 30"}


def test_last_dose_counts_scheduled_doses_too(tmp_path: Path) -> None:
    rule = PRN.replace("above: 20", "above: 20, and: {last-dose: {longer-ago-than: 48 h}}") + "}"
    assert days(carry_out(deciding(tmp_path, rule))) == [0, 3, 6, 9, 12]
    fixed = "[{drug: ketamine, route: iv, amount: 0.5 mg/kg, at: [0 d, 5 d]}]"
    work = carry_out(deciding(tmp_path, rule, doses=fixed))
    assert days(work) == [3, 8, 11, 14]
    assert work.table()["seen"].iloc[0] == "MADRS 30; last dose 72 h ago"
    recent = PRN.replace("above: 20", "above: 20, last-dose: {less-ago-than: 25 h}") + "}"
    assert days(carry_out(deciding(tmp_path, recent, doses=fixed))) == [float(d) for d in range(15)]
    assert days(carry_out(deciding(tmp_path, recent))) == []


def test_a_hold_acts_before_doses_wherever_it_stands(tmp_path: Path) -> None:
    for rules in ((PRN + "}", HOLD), (HOLD, PRN + "}")):
        work = carry_out(deciding(tmp_path, *rules), sbp=lambda t, i: 170 if (t, i) == (48, 1) else 120)
        assert days(work, 0) == [float(d) for d in range(15)]
        assert days(work, 1) == [float(d) for d in range(15) if d != 2]
    rows = work.table()
    assert set(rows["subject"]) == {0, 1, 2} and (rows["rule"] == "pressure").sum() == 1
    held = rows[rows["outcome"] == "refused"]
    assert held[["subject", "time_h", "rule", "why", "value"]].values.tolist() == [
        [1, 48, "prn", "held until 72 h", 30]
    ]


def test_switch_after_no_response(tmp_path: Path) -> None:
    switch = (
        "{name: switch, when: {visit: 7 d, scale: MADRS, change-less-than: 25 %}, then: {stop: prn, start: "
        + COURSE
        + "}}"
    )
    work = carry_out(deciding(tmp_path, PRN + "}", switch), madrs=lambda t, i: (35, 30, 29)[i])
    assert days(work, 0, "prn") == [float(d) for d in range(7)] and days(work, 0, "switch") == [7, 10.5, 14]
    for person in (1, 2):  # a fall of 25 % is not less than 25 %
        assert days(work, person, "prn") == [float(d) for d in range(15)] and not days(work, person, "switch")
    rows = work.table()
    assert rows[rows["rule"] == "switch"]["action"].tolist() == ["stop prn", "start ketamine iv 0.5 mg/kg"]
    assert set(rows[rows["rule"] == "switch"]["seen"]) == {"MADRS 35 (40 at baseline)"}


def test_courses_are_held_stopped_limited_and_do_not_overlap(tmp_path: Path) -> None:
    start = "{name: c, when: {visit: daily}, then: {start: {drug: ketamine, route: iv, amount: 0.5 mg/kg, every: 12 h, %s}}%s}"
    work = carry_out(deciding(tmp_path, start % ("times: 4", "")))
    assert days(work) == [0.5 * k for k in range(29)]  # one after the other, the last dose at the last visit
    assert "its course is running" in set(work.table()["why"])
    assert days(carry_out(deciding(tmp_path, start % ("until: 2 d", "")))) == [0, 0.5, 1, 1.5, 2]
    assert days(carry_out(deciding(tmp_path, start % ("times: 4", ", limit: {per-day: 1}")))) == [
        float(d) for d in range(15)
    ]
    once = start.replace("visit: daily", "visit: 0 h") % ("until: 14 d", "")
    hold = "{name: h, when: {visit: 7 d}, then: {hold: c, for: 36 h}}"
    assert days(carry_out(deciding(tmp_path, once, hold))) == [0.5 * k for k in range(29) if not 14 <= k < 17]
    stop = "{name: s, when: {visit: 7 d}, then: {stop: c}}"
    assert days(carry_out(deciding(tmp_path, once, stop))) == [0.5 * k for k in range(14)]


def test_a_rule_may_hold_itself(tmp_path: Path) -> None:
    rule = PRN.replace("then: {dose", "then: {hold: prn, for: 3 d, dose") + "}"
    assert days(carry_out(deciding(tmp_path, rule))) == [0, 3, 6, 9, 12]


def test_rules_of_other_arms_do_not_act(tmp_path: Path) -> None:
    rule = PRN.replace("name: prn", "name: prn, arms: b") + "}"
    assert not len(deciding(tmp_path, rule).times) and len(deciding(tmp_path, rule, arm="b").times) == 15
    with pytest.raises(InputError, match="no arm of this name"):
        deciding(tmp_path, PRN.replace("name: prn", "name: prn, arms: [c]") + "}")


def test_who_cannot_be_simulated_or_seen_gets_nothing_more(tmp_path: Path) -> None:
    course = "{name: c, when: {visit: 0 h}, then: {start: " + COURSE + "}}"
    work = carry_out(deciding(tmp_path, PRN + "}", course), able=lambda t, i: i != 1 or t < 48)
    assert days(work, 1, "prn") == [0, 1] and days(work, 1, "c") == [0] and days(work, 0, "c") == [0, 3.5, 7]
    assert days(carry_out(deciding(tmp_path, PRN + "}"), madrs=np.nan)) == []


def test_the_ledger_tells_which_rule_gave_what(tmp_path: Path) -> None:
    work = carry_out(deciding(tmp_path, PRN + ", limit: {total: 1}}"), madrs=lambda t, i: 30 if i else 10)
    rows = work.arm.ledger(work.arm.people(range(3)), work.given)
    assert rows["subject"].tolist() == [1, 2] and set(rows["why"]) == {"rule prn"} and set(rows["amount_mg"]) == {50.0}


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (PRN.replace("50 mg", "50 mg, every: 1 d") + "}", "given once each time"),
        (PRN.replace(", amount: 50 mg", "") + "}", "needs an amount"),
        (PRN.replace("prn, when", "prn, arms: [], when") + "}", "at least one entry"),
    ],
)
def test_mistakes(tmp_path: Path, rule: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        deciding(tmp_path, rule)


def test_a_masked_placebo_as_needed(tmp_path: Path) -> None:
    rule = PRN.replace("drug: ketamine, route: nasal, amount: 50 mg", "drug: placebo-spray, route: nasal") + "}"
    work = carry_out(deciding(tmp_path, rule))
    assert set(work.arm.ledger(work.arm.people(range(3)), work.given)["amount_mg"]) == {0.0}

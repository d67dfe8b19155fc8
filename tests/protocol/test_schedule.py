"""From an arm to the engine's events: exact amounts and times, one person at a time."""

import dataclasses

import numpy as np
import pytest

from respine import study
from respine.errors import InputError
from respine.protocol import resolve
from respine.protocol.timeline import Timeline
from tests.study.symbols import protocol_of, system_of


class Recorder:
    """Stands in for the engine's schedule and keeps what it was told."""

    def __init__(self) -> None:
        self.sets: list[tuple[str, object, object]] = []

    def set(self, name: str, *, time: object, value: object) -> None:
        self.sets.append((name, time, value))


def write(
    tmp_path,
    doses: str = "[]",
    extra: str = "",
    population: str = "mdd-treatment-resistant",
    visits: str = "[0 h, 28 d]",
):
    file = tmp_path / "one.yaml"
    file.write_text(
        f"schema: respine/study/1\nname: one\ntitle: One\npopulation: {population}\nsubjects: 5\nseed: 11\n"
        f"arms:\n  a:\n    doses: {doses}\n{extra}visits: {visits}\n"
    )
    return study.load(file)


def events(asked, arm: str = "a", model: str = "human", subjects: range = range(5)):
    """(subjects, {target: [(time, kind, value), ...] of the first subject}, people)"""
    chosen = protocol_of(asked, model).arm(arm)
    people = chosen.people(subjects)
    schedule = chosen.schedule(people)
    entries: dict[str, list[tuple[float, int, np.ndarray]]] = {}
    for entry in schedule._entries:
        entries.setdefault(entry.target, []).append((entry.time, entry.kind, entry.value))
    return entries, people


def test_infusion_per_kg_in_two_halves(tmp_path) -> None:
    result, people = events(write(tmp_path, "[{drug: ketamine, route: iv, amount: 0.5 mg/kg, over: 30 min, at: 2 h}]"))
    weight = people.covariates["weight_kg"].to_numpy()
    for state in ("s_ketamine_central", "r_ketamine_central"):
        (on, _, rate), (off, _, minus) = result[state]
        assert on == pytest.approx(np.full(5, 2.0)) and off == pytest.approx(np.full(5, 2.5))
        assert rate == pytest.approx(0.25 * weight / 0.5, rel=1e-14)
        assert minus == pytest.approx(-rate)


def test_units_meet_in_the_same_dose(tmp_path) -> None:
    a, _ = events(write(tmp_path, "[{drug: ketamine, route: iv, amount: 0.5 mg/kg, over: 40 min, at: 0 h}]"))
    b, _ = events(write(tmp_path, "[{drug: racemic ketamine, route: iv, amount: 500 ug/kg, at: 0 min}]"))
    assert a["s_ketamine_central"][0][2] == pytest.approx(b["s_ketamine_central"][0][2], rel=1e-12)


def test_regular_doses_by_count_and_by_end(tmp_path) -> None:
    by_count, _ = events(
        write(tmp_path, "[{drug: ketamine, route: im, amount: 35 mg, at: 1 d, every: 3.5 d, times: 4}]")
    )
    by_end, _ = events(
        write(tmp_path, "[{drug: ketamine, route: im, amount: 35 mg, at: 1 d, every: 3.5 d, until: 11.5 d}]")
    )
    times = [entry[0][0] for entry in by_count["s_ketamine_im_depot"]]
    assert times == [24, 108, 192, 276]
    assert times == [entry[0][0] for entry in by_end["s_ketamine_im_depot"]]


def test_sprays_apart_with_the_rest_swallowed(tmp_path) -> None:
    asked = write(tmp_path, "[{drug: ketamine, route: nasal, amount: 50 mg, at: 0 h}]")
    result, people = events(asked)
    fraction = people.parameters["racemic_nasal_fraction"].to_numpy()
    sprays = result["s_ketamine_nasal_depot"]
    assert [entry[0][0] for entry in sprays] == pytest.approx([0, 5 / 60, 10 / 60, 15 / 60, 20 / 60])
    assert all(entry[2] == pytest.approx(10 * 0.5 * fraction, rel=1e-13) for entry in sprays)
    swallowed = [entry for entry in result["s_ketamine_swallowed"] if entry[2][0] > 0]
    assert len(swallowed) == 5
    given = sum(s[2] for s in sprays) * 2
    assert np.all((given > 0) & (given < 50))
    same, _ = events(
        write(tmp_path, "[{drug: ketamine, route: nasal, per-spray: 10 mg, sprays: 5, apart: 5 min, at: 0 h}]")
    )
    assert [tuple(e[0]) for e in same["s_ketamine_nasal_depot"]] == [tuple(e[0]) for e in sprays]


def test_later_sprays_count_less(tmp_path) -> None:
    result, _ = events(write(tmp_path, "[{drug: esketamine, route: nasal, amount: 84 mg, sprays: 3, at: 0 h}]"))
    first, second, third = (entry[2] for entry in result["s_ketamine_nasal_depot"])
    assert second == pytest.approx(third)
    assert np.all(second < first)
    assert "r_ketamine_nasal_depot" not in result


def test_history_lasts_and_a_level_takes_it_over(tmp_path) -> None:
    plain, _ = events(write(tmp_path))
    ((time, _, value),) = plain["stress"]
    assert np.all(time == -8760) and np.all(value == 1)
    eased, _ = events(
        write(tmp_path, extra="    exposures: [{exposure: stress, level: 0.25, from: 0 h, until: 14 d}]\n")
    )
    assert [(entry[0][0], entry[2][0]) for entry in eased["stress"]] == [(-8760, 1.0), (0, 0.25), (336, 0)]


def test_rats_stressed_until_the_start(tmp_path) -> None:
    asked = write(tmp_path, population="rat-stressed", visits="[0 h, 24 h]")
    assert protocol_of(asked).begin == -504
    result, _ = events(asked, model="rat")
    assert [(entry[0][0], entry[2][0]) for entry in result["stress"]] == [(-504, 1.0), (0, 0.0)]


def test_tablets_that_overlap_hold_one_level(tmp_path) -> None:
    result, _ = events(
        write(tmp_path, "[{drug: riluzole, route: oral, amount: 50 mg, at: 0 h, every: 12 h, times: 6}]")
    )
    assert [(entry[0][0], entry[2][0]) for entry in result["riluzole"]] == [(0, 1), (84, 0)]


def test_pulses(tmp_path) -> None:
    result, _ = events(write(tmp_path, extra="    exposures: [{exposure: ect, at: 0 h, every: 56 h, times: 2}]\n"))
    assert [(entry[0][0], entry[2][0]) for entry in result["ect_pulse"]] == [(0, 1), (0.5, 0), (56, 1), (56.5, 0)]


def test_timeline_takes_the_highest_while_several_last() -> None:
    line = Timeline(0.0)
    line.hold(0.0, 10.0, 1.0)
    line.hold(5.0, 20.0, np.array([2.0, 0.5]))
    line.hold(np.array([30.0, 40.0]), 50.0, 3.0)
    recorder = Recorder()
    line.write(recorder, "x")  # type: ignore[arg-type]
    for subject, expected in (
        (0, [(0, 1), (5, 2), (20, 0), (30, 3), (50, 0)]),
        (1, [(0, 1), (10, 0.5), (20, 0), (40, 3), (50, 0)]),
    ):
        got = [(np.broadcast_to(t, 2)[subject], np.broadcast_to(v, 2)[subject]) for _, t, v in recorder.sets]
        assert [pair for pair in got if not np.isnan(pair[1])] == expected


def test_same_person_in_every_arm_and_overrides(tmp_path) -> None:
    asked = write(
        tmp_path, extra="  b:\n    genotype: {val66met: Met/Met, bdnf_gene_dose: 0.5}\n    parameters: {k_venous: 9}\n"
    )
    protocol = protocol_of(asked)
    a, b = (protocol.arm(name).people(range(50), draw_parameters=False) for name in "ab")
    same = [name for name in a.parameters if name not in ("val66met", "k_venous", "bdnf_gene_dose")]
    assert a.parameters[same].equals(b.parameters[same])
    assert set(b.parameters["val66met"]) == {1.0} and set(b.parameters["bdnf_gene_dose"]) == {0.5}
    ratio = (
        b.parameters["k_venous"] / 9
        if "k_venous" not in a.parameters
        else b.parameters["k_venous"] / a.parameters["k_venous"]
    )
    assert np.allclose(ratio, ratio.iloc[0])


def test_a_study_may_have_people_of_its_own(tmp_path) -> None:
    asked = write(
        tmp_path,
        extra="covariates: {baseline_MADRS: {distribution: normal, mean: 25, sd: 2, low: 18, high: 40, source: x}}\n",
    )
    people = protocol_of(asked).arm("a").people(range(2000))
    assert people.covariates["baseline_MADRS"].mean() == pytest.approx(25, abs=0.2)
    assert people.covariates["age_y"].mean() == pytest.approx(50.7, abs=1)


def test_batches_make_the_same_schedule(tmp_path) -> None:
    asked = write(tmp_path, "[{drug: ketamine, route: nasal, amount: 50 mg, at: 0 h}]")
    whole, _ = events(asked, subjects=range(9))
    part, _ = events(asked, subjects=range(4, 7))
    for target, entries in part.items():
        for (t, k, v), (wt, wk, wv) in zip(entries, whole[target], strict=True):
            assert k == wk and np.array_equal(t, wt[4:7]) and np.array_equal(v, wv[4:7])


def test_ledger(tmp_path) -> None:
    asked = write(
        tmp_path, "[{drug: ketamine, route: iv, amount: 0.5 mg/kg, at: [0 d, 7 d]}]",
        "    co_medication: [{drug: riluzole, route: oral, amount: 50 mg, at: 1 d}]\n",
    )  # fmt: skip
    arm = protocol_of(asked).arm("a")
    people = arm.people(range(2, 4))
    rows = arm.ledger(people)
    assert rows["subject"].tolist() == [2, 2, 2, 3, 3, 3]
    assert rows["time_h"].tolist() == [0, 24, 168] * 2
    assert rows["why"].tolist() == ["scheduled", "co-medication", "scheduled"] * 2
    assert rows["amount_mg"].to_numpy()[0] == pytest.approx(0.5 * people.covariates["weight_kg"][0])
    empty = protocol_of(write(tmp_path)).arm("a").ledger(people)
    assert len(empty) == 0 and list(empty.columns) == list(rows.columns)


def test_rules_need_a_run_and_are_not_ignored(tmp_path) -> None:
    asked = write(tmp_path, extra="observe: [MADRS]\nrules:\n  - name: as-needed\n    when: {visit: daily, scale: MADRS, above: 20, and: {last-dose: {longer-ago-than: 48 h}}}\n"
                "    then: {dose: {drug: ketamine, route: nasal, amount: 50 mg}}\n    limit: {per-day: 1, per-week: 3}\n")  # fmt: skip
    assert asked.rules[0].when.also.last_dose.longer_ago_than == 48
    arm = protocol_of(asked).arm("a")
    with pytest.raises(InputError, match="act on what is observed"):
        arm.schedule(arm.people(range(2)))


def test_drug_on_something_the_model_lacks(tmp_path) -> None:
    asked = write(tmp_path, "[{drug: ketamine, route: iv, amount: 0.5 mg/kg, at: 0 h}]")
    people = protocol_of(asked).arm("a").people(range(2))
    without = dataclasses.replace(system_of("human"), rates={}, quantities={})
    with pytest.raises(InputError, match="s_ketamine_central, which is no state of the human model"):
        resolve(asked, system=without).arm("a").schedule(people)
    with pytest.raises(InputError, match="not for rat"):
        write(tmp_path, "[{drug: midazolam, route: iv, amount: 1 mg/kg, at: 0 h}]", population="rat-naive")

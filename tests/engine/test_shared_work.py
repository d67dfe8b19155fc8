"""Never silently wrong: work is shared only between subjects and runs that are alike in everything.

Each input is changed in turn, alone; what differs must be told apart.
"""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respine import engine
from respine.engine import Record, Records
from respine.engine.codegen.code import cache_key
from respine.engine.codegen.target import host_target
from respine.engine.dosing.events_table import EventTable, Readings
from respine.engine.equations.specialise import Requirements
from respine.engine.run.deduplicate import representatives
from tests.engine.systems import one_compartment, system

CENTRAL = system({"central": "-k*central"}, {"central": 0.0}, {"k": 0.055})


# ---- subjects --------------------------------------------------------------------------------------------------------
def facts() -> dict[str, np.ndarray]:
    """Two subjects, alike in everything."""
    return {
        "parameters": np.array([[1.0, 2.0], [1.0, 2.0]]),
        "starts": np.array([[0.5, 0.0], [0.5, 0.0]]),
        "time": np.array([0.0, 24.0, 0.0, 24.0]),
        "kind": np.array([0, 0, 0, 0], np.int8),
        "target": np.array([1, 1, 1, 1], np.int32),
        "value": np.array([10.0, 5.0, 10.0, 5.0]),
        "reading": np.array([0.0, 24.0, 30.0, 0.0, 24.0, 30.0]),
        "need": np.array([0, 1, 2, 0, 1, 2], np.int32),
    }


def first_alike(known: dict[str, np.ndarray], count=(3, 3), events=(2, 2)) -> list[int]:
    last, rows = np.cumsum(events), np.cumsum(count)
    table = EventTable(last - events, last, *(known[name] for name in ("time", "kind", "target", "value")))
    readings = Readings(known["reading"], rows - count, np.array(count), rows - count, known["need"])
    return representatives(known["parameters"], known["starts"], table, readings).tolist()


def test_subjects_alike_in_everything_are_one():
    assert first_alike(facts()) == [0, 0]


@pytest.mark.parametrize("name", list(facts()))
def test_subjects_that_differ_in_one_number_are_two(name):
    for place in range(1, len(facts()[name].ravel()) // 2 + 1):
        known = facts()
        known[name].ravel()[-place] += 1
        assert first_alike(known) == [0, 1], (name, place)


def test_subjects_with_fewer_readings_or_events_are_two():
    assert first_alike(facts(), count=(3, 2)) == [0, 1]
    assert first_alike(facts(), events=(2, 1)) == [0, 1]


@pytest.mark.parametrize("swapped", [False, True])
def test_a_sample_before_and_one_after_the_dose_of_its_time(swapped):
    dose, again, sample = Record(0, 1, "central", 100), Record(24, 1, "central", 100), Record(24)
    people = [[dose, again, sample, Record(30)], [dose, sample, again, Record(30)]]
    want = [[100, np.nan, 1.0, np.nan], [100, 0.0, np.nan, np.nan]]
    people, want = (people[::-1], want[::-1]) if swapped else (people, want)
    got = engine.build(CENTRAL, outputs=["central"]).solve(np.zeros((2, 0)), Records(people), rtol=1e-9)["central"]
    left = 100 * np.exp(-24 * 0.055)
    for row, kinds in zip(got.reshape(2, 4), want, strict=True):
        for value, extra in zip(row[1:3], kinds[1:3], strict=True):
            if not np.isnan(extra):
                assert value == pytest.approx(left + 100 * extra, rel=1e-7)


@given(st.lists(st.permutations(range(4)), min_size=2, max_size=6), st.integers(0, 2))
@settings(max_examples=25, deadline=None)
def test_many_people_together_are_as_each_alone(orders, lag):
    """Doses and samples of one time in any order, and a pair with a lag."""
    lines = [Record(6, 1, "central", 7), Record(6), Record(6, 1, "central", 3, lag=lag), Record(6)]
    people = [[Record(0, 1, "central", 10), *(lines[k] for k in order), Record(9)] for order in orders]
    solver = engine.build(CENTRAL, outputs=["central"])
    together = solver.solve(np.zeros((len(people), 0)), Records(people)).values
    alone = [solver.solve(np.zeros((1, 0)), Records([person])).values for person in people]
    assert np.array_equal(together, np.concatenate(alone))


def test_everybody_has_an_own_start():
    solver = engine.build(CENTRAL, outputs=["central"])
    got = solver.solve(np.zeros((3, 0)), times=[1.0], initial={"central": np.array([1.0, 2.0, 1.0])})["central"][:, 0]
    assert got[0] == got[2] and got[1] == pytest.approx(2 * got[0], rel=1e-5)


# ---- machine code ----------------------------------------------------------------------------------------------------
SYSTEM = system({"x": "-k*x + drive", "y": "x - y"}, {"x": 1.0, "y": "2*k"}, {"k": 0.5}, {"drive": 0.1}, {"z": "x + y"})
VALUES = {"k": 0.5, "drive": 0.1}
REQUIREMENTS = Requirements(("z",))
OTHER_REQUIREMENTS = {
    "outputs": ("y",), "vary": ("k",), "changing": ("drive",), "dosed": frozenset({"x"}), "infused": ("x",),
    "keep_all": True, "sensitivities": ("k",), "driven": (("x", "k"),), "moved": (("x", "k"),), "nonnegative": True,
}  # fmt: skip
OTHER_SYSTEMS = {
    "rate": replace(SYSTEM, rates={**SYSTEM.rates, "y": ("neg", ("sym", "y"))}),
    "rule": replace(SYSTEM, rules={"z": ("sym", "x")}),
    "start": replace(SYSTEM, initial={**SYSTEM.initial, "x": ("num", 2.0)}),
    "parameter": replace(SYSTEM, parameters={"k": 0.5, "j": 1.0}),
    "order of states": replace(SYSTEM, rates=dict(reversed(SYSTEM.rates.items()))),
}


def key(
    system_=SYSTEM, requirements=REQUIREMENTS, values=VALUES, method="rodas5p", precision="float64", lanes=None
) -> str:
    return cache_key(system_, requirements, values, method, host_target(precision, lanes))


def test_the_key_of_machine_code_holds_every_question():
    assert set(OTHER_REQUIREMENTS) == {f.name for f in fields(Requirements)}  # a new field needs a case
    keys = [
        key(),
        *(key(requirements=replace(REQUIREMENTS, **{name: value})) for name, value in OTHER_REQUIREMENTS.items()),
    ]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("name", list(OTHER_SYSTEMS))
def test_the_key_of_machine_code_holds_every_formula(name):
    values = {"j": 1.0, **VALUES}
    assert key(OTHER_SYSTEMS[name], values=values) != key(values=VALUES)


def test_the_key_of_machine_code_holds_the_rest():
    keys = [key(), key(values={**VALUES, "drive": 0.2}), key(values={**VALUES, "k": 1.0}), key(method="rodas4"),
            key(precision="float32"), key(lanes=1)]  # fmt: skip
    assert len(set(keys)) == len(keys)
    assert key() == key(values=dict(VALUES))


def test_a_number_that_is_no_literal_needs_no_new_code_and_is_used():
    slow, fast = (engine.build(CENTRAL, outputs=["central"], fixed={"k": k}) for k in (0.1, 0.2))
    assert cache_key(CENTRAL, Requirements(("central",)), {"k": 0.1}, "rodas5p", host_target()) == cache_key(
        CENTRAL, Requirements(("central",)), {"k": 0.2}, "rodas5p", host_target()
    )
    for solver, k in ((slow, 0.1), (fast, 0.2)):
        got = solver.solve(times=[3.0], initial={"central": 1.0}, rtol=1e-9)["central"][0, 0]
        assert got == pytest.approx(np.exp(-3 * k), rel=1e-8)


# ---- starts that code could take for constants -----------------------------------------------------------------------
@pytest.mark.parametrize("locate", [False, True])
def test_a_state_at_rest_may_be_given_a_start(locate):
    s = system({"x": "rest - x", "rest": "0*x"}, {"x": 0.0, "rest": 1.0})
    solver = engine.build(s, outputs=["x", "rest"])
    for value in (1.0, 3.0, 1.0):
        got = solver.solve(times=[2.0], rtol=1e-9, initial={"rest": value}, locate_jumps=locate)
        assert got.values[0, 0].tolist() == pytest.approx([value * (1 - np.exp(-2)), value], rel=1e-7)


@pytest.mark.parametrize("locate", [False, True])
def test_a_start_that_depends_on_the_time_is_that_of_the_run(locate):
    s = system({"x": "rest - x", "rest": "0*rest"}, {"x": 0.0, "rest": "begun"}, rules={"begun": "1 + t"})
    solver = engine.build(s, outputs=["x"])
    for start in (0.0, 4.0):
        got = solver.solve(times=[start + 2], start=start, rtol=1e-9, locate_jumps=locate)["x"][0, 0]
        assert got == pytest.approx((1 + start) * (1 - np.exp(-2)), rel=1e-7)


def test_one_solver_keeps_its_questions_apart():
    """The same solver with and without doses, inputs, lines and starts, to and fro."""
    solver = engine.build(one_compartment(), outputs=["central"])
    plain = solver.solve(times=[5.0])["central"][0, 0]
    dosed = engine.Schedule(1)
    dosed.dose("depot", time=0.0, amount=1.0)
    other = engine.Schedule(1)
    other.dose("central", time=0.0, amount=1.0, duration=1.0)
    first = [solver.solve(None, schedule, [5.0])["central"][0, 0] for schedule in (dosed, other)]
    again = [solver.solve(None, schedule, [5.0])["central"][0, 0] for schedule in (dosed, other)]
    assert plain == 0 and first == again and len({plain, *first}) == 3

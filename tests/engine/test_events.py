"""Events and jumps in the equations: exact times, order, delay, persistence, loops; all against closed forms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respine import engine
from respine.engine import Status
from respine.engine.events.time_conditions import Clock
from respine.model.system import Event, System
from tests.engine.systems import formula, system

TIMES = np.linspace(0, 10, 41)


def event(name: str, trigger: str, **rest) -> Event:
    """An event from texts; assignments are the keywords that are no settings of the event."""
    known = {"persistent", "initial_value", "values_from_trigger_time"}
    settings_ = {k: v for k, v in rest.items() if k in known}
    timing = {k: formula(str(rest[k])) for k in ("delay", "priority") if k in rest}
    changes = tuple((k, formula(str(v))) for k, v in rest.items() if k not in known | {"delay", "priority"})
    return Event(name, both(trigger), changes, **timing, **settings_)


def both(text: str):
    """A condition; " and " joins two."""
    first, _, second = text.partition(" and ")
    return ("and", formula(first), both(second)) if second else formula(first)


def decaying(*events: Event, **inputs: float) -> System:
    """x = exp(-t) until an event says otherwise."""
    return replace(system({"x": "-x"}, {"x": 1.0}, inputs=inputs), events=events)


def run(s: System, outputs: list[str], times=TIMES, **settings_) -> engine.Solution:
    solution = engine.build(s, outputs=outputs).solve(times=times, **{"rtol": 1e-10, "atol": 1e-13, **settings_})
    assert not solution.failures, solution.failures[0]
    return solution


# ---- when ------------------------------------------------------------------------------------------------------------
def test_state_trigger_is_located():
    s = decaying(event("low", "x < 0.1", when="t"), when=-1.0)
    when = run(s, ["when"])["when"][0, -1]
    assert abs(when - np.log(10)) < 1e-10


def test_bouncing_ball():
    s = system({"h": "v", "v": "-9.81"}, {"h": 10.0, "v": 0.0})
    s = replace(s, events=(event("bounce", "h < 0", v="-0.8*v"),))
    fall = np.sqrt(20 / 9.81)
    up = 0.8 * 9.81 * fall
    late = TIMES[(fall < TIMES) & (fall + 2 * up / 9.81 > TIMES)]
    got = run(s, ["h"], times=late)["h"][0]
    assert np.allclose(got, up * (late - fall) - 9.81 / 2 * (late - fall) ** 2, atol=1e-9)


@pytest.mark.parametrize(("sign", "at_three"), [(">", 0.0), (">=", 1.0)])
def test_time_trigger_is_hit_to_the_last_bit(sign, at_three):
    s = decaying(event("e", f"t {sign} 3", n="n + 1", when="t"), n=0.0, when=-1.0)
    got = run(s, ["n", "when"], times=[2.9, 3.0, np.nextafter(3.0, 4), 9.0])
    assert got["n"][0].tolist() == [0, at_three, 1, 1]
    assert abs(got["when"][0, -1] - 3.0) <= np.spacing(3.0)


def test_conditions_true_for_one_instant():
    s = decaying(event("at", "t == 5", n="n + 1"), event("pulse", "t > 7.123 and t < 7.1230001", n="n + 10"), n=0.0)
    assert run(s, ["n"], times=[4.99, 5.0, 7.0, 8.0])["n"][0].tolist() == [0, 1, 1, 11]


@given(height=st.floats(1e-9, 1e-3), phase=st.floats(0.0, 3.0))
@settings(max_examples=12, deadline=None)
def test_triggers_true_only_inside_a_step_are_not_missed(height, phase):
    """A trigger that the oscillation exceeds by a hair, once a period."""
    s = system({"x": "v", "v": "-x"}, {"x": "x0", "v": "v0"}, {"x0": 0.0, "v0": 1.0, "top": 1.0}, inputs={"n": 0.0})
    s = replace(s, events=(event("peak", "x > top", n="n + 1"),))
    solver = engine.build(s, outputs=["n"], vary=["x0", "v0", "top"])
    first = (np.pi / 2 - phase) % (2 * np.pi)
    width = np.arccos(1 - height)
    end = 25.0
    starts_inside = 2 * np.pi - first < width or first < width
    if starts_inside or abs((end - first + width) % (2 * np.pi)) < 0.01:
        return
    crossings = np.floor((end - first + width) / (2 * np.pi)) + 1
    p = np.array([[np.sin(phase), np.cos(phase), 1 - height]])
    assert solver.solve(p, times=[end], rtol=1e-11)["n"][0, 0] == crossings


def test_clock_finds_flips_between_samples():
    clock = Clock({"a": formula("t > k"), "b": formula("sin(t) > 0.5")}, {})
    assert clock.next_flip(0.0, 10.0, {"k": 0.1234567}) == np.nextafter(0.1234567, 1)
    flip = clock.next_flip(0.2, 2.0, {"k": 5.0})
    assert np.sin(flip) > 0.5 >= np.sin(np.nextafter(flip, 0))
    assert clock.next_flip(0.6, 2.0, {"k": 5.0}) == np.inf


# ---- in what order ---------------------------------------------------------------------------------------------------
def test_start_values_of_triggers():
    s = decaying(
        event("was_false", "x > 0.5", initial_value=False, a=1), event("was_true", "x > 0.5", initial_value=True, b=1),
        a=0.0, b=0.0,
    )  # fmt: skip
    got = run(s, ["a", "b"])
    assert got["a"][0, 0] == 1 and got["b"][0, -1] == 0


def test_priority_then_values_of_execution():
    s = decaying(
        event("second", "t >= 2", priority=1, values_from_trigger_time=False, a="b + 1"),
        event("first", "t >= 2", priority=5, b=7),
        event("third", "t >= 2", priority="0*x - 3", values_from_trigger_time=False, c="10*a"),
        event("from_trigger_time", "t >= 2", priority=-9, d="a"),
        a=0.0, b=0.0, c=0.0, d=-1.0,
    )  # fmt: skip
    got = run(s, ["a", "b", "c", "d"]).values[0, -1]
    assert got.tolist() == [8, 7, 80, 0]


def test_equal_priorities_are_drawn_the_same_way_every_time():
    events = [event(f"e{k}", "t >= 1", priority=1, values_from_trigger_time=False, last=k) for k in range(4)]
    s = decaying(*events, last=-1.0)
    schedule = engine.Schedule(12)
    solver = engine.build(s, outputs=["last"])
    both_runs = [solver.solve(np.zeros((12, 0)), schedule, [2.0], rtol=1e-6)["last"][:, 0] for _ in range(2)]
    assert np.array_equal(*both_runs)
    assert len(set(both_runs[0])) > 1  # chance, not always the first


def test_delay_persistence_and_values():
    s = decaying(
        event("waits", "x < 0.5", delay=2, a="x", when="t"),
        event("late_values", "x < 0.5", delay=2, values_from_trigger_time=False, b="x"),
        event("taken_back", "x < 0.5 and t < 1", delay=0.5, persistent=False, c=1),
        event("kept", "x < 0.5 and t < 1", delay=0.5, persistent=True, d=1),
        a=0.0, b=0.0, c=0.0, d=0.0, when=0.0,
    )  # fmt: skip
    a, b, c, d, when = run(s, ["a", "b", "c", "d", "when"]).values[0, -1]
    assert np.allclose([a, b, when], [0.5, 0.5 * np.exp(-2), 0.0 + np.log(2)], rtol=1e-9)
    assert (c, d) == (0, 1)


def test_cascade_at_one_instant():
    s = decaying(
        event("one", "t >= 1", a=1), event("two", "a > 0", b="a + 1"), event("three", "b > 1", c="b + 1", a=0),
        a=0.0, b=0.0, c=0.0,
    )  # fmt: skip
    assert run(s, ["a", "b", "c"], times=[0.5, 1.0]).values[0].tolist() == [[0, 0, 0], [0, 2, 3]]


def test_execution_that_ends_a_trigger_stops_events_that_do_not_persist():
    s = decaying(
        event("first", "t >= 1 and n < 1", priority=2, n="n + 1"),
        event("lost", "t >= 1 and n < 1", priority=1, persistent=False, m="m + 1"), n=0.0, m=0.0,
    )  # fmt: skip
    assert run(s, ["n", "m"]).values[0, -1].tolist() == [1, 0]


# ---- what ------------------------------------------------------------------------------------------------------------
def test_states_inputs_and_resting_states_change():
    s = system({"x": "k*r - x", "r": "0"}, {"x": 0.0, "r": "2*k0"}, {"k0": 0.5}, inputs={"k": 1.0})
    s = replace(s, events=(event("e", "t >= 1", r=3, x="x + 1"), event("f", "t >= 2", k=0)))
    got = run(s, ["x", "r", "k"], times=[0.0, 1.0, 2.0, 4.0])
    first = 1 - np.exp(-1) + 1
    two = 3 + (first - 3) * np.exp(-1)
    assert np.allclose(got["x"][0], [0, first, two, two * np.exp(-2)], rtol=1e-9)
    assert got["r"][0].tolist() == [1, 3, 3, 3] and got["k"][0].tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize("from_trigger_time", [True, False])
def test_an_assigned_concentration_fills_the_volume_it_finds(from_trigger_time):
    """The concentration is taken at the trigger, the volume when the event happens, before what else it sets."""
    s = system({"amount": "0*amount", "volume": "0.5"}, {"amount": 2.0, "volume": 1.0}, inputs={"more": 0.0})
    s = replace(s, rules={"space": formula("volume + more")})
    late = event("set", "t >= 1", delay=2, values_from_trigger_time=from_trigger_time, amount="4*space", more=7)
    s = replace(s, events=(replace(late, by_volume=(("amount", "space"),)),))
    concentration = 4 * 1.5 if from_trigger_time else 4 * 2.5
    got = run(s, ["amount", "space"], times=[2.0, 4.0])
    assert np.allclose(got["amount"][0], [2, concentration * 2.5], rtol=1e-9)


def test_doses_and_inputs_of_a_schedule_meet_events():
    s = decaying(event("refill", "x < 0.5", x=1, n="n + 1"), n=0.0, drive=0.0)
    s = replace(s, rates={"x": formula("drive - x")})
    schedule = engine.Schedule(2)
    schedule.dose("x", time=0.5, amount=np.array([1.0, np.nan]))
    schedule.dose("x", time=3.0, amount=np.array([np.nan, 2.0]), duration=1.0)
    schedule.set("drive", time=6.0, value=2.0)
    solution = engine.build(s, outputs=["x", "n"]).solve(np.zeros((2, 0)), schedule, [0.5, 0.6, 20.0], rtol=1e-9)
    assert np.allclose(solution["x"][0, :2], [np.exp(-0.5), (np.exp(-0.5) + 1) * np.exp(-0.1)], rtol=1e-8)
    assert np.allclose(solution["x"][:, 2], 2.0, atol=1e-3)
    assert solution["n"][1, 1] == 0 and (solution["n"][:, 2] >= 3).all()


def test_subjects_differ_by_parameters():
    s = system({"x": "-k*x"}, {"x": "x0"}, {"k": 1.0, "x0": 1.0}, inputs={"when": -1.0})
    s = replace(s, events=(event("low", "x < 0.1", when="t"),))
    p = np.array([[1.0, 1.0], [2.0, 1.0], [1.0, 5.0]])
    solution = engine.build(s, outputs=["when"], vary=["k", "x0"]).solve(p, times=[9.0], rtol=1e-10)
    assert np.allclose(solution["when"][:, 0], [np.log(10), np.log(10) / 2, np.log(50)], rtol=1e-9)


def test_nothing_moves_but_time():
    s = system({"r": "0"}, {"r": 1.0}, rules={"wave": "sin(t)"})
    s = replace(s, events=(event("e", "wave > 0.5", r="r + 1"),))
    got = run(s, ["r", "wave"], times=np.linspace(0, 20, 200))
    assert np.allclose(got["wave"][0], np.sin(got.times), atol=1e-14)
    assert got["r"][0, -1] == 1 + np.floor((20 - np.pi / 6) / (2 * np.pi)) + 1


# ---- jumps in the equations ------------------------------------------------------------------------------------------
def jumps(s: System, outputs: list[str], times=TIMES) -> engine.Solution:
    solution = engine.solve_with_events(s, times, outputs, rtol=1e-10, atol=1e-13)
    assert not solution.failures
    return solution


def test_jump_in_time():
    s = system({"x": "1 if t < 0.7 else 0"}, {"x": 0.0})
    assert np.allclose(jumps(s, ["x"])["x"][0], np.minimum(TIMES, 0.7), atol=1e-12)


def test_short_pulses_are_not_stepped_over():
    s = system({"x": "1 if t - 2*floor(t/2) < 0.05 else 0"}, {"x": 0.0})
    want = 0.05 * np.floor(TIMES / 2) + np.minimum(TIMES % 2, 0.05)
    assert np.allclose(jumps(s, ["x"])["x"][0], want, atol=1e-11)


def test_jump_in_state():
    s = system({"x": "-1 if y > 0.5 else 1", "y": "x"}, {"x": 0.0, "y": 0.0})
    solution = jumps(s, ["x", "y"], times=[1.0, 1.5, 2.0])
    assert np.allclose(solution["x"][0], [1.0, 0.5, 0.0], atol=1e-9)
    assert np.allclose(solution["y"][0], [0.5, 0.875, 1.0], atol=1e-9)


def test_flow_held_at_a_threshold_ends_with_a_status():
    s = system({"x": "-1 if x > 0 else 0.5"}, {"x": 1.0})
    options = engine.Options(max_steps=5000)
    solution = engine.solve_with_events(s, [0.5, 3.0], ["x"], options=options)
    assert np.isclose(solution["x"][0, 0], 0.5)
    if solution.failures:
        assert solution.failures[0].status in (Status.STEP_BUDGET, Status.STEP_FLOOR)
        assert np.isclose(solution.failures[0].time, 1.0, atol=1e-3)
    else:
        assert abs(solution["x"][0, 1]) < 1e-6


# ---- what cannot go on -----------------------------------------------------------------------------------------------
def test_loop_at_one_instant_ends_with_a_status():
    s = decaying(event("on", "p < 1 and t >= 2", p=1), event("off", "p > 0", p=0), p=0.0)
    solution = engine.build(s, outputs=["x", "p"]).solve(times=[1.0, 2.0, 3.0])
    (failure,) = solution.failures
    assert failure.status is Status.EVENT_LOOP and failure.state in ("on", "off") and failure.time == 2.0
    assert np.isfinite(solution.values[0, 0]).all() and np.isnan(solution.values[0, 1:]).all()
    assert "without end" in str(failure)


def test_events_that_come_ever_faster_end_with_a_status():
    s = system({"h": "v", "v": "-9.81"}, {"h": 1.0, "v": 0.0})
    s = replace(s, events=(event("bounce", "h < 0", v="-0.1*v"),))
    solution = engine.build(s, outputs=["h"]).solve(times=[0.1, 5.0], rtol=1e-8)
    assert np.isclose(solution["h"][0, 0], 1 - 9.81 / 200, rtol=1e-7)
    assert np.isnan(solution["h"][0, 1]) == bool(solution.failures)


@pytest.mark.parametrize("delay", [1e-14, 1e-7])
def test_events_that_set_each_other_off_after_a_moment_are_a_loop(delay):
    s = decaying(event("on", "p < 1 and t >= 2", delay=delay, p=1), event("off", "p > 0", delay=delay, p=0), p=0.0)
    solution = engine.build(s, outputs=["x"]).solve(times=[1.0, 9.0])
    (failure,) = solution.failures
    assert failure.status is Status.EVENT_LOOP and failure.state in ("on", "off") and 2 <= failure.time < 2.1
    assert solution.steps.sum() < 100_000  # told long before the budget ends


def test_an_accumulation_of_bounces_is_a_loop_and_not_a_hang():
    s = system({"h": "v", "v": "-9.81"}, {"h": 1.0, "v": 0.0})
    s = replace(s, events=(event("bounce", "h < 0", v="-0.5*v", h=0),))
    (failure,) = engine.build(s, outputs=["h"]).solve(times=[0.1, 5.0], rtol=1e-8).failures
    assert failure.status is Status.EVENT_LOOP and failure.state == "bounce"
    assert np.isclose(failure.time, np.sqrt(2 / 9.81) * 3, rtol=1e-6)  # the sum of all bounces


def test_thousands_of_quick_events_are_no_loop_where_they_end():
    s = system({"x": "1"}, {"x": 0.0}, inputs={"n": 0.0})
    s = replace(s, events=(event("tick", "x > 1e-5 and n < 2500", x=0, n="n + 1"),))
    assert run(s, ["n"], times=[1.0])["n"][0, 0] == 2500


def test_a_runaway_ends_with_a_status():
    s = system({"x": "x*x"}, {"x": 1.0}, inputs={"n": 0.0})
    s = replace(s, events=(event("high", "x > 1e300", x=0),))
    (failure,) = engine.build(s, outputs=["x"]).solve(times=[0.5, 2.0], rtol=1e-8).failures
    assert failure.status is Status.STEP_FLOOR and failure.state == "x" and np.isclose(failure.time, 1.0)


def test_negative_delay_is_named():
    s = decaying(event("back", "t >= 1", delay="x - 3", n=1), n=0.0)
    (failure,) = engine.build(s, outputs=["n"]).solve(times=[0.5, 2.0]).failures
    assert failure.status is Status.EVENT_DELAY and failure.state == "back"


def test_one_subject_in_a_loop_leaves_the_others_alone():
    s = system({"x": "-k*x"}, {"x": 1.0}, {"k": 1.0, "bad": 0.0}, inputs={"p": 0.0})
    s = replace(s, events=(event("on", "x < 0.5 and p < bad", p=1), event("off", "p > 0", p=0)))
    solver = engine.build(s, outputs=["x"], vary=["k", "bad"])
    solution = solver.solve(np.array([[1.0, 0.0], [1.0, 1.0], [2.0, 0.0]]), times=[0.1, 1.0], rtol=1e-9)
    assert solution.status.tolist() == [Status.OK, Status.EVENT_LOOP, Status.OK]
    assert np.allclose(solution["x"][[0, 2], 1], np.exp([-1.0, -2.0]), rtol=1e-7)


def test_records_are_refused_with_events():
    s = decaying(event("e", "t > 1", x=1))
    records = engine.Records([[engine.Record(time=0.0), engine.Record(time=1.0)]])
    with pytest.raises(ValueError, match="has events"):
        engine.build(s, outputs=["x"]).solve(None, records)

"""Covariates carried forward, backward, or on straight lines: closed forms, for schedules and records."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from respine import engine
from respine.engine import Record, Records
from respine.model.system import Event
from tests.engine.systems import formula, system

WAYS = ("LOCF", "NOCB", "linear")
KNOTS = np.array([1.0, 4.0, 5.0])
VALUES = np.array([[2.0, 6.0, 0.0], [1.0, np.nan, 3.0]])
TIMES = np.array([0.5, 2.0, 4.5, 6.0])


def integrator():
    """x is the integral of the input; the input is an output too."""
    return system({"x": "drive"}, {"x": 0.0}, inputs={"drive": 7.0})


def course(way: str, times: np.ndarray, knots: np.ndarray, values: np.ndarray) -> np.ndarray:
    if way == "linear":
        return np.interp(times, knots, values)
    side = np.searchsorted(knots, times, side="right") - 1 if way == "LOCF" else np.searchsorted(knots, times)
    return values[np.clip(side, 0, len(knots) - 1)]


def integral(way: str, knots: np.ndarray, values: np.ndarray) -> np.ndarray:
    grid = np.sort(np.concatenate([np.linspace(0, 6, 60_001), knots - 1e-12, knots + 1e-12]))
    middle = course(way, 0.5 * (grid[1:] + grid[:-1]), knots, values)
    return np.interp(TIMES, grid, np.concatenate([[0], np.cumsum(middle * np.diff(grid))]))


def scheduled(way: str, **settings) -> engine.Solution:
    schedule = engine.Schedule(2)
    schedule.covariate("drive", times=KNOTS, values=VALUES, interpolation=way)
    solver = engine.build(settings.pop("system", integrator()), outputs=["x", "drive"])
    return solver.solve(np.zeros((2, 0)), schedule, TIMES, rtol=1e-10, **settings)


@pytest.mark.parametrize("way", WAYS)
def test_a_schedule_follows_a_covariate(way):
    got = scheduled(way)
    for s, values in enumerate(VALUES):
        kept = ~np.isnan(values)
        assert np.allclose(got["drive"][s], course(way, TIMES, KNOTS[kept], values[kept]), rtol=1e-12)
        assert np.allclose(got["x"][s], integral(way, KNOTS[kept], values[kept]), rtol=1e-7)
    assert got.settings["covariates"] == {"drive": way}


@pytest.mark.parametrize("way", WAYS)
def test_systems_with_events_follow_it_too(way):
    s = integrator()
    s = replace(s, inputs={**s.inputs, "n": 0.0}, events=(Event("e", formula("x > 2"), (("n", formula("n + 1")),)),))
    got = scheduled(way, system=s)
    assert np.allclose(got.values, scheduled(way).values, rtol=1e-8)
    assert got.settings["covariates"] == {"drive": way}


def test_own_times_of_each_subject():
    schedule = engine.Schedule(2)
    times = np.array([[0.0, 2.0, 9.0], [1.0, 3.0, 4.0]])
    schedule.covariate("drive", times=times, values=np.array([0.0, 4.0, 4.0]), interpolation="linear")
    got = engine.build(integrator(), outputs=["x"]).solve(np.zeros((2, 0)), schedule, [4.0], rtol=1e-10)["x"]
    assert np.allclose(got, [[4 + 8], [4 + 4]])


def test_gradients_through_a_line():
    s = replace(integrator(), rates={"x": formula("g*drive")}, parameters={"g": 1.5})
    schedule = engine.Schedule(1)
    schedule.covariate("drive", times=KNOTS, values=VALUES[0], interpolation="linear")
    got = engine.build(s, outputs=["x"], sensitivities=["g"]).solve(None, schedule, TIMES, rtol=1e-9)
    assert np.allclose(got.gradient("x", "g")[0], integral("linear", KNOTS, VALUES[0]), rtol=1e-7)


@pytest.mark.parametrize("way", WAYS)
def test_records_follow_their_covariates(way):
    measured = {0.5: 5.0, 2.0: -1.0, 6.0: 2.0}
    records = [Record(t, covariates=(("drive", measured[t]),) if t in measured else ()) for t in (0.0, *TIMES)]
    got = engine.build(integrator(), outputs=["x"]).solve(None, Records([records], way), rtol=1e-10)
    knots, values = np.array([*measured]), np.array([*measured.values()])
    want = integral(way, knots, values)
    want = want if way != "LOCF" else want + 0.5 * (7.0 - 5.0)  # before its first record an input is as it was
    assert np.allclose(got["x"][1:], want, rtol=1e-7)
    assert got.settings["covariates"] == {"drive": way}


@pytest.mark.parametrize("evid", [1, 3, 4])
@pytest.mark.parametrize("way", WAYS)
def test_steady_states_and_resets_keep_the_covariates_of_their_records(way, evid):
    """The steady state is that of the record's own value; what a reset cancels are doses."""
    s = system({"x": "-k*w*x"}, {"x": 0.0 if evid == 1 else 1.0}, {"k": 0.1}, inputs={"w": 1.0})
    steady = {"interval": 12.0, "steady": 1} if evid == 1 else {}
    dose = {"compartment": "x", "amount": 100.0, **steady} if evid != 3 else {}
    records = [
        Record(0.0, covariates=(("w", 1.0),)),
        Record(10.0, evid, covariates=(("w", 2.0),), **dose),
        Record(14.0, covariates=(("w", 1.0),)),
    ]
    got = engine.build(s, outputs=["x"]).solve(None, Records([records], way), rtol=1e-9)["x"]
    at_ten = {1: 100 / (1 - np.exp(-0.2 * 12)), 3: 1.0, 4: 101.0}[evid]
    mean = {"LOCF": 2.0, "NOCB": 1.0, "linear": 1.5}[way]
    assert np.allclose(got[2], at_ten * np.exp(-0.1 * mean * 4), rtol=1e-7)


def test_a_line_is_held_during_a_steady_state_without_a_measurement():
    s = system({"x": "-k*w*x"}, {"x": 0.0}, {"k": 0.1}, inputs={"w": 1.0})
    records = [
        Record(0.0, covariates=(("w", 1.0),)), Record(5.0, 1, "x", 100.0, interval=12.0, steady=1), Record(5.0),
        Record(10.0, covariates=(("w", 3.0),)),
    ]  # fmt: skip
    got = engine.build(s, outputs=["x"]).solve(None, Records([records], "linear"), rtol=1e-9)["x"]
    steady = 100 / (1 - np.exp(-0.1 * 2 * 12))
    assert np.allclose(got[2:], [steady, steady * np.exp(-0.1 * 2.5 * 5)], rtol=1e-7)


def test_what_cannot_be_meant():
    def put(**changes):
        schedule = engine.Schedule(2)
        schedule.covariate("drive", **{"times": KNOTS, "values": VALUES, "interpolation": "LOCF", **changes})
        return schedule

    for changes, text in (
        ({"interpolation": "spline"}, '"spline" is unknown; write one of LOCF, NOCB, linear'),
        ({"times": KNOTS[::-1]}, "must ascend"),
        ({"times": np.array([0.0, np.nan, 3.0])}, "write finite numbers"),
        ({"values": np.array([1.0, np.inf, 3.0])}, "write finite numbers"),
        ({"values": np.array([1.0, 2.0])}, "do not match"),
        ({"values": np.ones((3, 3))}, "not for 2 subjects"),
    ):
        with pytest.raises(ValueError, match=text):
            put(**changes)
    with pytest.raises(ValueError, match="already follows"):
        put().covariate("drive", times=KNOTS, values=VALUES, interpolation="NOCB")
    with pytest.raises(ValueError, match="unknown"):
        Records([[Record(0.0)]], "nearest")
    with pytest.raises(ValueError, match="nan; leave it out"):
        Records([[Record(0.0, covariates=(("drive", np.nan),))]])
    for way in WAYS:
        schedule = engine.Schedule(1)
        schedule.covariate("weight", times=KNOTS, values=VALUES[0], interpolation=way)
        with pytest.raises(ValueError, match='"weight" is no input'):
            engine.build(integrator(), outputs=["x"]).solve(None, schedule, [1.0])

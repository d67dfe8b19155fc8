"""The engine against answers that are known exactly."""

from __future__ import annotations

import numpy as np
import pytest

from respine import engine
from tests.engine.systems import one_compartment, system

TIMES = np.linspace(0, 24, 49)


def solve(sys, outputs, schedule=None, times=TIMES, **settings):
    vary = settings.pop("vary", ())
    options = settings.pop("options", None)
    parameters = settings.pop("parameters", None)
    settings.setdefault("rtol", 1e-8)
    return engine.build(sys, outputs=outputs, vary=vary, options=options).solve(parameters, schedule, times, **settings)


def test_exponential_decay():
    s = system({"x": "-k*x"}, {"x": 2.0}, {"k": 0.3})
    assert np.allclose(solve(s, ["x"])["x"][0], 2 * np.exp(-0.3 * TIMES), rtol=1e-7)


def test_explicit_time():
    s = system({"x": "cos(w*t)"}, {"x": 0.0}, {"w": 0.7})
    assert np.allclose(solve(s, ["x"])["x"][0], np.sin(0.7 * TIMES) / 0.7, atol=1e-7)


def test_output_of_time_and_of_rules():
    s = system({"x": "-x"}, {"x": 1.0}, rules={"twice": "2*x", "clock": "t + 0*x"})
    solution = solve(s, ["twice", "clock"])
    assert np.allclose(solution["twice"][0], 2 * np.exp(-TIMES), rtol=1e-6, atol=1e-10)
    assert np.allclose(solution["clock"][0], TIMES)


def bateman(t, dose, ka=1.5, k=1.1 / 20, V=20.0):
    t = np.maximum(t, 0)
    return dose * ka / (ka - k) * (np.exp(-k * t) - np.exp(-ka * t)) / V


def test_oral_doses_superpose():
    schedule = engine.Schedule(1)
    for at in (0.0, 5.0, 12.25):
        schedule.dose("depot", time=at, amount=100)
    got = solve(one_compartment(), ["concentration"], schedule)["concentration"][0]
    want = sum(np.where(at <= TIMES, bateman(TIMES - at, 100), 0) for at in (0.0, 5.0, 12.25))
    assert np.allclose(got, want, rtol=1e-6, atol=1e-9)


def infusion(t, rate, duration, k=1.1 / 20, V=20.0):
    during = rate / k * (1 - np.exp(-k * np.clip(t, 0, duration)))
    return during * np.exp(-k * np.maximum(t - duration, 0)) / V


def test_infusion_lag_and_fraction():
    schedule = engine.Schedule(3)
    schedule.dose("central", time=1.0, amount=np.array([100.0, 50.0, np.nan]), duration=np.array([2.0, 4.0, 1.0]),
                  lag=np.array([0.0, 0.75, 0.0]), fraction=0.8)  # fmt: skip
    got = solve(one_compartment(), ["concentration"], schedule, parameters=np.zeros((3, 0)))["concentration"]
    assert np.allclose(got[0], infusion(TIMES - 1, 40, 2), rtol=1e-6, atol=1e-10)
    assert np.allclose(got[1], infusion(TIMES - 1.75, 10, 4), rtol=1e-6, atol=1e-10)
    assert np.all(got[2] == 0)


def test_overlapping_infusions_end_at_exactly_zero():
    schedule = engine.Schedule(1)
    for at, over in ((0.0, 3.0), (1.0, 0.7), (2.0, 0.1)):
        schedule.dose("central", time=at, amount=0.1, duration=over)
    s = system({"central": "0*central"}, {"central": 0.0})
    solution = solve(s, ["central"], schedule, times=[0, 3, 30])
    assert np.isclose(solution["central"][0, 1], 0.3, rtol=1e-12)
    assert solution["central"][0, 2] == solution["central"][0, 1]


@pytest.mark.parametrize("after", [False, True])
def test_output_at_the_time_of_a_dose(after):
    schedule = engine.Schedule(1)
    schedule.dose("x", time=0.0, amount=1.0)
    schedule.dose("x", time=2.0, amount=1.0)
    s = system({"x": "-0.5*x"}, {"x": 0.0})
    got = solve(s, ["x"], schedule, times=[0, 2, 4], after=after)["x"][0]
    at_two = np.exp(-1.0)
    at_four = (at_two + 1) * np.exp(-1.0)
    want = [1, at_two + 1, at_four] if after else [0, at_two, at_four]
    assert np.allclose(got, want, rtol=1e-7)


def test_reset_ends_infusions_and_restores_the_start():
    schedule = engine.Schedule(1)
    schedule.dose("x", time=0.0, amount=10.0, duration=10.0)
    schedule.reset(time=4.0)
    s = system({"x": "0*x"}, {"x": 3.0})
    assert np.allclose(solve(s, ["x"], schedule, times=[3.9, 5.0])["x"][0], [6.9, 3.0])


def test_inputs_change_in_time():
    schedule = engine.Schedule(2)
    schedule.set("drive", time=-5.0, value=np.array([1.0, 2.0]))
    schedule.set("drive", time=0.0, value=0.0)
    s = system({"x": "drive - 0*x"}, {"x": 0.0}, inputs={"drive": 0.0})
    got = solve(s, ["x", "drive"], schedule, times=[-2.5, 0, 3], start=-10.0, parameters=np.zeros((2, 0)))
    assert np.allclose(got["x"], [[2.5, 5, 5], [5, 10, 10]])
    assert np.allclose(got["drive"], [[1, 1, 0], [2, 2, 0]])


def test_start_values_from_parameters():
    s = system({"x": "k*(x0 - x)"}, {"x": "x0"}, {"k": 1.0, "x0": 5.0})
    got = solve(s, ["x"], vary=["x0"], parameters=np.array([[1.0], [7.0]]), options=engine.Options(keep_all=True))
    assert np.allclose(got["x"], [[1.0], [7.0]])


FUNCTIONS = {
    "exp(x)": np.exp, "ln(x)": np.log, "sqrt(x)": np.sqrt, "sin(9*x)": lambda x: np.sin(9 * x),
    "cos(9*x)": lambda x: np.cos(9 * x), "tan(x/9)": lambda x: np.tan(x / 9), "asin(x/9)": lambda x: np.arcsin(x / 9),
    "acos(x/9)": lambda x: np.arccos(x / 9), "atan(x)": np.arctan, "sinh(x)": np.sinh, "cosh(x)": np.cosh,
    "tanh(x)": np.tanh, "floor(x)": np.floor, "ceil(x)": np.ceil, "abs(1-x)": lambda x: abs(1 - x),
    "x**2.5": lambda x: x**2.5, "x**-3": lambda x: x**-3.0, "x**p": lambda x: x**1.3, "2**x": lambda x: 2**x,
    "min(x, 2)": lambda x: np.minimum(x, 2), "max(x, 2)": lambda x: np.maximum(x, 2),
    "1 if x > 2 else x": lambda x: np.where(x > 2, 1, x), "1/x": lambda x: 1 / x,
}  # fmt: skip


@pytest.mark.parametrize("lanes", [None, 4, 2])
def test_elementary_functions(lanes):
    s = system({"x": "1 + 0*x"}, {"x": 0.25}, {"p": 1.3}, rules={f"f{k}": text for k, text in enumerate(FUNCTIONS)})
    solution = solve(s, ["x", *s.rules], times=np.linspace(0, 6, 200), options=engine.Options(lanes=lanes))
    x = solution["x"][0]
    for k, (text, function) in enumerate(FUNCTIONS.items()):
        got, want = solution[f"f{k}"][0], function(x)
        if text in ("floor(x)", "ceil(x)"):
            clear = np.abs(x - np.round(x)) > 1e-9
            got, want = got[clear], want[clear]
        assert np.allclose(got, want, rtol=3e-14, atol=3e-15), text


def test_float32_agrees_to_its_tolerance():
    schedule = engine.Schedule(1)
    schedule.dose("depot", time=0.0, amount=100)
    options = engine.Options(precision="float32")
    got = solve(one_compartment(), ["concentration"], schedule, rtol=1e-5, options=options)["concentration"][0]
    assert np.allclose(got, bateman(TIMES, 100), rtol=5e-4, atol=5e-5)


def test_both_drivers_take_the_same_steps():
    """One keeps the pace of all lanes in vector code, the other that of one subject in Python."""
    s = system({"x": "y", "y": "mu*(1 - x*x)*y - x + 0.3*sin(t)"}, {"x": 2.0, "y": 0.0}, {"mu": 20.0})
    times = np.linspace(0, 60, 31)
    lanes = engine.build(s, outputs=["x", "y"]).solve(None, None, times, rtol=1e-6)
    single = engine.solve_with_events(s, times, ["x", "y"], rtol=1e-6)
    assert np.array_equal(lanes.values, single.values)
    assert np.array_equal(lanes.steps, single.steps)
    assert np.all(lanes.steps > 10)

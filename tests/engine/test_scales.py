"""Never silently wrong: models that count in very small numbers, functions near zero, the range of float32."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from respine import engine
from respine.engine import Record, Records, Status
from respine.engine.equations.growth import first_sizes, multiply_themselves
from respine.model.system import Event
from tests.engine.systems import formula, system

TIMES = np.array([1.0, 10.0, 50.0])
UNITS = [1.0, 1e-3, 1e-6, 1e-9, 1e-12, 1e-15, 1e-20]
SECOND_ORDER = 1 / (1 + 0.5 * TIMES)


def second_order(unit: float, start: float | str):
    return system({"A": "-0.5*A*A/unit"}, {"A": start}, {"unit": unit})


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("method", ["rodas5p", "rodas4"])
def test_the_unit_of_a_model_does_not_matter(unit, method):
    """The same decay of second order in mol, mmol, ... down to single molecules."""
    solver = engine.build(second_order(unit, unit), outputs=["A"], options=engine.Options(method=method))
    for locate in (None, True):
        got = solver.solve(times=TIMES, locate_jumps=locate)
        assert not got.failures and np.allclose(got["A"][0] / unit, SECOND_ORDER, rtol=5e-5)
        assert "below_atol" not in got.settings


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("how", ["bolus", "infusion", "record", "initial", "start by a formula"])
def test_the_unit_of_doses_does_not_matter(unit, how):
    """A -> B -> C with second order on the way: states that start at zero follow the size of the doses."""
    s = system({"A": "-A", "B": "A - 2*B*B/unit", "C": "2*B*B/unit - 0.1*C"},
               {"A": "begin", "B": 0.0, "C": 0.0}, {"unit": unit, "begin": 0.0})  # fmt: skip
    fixed = {"begin": unit} if how == "start by a formula" else {}
    solver = engine.build(s, outputs=["B", "C"], fixed=fixed)
    big = engine.build(s, outputs=["B", "C"], fixed={"unit": 1.0, **({"begin": 1.0} if fixed else {})})

    def solve(solver, unit, rtol):
        if how == "record":
            lines = [Record(0.0, 1, "A", unit), *map(Record, TIMES)]
            return solver.solve(None, Records([lines]), rtol=rtol).values[1:]
        schedule = engine.Schedule(1)
        if how in ("bolus", "infusion"):
            schedule.dose("A", time=0.0, amount=unit, duration=2.0 if how == "infusion" else 0.0)
        initial = {"A": unit} if how == "initial" else None
        return solver.solve(None, schedule, TIMES, rtol=rtol, initial=initial).values[0]

    assert np.allclose(solve(solver, unit, 1e-5) / unit, solve(big, 1.0, 1e-9), rtol=1e-4)


def test_people_dosed_in_very_different_amounts():
    """Each is held to the own scale, and gets the same bits alone and among others."""
    n = 12
    unit = 10.0 ** -np.arange(n)
    s = system({"A": "-0.5*A*A/unit", "B": "0.5*A*A/unit - B"}, {"A": 0.0, "B": 0.0}, {"unit": 1.0})
    solver = engine.build(s, outputs=["A", "B"], vary=["unit"])

    def solve(who):
        schedule = engine.Schedule(len(who))
        schedule.dose("A", time=0.0, amount=unit[who])
        schedule.dose("A", time=20.0, amount=np.where(who % 2, unit[who], np.nan), duration=1.0)
        return solver.solve(unit[who][:, None], schedule, TIMES)

    got = solve(np.arange(n))
    assert not got.failures and got.values.shape == (n, 3, 2)
    assert np.allclose(got["A"][:, :2] / unit[:, None], SECOND_ORDER[:2], rtol=1e-4)
    for k in (0, 5, 11):
        assert np.array_equal(solve(np.array([k])).values[0], got.values[k])
    lines = [[Record(0.0, 1, "A", u), *map(Record, TIMES)] for u in unit]
    records = solver.solve(unit[:, None], Records(lines))["A"].reshape(n, 4)[:, 1:]
    assert np.allclose(records / unit[:, None], SECOND_ORDER, rtol=1e-4)


def test_failures_and_slopes_keep_their_subjects_when_solved_apart():
    s = system({"A": "-k*A*A/unit"}, {"A": 0.0}, {"unit": 1.0, "k": 0.5})
    unit, k = np.array([1.0, 1e-9, 1e-9, 1.0]), np.array([0.5, 0.5, np.nan, 0.5])
    schedule = engine.Schedule(4)
    schedule.dose("A", time=0.0, amount=unit)
    solver = engine.build(s, outputs=["A"], vary=["unit", "k"], sensitivities=["k"])
    got = solver.solve(np.column_stack([unit, k]), schedule, TIMES, rtol=1e-6)
    assert got.status.tolist() == [0, 0, Status.BAD_PARAMETER, 0] and [f.subject for f in got.failures] == [2]
    want = -TIMES / (1 + 0.5 * TIMES) ** 2
    assert np.allclose(got.gradient("A", "k")[[0, 1, 3]] / unit[[0, 1, 3], None], want, rtol=1e-4)


def test_what_tolerance_was_used_is_told():
    solver = engine.build(system({"a": "-a", "b": "-b"}, {"a": 1.0, "b": 1e-9}), outputs=["a", "b"])
    assert solver.solve(times=TIMES).settings["atol"] == {"b": pytest.approx(1e-17), "others": pytest.approx(1e-8)}
    assert solver.solve(times=TIMES, atol=1e-6).settings["atol"] == 1e-6
    ordinary = engine.build(system({"a": "-a"}, {"a": 1.0}), outputs=["a"]).solve(times=TIMES)
    assert ordinary.settings["atol"] == pytest.approx(1e-8)


@pytest.mark.parametrize("locate", [False, True])
def test_a_state_that_never_rises_above_its_tolerance_is_told(locate):
    """A tiny production nobody could foresee, and a tolerance the user gave."""
    s = system({"a": "-a", "b": "1e-12*c - b", "c": "a - c"}, {"a": 1.0, "b": 0.0, "c": 0.0})
    solver = engine.build(s, outputs=["a", "b"])
    assert solver.solve(times=TIMES, locate_jumps=locate).settings["below_atol"] == ["b"]
    finer = solver.solve(times=TIMES, atol={"b": 1e-20}, locate_jumps=locate)
    assert "below_atol" not in finer.settings
    assert np.allclose(finer["b"][0, :2], 0.5e-12 * TIMES[:2] ** 2 * np.exp(-TIMES[:2]), rtol=1e-4)
    coarse = engine.build(second_order(1e-9, 1e-9), outputs=["A"]).solve(times=TIMES, atol=1e-8, locate_jumps=locate)
    assert coarse.settings["below_atol"] == ["A"]


def test_events_of_small_states():
    s = system({"A": "-A"}, {"A": 1e-12}, inputs={"n": 0.0})
    s = type(s)(**{**s.__dict__, "events": (Event("half", formula("A < 5e-13"), (("n", formula("t")),)),)})
    got = engine.build(s, outputs=["n"]).solve(times=[5.0], rtol=1e-8)["n"][0, 0]
    assert got == pytest.approx(np.log(2), rel=1e-6)


# ---- functions near zero ---------------------------------------------------------------------------------------------
NEAR_ZERO = {"sinh": np.sinh, "tanh": np.tanh, "asinh": np.arcsinh, "atanh": np.arctanh, "cosh": np.cosh, "sin": np.sin}


def value_of(name: str, x: np.ndarray, precision: str = "float64") -> np.ndarray:
    solver = engine.build(system({"y": "0*y"}, {"y": 1.0}, {"x": 0.5}, rules={"f": f"{name}(x)*y"}), outputs=["f"], vary=["x"],
                          options=engine.Options(precision=precision, keep_all=True))  # fmt: skip
    return solver.solve(x[:, None], times=[1.0])["f"][:, 0]


@pytest.mark.parametrize("name", list(NEAR_ZERO))
def test_hyperbolic_functions_keep_their_digits_near_zero(name):
    x = np.concatenate([10.0 ** np.linspace(-300, -1, 60), np.linspace(0.05, 0.999, 60)])
    x = np.concatenate([-x, x])
    want = NEAR_ZERO[name](x)
    assert np.allclose(value_of(name, x), want, rtol=4e-15, atol=0)
    narrow = np.abs(x) > 1e-30
    assert np.allclose(value_of(name, x[narrow], "float32"), want[narrow], rtol=2e-6, atol=0)


@given(st.sampled_from(["sinh", "tanh", "asinh"]), st.floats(-40, 40))
@settings(max_examples=60, deadline=None)
def test_hyperbolic_functions_everywhere(name, x):
    assert np.allclose(value_of(name, np.array([x])), NEAR_ZERO[name](x), rtol=2e-14, atol=1e-307)


def test_acosh_near_one():
    x = 1 + 10.0 ** np.linspace(-15, 2, 40)
    assert np.allclose(value_of("acosh", x), np.arccosh(x), rtol=1e-14)


@pytest.mark.parametrize("name", ["sinh", "tanh", "asinh", "atanh", "cosh"])
@pytest.mark.parametrize("x", [1e-12, -1e-3, 0.3, -0.7])
def test_their_slopes_too(name, x):
    s = system({"y": "0*y"}, {"y": 1.0}, {"x": x}, rules={"f": f"{name}(x)*y"})
    solver = engine.build(s, outputs=["f"], sensitivities=["x"], options=engine.Options(keep_all=True))
    slope = {"sinh": np.cosh, "tanh": lambda v: 1 / np.cosh(v) ** 2, "asinh": lambda v: 1 / np.sqrt(1 + v * v),
             "atanh": lambda v: 1 / (1 - v * v), "cosh": np.sinh}[name]  # fmt: skip
    assert solver.solve(times=[1.0]).gradient("f", "x")[0, 0] == pytest.approx(slope(x), rel=1e-13)


# ---- float32 ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("rate", "start"),
    [
        ("-1e-60*y/(y*y*1e-60)", 1e-3),
        ("1e30*y*y*1e30 - y", 1.0),
        ("exp(100*y)*1e-40 - y", 1.0),
        ("1/(y*y*1e-50) - y", 1.0),
    ],
)
def test_the_range_of_float32_is_told_as_such(rate, start):
    """What fits float64 and not float32 is no "logarithm or power of a negative number"."""
    s = system({"y": rate}, {"y": start})
    got = engine.build(s, outputs=["y"], options=engine.Options(precision="float32")).solve(times=[1e-3])
    (failure,) = got.failures
    assert failure.status is Status.FLOAT32_RANGE and "float64" in failure.cure and "float32" in failure.reason


def test_a_number_that_float64_cannot_form_either_stays_what_it_is():
    s = system({"y": "ln(y - 2)"}, {"y": 1.0})
    got = engine.build(s, outputs=["y"], options=engine.Options(precision="float32")).solve(times=[1.0])
    assert got.failures[0].status is Status.NOT_FINITE


# -- what is lost while a state is small ------------------------------------------------------------------------------

TIMES_20 = np.array([1.0, 5.0, 20.0])
SMALL_SOURCES = [1e-6, 1e-9, 1e-12, 1e-16, 1e-20]
FED = {
    "y + e": lambda e: e * np.expm1(TIMES_20),
    "1/(y + e)": lambda e: 2 * TIMES_20 / (np.sqrt(e * e + 2 * TIMES_20) + e),
    "sqrt(y*y + e)": lambda e: np.sqrt(e) * np.sinh(TIMES_20),
    "sqrt(y + e)": lambda e: TIMES_20 * (np.sqrt(e) + TIMES_20 / 4),
    "sqrt(max(y, e))": lambda e: (np.sqrt(e) + (TIMES_20 - np.sqrt(e)) / 2) ** 2,
    "e - 0.3*y": lambda e: e / 0.3 * -np.expm1(-0.3 * TIMES_20),
    "(y + e)*(1 - y)": lambda e: e * np.expm1(TIMES_20 * (1 + e)) / (1 + e * np.exp(TIMES_20 * (1 + e))),
    "0.5*y*t + e*exp(t*t/4)": lambda e: e * TIMES_20 * np.exp(TIMES_20**2 / 4),
}


@pytest.mark.parametrize("e", SMALL_SOURCES)
@pytest.mark.parametrize("rate", list(FED))
@pytest.mark.parametrize("locate", [None, True])
def test_what_begins_at_zero_beside_a_small_number(rate, e, locate):
    """An absolute tolerance of 1e-8 let 1/(y + 1e-12) go down instead of up, and y' = y + 1e-9 end 5 % off."""
    solver = engine.build(system({"y": rate}, {"y": 0.0}, {"e": e}), outputs=["y"])
    times = TIMES_20[:2] if "exp(t*t/4)" in rate else TIMES_20
    got = solver.solve(times=times, locate_jumps=locate)
    assert not got.failures and np.allclose(got["y"][0], FED[rate](e)[: len(times)], rtol=1e-3, atol=0)


@pytest.mark.parametrize("rtol", [1e-5, 1e-8])
@pytest.mark.parametrize("kill", [1.5, 3.0, 5.0])
def test_cells_come_back_from_next_to_nothing(kill, rtol):
    """Killed for ten hours down to 1e-22, then growing again: only the cells themselves bring them back."""
    times = np.array([5.0, 10.0, 40.0, 70.0])
    s = system({"y": "y*(1 - drug*(t < 10))", "z": "y - z"}, {"y": 1.0, "z": 0.0}, {"drug": kill})
    got = engine.build(s, outputs=["y"]).solve(times=times, rtol=rtol)
    want = np.exp(np.where(times < 10, (1 - kill) * times, (1 - kill) * 10 + times - 10))
    assert not got.failures and np.allclose(got["y"][0], want, rtol=30 * rtol + 1e-7, atol=0)
    assert "below_atol" not in got.settings


def test_prey_that_falls_below_every_tolerance_and_returns_is_told():
    s = system({"x": "x*(1 - 5*y)", "y": "y*(3*x - 0.3)"}, {"x": 10.0, "y": 1.0})
    got = engine.build(s, outputs=["x", "y"]).solve(times=np.linspace(0, 90, 46))
    assert got.settings["below_atol"] == ["x"]  # it falls to 1e-46
    shallow = engine.build(s, outputs=["x", "y"]).solve(times=[5.0, 12.0], initial={"x": 0.2, "y": 0.2})
    assert "below_atol" not in shallow.settings


@pytest.mark.parametrize("seed", [1e-3, 1e-9])
def test_an_epidemic_from_a_small_seed(seed):
    rates = {"S": "-0.5*S*I/1e6", "E": "0.5*S*I/1e6 - 0.2*E", "I": "0.2*E - 0.25*I"}
    got = engine.build(system(rates, {"S": 1e6, "E": 0.0, "I": seed}), outputs=["I"])
    times = np.array([10.0, 50.0, 100.0, 200.0])
    want = solve_ivp(
        lambda t, y: [-0.5e-6 * y[0] * y[2], 0.5e-6 * y[0] * y[2] - 0.2 * y[1], 0.2 * y[1] - 0.25 * y[2]],
        (0, 200), [1e6, 0.0, seed], "Radau", t_eval=times, rtol=1e-11, atol=1e-25,
    ).y[2]  # fmt: skip
    assert np.allclose(got.solve(times=times)["I"][0], want, rtol=1e-3)


@pytest.mark.parametrize(
    ("rates", "found"),
    [
        ({"y": "k*y*(1 - y)"}, "y"), ({"y": "y*(a - k)"}, "y"), ({"y": "y*y/(1 + y*y)"}, "y"), ({"y": "-y*ln(y)"}, "y"),
        ({"y": "-k*y"}, ""), ({"y": "a - k*y"}, ""), ({"y": "a*(1 - y)"}, ""), ({"y": "-a*y - k*y/(1 + y)"}, ""),
        ({"y": "k*(x - y)", "x": "k*(y - x)"}, ""), ({"x": "x*(1 - y)", "y": "y*(x - 1)"}, "xy"), ({"y": "(t > 3)*y"}, "y"),
        ({"y": "-k*y + x", "x": "-x*y"}, ""), ({"y": "k*growth - a*y"}, "y"), ({"y": "min(y, 1) - y**2"}, "y"),
    ],
)  # fmt: skip
def test_states_that_multiply_themselves_are_read_from_the_formulas(rates, found):
    s = system(rates, dict.fromkeys(rates, 1.0), {"k": 0.3, "a": 0.5}, rules={"growth": "y*2"})
    assert multiply_themselves(s) == set(found)


def test_a_difference_that_is_rounding_is_no_size():
    """At rest to the last digit: the state that starts at zero is not held to 1e-17."""
    s = system({"y": "k*a - m*b - 0.1*y", "a": "0*a", "b": "0*b"}, {"y": 0.0, "a": 0.1, "b": 0.3}, {"k": 3.0, "m": 1.0})
    assert first_sizes(s, s.parameters, {"y": 0.0, "a": 0.1, "b": 0.3}, 0.0) == {}
    assert first_sizes(s, {"k": 3.1, "m": 1.0}, {"y": 0.0, "a": 0.1, "b": 0.3}, 0.0) == {}
    assert first_sizes(system({"y": "e - y"}, {"y": 0.0}, {"e": 1e-9}), {"e": 1e-9}, {"y": 0.0}, 0.0)["y"] <= 1e-9

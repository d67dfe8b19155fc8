"""Never silently wrong: what happens between two samples, or within one step, is not passed over."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from respine import engine
from respine.engine import Record, Records, Status
from respine.engine.events.intervals import bounds
from respine.engine.events.time_conditions import Clock
from respine.model.expression import evaluate
from respine.model.system import Event
from tests.engine.systems import formula, one_compartment, system

K = 0.1
DAY = "(t - 24*floor(t/24))"


def both(*texts: str):
    first, *rest = map(formula, texts)
    for part in rest:
        first = ("and", first, part)
    return first


def fed(condition, rate=10.0, **more):
    """A state that is fed while a condition holds and decays at rate K."""
    s = system({"A": "-k*A"}, {"A": 0.0}, {"k": K, **more.pop("parameters", {})}, **more)
    return replace(s, rates={"A": ("add", ("if", condition, ("num", rate), ("num", 0.0)), s.rates["A"])})


def pulses(times, begins, lengths, rate=10.0):
    """Closed form for pulses of known place."""
    times = np.asarray(times, float)[:, None]
    during = np.clip(times - begins, 0, lengths)
    gone = np.maximum(times - begins - lengths, 0)
    return np.sum(rate / K * -np.expm1(-K * during) * np.exp(-K * gone), axis=1)


def solve(s, times, **more):
    solution = engine.build(s, outputs=["A"]).solve(times=times, **{"rtol": 1e-8, **more})
    assert not solution.failures, solution.failures
    return solution["A"][0]


# ---- equations that jump at known times ------------------------------------------------------------------------------
DAYS = 24.0 * np.arange(400)
PULSES = {
    "once": (both("t >= 100", "t < 110"), [100.0], [10.0]),
    "short": (both("t > 100", "t < 100.001"), [100.0], [0.001]),
    "hair": (both("t > 100", "t < 100.0000001"), [100.0], [1e-7]),
    "daily": (formula(f"{DAY} < 0.5"), DAYS, 0.5),
    "daily and short": (formula(f"{DAY} < 0.001"), DAYS, 0.001),
    "daily, late": (both(f"{DAY} > 7.25", f"{DAY} <= 7.5"), DAYS + 7.25, 0.25),
    "workdays": (("and", formula(f"{DAY} < 1"), formula("t - 168*floor(t/168) < 120")), DAYS[np.arange(400) % 7 < 5], 1.0),
    "either": (("or", both("t > 3", "t < 4"), both("t > 600", "t < 600.25")), [3.0, 600.0], [1.0, 0.25]),
    "not": (("not", ("or", formula("t < 50"), formula("t >= 51"))), [50.0], [1.0]),
    "sine": (formula("sin(0.2617993877991494*t) > 0.999"), 24 * np.arange(400) + 12 * np.arcsin(0.999) / np.pi,
             12 - 24 * np.arcsin(0.999) / np.pi),
    "scaled": (both("t/24 >= 10", "24*t < 5784"), [240.0], [1.0]),
    "far out": (both("t >= 1e4", "t < 10001"), [1e4], [1.0]),
    "exclusive or": (("xor", formula("t > 10"), formula("t > 11")), [10.0], [1.0]),
    "bell": (formula("exp(-(t - 300)**2) > 0.5"), [300 - np.sqrt(np.log(2))], [2 * np.sqrt(np.log(2))]),
}  # fmt: skip


@pytest.mark.parametrize("locate", [None, True])
@pytest.mark.parametrize("name", list(PULSES))
def test_a_pulse_in_the_equations_is_not_passed_over(name, locate):
    condition, begins, lengths = PULSES[name]
    times = [1.0, 105.0, 241.0, 602.0, 1e4 + 0.5, 1.2e4]
    got = solve(fed(condition), times, locate_jumps=locate, atol=1e-14)
    begins = np.asarray(begins, float)
    kept = begins < 9e3 if name != "far out" else begins > 0
    if len(begins) == 400:  # to the end of the run
        begins, kept = begins[:1] + 24 * np.arange(600), slice(None)
        lengths = np.broadcast_to(lengths, (600,))
    elif name == "workdays":
        begins = 24.0 * np.arange(600)[np.arange(600) % 7 < 5]
        kept = slice(None)
    want = pulses(times, begins[kept], np.broadcast_to(lengths, begins.shape)[kept])
    assert np.allclose(got, want, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("depth", [1, 3])
def test_a_pulse_behind_rules_and_choices(depth):
    rules = {"clock": "t - 24*floor(t/24)", "open": "1 if clock < 0.5 else 0"}
    for k in range(depth):
        rules[f"r{k}"] = f"2*{'open' if k == 0 else f'r{k - 1}'} if t > 0 else 0"
    s = system({"A": f"{10 / 2**depth}*r{depth - 1} - k*A"}, {"A": 0.0}, {"k": K}, rules=rules)
    times = [12.0, 120.0, 240.0 - 1e-6]
    assert np.allclose(solve(s, times), pulses(times, 24.0 * np.arange(10), 0.5), rtol=1e-6)


def test_outputs_follow_the_formula_as_written():
    s = system({"A": "f - k*A"}, {"A": 0.0}, {"k": K}, rules={"f": "10 if t >= 100 else 0", "g": "f + A"})
    got = engine.build(s, outputs=["f", "g", "A"]).solve(times=[0.0, np.nextafter(100, 0), 100.0, 101.0]).values[0]
    assert got[:, 0].tolist() == [0, 0, 10, 10] and np.array_equal(got[:, 1], got[:, 0] + got[:, 2])


def test_everybody_has_an_own_pulse_among_doses():
    """Its time varies between people, and with an input that a schedule changes; doses go on."""
    n = 50
    when, length = np.linspace(5, 500, n), np.linspace(0.01, 3, n)
    s = fed(
        both("t >= when + late", "t < when + late + length"),
        parameters={"when": 1.0, "length": 1.0},
        inputs={"late": 0.0},
    )
    solver = engine.build(s, outputs=["A"], vary=["when", "length"])
    p = np.column_stack([when, length])
    schedule = engine.Schedule(n)
    schedule.dose("A", time=2.0, amount=np.where(np.arange(n) % 2, 3.0, np.nan))
    dosed = np.where(np.arange(n) % 2, 3 * np.exp(-K * 518.0), 0)
    got = solver.solve(p, schedule, [0.0, 520.0], rtol=1e-9, atol=1e-14)
    want = np.array([pulses([520.0], w, m)[0] for w, m in p])
    assert np.allclose(got["A"][:, 1], want + dosed, rtol=1e-6)
    schedule.set("late", time=3.0, value=7.0)
    got = solver.solve(p, schedule, [520.0], rtol=1e-9, atol=1e-14)
    want = np.array([pulses([520.0], w + 7, m)[0] for w, m in p])
    assert np.allclose(got["A"][:, 0], want + dosed, rtol=1e-6)
    assert "conditions of time located" in got.settings["jumps"]


def test_an_input_opens_and_closes_a_window_before_its_time():
    s = fed(both("t >= begin", "t < begin + 1"), inputs={"begin": 1e9})
    schedule = engine.Schedule(2)
    schedule.set("begin", time=10.0, value=np.array([20.0, 9.5]))
    schedule.set("begin", time=np.array([20.5, np.nan]), value=np.array([1e9, np.nan]))
    got = engine.build(s, outputs=["A"]).solve(np.zeros((2, 0)), schedule, [100.0], rtol=1e-9, atol=1e-14)["A"][:, 0]
    assert np.allclose(got, [pulses([100.0], 20.0, 0.5)[0], pulses([100.0], 10.0, 0.5)[0]], rtol=1e-6)


def test_records_and_steady_state_with_pulses():
    """A daily pulse in the equations and a daily dose, both in steady state; then samples inside a pulse."""
    s = fed(formula(f"{DAY} < 0.5"))
    lines = [
        Record(240.0, 1, "A", 5.0, interval=24.0, steady=1, additional=3),
        Record(240.0),
        Record(240.25),
        Record(300.0),
    ]
    got = engine.build(s, outputs=["A"]).solve(None, Records([lines]), rtol=1e-9)["A"][1:]
    past = 240 - 24.0 * np.arange(-3, 200)
    times = np.array([240.0, 240.25, 300.0])
    doses = np.array([np.sum(5 * np.exp(-K * (t - past[past <= t]))) for t in times])
    assert np.allclose(got, doses + pulses(times, past, 0.5), rtol=1e-6)


def test_precisions_methods_and_sensitivities():
    condition, begins, _ = PULSES["daily"]
    times = [200.0, 700.0]
    want = pulses(times, np.asarray(begins), 0.5)
    others = {"method": "rodas4"}, {"precision": "float32"}, {"conserved": True}, {"keep_all": True, "lanes": 1}
    for options in others:
        tolerance = 1e-3 if "precision" in options else 1e-5
        got = engine.build(fed(condition), outputs=["A"], options=engine.Options(**options)).solve(
            times=times, rtol=1e-6
        )
        assert not got.failures and np.allclose(got["A"][0], want, rtol=tolerance), options
    got = engine.build(fed(condition), outputs=["A"], sensitivities=["k"]).solve(times=times, rtol=1e-8)
    step = 1e-5
    higher, lower = (engine.build(fed(condition), outputs=["A"], fixed={"k": K + d}).solve(times=times, rtol=1e-11)["A"][0]
                     for d in (step, -step))  # fmt: skip
    assert np.allclose(got.gradient("A", "k")[0], (higher - lower) / (2 * step), rtol=1e-5)


def test_the_same_bits_at_any_number_of_threads_and_neighbours():
    s = fed(both("t >= when", "t < when + 0.1"), parameters={"when": 1.0})
    solver = engine.build(s, outputs=["A"], vary=["when"])
    p = np.linspace(1, 90, 60)[:, None]
    first, two = (solver.solve(p, times=[50.0, 100.0], threads=n).values for n in (1, 2))
    alone = solver.solve(p[31:32], times=[50.0, 100.0]).values
    assert np.array_equal(first, two) and np.array_equal(first[31], alone[0])


@given(st.floats(0.1, 900), st.floats(-7, 1).map(lambda e: 10.0**e), st.floats(1e-3, 50.0))
@settings(max_examples=30, deadline=None)
def test_any_pulse_is_met(begin, length, rate):
    s = fed(both(f"t >= {begin!r}", f"t < {begin + length!r}"), rate)
    got = solve(s, [1000.0], atol=1e-300, rtol=1e-9)
    assert got[0] == pytest.approx(pulses([1000.0], begin, begin + length - begin, rate)[0], rel=1e-5)


# ---- conditions of time from the start -------------------------------------------------------------------------------
@pytest.mark.parametrize("locate", [None, True, False])
def test_steps_of_scaled_time_from_zero(locate):
    """A ceiling of time leaves zero at once; the first flip must not become a step of no length."""
    for text, want in (("ceil(t/24)", 6.32121), ("-floor(-t/24)", 6.32121), ("(1 if t/24 > 0 else 0)", 6.32121)):
        s = system({"x": f"{text} - 0.1*x"}, {"x": 0.0})
        got = engine.build(s, outputs=["x"]).solve(times=[0.0, 10.0], locate_jumps=locate)
        assert got["x"][0, 1] == pytest.approx(want, rel=1e-4), text


@pytest.mark.parametrize("trigger", ["t/24 > 0", "t > 0", "t*1e-9 > 0", "ceil(t/24) > 0", "floor(-t/7) < 0"])
def test_an_event_just_after_the_start(trigger):
    s = system({"y": "-0.1*y"}, {"y": 1.0})
    s = replace(s, events=(Event("e", formula(trigger), (("y", formula("5")),), initial_value=False),))
    got = engine.build(s, outputs=["y"]).solve(times=[10.0])["y"][0, 0]
    assert got == pytest.approx(5 * np.exp(-1), rel=1e-4)


# ---- triggers of time ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("days", [10, 100, 365])
@pytest.mark.parametrize(
    ("trigger", "first"),
    [
        (f"{DAY} < 0.5", 24.0), (f"{DAY} < 0.01", 24.0), (f"{DAY} < 1e-5", 24.0), (f"{DAY} > 23.999", 23.999),
        ("sin(0.2617993877991494*t) > 0.99999", 12 * np.arcsin(0.99999) / np.pi),
        ("cos(0.2617993877991494*t) > 0.999999", 24 - 12 * np.arccos(0.999999) / np.pi),
    ],
)  # fmt: skip
def test_narrow_clock_triggers(trigger, first, days):
    dose = Event("dose", formula(trigger), (("A", formula("A + 100")),))
    s = replace(system({"A": "-0.1*A"}, {"A": 0.0}), events=(dose,))
    end = 24.0 * days - 1e-6
    given_at = np.arange(first, end, 24.0)
    got = engine.build(s, outputs=["A"]).solve(times=[end])["A"][0, 0]
    assert got == pytest.approx(100 * np.exp(-0.1 * (end - given_at)).sum(), rel=1e-4)


def test_a_clock_that_an_event_sets_anew():
    """Each event moves the next one: every 7 h from the last."""
    dose = Event("dose", formula("t > last + 7"), (("A", formula("A + 1")), ("last", formula("t"))))
    s = replace(system({"A": "-0.1*A"}, {"A": 0.0}, inputs={"last": 0.0}), events=(dose,))
    got = engine.build(s, outputs=["A"]).solve(times=[200.0], rtol=1e-8)["A"][0, 0]
    assert got == pytest.approx(np.exp(-0.1 * (200 - 7.0 * np.arange(1, 29))).sum(), rel=1e-5)


# ---- windows of the state --------------------------------------------------------------------------------------------
def windowed(low: float, high: float, shape: str):
    """B gains 1000 a time unit while the decaying x lies in a narrow window, written in several ways."""
    inside = both(f"x > {low!r}", f"x < {high!r}")
    rules = {"in_it": inside, "margin": ("mul", formula(f"x - {low!r}"), formula(f"{high!r} - x"))}
    condition = {
        "and": inside,
        "rule": ("sym", "in_it"),
        "rule > 0.5": ("gt", ("sym", "in_it"), ("num", 0.5)),
        "behind if": ("if", formula(f"x > {low!r}"), formula(f"x < {high!r}"), ("num", 0.0)),
        "nested": ("and", ("not", formula(f"x <= {low!r}")), ("or", formula(f"x < {high!r}"), formula("x > 1e9"))),
        "product": formula(f"(x - {low!r})*({high!r} - x) > 0"),
        "margin": ("gt", ("sym", "margin"), ("num", 0.0)),
    }[shape]
    s = system({"x": "-x", "B": "0*B"}, {"x": 1.0, "B": 0.0})
    return replace(s, rules=rules, rates={**s.rates, "B": ("if", condition, ("num", 1000.0), ("num", 0.0))})


@pytest.mark.parametrize("width", [1e-2, 1e-4, 1e-6])
@pytest.mark.parametrize("shape", ["and", "rule", "rule > 0.5", "behind if", "nested"])
def test_windows_of_the_state_inside_a_step(shape, width):
    low = 0.3
    high = low * (1 + width)
    got = engine.build(windowed(low, high, shape), outputs=["B"]).solve(times=[5.0], rtol=1e-9, atol=1e-12)
    assert not got.failures
    assert got["B"][0, 0] == pytest.approx(1000 * np.log1p(width), rel=1e-4)


@pytest.mark.parametrize("shape", ["and", "rule", "rule > 0.5", "behind if", "nested"])
def test_triggers_that_are_windows_of_the_state(shape):
    for width in (1e-2, 1e-5):
        s = windowed(0.3, 0.3 * (1 + width), shape)
        condition = s.rates["B"][1]
        s = replace(s, rates={"x": s.rates["x"]}, initial={"x": s.initial["x"]}, inputs={"n": 0.0},
                    events=(Event("e", condition, (("n", formula("n + 1")),)),))  # fmt: skip
        got = engine.build(s, outputs=["n"]).solve(times=[0.5, 5.0], rtol=1e-6)["n"][0]
        assert got.tolist() == [0, 1], (shape, width)


@pytest.mark.parametrize("width", [1e-2, 1e-4])
@pytest.mark.parametrize("shape", ["product", "margin"])
def test_windows_written_as_a_product(shape, width):
    """One comparison that turns twice: its margin comes near zero between samples and is looked at more closely."""
    high = 0.3 * (1 + width)
    got = engine.build(windowed(0.3, high, shape), outputs=["B"]).solve(times=[5.0], rtol=1e-9, atol=1e-12)
    assert got["B"][0, 0] == pytest.approx(1000 * np.log1p(width), rel=1e-4)


def test_people_with_state_windows_each_by_themselves():
    s = system({"x": "-k*x", "B": "1000*(x > 0.3)*(x < 0.3003)"}, {"x": 1.0, "B": 0.0}, {"k": 1.0})
    k = np.linspace(0.5, 3, 5)[:, None]
    got = engine.build(s, outputs=["B"], vary=["k"]).solve(k, times=[10.0], rtol=1e-9)
    assert np.allclose(got["B"][:, 0], 1000 * np.log(1.001) / k[:, 0], rtol=1e-4)
    assert got.settings["jumps"] == "located"


def test_a_negative_state_is_told_where_jumps_are_located():
    s = system({"x": "-1 if x > -5 else 0"}, {"x": 1.0})
    solution = engine.build(s, outputs=["x"], options=engine.Options(nonnegative=True)).solve(times=[0.5, 3.0])
    assert solution.status[0] == Status.NEGATIVE and solution["x"][0, 0] == pytest.approx(0.5)


# ---- who pays for it -------------------------------------------------------------------------------------------------
def test_systems_without_jumps_are_solved_as_before():
    """Corners are no jumps: a system with them, and one without any, stays with the many."""
    corner = system(
        {"x": "(x - 0.5 if x > 0.5 else 0) - x", "y": "2*(k - x) if x < k else 0"}, {"x": 1.0, "y": 0.0}, {"k": 0.7}
    )
    for s in (corner, one_compartment(), system({"x": "max(0, 1 - x) - min(x, 0.5)"}, {"x": 2.0})):
        solver = engine.build(s, outputs=list(s.states), options=engine.Options(linear="steps"))
        got, plain = (solver.solve(times=[1.0, 3.0], locate_jumps=locate) for locate in (None, False))
        assert np.array_equal(got.values, plain.values) and "jumps" not in got.settings
        assert got.settings["lanes"] > 1 and "switches" not in got.settings


@pytest.mark.parametrize(
    "rate",
    ["1 if x > 0.5 else 0", "floor(4*x)", "0.0 + (x > 0.5)", "x if x > 0.5 else 0", "1 if x*x > 0.25 else 0",
     "2*x if x > 0.5 else 0.999*x + 0.5", "1 if sin(x) > 0.3 else 0"],
)  # fmt: skip
def test_jumps_by_state_are_known_as_such(rate):
    s = system({"x": "-x", "B": rate}, {"x": 1.0, "B": 0.0})
    got = engine.build(s, outputs=["B"]).solve(times=[2.0])
    assert got.settings["jumps"] == "located"
    assert (
        "jumps" not in engine.build(s, outputs=["x"]).solve(times=[2.0]).settings
    )  # what nobody asks for does not count


def test_a_switch_that_turns_without_end_is_left_to_the_error_control_and_told():
    """A thermostat without hysteresis holds its threshold; no number of located flips would end it."""
    s = system({"x": "1 if x < 0.5 else -1", "B": "x"}, {"x": 0.0, "B": 0.0})
    got = engine.build(s, outputs=["B"]).solve(times=[4.0])
    assert got["B"][0, 0] == pytest.approx(0.125 + 0.5 * 3.5, rel=1e-3)
    assert got.settings["jumps"] == "located, but for 1 that turned without end and was left to the error control"


def test_what_is_left_to_the_error_control_is_told():
    s = system({"x": "-x", "B": "1 if x > 0.5 else 0"}, {"x": 1.0, "B": 0.0})
    got = engine.build(s, outputs=["B"]).solve(None, Records([[Record(0.0), Record(2.0)]]), rtol=1e-8)
    assert "B left to the error control" in got.settings["jumps"]
    assert got["B"][1] == pytest.approx(np.log(2), rel=1e-5)


# ---- the proofs behind it --------------------------------------------------------------------------------------------
leaf = st.sampled_from(["t", "k", "3", "0.7", "-2"])
formulas = st.recursive(
    leaf,
    lambda inner: st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from(["+", "-", "*", "/"]), inner),
        st.builds(
            "{}({})".format,
            st.sampled_from(["sin", "cos", "exp", "abs", "floor", "ceil", "tanh", "sqrt", "atan"]),
            inner,
        ),
        st.builds("({} if {} > {} else {})".format, inner, inner, inner, inner),
        st.builds("max({}, {})".format, inner, inner),
        st.builds("({})**2".format, inner),
    ),
    max_leaves=8,
)


@given(formulas, st.floats(-5, 50), st.floats(0, 3).map(lambda e: 10.0 ** (e - 2)), st.floats(-3, 3))
@settings(max_examples=300, deadline=None)
def test_an_enclosure_holds_every_value(text, low, width, k):
    """Whatever a formula is at some moment lies in its bounds over any span around it."""
    expr = formula(text)
    edges = np.array([low]), np.array([low + width])
    with np.errstate(all="ignore"):
        least, most = bounds(expr, {"k": (k, k)}, *edges)
        for share in np.linspace(0, 1, 9):
            value = float(np.asarray(evaluate(expr, {"k": k}, low + share * width)).ravel()[0])
            if not np.isnan(value):
                assert np.all(least <= value) and np.all(value <= most)


@given(st.lists(st.floats(1e-3, 100.0), min_size=1, max_size=5), st.floats(-9, 0).map(lambda e: 10.0**e))
@settings(max_examples=50, deadline=None)
def test_the_clock_finds_every_window(begins, width):
    condition = ("num", 0.0)
    for begin in begins:
        condition = ("or", condition, both(f"t >= {begin!r}", f"t < {begin + width!r}"))
    flips = Clock({"w": condition}, {}).flips(-1.0, 200.0, {})
    assert flips.sure
    edges = sorted((b, b + width) for b in begins)
    merged: list[list[float]] = []
    for a, b in edges:
        if b <= a:
            continue
        if merged and a <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], b)
        else:
            merged.append([a, b])
    assert np.allclose(flips.time, [edge for pair in merged for edge in pair], rtol=1e-15, atol=1e-15)
    assert flips.value.tolist() == [1, 0] * len(merged)


def test_a_formula_that_cannot_be_enclosed_is_told():
    flips = Clock({"c": formula("sin(t)**2 + cos(t)**2 > 1.0000001")}, {}).flips(0.0, 100.0, {})
    assert not flips.sure and not len(flips.time)


def test_smooth_pulses_are_met_by_a_bound_on_the_step():
    """A smooth pulse has no edge to find; the largest step is the user's way to have it met."""
    s = system({"A": "10*exp(-((t - 300)/2)**2) - k*A"}, {"A": 0.0}, {"k": K})
    options = engine.Options(largest_step=1.0)
    got = engine.build(s, outputs=["A"], options=options).solve(times=[320.0], rtol=1e-8)["A"][0, 0]
    want = quad(lambda u: 10 * np.exp(-(((u - 300) / 2) ** 2) - K * (320 - u)), 250, 320, points=[300], epsabs=1e-12)[0]
    assert got == pytest.approx(want, rel=1e-5)

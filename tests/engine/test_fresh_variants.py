"""More cases of the kinds in docs/trust.md, each against a closed form: other triggers, windows, orders and regimens."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from respine import engine
from respine.engine import Record, Records, Schedule
from respine.model.system import Event
from tests.engine.systems import formula, system

DAYS = 100
END = 24.0 * DAYS - 1e-6
TAU = 2 * math.pi
STEEP = 1e5


def each(first: float, period: float, count: int = 400) -> np.ndarray:
    return first + period * np.arange(count)


# -- conditions of time: when they turn true, (trigger, moments) ------------------------------------------------------------

CLOCKS = {
    "t - 7*floor(t/7) > 6.999": each(6.999, 7),
    "cos(6.283185307179586*t/24) < -0.999999": each(24 / TAU * math.acos(-0.999999), 24),
    "sin(6.283185307179586*t/24)**2 > 0.9999999": each(24 / TAU * math.asin(math.sqrt(0.9999999)), 12),
    "abs(t - 1234.5) < 1e-4": [1234.5 - 1e-4],
    "(t - 1000)*(t - 1000) < 1e-8": [1000 - 1e-4],
    "exp(-abs(t - 777)*1e5) > 0.5": [777 - math.log(2) / 1e5],
    "1/(abs(t - 555) + 1e-9) > 1e6": [555 - 1e-6 + 1e-9],
    "floor(t/24) - floor((t - 0.001)/24) > 0.5": each(24, 24),
    "(t - 24*floor(t/24) > 12)*(t - 24*floor(t/24) < 12.0001)": each(12, 24),
    "ceil(t/24)*24 - t < 1e-4": each(24 - 1e-4, 24),
    "(t*t > 90000)*(t*t < 90000.001)": [300.0],
    "sqrt(t) > 17.32": [17.32**2],
    "(ln(t + 1) > 5)*(ln(t + 1) < 5.0000001)": [math.exp(5) - 1],
    "(sin(t) < 0.5)*(sin(t) > 0.49999)": np.sort(
        [*each(math.asin(0.49999), TAU), *each(math.pi - math.asin(0.5), TAU)]
    ),
    "max(sin(t), cos(t)) > 0.99999999": np.sort(
        [*each(math.asin(0.99999999), TAU), *each(TAU - math.acos(0.99999999), TAU)]
    ),
    "(t > 100)*(t < 100 + 1e-7) + (t > 2000)*(t < 2000 + 1e-9) > 0": [100.0, 2000.0],
}


@pytest.mark.parametrize("trigger", list(CLOCKS))
def test_every_turn_of_a_clock_is_counted(trigger):
    s = system({"x": "0*x"}, {"x": 0.0}, inputs={"n": 0.0, "last": 0.0})
    event = Event("e", formula(trigger), (("n", formula("n + 1")), ("last", formula("t"))))
    s = type(s)(**{**s.__dict__, "events": (event,)})
    got = engine.build(s, outputs=["n", "last"]).solve(times=[END])
    turns = [t for t in CLOCKS[trigger] if 1e-9 < t < END]
    assert not got.failures and got["n"][0, 0] == len(turns)
    assert got["last"][0, 0] == pytest.approx(turns[-1], abs=1e-8, rel=1e-11)


# -- pulses in rates ---------------------------------------------------------------------------------------------------------


def infused(t, begin, length, rate, k=0.1):
    return rate / k * -np.expm1(-k * np.clip(t - begin, 0, length)) * np.exp(-k * np.maximum(t - begin - length, 0))


TIMES = np.array([50.0, 105.0, 150.0, 200.0])
PULSES = {
    "10*(t > 100)*(t < 100.001)": infused(TIMES, 100, 0.001, 10),
    "1e4*(abs(t - 123.456) < 1e-5)": infused(TIMES, 123.456 - 1e-5, 2e-5, 1e4),
    "10*max(0, min(1, (t - 100)*1e3))*(t < 110)": infused(TIMES, 100.0005, 9.9995, 10),
    "1000*(t > 60)*(t < 60.01)": infused(TIMES, 60, 0.01, 1000),
    "(t > 20)*(t < 20 + 1e-6)*1e6 + (t > 120)*(t < 121)": infused(TIMES, 20, 1e-6, 1e6) + infused(TIMES, 120, 1, 1),
    "3*(t - 37*floor(t/37) < 0.02)": sum(infused(TIMES, 37.0 * n, 0.02, 3) for n in range(6)),
    "2*(sin(6.283185307179586*t/90) > 0.999999)": sum(
        infused(TIMES, 22.5 + 90 * n - 90 / TAU * math.acos(0.999999), 180 / TAU * math.acos(0.999999), 2) for n in range(3)
    ),
    "50*(1/(1 + (t - 130)*(t - 130)*1e6) > 0.5)": infused(TIMES, 130 - 1e-3, 2e-3, 50),
    "5*(floor(t) == 77)": infused(TIMES, 77, 1, 5),
    "5*(t >= 33)*(1 - (t >= 33.0005))": infused(TIMES, 33, 0.0005, 5),
}  # fmt: skip


@pytest.mark.parametrize("rtol", [1e-5, 1e-8])
@pytest.mark.parametrize("rate", list(PULSES))
def test_no_pulse_is_passed_over(rate, rtol):
    got = engine.build(system({"A": f"{rate} - 0.1*A"}, {"A": 0.0}), outputs=["A"]).solve(times=TIMES, rtol=rtol)
    assert not got.failures and np.allclose(got["A"][0], PULSES[rate], rtol=30 * rtol, atol=1e-7)


# -- orders of subjects and of records at one moment --------------------------------------------------------------------------

K = 0.1


def one_compartment():
    return engine.build(system({"c": "-k*c"}, {"c": 0.0}, {"k": K}), outputs=["c"])


SUBJECTS = {
    "after the dose": ([Record(0, 1, "c", 100), Record(24, 1, "c", 100), Record(24)], 100 * (1 + math.exp(-K * 24))),
    "before the dose": ([Record(0, 1, "c", 100), Record(24), Record(24, 1, "c", 100)], 100 * math.exp(-K * 24)),
    "between two doses": (
        [Record(0, 1, "c", 100), Record(24, 1, "c", 50), Record(24), Record(24, 1, "c", 50)], 50 + 100 * math.exp(-K * 24)
    ),
    "after a reset": ([Record(0, 1, "c", 100), Record(24, 3), Record(24)], 0.0),
    "before a reset": ([Record(0, 1, "c", 100), Record(24), Record(24, 3)], 100 * math.exp(-K * 24)),
    "after reset and dose": ([Record(0, 1, "c", 100), Record(24, 4, "c", 70), Record(24)], 70.0),
    "at the end of an infusion": ([Record(0, 1, "c", 240, rate=10), Record(24)], float(infused(24.0, 0, 24, 10))),
    "at the start of an infusion": ([Record(24, 1, "c", 240, rate=10), Record(24)], 0.0),
    "in a steady state": ([Record(24, 1, "c", 100, interval=12, steady=1), Record(24)], 100 / -math.expm1(-K * 12)),
    "before a steady state": ([Record(0, 1, "c", 100), Record(24), Record(24, 1, "c", 100, interval=12, steady=1)], 100 * math.exp(-K * 24)),
    "at an additional dose": ([Record(0, 1, "c", 100, additional=1, interval=24), Record(24)], 100 * (1 + math.exp(-K * 24))),
    "nothing before": ([Record(0), Record(24)], 0.0),
}  # fmt: skip


def read(records: list[Record], values: np.ndarray) -> float:
    at = next(k for k, record in enumerate(records) if record.time == 24 and record.evid == 0)
    return float(values[at])


@settings(max_examples=40, deadline=None)
@given(st.permutations(list(SUBJECTS)), st.integers(1, 2))
def test_subjects_in_any_order(order, threads):
    lines = [SUBJECTS[name][0] for name in order]
    values = one_compartment().solve(None, Records(lines), rtol=1e-8, threads=threads)["c"]
    row = 0
    for name, records in zip(order, lines, strict=True):
        want = SUBJECTS[name][1]
        assert read(records, values[row : row + len(records)]) == pytest.approx(want, rel=1e-6, abs=1e-9), name
        row += len(records)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_three_events_of_one_moment_in_every_order(order):
    """A dose, a reset and a sample at 5 h: what was sampled follows from the order of the rows."""
    events = [Record(5, 1, "c", 30), Record(5, 3), Record(5)]
    rows = [Record(0, 1, "c", 100), *(events[k] for k in order), Record(6)]
    level, seen = 100 * math.exp(-0.5), 0.0
    for k in order:
        level = level + 30 if k == 0 else 0.0 if k == 1 else level
        seen = level if k == 2 else seen
    got = one_compartment().solve(None, Records([rows]), rtol=1e-9)["c"]
    assert got[1 + order.index(2)] == pytest.approx(seen, rel=1e-7, abs=1e-12)
    assert got[4] == pytest.approx(level * math.exp(-0.1), rel=1e-7, abs=1e-12)


# -- regimens whose times are sums of decimals ---------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([0.1, 0.2, 0.3, 0.7, 1.1, 1 / 3, 2.4, 0.05]), st.integers(2, 300), st.booleans(),
    st.sampled_from(["sum", "product", "text"]),
)  # fmt: skip
def test_the_last_dose_and_a_sample_of_its_time(interval, count, after, how):
    """Doses at 0, 0.1, 0.2 ... and a sample at the last one, its time added up, multiplied or written down."""
    last = count * interval
    if how == "sum":
        last = 0.0
        for _ in range(count):
            last += interval
    elif how == "text":
        last = float(f"{count * interval:.15g}")
    schedule = Schedule(1)
    for n in range(count + 1):
        schedule.dose("c", time=n * interval, amount=1.0)
    got = one_compartment().solve(None, schedule, [last], rtol=1e-8, after=after)["c"][0, 0]
    doses = np.exp(-K * interval * np.arange(0 if after else 1, count + 1)).sum()
    assert got == pytest.approx(doses, rel=1e-6)


# -- infusions beside each other ----------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 30), st.floats(-6, 1.3), st.floats(-7, 3)), min_size=2, max_size=7))
def test_infusions_of_any_length_and_rate(parts):
    """Lengths from 1e-6 to 20 h, rates from 1e-7 to 1e9 per h: each is met, and nothing runs on."""
    schedule, times = Schedule(1), np.array([31.0, 60.0, 300.0])
    want = np.zeros(3)
    for begin, length, rate in parts:
        hours, amount = 10.0**length, 10.0 ** (rate + length)
        schedule.dose("c", time=begin, amount=amount, duration=hours)
        want += infused(times, begin, hours, amount / hours)
    for locate in (None, True):
        got = one_compartment().solve(None, schedule, times, rtol=1e-9, locate_jumps=locate)["c"][0]
        assert np.allclose(got, want, rtol=1e-6, atol=1e-9 * max(1.0, want.max())) and got[2] >= -1e-12


# -- steady states -------------------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(st.floats(-8, 0.5), st.floats(0, 0.95), st.sampled_from([1, 2]), st.floats(-2, 0.9))
def test_steady_states_of_any_elimination(k, share, steady, length):
    """Bolus and infusion, elimination over eight decades: the closed form of what repeats for ever."""
    k, hours = 10.0**k, 10.0**length * 0.9
    solver = engine.build(system({"c": "-k*c"}, {"c": 0.0}, {"k": k}), outputs=["c"])
    at = share * 10
    for rate in (0.0, 100 / hours):
        dose = Record(0, 1, "c", 100, interval=10, steady=steady, rate=rate)
        got = solver.solve(None, Records([[dose, Record(at)]]), rtol=1e-8)
        if rate:
            own = infused(at, 0, hours, rate, k)
            before = infused(10.0, 0, hours, rate, k) / -math.expm1(-k * 10)
            want = own + before * math.exp(-k * at)
        else:
            want = 100 * math.exp(-k * at) / -math.expm1(-k * 10)
        assert not got.failures and got["c"][1] == pytest.approx(want, rel=2e-6)


# -- roots and quotients -------------------------------------------------------------------------------------------------------

ROOTS = {
    "time under a root": ({"y": "sqrt(y) + t"}, [0.0], lambda t, y: [math.sqrt(max(y[0], 0)) + t]),
    "logarithm of a root": ({"y": "ln(1 + sqrt(y)) + 1e-5"}, [0.0], lambda t, y: [math.log1p(math.sqrt(max(y[0], 0))) + 1e-5]),
    "inverse of a root": ({"y": "1/(1e-3 + sqrt(y))"}, [0.0], lambda t, y: [1 / (1e-3 + math.sqrt(max(y[0], 0)))]),
    "Hill below one": ({"y": "x**0.3/(0.6 + x**0.3) - y", "x": "1e-3 - 0.1*x"}, [0.0, 0.0],
                       lambda t, y: [max(y[1], 0) ** 0.3 / (0.6 + max(y[1], 0) ** 0.3) - y[0], 1e-3 - 0.1 * y[1]]),
    "of a distance": ({"y": "sqrt(abs(x - y))", "x": "1 - 0.2*x"}, [0.0, 0.0], lambda t, y: [math.sqrt(abs(y[1] - y[0])), 1 - 0.2 * y[1]]),
    "of a product": ({"y": "(x*y)**0.5 + 1e-4", "x": "-0.1*x"}, [0.0, 1.0], lambda t, y: [math.sqrt(max(y[1] * y[0], 0)) + 1e-4, -0.1 * y[1]]),
    "von Bertalanffy": ({"y": "y**(2/3)*(1 - y/10) + 1e-7"}, [0.0], lambda t, y: [max(y[0], 0) ** (2 / 3) * (1 - y[0] / 10) + 1e-7]),
    "Gompertz": ({"y": "0.5*y*ln(5/y)"}, [1e-9], lambda t, y: [0.5 * y[0] * math.log(5 / max(y[0], 1e-300))]),
    "saturated root": ({"y": "2*sqrt(y)/(1 + sqrt(y)) - 0.05*y + 1e-9"}, [0.0],
                       lambda t, y: [2 * math.sqrt(max(y[0], 0)) / (1 + math.sqrt(max(y[0], 0))) - 0.05 * y[0] + 1e-9]),
    "a share of what is there": ({"y": "x/(x + y)", "x": "-0.2*x"}, [0.0, 1.0], lambda t, y: [y[1] / (y[1] + y[0]), -0.2 * y[1]]),
}  # fmt: skip


@pytest.mark.parametrize("rtol", [1e-5, 1e-8])
@pytest.mark.parametrize("name", list(ROOTS))
def test_roots_and_quotients_from_zero(name, rtol):
    rates, start, f = ROOTS[name]
    times = np.array([1.0, 5.0, 20.0])
    want = solve_ivp(f, (0, 20), start, "Radau", t_eval=times, rtol=1e-11, atol=1e-22, first_step=1e-14).y
    got = engine.build(system(rates, dict(zip(rates, start, strict=True))), outputs=list(rates)).solve(
        times=times, rtol=rtol
    )
    assert not got.failures and np.allclose(got.values[0].T, want, rtol=30 * rtol, atol=1e-9)

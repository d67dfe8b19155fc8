"""Never silently wrong: steady states of slow elimination in closed form, and the true reason where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm

from respine import engine
from respine.engine import Record, Records, Status
from respine.engine.dosing.steady_state import matrix_exponential
from tests.engine.systems import one_compartment, system


def steady(s, outputs, record, times, *, values=None, rtol=1e-5, **options):
    solver = engine.build(s, outputs=outputs, fixed=values or {}, options=engine.Options(**options))
    lines = [record, *(Record(record.time + t) for t in times)]
    return solver.solve(None, Records([lines]), rtol=rtol)


ONE = system({"c": "-k*c"}, {"c": 0.0}, {"k": 0.1})


@pytest.mark.parametrize("rtol", [1e-5, 1e-9])
@pytest.mark.parametrize("intervals", [0.5, 20.0, 693.0, 2016.0, 1e5, 1e9])
def test_however_slow(intervals, rtol):
    """``intervals`` in a half-life; 2016 is thyroxine given every five minutes."""
    k = np.log(2) / intervals
    got = steady(ONE, ["c"], Record(0, 1, "c", 100, interval=1, steady=1), [0.0], values={"k": k}, rtol=rtol)
    assert not got.failures and got["c"][1] == pytest.approx(100 / -np.expm1(-k), rel=1e-7)


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("steady_", [1, 2])
@pytest.mark.parametrize("duration", [0.0, 0.3, 1.0, 2.6, 30.0])
@pytest.mark.parametrize("lag", [0.0, 0.4, 1.0, 3.3])
def test_slow_regimens_of_infusions_with_lag(duration, lag, steady_, precision):
    k, interval = np.log(2) / 3000, 1.0
    rate = 100 / duration if duration else 0.0
    record = Record(50.0, 1, "c", 100, rate, interval, 3, steady_, lag)
    times = np.array([0.0, 0.2, 0.7, 3.9, 20.0]) + 1e-6
    before = Record(0.0, 1, "c", 7.0)  # what SS 2 adds to
    solver = engine.build(ONE, outputs=["c"], fixed={"k": k}, options=engine.Options(precision=precision))
    got = solver.solve(None, Records([[before, record, *(Record(50.0 + t) for t in times)]]), rtol=1e-6)["c"][2:]
    arrivals = np.arange(-200_000, 4) * interval + lag
    age = times[:, None] - arrivals
    during, gone = np.clip(age, 0, duration), np.maximum(age - duration, 0)
    each = np.where(
        age >= 0, 100 * np.exp(-k * age) if not duration else rate / k * -np.expm1(-k * during) * np.exp(-k * gone), 0
    )
    want = each.sum(axis=1) + (7 * np.exp(-k * (50 + times)) if steady_ == 2 else 0)
    assert np.allclose(got, want, rtol=1e-5)


@pytest.mark.parametrize("speed", [1.0, 1e-3, 1e-6])
def test_two_compartments_a_depot_a_baseline_and_a_metabolite(speed):
    """Against many intervals with SciPy's matrix exponential."""
    rates = {
        "depot": "-ka*depot",
        "c": "ka*depot - (ke + k12)*c + k21*p + turnover",
        "p": "k12*c - k21*p",
        "m": "ke*c - km*m",
    }
    numbers = {"ka": 1.0, "ke": 0.2 * speed, "k12": 0.3, "k21": 0.1, "km": 0.05 * speed, "turnover": 0.5}
    s = system(rates, dict.fromkeys(rates, 0.0), numbers)
    a = np.array(
        [[-1.0, 0, 0, 0], [1.0, -0.2 * speed - 0.3, 0.1, 0], [0, 0.3, -0.1, 0], [0, 0.2 * speed, 0, -0.05 * speed]]
    )
    whole = np.zeros((5, 5))
    whole[:4, :4], whole[1, 4] = a * 6, 0.5 * 6
    step = expm(whole)
    power, total = step[:4, :4], step[:4, :4] @ np.array([80.0, 0, 0, 0]) + step[:4, 4]
    want = total
    for _ in range(60):  # the sum of 2^60 intervals, by doubling
        want = want + power @ want
        power = power @ power
    got = steady(s, list(rates), Record(0, 1, "depot", 80, interval=6, steady=1), [0.0], rtol=1e-8).values[1]
    assert np.allclose(got - np.array([80.0, 0, 0, 0]), want, rtol=1e-7)


@pytest.mark.parametrize("k", [1.0, 1e-3, 1e-9])
def test_a_constant_infusion(k):
    got = steady(ONE, ["c"], Record(0, 1, "c", 0, rate=5, steady=1), [0.0, 10.0], values={"k": k})
    assert np.allclose(got["c"][1:], [5 / k, 5 / k * np.exp(-10 * k)], rtol=1e-6)


def test_everybody_by_the_own_parameters():
    k = np.log(2) / np.array([2.0, 700.0, 5000.0, np.nan, 700.0])
    lines = [[Record(0, 1, "c", 100.0, interval=1, steady=1), Record(0), Record(1.0)]] * 5
    got = engine.build(ONE, outputs=["c"], vary=["k"]).solve(k[:, None], Records(lines))
    assert got.status.tolist() == [0, 0, 0, Status.BAD_PARAMETER, 0]
    values = got["c"].reshape(5, 3)[[0, 1, 2, 4]]
    k = k[[0, 1, 2, 4]]
    assert np.allclose(values[:, 1], 100 / -np.expm1(-k), rtol=1e-7)
    assert np.allclose(values[:, 2], 100 / -np.expm1(-k) * np.exp(-k), rtol=1e-5)


def test_covariates_hold_where_the_steady_state_is():
    s = system({"c": "-k*slow*c"}, {"c": 0.0}, {"k": np.log(2) / 900}, inputs={"slow": 1.0})
    regimen = Record(5.0, 1, "c", 100, interval=1, steady=1, covariates=(("slow", 0.5),))
    lines = [Record(0.0, covariates=(("slow", 2.0),)), regimen, Record(5.0)]
    got = engine.build(s, outputs=["c"]).solve(None, Records([lines]))["c"]
    assert got[2] == pytest.approx(100 / -np.expm1(-np.log(2) / 1800), rel=1e-7)


@pytest.mark.parametrize(
    ("rates", "target"),
    [
        ({"c": "0*c"}, "c"),  # not eliminated at all
        ({"c": "-0.1*c", "auc": "c"}, "c"),  # eliminated, but what it feeds adds up
        ({"c": "-5*c/(1 + c)"}, "c"),  # more is given than can be eliminated
    ],
)
def test_what_does_not_settle_is_told(rates, target):
    s = system(rates, dict.fromkeys(rates, 0.0))
    got = steady(s, list(rates), Record(0, 1, target, 100, interval=1, steady=1), [1.0])
    (failure,) = got.failures
    assert failure.status is Status.NO_STEADY_STATE and "20000 intervals" in failure.reason
    assert np.isnan(got.values[1:]).all()


def test_what_grows_is_told():
    got = steady(system({"c": "0.1*c"}, {"c": 0.0}), ["c"], Record(0, 1, "c", 100, interval=1, steady=1), [1.0])
    assert got.failures[0].status in (Status.NO_STEADY_STATE, Status.NOT_FINITE) and got.failures[0].state == "c"


def test_slow_saturable_elimination_is_told_or_right():
    """No closed form: either within the tolerance of the true steady state, or a status that says why not."""
    for half_life in (5.0, 50.0, 5000.0):
        s = system({"c": "-vmax*c/(1e4 + c)"}, {"c": 0.0}, {"vmax": np.log(2) / half_life * 1e4})
        got = steady(s, ["c"], Record(0, 1, "c", 1.0, interval=1, steady=1), [0.0], rtol=1e-6)
        if got.failures:
            assert "very slowly" in got.failures[0].cure
            continue
        peak = got["c"][1]
        trough = engine.build(s, outputs=["c"]).solve(times=[1.0], rtol=1e-11, initial={"c": peak})["c"][0, 0]
        assert trough + 1 == pytest.approx(peak, rel=1e-4 / half_life)


def test_linear_in_form_but_not_in_truth_is_repeated_as_before():
    """A choice by the state, a product of states, a coefficient that moves with time."""
    for rate in ("-0.3*c if c > 50 else -0.6*c", "-0.01*c*c", "-0.3*(1 + 0.5*sin(6.283185307179586*t))*c"):
        s = system({"c": rate}, {"c": 0.0})
        got = steady(s, ["c"], Record(0, 1, "c", 100, interval=1, steady=1), [0.0, 1.0], rtol=1e-7)
        assert got["c"][1] == pytest.approx(got["c"][2] + 100, rel=1e-5)


def test_sensitivities_through_a_steady_state_still_agree():
    solver = engine.build(one_compartment(), outputs=["central"], sensitivities=["CL"])
    lines = [Record(0, 1, "central", 100, interval=12, steady=1), Record(0)]
    slope = solver.solve(None, Records([lines]), rtol=1e-8).gradient("central", "CL")[1]
    k = 1.1 / 20
    want = -100 * 12 / 20 * np.exp(-k * 12) / np.expm1(-k * 12) ** 2
    assert slope == pytest.approx(want, rel=1e-5)


@given(st.integers(1, 6), st.floats(-6, 3), st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_the_matrix_exponential(n, size, seed):
    a = np.random.default_rng(seed).normal(size=(n, n)) * 10.0**size
    a -= np.eye(n) * np.max(np.abs(a)) * n  # decaying, as what is eliminated
    assert np.allclose(matrix_exponential(a), expm(a), rtol=1e-9, atol=1e-13)

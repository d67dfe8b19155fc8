"""NONMEM-style records: closed forms over the grid of steady state, lag, bioavailability and infusion."""

from __future__ import annotations

import numpy as np
import pytest

from respine import engine
from respine.engine import Record, Records, Status
from tests.engine.systems import one_compartment, system

K = 1.1 / 20
TIMES = np.arange(0.0, 60.0, 2.5)


def central() -> object:
    return system({"central": "-k*central"}, {"central": 0.0}, {"k": K})


def pulse(t, amount, duration):
    """Amount in the compartment a time t after the start of one dose."""
    t = np.asarray(t, float)
    if duration == 0:
        return np.where(t >= 0, amount * np.exp(-K * np.maximum(t, 0)), 0.0)
    rate = amount / duration
    during = rate / K * (1 - np.exp(-K * np.clip(t, 0, duration)))
    return during * np.exp(-K * np.maximum(t - duration, 0))


def solve(records, **settings):
    settings.setdefault("rtol", 1e-9)
    return engine.build(central(), outputs=["central"]).solve(None, Records([records]), **settings)


@pytest.mark.parametrize("lag", [0.0, 1.5, 11.0, 12.0, 31.0])
@pytest.mark.parametrize("fraction", [1.0, 0.4])
@pytest.mark.parametrize("duration", [0.0, 3.0, 12.0, 30.0])
@pytest.mark.parametrize("additional", [0, 2])
def test_steady_state_against_the_sum_of_all_earlier_doses(lag, fraction, duration, additional):
    interval, amount = 12.0, 100.0
    given = amount * fraction
    rate = given / duration if duration else 0.0
    dose = Record(0.0, 1, "central", amount, rate, interval, additional, 1, lag, fraction)
    records = [dose, *(Record(t) for t in TIMES)]
    got = solve(records)["central"][1:]
    arrivals = np.concatenate([np.arange(-4000, 0), np.arange(additional + 1)]) * interval + lag
    want = sum(pulse(TIMES - a, given, duration) for a in arrivals[arrivals > -4000])
    assert np.allclose(got, want, rtol=1e-6)


def test_steady_state_2_adds_to_what_is_there():
    records = [
        Record(0.0, 1, "central", 100, interval=24, steady=1, additional=9),
        Record(12.0, 1, "central", 50, interval=24, steady=2, additional=9),
        *(Record(t) for t in np.arange(13.0, 60.0, 5.0)),
    ]
    got = solve(records)["central"][2:]
    times = np.arange(13.0, 60.0, 5.0)
    past = np.arange(-400, 10) * 24.0
    want = sum(pulse(times - a, 100, 0) for a in past) + sum(pulse(times - a - 12, 50, 0) for a in past)
    assert np.allclose(got, want, rtol=1e-6)


def test_constant_infusion_to_steady_state_ends_at_its_record():
    got = solve([Record(0.0, 1, "central", 0, rate=10, steady=1), Record(0.0), Record(10.0)])["central"]
    assert np.allclose(got[1:], [10 / K, 10 / K * np.exp(-10 * K)], rtol=1e-7)


def test_order_of_records_at_one_time_is_kept():
    records = [
        Record(0.0, 1, "central", 10), Record(5.0), Record(5.0, 1, "central", 7), Record(5.0), Record(5.0, 3),
        Record(5.0), Record(5.0, 4, "central", 3), Record(5.0),
    ]  # fmt: skip
    left = 10 * np.exp(-5 * K)
    assert np.allclose(solve(records)["central"][[1, 3, 5, 7]], [left, left + 7, 0, 3], rtol=1e-7)


def test_a_reset_cancels_what_was_still_to_come():
    dose = Record(0.0, 1, "central", 10, interval=4, additional=5, lag=1)
    records = [dose, Record(6.0, 3), Record(6.5), Record(30.0)]
    assert np.all(solve(records)["central"][2:] == 0)


def test_time_may_go_back_at_a_reset():
    """A second occasion starts its own clock; nothing of the first is mixed in."""
    records = [
        Record(0.0, 1, "central", 10, interval=8, additional=3), Record(10.0),
        Record(0.0, 4, "central", 5, interval=6, additional=1, lag=0.5), Record(4.0), Record(7.0), Record(0.0, 3), Record(2.0),
    ]  # fmt: skip
    solution = engine.build(central(), outputs=["central"]).solve(None, Records([records]), rtol=1e-9)
    second = [pulse(t - 0.5, 5, 0) + pulse(t - 6.5, 5, 0) for t in (4.0, 7.0)]
    want = [10, pulse(10.0, 10, 0) + pulse(2.0, 10, 0), 0, *second, 0, 0]
    assert np.allclose(solution["central"], want, rtol=1e-7)
    assert solution.times.tolist() == [0, 10, 0, 4, 7, 0, 2]
    timed = system({"central": "cos(t) - k*central"}, {"central": 0.0}, {"k": K})
    with pytest.raises(ValueError, match="central of test depends on the time itself"):
        engine.build(timed, outputs=["central"]).solve(None, Records([records]))


def test_modelled_rate_and_duration():
    by_rate = [Record(0.0, 1, "central", 100, rate=-1, modelled=20.0, fraction=0.5), Record(4.0)]
    by_duration = [Record(0.0, 1, "central", 100, rate=-2, modelled=8.0, fraction=0.5), Record(4.0)]
    assert np.isclose(solve(by_rate)["central"][1], pulse(4.0, 50, 2.5), rtol=1e-7)
    assert np.isclose(solve(by_duration)["central"][1], pulse(4.0, 50, 8.0), rtol=1e-7)


def test_time_varying_input_is_carried_forward():
    s = system({"x": "drive"}, {"x": 0.0}, inputs={"drive": 0.0})
    records = [Record(0.0, covariates=(("drive", 2.0),)), Record(3.0, covariates=(("drive", -1.0),)), Record(5.0)]
    got = engine.build(s, outputs=["x"]).solve(None, Records([records]))["x"]
    assert np.allclose(got, [0, 6, 4])


def test_subjects_have_their_own_records():
    records = Records([
        [Record(0.0, 1, "depot", 100), Record(2.0)],
        [Record(1.0), Record(3.0, 1, "depot", 50), Record(4.0), Record(9.0)],
    ])  # fmt: skip
    solution = engine.build(one_compartment(), outputs=["depot"]).solve(np.zeros((2, 0)), records, rtol=1e-9)
    assert np.allclose(solution["depot"], [100, 100 * np.exp(-3), 0, 50, 50 * np.exp(-1.5), 50 * np.exp(-9)], rtol=1e-6)


def test_no_steady_state_is_named():
    s = system({"central": "0*central"}, {"central": 0.0})
    records = Records([[Record(0.0, 1, "central", 1, interval=1, steady=1), Record(1.0)]])
    (failure,) = engine.build(s, outputs=["central"]).solve(None, records).failures
    assert failure.status is Status.NO_STEADY_STATE and failure.state == "central"


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (Record(0.0, 1, "central", -5), "AMT is -5"),
        (Record(0.0, 7), "EVID 7"),
        (Record(0.0, 1, "central", 5, steady=1), "needs II"),
        (Record(0.0, 1, "central", 5, additional=2), "needs II"),
        (Record(0.0, 1, "central", 5, rate=-2), "modelled duration"),
        (Record(0.0, 1, "central", 5, rate=-3), "RATE is -3"),
        (Record(0.0, 1, "", 5), "compartment"),
        (Record(float("nan")), "missing"),
        (Record(-1.0), "before the record above"),
    ],
)
def test_records_that_cannot_be_meant(record, text):
    with pytest.raises(ValueError, match=text):
        Records([[Record(0.0), record]])

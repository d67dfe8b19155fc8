"""Never silently wrong: infusions into one state add up and end exactly, whatever their sizes and lengths."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respine import engine
from respine.engine import Record, Records
from tests.engine.systems import system

K = 0.1
ONE = system({"c": "-k*c"}, {"c": 0.0}, {"k": K})
TIMES = np.array([0.5, 1.0, 3.0, 20.0, 24.0, 48.0, 200.0])


def infused(times, begin, length, amount):
    """Closed form of one infusion."""
    during = np.clip(times - begin, 0, length)
    rest = np.maximum(times - begin - length, 0)
    return amount / length / K * -np.expm1(-K * during) * np.exp(-K * rest)


def by_schedule(doses, times=TIMES, *, locate=False, **more):
    schedule = engine.Schedule(1)
    for begin, length, amount in doses:
        schedule.dose("c", time=begin, amount=amount, duration=length)
    solver = engine.build(ONE, outputs=["c"])
    return solver.solve(None, schedule, times, rtol=1e-9, atol=1e-300, locate_jumps=locate, **more)["c"][0]


def by_records(doses, times=TIMES):
    lines = [Record(t) for t in times] + [Record(b, 1, "c", a, rate=a / n) for b, n, a in doses]
    lines.sort(key=lambda r: r.time)
    got = engine.build(ONE, outputs=["c"]).solve(None, Records([lines]), rtol=1e-9, atol=1e-300)["c"]
    return got[[k for k, line in enumerate(lines) if line.evid == 0]]


WAYS = {
    "schedule": by_schedule, "records": by_records, "events": lambda doses: by_schedule(doses, locate=True)
}  # fmt: skip
BESIDE = [
    [(0.0, 24.0, 0.024), (1.0, 1e-5, 100.0)],
    [(0.0, 24.0, 2.4e-3), (1.0, 2.78e-4, 100.0)],
    [(0.0, 24.0, 2.4), (1.0, 1e-6, 100.0)],
    [(0.0, 24.0, 1e-9), (1.0, 1e-3, 1e9)],
    [(1.0, 1e-5, 100.0), (0.0, 24.0, 0.024)],
    [(0.0, 2.0, 1e-12), (0.5, 0.5, 1e12), (0.75, 10.0, 1.0)],
    [(0.0, 24.0, 0.1), (0.0, 24.0, 0.2), (0.0, 24.0, 0.3)],
    [(0.0, 24.0, 1.0), (1.0, 1e-12, 5.0)],
    [(0.0, 24.0, 1.0), (1.0, 1e-18, 5.0)],  # shorter than the clock tells apart: at once
    [(k * 0.1, 0.1, 1.0) for k in range(30)],  # each begins as the one before ends, but for the last bits
    [(0.0, 24.0, 10.0**k) for k in range(-12, 13, 4)],
]


@pytest.mark.parametrize("way", list(WAYS))
@pytest.mark.parametrize("case", range(len(BESIDE)))
def test_beside_each_other(way, case):
    doses = BESIDE[case]
    want = sum(infused(TIMES, *dose) for dose in doses)
    got = WAYS[way](doses)
    assert np.all(got >= 0)
    large = np.max([dose[2] for dose in doses])
    assert np.allclose(got, want, rtol=1e-7, atol=1e-15 * large)


lengths = st.floats(-7, 1.5).map(lambda e: 10.0**e)
amounts = st.floats(-9, 9).map(lambda e: 10.0**e)


@given(st.lists(st.tuples(st.integers(0, 40).map(lambda k: k / 4), lengths, amounts), min_size=1, max_size=6))
@settings(max_examples=40, deadline=None)
def test_any_mixture_is_the_sum_of_its_parts_and_leaves_nothing(doses):
    times = np.array([60.0, 70.0, 300.0])
    want = sum(infused(times, *dose) for dose in doses)
    got = by_schedule(doses, times)
    assert np.allclose(got, want, rtol=1e-6)
    assert got[2] == pytest.approx(got[1] * np.exp(-23.0), rel=1e-6)  # nothing flows any more


def test_a_reset_ends_infusions_and_their_ends_do_nothing_later():
    schedule = engine.Schedule(1)
    schedule.dose("c", time=0.0, amount=10.0, duration=10.0)
    schedule.reset(time=5.0)
    schedule.dose("c", time=6.0, amount=6.0, duration=6.0)  # the same rate as the one that was ended
    times = np.array([5.5, 11.0, 30.0])
    want = infused(times, 6.0, 6.0, 6.0)
    for locate in (False, True):
        got = engine.build(ONE, outputs=["c"]).solve(None, schedule, times, rtol=1e-9, locate_jumps=locate)["c"][0]
        assert np.allclose(got, want, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("steady", [1, 2])
@pytest.mark.parametrize("short", [1e-5, 0.5, 30.0])
def test_steady_infusions_beside_a_background(steady, short):
    """The background of SS 2 goes on, that of SS 1 ends; what runs into the next interval is counted once."""
    background, interval, amount = 1e-3, 12.0, 100.0
    regimen = Record(10, 1, "c", amount, rate=amount / short, interval=interval, steady=steady)
    lines = [Record(0, 1, "c", 100 * background, rate=background), regimen, *map(Record, (40.0, 99.0, 150.0))]
    got = engine.build(ONE, outputs=["c"]).solve(None, Records([lines]), rtol=1e-10, atol=1e-12)["c"][2:]
    times = np.array([40.0, 99.0, 150.0])
    want = sum(infused(times, 10 - k * interval, short, amount) for k in range(400))
    want = want + (infused(times, 0, 100.0, 100 * background) if steady == 2 else 0)
    assert np.allclose(got, want, rtol=1e-6)


@pytest.mark.parametrize("records", [False, True])
def test_slopes_of_infusions_are_sums_too(records):
    """d(c)/d(share) where a share decides over a small infusion and its complement over a large short one."""
    share, times = 1e-6, np.array([0.5, 2.0, 20.0, 60.0])
    small, large = 10.0 * share, 1e6 * (1 - share)
    if records:
        lines = [
            Record(0, 1, "c", 10.0, rate=-2, modelled=24.0, fraction=share, fraction_sensitivity=(("share", 1.0),)),
            Record(1, 1, "c", 1e6, rate=-2, modelled=1e-4, fraction=1 - share, fraction_sensitivity=(("share", -1.0),)),
        ]
        lines = sorted([*lines, *map(Record, times)], key=lambda r: r.time)
        asked = Records([lines])
        rows = [k for k, line in enumerate(lines) if line.evid == 0]
    else:
        asked = engine.Schedule(1)
        asked.dose("c", time=0.0, amount=10.0, duration=24.0, fraction=share, fraction_sensitivity={"share": 1.0})
        asked.dose("c", time=1.0, amount=1e6, duration=1e-4, fraction=1 - share, fraction_sensitivity={"share": -1.0})
    solver = engine.build(ONE, outputs=["c"], sensitivities=["share"])
    got = solver.solve(None, asked, () if records else times, rtol=1e-9)
    values, slopes = got["c"].ravel(), got.gradient("c", "share").ravel()
    values, slopes = (values[rows], slopes[rows]) if records else (values, slopes)
    assert np.allclose(values, infused(times, 0, 24.0, small) + infused(times, 1, 1e-4, large), rtol=1e-6)
    assert np.allclose(slopes, infused(times, 0, 24.0, 10.0) - infused(times, 1, 1e-4, 1e6), rtol=1e-6)


def test_an_infusion_without_amount_that_has_a_slope():
    schedule = engine.Schedule(1)
    schedule.dose("c", time=0.0, amount=0.0 + 5.0, fraction=0.0, duration=2.0, fraction_sensitivity={"F": 1.0})
    got = engine.build(ONE, outputs=["c"], sensitivities=["F"]).solve(None, schedule, [1.0, 5.0], rtol=1e-9)
    assert np.all(got["c"] == 0)
    assert np.allclose(got.gradient("c", "F")[0], infused(np.array([1.0, 5.0]), 0, 2.0, 5.0), rtol=1e-7)


def test_each_subject_has_its_own_infusions():
    n = 7
    schedule = engine.Schedule(n)
    small = 10.0 ** -np.arange(n)
    schedule.dose("c", time=0.0, amount=24 * small, duration=24.0)
    schedule.dose(
        "c", time=np.where(np.arange(n) % 2, 1.0, np.nan), amount=np.where(np.arange(n) % 2, 1e3, np.nan), duration=1e-5
    )
    got = engine.build(ONE, outputs=["c"]).solve(np.zeros((n, 0)), schedule, TIMES, rtol=1e-9, atol=1e-300)["c"]
    for s in range(n):
        want = infused(TIMES, 0, 24.0, 24 * small[s]) + (infused(TIMES, 1, 1e-5, 1e3) if s % 2 else 0)
        assert np.allclose(got[s], want, rtol=1e-6)

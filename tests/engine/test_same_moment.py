"""Never silently wrong: times that differ in their last bits are one moment, for doses, records, events and outputs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respine import engine
from respine.engine import Record, Records
from respine.engine.dosing.moments import Moments
from respine.model.system import Event
from tests.engine.systems import formula, system

ONE = system({"c": "-k*c"}, {"c": 0.0}, {"k": 0.5}, {"n": 0.0})
WRITTEN = [  # two ways to arrive at one time
    (0.3, 0.1 + 0.2), (0.3, 3 * 0.1), (0.7, 0.1 * 7), (2.4, 24 * 0.1), (1.1, 1.1000000000000001), (33.6, 1.4 * 24),
    (100.8, sum([0.1] * 1008)), (1 / 3, 0.1 / 0.3), (4.35, 435 / 100), (1e6 + 0.1, 1e6 + 0.1 + 1e-10),
]  # fmt: skip
EITHER = [pair for a, b in WRITTEN for pair in ((a, b), (b, a))]


def dosed(dose: float, read: float, *, after: bool, locate: bool, start: float = 0.0) -> float:
    schedule = engine.Schedule(1)
    schedule.dose("c", time=dose, amount=1.0)
    solver = engine.build(ONE, outputs=["c"])
    return solver.solve(None, schedule, [read, read + 1], start=start, after=after, locate_jumps=locate)["c"][0, 0]


@pytest.mark.parametrize("locate", [False, True])
@pytest.mark.parametrize(("dose", "read"), EITHER)
def test_an_output_at_the_time_of_a_dose(dose, read, locate):
    assert dosed(dose, read, after=False, locate=locate) == 0
    assert dosed(dose, read, after=True, locate=locate) == 1


@pytest.mark.parametrize("locate", [False, True])
def test_times_that_differ_are_two(locate):
    for time in (0.3, 24.0, 1e4):
        for apart in (1e-9, 1e-6, 1e-3):
            later = time * (1 + apart)
            assert dosed(time, later, after=False, locate=locate) == pytest.approx(
                np.exp(-0.5 * (later - time)), rel=1e-4
            )
            assert dosed(later, time, after=True, locate=locate) == 0


@pytest.mark.parametrize(("written", "computed"), EITHER)
def test_an_additional_dose_comes_before_a_record_of_its_time(written, computed):
    """ADDL doses fall before a record of the same time, however that is written."""
    for first, interval in ((0.0, written), (written / 2, written / 2)):
        lines = [Record(first, 1, "c", 1.0, interval=interval, additional=1), Record(computed)]
        got = engine.build(ONE, outputs=["c"]).solve(None, Records([lines]), rtol=1e-9)["c"][1]
        assert got == pytest.approx(1 + np.exp(-0.5 * (written - first)), rel=1e-6)


@pytest.mark.parametrize(("written", "computed"), EITHER)
def test_records_of_one_moment_keep_their_order(written, computed):
    lines = [Record(0, 1, "c", 1.0), Record(written), Record(computed, 1, "c", 5.0), Record(written), Record(computed, 3),
             Record(written)]  # fmt: skip
    got = engine.build(ONE, outputs=["c"]).solve(None, Records([lines]), rtol=1e-9)["c"]
    left = np.exp(-0.5 * written)
    assert np.allclose(got[[1, 3, 5]], [left, left + 5, 0], rtol=1e-6)


@pytest.mark.parametrize(("written", "computed"), EITHER)
def test_a_reset_and_a_dose_of_one_moment_keep_the_order_in_which_they_were_added(written, computed):
    for reset_first in (True, False):
        for locate in (False, True):
            schedule = engine.Schedule(1)
            acts = [lambda s=schedule: s.reset(time=written), lambda s=schedule: s.dose("c", time=computed, amount=1.0)]
            for act in acts if reset_first else acts[::-1]:
                act()
            got = engine.build(ONE, outputs=["c"]).solve(None, schedule, [written + 1], rtol=1e-9, locate_jumps=locate)
            assert got["c"][0, 0] == pytest.approx(np.exp(-0.5) if reset_first else 0, rel=1e-5)


@pytest.mark.parametrize(("written", "computed"), EITHER)
def test_an_event_of_time_meets_a_dose_and_an_output(written, computed):
    """Triggered events come first, then outputs, then doses."""
    s = replace(ONE, events=(Event("double", formula(f"t >= {written!r}"), (("c", formula("2*c + 1")),)),))
    schedule = engine.Schedule(1)
    schedule.dose("c", time=computed, amount=10.0)
    got = engine.build(s, outputs=["c"]).solve(None, schedule, [computed, computed + 1], rtol=1e-9)["c"][0]
    assert got[0] == pytest.approx(1.0) and got[1] == pytest.approx(11 * np.exp(-0.5), rel=1e-6)


@pytest.mark.parametrize(("start", "other"), EITHER)
def test_the_start_is_a_moment_too(start, other):
    for locate in (False, True):
        assert dosed(other, start, after=False, locate=locate, start=start) == 0
        assert dosed(other, start, after=True, locate=locate, start=start) == 1
    got = engine.build(ONE, outputs=["c"]).solve(
        None, Records([[Record(other, 1, "c", 1.0), Record(other)]]), start=start
    )
    assert got["c"][1] == 1


def test_zero_that_rounding_left_behind():
    times = np.arange(-1, 1, 0.1)
    assert times[10] != 0
    schedule = engine.Schedule(1)
    schedule.dose("c", time=0.0, amount=1.0)
    for after in (False, True):
        got = engine.build(ONE, outputs=["c"]).solve(None, schedule, times, start=-1.0, after=after)["c"][0]
        assert got[10] == (1.0 if after else 0.0) and got[11] > 0.9


@given(st.integers(1, 400), st.integers(1, 40), st.sampled_from([0.1, 0.7, 1.3, 2.4, 1 / 3]), st.booleans())
@settings(max_examples=60, deadline=None)
def test_sampling_at_the_doses_of_a_regimen(first, count, interval, after):
    """Doses added up one by one, outputs multiplied: every trough is a trough, every peak a peak."""
    doses = first * interval + np.cumsum(np.full(count, interval))
    outputs = (first + 1 + np.arange(count)) * interval
    schedule = engine.Schedule(1)
    for time in doses:
        schedule.dose("c", time=time, amount=1.0)
    got = engine.build(ONE, outputs=["c"]).solve(None, schedule, outputs, after=after, rtol=1e-9)["c"][0]
    decay = np.exp(-0.5 * interval)
    troughs = decay * (1 - decay ** np.arange(count)) / (1 - decay)
    assert np.allclose(got, troughs + (1.0 if after else 0.0), rtol=1e-6, atol=1e-12)


def test_infusions_keep_their_amount_whatever_they_are_moved_by():
    """An infusion as long as the distance by which times may differ is not stretched by what counts as one moment."""
    for length in (3e-11, 1e-10, 1e-8, 1e-3):
        schedule = engine.Schedule(1)
        schedule.dose("c", time=1.0, amount=1.0, duration=length)
        got = engine.build(ONE, outputs=["c"]).solve(None, schedule, [1.0, 1.0 + 1.7 * length, 2.0], rtol=1e-10)["c"][0]
        assert got[2] == pytest.approx(np.exp(-0.5) * (np.expm1(0.5 * length) / (0.5 * length)), rel=1e-8)


def test_on_which_output_an_event_falls():
    outputs = np.array([0.3, 0.1 + 0.2, 0.5])
    before, after = (
        Moments(0.0, 1.0, outputs, after=a).at_outputs(np.array([0.3, np.nan, 0.4])) for a in (False, True)
    )
    assert before[0] == outputs[1] and after[0] == outputs[0] and np.isnan(before[1]) and before[2] == after[2] == 0.4

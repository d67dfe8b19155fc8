"""What cannot be meant is refused with one clear error, before anything is solved."""

from __future__ import annotations

import numpy as np
import pytest

from respine import engine
from respine.engine import Record, Records, Status
from tests.engine.systems import one_compartment, system

NAN, INF = np.nan, np.inf


def dosed(n: int = 1, start: float = 0.0, **dose) -> engine.Solution:
    schedule = engine.Schedule(n)
    schedule.dose("depot", **{"time": 0.0, "amount": 1.0, **dose})
    return engine.build(one_compartment(), outputs=["central"]).solve(np.zeros((n, 0)), schedule, [5.0], start=start)


@pytest.mark.parametrize("entry", ["time", "amount", "duration", "lag", "fraction"])
@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_every_number_of_a_dose_must_be_finite(entry, value):
    with pytest.raises(ValueError, match=f"{entry}.*(nan|inf)"):
        dosed(**{entry: value})
    if not (entry == "amount" and np.isnan(value)):  # in an array: no dose for that subject
        with pytest.raises(ValueError, match=f"{entry}.*for subject 1"):
            dosed(2, **{entry: np.array([1.0, value])})


@pytest.mark.parametrize("entry", ["amount", "duration", "lag", "fraction"])
def test_negative_numbers_of_a_dose(entry):
    with pytest.raises(ValueError, match=f"{entry} of a dose into depot is -1 for subject 1; it cannot be negative"):
        dosed(2, **{entry: np.array([1.0, -1.0])})


def test_two_negatives_make_no_dose():
    with pytest.raises(ValueError, match="amount of a dose into depot is -1"):
        dosed(amount=-1.0, fraction=-1.0)


def test_subjects_without_a_dose_need_no_other_numbers():
    """NaN in an array and zero are no dose; their lag may be unknown."""
    got = dosed(3, amount=np.array([1.0, NAN, 0.0]), lag=np.array([0.0, NAN, NAN]))
    assert got["central"][0, 0] > 0 and np.all(got["central"][1:] == 0)


@pytest.mark.parametrize("duration", [0.0, 10.0])
def test_a_dose_before_the_start(duration):
    with pytest.raises(ValueError, match=r"subject 0: a dose into depot.* at -5 lies before the start 0"):
        dosed(time=-5.0, duration=duration)
    assert dosed(time=-5.0, duration=duration, start=-5.0)["central"][0, 0] > 0


def test_changes_and_resets():
    for change in (engine.Schedule.set, engine.Schedule.set_state):
        for bad in ({"time": NAN, "value": 1.0}, {"time": INF, "value": 1.0}, {"time": 0.0, "value": NAN}):
            with pytest.raises(ValueError, match=r"nan|inf"):
                change(engine.Schedule(1), "x", **bad)
    for time in (NAN, INF):
        with pytest.raises(ValueError, match="time of a reset is"):
            engine.Schedule(1).reset(time=time)
    s = system({"x": "drive"}, {"x": 0.0}, inputs={"drive": 3.0})
    schedule = engine.Schedule(3)
    schedule.set("drive", time=np.array([0.0, NAN, 0.0]), value=np.array([1.0, NAN, INF]))
    got = engine.build(s, outputs=["x"]).solve(np.zeros((3, 0)), schedule, [2.0])
    assert got.status.tolist() == [Status.OK, Status.OK, Status.BAD_PARAMETER]
    assert np.allclose(got["x"][:2, 0], [2, 6]) and np.isnan(got["x"][2, 0])


@pytest.mark.parametrize("n", [-1, 2.5, NAN, "2"])
def test_how_many_subjects(n):
    with pytest.raises(ValueError, match="write a whole number"):
        engine.Schedule(n)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"precision": "float16"}, "float16"), ({"method": "euler"}, "unknown"), ({"lanes": 3}, "lanes is 3"),
        ({"lanes": 0}, "lanes is 0"), ({"largest_step": 0.0}, "largest_step is 0"), ({"largest_step": NAN}, "is nan"),
        ({"largest_step": -1.0}, "is -1"), ({"max_steps": 0}, "max_steps is 0"),
        ({"sensitivity_tolerance": NAN}, "sensitivity_tolerance is nan"),
    ],
)  # fmt: skip
def test_options(options, text):
    with pytest.raises(ValueError, match=text):
        engine.build(one_compartment(), outputs=["central"], options=engine.Options(**options)).solve(times=[1.0])


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"rtol": NAN}, "rtol is nan"), ({"rtol": -1e-5}, "rtol is -1e-05"), ({"rtol": 1.0}, "between 0 and 1"),
        ({"rtol": 1e-30}, "64 bits"), ({"atol": NAN}, "positive"), ({"atol": {"depot": 0.0}}, "positive"),
        ({"atol": {"dep": 1.0}}, "did you mean depot"), ({"start": NAN}, "finite"), ({"start": INF}, "finite"),
        ({"initial": {"dep": 1.0}}, "did you mean depot"), ({"initial": {"depot": [1, 2]}}, "start of depot has shape"),
        ({"threads": -1}, "at least 1"),
    ],
)  # fmt: skip
def test_settings_of_a_solve(settings, text):
    solver = engine.build(one_compartment(), outputs=["central"], options=engine.Options(keep_all=True))
    with pytest.raises(ValueError, match=text):
        solver.solve(times=[1.0], **settings)


def test_a_start_that_is_no_number_is_a_status():
    solver = engine.build(one_compartment(), outputs=["central"], options=engine.Options(keep_all=True))
    got = solver.solve(np.zeros((2, 0)), times=[1.0], initial={"depot": np.array([1.0, NAN])})
    assert got.status.tolist() == [Status.OK, Status.BAD_PARAMETER]


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (Record(0.0, 1, "central", 5, interval=2, additional=1.5), "ADDL is 1.5; write a whole number"),
        (Record(0.0, 1, "central", 5, interval=2, additional=NAN), "missing"),
        (Record(0.0, 1, "central", INF), "infinite"),
        (Record(0.0, 1, "central", 5, lag=-1), "lag is -1"),
        (Record(0.0, 1, "central", 5, fraction=-1), "bioavailability is -1"),
        (Record(0.0, 1, "central", 0), "AMT is 0"),
        (Record(0.0, 1, "central", 5, rate=-1, modelled=0.0), "positive modelled rate"),
        (Record(0.0, 0, "central", 5), "EVID 0 is no dose but has AMT"),
        (Record(0.0, 3, "central", 5, rate=2), "EVID 3 is no dose but has AMT and RATE"),
        (Record(0.0, 2, steady=1), "EVID 2 is no dose but has SS"),
        (Record(0.0, 1, "central", 5, steady=3), "SS 3"),
        (Record(0.0, 1, "central", 5, lag_sensitivity=(("a", NAN),)), "missing"),
    ],
)
def test_records(record, text):
    with pytest.raises(ValueError, match=f"subject 1, record 1: .*{text}"):
        Records([[Record(0.0)], [Record(0.0), record]])


def test_records_to_an_unknown_compartment():
    solver = engine.build(one_compartment(), outputs=["central"])
    with pytest.raises(ValueError, match="did you mean central"):
        solver.solve(None, Records([[Record(0.0, 1, "centrall", 5)]]))

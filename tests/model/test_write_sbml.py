"""SBML out: valid for libSBML, units and all, and run by libRoadRunner to known answers."""

from __future__ import annotations

import libsbml
import numpy as np
import pytest
import roadrunner

from respine import library, model
from respine.errors import InputError
from respine.model import Event, System
from respine.model.expression import num, sym

from .conftest import Home
from .documents import at_start, rates_at_start, simulate

_FLOW = ("mul", sym("k"), ("mul", ("sub", num(1), sym("block")), sym("x")))
DECAY = System("decay", "h", {"k": 0.5}, {"block": 0.0}, {}, {"x": ("neg", _FLOW)}, {"x": num(8)})


def complaints(text: str, *, units: bool = True) -> list[str]:
    """All libSBML has to say, from the XML to unit warnings; modelling practice is left out."""
    document = libsbml.readSBMLFromString(text)
    document.setConsistencyChecks(libsbml.LIBSBML_CAT_MODELING_PRACTICE, False)
    document.setConsistencyChecks(libsbml.LIBSBML_CAT_UNITS_CONSISTENCY, units)
    document.checkConsistency()
    return [document.getError(k).getMessage() for k in range(document.getNumErrors())]


def test_a_bolus_adds_at_once() -> None:
    times = np.array([0.0, 1.0, 2.0, 3.0, 4.0])
    values = simulate(DECAY, times, {"x": sym("x")}, doses=[("x", 2.0, 10.0, 0.0), ("x", 2.0, 5.0, 0.0)])[:, 0]
    assert values[[0, 1, 3, 4]] == pytest.approx(
        [8, 8 * np.exp(-0.5), *(8 * np.exp(-0.5 * times[3:]) + 15 * np.exp(-0.5 * (times[3:] - 2)))], rel=1e-8
    )


def test_infusions_overlap_and_leave_nothing_behind() -> None:
    """Two infusions of 6 over 3 h, from 0 and from 1 h: x(t) in closed form."""
    resting = System(
        "rest", "h", {"k": 0.5}, {}, {}, DECAY.rates | {"x": ("neg", ("mul", sym("k"), sym("x")))}, {"x": num(0)}
    )
    times = np.linspace(0, 8, 9)

    def solution(begin: float) -> np.ndarray:
        during = 4 * (1 - np.exp(-0.5 * np.clip(times - begin, 0, 3)))
        return during * np.exp(-0.5 * np.clip(times - begin - 3, 0, None))

    doses = [("x", 0.0, 6.0, 3.0), ("x", 1.0, 6.0, 3.0)]
    ask = {"x": sym("x")}
    assert simulate(resting, times, ask, doses=doses)[:, 0] == pytest.approx(
        solution(0) + solution(1), rel=1e-7, abs=1e-10
    )
    runner = roadrunner.RoadRunner(model.to_sbml(resting, doses=doses))
    runner.simulate(0, 8, 9)
    assert runner.getValue("infusion_into_x") == 0.0


def test_an_input_is_switched() -> None:
    values = simulate(DECAY, np.array([0.0, 1.0, 5.0]), {"x": sym("x")}, inputs=[("block", 1.0, 1.0)])[:, 0]
    assert values[2] == pytest.approx(8 * np.exp(-0.5), rel=1e-7)


def test_events_survive_writing_and_reading() -> None:
    event = Event("late", ("gt", ("time",), num(1)), (("x", num(3)),), num(0.5), num(2), False, False, False)
    system = System("e", "h", {}, {}, {}, {"x": num(1)}, {"x": num(0)}, (event,))
    assert model.load_sbml(model.to_sbml(system)).events == (event,)


@pytest.mark.parametrize(
    ("doses", "inputs", "word"),
    [
        ([("k", 0.0, 1.0, 0.0)], [], "only go into a state"),
        ([("x", 0.0, 1.0, -1.0)], [], "not negative"),
        ([("x", 0.0, float("nan"), 0.0)], [], "finite"),
        ([], [("k", 0.0, 1.0)], "only an input"),
        ([], [("block", 0.0, float("inf"))], "finite"),
    ],
)
def test_a_wrong_dose_is_refused(doses: list, inputs: list, word: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(InputError, match=word):
        model.to_sbml(DECAY, doses=doses, inputs=inputs)


def test_a_library_model_is_written_with_units_and_provenance(home: Home) -> None:
    system = model.load("oral", home.library)
    text = model.to_sbml(
        system, doses=[("gut", 0.0, 100.0, 0.0), ("body", 1.0, 50.0, 2.0)], inputs=[("block", 5.0, 1.0)]
    )
    assert complaints(text) == []
    document = libsbml.readSBMLFromString(text)
    note = document.getModel().getParameter("ka").getNotesString()
    assert "status: literature" in note and "smith-2001" in note and "Table 2" in note
    again = model.load_sbml(text)
    assert again.quantities["clearance"].unit == "L/h" and again.quantities["gut"].label == "Amount in the gut"


def test_notes_may_hold_any_sign(home: Home) -> None:
    home.change("parameters/absorption.csv", "round number", '"a < b & c > ""d"" µ"')
    text = model.to_sbml(model.load("oral", home.library))
    assert complaints(text) == []
    assert "a &lt; b &amp; c" in text


@pytest.mark.parametrize("name", library.names("models"))
def test_every_library_model_is_valid_sbml_with_the_same_equations(name: str) -> None:
    system = model.load(name)
    text = model.to_sbml(system)
    assert complaints(text) == []
    again = model.load_sbml(text)
    values, expected = at_start(again), at_start(system)
    assert values == pytest.approx(expected, rel=1e-12, abs=1e-13)
    rates = rates_at_start(system)
    assert rates_at_start(again) == pytest.approx(rates, rel=1e-9, abs=1e-12)


def test_libroadrunner_finds_the_same_rates_in_the_export() -> None:
    system = model.load("human")
    runner = roadrunner.RoadRunner(model.to_sbml(system))
    theirs = {name: float(runner.getValue(f"{name}'")) for name in system.states}
    assert theirs == pytest.approx(rates_at_start(system), rel=1e-9, abs=1e-12)


def _by_libroadrunner(sbml: str, times: np.ndarray, outputs: list[str]) -> np.ndarray:
    """At the first absolute tolerance at which CVODE gets past the doses: its step after one may be lost in rounding."""
    for tolerance in (1e-10, 1e-11, 3e-11, 3e-10):
        runner = roadrunner.RoadRunner(sbml)
        runner.integrator.relative_tolerance = 1e-9
        runner.integrator.absolute_tolerance = tolerance
        runner.integrator.maximum_num_steps = 1_000_000
        runner.selections = outputs
        try:
            return np.array(runner.simulate(times=list(times)))
        except RuntimeError:
            continue
    raise AssertionError("libroadrunner fails at every tolerance")


def test_the_export_runs_to_the_same_trajectories_in_libroadrunner() -> None:
    """The whole human model under stress, given ketamine after a day, by two independent solvers, to 1e-6."""
    from respine import engine

    system = model.load("human")
    outputs = [
        "s_ketamine_plasma",
        "nmdar_occupancy",
        "glutamate",
        "bdnf_release",
        "mtorc1",
        "spine_total",
        "circuit",
        "symptom",
    ]
    outputs = [name for name in outputs if name in {*system.rates, *system.rules}]
    assert len(outputs) >= 5
    doses = [("s_ketamine_central", 24.0, 17.5, 2 / 3), ("r_ketamine_central", 24.0, 17.5, 2 / 3)]
    times = np.concatenate([[0, 6, 12, 24], 24 + np.array([0.25, 0.7, 1, 2, 4, 8, 24, 72, 168])])

    solver = engine.build(system, outputs=outputs)
    schedule = engine.Schedule(1)
    for state, at, amount, duration in doses:
        schedule.dose(state, time=at, amount=amount, duration=duration)
    schedule.set("stress", time=1.0, value=1.0)
    solution = solver.solve(np.zeros((1, 0)), schedule, times, start=0.0, rtol=1e-9)
    assert not solution.failures

    theirs = _by_libroadrunner(model.to_sbml(system, doses=doses, inputs=[("stress", 1.0, 1.0)]), times, outputs)
    scale = np.abs(theirs).max(axis=0)
    assert (np.abs(solution.values[0] - theirs) <= 1e-6 * scale).all()

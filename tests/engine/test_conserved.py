"""Totals that the equations keep: found, followed, and a subject named in whom one changes."""

import numpy as np
import pytest

from respine import engine
from respine.engine.run.conservation import conservation_laws, conserved_totals
from respine.engine.status import Status
from tests.engine.systems import system

BINDING = system(
    {
        "free": "off*bound - on*free*drug",
        "bound": "on*free*drug - off*bound",
        "drug": "off*bound - on*free*drug - k*drug",
    },
    {"free": 1.0, "bound": 0.0, "drug": 3.0},
    {"on": 2.0, "off": 0.5, "k": 0.1},
)
DIMER = system({"one": "2*back*two - 2*join*one**2", "two": "join*one**2 - back*two"}, {"one": 4.0, "two": 0.0},
               {"join": 0.3, "back": 0.2})  # fmt: skip


def totals(of, vary=()):
    return conservation_laws(of, vary, {**of.parameters, **of.inputs})


def test_totals_are_found_with_their_weights():
    assert totals(BINDING) == [{"free": 1.0, "bound": 1.0}]
    (total,) = totals(DIMER)
    assert total["two"] / total["one"] == pytest.approx(2.0)


def test_a_loss_keeps_nothing_and_two_loops_keep_two():
    assert totals(system({"a": "-k*a", "b": "k*a - b"}, {"a": 1.0, "b": 0.0}, {"k": 1.0})) == []
    rates = {"a": "y - x", "b": "x - y", "c": "v - u", "d": "u - v", "rest": "0*a"}
    two = system(rates, dict.fromkeys(rates, 1.0), rules={"x": "a*b", "y": "b*3", "u": "c*c", "v": "d/7"})
    assert sorted(sorted(t) for t in totals(two)) == [["a", "b"], ["c", "d"]]


@pytest.mark.parametrize("precision,limit", [("float64", 1e-13), ("float32", 1e-5)])
def test_a_run_tells_the_drift_and_only_what_was_asked(precision, limit):
    options = engine.Options(precision=precision, conserved=True)
    solver = engine.build(BINDING, outputs=["bound"], vary=["on"], options=options)
    schedule = engine.Schedule(3)
    schedule.dose("drug", time=5.0, amount=2.0)
    schedule.dose("free", time=7.0, amount=1.0)  # a total may jump at a dose
    solution = solver.solve(np.array([[1.0], [2.0], [9.0]]), schedule, np.linspace(0, 20, 41))
    assert solution.values.shape == (3, 41, 1) and solution.outputs == ("bound",)
    (told,) = solution.settings["conserved"]
    assert told["total"] == {"free": 1.0, "bound": 1.0} and told["largest_drift"] < limit
    assert not solution.failures


def test_an_infusion_feeds_a_total():
    solver = engine.build(BINDING, outputs=["bound"], options=engine.Options(conserved=True))
    schedule = engine.Schedule(1)
    schedule.dose("free", time=0.0, amount=1.0, duration=4.0)
    solution = solver.solve(None, schedule, np.linspace(0, 20, 41))
    assert solution.settings["conserved"] == [] and not solution.failures


def test_a_subject_in_whom_a_total_changes_is_named_and_ends():
    options = engine.Options(conserved=True)
    solver = engine.build(BINDING, outputs=["bound"], vary=["on"], options=options)
    solver.totals = conserved_totals(
        DIMER, (), DIMER.parameters
    )  # the total of another system: as if the solver were at fault
    wrong = ("add", ("sym", "free"), ("mul", ("num", 2.0), ("sym", "bound")))
    solver.setup.system.rules["#total 0"] = wrong
    solution = solver.solve(np.array([[1.0], [2.0]]), engine.Schedule(2), np.linspace(0, 2, 5))
    assert [f.subject for f in solution.failures] == [0, 1]
    assert (solution.status == Status.NOT_KEPT).all() and np.isnan(solution.values[:, 1:]).all()
    assert "one" in str(solution.failures[0]) and np.isfinite(solution.values[:, 0]).all()


def test_the_human_model_keeps_nothing_silently():
    from respine import model

    human = model.load("human")
    assert all(len(total) > 1 for total in totals(human))

"""Never silently wrong: failures are named and stay alone, results do not depend on how the work is cut."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from respine import engine
from respine.engine import Status
from respine.engine.run import driver
from tests.engine.systems import one_compartment, system


def nonlinear():
    return system(
        {"x": "k*(1 + s*cos(3*t)) - x**n/(1 + x**n)", "y": "x - 0.5*y"},
        {"x": 1.0, "y": 0.0},
        {"k": 0.4, "s": 0.5, "n": 1.7},
    )


def population(n, seed=3):
    rng = np.random.default_rng(seed)
    return np.column_stack([rng.uniform(0.2, 0.6, n), rng.uniform(0.1, 0.9, n), rng.uniform(1.2, 2.5, n)])


TIMES = np.linspace(0, 50, 26)


def run(parameters, **settings):
    options = settings.pop("options", None)
    solver = engine.build(nonlinear(), outputs=["x", "y"], vary=["k", "s", "n"], options=options)
    schedule = engine.Schedule(len(parameters))
    schedule.dose("y", time=np.linspace(0, 40, len(parameters)), amount=1.0)
    return solver.solve(parameters, schedule, TIMES, **settings)


def test_bits_do_not_depend_on_threads_or_neighbours():
    p = population(203)
    first, two = run(p, threads=1), run(p, threads=2)
    assert np.array_equal(first.values, two.values)
    solver = engine.build(nonlinear(), outputs=["x", "y"], vary=["k", "s", "n"])
    schedule = engine.Schedule(1)
    schedule.dose("y", time=np.linspace(0, 40, 203)[77], amount=1.0)
    assert np.array_equal(solver.solve(p[77:78], schedule, TIMES).values[0], first.values[77])


@pytest.mark.parametrize("lanes", [2, 4])
def test_lane_widths_agree_to_the_tolerance(lanes):
    p = population(9)
    wide, narrow = run(p, rtol=1e-7), run(p, rtol=1e-7, options=engine.Options(lanes=lanes))
    assert np.allclose(wide.values, narrow.values, rtol=1e-5)


@pytest.mark.parametrize("method", ["rodas5p", "rodas4"])
def test_error_follows_the_tolerance(method):
    p = population(16)
    options = engine.Options(method=method)
    best = run(p, rtol=1e-11, atol=1e-13).values
    errors = [np.max(np.abs(run(p, rtol=r, options=options).values - best)) for r in (1e-4, 1e-6, 1e-8)]
    for rtol, error in zip((1e-4, 1e-6, 1e-8), errors, strict=True):
        assert error < 30 * rtol
    assert errors[0] > errors[1] > errors[2]


def test_one_bad_subject_among_many_is_named_and_alone():
    s = system(
        {"stock": "make - 0.1*stock**1.5", "effect": "stock - effect"},
        {"stock": 1.0, "effect": 1.0},
        {"make": 0.1},
    )
    make = np.full((1024, 1), 0.1)
    make[539] = -0.02
    solver = engine.build(s, outputs=["stock", "effect"], vary=["make"])
    solution = solver.solve(make, times=np.linspace(0, 400, 41))
    assert np.flatnonzero(solution.status).tolist() == [539]
    (failure,) = solution.failures
    assert failure.subject == 539 and failure.status is Status.NOT_FINITE and failure.state == "stock"
    assert 0 < failure.time < 400 and abs(failure.value) < 1e-3
    assert "subject 539" in str(failure) and failure.cure in str(failure).lower()
    assert np.isnan(solution.values[539, -1]).all() and np.isfinite(solution.values[539, 0]).all()
    others = np.delete(np.arange(1024), 539)
    assert np.isfinite(solution.values[others]).all()
    assert np.allclose(solution.values[others, -1, 0], 1.0, rtol=1e-4)


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_overflow_and_no_numbers_do_not_reach_neighbours(precision):
    s = system({"a": "k*a*a - g*a", "b": "ln(a) - b"}, {"a": 1.0, "b": 1.0}, {"k": 0.1, "g": 0.2})
    p = np.tile([0.1, 0.2], (64, 1))
    odd = {5: (1e30, 1e30), 17: (np.inf, 1.0), 20: (-1e6, 1.0), 41: (1e300, -1e300)}
    for subject, values in odd.items():
        p[subject] = values
    solver = engine.build(s, outputs=["a", "b"], vary=["k", "g"], options=engine.Options(precision=precision))
    solution = solver.solve(p, times=np.linspace(0, 50, 11))
    assert {17, 41} <= set(np.flatnonzero(solution.status).tolist()) <= set(odd)
    assert solution.status[17] == Status.BAD_PARAMETER and np.isnan(solution.values[41, -1]).all()
    others = np.delete(np.arange(64), [*odd])
    alone = solver.solve(p[:1], times=np.linspace(0, 50, 11)).values[0]
    assert np.array_equal(solution.values[others], np.broadcast_to(alone, (len(others), 11, 2)))


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_who_fails_leaves_nothing_in_the_lane(precision):
    """The next subject of the lane starts as if it had been the first."""
    s = system({"x": "sqrt(p)*(1 + sin(3*t)) - x"}, {"x": 1.0}, {"p": 1.0})
    solver = engine.build(s, outputs=["x"], vary=["p"], options=engine.Options(precision=precision, lanes=1))
    times = np.linspace(0, 20, 9)
    after, alone = (solver.solve(np.array(p)[:, None], times=times) for p in ([-1.0, 2.0], [2.0]))
    assert after.status.tolist() == [Status.NOT_FINITE, Status.OK]
    assert np.array_equal(after.values[1], alone.values[0]) and np.array_equal(after.steps[1], alone.steps[0])


def test_runaway_ends_at_the_step_floor():
    s = system({"x": "x*x"}, {"x": 1.0})
    solution = engine.build(s, outputs=["x"]).solve(times=[0, 0.5, 2.0])
    assert np.isclose(solution["x"][0, 1], 2.0, rtol=1e-4)
    assert np.isnan(solution["x"][0, 2])
    assert solution.failures[0].state == "x" and np.isclose(solution.failures[0].time, 1.0, atol=1e-3)


def test_a_state_that_turns_negative_is_named_where_it_cannot():
    s = system({"stock": "1 - use", "other": "stock - other"}, {"stock": 5.0, "other": 0.0}, {"use": 1.0})
    options = engine.Options(nonnegative=True)
    solver = engine.build(s, outputs=["other"], vary=["use"], options=options)
    solution = solver.solve(np.array([[1.0], [3.0], [0.5]]), times=[0, 1, 2, 3, 10])
    assert solution.status.tolist() == [Status.OK, Status.NEGATIVE, Status.OK]
    (failure,) = solution.failures
    assert failure.state == "stock" and failure.value < 0 and failure.time >= 2.5
    assert np.isfinite(solution.values[1, :3]).all() and np.isnan(solution.values[1, -1]).all()


def test_nobody_to_solve_is_no_crash():
    solver = engine.build(one_compartment(), outputs=["concentration"], vary=["CL"])
    schedule = engine.Schedule(2)
    schedule.dose("depot", time=0.0, amount=1.0)
    solution = solver.solve(np.full((2, 1), np.nan), schedule, [1.0])
    assert solution.status.tolist() == [Status.BAD_PARAMETER] * 2 and np.isnan(solution.values).all()


def test_an_error_inside_a_worker_is_no_result(monkeypatch):
    def broken(*_):
        raise TypeError("driver out of step")

    monkeypatch.setattr("respine.engine.run.driver.drive", broken)
    with pytest.raises(TypeError, match="out of step"):
        run(population(3))


def test_float32_runs_are_checked_in_float64():
    check = run(population(64), options=engine.Options(precision="float32")).settings["float64_check"]
    assert check["subjects"] == 8 and 0 < check["largest_difference"] < 1e-3
    assert "float64_check" not in run(population(4)).settings


def test_equal_subjects_are_solved_once(monkeypatch):
    p = np.repeat(population(3), [4, 1, 2], axis=0)
    solver = engine.build(nonlinear(), outputs=["x", "y"], vary=["k", "s", "n"])
    solved = []
    plain = driver.drive

    def counting(*arguments):
        solved.extend(len(a) for a in arguments if isinstance(a, np.ndarray) and a.dtype == np.int64 and len(a) == 3)
        return plain(*arguments)

    monkeypatch.setattr(driver, "drive", counting)
    solution = solver.solve(p, times=TIMES, threads=1)
    assert solved  # the queue held three subjects
    assert np.isfinite(solution.values).all() and np.all(solution.status == Status.OK)
    assert np.array_equal(solution.values[0], solution.values[3]) and not np.allclose(
        solution.values[3], solution.values[4]
    )


def test_step_budget():
    s = system({"x": "y", "y": "-1e6*x"}, {"x": 1.0, "y": 0.0})
    solver = engine.build(s, outputs=["x"], options=engine.Options(max_steps=200, linear="steps"))
    (failure,) = solver.solve(times=[1000.0]).failures
    assert failure.status is Status.STEP_BUDGET


def test_bad_parameter_is_not_run():
    solver = engine.build(one_compartment(), outputs=["concentration"], vary=["CL"])
    schedule = engine.Schedule(2)
    schedule.dose("depot", time=0.0, amount=np.array([1.0, 1.0]))
    solution = solver.solve(np.array([[1.0], [np.nan]]), schedule, [1.0])
    assert solution.status.tolist() == [Status.OK, Status.BAD_PARAMETER]
    assert np.isnan(solution.values[1]).all()


@settings(max_examples=25, deadline=None)
@given(exponent=st.floats(0.1, 6), start=st.floats(0.0, 1e-3), rate=st.floats(0.1, 50))
@example(exponent=2.5, start=1e-163, rate=0.1)
@example(exponent=1.5, start=1e-300, rate=50.0)
@example(exponent=0.9, start=1e-40, rate=50.0)
@example(exponent=1.0, start=5e-324, rate=1.0)
def test_powers_of_a_state_near_zero_are_safe(exponent, start, rate):
    """A drained state under a Hill term must not end in NaN, nor turn clearly negative."""
    s = system(
        {"x": "-rate*x**n/(1e-3 + x**n)", "y": "x**n/(0.5 + x**n) - y"},
        {"x": start, "y": 0.0},
        {"rate": rate, "n": exponent},
    )
    solver = engine.build(s, outputs=["x", "y"], vary=["rate", "n"])
    solution = solver.solve(np.array([[rate, exponent]]), times=[0.0, 0.01, 1.0], rtol=1e-5)
    if solution.status[0] == Status.OK:
        assert np.all(solution["x"] > -1e-6)
    else:  # x reaches 0 at a finite time when n < 1, or starts where numbers end: named, never numbers
        (failure,) = solution.failures
        assert failure.state in ("x", "y") and np.isnan(solution.values[0, -1]).all()
        assert exponent < 1 or (failure.status is Status.TOO_SMALL and failure.state == "x" and 0 < start < 1e-60)


def test_wrong_input_is_refused():
    s = one_compartment()
    with pytest.raises(ValueError, match="did you mean central"):
        engine.build(s, outputs=["centrel"])
    solver = engine.build(s, outputs=["central"], vary=["CL"])
    parameters = np.ones((1, 1))
    for settings_, text in (
        ({"rtol": 0.0}, "rtol is 0"),
        ({"atol": 0.0}, "atol must be positive"),
        ({"times": [2, 1]}, "must ascend"),
        ({"times": []}, "at least one"),
        ({"times": [-1.0]}, "before the start"),
        ({"times": [np.inf]}, "finite"),
        ({"threads": 0}, "at least 1"),
    ):
        with pytest.raises(ValueError, match=text):
            schedule = engine.Schedule(1)
            schedule.dose("depot", time=0, amount=1)
            solver.solve(parameters, schedule, **{"times": [1.0], **settings_})
    schedule = engine.Schedule(1)
    with pytest.raises(ValueError, match="cannot be negative"):
        schedule.dose("depot", time=0.0, amount=-5.0)
    with pytest.raises(ValueError, match="cannot be negative"):
        schedule.dose("depot", time=0.0, amount=5.0, duration=-1.0)
    schedule.dose("depott", time=0.0, amount=5.0)
    with pytest.raises(ValueError, match="did you mean depot"):
        solver.solve(parameters, schedule, [1.0])


def test_two_processes_share_the_code_cache(tmp_path):
    script = (
        "import numpy as np; from tests.engine.test_trust import run, population;"
        "print(run(population(5)).values[:, -1].tobytes().hex())"
    )
    source = Path(engine.__file__).parents[2]  # these very files, also where another checkout is installed
    environment = {"RESPINE_CACHE": str(tmp_path), "PYTHONPATH": str(source), "PATH": ""}
    both = [
        subprocess.Popen([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    first, second = (p.communicate(timeout=120)[0] for p in both)
    assert first == second != ""
    assert not [f for f in tmp_path.iterdir() if f.suffix not in (".o", ".ir")]


def test_damaged_cache_is_made_anew(tmp_path, monkeypatch):
    monkeypatch.setenv("RESPINE_CACHE", str(tmp_path))
    first = run(population(3)).values
    for file in tmp_path.iterdir():
        file.write_bytes(file.read_bytes()[:-7] + b"damaged")
    assert np.array_equal(run(population(3)).values, first)


def test_a_system_at_rest_is_solved_all_the_same():
    s = system({"x": "k*(1 - x)"}, {"x": 1.0}, {"k": 1.0}, rules={"y": "2*x"})
    assert np.all(engine.build(s, outputs=["y"]).solve(times=[0, 5])["y"] == 2.0)


def test_unused_parts_are_cut():
    s = system(
        {"x": "-k*x", "y": "x - y", "idle": "g*(1 - idle)", "far": "y - far"},
        {"x": 0.0, "y": 0.0, "idle": 1.0, "far": 0.0},
        {"k": 1.0, "g": 0.3},
    )
    schedule = engine.Schedule(1)
    schedule.dose("x", time=0, amount=1.0)
    solver = engine.build(s, outputs=["y", "idle"])
    assert solver.code(solver.requirements(schedule)).states == ("x", "y")  # idle rests, nothing asks for far
    assert solver.solve(None, schedule, [1.0])["idle"][0, 0] == 1.0


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_a_logistic_beyond_the_largest_number_has_a_slope_of_zero(precision):
    s = system({"x": "1/(1 + exp((40 - x)/0.05)) - x"}, {"x": 1.0})
    got = engine.build(s, outputs=["x"], options=engine.Options(precision=precision)).solve(None, None, [1.0, 3.0])
    assert not got.failures
    assert got["x"][0] == pytest.approx(np.exp([-1.0, -3.0]), rel=1e-4)

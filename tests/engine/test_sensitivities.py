"""Forward sensitivities against complex steps through closed forms, and Richardson differences of tight solves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from respine import engine
from respine.engine import Record, Records, Status
from respine.model.system import Event
from tests.engine.systems import formula, one_compartment, system

TIMES = np.arange(0.0, 60.0, 2.5)
TINY = 1e-30  # of a complex step: exact to the last digits
BAR = 1e-6


def complex_step(function: Callable[[dict], np.ndarray], at: dict[str, float], by: str) -> np.ndarray:
    return np.asarray(function({**at, by: at[by] + 1j * TINY})).imag / TINY


def richardson(function: Callable[[float], np.ndarray], at: float, size: float) -> np.ndarray:
    """Sixth order: three central differences, extrapolated twice."""

    def central(h: float) -> np.ndarray:
        return (function(at + h) - function(at - h)) / (2 * h)

    first, two, four = central(size / 4), central(size / 2), central(size)
    return (64 * first - 20 * two + four) / 45


def error(got: np.ndarray, want: np.ndarray) -> float:
    """Largest difference over the largest value."""
    return float(np.max(np.abs(got - want)) / np.max(np.abs(want)))


def decay(t: np.ndarray, amount: complex, duration: complex, k: complex) -> np.ndarray:
    """A time t (complex) after the start of one dose into a single compartment."""
    t = np.asarray(t, complex)
    since = np.where(t.real >= 0, t, 0)
    if duration == 0:
        return np.where(t.real >= 0, amount * np.exp(-k * since), 0)
    during = np.where(t.real >= np.real(duration), duration, since)
    return amount / duration / k * (1 - np.exp(-k * during)) * np.exp(-k * (since - during))


# ---- doses -----------------------------------------------------------------------------------------------------------
def oral(v: dict, dose: float, t: np.ndarray) -> np.ndarray:
    """Concentration after an oral dose at 0 with lag and fraction absorbed."""
    k, since = v["CL"] / v["V"], t - v["lag"]
    shape = np.where(since.real > 0, np.exp(-k * since) - np.exp(-v["ka"] * since), 0)
    return v["F"] * dose * v["ka"] / (v["ka"] - k) / v["V"] * shape


def test_oral_dose_with_lag_and_infusion_with_modelled_duration():
    people = [{"ka": 1.5, "CL": 1.1, "V": 20.0}, {"ka": 0.6, "CL": 4.0, "V": 11.0}]
    shared = {"lag": 0.7, "F": 0.8, "D": 2.6}

    def concentration(v: dict) -> np.ndarray:
        infused = decay(TIMES - 12 - v["lag"], v["F"] * 50, v["D"], v["CL"] / v["V"]) / v["V"]
        return oral(v, 100, TIMES) + infused

    names = ["ka", "CL", "V", "lag", "F", "D"]
    solver = engine.build(one_compartment(), outputs=["depot", "concentration"], vary=["ka", "CL", "V"],
                          sensitivities=names)  # fmt: skip
    schedule = engine.Schedule(2)
    lag_and_fraction = {"lag": 0.7, "fraction": 0.8, "lag_sensitivity": {"lag": 1.0}, "fraction_sensitivity": {"F": 1}}
    schedule.dose("depot", time=0.0, amount=100.0, **lag_and_fraction)
    schedule.dose("central", time=12.0, amount=50.0, duration=2.6, duration_sensitivity={"D": np.ones(2)},
                  **lag_and_fraction)  # fmt: skip
    solution = solver.solve(np.array([[*p.values()] for p in people]), schedule, TIMES, rtol=1e-8)
    assert np.all(solution.status == Status.OK)
    for s, person in enumerate(people):
        for name in names:
            want = complex_step(concentration, {**shared, **person}, name)
            assert error(solution.gradient("concentration", name)[s], want) < BAR, name
    assert np.all(solution.gradient("depot", "CL") == 0)


K = {"CL": 1.1, "V": 20.0}


def central() -> object:
    return system({"central": "-CL/V*central"}, {"central": 0.0}, K)


def slopes(rate: float) -> dict:
    """What a record of the grid below depends on; the modelled number is called R or D."""
    modelled = {-1.0: (("R", 1.0),), -2.0: (("D", 1.0),)}.get(rate, ())
    return {"lag_sensitivity": (("lag", 1.0),), "fraction_sensitivity": (("F", 1.0),),
            "amount_sensitivity": (("A", 1.0),), "modelled_sensitivity": modelled}  # fmt: skip


@pytest.mark.parametrize("steady", [0, 1])
@pytest.mark.parametrize("lag", [0.0, 1.7, 13.0])
@pytest.mark.parametrize(("rate", "modelled"), [(0.0, np.nan), (9.0, np.nan), (-1.0, 5.0), (-2.0, 3.3), (-2.0, 29.0)])
def test_records_with_lag_infusion_and_steady_state(steady, lag, rate, modelled):
    """Bolus, given and modelled rate, modelled duration (also longer than the interval); additional doses."""
    at = {**K, "lag": lag, "F": 0.8, "A": 100.0, "R": modelled, "D": modelled}
    earlier = 1500 if steady else 0

    def amount(v: dict) -> np.ndarray:
        given = v["A"] * v["F"]
        duration = {0.0: 0.0, -1.0: given / v["R"], -2.0: v["D"]}.get(rate, given / 9.0)
        arrivals = 12.0 * np.arange(-earlier, 3) + v["lag"]
        return sum(decay(TIMES - a, given, duration, v["CL"] / v["V"]) for a in arrivals)

    names = ["CL", "V", "F", "A", "lag", *({-1.0: ["R"], -2.0: ["D"]}.get(rate, []))]
    dose = Record(0.0, 1, "central", 100.0, rate, 12.0, 2, steady, lag, 0.8, modelled, **slopes(rate))
    records = Records([[dose, *(Record(t) for t in TIMES)]])
    solver = engine.build(central(), outputs=["central"], sensitivities=names)
    solution = solver.solve(None, records, rtol=1e-9)
    assert not solution.failures
    for name in names:
        want = complex_step(amount, at, name)
        clear = ~np.isin(TIMES, 12.0 * np.arange(-2, 4) + lag)  # at an arrival itself the slope by the lag jumps
        assert error(solution.gradient("central", name)[1:][clear], want[clear]) < BAR, name


def test_steady_state_on_top_of_another_and_a_constant_infusion():
    at, past = {**K, "F": 0.6}, 24.0 * np.arange(-1500, 10)

    def amount(v: dict) -> np.ndarray:
        k = v["CL"] / v["V"]
        first = sum(decay(times - a, 100, 0.0, k) for a in past)
        return first + sum(decay(times - a - 12, v["F"] * 50, v["F"] * 50 / 30.0, k) for a in past)

    times = np.arange(13.0, 60.0, 5.0)
    by_fraction = {"fraction_sensitivity": (("F", 1.0),)}
    records = [
        Record(0.0, 1, "central", 100, interval=24, steady=1, additional=9),
        Record(12.0, 1, "central", 50, rate=30.0, interval=24, steady=2, additional=9, fraction=0.6, **by_fraction),
        *(Record(t) for t in times),
    ]
    names = ["CL", "V", "F"]
    solver = engine.build(central(), outputs=["central"], sensitivities=names)
    solution = solver.solve(None, Records([records]), rtol=1e-9)
    for name in names:
        assert error(solution.gradient("central", name)[2:], complex_step(amount, at, name)) < BAR, name
    constant = [Record(0.0, 1, "central", 0, rate=10, steady=1), *(Record(t) for t in times)]
    solution = solver_for(["CL", "V"]).solve(None, Records([constant]), rtol=1e-9)
    for name in ("CL", "V"):
        want = complex_step(lambda v: 10 / (v["CL"] / v["V"]) * np.exp(-v["CL"] / v["V"] * times), K, name)
        assert error(solution.gradient("central", name)[1:], want) < BAR


def solver_for(names: list[str]) -> engine.Solver:
    return engine.build(central(), outputs=["central"], sensitivities=names)


def test_reset_and_dose_and_values_that_are_set():
    """A reset goes back to a start that depends on parameters; a state that is set forgets what it depended on."""
    s = system({"x": "k*(1 - x)", "y": "x - k*y"}, {"x": "x0*k", "y": 0.0}, {"k": 0.4, "x0": 3.0})
    records = [Record(0.0, 1, "x", 5.0), Record(2.0), Record(6.0, 4, "x", 2.0, lag=0.5, lag_sensitivity=(("lag", 1.0),)),
               Record(6.2), Record(9.0)]  # fmt: skip

    def level(v: dict) -> np.ndarray:
        def back(start: complex, t: complex) -> complex:
            return 1 + (start - 1) * np.exp(-v["k"] * t)

        start = v["x0"] * v["k"]
        late = back(start, v["lag"]) + 2
        return np.array([back(start + 5, 2.0), back(start, 0.2), back(late, 3.0 - v["lag"])])

    names = ["k", "x0", "lag"]
    solution = engine.build(s, outputs=["x", "y"], sensitivities=names).solve(None, Records([records]), rtol=1e-9)
    for name in names:
        want = complex_step(level, {"k": 0.4, "x0": 3.0, "lag": 0.5}, name)
        assert error(solution.gradient("x", name)[[1, 3, 4]], want) < BAR, name
    schedule = engine.Schedule(1)
    schedule.set_state("x", time=4.0, value=7.0)
    solution = engine.build(s, outputs=["x"], sensitivities=["x0", "k"]).solve(None, schedule, [3.0, 4.5], rtol=1e-9)
    assert solution.gradient("x", "x0")[0].tolist() == pytest.approx([0.4 * np.exp(-1.2), 0.0], abs=1e-9)
    assert solution.gradient("x", "k")[0, 1] == pytest.approx(-0.5 * 6 * np.exp(-0.2), rel=1e-7)


def test_a_given_start_depends_on_nothing():
    s = system({"x": "-k*x"}, {"x": "x0"}, {"k": 0.3, "x0": 2.0})
    solver = engine.build(s, outputs=["x"], sensitivities=["x0", "k"])
    assert np.isclose(solver.solve(times=[2.0], rtol=1e-9).gradient("x", "x0")[0, 0], np.exp(-0.6), rtol=1e-8)
    given = solver.solve(times=[2.0], rtol=1e-9, initial={"x": 5.0})
    assert given.gradient("x", "x0")[0, 0] == 0
    assert np.isclose(given.gradient("x", "k")[0, 0], -10 * np.exp(-0.6), rtol=1e-8)


def test_inputs_that_change_in_time():
    s = system({"x": "g*drive - k*x"}, {"x": 0.0}, {"g": 2.0, "k": 0.3}, inputs={"drive": 0.0})
    schedule = engine.Schedule(1)
    schedule.set("drive", time=1.0, value=1.5)
    schedule.set("drive", time=6.0, value=-0.5)
    times = np.array([0.5, 3.0, 6.0, 11.0])
    at = {"g": 2.0, "k": 0.3}

    def level(v: dict) -> np.ndarray:
        on = v["g"] / v["k"]
        first = 1.5 * on * (1 - np.exp(-v["k"] * (np.clip(times, 1, 6) - 1)))
        late = np.maximum(times - 6, 0)
        return first * np.exp(-v["k"] * late) - 0.5 * on * (1 - np.exp(-v["k"] * late))

    solution = engine.build(s, outputs=["x"], sensitivities=["g", "k"]).solve(None, schedule, times, rtol=1e-9)
    for name in at:
        assert error(solution.gradient("x", name)[0], complex_step(level, at, name)) < BAR


# ---- what has no closed form -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("rhythm", ["0", "kin*(1 + sin(t))"])
def test_saturable_elimination_and_a_corner_in_the_equations(rhythm):
    """Michaelis-Menten elimination, and a rate with ``max``, with and without time in the equations."""
    s = system(
        {"depot": "-ka*depot", "central": "ka*depot - vmax*central/(km + central)",
         "effect": f"{rhythm} + max(central - limit, 0) - kout*effect"},
        {"depot": 0.0, "central": 0.0, "effect": 0.0},
        {"ka": 0.9, "vmax": 7.0, "km": 12.0, "limit": 20.0, "kout": 0.3, "kin": 0.4},
    )  # fmt: skip
    names, outputs, times = list(s.parameters), ["central", "effect"], np.arange(0.0, 40.0, 2.9)
    schedule = engine.Schedule(1)
    for at in (0.0, 11.0):
        schedule.dose("depot", time=at, amount=60.0)
    got = engine.build(s, outputs=outputs, sensitivities=names).solve(None, schedule, times, rtol=1e-8)
    plain = engine.build(s, outputs=outputs, vary=names)
    for name in names:
        k, typical = names.index(name), np.array([[*s.parameters.values()]])

        def solve(value: float, k: int = k, typical: np.ndarray = typical) -> np.ndarray:
            row = typical.copy()
            row[0, k] = value
            return plain.solve(row, schedule, times, rtol=1e-12).values[0]

        want = richardson(solve, typical[0, k], 3e-3 * typical[0, k])
        clear = np.abs(got["central"][0] - 20) > 1  # differences across the corner of ``max`` are no slopes
        assert 9 < clear.sum() < len(times)
        for o in range(len(outputs)):
            if np.any(got.gradients[0, :, o, k]):
                assert error(got.gradients[0, clear, o, k], want[clear, o]) < BAR, (name, outputs[o])


def test_values_are_those_of_a_plain_solve():
    solver = engine.build(one_compartment(), outputs=["concentration"], sensitivities=["CL", "ka"])
    plain = engine.build(one_compartment(), outputs=["concentration"])
    schedule = engine.Schedule(1)
    schedule.dose("depot", time=0.0, amount=100.0)
    with_gradients, without = (s.solve(None, schedule, TIMES, rtol=1e-7) for s in (solver, plain))
    assert np.allclose(with_gradients.values, without.values, rtol=1e-5, atol=1e-8)
    assert without.gradients is None
    with pytest.raises(ValueError, match="no sensitivities were asked for"):
        without.gradient("concentration", "CL")


def test_gradients_do_not_depend_on_threads_or_neighbours_and_failures_stay_alone():
    s = system({"x": "make - 0.1*x**n"}, {"x": 1.0}, {"make": 0.1, "n": 1.5})
    make = np.linspace(0.05, 0.3, 41)[:, None]
    make[17] = -0.3
    solver = engine.build(s, outputs=["x"], vary=["make"], sensitivities=["make", "n"])
    first, two = (solver.solve(make, times=[1.0, 40.0], threads=t) for t in (1, 2))
    assert np.flatnonzero(first.status).tolist() == [17]
    assert np.array_equal(first.gradients, two.gradients, equal_nan=True)
    assert np.isnan(first.gradients[17, -1]).all() and np.isfinite(np.delete(first.gradients, 17, axis=0)).all()
    assert np.array_equal(solver.solve(make[5:6], times=[1.0, 40.0]).gradients[0], first.gradients[5])


def test_error_follows_the_tolerance():
    s = system({"x": "-k*x*x/(1 + x)", "y": "x*y*0.1 - y"}, {"x": 3.0, "y": 1.0}, {"k": 0.7})
    solver = engine.build(s, outputs=["x", "y"], sensitivities=["k"])
    best, *others = (solver.solve(times=TIMES, rtol=r).gradients for r in (1e-12, 1e-4, 1e-6, 1e-8))
    errors = [error(g, best) for g in others]
    assert errors[0] > errors[1] > errors[2]
    assert all(e < 100 * rtol for e, rtol in zip(errors, (1e-4, 1e-6, 1e-8), strict=True))


# ---- what is refused -------------------------------------------------------------------------------------------------
def test_what_is_not_supported_is_refused():
    s = one_compartment()
    with pytest.raises(ValueError, match="float64"):
        engine.build(s, outputs=["central"], sensitivities=["CL"], options=engine.Options(precision="float32"))
    with pytest.raises(ValueError, match="twice"):
        engine.build(s, outputs=["central"], sensitivities=["CL", "CL"])
    with pytest.raises(ValueError, match="sensitivity_tolerance is 0"):
        engine.build(s, outputs=["central"], options=engine.Options(sensitivity_tolerance=0.0))
    with pytest.raises(ValueError, match="did you mean CL"):
        engine.build(s, outputs=["central"], sensitivities=["CLL"]).solve(times=[1.0])
    schedule = engine.Schedule(1)
    schedule.dose("depot", time=0.0, amount=1.0, lag=1.0, lag_sensitivity={"alag": 1.0})
    with pytest.raises(ValueError, match='"alag" is no parameter or sensitivity'):
        engine.build(s, outputs=["central"], sensitivities=["CL"]).solve(None, schedule, [1.0])
    with pytest.raises(ValueError, match="write a finite number"):
        schedule.dose("depot", time=0.0, amount=1.0, lag_sensitivity={"alag": np.nan})


@pytest.mark.parametrize(
    ("rate", "refused"),
    [
        ("gain if x > limit else 0", True),
        ("gain*(x > limit)", True),
        ("gain*floor(x)", True),
        ("gain if t > begin else 0", True),
        ("gain if mean > limit else 0", True),
        ("gain if t > 3 else 0", False),  # its moment depends on nothing
        ("gain if limit > begin else 0", False),  # it never turns
        ("gain*(x - limit) if x > limit else 0", False),  # a corner
        ("(1 - exp(-x))/x if x > 1e-12 else 1", False),
        ("x**2 if x > 0 else 0", False),
    ],
)
def test_jumps_whose_moment_depends_on_parameters_are_refused(rate, refused):
    s = system({"x": "1 - gain*x", "y": f"({rate}) - y"}, {"x": 0.3, "y": 0.0},
               {"gain": 0.2, "limit": 1.5, "begin": 2.0}, rules={"mean": "0.5*x"})  # fmt: skip
    solver = engine.build(s, outputs=["y"], sensitivities=["gain", "limit", "begin"])
    if refused:
        with pytest.raises(ValueError, match="sensitivities across such a jump are not supported"):
            solver.solve(times=[5.0])
    else:
        assert np.isfinite(solver.solve(times=[5.0]).gradients).all()
    only_x = engine.build(s, outputs=["x"], sensitivities=["gain"])  # nothing asks for y
    assert np.isfinite(only_x.solve(times=[5.0]).gradients).all()


def test_systems_with_events_are_refused():
    s = replace(system({"x": "-x"}, {"x": 1.0}), events=(Event("low", formula("x < 0.5"), (("x", formula("1")),)),))
    solver = engine.build(replace(s, parameters={"k": 1.0}), outputs=["x"], sensitivities=["k"])
    with pytest.raises(ValueError, match="sensitivities stop at triggered events"):
        solver.solve(times=[1.0])
    plain = engine.build(one_compartment(), outputs=["central"], sensitivities=["CL"])
    with pytest.raises(ValueError, match="sensitivities stop at triggered events"):
        plain.solve(times=[1.0], locate_jumps=True)

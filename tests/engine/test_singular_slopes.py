"""Never silently wrong: roots, powers below one, logarithms and quotients at zero: the right answer, or a status with a name."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad, solve_ivp
from scipy.optimize import brentq

from respine import engine
from respine.engine import Status
from respine.engine.codegen.ordering import circles_of
from tests.engine.systems import system

TIMES = np.array([1.0, 5.0, 20.0])


def run(rates, start, parameters=None, times=TIMES, *, rtol=1e-5, sensitivities=(), **options):
    s = system(rates, start, parameters)
    solver = engine.build(s, outputs=list(rates), options=engine.Options(**options), sensitivities=sensitivities)
    return solver.solve(times=times, rtol=rtol)


def close(solution, want, output="y", *, tolerance=10.0, rtol=1e-5) -> bool:
    """Within so many rtol, or every subject that is not has a status that names a state."""
    if solution.failures:
        return all(f.state for f in solution.failures)
    got = solution[output][0]
    return bool(np.all(np.abs(got - want) <= tolerance * rtol * np.abs(want)))


def growing_root(p: float, a: float) -> np.ndarray:
    """y' = y^p + a from zero: the time to reach y, by quadrature in u = y^(1 - p), inverted."""
    q = 1 / (1 - p)

    def reached(y):
        return quad(
            lambda u: q * u ** (q - 1) / (u ** (q * p) + a), 0, y ** (1 / q), epsabs=0, epsrel=1e-11, limit=200
        )[0]

    return np.array([brentq(lambda y, t=t: reached(y) - t, 1e-30, 1e9, xtol=1e-14, rtol=1e-12) for t in TIMES])


def rooted(a: float, times=TIMES) -> np.ndarray:
    """u = sqrt(y) of y' = sqrt(y) + a from zero: t = 2 (u - a ln(1 + u/a))."""
    return np.array([brentq(lambda u, t=t: 2 * (u - a * np.log1p(u / a)) - t, 0, 1e3, xtol=1e-15) for t in times])


@pytest.mark.parametrize("method", ["rodas5p", "rodas4"])
@pytest.mark.parametrize("rtol", [1e-5, 1e-9])
@pytest.mark.parametrize("a", [1.0, 1e-2, 1e-4, 1e-8])
def test_a_square_root_that_grows_from_zero(a, rtol, method):
    got = run({"y": "sqrt(y) + a"}, {"y": 0.0}, {"a": a}, rtol=rtol, method=method)
    assert not got.failures and close(got, rooted(a) ** 2, rtol=rtol)


@pytest.mark.parametrize("p", [0.1, 1 / 3, 0.5, 0.9])
@pytest.mark.parametrize("a", [1.0, 1e-4, 1e-8])
def test_powers_that_grow_from_zero(p, a):
    want = growing_root(p, a)
    for vary in (False, True):  # the exponent as a literal, and between subjects
        s = system({"y": "y**p + a"}, {"y": 0.0}, {"a": a, "p": p})
        solver = engine.build(s, outputs=["y"], vary=["p"] if vary else [])
        assert close(solver.solve(np.array([[p]]) if vary else None, times=TIMES), want)


@pytest.mark.parametrize("start", [1e-6, 1e-12, 1e-20])
def test_what_grows_from_next_to_nothing(start):
    """The slope is large but finite: the closed forms of growth from a very small start."""
    assert close(run({"y": "sqrt(y)"}, {"y": start}), (np.sqrt(start) + TIMES / 2) ** 2)
    bertalanffy = (1 / 0.3 + (start ** (1 / 3) - 1 / 0.3) * np.exp(-0.1 * TIMES)) ** 3
    assert close(run({"y": "y**(2/3) - 0.3*y"}, {"y": start}), bertalanffy)
    assert close(run({"y": "-0.3*y*ln(y)"}, {"y": start}), np.exp(np.log(start) * np.exp(-0.3 * TIMES)))
    assert close(run({"y": "1/y"}, {"y": start}), np.sqrt(start**2 + 2 * TIMES))
    assert close(run({"y": "3*y"}, {"y": start}, times=TIMES[:2]), start * np.exp(3 * TIMES[:2]), tolerance=30)
    logistic = 1 / (1 + (1 / start - 1) * np.exp(-30 * TIMES))
    assert close(run({"y": "30*y*(1 - y)"}, {"y": start}), logistic)


@pytest.mark.parametrize("power", ["sqrt(y)", "y**0.3", "y**0.7", "ln(1 + 1e4*y**0.6)"])
@pytest.mark.parametrize("a", [1.0, 1e-2, 1e-4])
@pytest.mark.parametrize("start", [0.0, 1e-20])
def test_what_drains_through_a_root_while_it_is_filled(power, a, start):
    """The slope is infinite the other way: a step that trusts it stands still."""
    rate = eval(f"lambda y: {a} - ({power})", {"sqrt": np.sqrt, "ln": np.log})
    want = solve_ivp(lambda t, y: rate(np.maximum(y, 0)), (0, 20), [start], "Radau", t_eval=TIMES, rtol=1e-11, atol=1e-20,
                     first_step=1e-14).y[0]  # fmt: skip
    assert close(run({"y": f"a - {power}"}, {"y": start}, {"a": a}), want)


def test_draining_ends_at_zero():
    """y' = -sqrt(y) is empty at 2 and stays so."""
    got = run({"y": "-sqrt(y)"}, {"y": 1.0}, times=[1.0, 1.5, 3.0, 20.0])["y"][0]
    assert np.allclose(got[:2], [0.25, 0.0625], rtol=1e-4) and np.all(np.abs(got[2:]) < 1e-7)


COUPLED = {
    "chain of tanks": ({"a": "c - sqrt(a)", "y": "sqrt(a) - sqrt(y)"}, 1e-2),
    "in a circle": ({"y": "a", "a": "sqrt(y) + c"}, 1e-3),
    "each from the other": ({"y": "sqrt(a) + c", "a": "sqrt(y) + c"}, 1e-4),
    "side by side": ({"y": "sqrt(y) + c + 1e-3*a", "a": "sqrt(a) + c + 1e-3*y"}, 1e-4),
    "scaled": ({"y": "sqrt(y/50) + c", "a": "0*a"}, 1e-4),
    "of a sum": ({"y": "sqrt(y + a) + c", "a": "-a"}, 1e-4),
    "Hill below one": ({"y": "a**0.5/(1 + a**0.5) - y", "a": "c - a"}, 1e-4),
}


@pytest.mark.parametrize("rtol", [1e-5, 1e-8])
@pytest.mark.parametrize("name", list(COUPLED))
def test_roots_in_systems(name, rtol):
    rates, c = COUPLED[name]
    names = list(rates)
    f = eval(f"lambda {', '.join(names)}, c: [{', '.join(rates.values())}]", {"sqrt": np.sqrt})
    want = solve_ivp(lambda t, y: f(*np.maximum(y, 0), c), (0, 20), [0.0, 0.0], "Radau", t_eval=TIMES, rtol=1e-11, atol=1e-20,
                     first_step=1e-14).y[names.index("y")]  # fmt: skip
    got = run(rates, dict.fromkeys(names, 0.0), {"c": c}, rtol=rtol)
    assert not got.failures and close(got, want, rtol=rtol, tolerance=30)


@given(
    p=st.floats(0.05, 0.95), a=st.floats(-6, 0).map(lambda e: 10.0**e), start=st.floats(-30, 0).map(lambda e: 10.0**e)
)
@settings(max_examples=40, deadline=None)
def test_any_power_from_any_start(p, a, start):
    """y' = y^p has y^(1-p) = y0^(1-p) + (1 - p) t; with a loss y' = y^p - a y it obeys a linear equation."""
    u = start ** (1 - p)
    want = (1 / a + (u - 1 / a) * np.exp(-a * (1 - p) * TIMES)) ** (1 / (1 - p))
    got = run({"y": "y**p - a*y"}, {"y": start}, {"a": a, "p": p})
    assert close(got, want, tolerance=60)


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_both_precisions(precision):
    got = run({"y": "sqrt(y) + a"}, {"y": 0.0}, {"a": 0.01}, precision=precision)
    assert close(got, rooted(0.01) ** 2, tolerance=100)


def test_roots_where_jumps_are_located():
    s = system({"y": "(sqrt(y) if t < 1 else 0) + a"}, {"y": 0.0}, {"a": 1e-2})
    want = float(rooted(1e-2, [1.0])[0] ** 2)
    for locate in (None, True):
        got = engine.build(s, outputs=["y"]).solve(times=[1.0, 3.0], locate_jumps=locate)["y"][0]
        assert np.allclose(got, [want, want + 0.02], rtol=1e-4)


# ---- sensitivities ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("a", [1.0, 1e-2, 1e-4])
@pytest.mark.parametrize("form", ["sqrt(y)", "y**0.5000001"])
def test_slopes_by_a_parameter_from_zero(form, a):
    """dy/da = 2u du/da with du/da = (1 + a/u) ln(1 + u/a) - 1."""
    u = rooted(a)
    want = 2 * u * ((1 + a / u) * np.log1p(u / a) - 1)
    got = run({"y": f"{form} + a"}, {"y": 0.0}, {"a": a}, sensitivities=["a"], rtol=1e-7)
    if got.failures:
        assert got.failures[0].state == "y"
    else:
        assert np.allclose(got.gradient("y", "a")[0], want, rtol=2e-4)


def test_slopes_through_a_root_of_something_absent():
    """A concentration that is zero until the dose, under a power below one: slopes are zero, then right."""
    s = system({"c": "-k*c", "e": "c**0.5/(1 + c**0.5) - e"}, {"c": 0.0, "e": 0.0}, {"k": 0.5})
    schedule = engine.Schedule(1)
    schedule.dose("c", time=2.0, amount=4.0)
    times = [1.0, 2.0, 3.0, 6.0]
    got = engine.build(s, outputs=["e"], sensitivities=["k"]).solve(None, schedule, times, rtol=1e-8)
    assert not got.failures and np.all(got.gradient("e", "k")[0, :2] == 0)
    step = 1e-4
    up, down = (engine.build(s, outputs=["e"], fixed={"k": 0.5 + d}).solve(None, schedule, times, rtol=1e-11)["e"][0]
                for d in (step, -step))  # fmt: skip
    assert np.allclose(got.gradient("e", "k")[0], (up - down) / (2 * step), rtol=1e-5, atol=1e-10)


# ---- named, not frozen -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("rate", "start"),
    [("1/y", 0.0), ("ln(y)", 0.0), ("y**(-0.5)", 0.0), ("sqrt(y) - 2", 1.0), ("y/y", 0.0), ("ln(y) - 1", 1.0), ("1/(1 - t)", 1.0),
     ("y*y", 1.0), ("exp(y)", 0.0), ("asin(y) + 1", 0.5)],
)  # fmt: skip
def test_what_has_no_number_is_told(rate, start):
    got = run({"y": rate}, {"y": start})
    (failure,) = got.failures
    assert failure.state == "y" and failure.status in (Status.NOT_FINITE, Status.STEP_FLOOR)
    assert np.isnan(got["y"][0, -1])


# ---- a step too long for what grows ----------------------------------------------------------------------------------
def test_what_is_absent_does_not_hold_up_the_others():
    """A growth that nobody started takes no steps of its own."""
    got = run({"y": "1e5*y", "x": "-x"}, {"y": 0.0, "x": 1.0}, times=[5.0])
    assert got["y"][0, 0] == 0 and got["x"][0, 0] == pytest.approx(np.exp(-5), rel=1e-4) and got.steps.sum() < 60


def test_a_growing_part_held_down_by_a_fast_one_is_stiff_not_runaway():
    """Fast feedback: one state alone would grow, together they rest; the steps are not bound by it."""
    got = run({"v": "v - 5*w", "w": "100*(v - w)"}, {"v": 1.0, "w": 1.0}, times=[200.0])
    assert not got.failures and got.steps.sum() < 120
    assert abs(got["v"][0, 0]) < 1e-7


def test_circles():
    assert circles_of(4, [(1, 0), (2, 1), (3, 3)]) == [[3]]
    assert sorted(circles_of(6, [(0, 1), (1, 0), (2, 1), (3, 2), (2, 3), (4, 4), (5, 4)])) == [[0, 1], [2, 3], [4]]
    chain = [(k + 1, k) for k in range(5000)]
    assert circles_of(5001, [*chain, (0, 5000)]) == [list(range(5001))]


@given(st.integers(1, 8), st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=20))
@settings(max_examples=100, deadline=None)
def test_circles_are_what_reaches_itself(n, pairs):
    pairs = [(i % n, j % n) for i, j in pairs]
    reach = np.zeros((n, n), bool)
    for i, j in pairs:
        reach[i, j] = True
    for k in range(n):
        reach |= np.outer(reach[:, k], reach[k])
    want = {tuple(j for j in range(n) if j == i or (reach[i, j] and reach[j, i])) for i in range(n) if reach[i, i]}
    assert {tuple(c) for c in circles_of(n, pairs)} == want

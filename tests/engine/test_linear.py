"""Linear systems without steps: against closed forms to rounding, and against the stepping engine in made-up record sets."""

from math import factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm

from respine import engine
from respine.engine import Options, Record, Records, Schedule
from respine.model.expression import evaluate
from tests.engine.systems import one_compartment, system

TWO = {
    "depot": "-ka*depot", "central": "ka*depot - (CL + Q)/V*central + Q/V2*peripheral + base",
    "peripheral": "Q/V*central - Q/V2*peripheral", "exposure": "central/V",
}  # fmt: skip
NUMBERS = {"ka": 1.3, "CL": 2.0, "V": 12.0, "Q": 3.0, "V2": 25.0}
STEPS = Options(linear="steps")


def two_compartments(**numbers):
    return system(
        TWO,
        dict.fromkeys(TWO, 0.0),
        {**NUMBERS, **numbers},
        {"base": 0.0},
        rules={"C": "central/V", "lnC": "ln(C + 1)"},
    )


def transit_chain(n: int):
    rates = {"a0": "-k*a0"} | {f"a{i}": f"k*a{i - 1} - k*a{i}" for i in range(1, n)}
    return system(rates, dict.fromkeys(rates, 0.0), {"k": 1.7})


def matrix(s, states):
    """A of a system, by its rates at unit states."""
    unit = np.eye(len(states))
    known = {**s.parameters, **s.inputs}
    return np.array(
        [[evaluate(s.rates[r], {**known, **dict(zip(states, u, strict=True))}, 0.0) for u in unit] for r in states]
    )


# ---- to rounding -----------------------------------------------------------------------------------------------------
def test_oral_doses_against_the_textbook():
    times, p = np.linspace(0.0, 30.0, 61), {"ka": 1.5, "CL": 1.1, "V": 20.0}
    schedule = Schedule(1)
    for begin in (0.0, 6.0, 18.0):
        schedule.dose("depot", time=begin, amount=100.0)
    got = engine.build(one_compartment(), outputs=["concentration"]).solve(None, schedule, times)
    after = np.maximum(times[:, None] - [0.0, 6.0, 18.0], 0.0)
    ke = p["CL"] / p["V"]
    want = 100 / p["V"] * p["ka"] / (p["ka"] - ke) * (np.exp(-ke * after) - np.exp(-p["ka"] * after))
    assert got.settings["method"] == "exact"
    assert np.allclose(got["concentration"][0], want.sum(1), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("ka", [0.0916666666666667, 1.1 / 12, 0.05501, 40.0, 1e-6])
def test_near_equal_and_far_apart_rates(ka):
    """Where two rates all but meet, eigenvalues lose digits; nothing is lost in the answer."""
    times = [0.5, 3.0, 24.0, 24.5, 300.0]
    s = one_compartment()
    solver = engine.build(s, outputs=["depot", "central"], fixed={"ka": ka, "CL": 1.1, "V": 12.0})
    schedule = Schedule(1)
    schedule.dose("depot", time=0.0, amount=1.0)
    got = solver.solve(None, schedule, times).values[0]
    k, gap, t = 1.1 / 12, ka - 1.1 / 12, np.array(times)
    central = ka * np.exp(-k * t) * (-np.expm1(-gap * t) / gap if gap else t)
    want = np.stack([np.exp(-ka * t), central], axis=1)
    assert np.allclose(got, want, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("n", [2, 5, 9])
def test_a_transit_chain_has_all_its_rates_equal(n):
    s = transit_chain(n)
    schedule = Schedule(1)
    schedule.dose("a0", time=0.0, amount=1.0)
    solution = engine.build(s, outputs=list(s.states)).solve(None, schedule, times := np.array([0.1, 1.0, 7.0, 30.0]))
    x = 1.7 * times[:, None]
    want = x ** np.arange(n) / [factorial(k) for k in range(n)] * np.exp(-x)
    assert solution.settings["subjects_by"] == {"eigenvalues": 0, "scaling and squaring": 1}
    assert np.allclose(solution.values[0], want, rtol=2e-13, atol=1e-16)


def test_a_ring_of_compartments_turns():
    """Eigenvalues of a one-way ring are complex."""
    rates = {"x": "k*z - k*x", "y": "k*x - k*y", "z": "k*y - (k + d)*z"}
    s = system(rates, {"x": 1.0, "y": 0.0, "z": 0.0}, {"k": 2.0, "d": 0.1})
    times = [0.3, 2.0, 11.0]
    got = engine.build(s, outputs=["x", "y", "z"]).solve(times=times).values[0]
    want = [expm(matrix(s, ["x", "y", "z"]) * t) @ [1.0, 0.0, 0.0] for t in times]
    assert np.allclose(got, want, rtol=1e-12, atol=1e-15)


def test_an_undamped_oscillation_keeps_its_size():
    s = system({"x": "w*y", "y": "-w*x"}, {"x": 1.0, "y": 0.0}, {"w": 3.0})
    times = np.array([1.0, 100.0, 1e4])
    got = engine.build(s, outputs=["x"]).solve(times=times)["x"][0]
    assert np.allclose(got, np.cos(3.0 * times), atol=1e-9)


@pytest.mark.parametrize("spread", [1.0, 1e3, 1e6])
def test_stiff_exchange(spread):
    s = two_compartments(Q=3.0 * spread, ka=1.3 * spread)
    states, times = list(TWO), [0.01, 1.0, 24.0]
    schedule = Schedule(1)
    schedule.dose("depot", time=0.0, amount=5.0)
    schedule.dose("central", time=0.0, amount=8.0, duration=2.0)
    got = engine.build(s, outputs=states).solve(None, schedule, times).values[0]
    a = np.zeros((5, 5))
    a[:4, :4], a[1, 4] = matrix(s, states), 4.0
    x, now, want = np.array([5.0, 0, 0, 0, 1.0]), 0.0, []
    for t in (0.01, 1.0, 2.0, 24.0):
        x, now = expm(a * (t - now)) @ x, t
        want += [x[:4]] if t != 2.0 else []
        x[4] *= t < 2.0
    assert np.allclose(got, want, rtol=1e-15 * 1e4 * spread**0.7, atol=1e-12)


def test_half_lives_longer_than_life_reach_their_steady_state():
    """1 - e^(-x) cancels for slow elimination; the sum of a geometric series tells what it must be."""
    records = Records([[Record(0.0, evid=1, compartment="central", amount=1.0, interval=24.0, steady=1), Record(12.0)]])
    got = engine.build(one_compartment(), outputs=["central"], fixed={"CL": 1e-7, "V": 20.0}).solve(None, records)
    k = 1e-7 / 20
    assert got["central"][1] == pytest.approx(np.exp(-12 * k) / -np.expm1(-24 * k), rel=1e-13)


def test_what_is_never_eliminated_has_no_steady_state():
    records = Records([[Record(0.0, evid=1, compartment="exposure", amount=1.0, interval=24.0, steady=1), Record(1.0)]])
    (failure,) = engine.build(two_compartments(), outputs=["exposure"]).solve(None, records).failures
    assert failure.status is engine.Status.NO_STEADY_STATE


def test_growth_beyond_all_numbers_is_named():
    s = system({"x": "k*x"}, {"x": 1.0}, {"k": 1.0})
    solution = engine.build(s, outputs=["x"]).solve(times=[1.0, 700.0, 800.0])
    assert solution["x"][0, 1] == pytest.approx(np.exp(700.0), rel=1e-12) and np.isnan(solution["x"][0, 2])
    assert solution.failures[0].status is engine.Status.NOT_FINITE and solution.failures[0].state == "x"


def test_covariates_that_change_between_records():
    """Clearance changes at 5 and 9: each piece goes on from the one before."""
    s = system({"x": "-CL*W/V*x"}, {"x": 10.0}, {"CL": 1.0, "V": 8.0}, {"W": 1.0}, rules={"C": "x*W"})
    schedule = Schedule(1)
    schedule.set("W", time=5.0, value=2.0)
    schedule.set("W", time=9.0, value=0.5)
    got = engine.build(s, outputs=["C"]).solve(None, schedule, [5.0, 7.0, 9.0, 12.0])["C"][0]
    area = np.array([5.0, 9.0, 13.0, 14.5]) / 8.0
    assert np.allclose(got, 10 * np.exp(-area) * [1.0, 2.0, 2.0, 0.5], rtol=1e-14)


def test_nobody_depends_on_neighbours_or_threads():
    n, rng = 3000, np.random.default_rng(4)
    people = np.exp(0.4 * rng.normal(size=(n, 3))) * [1.3, 2.0, 3.0]
    solver = engine.build(two_compartments(), outputs=["C"], vary=["ka", "CL", "Q"])

    def solve(rows, threads):
        schedule = Schedule(len(rows))
        schedule.dose("depot", time=0.0, amount=np.arange(1.0, n + 1)[rows])
        return solver.solve(people[rows], schedule, [1.0, 8.0], threads=threads).values

    everybody = np.arange(n)
    whole = solve(everybody, 1)
    assert np.array_equal(whole, solve(everybody, 2)) and np.array_equal(whole[77:79], solve(everybody[77:79], 1))


def test_steps_can_be_asked_for():
    assert (
        engine.build(one_compartment(), outputs=["central"], options=STEPS).solve(times=[1.0]).settings["method"]
        == "rodas5p"
    )
    with pytest.raises(ValueError, match='write "exact" or "steps"'):
        Options(linear="both")


@pytest.mark.parametrize("rate", ["-k*x*x", "-k*x + sin(t)", "-k*abs(x)", "-k*x if x > 1 else -x", "-x/(1 + x)"])
def test_what_is_not_linear_is_solved_in_steps(rate):
    s = system({"x": rate}, {"x": 2.0}, {"k": 0.3})
    assert engine.build(s, outputs=["x"]).solve(times=[1.0]).settings["method"] == "rodas5p"


# ---- against steps ---------------------------------------------------------------------------------------------------
@st.composite
def record_sets(draw):
    """One subject's records: doses of all kinds, resets, covariates, samples."""
    records, now = [], 0.0
    number = st.integers(1, 40).map(lambda k: k / 8)
    for _ in range(draw(st.integers(1, 6))):
        now += draw(number)
        evid = draw(st.sampled_from([0, 0, 1, 1, 1, 2, 3, 4]))
        known = (("base", draw(number) / 4),) if draw(st.booleans()) and draw(st.booleans()) else ()
        if evid not in (1, 4):
            records.append(Record(now, evid=evid, covariates=known))
            continue
        rate = draw(st.sampled_from([0.0, 0.0, 3.0, -1, -2]))
        steady = draw(st.sampled_from([0, 0, 1, 2]))
        additional = 0 if draw(st.booleans()) else draw(st.integers(1, 3))
        slopes = {f"{kind}_sensitivity": (("shared", draw(number) / 8),) for kind in ("lag", "fraction")}
        slopes |= {"modelled_sensitivity": (("shared", 0.25),)} if rate < 0 else {}
        records.append(Record(
            now, evid=evid, compartment=draw(st.sampled_from(["depot", "central", "peripheral"])), amount=draw(number),
            rate=rate, modelled=draw(number) if rate < 0 else np.nan, steady=steady, additional=additional,
            interval=draw(st.sampled_from([2.0, 6.0])) if steady or additional else 0.0,
            lag=draw(st.sampled_from([0.0, 0.0, 0.7, 3.1])), fraction=draw(st.sampled_from([1.0, 0.6])), covariates=known,
            **slopes,
        ))  # fmt: skip
    return [*records, Record(now + 0.5), Record(now + draw(number) + 1.0)]


@settings(max_examples=60, deadline=None)
@given(record_sets(), st.sampled_from(["LOCF", "NOCB"]))
def test_any_records_as_in_steps(records, way):
    outputs = ["depot", "central", "peripheral", "C", "lnC"]
    sets = Records([records], interpolation=way)
    got, steps = (
        engine.build(two_compartments(), outputs=outputs, options=o).solve(None, sets, rtol=1e-9)
        for o in (Options(), STEPS)
    )
    assert got.settings["method"] == "exact" and got.status.tolist() == steps.status.tolist()
    assert np.allclose(got.values, steps.values, rtol=2e-6, atol=1e-8)


@settings(max_examples=25, deadline=None)
@given(record_sets())
def test_any_sensitivities_as_in_steps(records):
    sets = Records([records])
    names = ["CL", "Q", "ka", *sets.dependent]
    got, steps = (
        engine.build(two_compartments(), outputs=["C", "lnC"], sensitivities=names, options=o).solve(
            None, sets, rtol=1e-9
        )
        for o in (Options(), STEPS)
    )
    assert got.settings["method"] == "exact" and got.status.tolist() == steps.status.tolist()
    assert np.allclose(got.values, steps.values, rtol=2e-6, atol=1e-8)
    assert np.allclose(got.gradients, steps.gradients, rtol=1e-5, atol=2e-7)


def test_sensitivities_against_differences():
    names, h = ["CL", "V", "ka", "Q"], 1e-5
    schedule = Schedule(1)
    schedule.dose("depot", time=0.0, amount=100.0)
    schedule.dose("central", time=7.0, amount=50.0, duration=2.5)
    times = [0.5, 6.0, 8.0, 30.0]
    gradients = (
        engine.build(two_compartments(), outputs=["C", "exposure"], sensitivities=names)
        .solve(None, schedule, times)
        .gradients
    )

    def at(name, value):
        return (
            engine.build(two_compartments(), outputs=["C", "exposure"], fixed={name: value})
            .solve(None, schedule, times)
            .values
        )

    for k, name in enumerate(names):
        typical = NUMBERS[name]
        by_2, by_1 = ((at(name, typical + d) - at(name, typical - d)) / (2 * d) for d in (2 * h, h))
        assert np.allclose(gradients[..., k], (4 * by_1 - by_2) / 3, rtol=1e-7, atol=1e-8)

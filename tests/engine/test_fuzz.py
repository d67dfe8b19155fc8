"""Random small reaction models with random dose tables against SciPy: no silent disagreement."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from respine import engine
from respine.engine import Status
from tests.engine.systems import system

LARGEST_DISAGREEMENT = 1e-4  # of each state's largest value
numbers = st.floats(0.05, 3.0).map(lambda v: round(v, 3))


@st.composite
def models(draw):
    """Two to four species; every reaction turns one into another, makes or removes one."""
    n = draw(st.integers(2, 4))
    species = [f"s{i}" for i in range(n)]
    rates = {s: [] for s in species}
    parameters = {}
    for r in range(draw(st.integers(n, 2 * n))):
        k, half, power = f"k{r}", f"h{r}", f"n{r}"
        parameters |= {k: draw(numbers), half: draw(numbers), power: draw(st.sampled_from([1.0, 1.4, 2.0, 2.7, 4.0]))}
        source, target, helper = (draw(st.sampled_from([None, *species])) for _ in range(3))
        reactant = source or helper
        speed = draw(st.sampled_from(["linear", "saturating", "hill", "inhibited", "bilinear"]))
        x = reactant or "1"
        flow = {
            "linear": f"{k}*{x}",
            "saturating": f"{k}*{x}/({half} + {x})",
            "hill": f"{k}*{x}**{power}/({half}**{power} + {x}**{power})",
            "inhibited": f"{k}*{x}/(1 + ({helper or x}/{half})**{power})",
            "bilinear": f"{k}*{x}*{helper or x}/(1 + {helper or x})",
        }[speed]
        if source:
            rates[source].append(f"-{flow}" if speed != "bilinear" or helper else f"-{k}*{x}")
        if target:
            rates[target].append(flow)
    for s in species:  # something always leaves, so that nothing grows without limit for long
        parameters[f"out_{s}"] = draw(numbers)
        rates[s].append(f"-out_{s}*{s}")
    start = {s: draw(st.sampled_from([0.0, 0.3, 1.0, 2.0])) for s in species}
    # a reaction that removes what it does not depend on would turn a species negative: not a reaction model
    text = {s: " + ".join(terms).replace("+ -", "- ") for s, terms in rates.items()}
    return text, start, parameters, draw(doses(species))


@st.composite
def doses(draw, species):
    return [
        (
            draw(st.sampled_from(species)),
            draw(st.integers(0, 60)) / 10,
            draw(numbers),
            draw(st.sampled_from([0.0, 0.25, 1.5])),
        )
        for _ in range(draw(st.integers(0, 4)))
    ]


TIMES = np.array([0.0, 0.5, 1.7, 3.0, 6.5, 10.0])


class TooLong(Exception):
    """The witness made no headway."""


def witness(text, start, parameters, table):
    """SciPy on the equations as Python reads them, segment by segment."""
    names = list(text)
    body = ", ".join(text[s] for s in names)
    rates = eval(f"lambda {', '.join(names)}: ({body},)", dict(parameters))
    y = np.array([start[s] for s in names])
    edges = {0.0, 10.0, *TIMES}
    for _, time, _, duration in table:
        edges |= {time, min(time + duration, 10.0)}
    at, got = sorted(edges), {}
    for k, t in enumerate(at):
        if t in TIMES:
            got[t] = y.copy()
        for target, time, amount, duration in table:
            if time == t and duration == 0:
                y[names.index(target)] += amount
        if t == 10.0:
            break
        forcing = np.zeros(len(names))
        for target, time, amount, duration in table:
            if duration and time <= t < time + duration - 1e-12:
                forcing[names.index(target)] += amount / duration
        y = segment(rates, forcing, t, at[k + 1], y)
    return np.array([got[t] for t in TIMES])


def segment(rates, forcing, start, end, y):
    """One stretch between two dose edges; LSODA, and where it makes no headway Radau."""
    for method in ("LSODA", "Radau"):
        calls = 0

        def rhs(now, state):
            nonlocal calls
            calls += 1
            if calls > 50_000:
                raise TooLong
            return np.array(rates(*np.maximum(state, 0))) + forcing

        try:
            run = solve_ivp(rhs, (start, end), y, method=method, rtol=1e-9, atol=1e-11)
        except TooLong:
            continue
        if run.success:
            return run.y[:, -1]
    raise TooLong


def check(case):
    text, start, parameters, table = case
    schedule = engine.Schedule(1)
    for target, time, amount, duration in table:
        schedule.dose(target, time=time, amount=amount, duration=duration)
    solver = engine.build(system(text, start, parameters), outputs=list(text), options=engine.Options(keep_all=True))
    solution = solver.solve(None, schedule, TIMES, rtol=1e-7)
    if solution.status[0] != Status.OK:
        assert solution.failures  # refused loudly is allowed, wrong numbers are not
        return
    try:
        want = witness(text, start, parameters, table)
    except TooLong:
        reject()
    scale = np.maximum(np.max(np.abs(want), axis=0), 1e-3)
    assert np.max(np.abs(solution.values[0] - want) / scale) < LARGEST_DISAGREEMENT


slowly = settings(deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)


@settings(slowly, max_examples=20)
@given(models())
def test_random_models_agree_with_scipy(case):
    check(case)


@pytest.mark.slow
@settings(slowly, max_examples=int(os.environ.get("RESPINE_FUZZ", "2000")))
@given(models())
def test_many_random_models_agree_with_scipy(case):
    check(case)

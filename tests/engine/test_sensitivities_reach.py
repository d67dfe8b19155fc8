"""Only states that a parameter reaches have sensitivities by it, and company does not change a parameter's gradients."""

from __future__ import annotations

import numpy as np
import pytest

from respine import engine
from respine.engine import Record, Records
from respine.engine.equations.tangent import _groups, _reaches
from tests.engine.systems import system

# one chain beside another, joined at the end
CHAINS = system(
    {"a": "-ka*a", "b": "ka*a - kb*b*b", "c": "kc - kd*c", "d": "b*c - ke*d"},
    {"a": 2.0, "b": 0.1, "c": "c0*kd", "d": 0.0},
    {"ka": 0.7, "kb": 0.3, "kc": 1.1, "kd": 0.4, "ke": 0.9, "c0": 2.0, "idle": 3.0},
)
REACH = {"ka": "abd", "kb": "bd", "kc": "cd", "kd": "cd", "ke": "d", "c0": "cd", "idle": ""}
TIMES = np.linspace(0.5, 12.0, 7)


def test_a_parameter_reaches_the_states_downstream_of_where_it_acts():
    jacobian = {(0, 0): 1, (1, 0): 1, (1, 1): 1, (2, 2): 1, (3, 1): 1, (3, 2): 1, (3, 3): 1}
    reaches = _reaches(3, [(1, 0), (2, 1), (0, 2)], jacobian)
    assert reaches == [{1, 3}, {2, 3}, {0, 1, 3}]
    assert _reaches(2, [], jacobian) == [set(), set()]


def test_parameters_share_code_where_little_is_computed_in_vain():
    wide, nearly, narrow = frozenset(range(20)), frozenset(range(1, 20)), frozenset((3,))
    first, second = _groups([narrow, nearly, frozenset(), wide])
    assert (first.parameters, first.states) == ((3, 1), tuple(range(20)))
    assert (second.parameters, second.states) == ((0,), (3,))


@pytest.mark.parametrize("names", [["ka"], ["kc", "kd"], ["kd", "c0", "kc"], list(REACH), list(reversed(REACH))])
def test_gradients_do_not_depend_on_what_else_is_asked(names):
    """At fixed steps, to the last digits: a parameter's neighbours in a batch may only change how long steps are."""
    options = engine.Options(largest_step=0.05, sensitivity_tolerance=1e6)
    together = engine.build(CHAINS, outputs="abcd", sensitivities=names, options=options).solve(times=TIMES, rtol=1e-4)
    for name in names:
        alone = engine.build(CHAINS, outputs="abcd", sensitivities=[name], options=options).solve(
            times=TIMES, rtol=1e-4
        )
        for state in "abcd":
            got = together.gradient(state, name)
            assert np.allclose(got, alone.gradient(state, name), rtol=1e-12, atol=1e-14), (state, name)
            assert (state in REACH[name]) == bool(np.any(got != 0)), (state, name)


def test_a_dose_that_depends_on_a_name_reaches_only_what_follows_it():
    records = [Record(0.0, 1, "b", 5.0, fraction=0.6, fraction_sensitivity=(("F", 1.0),)),
               Record(1.0, 1, "c", 1.0, lag=0.4, lag_sensitivity=(("lag", 1.0),)), Record(3.0), Record(6.0)]  # fmt: skip
    solver = engine.build(CHAINS, outputs="abcd", sensitivities=["F", "lag", "ke"])
    solution = solver.solve(None, Records([records]), rtol=1e-8)
    for name, reached in {"F": "bd", "lag": "cd", "ke": "d"}.items():
        for state in "abcd":
            assert (state in reached) == bool(np.any(solution.gradient(state, name)[2:] != 0)), (state, name)


def test_gradients_do_not_depend_on_neighbours_whose_steps_fail():
    """In a lane whose states failed, sensitivities are computed only if a neighbour's did not."""
    s = system(
        {"x": "-k*x*x/(1 + x)", "y": "max(x - limit, 0)*60 - 9*y", "z": "y*y - z"},
        {"x": 0.0, "y": 0.0, "z": 0.0},
        {"k": 1.0, "limit": 0.7},
    )
    k = np.geomspace(0.2, 8.0, 13)[:, None]
    schedule = engine.Schedule(13)
    for time in np.arange(0.0, 12.0, 1.7):
        schedule.dose("x", time=time + 0.1 * k[:, 0], amount=2.0 + k[:, 0])
    solved = []
    for lanes in (1, 2, 4):
        options = engine.Options(lanes=lanes)
        solver = engine.build(s, outputs="xyz", vary=["k"], sensitivities=["k", "limit"], options=options)
        solved.append(solver.solve(k, schedule, [5.0, 12.5], threads=1))
        assert np.array_equal(solved[0].steps, solved[-1].steps), lanes
        assert np.array_equal(solved[0].gradients, solved[-1].gradients), lanes
    assert np.all(solved[0].steps[:, 1] > 0)

"""Slopes of systems that may jump: refused, or those of differences; read from formulas, however late or far the jump is."""

from __future__ import annotations

import numpy as np
import pytest

from respine import engine
from tests.engine.systems import system
from tests.engine.test_sensitivities import richardson

VALUES = {"k": 0.2, "limit": 3.0, "begin": 2.0, "width": 0.5, "far": 1e6, "late": 400.0}
BY = ("k", "limit", "begin")
TIMES = np.array([0.5, 3.7, 9.1, 21.0])
JUMPS = {
    "a far threshold": "k if x > far else 1",
    "a start by a sum of parameters": "k if t > begin + width else 1",
    "time scaled by a parameter": "k if t*k > 1 else 1",
    "a window": "k if (t > begin) else 0",
    "a pulse by a product": "(t > begin)*(t < begin + width)",
    "floor of a state": "floor(x/limit)",
    "ceil of time by a parameter": "ceil(t/begin)",
    "remainder by a parameter": "t - begin*floor(t/begin)",
    "a maximum of steps": "max(x > limit, 0.5)",
    "a power of a step": "(x > limit)**2",
    "a step inside exp": "exp(-(x > limit))",
    "a step behind a rule": "step",
    "a step behind two rules": "twice",
    "a choice in a choice": "(k if x > limit else 2*k) if t > begin else 0",
    "a step times zero at the threshold": "(x - limit)*(x > limit)",
    "a step times almost zero": "(x - limit + 0.01)*(x > limit)",
    "half a corner": "(x - limit if x > limit else 0.5)",
}
CORNERS = {
    "a start by a parameter that is not asked for": "k if t > late else 1",
    "a single moment": "1 if x == limit else 0",
    "all but a single moment": "1 if x != limit else 0",
    "a maximum": "max(x - limit, 0)",
    "an absolute value": "abs(x - limit)",
    "a choice that is continuous": "k*(x - limit) if x > limit else 0",
    "a moment of no parameter": "k if t > 7 else 2*k",
    "a window of no parameter": "k*(t > 2)*(t < 4)",
    "rounding of a constant": "k*floor(2.5)",
    "a step of a constant": "k*(1 > 2) + 0.5",
    "a clock of no parameter": "k*floor(t/3)",
    "the smaller of two": "min(x, limit)",
}
RULES = {"step": "1 if x > limit else 0", "twice": "2*step + 1"}


def built(rate: str, output: str = "y"):
    s = system({"x": "2 - k*x", "y": f"({rate}) - 0.1*y"}, {"x": 0.3, "y": 0.1}, VALUES, rules=RULES)
    return engine.build(s, outputs=[output], sensitivities=list(BY)), s


def by_differences(s, name: str, output: str = "y") -> np.ndarray:
    solver = engine.build(s, outputs=[output], vary=[name])
    at = VALUES[name]
    return richardson(
        lambda value: solver.solve(np.array([[value]]), None, TIMES, rtol=1e-11).values[0, :, 0], at, 1e-2
    )


@pytest.mark.parametrize("shape", JUMPS)
def test_a_jump_that_may_move_is_refused(shape: str) -> None:
    """Whether it moves within these times or not: nothing is tried out."""
    solver, _ = built(JUMPS[shape])
    with pytest.raises(ValueError, match="sensitivities across such a jump"):
        solver.solve(None, None, TIMES, rtol=1e-9)


@pytest.mark.parametrize("shape", CORNERS)
def test_corners_and_fixed_moments_are_carried_out_right(shape: str) -> None:
    solver, s = built(CORNERS[shape])
    found = solver.solve(None, None, TIMES, rtol=1e-9)
    for n, name in enumerate(BY):
        want = by_differences(s, name)
        assert found.gradients[0, :, 0, n] == pytest.approx(want, rel=1e-4, abs=1e-5 * (1 + abs(want).max())), name

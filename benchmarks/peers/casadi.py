"""CasADi: SX expressions, exact Jacobian, CVODES; one integrator a segment."""

from __future__ import annotations

import numpy as np
from models import Problem

from peers import ABSOLUTE, MOST_STEPS, Solve
from peers.segments import segments, walk
from peers.source import FUNCTIONS, function

TITLE = "CasADi (CVODES)"
SUBJECTS = 8


def prepare(problem: Problem, people: np.ndarray) -> Solve:
    """CasADi does not restart CVODES where an input jumps, so every segment has its own integrator."""
    import casadi as ca

    n = len(problem.states)
    y, p, u, t = ca.SX.sym("y", n), ca.SX.sym("p", len(problem.vary)), ca.SX.sym("u", n), ca.SX.sym("t")
    names = {k: getattr(ca, k) for k in FUNCTIONS}
    names |= {"maximum": ca.fmax, "minimum": ca.fmin, "where": ca.if_else}
    rates = function(problem, names)(t, ca.vertsplit(y), ca.vertsplit(p), ca.vertsplit(u), [None] * n)
    dae = {"x": y, "p": ca.vertcat(p, u), "t": t, "ode": ca.vertcat(*rates)}
    parts, starts = segments(problem), problem.starts(people)
    made: dict[float, list] = {}

    def integrators(rtol: float) -> list:
        if rtol not in made:
            options = {"reltol": rtol, "abstol": rtol * ABSOLUTE, "max_num_steps": MOST_STEPS}
            made[rtol] = [
                ca.integrator("f", "cvodes", dae, float(s.grid[0]), s.grid[1:].tolist(), options) for s in parts
            ]
        return made[rtol]

    def solve(rtol: float) -> np.ndarray:
        steppers = integrators(rtol)

        def segment(k: int, part: object, state: np.ndarray, row: np.ndarray) -> np.ndarray:
            return np.array(steppers[k](x0=state, p=np.concatenate([row, parts[k].infusion]))["xf"]).T

        return np.array([
            walk(problem, parts, start, lambda k, part, state, row=row: segment(k, part, state, row))
            for start, row in zip(starts, people, strict=True)
        ])  # fmt: skip

    return solve

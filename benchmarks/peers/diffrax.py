"""diffrax: Kvaerno5 in JAX, all subjects in one vmap, float64."""

from __future__ import annotations

import numpy as np
from models import Problem

from peers import ABSOLUTE, Solve
from peers.segments import segments
from peers.source import FUNCTIONS, function

TITLE = "diffrax (Kvaerno5)"
SUBJECTS = 8


def prepare(problem: Problem, people: np.ndarray) -> Solve:
    """Compiled once for all tolerances; segments are solved one after the other inside the compiled function."""
    import diffrax as dx
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    more = ("arcsin", "arccos", "arctan", "maximum", "minimum", "where")
    names = {k: getattr(jnp, k) for k in (*FUNCTIONS, *more)}
    rhs, n = function(problem, names), len(problem.states)
    parts = segments(problem)
    infusion = jnp.array([s.infusion for s in parts])
    jumps = jnp.array([s.jump for s in parts])
    most = max(len(s.grid) for s in parts) - 1
    grids = jnp.array([np.concatenate([s.grid, np.full(most + 1 - len(s.grid), s.grid[-1])]) for s in parts])

    def field(t, y, arguments):  # type: ignore[no-untyped-def]
        p, u = arguments
        return jnp.stack(rhs(t, y, p, u, [None] * n))

    def solve_row(start, p, rtol, atol):  # type: ignore[no-untyped-def]
        def segment(y, part):  # type: ignore[no-untyped-def]
            grid, u, jump = part
            solution = dx.diffeqsolve(
                dx.ODETerm(field), dx.Kvaerno5(), grid[0], grid[-1], 1e-3, y + jump, args=(p, u),
                saveat=dx.SaveAt(ts=grid[1:]), max_steps=100_000,
                stepsize_controller=dx.PIDController(rtol=rtol, atol=atol),
            )  # fmt: skip
            return solution.ys[-1], solution.ys

        return jax.lax.scan(segment, start, (grids, infusion, jumps))[1]

    many = jax.jit(jax.vmap(solve_row, (0, 0, None, None)))
    starts = problem.starts(people)

    def solve(rtol: float) -> np.ndarray:
        raw = np.asarray(many(jnp.array(starts), jnp.array(people), rtol, rtol * ABSOLUTE))
        kept = [raw[:, k, : len(s.grid) - 1][:, s.keep] for k, s in enumerate(parts)]
        return np.concatenate([starts[:, None], *kept], axis=1)

    return solve

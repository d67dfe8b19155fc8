"""One shard: some people of one arm, simulated, observed and summed up: the tables of a shard file, and its receipt."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np

from respine import engine, trial
from respine.population import People
from respine.protocol import Arm, Decisions, Given
from respine.protocol.stages import solve_in_stages
from respine.run import summary, tables
from respine.run.plan import Plan, Shard

Progress = Callable[[int, int], None]

SUMMARY = "summary.npy"
SIZES = "sizes.npy"


def compute(
    plan: Plan, shard: Shard, threads: int, progress: Progress | None
) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Simulate and observe a shard. Returns the members of its file and what the run must know of it."""
    # the same people, with the same random numbers, in every arm: what differs between arms is then the treatment alone
    people, arm = plan.shared_people(shard.arm, shard.people), plan.protocol.arm(shard.arm)
    with plan.first_alone(shard.arm):  # the first of an arm makes the machine code, the others find it made
        solution, decisions = _solve(plan, arm, people, threads, progress)
    given: list[Given] = decisions.given if decisions is not None else []
    ok, numbers = np.asarray(solution.status) == 0, people.covariates["subject"].to_numpy(np.int64)
    made = {
        "subjects": tables.subjects(arm.name, people),
        "visits": tables.visits(arm.name, numbers, ok, trial.scores(arm, people, solution, given)),
        "doses": tables.of_frame(arm.ledger(people, given), tables.DOSES),
        "failures": tables.failures(arm.name, people, solution),
    }
    if plan.study.rules:
        import pandas as pd

        decided = decisions.table() if decisions is not None else pd.DataFrame()
        made["decisions"] = tables.of_frame(decided, tables.DECISIONS)
    if plan.keep:
        kept = np.flatnonzero(np.isin(numbers, plan.kept_subjects) & ok)
        made["trajectories"] = tables.trajectories(arm.name, people, solution, kept)
    means, sizes = summary.of_people(solution.values, ok, plan.study.subjects <= summary.EXACT_PEOPLE)
    members = {f"{name}.arrow": tables.encode(table) for name, table in made.items()}
    members |= {SUMMARY: _array(means), SIZES: _array(sizes)}
    facts = {
        "arm": shard.arm,
        "first": shard.first,
        "last": shard.last,
        "failed": int((~ok).sum()),
        "lanes": solution.settings.get("lanes"),
        "hardly_ill": trial.count_hardly_ill(plan.protocol, solution),
        "rows": {name: table.num_rows for name, table in made.items()},
    }
    return members, facts


def _solve(
    plan: Plan, arm: Arm, people: People, threads: int, progress: Progress | None
) -> tuple[engine.Solution, Decisions | None]:
    if not arm.rules:
        solution = arm.solve(
            people, plan.outputs, plan.times, vary=plan.vary, threads=threads, progress=progress,
            precision=plan.precision,
        )  # fmt: skip
        return solution, None
    decisions = Decisions(arm, people)
    scores = trial.InterimScores(arm, people, decisions.times, decisions.scales())
    solution = solve_in_stages(
        arm, people, plan.outputs, plan.times, scores, decisions, vary=plan.vary, threads=threads, progress=progress,
        precision=plan.precision,
    )  # fmt: skip
    return solution, decisions


def _array(values: np.ndarray) -> bytes:
    sink = io.BytesIO()
    np.save(sink, values, allow_pickle=False)
    return sink.getvalue()


def array(data: bytes) -> np.ndarray:
    """An array of a shard file."""
    return np.asarray(np.load(io.BytesIO(data), allow_pickle=False))

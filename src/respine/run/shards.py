"""One shard: some people of one arm, simulated, observed, and written once as a folder of files with a receipt."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from respine import engine, trial
from respine.files import parquet, store
from respine.population import People
from respine.protocol import Decisions
from respine.protocol.stages import solve_in_stages
from respine.run.plan import Plan, Shard

Progress = Callable[[int, int], None]

VISITS = {
    "subject": "int64",
    "arm": "object",
    "time_h": "float64",
    "scale": "object",
    "value": "float64",
    "true_value": "float64",
}
DOSES = {
    "subject": "int64",
    "arm": "object",
    "time_h": "float64",
    "drug": "object",
    "route": "object",
    "amount": "float64",
    "unit": "object",
    "amount_mg": "float64",
    "why": "object",
}
FAILURES = {
    "subject": "int64",
    "arm": "object",
    "status": "object",
    "time_h": "float64",
    "state": "object",
    "value": "float64",
    "reason": "object",
    "cure": "object",
}
DECISIONS = {
    "subject": "int64",
    "arm": "object",
    "time_h": "float64",
    "rule": "object",
    "action": "object",
    "outcome": "object",
    "why": "object",
    "scale": "object",
    "value": "float64",
    "seen": "object",
}
TRAJECTORIES = "trajectories.npy"


def compute(
    plan: Plan, shard: Shard, threads: int, progress: Progress | None
) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Simulate and observe a shard. Returns its files and what the run must know of it."""
    # the same people, with the same random numbers, in every arm: what differs between arms is then the treatment alone
    people, arm = plan.people_of(shard.arm, shard.people), plan.protocol.arm(shard.arm)
    decisions = None
    if arm.rules:
        decisions = Decisions(arm, people)
        scores = trial.InterimScores(arm, people, decisions.times, decisions.scales())
        solution = solve_in_stages(
            arm, people, plan.outputs, plan.times, scores, decisions, vary=plan.vary, threads=threads, progress=progress
        )
    else:
        solution = arm.solve(people, plan.outputs, plan.times, vary=plan.vary, threads=threads, progress=progress)
    given = decisions.given if decisions is not None else []
    visits = trial.observe(arm, people, solution, given)
    failures = failure_rows(shard, people, solution)
    written = {
        "visits.parquet": parquet.encode(
            typed(visits, VISITS).sort_values(["subject", "time_h"], kind="stable", ignore_index=True)
        ),
        "doses.parquet": parquet.encode(typed(arm.ledger(people, given), DOSES)),
        "subjects.parquet": parquet.encode(subject_rows(shard, people)),
        "failures.parquet": parquet.encode(typed(failures, FAILURES)),
        TRAJECTORIES: parquet.encode_array(_whole(solution).astype(np.float32)),
    }
    if plan.study.rules:
        decided = decisions.table() if decisions is not None else pd.DataFrame()
        written["decisions.parquet"] = parquet.encode(typed(decided, DECISIONS))
    facts = {
        "arm": shard.arm,
        "first": shard.first,
        "last": shard.last,
        "failed": len(failures),
        "lanes": solution.settings.get("lanes"),
        "hardly_ill": trial.count_hardly_ill(plan.protocol, solution),
    }
    return written, facts


def _whole(solution: engine.Solution) -> np.ndarray:
    """Trajectories with failed people blank from the start, so that no quantile changes its people halfway."""
    values = solution.values.copy()
    values[np.asarray(solution.status) != 0] = np.nan
    return values


def failure_rows(shard: Shard, people: People, solution: engine.Solution) -> pd.DataFrame:
    """Who was not simulated to the end: subject, arm, time, state, last good value, reason and cure."""
    subjects = people.covariates["subject"].to_numpy(np.int64)
    rows = [
        {
            "subject": int(subjects[one.subject]),
            "arm": shard.arm,
            "status": one.status.name.lower().replace("_", "-"),
            "time_h": float(one.time),
            "state": one.state,
            "value": float(one.value),
            "reason": one.reason,
            "cure": one.cure,
        }
        for one in sorted(solution.failures, key=lambda one: one.subject)
    ]
    return pd.DataFrame(rows, columns=list(FAILURES))


def subject_rows(shard: Shard, people: People) -> pd.DataFrame:
    """Arm, number, parameter draw, covariates and varying parameters of everybody."""
    covariates = people.covariates.reset_index(drop=True)
    head = pd.DataFrame(
        {"subject": covariates["subject"].astype("int64"), "arm": shard.arm, "draw": np.asarray(people.draw, np.int64)}
    )
    rest = covariates.drop(columns=["subject"])
    parameters = people.parameters.reset_index(drop=True)
    return pd.concat([head, rest, parameters[[c for c in parameters.columns if c not in rest.columns]]], axis=1)


def typed(table: pd.DataFrame, columns: dict[str, str]) -> pd.DataFrame:
    """The columns in their order and kind, also where there are no rows."""
    return pd.DataFrame({name: table.get(name, []) for name in columns}).astype(columns)


def intact(folder: Path, receipt: dict[str, Any]) -> bool:
    """Whether every file of a shard is as its receipt says."""
    return bool(receipt["files"]) and all(
        store.file_sha256(folder / name) == digest for name, digest in receipt["files"].items()
    )

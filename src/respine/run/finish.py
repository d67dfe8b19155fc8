"""The end of a run: shards become one set of tables, endpoints are estimated, the manifest says it is complete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from respine.files import parquet, store
from respine.published import summary
from respine.run import gather, manifest
from respine.run.folder import TABLES
from respine.run.gather import Gathered
from respine.run.plan import PEOPLE_PER_DRAW, Plan, Shard
from respine.run.results import Results, endpoint_table
from respine.run.target import SHARDS
from respine.run.work import Job, Receipt

FEW_DRAWS = 10  # below, the range of a trial is hardly wider than that of one set of parameters
HARDLY_ILL = 0.05  # share of people from which it is worth a warning


def in_order(receipts: Mapping[str, Receipt]) -> dict[str, Receipt]:
    """Receipts as the manifest keeps them: by name, without what belongs to the file alone."""
    return {name: {k: v for k, v in receipts[name].items() if k != "run"} for name in sorted(receipts)}


def finish(
    plan: Plan, out: Path, facts: dict[str, Any], job: Job, receipts: Mapping[str, Receipt], warnings: Sequence[str]
) -> Results:
    """Put the shards together into the tables of the run; then the shards go, what they held is in the tables."""
    gathered = gather.gather(plan, plan.shards, job.load, out)
    facts["shards"] = in_order(receipts)
    small = {"chain": gathered.chain, "scores": gather.scores_table(gathered.panel),
             "endpoints": endpoint_table(plan.protocol, gathered.panel)}  # fmt: skip
    for name, table in small.items():
        gather.write_table(out, name, table)
    if plan.study.rules:
        facts["decisions"] = _decided(plan, gathered)
    facts["warnings"] = [*warnings, *_warnings(plan, facts, small["endpoints"])]
    names = (*gather.person_tables(plan), *small)
    facts["files"] = {f"{name}.parquet": store.file_sha256(out / f"{name}.parquet") for name in names}
    facts["state"] = "complete"
    manifest.write(out, facts)
    store.remove(out / SHARDS)
    return _results(plan, out, facts, small["endpoints"], gathered)


def so_far(
    plan: Plan, out: Path, facts: dict[str, Any], job: Job, receipts: Mapping[str, Receipt], warnings: Sequence[str]
) -> Results:
    """What the people simulated so far say: those that are there in every arm."""
    chosen = _in_every_arm(plan, receipts)
    gathered = gather.gather(plan, chosen, job.load, None)
    people = sum(shard.last - shard.first for shard in chosen) // len(plan.study.arms)
    share = (plan.study.subjects / people) ** 0.5 if people else float("inf")
    worth = (
        f"from {people} of {plan.study.subjects} people an arm: chance alone moves a result {share:.2g} times as far as in "
        "the whole run"
        if people
        else "nobody was simulated in every arm yet"
    )
    endpoints = endpoint_table(plan.protocol, gathered.panel)
    return _results(plan, out, facts | {"warnings": [*warnings, worth], "so_far": people}, endpoints, gathered)


def _in_every_arm(plan: Plan, receipts: Mapping[str, Receipt]) -> list[Shard]:
    there = [shard for shard in plan.shards if shard.name in receipts]
    count: dict[tuple[int, int], int] = {}
    for shard in there:
        count[shard.first, shard.last] = count.get((shard.first, shard.last), 0) + 1
    return [shard for shard in there if count[shard.first, shard.last] == len(plan.study.arms)]


def files_match(out: Path, facts: Mapping[str, Any]) -> bool:
    """Whether all tables of a finished run are as it wrote them."""
    return not altered(out, facts)


def altered(out: Path, facts: Mapping[str, Any]) -> list[str]:
    """Names of tables of a finished run that are missing, without checksum, or not as it wrote them."""
    files = facts["files"]
    missing = [f"{name}.parquet" for name in TABLES if f"{name}.parquet" not in files]
    return [*missing, *(name for name, digest in files.items() if store.file_sha256(out / name) != digest)]


def read_back(plan: Plan, out: Path, facts: dict[str, Any]) -> Results:
    """The results of a finished run from its tables."""
    tables = {name: parquet.read(out / f"{name}.parquet") for name in ("endpoints", "chain", "failures")}
    gathered = Gathered(gather.read_panel(out), tables["chain"], tables["failures"])
    return _results(plan, out, facts, tables["endpoints"], gathered)


def _results(plan: Plan, out: Path, facts: dict[str, Any], endpoints: pd.DataFrame, gathered: Gathered) -> Results:
    return Results(
        plan.study, out, endpoints, gathered.chain, gathered.failures, gathered.panel, tuple(facts["warnings"]), facts
    )


def _decided(plan: Plan, gathered: Gathered) -> dict[str, dict[str, dict[str, int]]]:
    """How often each rule acted and how often it was refused, by arm."""
    return {
        arm: {
            rule.name: {outcome: gathered.decided.get((arm, rule.name, outcome), 0) for outcome in ("done", "refused")}
            for rule in plan.protocol.arm(arm).rules
        }
        for arm in plan.study.arms
    }


def _warnings(plan: Plan, facts: dict[str, Any], endpoints: pd.DataFrame) -> list[str]:
    """Sentences a reader of the results must not miss."""
    warnings = [*plan.notes, *plan.study.remarks]
    if plan.draws < FEW_DRAWS and len(endpoints):
        draws = "1 draw" if plan.draws == 1 else f"{plan.draws} draws"
        warnings.append(
            f"{plan.study.subjects} people per arm allow {draws} of the uncertain parameters: the intervals hold little "
            f"of that uncertainty. Take {FEW_DRAWS * PEOPLE_PER_DRAW} people or more"
        )
    by_arm = facts.get("decisions", {}).values()
    warnings += [
        f"the rule {rule.name} never acted on anybody: see decisions.parquet"
        for rule in plan.study.rules
        if not any(rules[rule.name]["done"] for rules in by_arm if rule.name in rules)
    ]
    receipts = facts["shards"].values()
    for arm in plan.study.arms:
        ill = [r["hardly_ill"] for r in receipts if r["arm"] == arm and r["hardly_ill"] is not None]
        share = sum(ill) / plan.study.subjects if ill else 0.0
        if share > HARDLY_ILL:
            warnings.append(
                f"{100 * share:.0f} % of people in arm {arm} are hardly ill in the model at the first visit, "
                "so that treatment changes their score little"
            )
    lanes = {r["lanes"] for r in receipts}
    if len(lanes) > 1:
        warnings.append(
            "shards were computed on machines with different vector widths: results agree to the tolerance, "
            "not to the bit"
        )
    unmatched = endpoints["median"].isna() & (endpoints["role"] != "")
    if unmatched.any():
        warnings.append(f"{summary(endpoints[endpoints['role'] != ''])}: see the notes in endpoints.parquet")
    return warnings

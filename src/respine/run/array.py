"""A run by many processes without a scheduler of ours: each takes its part of the shards (``1/24``), one collects them.

For the arrays of a batch system: every task of the array runs the same command with its own number. A task that is
killed is started again and computes what is not there; nothing has to be cleaned up between.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from respine.errors import InputError, argument
from respine.files import store
from respine.run import manifest
from respine.run.budget import Budget
from respine.run.execute import Run, execute, folder_problem, locked, take
from respine.run.inspect import plan_of, restored
from respine.run.log import Log
from respine.run.plan import Plan, Shard
from respine.run.results import Results
from respine.run.target import SHARDS, Folder
from respine.run.work import Executor, Local

Progress = Callable[[int, int], None]
MOST_PARTS = 1_000_000


def part_of(text: str) -> tuple[int, int]:
    """The numbers of ``3/24``: the third of 24 parts. Raises InputError."""
    match = re.fullmatch(r"\s*([0-9]{1,7})\s*/\s*([0-9]{1,7})\s*", text)
    part, of = (int(match.group(1)), int(match.group(2))) if match else (0, 0)
    if not 1 <= part <= of <= MOST_PARTS:
        why = "This is no part of the form i/n with i from 1 to n."
        raise InputError(argument("part", text, why, "Write for example {part} 3/24 for the third of 24 parts."))
    return part, of


def shards_of(plan: Plan, part: int, of: int) -> list[Shard]:
    """The shards of a part: neighbours in the order of work, so that people who are in all arms are drawn once."""
    turn = plan.in_turn()
    return turn[len(turn) * (part - 1) // of : len(turn) * part // of]


def run_part(
    plan: Plan, out: str | Path, part: int, of: int, threads: int | None = None, progress: Progress | None = None, *,
    executor: Executor | None = None, budget: Budget | None = None,
) -> tuple[int, int]:  # fmt: skip
    """Compute the shards of one part that are not there yet. Returns how many of the part are there now, and in all.

    Any number of processes may do so in one folder at once. Raises what ``execute`` raises.
    """
    out = Path(out)
    threads = plan.threads if threads is None else threads
    take(out)
    (out / SHARDS).mkdir(exist_ok=True)
    if not (out / manifest.NAME).exists():
        facts = manifest.fresh(plan)
        for name in (manifest.COPY, manifest.NAME):  # others that begin now write the same
            store.write_by_many(out / name, store.json_bytes(facts))
    facts = manifest.read(out)
    manifest.check_same(out, facts, plan)
    shards = shards_of(plan, part, of)
    if facts["state"] == "complete":
        return len(shards), len(shards)
    with locked(out, shared=True), Log(out, plan) as log:
        run = Part(plan, out, facts, executor or Local(threads), threads, progress, log, budget or Budget(), shards)
        with run.kept():
            run.simulate()
        return sum(shard.name in run.receipts for shard in shards), len(shards)


class Part(Run):
    """Some shards of a run whose manifest others read too: it is not written."""

    def __init__(self, *given: object) -> None:
        *rest, shards = given
        self.mine: list[Shard] = shards  # type: ignore[assignment]
        super().__init__(*rest)  # type: ignore[arg-type]

    def turn(self) -> list[Shard]:
        """The shards of this part."""
        return self.mine

    def keep_receipts(self) -> None:
        """Receipts stay in the shards."""


def collect(
    folder: str | Path, threads: int | None = None, progress: Progress | None = None
) -> Results:  # fmt: skip
    """Put the shards of all parts together. Raises InputError where some are missing or damaged, naming them."""
    out = Path(folder)
    if not out.is_dir():
        raise InputError(folder_problem(out, "There is no such folder.", "Write the folder of a run."))
    with locked(out):
        facts = restored(out)
        plan = plan_of(out, facts, threads)
        manifest.check_same(out, facts, plan)
        if facts["state"] != "complete":
            _check_there(plan, out, facts)
    return execute(plan, out, resume=True, threads=threads, progress=progress)


def _check_there(plan: Plan, out: Path, facts: dict[str, object]) -> None:
    from respine.run.work import Job, digest_of

    job = Job(plan, Folder(out), digest_of(manifest.identity(plan)))
    missing = [shard.name for shard in plan.in_turn() if not isinstance(job.there(shard), dict)]
    if missing:
        shown = ", ".join(missing[:8]) + (f" and {len(missing) - 8} more" if len(missing) > 8 else "")
        why = f"{len(missing)} of {len(plan.shards)} shards are missing or damaged: {shown}."
        cure = (
            "Start the tasks of the array again: each computes what is missing. Or `respine run --resume` this folder."
        )
        raise InputError(folder_problem(out, why, cure))

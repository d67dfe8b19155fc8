"""Carry a plan out: shard after shard, each written once, so that a run that is stopped goes on where it was."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from respine.errors import InputError, Problem
from respine.files import parquet, store
from respine.published import summary
from respine.run import chain, manifest, shards, speed
from respine.run.folder import TABLES, refuse_links
from respine.run.plan import PEOPLE_PER_DRAW, Plan, Shard
from respine.run.results import Results, endpoint_table
from respine.trial import Panel

Progress = Callable[[int, int], None]
LOCK = ".lock"
_AIDS = {errno.EFBIG: " (the system limits the size of files: see ulimit -f)"}
FEW_DRAWS = 10  # below, the range of a trial is hardly wider than that of one set of parameters
SURELY_NEEDED = 0.7  # of the estimated disk
HARDLY_ILL = 0.05  # share of people from which it is worth a warning


class Stopped(KeyboardInterrupt):
    """The user stopped the run: ``finished`` of ``total`` shards lie in ``folder``, and resuming goes on from there."""

    def __init__(self, finished: int, total: int, folder: Path) -> None:
        self.finished, self.total, self.folder = finished, total, folder
        super().__init__(f"stopped after {finished} of {total} shards; go on with resume=True in {folder}")


def execute(
    plan: Plan, out: str | Path, resume: bool = False, threads: int | None = None, progress: Progress | None = None
) -> Results:
    """Run a plan into a folder and return its results.

    A folder with files in it is taken only with ``resume`` and only if it holds a run of exactly this study, seed,
    library and code; finished shards whose receipts match are kept, others are computed again. ``progress`` is called
    with people done and in all. A person whose simulation fails stops nothing: see ``Results.failures``. Raises
    InputError for a folder that cannot be taken, Stopped when interrupted, OSError when the disk is full; finished
    shards stay in each case.
    """
    out = Path(out)
    threads = plan.threads if threads is None else threads
    _take(out)
    with _locked(out):  # before anything in it is touched: a run that is refused leaves the other's files alone
        return _carry_out(plan, out, _begin(plan, out, resume), threads, progress)


def _carry_out(plan: Plan, out: Path, facts: dict[str, Any], threads: int, progress: Progress | None) -> Results:
    with _kept(out, facts, len(plan.shards)):
        warnings: list[str] = []
        if facts["state"] != "complete" or not _files_match(out, facts):
            _room(plan, out, facts)
            warnings += _simulate(plan, out, facts, threads, progress)
            return _finish(plan, out, facts, warnings)
        if progress:
            progress(plan.people, plan.people)
        return _read_back(plan, out, facts)


def _folder(out: Path, why: str, cure: str) -> Problem:
    return Problem(str(out), "{folder}", "", why, cure, ("folder", "resume"))


def _take(out: Path) -> None:
    """Make the folder of a run, or see that it is empty or holds a run. Raises InputError."""
    if out.exists() and not out.is_dir():
        raise InputError(_folder(out, "This is a file, not a folder.", "Choose another {folder}."))
    _make(out)
    held = sorted(path.name for path in out.iterdir() if path.name != LOCK)
    if held and manifest.NAME not in held:
        why = f"The folder is not empty and holds no run ({', '.join(held[:3])})."
        raise InputError(_folder(out, why, "Choose an empty or new {folder}."))
    refuse_links(out)


def _begin(plan: Plan, out: Path, resume: bool) -> dict[str, Any]:
    """The manifest to work with: a new one, or that of the run to go on with. Raises InputError."""
    if not (out / manifest.NAME).exists():
        (out / "shards").mkdir(exist_ok=True)
        facts = manifest.fresh(plan)
        manifest.write(out, facts)
        return facts
    facts = manifest.read(out)
    manifest.check_same(out, facts, plan)
    if not resume:
        why = (
            "The folder holds this run already, finished."
            if facts["state"] == "complete"
            else "The folder holds this run, unfinished."
        )
        raise InputError(_folder(out, why, "Add {resume} to go on with it, or choose another {folder}."))
    for rest in (*out.glob(".*.part"), *(out / "shards").glob(".*.part")):  # of a run that was killed while writing
        store.remove(rest)
    (out / "shards").mkdir(exist_ok=True)
    return facts


def _room(plan: Plan, out: Path, facts: dict[str, Any]) -> None:
    """Raise OSError where what is left to write can hardly fit on the disk: better now than after hours."""
    finished = sum(receipt["last"] - receipt["first"] for receipt in facts["shards"].values())
    needed, free = plan.megabytes * (1 - finished / plan.people), shutil.disk_usage(out).free / 1e6
    if SURELY_NEEDED * needed > free:
        told = f"this run needs about {needed:.0f} MB and {free:.0f} MB are free"
        raise OSError(errno.ENOSPC, told, str(out))


def _make(out: Path) -> None:
    """Make the folder of a run. Raises InputError where its place cannot hold one, OSError for other troubles."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except (NotADirectoryError, FileNotFoundError, FileExistsError):
        above = next((one for one in out.parents if one.exists()), out)
        why = f'"{above}" is a file, not a folder.' if above.is_file() else f'No folder can be made in "{above}".'
        raise InputError(_folder(out, why, "Choose another {folder}.")) from None


def _simulate(plan: Plan, out: Path, facts: dict[str, Any], threads: int, progress: Progress | None) -> list[str]:
    """Compute every shard that is not there, whole, already; returns what to tell the user."""
    warnings, done = [], 0
    computed, spent = 0, 0.0
    facts["state"] = "running"
    for shard in plan.shards:
        count = shard.last - shard.first
        receipt, folder = facts["shards"].get(shard.name), out / "shards" / shard.name
        if receipt is not None and shards.intact(folder, receipt):
            done += count
            continue
        if receipt is not None:
            warnings.append(f"shard {shard.name} ({_words(shard)}) did not match its receipt and was computed again")
        began = time.perf_counter()
        facts["shards"][shard.name] = _one(plan, shard, folder, threads, _offset(progress, done, plan.people))
        manifest.write(out, facts)
        computed, spent = computed + count, spent + time.perf_counter() - began
        done += count
        if progress:
            progress(done, plan.people)
    if progress:
        progress(done, plan.people)
    speed.remember(plan.work * computed / plan.people, spent, threads)
    return warnings


def _one(plan: Plan, shard: Shard, folder: Path, threads: int, progress: Progress | None) -> dict[str, Any]:
    written, told = shards.compute(plan, shard, threads, progress)
    return told | {"files": store.write_folder(folder, written)}


def _offset(progress: Progress | None, done: int, total: int) -> Progress | None:
    if progress is None:
        return None
    return lambda here, _: progress(done + here, total)


def _words(shard: Shard) -> str:
    return f"arm {shard.arm}, people {shard.first} to {shard.last - 1}"


def _finish(plan: Plan, out: Path, facts: dict[str, Any], warnings: list[str]) -> Results:
    """Put the shards together into the tables of the run."""
    kept = ("visits", "doses", "subjects", "failures", *(("decisions",) if plan.study.rules else ()))
    tables = {name: _together(plan, out, name) for name in kept}
    parts = []
    for arm in plan.study.arms:
        arrays = [out / "shards" / s.name / shards.TRAJECTORIES for s in plan.shards if s.arm == arm]
        parts.append(chain.quantiles(arm, arrays, plan.outputs, plan.times))
    panel = _panel(tables)
    tables["chain"] = pd.concat(parts, ignore_index=True)
    tables["endpoints"] = endpoint_table(plan.protocol, panel)
    for name, table in tables.items():
        data = parquet.encode(table)
        store.write_bytes(out / f"{name}.parquet", data)
        facts["files"][f"{name}.parquet"] = store.sha256(data)
    if plan.study.rules:
        facts["decisions"] = _decided(plan, tables["decisions"])
    facts["warnings"] = warnings + _warnings(plan, facts, tables)
    facts["state"] = "complete"
    manifest.write(out, facts)
    return _results(plan, out, facts, tables, panel)


def _together(plan: Plan, out: Path, name: str) -> pd.DataFrame:
    """One table of all shards, in the order of arms and people: the same whatever was computed when."""
    parts = [parquet.read(out / "shards" / shard.name / f"{name}.parquet") for shard in plan.shards]
    full = [part for part in parts if len(part)] or parts[:1]
    return pd.concat(full, ignore_index=True)


def _panel(tables: dict[str, pd.DataFrame]) -> Panel:
    draw = tables["subjects"].drop_duplicates("subject").set_index("subject")["draw"]
    return Panel.of(tables["visits"], draw)


def _decided(plan: Plan, decisions: pd.DataFrame) -> dict[str, dict[str, dict[str, int]]]:
    """How often each rule acted and how often it was refused, by arm."""
    count = decisions.groupby(["arm", "rule", "outcome"]).size()
    return {
        arm: {
            rule.name: {outcome: int(count.get((arm, rule.name, outcome), 0)) for outcome in ("done", "refused")}
            for rule in plan.protocol.arm(arm).rules
        }
        for arm in plan.study.arms
    }


def _warnings(plan: Plan, facts: dict[str, Any], tables: dict[str, pd.DataFrame]) -> list[str]:
    """Sentences a reader of the results must not miss."""
    told = [*plan.notes, *plan.study.remarks]
    if plan.draws < FEW_DRAWS and len(tables["endpoints"]):
        draws = "1 draw" if plan.draws == 1 else f"{plan.draws} draws"
        told.append(
            f"{plan.study.subjects} people per arm allow {draws} of the uncertain parameters: the intervals hold little "
            f"of that uncertainty. Take {FEW_DRAWS * PEOPLE_PER_DRAW} people or more"
        )
    by_arm = facts.get("decisions", {}).values()
    told += [
        f"the rule {rule.name} never acted on anybody: see decisions.parquet"
        for rule in plan.study.rules
        if not any(rules[rule.name]["done"] for rules in by_arm if rule.name in rules)
    ]
    receipts = facts["shards"].values()
    for arm in plan.study.arms:
        ill = [r["hardly_ill"] for r in receipts if r["arm"] == arm and r["hardly_ill"] is not None]
        share = sum(ill) / plan.study.subjects if ill else 0.0
        if share > HARDLY_ILL:
            told.append(
                f"{100 * share:.0f} % of people in arm {arm} are hardly ill in the model at the first visit, "
                "so that treatment changes their score little"
            )
    lanes = {r["lanes"] for r in receipts}
    if len(lanes) > 1:
        told.append(
            "shards were computed on machines with different vector widths: results agree to the tolerance, "
            "not to the bit"
        )
    unmatched = tables["endpoints"]["median"].isna() & (tables["endpoints"]["role"] != "")
    if unmatched.any():
        told.append(
            f"{summary(tables['endpoints'][tables['endpoints']['role'] != ''])}: see the notes in endpoints.parquet"
        )
    return told


def _files_match(out: Path, facts: dict[str, Any]) -> bool:
    return {f"{name}.parquet" for name in TABLES} <= facts["files"].keys() and all(
        store.file_sha256(out / name) == digest for name, digest in facts["files"].items()
    )


def _read_back(plan: Plan, out: Path, facts: dict[str, Any]) -> Results:
    names = [name.removesuffix(".parquet") for name in facts["files"]]
    tables = {name: parquet.read(out / f"{name}.parquet") for name in names}
    return _results(plan, out, facts, tables, _panel(tables))


def _results(plan: Plan, out: Path, facts: dict[str, Any], tables: dict[str, pd.DataFrame], panel: Panel) -> Results:
    return Results(
        plan.study,
        out,
        tables["endpoints"],
        tables["chain"],
        tables["failures"],
        panel,
        tuple(facts["warnings"]),
        facts,
    )


@contextlib.contextmanager
def _kept(out: Path, facts: dict[str, Any], total: int) -> Iterator[None]:
    """Stopped, out of disk, folder gone: say so once, and how to go on; finished shards stay."""
    try:
        yield
    except KeyboardInterrupt:
        finished = len(facts["shards"])
        raise Stopped(finished, total, out) from None
    except OSError as trouble:
        finished = len(facts["shards"])
        kept = f"{finished} of {total} shards are finished and kept"
        if not (out / manifest.NAME).exists():
            why = "the folder of the run, or its manifest, was removed while it ran; start it again"
        else:
            why = f"{trouble.strerror or os.strerror(trouble.errno or 0)}{_AIDS.get(trouble.errno or 0, '')}; {kept}"
        raise OSError(trouble.errno or errno.EIO, why, str(out)) from None


@contextlib.contextmanager
def _locked(out: Path) -> Iterator[None]:
    """One run at a time in a folder; the lock goes with the process, even if it is killed."""
    try:
        import fcntl
    except ImportError:  # not on Windows
        yield
        return
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(out / LOCK, flags, 0o644), "r+b", buffering=0) as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            why = "Another process is running into this folder."
            raise InputError(_folder(out, why, "Wait for it, or choose another {folder}.")) from None
        yield


def free_folder(plan: Plan, parent: str | Path = "runs") -> Path:
    """A folder for this run that does not exist yet: ``runs/murrough-2013-3f9a``, or with ``-2``, ``-3`` ... after
    it.
    """
    name = manifest.short_name(plan)
    candidates = (Path(parent) / (name if k == 1 else f"{name}-{k}") for k in range(1, 1_000_000))
    return next(path for path in candidates if not path.exists())

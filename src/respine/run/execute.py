"""Carry a plan out: shard after shard, each written once, so that a run that is stopped goes on where it was."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from respine.errors import InputError, Problem
from respine.files import store
from respine.run import finish, manifest, speed
from respine.run.budget import Budget
from respine.run.folder import LOCK, refuse_links
from respine.run.log import Log
from respine.run.plan import Plan, Shard
from respine.run.results import Results
from respine.run.target import SHARDS, Folder
from respine.run.work import Executor, Job, Local, Receipt, digest_of

Progress = Callable[[int, int], None]
_AIDS = {errno.EFBIG: " (the system limits the size of files: see ulimit -f)"}
SURELY_NEEDED = 0.7  # of the estimated disk
MANIFEST_EVERY = 5.0  # seconds: receipts are in the shards as well


class Preempted(KeyboardInterrupt):
    """The system asked the run to end (``signal``): it is to go on later, it has not failed."""

    def __init__(self, signal: int) -> None:
        self.signal = signal
        super().__init__(f"signal {signal}")


class Stopped(KeyboardInterrupt):
    """The run was stopped: ``finished`` of ``total`` shards lie in ``folder``, and resuming goes on from there.

    ``signal`` is that of a system that asked for it, None where the user did.
    """

    def __init__(self, finished: int, total: int, folder: Path, signal: int | None = None) -> None:
        self.finished, self.total, self.folder, self.signal = finished, total, folder, signal
        super().__init__(f"stopped after {finished} of {total} shards; go on with resume=True in {folder}")


def execute(
    plan: Plan, out: str | Path, resume: bool = False, threads: int | None = None, progress: Progress | None = None, *,
    executor: Executor | None = None, budget: Budget | None = None,
) -> Results:  # fmt: skip
    """Run a plan into a folder and return its results.

    A folder with files in it is taken only with ``resume`` and only if it holds a run of exactly this study, seed,
    library and code; finished shards that are whole are kept, others are computed again. ``progress`` is called
    with people done and in all. ``executor`` computes the shards (the threads of this machine); a ``budget`` ends the run at
    the end of a shard, with results from the people done so far. A person whose simulation fails stops nothing: see
    ``Results.failures``. Raises InputError for a folder that cannot be taken, Stopped when interrupted, OSError when the disk
    is full; finished shards stay in each case.
    """
    out = Path(out)
    threads = plan.threads if threads is None else threads
    take(out)
    with locked(out):  # before anything in it is touched: a run that is refused leaves the other's files alone
        facts = _begin(plan, out, resume)
        with Log(out, plan) as log:
            run = Run(plan, out, facts, executor or Local(threads), threads, progress, log, budget or Budget())
            with run.kept():
                return run.carry_out()


@dataclass
class Run:
    """A run at work in its folder."""

    plan: Plan
    out: Path
    facts: dict[str, Any]
    executor: Executor
    threads: int
    progress: Progress | None
    log: Log
    budget: Budget

    def __post_init__(self) -> None:
        self.job = Job(self.plan, Folder(self.out.absolute()), digest_of(manifest.identity(self.plan)))
        self.receipts: dict[str, Receipt] = {}
        self.warnings: list[str] = []
        self._written = time.monotonic()

    def carry_out(self) -> Results:
        """Compute what is missing and put the tables together; read them where all is there."""
        plan, out, facts = self.plan, self.out, self.facts
        if facts["state"] == "complete":
            if finish.files_match(out, facts):
                self.tell(plan.people)
                return finish.read_back(plan, out, facts)
            damaged = ", ".join(finish.altered(out, facts))
            self.warnings.append(f"{damaged} did not match the checksums of the run and was made again")
        (out / SHARDS).mkdir(exist_ok=True)
        self.simulate()
        if len(self.receipts) < len(plan.shards):
            self.keep_receipts()
            return finish.so_far(plan, out, facts, self.job, self.receipts, self.warnings)
        result = finish.finish(plan, out, facts, self.job, self.receipts, self.warnings)
        self.log.write("complete", people=plan.people, warnings=list(result.warnings))
        return result

    def simulate(self) -> None:
        """Compute every shard that is not there, whole, already."""
        todo = self.missing()
        self.room()
        self.facts["state"] = "running"
        computed, began = 0, time.perf_counter()
        self.log.write("start", shards=len(self.plan.shards), missing=len(todo), threads=self.threads,
                       executor=type(self.executor).__name__)  # fmt: skip

        def done(shard: Shard, receipt: Receipt) -> None:
            nonlocal computed
            seconds = receipt.pop("seconds", None)
            self.receipts[shard.name] = receipt
            computed += shard.last - shard.first
            self.log.write("shard", shard=shard.name, arm=shard.arm, first=shard.first, last=shard.last,
                           seconds=seconds, failed=receipt["failed"], sha256=receipt["sha256"])  # fmt: skip
            if time.monotonic() - self._written > MANIFEST_EVERY:
                self.keep_receipts()
            self.tell(0)

        self.tell(0)
        if todo:
            self.executor.carry_out(self.job, todo, self.budget.halt(), done, self.tell)
            speed.remember(
                self.plan.work * computed / self.plan.people, time.perf_counter() - began, self.threads, computed
            )
        self.tell(0)

    def turn(self) -> list[Shard]:
        """The shards to be there at the end, in the order of work."""
        return self.plan.in_turn()

    def missing(self) -> list[Shard]:
        """The shards to compute, in turn; receipts of the others are kept."""
        todo = []
        known = self.facts["shards"] if self.facts["state"] != "complete" else {}
        for shard in self.turn():
            receipt = self.job.there(shard, known.get(shard.name))
            if isinstance(receipt, dict):
                self.receipts[shard.name] = receipt
                continue
            if isinstance(receipt, str):
                who = f"arm {shard.arm}, people {shard.first} to {shard.last - 1}"
                self.warnings.append(f"shard {shard.name} ({who}) was computed again: {receipt}")
                self.log.write("damaged", shard=shard.name, why=receipt)
            todo.append(shard)
        return todo

    def room(self) -> None:
        """Raise OSError where what is left to write can hardly fit on the disk: better now than after hours."""
        finished = sum(receipt["last"] - receipt["first"] for receipt in self.receipts.values())
        left, free = 1 - finished / self.plan.people, shutil.disk_usage(self.out).free / 1e6
        if SURELY_NEEDED * (self.plan.megabytes + self.plan.passing * left) > free:
            more = f" and {self.plan.passing * left:.0f} MB more until its end" if self.plan.passing * left >= 1 else ""
            text = f"this run needs about {self.plan.megabytes:.0f} MB{more}, and {free:.0f} MB are free"
            raise OSError(errno.ENOSPC, text, str(self.out))

    def tell(self, in_hand: int) -> None:
        """Say how far the run is, with people of shards in hand."""
        if self.progress:
            people = sum(receipt["last"] - receipt["first"] for receipt in self.receipts.values())
            self.progress(min(people + in_hand, self.plan.people), self.plan.people)

    def keep_receipts(self) -> None:
        """Write the manifest with the receipts so far."""
        self.facts["shards"] = finish.in_order(self.receipts)
        manifest.write(self.out, self.facts)
        self._written = time.monotonic()

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Stopped, out of disk, folder gone: say so once, and how to go on; finished shards stay."""
        total = len(self.plan.shards)
        try:
            yield
        except KeyboardInterrupt as stopped:
            signal = getattr(stopped, "signal", None)
            self.log.write("stopped", finished=len(self.receipts), signal=signal)
            with contextlib.suppress(OSError):
                self.keep_receipts()
            raise Stopped(len(self.receipts), total, self.out, signal) from None
        except OSError as trouble:
            kept = f"{len(self.receipts)} of {total} shards are finished and kept"
            self.log.write("failed", errno=trouble.errno, why=str(trouble))
            if not (self.out / manifest.NAME).exists():
                why = "the folder of the run, or its manifest, was removed while it ran; start it again"
            else:
                said = trouble.strerror or os.strerror(trouble.errno or 0)
                why = f"{said}{_AIDS.get(trouble.errno or 0, '')}; {kept}"
            raise OSError(trouble.errno or errno.EIO, why, str(self.out)) from None


def folder_problem(out: Path, why: str, cure: str) -> Problem:
    """A mistake about the folder of a run."""
    return Problem(str(out), "{folder}", "", why, cure, ("folder", "resume"))


def take(out: Path) -> None:
    """Make the folder of a run, or see that it is empty or holds a run. Raises InputError."""
    if out.exists() and not out.is_dir():
        raise InputError(folder_problem(out, "This is a file, not a folder.", "Choose another {folder}."))
    _make(out)
    held = sorted(path.name for path in out.iterdir() if path.name != LOCK)
    if held and manifest.NAME not in held and SHARDS not in held and manifest.COPY not in held:
        why = f"The folder is not empty and holds no run ({', '.join(held[:3])})."
        raise InputError(folder_problem(out, why, "Choose an empty or new {folder}."))
    refuse_links(out)


def _begin(plan: Plan, out: Path, resume: bool) -> dict[str, Any]:
    """The manifest to work with: a new one, or that of the run to go on with. Raises InputError."""
    if not (out / manifest.NAME).exists():
        _lost(plan, out, resume)
        (out / SHARDS).mkdir(exist_ok=True)
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
        raise InputError(folder_problem(out, why, "Add {resume} to go on with it, or choose another {folder}."))
    for rest in (*out.glob(".*.part"), *(out / SHARDS).glob(".*.part")):  # of a run that was killed while writing
        store.remove(rest)
    return facts


def _lost(plan: Plan, out: Path, resume: bool) -> None:
    """Raise InputError where the manifest of a run is gone and what is left of it is not this plan's, or not to be used."""
    there = Folder(out).shards()
    if not there and not manifest.copy_of(out).exists():
        return
    if not resume:
        why = "The folder holds parts of a run, but its manifest is gone."
        cure = "Add {resume} to keep what is this study's own, or mend it with `respine verify --repair`."
        raise InputError(folder_problem(out, why, cure))
    job = Job(plan, Folder(out), digest_of(manifest.identity(plan)))
    by_name = {shard.name: shard for shard in plan.shards}
    for name in there:
        state = job.there(by_name[name]) if name in by_name else "it belongs to another run"
        if state == "it belongs to another run":
            why = f"The manifest is gone, and shard {name} belongs to another run."
            raise InputError(folder_problem(out, why, "Run into another {folder}."))


def _make(out: Path) -> None:
    """Make the folder of a run. Raises InputError where its place cannot hold one, OSError for other troubles."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except (NotADirectoryError, FileNotFoundError, FileExistsError):
        above = next((folder for folder in out.parents if folder.exists()), out)
        why = f'"{above}" is a file, not a folder.' if above.is_file() else f'No folder can be made in "{above}".'
        raise InputError(folder_problem(out, why, "Choose another {folder}.")) from None


@contextlib.contextmanager
def locked(out: Path, shared: bool = False) -> Iterator[None]:
    """One run at a time in a folder (or several workers of one, ``shared``); the lock goes with the process, even if it is
    killed.
    """
    try:
        import fcntl
    except ImportError:  # not on Windows
        yield
        return
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(out / LOCK, flags, 0o644), "r+b", buffering=0) as handle:
        try:
            fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError:
            why = "Another process is running into this folder."
            raise InputError(folder_problem(out, why, "Wait for it, or choose another {folder}.")) from None
        yield


def free_folder(plan: Plan, parent: str | Path = "runs") -> Path:
    """A folder for this run that does not exist yet: ``runs/murrough-2013-3f9a``, or with ``-2``, ``-3`` ... after
    it.
    """
    name = manifest.short_name(plan)
    candidates = (Path(parent) / (name if k == 1 else f"{name}-{k}") for k in range(1, 1_000_000))
    return next(path for path in candidates if not path.exists())

"""The work of a run as shards: what a worker does with one, and the executor of this machine that gives them out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from threading import Event
from typing import Any, Protocol

from respine.files import store
from respine.run import shard_file, shards
from respine.run.plan import Plan, Shard
from respine.run.shard_file import Loaded, unpack
from respine.run.target import Target, load

Progress = Callable[[int, int], None]
Receipt = dict[str, Any]
_LOOK = 0.2  # seconds between two looks at the workers


@dataclass(frozen=True)
class Job:
    """What a worker needs to know: the plan, where shards go, and the digest of what decides the results (``run``)."""

    plan: Plan
    target: Target
    run: str

    def do(self, shard: Shard, threads: int = 1, progress: Progress | None = None) -> Receipt:
        """Compute a shard and write it. Returns its receipt, with the seconds it took."""
        began = time.perf_counter()
        members, facts = shards.compute(self.plan, shard, threads, progress)
        receipt = {"run": self.run, **facts}
        data = shard_file.pack(members, receipt)
        self.target.write(shard.name, data)
        return receipt | {"sha256": shard_file.checksum(data), "seconds": time.perf_counter() - began}

    def there(self, shard: Shard, receipt: Mapping[str, Any] | None = None) -> Receipt | str | None:
        """The receipt of a shard that is there and whole; why it cannot be used; None where there is none.

        ``receipt``: what the manifest says of it, if it does.
        """
        data = self.target.read(shard.name)
        if data is None:
            return None
        loaded = unpack(data)
        if loaded is None:
            return "its checksum differs: it was cut short or altered"
        wrong = self.wrong(shard, loaded)
        if wrong is None and receipt is not None and receipt.get("sha256") != loaded.sha256:
            wrong = "it did not match its receipt"
        return wrong or loaded.receipt | {"sha256": loaded.sha256}

    def wrong(self, shard: Shard, loaded: Loaded) -> str | None:
        """Why a whole shard is not this run's."""
        said = loaded.receipt
        if said.get("run") != self.run:
            return "it belongs to another run"
        if (said.get("arm"), said.get("first"), said.get("last")) != (shard.arm, shard.first, shard.last):
            return "it holds other people"
        return None

    def load(self, shard: Shard) -> Loaded:
        """The shard, read for the last time. Raises OSError where it is not whole any more."""
        loaded = load(self.target, shard.name)
        if loaded is None or self.wrong(shard, loaded):
            raise OSError(5, f"shard {shard.name} was removed or altered while the run was put together; run it again")
        return loaded


def digest_of(identity: Mapping[str, Any]) -> str:
    """The digest by which shards know their run."""
    import json

    return store.fingerprint(json.dumps(identity, sort_keys=True))


class Dropped(Exception):
    """A shard in hand was given up, since the run is to end."""


@dataclass
class Halt:
    """When to end before all is done: at once (``now``), or with the shard in hand once a budget is spent."""

    now: Event = field(default_factory=Event)
    until: float | None = None  # of the monotonic clock
    people: int | None = None

    def spent(self, done: int, last: float = 0.0) -> bool:
        """Whether to begin no further shard; ``done`` people, ``last`` seconds that a shard takes."""
        late = self.until is not None and time.monotonic() + last > self.until
        return self.now.is_set() or late or (self.people is not None and done >= self.people)


class Executor(Protocol):
    """Whoever computes shards: calls ``done`` for each as it is written, ``progress`` with people of those in hand."""

    def carry_out(
        self, job: Job, todo: Sequence[Shard], halt: Halt, done: Callable[[Shard, Receipt], None], progress: Callable[[int], None]
    ) -> None:  # fmt: skip
        """Compute the shards, in any order."""
        ...


@dataclass(frozen=True)
class Local:
    """The cores of this machine: a thread a shard, and more threads a shard where there are fewer shards than cores."""

    threads: int

    def carry_out(
        self, job: Job, todo: Sequence[Shard], halt: Halt, done: Callable[[Shard, Receipt], None], progress: Callable[[int], None]
    ) -> None:  # fmt: skip
        """Compute the shards; with one thread in the caller's own."""
        workers = max(1, min(self.threads, len(todo)))
        each = max(1, self.threads // workers)
        if workers == 1:
            self._one_by_one(job, todo, halt, done, progress)
            return
        held: dict[str, int] = {}

        def work(shard: Shard) -> Receipt:
            def seen(count: int, _: int) -> None:
                held[shard.name] = count
                if halt.now.is_set():
                    raise Dropped

            if halt.now.is_set():
                raise Dropped
            return job.do(shard, each, seen)

        waiting = list(reversed(todo))
        running: dict[Future[Receipt], Shard] = {}
        people, last = 0, 0.0
        with ThreadPoolExecutor(workers, thread_name_prefix="shard") as pool:
            try:
                while waiting or running:
                    while waiting and len(running) < workers and not halt.spent(people, last):
                        shard = waiting.pop()
                        running[pool.submit(work, shard)] = shard
                        people += shard.last - shard.first
                    if not running:
                        return
                    ended, _ = wait(running, timeout=_LOOK, return_when=FIRST_COMPLETED)
                    for future in sorted(ended, key=lambda future: running[future].number):
                        shard = running.pop(future)
                        held.pop(shard.name, None)
                        receipt = future.result()
                        last = receipt["seconds"]
                        done(shard, receipt)
                    progress(sum(list(held.values())))
            except BaseException:
                halt.now.set()
                raise

    def _one_by_one(
        self, job: Job, todo: Sequence[Shard], halt: Halt, done: Callable[[Shard, Receipt], None], progress: Callable[[int], None]
    ) -> None:  # fmt: skip
        people, last = 0, 0.0
        for shard in todo:
            if halt.spent(people, last):
                return
            receipt = job.do(shard, self.threads, lambda count, _: progress(count))
            people, last = people + shard.last - shard.first, receipt["seconds"]
            done(shard, receipt)

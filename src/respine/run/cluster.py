"""Shards computed by the workers of a Dask cluster: one that is there (an address), or one of this machine (``local:4``).

A worker receives the job once (a pickled `Protocol` with its plan), computes a shard, writes it to the target and gives back
its receipt. Lost workers, a scheduler that is started again and slow nodes cost the shards that were not written: what is
there is decided by the target alone.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from respine.errors import InputError, argument
from respine.run import manifest
from respine.run.plan import Shard
from respine.run.work import Halt, Job, Receipt

UNREACHABLE_AFTER = 15.0  # seconds
MOST_TRIES = 5  # connections to a scheduler that went away
WAIT_BETWEEN = 2.0  # seconds between them
A_WORKER = 2  # shards that a thread of a worker has to do and to wait for
_SURE = ("respine", "numpy", "llvmlite", "numba")  # packages whose versions decide bits


def check_installed() -> None:
    """Raise InputError where Dask is not installed."""
    try:
        import distributed  # noqa: F401
    except ImportError:
        why = "Dask distributed is not installed."
        raise InputError(argument("cluster", "", why, "Install it: pip install 'respine[cluster]'.")) from None


@dataclass(frozen=True)
class Cluster:
    """An executor on a Dask cluster at ``address``: ``tcp://host:8786``, or ``local:N`` for N processes of this machine."""

    address: str

    def __post_init__(self) -> None:
        """Raises InputError for an address that is none."""
        if not re.fullmatch(r"local(:[1-9][0-9]{0,3})?|(tcp|tls|ws|wss|ucx)://[^\s/]+", self.address):
            why = "This is no address of a cluster."
            raise InputError(
                argument("cluster", self.address, why, "Write tcp://host:8786, or local:4 for 4 processes here.")
            )
        check_installed()

    def carry_out(
        self, job: Job, todo: Sequence[Shard], halt: Halt, done: Callable[[Shard, Receipt], None], progress: Callable[[int], None]
    ) -> None:  # fmt: skip
        """Compute the shards, in the order in which they come back. Raises InputError, OSError."""
        left = {shard.name: shard for shard in todo}
        began, people, last = 0, 0, 0.0
        for attempt in range(1, MOST_TRIES + 1):
            before = len(left)
            try:
                with self._client(first=attempt == 1) as client:
                    _check_versions(client)
                    for shard, receipt in _computed(client, job, list(left.values()), halt, people, last):
                        del left[shard.name]
                        last, people = receipt["seconds"], people + shard.last - shard.first
                        done(shard, receipt)
                        progress(0)
                return
            except _Lost as lost:  # the scheduler went away: what was written in the meantime is written
                began = 0 if len(left) < before else began + 1
                if attempt == MOST_TRIES or began == MOST_TRIES:
                    raise OSError(104, f"the scheduler of the cluster at {self.address} went away: {lost}") from None
                time.sleep(WAIT_BETWEEN)
                for shard in list(left.values()):
                    there = job.there(shard)
                    if isinstance(there, dict):
                        del left[shard.name]
                        done(shard, there)

    @contextmanager
    def _client(self, first: bool) -> Iterator[Any]:
        """A client of the cluster. Raises InputError where it cannot be reached, _Lost where it could before."""
        import distributed

        if self.address.startswith("local"):
            _, _, count = self.address.partition(":")
            from respine.run.machine import cores

            with (
                distributed.LocalCluster(
                    n_workers=int(count or cores()), threads_per_worker=1, processes=True, dashboard_address=None,
                    silence_logs=50,
                ) as cluster,
                distributed.Client(cluster) as client,
            ):  # fmt: skip
                yield client
            return
        try:
            client = distributed.Client(self.address, timeout=UNREACHABLE_AFTER, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as trouble:
            if not first:
                raise _Lost(str(trouble)) from None
            why = f"Nothing answers there within {UNREACHABLE_AFTER:.0f} s ({type(trouble).__name__})."
            cure = (
                "Start a scheduler (dask scheduler) and workers (dask worker ADDRESS) there, open its port, or take "
                "{cluster} local:4."
            )
            raise InputError(argument("cluster", self.address, why, cure)) from None
        try:
            yield client
        finally:
            client.close(timeout=5)


class _Lost(Exception):
    """The scheduler does not answer any more."""


def _check_versions(client: Any) -> None:
    """Raise InputError where workers have other versions than this process, or none of respine at all."""
    here = _versions()
    versions: Mapping[str, Any] = client.run(_versions, on_error="return")
    if not versions:
        _wait_for_workers(client)
        versions = client.run(_versions, on_error="return")
    for worker, there in versions.items():
        if not isinstance(there, dict):
            why = f"The worker {worker} cannot import respine: {there}."
            raise InputError(argument("cluster", worker, why, f"Install respine {here['respine']} there."))
        other = [name for name in here if there.get(name) != here[name]]
        if other:
            said = ", ".join(f"{name} {_short(there.get(name))} (here {_short(here[name])})" for name in other)
            why = f"The worker {worker} has {said}: its results could differ."
            raise InputError(argument("cluster", worker, why, "Install the same versions there and here."))


def _short(version: object) -> str:
    text = str(version)
    return text if len(text) < 20 else text[:12]


def _wait_for_workers(client: Any) -> None:

    try:
        client.wait_for_workers(1, timeout=UNREACHABLE_AFTER)
    except TimeoutError:
        why = f"The cluster has no worker, and none came within {UNREACHABLE_AFTER:.0f} s."
        address = getattr(client.scheduler, "address", "")
        raise InputError(argument("cluster", address, why, f"Start workers: dask worker {address}.")) from None


def _versions() -> dict[str, str]:
    """Versions that decide bits, and the digest of respine's own code."""
    from respine.files import store
    from respine.protocol.protocol import CODE

    known = manifest.versions()
    return {name: known[name] for name in _SURE} | {"respine's code": store.code_fingerprint(*CODE, "run")}


_JOBS: dict[str, Job] = {}
"""Jobs of this worker by the digest of their run: the protocol is read once, its machine code is kept."""


def _do(key: str, packed: bytes, shard: Shard) -> Receipt:
    """What a worker does with a shard."""
    import pickle

    if key not in _JOBS:
        _JOBS.clear()
        _JOBS[key] = pickle.loads(packed)
    return _JOBS[key].do(shard)


def _computed(
    client: Any, job: Job, todo: list[Shard], halt: Halt, people: int, last: float
) -> Iterator[tuple[Shard, Receipt]]:
    """Shards with their receipts as they are done. Only so many are handed out that no worker waits. Raises _Lost."""
    import pickle

    from distributed import CancelledError, as_completed
    from distributed.scheduler import KilledWorker

    packed = pickle.dumps(job)
    try:
        data = client.scatter(packed, broadcast=True, hash=False)
    except (OSError, TimeoutError) as trouble:
        raise _Lost(str(trouble)) from None
    waiting = list(reversed(todo))
    held: dict[Any, Shard] = {}
    finished = as_completed([], loop=client.loop)

    def hand_out() -> None:
        nonlocal people
        threads = sum((client.nthreads() or {}).values()) or 1
        while waiting and len(held) < A_WORKER * threads and not halt.spent(people, last):
            shard = waiting.pop()
            future = client.submit(
                _do, job.run, data, shard, pure=False, retries=10, key=f"shard-{shard.name}-{time.time_ns()}"
            )
            held[future] = shard
            people += shard.last - shard.first
            finished.add(future)

    try:
        hand_out()
        while held:
            future = next(finished)
            shard = held.pop(future)
            receipt = _result(future, shard, (KilledWorker,), CancelledError)
            last = receipt["seconds"]
            future.release()
            hand_out()
            yield shard, receipt
    except (OSError, TimeoutError, StopIteration) as trouble:
        if isinstance(trouble, OSError) and trouble.errno is not None and trouble.filename is not None:
            raise  # of the target, not of the cluster
        raise _Lost(str(trouble) or type(trouble).__name__) from None


def _result(
    future: Any, shard: Shard, killed: tuple[type[BaseException], ...], cancelled: type[BaseException]
) -> Receipt:
    try:
        receipt: Receipt = future.result()
    except killed as trouble:
        why = f"shard {shard.name} took several workers down with it: too little memory? ({trouble})"
        raise RuntimeError(why) from None
    except cancelled as trouble:
        raise _Lost(str(trouble)) from None
    return receipt

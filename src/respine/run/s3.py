"""A run kept in an S3-compatible store: shards are objects that are written once, by a put that is refused where one is there.

Shards go straight to the store, from whichever worker computes them; at the end the tables are put together in a folder of
this machine and uploaded. The store must refuse a second conditional put (``If-None-Match: *``): it is asked to before
anything is simulated, and left alone where it does not.
"""

from __future__ import annotations

import contextlib
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from respine.errors import InputError, argument
from respine.files import store
from respine.run import finish, manifest
from respine.run.execute import Run, take
from respine.run.log import Log
from respine.run.plan import Plan
from respine.run.results import Results
from respine.run.shard_file import ENDING, checksum
from respine.run.target import SHARDS
from respine.run.work import Executor, Job, Local, digest_of

Progress = Callable[[int, int], None]


def is_address(text: str | Path) -> bool:
    """Whether a place is an address of a store, not a folder."""
    return bool(re.match(r"^[a-z][a-z0-9+]*:/", str(text))) and not Path(text).exists()


@dataclass
class Bucket:
    """The objects below ``s3://bucket/prefix``; keys, region and endpoint as obstore reads them (``AWS_ENDPOINT_URL`` ...)."""

    address: str

    def __post_init__(self) -> None:
        """Raises InputError for an address that is none, and where obstore is not installed."""
        match = re.fullmatch(r"s3:/{1,2}([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*))?", self.address)
        if not match:
            why = "This is no address of a store that respine can write to."
            raise InputError(argument("folder", self.address, why, "Write a folder, or s3://BUCKET/PREFIX."))
        self.bucket, self.prefix = match.group(1), (match.group(2) or "").strip("/")
        try:
            import obstore  # noqa: F401
        except ImportError:
            why = "obstore is not installed."
            raise InputError(
                argument("folder", self.address, why, "Install it: pip install 'respine[cluster]'.")
            ) from None
        self._store: Any = None

    @property
    def objects(self) -> Any:
        """The connection, made at first use in each process."""
        if self._store is None:
            import os

            from obstore.store import S3Store

            plain = (os.environ.get("AWS_ENDPOINT_URL") or os.environ.get("AWS_ENDPOINT") or "").startswith("http://")
            options: dict[str, Any] = {"client_options": {"allow_http": True}} if plain else {}
            self._store = S3Store(self.bucket, prefix=self.prefix or None, **options)
        return self._store

    def __getstate__(self) -> dict[str, Any]:
        return {"address": self.address, "bucket": self.bucket, "prefix": self.prefix, "_store": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def get(self, name: str) -> bytes | None:
        """An object, None where there is none. Raises OSError."""
        import obstore

        try:
            return bytes(obstore.get(self.objects, name).bytes())
        except FileNotFoundError:
            return None
        except Exception as trouble:
            raise self._os_error(trouble, name) from None

    def put(self, name: str, data: bytes, once: bool = False) -> bool:
        """Write an object whole; with ``once`` only where there is none. Returns whether it was written. Raises OSError."""
        import obstore
        from obstore.exceptions import AlreadyExistsError

        try:
            # a part upload has no condition in this form: what is written once is sent in one piece
            obstore.put(
                self.objects, name, data, mode="create" if once else "overwrite", use_multipart=False if once else None
            )
        except AlreadyExistsError:
            return False
        except Exception as trouble:
            raise self._os_error(trouble, name) from None
        return True

    def _os_error(self, trouble: Exception, name: str) -> OSError:
        said = " ".join(str(trouble).split())[:200]
        return OSError(5, f"the store refused {name}: {said}", self.address)

    # ---- a target of shards -------------------------------------------------------------------------------------------
    def shards(self) -> list[str]:
        """Names of the shards that are there."""
        return sorted(name.removesuffix(ENDING) for name in self._names(f"{SHARDS}/") if name.endswith(ENDING))

    def _names(self, below: str) -> list[str]:
        import obstore

        try:
            paths = [str(entry["path"]) for part in obstore.list(self.objects, prefix=below) for entry in part]
        except Exception as trouble:
            raise self._os_error(trouble, below) from None
        return [path.rpartition("/")[2] for path in paths]

    def read(self, name: str) -> bytes | None:
        """The bytes of a shard, None where there is none."""
        return self.get(f"{SHARDS}/{name}{ENDING}")

    def write(self, name: str, data: bytes) -> None:
        """Write a shard once: one that is there and whole stays, one that is damaged is replaced."""
        path = f"{SHARDS}/{name}{ENDING}"
        if self.put(path, data, once=True):
            return
        there = self.get(path)
        if there is None or checksum(there) is None:
            self.put(path, data)

    def remove(self, name: str) -> None:
        """Remove a shard, if it is there."""
        import obstore

        try:
            obstore.delete(self.objects, f"{SHARDS}/{name}{ENDING}")
        except FileNotFoundError:
            return
        except Exception as trouble:
            raise self._os_error(trouble, name) from None

    def check_guarantee(self) -> None:
        """See that the store can be reached and refuses a second conditional put. Raises InputError."""
        import obstore

        name = f".respine-probe-{uuid.uuid4().hex}"
        try:
            first, second = self.put(name, b"1", once=True), self.put(name, b"2", once=True)
            kept = self.get(name)
        except OSError as trouble:
            cure = "Check the bucket, the keys (AWS_ACCESS_KEY_ID ...) and AWS_ENDPOINT_URL."
            raise InputError(argument("folder", self.address, f"{trouble.strerror}.", cure)) from None
        finally:
            with contextlib.suppress(Exception):  # a probe that stays does no harm
                obstore.delete(self.objects, name)
        if not first or second or kept != b"1":
            why = 'The store overwrites in spite of "If-None-Match: *": that shards are written once cannot be held.'
            raise InputError(
                argument("folder", self.address, why, "Take a store with conditional writes, or a folder.")
            )


def execute_in_store(
    plan: Plan, address: str, work: Path, resume: bool = False, threads: int | None = None, progress: Progress | None = None, *,
    executor: Executor | None = None,
) -> Results:  # fmt: skip
    """Run a plan into a store; its tables are put together in ``work``, a folder of this machine, and uploaded.

    Raises what ``execute`` raises, InputError for a store that cannot be used.
    """
    bucket = Bucket(address)
    bucket.check_guarantee()
    take(work)
    held = bucket.get(manifest.NAME)
    if held is None:
        facts = manifest.fresh(plan)
        bucket.put(manifest.NAME, store.json_bytes(facts), once=True)
        held = bucket.get(manifest.NAME) or b""
    elif not resume:
        why = "The store holds a run there already."
        raise InputError(argument("folder", address, why, "Add {resume} to go on with it, or choose another prefix."))
    store.write_bytes(work / manifest.NAME, held)
    facts = manifest.read(work)
    manifest.check_same(work, facts, plan)
    threads = plan.threads if threads is None else threads
    if facts["state"] == "complete" and _fetch(bucket, work, facts):
        return finish.read_back(plan, work, facts)
    with Log(work, plan) as log:
        run = _InStore(plan, work, facts, executor or Local(threads), threads, progress, log, _no_budget())
        run.bucket = bucket
        run.job = Job(plan, bucket, digest_of(manifest.identity(plan)))
        with run.kept():
            facts["state"] = "running"
            result = run.carry_out()
            for name in facts["files"]:
                bucket.put(name, (work / name).read_bytes())
            bucket.put(manifest.NAME, (work / manifest.NAME).read_bytes())  # the last: what it names is there
            for shard in plan.shards:
                bucket.remove(shard.name)
            return result


def _no_budget() -> Any:
    from respine.run.budget import Budget

    return Budget()


def _fetch(bucket: Bucket, work: Path, facts: dict[str, Any]) -> bool:
    """Fetch the tables of a finished run; whether all are as their checksums say."""
    for name, digest in facts["files"].items():
        data = bucket.get(name)
        if data is None or store.sha256(data) != digest:
            return False
        store.write_bytes(work / name, data)
    return True


class _InStore(Run):
    """A run whose shards and manifest lie in a store."""

    bucket: Bucket

    def keep_receipts(self) -> None:
        """Receipts are in the shards; the manifest of the store changes once, at the end."""


__all__ = ["Bucket", "execute_in_store", "is_address"]

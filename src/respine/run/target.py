"""Where a run is kept: shards that are written once, a manifest, finished tables. Here a folder of this machine.

A target gives one guarantee: a shard is there whole or not at all, and once it is there nobody writes another one in its
place unless it is found damaged.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from respine.files import store
from respine.run.shard_file import ENDING, Loaded, unpack

SHARDS = "shards"


class Target(Protocol):
    """What a run needs of the place it is kept at. Can be pickled to workers."""

    def shards(self) -> list[str]:
        """Names of the shards that are there."""
        ...

    def read(self, name: str) -> bytes | None:
        """The bytes of a shard, None where there is none."""
        ...

    def write(self, name: str, data: bytes) -> None:
        """Write a shard whole; one that is there already is replaced in one step. Raises OSError."""
        ...

    def remove(self, name: str) -> None:
        """Remove a shard, if it is there."""
        ...


class Folder:
    """Shards as files ``shards/00012.shard`` of a run folder: written under another name, forced to the disk, renamed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _path(self, name: str) -> Path:
        return self.folder / SHARDS / f"{name}{ENDING}"

    def shards(self) -> list[str]:
        """Names of the shards that are there."""
        place = self.folder / SHARDS
        return sorted(path.stem for path in place.glob(f"[0-9]*{ENDING}")) if place.is_dir() else []

    def read(self, name: str) -> bytes | None:
        """The bytes of a shard, None where there is none or it cannot be read."""
        try:
            flags = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
            with os.fdopen(os.open(self._path(name), os.O_RDONLY | flags), "rb") as file:
                return file.read()
        except OSError:
            return None

    def write(self, name: str, data: bytes) -> None:
        """Write a shard whole: two workers that write the same one write the same bytes, each beside it under its own name."""
        store.write_by_many(self._path(name), data)

    def remove(self, name: str) -> None:
        """Remove a shard, if it is there."""
        store.remove(self._path(name))


def load(target: Target, name: str) -> Loaded | None:
    """A shard that is there and whole, else None."""
    data = target.read(name)
    return None if data is None else unpack(data)

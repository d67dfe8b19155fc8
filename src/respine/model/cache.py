"""Checked systems kept between runs, keyed by all they were made from; a cache that cannot be used is left out."""

from __future__ import annotations

import contextlib
import os
import pickle
import tempfile

from respine.files import store
from respine.files.store import cache_folder
from respine.library import Library
from respine.model.system import System


def key_of(name: str, library: Library) -> str:
    """A digest of the model's name, every library file that can bear on it, and the code that checks it."""
    parts = (name, library.fingerprint(without=("evidence",)), store.code_fingerprint("model"))
    return store.fingerprint(*parts)[:32]


def read(key: str) -> System | None:
    """The system under a key, or None where there is none that can be read."""
    with contextlib.suppress(Exception):  # a torn or foreign file is as good as none
        found = pickle.loads((cache_folder() / "models" / f"{key}.pickle").read_bytes())
        return found if isinstance(found, System) else None
    return None


def write(key: str, system: System) -> None:
    """Keep a system; two processes may do so at once. Without a writable folder nothing is kept."""
    with contextlib.suppress(OSError):
        place = cache_folder() / "models"
        place.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=place, suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as out:
                pickle.dump(system, out, protocol=5)
            os.replace(temporary, place / f"{key}.pickle")
        except OSError:
            os.unlink(temporary)
            raise

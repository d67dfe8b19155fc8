"""Checked systems kept between runs, keyed by all they were made from; a cache that cannot be used is left out."""

from __future__ import annotations

import contextlib

from respine.files import plain, store
from respine.library import Library
from respine.model.system import Event, Quantity, Species, System

CLASSES = (System, Quantity, Event, Species)


def key_of(name: str, library: Library) -> str:
    """A digest of the model's name, every library file that can bear on it, the code that checks it, the form it is kept in."""
    parts = (name, library.fingerprint(without=("evidence",)), store.code_fingerprint("model"), plain.FORMAT)
    return store.fingerprint(*parts)[:32]


def read(key: str) -> System | None:
    """The system under a key, or None where there is none that can be read."""
    data = store.read_kept(f"models/{key}.json")
    if data is None:
        return None
    with contextlib.suppress(ValueError):  # a torn or foreign file is as good as none
        held = plain.decode(data, CLASSES)
        return held if isinstance(held, System) else None
    return None


def write(key: str, system: System) -> None:
    """Keep a system; two processes may do so at once. Without a writable folder nothing is kept."""
    with contextlib.suppress(TypeError, RecursionError):  # a system of unusual parts or depth is built every time
        store.write_kept(f"models/{key}.json", plain.encode(system, CLASSES))

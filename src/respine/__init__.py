"""respine: from dose to dendrite to mood.

>>> import respine
>>> results = respine.run("murrough-2013", subjects=200)       # doctest: +SKIP
>>> results.comparison[["endpoint", "arm", "median", "published", "inside"]]   # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

# name -> (room, name there); rooms are imported when first used, so that `import respine` stays light
_FRONT_DOOR = {
    "load_study": ("study", "load"),
    "load_model": ("model", "load"),
    "load_population": ("population", "load"),
    "load_results": ("run", "load"),
    "load_sbml": ("model", "load_sbml"),
    "to_sbml": ("model", "to_sbml"),
    "build": ("engine", "build"),
    "Options": ("engine", "Options"),
    "Schedule": ("engine", "Schedule"),
    "plan": ("run", "plan"),
    "execute": ("run", "execute"),
    "Results": ("run", "Results"),
    "InputError": ("errors", "InputError"),
    "Problem": ("errors", "Problem"),
}
_ROOMS = ("library", "model", "engine", "population", "study", "trial", "run", "report", "errors")

__all__ = sorted([*_FRONT_DOOR, "run"])


def __getattr__(name: str) -> Any:
    if name in _FRONT_DOOR:
        room, there = _FRONT_DOOR[name]
        return getattr(import_module(f"respine.{room}"), there)
    if name in _ROOMS:  # `run` is a room that can be called
        return import_module(f"respine.{name}")
    if name == "__version__":
        from importlib.metadata import version

        return version("respine")
    raise AttributeError(f"module 'respine' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*globals(), *_FRONT_DOOR, *_ROOMS])

"""Scales of a library by name; their form stands in ``study/scales.py``."""

from __future__ import annotations

from respine.library import BUILT_IN, Library
from respine.study import scales as files
from respine.study.scales import Scale


def names(library: Library = BUILT_IN) -> list[str]:
    """Names of the scales in the library."""
    return library.names("scales")


def load(name: str, library: Library = BUILT_IN) -> Scale:
    """The scale of that name or alias. Raises InputError with every problem of its file."""
    return files.load(library, name)


def is_scale(name: str, library: Library = BUILT_IN) -> bool:
    """Whether the library has a scale of that name or alias."""
    return files.is_scale(library, name)

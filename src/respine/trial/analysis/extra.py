"""Packages of the extra ``stats``, and the line that installs them."""

from __future__ import annotations

import importlib
from typing import Any

from respine.errors import InputError, Problem


def load(name: str) -> Any:
    """A module of a package that only some analyses need. Raises InputError with the line that installs it."""
    try:
        return importlib.import_module(name)
    except ImportError:
        package = name.partition(".")[0]
        why = f"This needs the package {package}, which is not installed here."
        cure = "Install it with: pip install 'respine[stats]'"
        raise InputError(Problem("this machine", "package", package, why, cure)) from None

"""One small file for each solver, all with the same two steps: ``prepare(problem, people)`` gives ``solve(rtol)``.

``people`` is (subjects, parameters); ``solve`` returns (subjects, times, states). Whatever a peer can do once for all
subjects (loading, compiling) belongs in ``prepare``. Absolute tolerances are ``rtol * ABSOLUTE`` for everyone; solvers,
linear algebra and event handling are each peer's defaults.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType

import numpy as np

Solve = Callable[[float], np.ndarray]
NAMES = ("roadrunner", "amici", "copasi", "casadi", "numbalsoda", "scipy_lsoda", "scipy_bdf", "diffrax")
ABSOLUTE = 1e-3  # absolute over relative tolerance, for all
MOST_STEPS = 1_000_000


def peer(name: str) -> ModuleType:
    """The peer's module: TITLE, SUBJECTS (how many it is timed on) and ``prepare``. Raises ImportError."""
    return importlib.import_module(f"peers.{name}")

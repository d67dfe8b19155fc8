"""Solve a system in one call; ``build`` keeps the machine code for many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from respine.engine.dosing.records import Records
from respine.engine.dosing.schedule import Schedule
from respine.engine.solution import Options, Solution
from respine.engine.solver import build
from respine.model.system import System


def solve(
    system: System, outputs: Sequence[str], times: Sequence[float] | np.ndarray = (), doses: Schedule | Records | None = None,
    *, vary: Mapping[str, Any] | None = None, fixed: Mapping[str, float] | None = None, sensitivities: Sequence[str] = (),
    options: Options | None = None, **more: Any,
) -> Solution:  # fmt: skip
    """Trajectories of ``outputs`` at ``times`` (the system's time unit), ``(n_subjects, n_times, n_outputs)``.

    ``doses``: a ``Schedule``, or ``Records`` whose own times are the outputs' times. ``vary``: values ``(n_subjects,)`` of
    parameters by name; ``fixed``: new values for all; ``sensitivities``: parameters to differentiate by
    (``Solution.gradients``). ``more`` goes to ``Solver.solve`` (``start``, ``rtol``, ``atol``, ``threads``, ``initial`` ...).
    Raises ValueError for names the system does not have and arrays of unlike length.
    """
    vary = {name: np.atleast_1d(np.asarray(values, float)) for name, values in (vary or {}).items()}
    lengths = {name: len(values) for name, values in vary.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"vary holds arrays of unlike length: {lengths}; give one value a subject")
    solver = build(
        system,
        outputs=tuple(outputs),
        vary=tuple(vary),
        fixed=fixed,
        options=options,
        sensitivities=tuple(sensitivities),
    )
    return solver.solve(np.column_stack(list(vary.values())) if vary else None, doses, times, **more)

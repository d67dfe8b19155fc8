"""How to solve, and what comes of it: options in, trajectories out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from respine.engine.status import Failure

LANES = (1, 2, 4, 8, 16, 32)


@dataclass(frozen=True)
class Options:
    """How to solve; all are named in the result.

    ``precision`` float64 or float32; ``method`` rodas5p or rodas4; ``lanes`` forces a vector width; ``keep_all`` keeps
    states no output needs; ``largest_step`` in time units; ``max_steps`` per subject; ``nonnegative`` ends a subject
    whose state falls clearly below zero (amounts, levels and densities cannot); ``conserved`` follows the totals that the
    equations keep, tells their drift in ``settings["conserved"]`` and ends a subject in whom one changes.
    ``sensitivity_tolerance``: how many times the tolerances of the states their sensitivities (times the parameter) may err
    by in a step; less is more exact.
    ``linear``: "exact" solves equations that are linear with coefficients that rest between events (most PK) without steps, by
    the exponential of their coefficients, in float64 to rounding; "steps" solves them as all others.
    """

    precision: str = "float64"
    method: str = "rodas5p"
    lanes: int | None = None
    keep_all: bool = False
    largest_step: float = np.inf
    max_steps: int = 1_000_000
    nonnegative: bool = False
    conserved: bool = False
    sensitivity_tolerance: float = 10.0
    linear: str = "exact"

    def __post_init__(self) -> None:
        """Raises ValueError for what cannot be meant."""
        if self.lanes is not None and self.lanes not in LANES:
            raise ValueError(
                f"lanes is {self.lanes}; write one of {', '.join(map(str, LANES))}, or None for the widest"
            )
        if self.linear not in ("exact", "steps"):
            raise ValueError(f'linear is "{self.linear}"; write "exact" or "steps"')
        if not self.largest_step > 0:
            raise ValueError(f"largest_step is {self.largest_step:g}; it must be a positive time")
        if self.max_steps < 1:
            raise ValueError(f"max_steps is {self.max_steps}; at least 1 is needed")
        if not 0 < self.sensitivity_tolerance < np.inf:
            raise ValueError(f"sensitivity_tolerance is {self.sensitivity_tolerance:g}; it must be a positive number")


@dataclass(frozen=True)
class Solution:
    """Trajectories of all subjects at the asked times.

    ``values`` (n_subjects, n_times, n_outputs), NaN from a failure on; ``status`` (n_subjects,) codes of `Status`;
    For `Records`, ``values`` is (n_records, n_outputs). ``steps`` (n_subjects, 2) accepted and rejected; ``times`` (n_times,).
    ``gradients``: d(output)/d(parameter), the shape of ``values`` and one more axis (n_sensitivities,), None if not asked.
    """

    values: np.ndarray
    times: np.ndarray
    outputs: tuple[str, ...]
    status: np.ndarray
    steps: np.ndarray
    failures: list[Failure]
    seconds: float
    settings: Mapping[str, object] = field(default_factory=dict)
    gradients: np.ndarray | None = None
    sensitivities: tuple[str, ...] = ()

    def __repr__(self) -> str:
        n = int(np.asarray(self.status).size)
        bad = f", {len(self.failures)} failed" if self.failures else ""
        shown = ", ".join(self.outputs[:8])
        return f"Solution: {n} subjects, {len(self.times)} times, outputs {shown}{bad}; {self.seconds:.3g} s"

    def gradient(self, output: str, by: str) -> np.ndarray:
        """(n_subjects, n_times) d(output)/d(by); (n_records,) for records. Raises ValueError for what was not asked."""
        if self.gradients is None:
            raise ValueError("no sensitivities were asked for; write engine.build(..., sensitivities=[...])")
        return self.gradients[..., self.outputs.index(output), self.sensitivities.index(by)]

    def __getitem__(self, output: str) -> np.ndarray:
        """(n_subjects, n_times) of one output; (n_records,) for records."""
        return self.values[..., self.outputs.index(output)]

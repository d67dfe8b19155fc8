"""The solution of a request, put together from what became of its subjects."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from respine.engine.dosing.events_table import Readings
from respine.engine.request import Request, Setup
from respine.engine.run.conservation import ConservedTotals
from respine.engine.solution import Solution
from respine.engine.status import Failure
from respine.engine.tolerances import below_tolerance


class Solved(Protocol):
    """What became of the subjects: ``rows`` (n_rows, n_outputs with sensitivities)."""

    rows: np.ndarray
    readings: Readings
    subjects: np.ndarray

    @property
    def status(self) -> np.ndarray:
        """Status a subject, ``(n_subjects,)``."""

    @property
    def steps(self) -> np.ndarray:
        """Accepted and rejected steps, ``(n_subjects, 2)``."""

    def failures(self) -> list[Failure]:
        """Who was not solved to the end, and why."""


def assembled(
    setup: Setup, request: Request, batch: Solved, settings: dict[str, object], totals: ConservedTotals | None,
    absolute: np.ndarray,
) -> Solution:  # fmt: skip
    """The solution; conserved totals are judged. ``absolute``: tolerances of all states of the system."""
    failures = batch.failures()
    n_outputs = len(setup.outputs)
    if totals:
        fed = frozenset(request.schedule.infused)
        recorded = batch.rows[:, setup.n_asked : n_outputs]
        settings["conserved"], lost = totals.check(recorded, batch.readings, batch.status, request.rtol, fed)
        failures += _given_up(batch, lost)
    values = batch.rows[:, :n_outputs].reshape(*request.shape, n_outputs)[..., : setup.n_asked]
    if low := below_tolerance(setup.asked, values, dict(zip(setup.system.states, absolute, strict=True)), request.own):
        settings["below_atol"] = low
    gradients = None
    if setup.sensitivities:
        slopes = batch.rows[:, n_outputs:].reshape(*request.shape, n_outputs, len(setup.sensitivities))
        gradients = slopes[..., : setup.n_asked, :]
    return Solution(
        values, request.shown_times, setup.asked, batch.status.astype(np.int8), batch.steps, failures,
        0.0, settings, gradients, setup.sensitivities,
    )  # fmt: skip


def _given_up(solved: Solved, lost: list[Failure]) -> list[Failure]:
    """End subjects afterwards: their status, and no numbers from the time named on."""
    readings = solved.readings
    for failure in lost:
        s, row = failure.subject, readings.row[failure.subject]
        times = readings.times[readings.first[s] :][: readings.count[s]]
        solved.subjects["status"][s], solved.subjects["end_time"][s] = failure.status, failure.time
        solved.rows[row : row + len(times)][times >= failure.time] = np.nan
    return lost

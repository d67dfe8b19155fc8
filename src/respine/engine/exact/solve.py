"""From a request to the trajectories of a linear system: the arrays of a run, the threads, and what came of every subject."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import Any

import numpy as np

from respine.engine.codegen.code import culprit, near_zero
from respine.engine.dosing.events_table import CYCLE_START
from respine.engine.events.time_modes import TimeModes
from respine.engine.exact.arrays import MATRICES, SLOPES, VECTORS, Tables, Work
from respine.engine.exact.doubling import chain
from respine.engine.exact.linear_system import LinearSystem
from respine.engine.exact.model import model_of
from respine.engine.exact.steady import DECLINED
from respine.engine.exact.walk import walk
from respine.engine.input_checks import thread_count
from respine.engine.request import Progress, Request, Setup
from respine.engine.run.assemble import assembled
from respine.engine.run.conservation import ConservedTotals
from respine.engine.run.solve_lanes import told_of_jumps
from respine.engine.run.starts import start_states
from respine.engine.run.timetable import Timetable, rest_of_slow, timetable
from respine.engine.run.workspace import EVENT, SUBJECT
from respine.engine.solution import Solution
from respine.engine.status import Failure, Status
from respine.engine.tolerances import describe_atol

AT_ONCE = 1024  # subjects a thread takes
MOST_READINGS = 256  # of one subject, found together
MOST_KEPT = 4096  # failures of which the state is kept


def _plain(array: np.ndarray, kind: Any) -> np.ndarray:
    """One layout for compiled code: contiguous, and free to be written."""
    return np.require(array, kind, ("C", "W"))


class ExactBatch:
    """The subjects of one request. After ``run``: ``rows`` (n_rows, n_outputs with sensitivities), ``status``, ``failures``."""

    def __init__(
        self, setup: Setup, linear: LinearSystem, request: Request, starts: np.ndarray, plan: Timetable
    ) -> None:
        self.setup, self.linear, self.readings = setup, linear, plan.readings
        self.parameters = setup.extended(request.parameters)
        self.starts, self.plan = starts, plan
        n, columns = len(self.parameters), 1 + len(setup.sensitivities)
        self.subjects = np.zeros(n, SUBJECT)
        self.subjects["status"], self.subjects["end_time"] = Status.STOPPED, request.start
        self.subjects["first_event"], self.subjects["last_event"] = plan.events.first, plan.events.last
        self.subjects["first_time"], self.subjects["first_row"] = self.readings.first, self.readings.row
        self.subjects["n_outputs"] = self.readings.count
        self.rows = np.full((len(plan.readings.need), len(setup.outputs) * columns), np.nan)
        self._last: dict[int, np.ndarray] = {}
        absolute, scale = request.tolerances(linear.equations.states, ())
        numbers = {**setup.values, **near_zero(absolute, scale, 1e-14)}
        self.model, self.resting, self.moving = model_of(setup, linear, plan, request.start, numbers)
        self._shared = self._tables(plan)

    @property
    def status(self) -> np.ndarray:
        """(n_subjects,) a view: how each ended."""
        return self.subjects["status"]

    @property
    def steps(self) -> np.ndarray:
        """(n_subjects, 2) intervals between events, and none rejected."""
        return np.stack([self.subjects["accepted"], np.zeros_like(self.subjects["accepted"])], axis=1)

    @property
    def told(self) -> dict[str, int]:
        """How many subjects were solved in which way."""
        solved, hard = self.subjects["accepted"] > 0, self.subjects["rejected"] > 0
        return {"eigenvalues": int((solved & ~hard).sum()), "scaling and squaring": int((solved & hard).sum())}

    def run(self, good: np.ndarray, threads: int, progress: Progress | None = None) -> bool:
        """Solve the subjects that are ``good`` (n_subjects,); False where one asks for what only steps can do."""
        n = len(good)
        self.status[:] = np.where(good, Status.OK, Status.BAD_PARAMETER)
        pieces = [(k, min(k + AT_ONCE, n)) for k in range(0, n, AT_ONCE)]
        with ThreadPoolExecutor(threads) as pool:
            room = [self._work() for _ in range(min(threads, len(pieces)))]
            waiting, running, ended = iter(pieces), {}, 0
            for work in room:
                first, last = next(waiting)
                running[pool.submit(self._some, work, first, last)] = work
            while running:
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for worker in done:
                    ended += worker.result()
                    work = running.pop(worker)
                    following = next(waiting, None)
                    if following:
                        running[pool.submit(self._some, work, *following)] = work
                if progress:
                    progress(ended, n)
        return not (self.status == DECLINED).any()

    def _some(self, work: Work, first: int, last: int) -> int:
        """One thread's piece; the states of those that failed are kept."""
        last_state = np.zeros((last - first, len(self.linear.equations.states)))
        walk(self.model, self._shared._replace(last_state=last_state), work, first, last)
        for s in first + np.flatnonzero(self.status[first:last]):
            if len(self._last) < MOST_KEPT:
                self._last[int(s)] = last_state[s - first]
        return last - first

    def _tables(self, plan: Timetable) -> Tables:
        rest = rest_of_slow(self.setup, self.linear.equations)
        table, readings = plan.events, plan.readings
        events = np.zeros(len(table.time), EVENT)
        for name in ("time", "value", "kind", "target"):
            events[name] = getattr(table, name)
        events["slope"] = table.slopes if len(table.slopes) else -1
        return Tables(
            self.subjects, events, _plain(table.value_slopes, float), _plain(table.time_slopes, float),
            _plain(plan.slope_slots, np.int64), _plain(self.parameters, float), _plain(rest, float),
            _plain(self.starts, float), _plain(readings.times, float), _plain(readings.need, np.int32), self.rows,
            np.zeros((0, 0)),
        )  # fmt: skip

    def _work(self) -> Work:
        """A thread's own room."""
        n, p = len(self.linear.equations.states), len(self.setup.sensitivities)
        most = max(1, min(MOST_READINGS, int(self.readings.count.max(initial=1))))
        return Work(
            np.zeros((2, self.model.n_slow)), np.zeros((VECTORS, n)), np.zeros((SLOPES, p, n)), np.zeros((MATRICES, n, n)),
            np.zeros((p, n, n)), self.resting[:, None].copy(), np.repeat(self.moving[:, None], most, axis=1),
            np.zeros((n, most)), np.zeros((n, most)), np.zeros((p, n, most)), np.zeros(1), np.zeros(8, bool), chain(n, p),
        )  # fmt: skip

    def failures(self) -> list[Failure]:
        """Every subject that did not end well, with the state that most likely did it."""
        failures = []
        equations = self.linear.equations
        for s in map(int, np.flatnonzero(self.status)):
            state, value, time = "", np.nan, float(self.subjects["end_time"][s])
            if s in self._last:
                values = {**self.setup.values, **dict(zip(self.setup.free, self.parameters[s], strict=True))}
                state, value = culprit(self.setup.system, equations, values, self._last[s], -1.0, time)
            failures.append(Failure(s, Status(self.status[s]), time, state, float(value)))
        return failures


def solve_exactly(
    setup: Setup, linear: LinearSystem, request: Request, modes: TimeModes | None, totals: ConservedTotals | None
) -> Solution | None:
    """The trajectories of all subjects, None where steps must find them."""
    starts, finite = start_states(setup, linear.equations.states, request)
    plan = timetable(setup, linear.equations, request, starts, modes, steady=False)
    if modes and (plan.events.kind == CYCLE_START).any():
        return None
    batch = ExactBatch(setup, linear, request, starts, plan)
    workers = thread_count(request.threads, request.n_subjects)
    if not batch.run(finite & request.schedule.finite, workers, request.progress):
        return None
    absolute, scale = request.tolerances(setup.system.states, ())
    settings: dict[str, object] = {
        "method": "exact",
        "precision": "float64",
        "lanes": 1,
        "subjects_by": batch.told,
        "rtol": request.rtol,
        "atol": describe_atol(setup.system.states, absolute, scale),
        "equal_time_order": "events before outputs" if request.after else "outputs before events",
        "equations": len(linear.equations.states),
        "equations_before": len(setup.system.states),
    }
    if modes:
        settings["jumps"] = told_of_jumps(modes, plan.sure, ())
    if request.schedule.covariates:
        settings["covariates"] = request.schedule.covariates
    return assembled(setup, request, batch, settings, totals, absolute)

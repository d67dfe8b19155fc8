"""Many subjects at once: the arrays that threads share, the threads, and what came of every subject."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import Any

import numpy as np

from respine.engine.codegen.code import Code
from respine.engine.dosing.events_table import Readings
from respine.engine.equations.start_slopes import scales
from respine.engine.request import Progress, Request, Setup
from respine.engine.run import driver
from respine.engine.run.deduplicate import representatives
from respine.engine.run.kernel_calls import DONE, STOP
from respine.engine.run.timetable import Timetable, rest_of_slow
from respine.engine.run.workspace import AREAS, EVENT, KERNELS, LANE, RUN, SUBJECT, Tables, control_of, rows_of
from respine.engine.status import Failure, Status

MOST_KEPT = 4096  # failures of which the last good state is kept
AT_ONCE = 64  # subjects up to which one thread is the caller's own


class Batch:
    """The subjects of one request. After ``run``: ``rows`` (n_rows, n_outputs with sensitivities) and ``subjects``.

    ``only``: the subjects whose outputs are kept, all by default.
    """

    def __init__(
        self,
        setup: Setup,
        code: Code,
        request: Request,
        starts: np.ndarray,
        plan: Timetable,
        only: np.ndarray | None = None,
    ) -> None:
        self.setup, self.code, self.starts, self.plan, self.start = setup, code, starts, plan, request.start
        self.parameters = setup.extended(request.parameters)
        self.readings: Readings = plan.readings if only is None else plan.readings.only(only)
        n, events = len(self.parameters), plan.events
        self.subjects = np.zeros(n, SUBJECT)
        self.subjects["status"], self.subjects["end_time"] = Status.STOPPED, request.start
        self.subjects["first_event"], self.subjects["last_event"] = events.first, events.last
        self.subjects["first_time"], self.subjects["first_row"] = self.readings.first, self.readings.row
        self.subjects["n_outputs"] = self.readings.count
        self.events = np.zeros(len(events.time), EVENT)
        for name in ("time", "value", "kind", "target"):
            self.events[name] = getattr(events, name)
        self.events["slope"] = events.slopes if len(events.slopes) else -1
        columns = 1 + len(setup.sensitivities)  # of states and outputs: themselves, then their sensitivities
        self.n_all = len(code.states) * columns
        self.rows = np.full((len(self.readings.need), len(setup.outputs) * columns), np.nan)
        self.failed = np.full((min(n, MOST_KEPT), len(code.states) + 2), -1.0)
        self.counters = np.zeros(4, np.int64)
        absolute, scale = request.tolerances(code.states, code.rooted)
        numbers = code.uniform({**setup.values, **code.zeros(absolute, scale)})
        self.shared = np.concatenate([numbers, [request.rtol, *absolute]])
        self.scales = scales(setup.sensitivities, setup.values)
        self.tolerance = np.concatenate([[request.rtol, *absolute], np.outer(self.scales, absolute).ravel()])

    @property
    def status(self) -> np.ndarray:
        """(n_subjects,) a view: how each ended."""
        return self.subjects["status"]

    @property
    def steps(self) -> np.ndarray:
        """(n_subjects, 2) accepted and rejected."""
        return np.stack([self.subjects["accepted"], self.subjects["rejected"]], axis=1)

    def run(self, good: np.ndarray, threads: int, progress: Progress | None = None) -> None:
        """Solve the subjects that are ``good`` (n_subjects,); the others end as `Status.BAD_PARAMETER`."""
        self.status[~good] = Status.BAD_PARAMETER
        same = self._same_as()
        queue = np.flatnonzero(good & (same == np.arange(len(good)))).astype(np.int64)
        if not len(queue):  # the driver gives OK, and to none before its last output is read
            return
        if threads == 1 and progress is None and len(queue) <= AT_ONCE:
            self._work(queue)  # a thread of its own would cost more than the work
        else:
            self._run(queue, threads, progress)
        self._copy(np.flatnonzero(good & (same != np.arange(len(good)))), same)

    def _run(self, queue: np.ndarray, threads: int, progress: Progress | None) -> None:
        """The work on threads, which can be told how far they are and be stopped."""
        with ThreadPoolExecutor(threads) as pool:
            try:
                running = {pool.submit(self._work, queue) for _ in range(threads)}
                while running:
                    done, running = wait(running, timeout=0.1, return_when=FIRST_COMPLETED)
                    for worker in done:
                        worker.result()  # a worker's own error must not pass for a result
                    if progress:
                        progress(int(self.counters[DONE]), len(queue))
            except BaseException:
                self.counters[STOP] = 1  # the lanes stop at their next step
                raise

    def _same_as(self) -> np.ndarray:
        """(n_subjects,) the first subject equal to each; sensitivities of events are not compared, so all stay apart."""
        if self.setup.sensitivities:
            return np.arange(len(self.parameters))
        return representatives(self.parameters, self.starts, self.plan.events, self.readings)

    def _copy(self, copies: np.ndarray, same: np.ndarray) -> None:
        for s in copies:
            r = same[s]
            count, to, of = self.readings.count[s], self.readings.row[s], self.readings.row[r]
            self.rows[to : to + count] = self.rows[of : of + count]
            for name in ("status", "end_time", "accepted", "rejected"):
                self.subjects[name][s] = self.subjects[name][r]

    def _work(self, queue: np.ndarray) -> None:
        """One thread's share, in a workspace of its own."""
        layout, target = self.code.layout, self.setup.target
        lanes, size = target.lanes, layout.size(target.lanes)
        raw = np.zeros(size + 64 // np.dtype(target.dtype).itemsize, target.dtype)
        shift = (-raw.ctypes.data % 64) // raw.itemsize
        numbers = raw[shift : shift + size]
        numbers[layout.vectors * lanes :] = np.repeat(self.shared, layout.copies)
        rows, factor = rows_of(numbers, layout, lanes), self.setup.options.sensitivity_tolerance
        for k, scale in enumerate(self.scales):
            rows[layout.index("scale", k)] = factor * scale
            rows[layout.index("relative")] = factor * self.tolerance[0]
        events, readings = self.plan.events, self.readings
        rest = rest_of_slow(self.setup, self.code.text.programs.equations)
        tables = Tables(
            self.subjects, self.events, events.value_slopes, events.time_slopes, self.plan.slope_slots,
            self.parameters, self.starts, rest, readings.times, readings.need,
            self.tolerance, self.failed, self.counters, kept_state=np.zeros((lanes, self.n_all)),
            kept_slow=np.zeros((lanes, len(self.code.slow))), cycle_state=np.zeros((lanes, self.n_all)),
        )  # fmt: skip
        control = control_of(numbers, layout, lanes)
        driver.drive(self._record(queue, numbers), np.zeros(lanes, LANE), rows, control, tables, queue)

    def _record(self, queue: np.ndarray, numbers: np.ndarray) -> Any:
        """The record of the run for a thread with this workspace."""
        setup, code, readings = self.setup, self.code, self.readings
        ends = readings.times[readings.first[queue] + readings.count[queue] - 1]
        record = np.zeros(1, RUN)[0]
        for name, exported in KERNELS.items():
            record["kernel"][name] = code.address[exported]
        for name in AREAS:
            record["at"][name] = code.layout.index(name)
        for name, value in {
            "workspace": numbers.ctypes.data,
            "n_states": len(code.states),
            "n_rests": 0 if setup.target.double else len(code.states),
            "n_sensitivities": len(setup.sensitivities),
            "n_vary": len(setup.free),
            "n_slow": len(code.slow),
            "first_rate": self.plan.first_rate,
            "start": self.start,
            "horizon": max(1e-300, float(np.max(np.abs(ends - self.start)))),
            "largest_step": setup.options.largest_step,
            "max_steps": setup.options.max_steps,
            "rows": self.rows.ctypes.data,
            "row_bytes": self.rows.strides[0],
            "counters": self.counters.ctypes.data,
        }.items():
            record[name] = value
        return record

    def failures(self) -> list[Failure]:
        """Every subject that did not end well, with the state that most likely broke it."""
        kept = {int(row[0]): row for row in self.failed if row[0] >= 0}
        bad = np.flatnonzero(self.status)
        same = self._same_as() if len(bad) else bad
        failures = []
        for s in map(int, bad):
            state, value, time = "", np.nan, float(self.subjects["end_time"][s])
            last = kept.get(int(same[s]))
            if last is not None:
                values = self._values_of(s)
                state, value = self.code.culprit(values, last[2:], last[1], time)
                in_float32 = not self.setup.target.double and self.status[s] == Status.NOT_FINITE
                if in_float32 and self.code.has_numbers(values, last[2:], time):
                    self.status[s] = Status.FLOAT32_RANGE
            failures.append(Failure(s, Status(self.status[s]), time, state, float(value)))
        return failures

    def _values_of(self, subject: int) -> dict[str, float]:
        return {**self.setup.values, **dict(zip(self.setup.free, self.parameters[subject], strict=True))}

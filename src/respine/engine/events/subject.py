"""One subject on its way: step, look, stop where something happens, let it happen."""

from __future__ import annotations

import numpy as np

from respine.engine.dosing.moments import instant
from respine.engine.equations.specialise import RATE_PREFIX, start_values
from respine.engine.events.agenda import Agenda, Trouble
from respine.engine.events.crossings import RESOLUTION
from respine.engine.events.endless import EndlessEvents
from respine.engine.events.prepared import Prepared
from respine.engine.events.present import Present
from respine.engine.events.stepper import Stepper
from respine.engine.events.time_conditions import Ahead
from respine.engine.status import Failure, Status

FEWEST_STEPS = 20  # of the horizon, where conditions are watched


class Subject:
    """One subject on its way from the start to the last output; ``number`` is its own in the request."""

    def __init__(self, prepared: Prepared, number: int) -> None:
        self.p, self.request, self.number = prepared, prepared.request, number
        setup, request, split = prepared.setup, self.request, prepared.hybrid
        end = float(request.times[-1])
        self.horizon = max(abs(end - request.start), 1e-300)
        largest = min(setup.options.largest_step, self.horizon / FEWEST_STEPS if split.watched else np.inf)
        self.stepper = Stepper(
            prepared.code, prepared.target, prepared.uniform, request.rtol, prepared.tolerances,
            horizon=self.horizon, largest_step=largest, max_steps=setup.options.max_steps,
        )  # fmt: skip
        numbers = {**prepared.values, **dict(zip(setup.vary, request.parameters[number], strict=True))}
        numbers |= {RATE_PREFIX + s: 0.0 for s in prepared.schedule.infused}
        self.starts = self._starts(numbers)
        self.present = Present(prepared, self.stepper, numbers, self.starts)
        self.agenda = Agenda(split.events, number)
        self.endless = EndlessEvents(request.start, end, self.horizon, setup.options.max_steps)
        self.ahead = Ahead(prepared.clock, request.start, end)
        self.flip = np.inf, False  # when a condition of time flips next, and whether its root belongs to it
        table = prepared.table
        self.row, self.last_row = int(table.first[number]), int(table.last[number])

    def _starts(self, numbers: dict[str, float]) -> dict[str, float]:
        system, request = self.p.setup.system, self.request
        known = start_values(system, {k: v for k, v in numbers.items() if k not in system.states}, request.start)
        known |= {s: np.broadcast_to(v, request.n_subjects)[self.number] for s, v in request.initial.items()}
        return {s: float(v) for s, v in known.items()}

    def run(self, values: np.ndarray) -> Failure | None:
        """Fill ``values`` (n_times, n_outputs); the failure that ended the run early, if one did."""
        starts = {**self.starts, "#clock": 0.0}
        if not np.isfinite([*(starts[s] for s in self.p.code.states), *self.request.parameters[self.number]]).all():
            return self._failure(Status.BAD_PARAMETER)
        if not self.p.schedule.finite[self.number]:
            return self._failure(Status.BAD_PARAMETER)
        self.stepper.time = self.request.start
        self.present.put(starts)
        try:
            with np.errstate(all="ignore"):
                return self._travel(values)
        except Trouble as trouble:
            return self._failure(trouble.status, trouble.event)

    def _travel(self, values: np.ndarray) -> Failure | None:
        times, stepper, nonnegative = self.request.times, self.stepper, self.p.setup.options.nonnegative
        done = self._stop(values, 0)
        while done < len(times):
            end = self._next_stop()
            if end - stepper.time <= 4 * np.spacing(stepper.time):
                stepper.time = max(end, stepper.time)
                done = self._stop(values, done)
                continue
            if not stepper.attempt(end):
                trouble = stepper.trouble()
                if trouble != Status.OK:
                    return self._failure(trouble)
                continue
            if nonnegative and stepper.below_zero:
                stepper.accept()
                return self._failure(Status.NEGATIVE)
            if not stepper.end_time > stepper.time:  # a runaway: the step no longer moves the clock
                return self._failure(Status.STEP_FLOOR)
            fraction = self._flip()
            stops = fraction is not None or stepper.end_time >= end
            reach = stepper.moment(1.0 if fraction is None else fraction)
            done = self._read(values, done, self._before(reach, exact=fraction is None) if stops else reach)
            if fraction is None and self.p.hybrid.watched:
                self.present.outputs = stepper.look([1.0])[0]
            before = stepper.time
            stepper.accept(1.0 if fraction is None else fraction)
            if stops:
                self.endless.note_stop(moved=stepper.time > before)
                done = self._stop(values, done)
            if stepper.trouble() == Status.STEP_BUDGET:
                return self._failure(Status.STEP_BUDGET)
        return None

    def _next_stop(self) -> float:
        """The next moment at which something is known to happen."""
        now, last = self.stepper.time, float(self.request.times[-1])
        dose = float(self.p.table.time[self.row]) if self.row < self.last_row else np.inf
        end = min(last, dose, self.agenda.next_time())
        if not self.p.hybrid.clocked:
            return end
        self.flip = flip, closed = self.ahead.next(now, min(end, now + self.stepper.next_step), self.present.numbers)
        if flip < end or (closed and flip <= end + instant(end)):  # t >= 0.3 comes with a dose at 3 * 0.1
            return flip
        return end

    def _before(self, stop: float, *, exact: bool) -> float:
        """Up to where outputs are taken before what happens at ``stop``; t > 5 is not yet true at an output at 5."""
        flip, closed = self.flip
        if exact and stop == flip and not closed:
            return float(np.nextafter(stop, -np.inf))
        return stop - 2 * instant(stop)

    def _flip(self) -> float | None:
        """The fraction of the step just made at which a watched condition flips."""
        stepper = self.stepper
        largest = max(abs(stepper.time), abs(stepper.end_time))
        resolution = max(RESOLUTION * largest / (stepper.end_time - stepper.time), 4e-15)
        return self.present.watch.first_flip(self.present.outputs, resolution)

    def _read(self, values: np.ndarray, done: int, until: float) -> int:
        """Outputs of the step just made up to ``until``; how many outputs are done then."""
        times = self.request.times
        stop = int(np.searchsorted(times, until, side="right"))
        if stop > done:
            fractions = (times[done:stop] - self.stepper.time) / self.stepper.tried_step
            values[done:stop] = self.stepper.look(np.clip(fractions, 0.0, 1.0))[:, : self.p.hybrid.n_asked]
            done = stop
        return done

    def _read_now(self, values: np.ndarray, done: int) -> int:
        now = self.stepper.time
        while done < len(self.request.times) and self.request.times[done] <= now + instant(now):
            values[done] = self.present.outputs[: self.p.hybrid.n_asked]
            done += 1
        return done

    def _stop(self, values: np.ndarray, done: int) -> int:
        """Whatever happens at the present moment: switches, triggered events, outputs, doses."""
        modes = self.present.modes()
        self._settle()
        table, now = self.p.table, self.stepper.time
        due = self.row < self.last_row and table.time[self.row] <= now + instant(now)
        if not (due and self.request.after):
            done = self._read_now(values, done)
        if due:
            while self.row < self.last_row and table.time[self.row] <= now + instant(now):
                name = self.p.names[table.target[self.row]]
                self.present.dose(table.kind[self.row], name, float(table.value[self.row]))
                self.row += 1
            self._settle()
            done = self._read_now(values, done)
        self.present.leave_chatter(modes, self.horizon)
        self.ahead.arrive(now, self.present.numbers)
        self.stepper.begin()
        return done

    def _settle(self) -> None:
        """Execute triggered events until none is due."""
        executed = self.agenda.settle(self.stepper.time, self.present.look, self.present.put)
        self.stepper.accepted += bool(executed)  # events draw on the step budget too
        self.endless.check(self.stepper.time, executed=bool(executed), event=self.agenda.last)

    def _failure(self, status: Status, event: str = "") -> Failure:
        time, name, value = self.stepper.time, event, np.nan
        if not name and status != Status.BAD_PARAMETER:
            state = self.stepper.state
            name, value = self.p.code.culprit(self.present.numbers, state, self.stepper.tried_step, time)
        return Failure(self.number, status, float(time), name, float(value))

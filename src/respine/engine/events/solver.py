"""Solve a system with events, one subject after the other: step, look, stop where something happens, let it happen."""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from respine.engine.codegen.code import Code, code_for
from respine.engine.codegen.target import Target, host_target
from respine.engine.dosing.events_table import ADD_STATE, RESET, SET_RATE, SET_SLOW, SET_STATE
from respine.engine.dosing.moments import Moments, instant
from respine.engine.dosing.schedule import Schedule
from respine.engine.equations.specialise import RATE_PREFIX, Ask, specialise, start_values
from respine.engine.events.agenda import Agenda, Look, Trouble
from respine.engine.events.crossings import RESOLUTION, Watch
from respine.engine.events.hybrid import LIVE, TIME, Hybrid, hybrid
from respine.engine.events.stepper import Stepper
from respine.engine.events.time_conditions import Ahead, Clock
from respine.engine.solution import Options, Solution
from respine.engine.status import Failure, Status
from respine.engine.tolerances import OwnScales, never_above, told
from respine.model.system import System

FEWEST_STEPS = 20  # of the horizon, where conditions are watched
CHATTER = 50  # flips of one switch within CHATTER_SPAN of the horizon, after which it is left to the error control
CHATTER_SPAN = 1e-3
STUCK = 200  # stops in a row without progress in time
PACE = 1000  # after so many stops for events the pace is looked at ...
FAR = 0.1  # ... the step budget would end before this share of the way that is left: after ENOUGH such looks it is a loop,
ENOUGH = 10
AT_ONCE = 1e-9  # ... and at once where it went no further than this share of the horizon


@dataclass(frozen=True)
class Job:
    """What all subjects share: the system under one ask, times, tolerances (one a state of the system), doses."""

    system: System
    outputs: tuple[str, ...]
    vary: tuple[str, ...]
    values: Mapping[str, float]
    options: Options
    parameters: np.ndarray
    schedule: Schedule
    times: np.ndarray
    start: float
    rtol: float
    tolerances: np.ndarray
    initial: Mapping[str, float | np.ndarray]
    after: bool
    own: OwnScales | None = None  # of states, where no tolerances are given, and that of what starts at zero
    level: float = 1.0


def solve_subjects(job: Job, progress: Callable[[int, int], None] | None = None) -> Solution:
    """Every subject of a job, one after the other."""
    begun = clock.perf_counter()
    prepared = _Prepared(job)
    n = len(job.parameters)
    values = np.full((n, len(job.times), len(job.outputs)), np.nan)
    status, steps, failures = np.zeros(n, np.int8), np.zeros((n, 2), np.int64), []
    for s in range(n):
        subject = _Subject(prepared, s)
        failure = subject.run(values[s])
        steps[s] = subject.stepper.accepted, subject.stepper.rejected
        prepared.clock_is_sure &= subject.ahead.sure
        if failure is not None:
            status[s] = failure.status
            failures.append(failure)
        if progress:
            progress(s + 1, n)
    settings = {
        "method": job.options.method,
        "precision": "float64",
        "lanes": prepared.target.lanes,
        "rtol": job.rtol,
        "atol": told(prepared.code.states, prepared.tolerances, prepared.scale),
        "equal_time_order": "triggered events, doses, outputs" if job.after else "triggered events, outputs, doses",
        "equations": len(prepared.code.states),
        "equations_before": len(job.system.states),
        "events": len(job.system.events),
        "switches": len(prepared.hybrid.switches),
        "jumps": _told(len(prepared.left), prepared.clock_is_sure),
    }
    if low := never_above(job.outputs, values, dict(zip(prepared.code.states, prepared.tolerances, strict=True))):
        settings["below_atol"] = low
    if job.schedule.covariates:
        settings["covariates"] = job.schedule.covariates
    seconds = clock.perf_counter() - begun
    return Solution(values, job.times, job.outputs, status, steps, failures, seconds, settings)


def _told(left: int, sure: bool) -> str:
    """How jumps were met."""
    text = "located"
    if left:
        text += (
            f", but for {left} that turned without end and {'was' if left == 1 else 'were'} left to the error control"
        )
    return text if sure else f"{text}; a condition of time could not be enclosed and was looked at in many places only"


class _Prepared:
    """Machine code and index tables of a job, and what its subjects have to tell."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.left: set[str] = set()  # modes that some subject left to the error control
        self.clock_is_sure = True
        self.target: Target = host_target("float64", job.options.lanes)
        schedule = job.schedule
        self.hybrid, ask, values = self._split(clock=False)
        if not specialise(self.hybrid.system, ask, values).states:
            self.hybrid, ask, values = self._split(clock=True)
        self.code: Code = code_for(self.hybrid.system, ask, values, job.options.method, self.target)
        self.values = values
        self.slow = {name: k for k, name in enumerate(self.code.slow)}
        self.states = {name: k for k, name in enumerate(self.code.states)}
        index = {s: k for k, s in enumerate(job.system.states)}
        self.tolerances = np.array([job.tolerances[index[s]] if s in index else 1.0 for s in self.code.states])
        self.scale = np.ones(len(self.code.states))
        if job.own:
            self.tolerances, self.scale = job.own.tolerances(
                self.code.states, self.tolerances, job.level, self.code.rooted, job.initial, job.rtol
            )
        self.names = (*job.system.states, *job.system.inputs)
        where = {name: k for k, name in enumerate(self.names)}
        self.table = schedule.table(where, where, where, moments=Moments.of_run(job.start, job.times, after=job.after))
        self.uniform = self.code.uniform({**values, **self.code.zeros(self.tolerances, self.scale)})
        self.clock = Clock(self.hybrid.clocked, self.hybrid.clock_rules)

    def _split(self, *, clock: bool) -> tuple[Hybrid, Ask, dict[str, float]]:
        job, schedule = self.job, self.job.schedule
        split = hybrid(job.system, job.outputs, schedule.infused, clock=clock)
        assigned = {name for e in job.system.events for name, _ in e.assignments}
        modes = [s.mode for s in split.switches]
        inputs = {*schedule.changing, *(assigned & set(job.system.inputs))}
        ask = Ask(
            split.outputs, job.vary, (*sorted(inputs), *split.held, *modes),
            frozenset((assigned | schedule.dosed | set(job.initial)) - set(split.held)), tuple(sorted(schedule.infused)),
            job.options.keep_all, nonnegative=job.options.nonnegative,
        )  # fmt: skip
        values = {**job.values, **dict.fromkeys(split.held, 0.0), **dict.fromkeys(modes, LIVE)}
        return split, ask, values


class _Subject:
    """One subject on its way from the start to the last output."""

    def __init__(self, prepared: _Prepared, number: int) -> None:
        self.p, self.job, self.number = prepared, prepared.job, number
        job, split = self.job, prepared.hybrid
        self.horizon = max(abs(float(job.times[-1]) - job.start), 1e-300)
        watching = bool(split.watched)
        largest = min(job.options.largest_step, self.horizon / FEWEST_STEPS if watching else np.inf)
        self.stepper = Stepper(
            prepared.code, prepared.target, prepared.uniform, job.rtol, prepared.tolerances,
            horizon=self.horizon, largest_step=largest, max_steps=job.options.max_steps,
        )  # fmt: skip
        self.numbers = {**prepared.values, **dict(zip(job.vary, job.parameters[number], strict=True))}
        self.numbers |= {RATE_PREFIX + s: 0.0 for s in job.schedule.infused}
        self.starts = self._starts()
        self.agenda = Agenda(split.events, number)
        self.seen = np.zeros(len(split.outputs))
        self.clock_values: dict[str, float] = {}
        self.live: set[str] = set()  # switches left to the error control
        self.watch = self._watch()
        self.flips: dict[str, list[float]] = {s.mode: [] for s in split.switches}
        self.ahead = Ahead(prepared.clock, job.start, float(job.times[-1]))
        self.flip = np.inf, False  # when a condition of time flips next, and whether its root belongs to it
        self.stuck = 0
        self.event_stops, self.slow_looks, self.looked = 0, 0, job.start  # the pace of events
        table = prepared.table
        self.row, self.last_row = int(table.first[number]), int(table.last[number])

    def _starts(self) -> dict[str, float]:
        job = self.job
        known = start_values(
            job.system, {k: v for k, v in self.numbers.items() if k not in job.system.states}, job.start
        )
        known |= {s: np.broadcast_to(v, len(job.parameters))[self.number] for s, v in job.initial.items()}
        return {s: float(v) for s, v in known.items()}

    # ---- the present ------------------------------------------------------------------------------------------------
    def _put(self, changes: Mapping[str, float]) -> None:
        """Give states and inputs new values, all at once."""
        state = self.stepper.state
        for name, value in changes.items():
            if name in self.p.states:
                state[self.p.states[name]] = value
            else:
                self.numbers[name] = value
        self.stepper.state = state
        self.stepper.slow = np.array([self.numbers[name] for name in self.p.code.slow])

    def _look(self) -> Look:
        """What holds now, with every switch in its right position."""
        split = self.p.hybrid
        for _ in range(len(split.switches) + 2):
            self.seen = self.stepper.look_now()
            self.clock_values = self.p.clock.values(self.stepper.time, self.numbers)
            turned = self._turned()
            if not turned:
                break
            self._put(turned)
        else:  # switches that contradict each other at a standstill
            self._let_live(turned)
            self.seen = self.stepper.look_now()
        triggers = [
            (self.clock_values[f"trigger {k}"] if e.trigger < 0 else self.seen[e.trigger]) != 0
            for k, e in enumerate(split.events)
        ]
        return Look(triggers, self.seen)

    def _let_live(self, modes: Iterable[str]) -> None:
        """Leave switches to the error control from now on."""
        self.live |= set(modes)
        self.p.left |= set(modes)
        self._put(dict.fromkeys(modes, LIVE))
        self.watch = self._watch()

    def _turned(self) -> dict[str, float]:
        """Modes that differ from their comparison."""
        turned = {}
        for switch, k in zip(self.p.hybrid.switches, self.p.hybrid.switch_outputs, strict=True):
            if switch.mode in self.live:
                continue
            value = self.clock_values[switch.mode] if switch.depends == TIME else float(self.seen[k])
            if value != self.numbers[switch.mode] and value == value:
                turned[switch.mode] = value
        return turned

    # ---- the way ----------------------------------------------------------------------------------------------------
    def run(self, values: np.ndarray) -> Failure | None:
        """Fill ``values`` (n_times, n_outputs); the failure that ended the run early, if one did."""
        starts = {**self.starts, "#clock": 0.0}
        if not np.isfinite([*(starts[s] for s in self.p.code.states), *self.job.parameters[self.number]]).all():
            return self._failure(Status.BAD_PARAMETER)
        if not self.job.schedule.finite[self.number]:
            return self._failure(Status.BAD_PARAMETER)
        self.stepper.time = self.job.start
        self._put(starts)
        try:
            with np.errstate(all="ignore"):
                return self._travel(values)
        except Trouble as trouble:
            return self._failure(trouble.status, trouble.event)

    def _travel(self, values: np.ndarray) -> Failure | None:
        job, times, stepper = self.job, self.job.times, self.stepper
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
            if job.options.nonnegative and stepper.below_zero:
                stepper.accept()
                return self._failure(Status.NEGATIVE)
            if not stepper.end_time > stepper.time:  # a runaway: the step no longer moves the clock
                return self._failure(Status.STEP_FLOOR)
            fraction = self._flip()
            stops = fraction is not None or stepper.end_time >= end
            reach = stepper.moment(1.0 if fraction is None else fraction)
            done = self._read(values, done, self._before(reach, exact=fraction is None) if stops else reach)
            if fraction is None and self.p.hybrid.watched:
                self.seen = stepper.look([1.0])[0]
            before = stepper.time
            stepper.accept(1.0 if fraction is None else fraction)
            if stops:
                self.stuck = self.stuck + 1 if stepper.time <= before else 0
                done = self._stop(values, done)
            if stepper.trouble() == Status.STEP_BUDGET:
                return self._failure(Status.STEP_BUDGET)
        return None

    def _next_stop(self) -> float:
        """The next moment at which something is known to happen."""
        now, last = self.stepper.time, float(self.job.times[-1])
        dose = float(self.p.table.time[self.row]) if self.row < self.last_row else np.inf
        end = min(last, dose, self.agenda.next_time())
        if not self.p.hybrid.clocked:
            return end
        self.flip = flip, closed = self.ahead.next(now, min(end, now + self.stepper.next_step), self.numbers)
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
        return self.watch.first_flip(self.seen, resolution)

    def _watch(self) -> Watch:
        """All that is watched, without the switches that are left to the error control."""
        split = self.p.hybrid
        left = {k for s, k in zip(split.switches, split.switch_outputs, strict=True) if s.mode in self.live}
        return Watch(self.stepper.look, [w for w in split.watched if w.value not in left], self.stepper.lanes)

    def _read(self, values: np.ndarray, done: int, until: float) -> int:
        """Outputs of the step just made up to ``until``; how many outputs are done then."""
        times = self.job.times
        stop = int(np.searchsorted(times, until, side="right"))
        if stop > done:
            fractions = (times[done:stop] - self.stepper.time) / self.stepper.tried_step
            values[done:stop] = self.stepper.look(np.clip(fractions, 0.0, 1.0))[:, : self.p.hybrid.n_asked]
            done = stop
        return done

    def _read_now(self, values: np.ndarray, done: int) -> int:
        now = self.stepper.time
        while done < len(self.job.times) and self.job.times[done] <= now + instant(now):
            values[done] = self.seen[: self.p.hybrid.n_asked]
            done += 1
        return done

    # ---- stops ------------------------------------------------------------------------------------------------------
    def _stop(self, values: np.ndarray, done: int) -> int:
        """Whatever happens at the present moment: switches, triggered events, outputs, doses."""
        modes = {s.mode: self.numbers[s.mode] for s in self.p.hybrid.switches}
        self._settle()
        table, now = self.p.table, self.stepper.time
        due = self.row < self.last_row and table.time[self.row] <= now + instant(now)
        if not (due and self.job.after):
            done = self._read_now(values, done)
        if due:
            while self.row < self.last_row and table.time[self.row] <= now + instant(now):
                self._dose(table.kind[self.row], self.p.names[table.target[self.row]], float(table.value[self.row]))
                self.row += 1
            self._settle()
            done = self._read_now(values, done)
        self._watch_for_chatter(modes)
        self.ahead.arrive(now, self.numbers)
        self.stepper.begin()
        return done

    def _settle(self) -> None:
        executed = self.agenda.settle(self.stepper.time, self._look, self._put)
        if executed:
            self.stepper.accepted += 1  # events draw on the step budget too
            self._look_at_the_pace()
        if self.stuck > STUCK:
            raise Trouble(Status.EVENT_LOOP, self.agenda.last)

    def _look_at_the_pace(self) -> None:
        """Events that follow each other so fast that the end cannot be reached are a loop, told before the budget ends."""
        self.event_stops += 1
        if self.event_stops % PACE:
            return
        now = self.stepper.time
        gone, left, self.looked = now - self.looked, float(self.job.times[-1]) - now, now
        slow = gone * self.job.options.max_steps / PACE < FAR * left
        self.slow_looks = self.slow_looks + 1 if slow else 0
        if self.slow_looks >= ENOUGH or (slow and gone < AT_ONCE * self.horizon):
            raise Trouble(Status.EVENT_LOOP, self.agenda.last)

    def _watch_for_chatter(self, before: Mapping[str, float]) -> None:
        """A switch that flips without end (the flow is held at its threshold) is left to the error control."""
        now, span = self.stepper.time, CHATTER_SPAN * self.horizon
        chattering: set[str] = set()
        for switch in self.p.hybrid.switches:
            if switch.mode in self.live or self.numbers[switch.mode] == before[switch.mode] or switch.depends == TIME:
                continue
            recent = self.flips[switch.mode] = [t for t in self.flips[switch.mode] if t > now - span] + [now]
            if len(recent) > CHATTER:
                chattering.add(switch.mode)
        if chattering:
            self._let_live(chattering)
            self._look()

    def _dose(self, kind: int, name: str, value: float) -> None:
        if kind == RESET:
            self._put({**self.starts, **{k: 0.0 for k in self.numbers if k.startswith(RATE_PREFIX)}})
        elif kind in (SET_SLOW, SET_STATE):
            self._put({name: value})
        elif kind == ADD_STATE:
            known = self.stepper.state[self.p.states[name]] if name in self.p.states else self.numbers.get(name, np.nan)
            self._put({name: known + value})
        elif kind == SET_RATE:
            self._put({RATE_PREFIX + name: value})

    def _failure(self, status: Status, event: str = "") -> Failure:
        time, name, value = self.stepper.time, event, np.nan
        if not name and status != Status.BAD_PARAMETER:
            state = self.stepper.state
            name, value = self.p.code.culprit(self.numbers, state, self.stepper.tried_step, time)
        return Failure(self.number, status, float(time), name, float(value))

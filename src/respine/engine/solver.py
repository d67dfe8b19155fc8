"""The front door of the engine: build a solver for a system, solve it for many subjects at once."""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from respine.engine.codegen.code import Code, code_for
from respine.engine.codegen.target import host_target
from respine.engine.dosing.covariates import on_lines
from respine.engine.dosing.events_table import CYCLE_START, EventTable, Readings
from respine.engine.dosing.moments import Moments
from respine.engine.dosing.records import Records
from respine.engine.dosing.schedule import Schedule
from respine.engine.dosing.steady_state import in_closed_form
from respine.engine.equations.linear import linear_form
from respine.engine.equations.rate_jumps import jumps_by_state, needed_states, refuse_jumps
from respine.engine.equations.specialise import RATE_PREFIX, Ask, rate_slope, specialise, start_values
from respine.engine.equations.start_slopes import scales, start_slopes
from respine.engine.events.solver import Job, solve_subjects
from respine.engine.events.time_modes import TimeModes, time_modes
from respine.engine.input_checks import (
    check_known,
    check_once,
    check_one_clock,
    checked_times,
    thread_count,
    tolerances_of,
)
from respine.engine.run import driver
from respine.engine.run.conservation import watch
from respine.engine.run.deduplicate import representatives
from respine.engine.run.kernel_calls import DONE, STOP
from respine.engine.run.workspace import (
    AREAS,
    EVENT,
    KERNELS,
    LANE,
    RUN,
    SUBJECT,
    Tables,
    control_of,
    rows_of,
)
from respine.engine.solution import Options, Solution
from respine.engine.status import Failure, Status
from respine.engine.tolerances import OwnScales, joined, never_above, own_scales, told
from respine.model.system import System

Progress = Callable[[int, int], None]
SPOT_CHECK = 8  # subjects of a float32 run that are solved in float64 too


def build(
    system: System,
    *,
    outputs: Sequence[str],
    vary: Sequence[str] = (),
    fixed: Mapping[str, float] | None = None,
    options: Options | None = None,
    sensitivities: Sequence[str] = (),
) -> Solver:
    """A solver of ``system`` that records ``outputs`` (states, rules, inputs or parameters).

    ``vary`` names the parameters that differ between subjects, ``fixed`` gives others a new value for all.
    ``sensitivities`` names what to differentiate the outputs by (`Solution.gradients`): parameters of the system, varying
    or not, and names that only doses depend on (see `Schedule.dose`). A rate must not jump at a moment that depends
    on what to differentiate by; corners are well. float64 only. Raises ValueError for a name the system does not have.
    """
    return Solver(system, tuple(outputs), tuple(vary), dict(fixed or {}), options or Options(), tuple(sensitivities))


def solve_with_events(
    system: System,
    times: Sequence[float] | np.ndarray,
    outputs: Sequence[str],
    *,
    parameters: np.ndarray | None = None,
    vary: Sequence[str] = (),
    fixed: Mapping[str, float] | None = None,
    schedule: Schedule | None = None,
    start: float = 0.0,
    rtol: float = 1e-8,
    atol: float | Mapping[str, float] | None = None,
    after: bool = False,
    initial: Mapping[str, float | np.ndarray] | None = None,
    options: Options | None = None,
    progress: Progress | None = None,
) -> Solution:
    """Trajectories of a system whose equations may jump and whose events are triggered by time or state.

    As ``engine.build(...).solve(...)`` (same arguments and result), in float64, for systems with or without events; all
    jumps in the equations are located. An output at the time of a triggered event is taken after it. SBML Level 3
    semantics: doi:10.1515/jib-2017-0081, section 4.11. Raises ValueError for input that cannot be meant.
    """
    solver = build(system, outputs=outputs, vary=vary, fixed=fixed, options=options)
    return solver.solve(
        parameters, schedule, times, start=start, rtol=rtol, atol=atol, after=after, initial=initial, progress=progress,
        locate_jumps=True,
    )  # fmt: skip


class Solver:
    """Solves one system for any number of subjects; machine code is made when a schedule first asks for it."""

    def __init__(
        self,
        system: System,
        outputs: tuple[str, ...],
        vary: tuple[str, ...],
        fixed: dict[str, float],
        options: Options,
        sensitivities: tuple[str, ...] = (),
    ) -> None:
        if not outputs:
            raise ValueError("no outputs asked for; name at least one state or rule")
        check_known(outputs, (*system.states, *system.rules, *system.parameters, *system.inputs), "output", system)
        check_known(vary, system.parameters, "varying parameter", system)
        check_known(fixed, (*system.parameters, *system.inputs), "fixed parameter", system)
        check_once(vary, "varying parameter")
        check_once(outputs, "output")
        check_once(sensitivities, "sensitivity")
        if sensitivities and options.precision != "float64":
            raise ValueError(f'sensitivities need precision="float64", not "{options.precision}": their error would be '
                             "as large as what they are used for")  # fmt: skip
        self.watch = watch(system, vary, {**system.parameters, **system.inputs, **fixed}) if options.conserved else None
        self.asked = len(outputs)
        if self.watch:
            system, outputs = self.watch.extended(system), (*outputs, *self.watch.outputs)
        self.system, self.outputs, self.vary, self.options = system, outputs, vary, options
        self.sensitivities = sensitivities
        self.values = {**system.parameters, **system.inputs, **fixed}
        own = tuple(name for name in sensitivities if name in system.parameters and name not in vary)
        self.free = (*vary, *own)  # parameters that are no literals in the code
        self.target = host_target(options.precision, options.lanes)
        self._code: dict[Ask, Code] = {}
        self.lines: tuple[str, ...] = ()  # covariates the system has as straight lines, see dosing/covariates.py
        self.modes: TimeModes | None = None  # inputs that stand for conditions of time, see events/time_modes.py
        self._twins: dict[tuple[str, ...], Solver] = {}
        self._scales: dict[float, OwnScales] = {}

    def ask(self, schedule: Schedule | Records) -> Ask:
        """What this schedule needs of the system. Raises ValueError for an unknown dose target or input."""
        check_known((*schedule.dosed, *schedule.infused), self.system.states, "dosed state", self.system)
        check_known(schedule.changing, self.system.inputs, "input", self.system)
        if self.sensitivities:
            known = (*self.system.parameters, *schedule.dependent)
            check_known(self.sensitivities, known, "parameter (or name a dose depends on)", self.system)
            known = (*self.system.parameters, *self.sensitivities)
            check_known(
                schedule.dependent,
                known,
                "parameter or sensitivity, but a dose depends on it; such a name",
                self.system,
            )
        return Ask(
            self.outputs,
            self.free,
            tuple(sorted((*schedule.changing, *(self.modes.names if self.modes else ())))),
            schedule.dosed,
            tuple(sorted(schedule.infused)),
            self.options.keep_all,
            self.sensitivities,
            tuple((state, name) for state, name in sorted(schedule.driven) if name in self.sensitivities),
            tuple((state, name) for name in self.sensitivities for state in sorted(schedule.moved({name}))),
            self.options.nonnegative,
        )

    def live_states(self, schedule: Schedule | Records) -> tuple[str, ...]:
        """The states that are left once what this schedule and the outputs do not need is cut away."""
        return specialise(self.system, self.ask(schedule), self.values).states

    def code(self, ask: Ask) -> Code:
        """The machine code for one kind of schedule, compiled or loaded at first use."""
        if ask not in self._code:
            made = code_for(self.system, ask, self.values, self.options.method, self.target)
            if self.sensitivities:
                refuse_jumps(self.system, ask, made.states)
            self._code[ask] = made
        return self._code[ask]

    def _code_for(self, schedule: Schedule | Records, initial: Mapping[str, float | np.ndarray]) -> Code:
        """The machine code for a schedule and start values; a state given a start is no constant of the code."""
        check_known(initial, self.system.states, "start state", self.system)
        ask = self.ask(schedule)
        code = self.code(ask)
        resting = {s for s in initial if s in code.constant}
        return self.code(replace(ask, dosed=ask.dosed | resting)) if resting else code

    def solve(
        self,
        parameters: np.ndarray | None = None,
        schedule: Schedule | Records | None = None,
        times: Sequence[float] | np.ndarray = (),
        *,
        start: float = 0.0,
        rtol: float = 1e-5,
        atol: float | Mapping[str, float] | None = None,
        threads: int | None = None,
        after: bool = False,
        initial: Mapping[str, float | np.ndarray] | None = None,
        progress: Progress | None = None,
        locate_jumps: bool | None = None,
    ) -> Solution:
        """Trajectories for every row of ``parameters`` (n_subjects, len(vary)).

        ``times`` ascend from ``start`` on; an output at the time of an event is taken before it unless ``after``.
        ``atol`` is one number or one per state; without it it is 1e-3 * rtol, or less where the model's own scale is small (see
        tolerances.py and ``settings["atol"]``). ``initial`` overrides start values (a number, or
        one a subject). With `Records` there are no ``times``: every record is read, ``values`` is (n_records, n_outputs)
        and ``times`` (n_records,). The result does not depend on ``threads``.

        Jumps in the rates are located (``settings["jumps"]`` says how): those at known times by steps that end there, those
        that a state sets off one subject at a time in float64, as are systems with events; an output at the time of a
        triggered event is taken after it. ``locate_jumps``: True locates all in the second way, False leaves them to the
        error control, which may pass over a pulse. Records, sensitivities and conserved totals leave jumps by state to it.
        Raises ValueError for input that cannot be meant.
        """
        begun = clock.perf_counter()
        count = schedule.n_subjects if schedule else 1
        p = np.zeros((count, 0)) if parameters is None else np.ascontiguousarray(parameters, float)
        if p.ndim != 2 or p.shape[1] != len(self.vary):
            raise ValueError(f"parameters have shape {p.shape}; {len(self.vary)} columns are wanted: {list(self.vary)}")
        schedule = schedule or Schedule(len(p))
        if schedule.n_subjects != len(p):
            raise ValueError(f"the schedule is for {schedule.n_subjects} subjects, the parameters for {len(p)}")
        lines = tuple(sorted(name for name, way in schedule.covariates.items() if way == "linear"))
        if lines and self.lines != lines:
            return self._on_lines(lines).solve(
                parameters, schedule, times, start=start, rtol=rtol, atol=atol, threads=threads,
                after=after, initial=initial, progress=progress, locate_jumps=locate_jumps,
            )  # fmt: skip
        own_times = isinstance(schedule, Records)
        moments = schedule.times(start) if isinstance(schedule, Records) else checked_times(times, start)
        schedule.check_start(start)
        if isinstance(schedule, Records):
            check_one_clock(self.system, schedule)
        tolerances = tolerances_of(self.system, rtol, atol)
        for name, value in (initial or {}).items():
            if np.shape(value) not in ((), (len(p),)):
                raise ValueError(f"start of {name} has shape {np.shape(value)}; write one number or {len(p)}")
        initial = initial or {}
        own, level = (self._own_scales(start) if atol is None else None), 1.0
        if own:
            levels = own.of_subjects(schedule, initial)
            if len(np.unique(levels)) > 1:
                return self._apart(levels, p, schedule, times, initial, start=start, rtol=rtol, threads=threads,
                                   after=after, locate_jumps=locate_jumps, progress=progress)  # fmt: skip
            level = float(levels[0]) if len(levels) else 1.0
        by_state = self._jumps_by_state if locate_jumps is None else ()
        alone = self.system.events or locate_jumps or (by_state and not self._only_in_lanes(schedule))
        if alone:
            if self.sensitivities:
                raise ValueError(f"sensitivities stop at triggered events, and {self.system.name} has some or jumps are "
                                 "to be located; build without sensitivities")  # fmt: skip
            return self._with_events(
                p, schedule, moments, start, rtol, tolerances, initial, after, progress, own, level
            )
        if locate_jumps is None and self._with_modes is not None:
            return self._with_modes.solve(
                parameters, schedule, times, start=start, rtol=rtol, atol=atol, threads=threads,
                after=after, initial=initial, progress=progress,
            )  # fmt: skip
        p = self._extended(p)
        code = self._code_for(schedule, initial)
        starts, good = self._starts(code, p, initial, start)
        scale = np.ones(len(tolerances))
        if own:
            tolerances, scale = own.tolerances(self.system.states, tolerances, level, code.rooted, initial, rtol)
        run = _Run(self, code, p, schedule, moments, start, rtol, tolerances, starts, after, scale=scale)
        workers = thread_count(threads, len(p))
        run.go(good & schedule.finite, workers, progress)
        settings = {
            "method": self.options.method,
            "precision": self.options.precision,
            "lanes": self.target.lanes,
            "rtol": rtol,
            "atol": told(self.system.states, tolerances, scale),
            "equal_time_order": "events before outputs" if after else "outputs before events",
            "equations": len(code.states),
            "equations_before": len(self.system.states),
        }
        if self.modes or by_state:
            located = [f"{len(self.modes.names)} conditions of time located"] if self.modes else []
            located += [] if run.sure else ["one could not be enclosed and was looked at in many places only"]
            left = [f"{', '.join(by_state)} left to the error control"] if by_state else []
            settings["jumps"] = "; ".join(located + left)
        if schedule.covariates:
            settings["covariates"] = schedule.covariates
        if self.options.precision == "float32":
            judge = self._judge._code_for(schedule, initial)
            settings["float64_check"] = self._spot_check(
                run, judge, schedule, moments, start, rtol, tolerances, starts, after, workers
            )
        failures = run.failures()
        if self.watch:
            totals = run.rows[:, self.asked : len(self.outputs)]
            fed = frozenset(schedule.infused)
            settings["conserved"], lost = self.watch.check(totals, run.readings, run.status, rtol, fed)
            failures += run.give_up(lost)
        seconds = clock.perf_counter() - begun
        shape = (-1,) if own_times else (len(p), len(moments))
        count, names = len(self.outputs), self.sensitivities
        values = run.rows[:, :count].reshape(*shape, count)[..., : self.asked]
        if low := never_above(
            self.outputs[: self.asked], values, dict(zip(self.system.states, tolerances, strict=True))
        ):
            settings["below_atol"] = low
        gradients = None
        if names:
            gradients = run.rows[:, count:].reshape(*shape, count, len(names))[..., : self.asked, :]
        shown = schedule.own_times if isinstance(schedule, Records) else moments
        return Solution(
            values,
            shown,
            self.outputs[: self.asked],
            run.status.astype(np.int8),
            np.stack([run.subjects["accepted"], run.subjects["rejected"]], axis=1),
            failures,
            seconds,
            settings,
            gradients,
            names,
        )

    def _spot_check(
        self,
        run: _Run,
        code: Code,
        schedule: Schedule | Records,
        moments: np.ndarray,
        start: float,
        rtol: float,
        tolerances: np.ndarray,
        starts: np.ndarray,
        after: bool,
        threads: int,
    ) -> dict[str, float]:
        """Solve some of the subjects again in float64: how many, and the largest difference.

        The difference is relative to each output's largest value in these subjects.
        """
        well = np.flatnonzero(run.status == Status.OK)
        chosen = well[np.unique(np.linspace(0, len(well) - 1, SPOT_CHECK).astype(int))] if len(well) else well
        twin = _Run(self._judge, code, run.parameters, schedule, moments, start, rtol, tolerances, starts, after,
                    only=chosen, like=run)  # fmt: skip
        among = np.zeros(len(run.status), bool)
        among[chosen] = True
        twin.go(among, min(threads, len(chosen)) or 1, None)
        exact, rows = twin.rows, run.readings.rows_of(chosen)
        size = np.max(np.abs(exact), axis=0, initial=1e-300)
        worst = np.max(np.abs(run.rows[rows, : self.asked] - exact) / size, initial=0.0)
        return {"subjects": len(chosen), "largest_difference": float(worst)}

    @cached_property
    def _judge(self) -> Solver:
        """The float64 twin of a float32 solver."""
        options = replace(self.options, precision="float64", conserved=False)
        judge = Solver(self.system, self.outputs[: self.asked], self.vary, self.values, options)
        judge.modes = self.modes
        return judge

    def _own_scales(self, start: float) -> OwnScales:
        if start not in self._scales:
            self._scales[start] = own_scales(self.system, self.values, start)
        return self._scales[start]

    def _apart(
        self, levels: np.ndarray, p: np.ndarray, schedule: Schedule | Records, times: Sequence[float] | np.ndarray,
        initial: Mapping[str, float | np.ndarray], **more: Any,
    ) -> Solution:  # fmt: skip
        """Subjects whose doses differ by orders of magnitude, each group with tolerances of its own."""
        parts = []
        for level in np.unique(levels):
            mine = np.flatnonzero(levels == level)
            starts = {s: np.asarray(v)[mine] if np.ndim(v) else v for s, v in initial.items()}
            parts.append((mine, self.solve(p[mine], schedule.of(mine), times, initial=starts, **more)))
        return joined(parts, schedule)

    @cached_property
    def _jumps_by_state(self) -> tuple[str, ...]:
        """Rates and rules the outputs depend on that may jump where a state says so."""
        return tuple(jumps_by_state(self.system, needed_states(self.system, self.outputs)))

    def _only_in_lanes(self, schedule: Schedule | Records) -> bool:
        """Whether something is asked for that solving one subject at a time cannot give."""
        return isinstance(schedule, Records) or bool(self.sensitivities) or self.watch is not None

    @cached_property
    def _with_modes(self) -> Solver | None:
        """The solver of the same system with inputs in place of its conditions of time, None where it has none."""
        if self.modes is not None:
            return None
        modes = time_modes(self.system, needed_states(self.system, self.outputs), self.sensitivities)
        if modes is None:
            return None
        values = {name: self.values[name] for name in (*self.system.parameters, *self.system.inputs)}
        system = replace(modes.system, inputs={**modes.system.inputs, **{k: values[k] for k in self.system.inputs}})
        fixed = {name: values[name] for name in self.system.parameters}
        twin = Solver(system, self.outputs[: self.asked], self.vary, fixed, self.options, self.sensitivities)
        twin.modes, twin.lines = modes, self.lines
        return twin

    def _on_lines(self, names: tuple[str, ...]) -> Solver:
        """The solver of the same system where some inputs follow straight lines in time."""
        if names not in self._twins:
            own = {name: self.values[name] for name in self.system.inputs}
            system = on_lines(replace(self.system, inputs=own), names)
            fixed = {name: self.values[name] for name in system.parameters}
            twin = Solver(system, self.outputs[: self.asked], self.vary, fixed, self.options, self.sensitivities)
            twin.lines = names
            self._twins[names] = twin
        return self._twins[names]

    def _extended(self, p: np.ndarray) -> np.ndarray:
        """Parameters (n_subjects, len(free)): those that vary, then those to differentiate by that do not."""
        own = [self.values[name] for name in self.free[len(self.vary) :]]
        return np.hstack([p, np.broadcast_to(own, (len(p), len(own)))]) if own else p

    def _with_events(
        self,
        p: np.ndarray,
        schedule: Schedule | Records,
        moments: np.ndarray,
        start: float,
        rtol: float,
        tolerances: np.ndarray,
        initial: Mapping[str, float | np.ndarray],
        after: bool,
        progress: Progress | None,
        own: OwnScales | None,
        level: float,
    ) -> Solution:
        """One subject at a time, in float64: what the lanes cannot do."""
        if isinstance(schedule, Records):
            raise ValueError(f"{self.system.name} has events; records are for systems without, write a Schedule")
        if self.watch:
            raise ValueError(
                f"{self.system.name} is solved with events, which may change any total; leave conserved out"
            )
        self.ask(schedule)
        check_known(initial, self.system.states, "start state", self.system)
        job = Job(self.system, self.outputs, self.vary, self.values, self.options, p, schedule, moments, start, rtol,
                  tolerances, initial, after, own, level)  # fmt: skip
        return solve_subjects(job, progress)

    def _starts(
        self, code: Code, p: np.ndarray, initial: Mapping[str, float | np.ndarray], start: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Start states (n_subjects or 1, n_live) followed by their sensitivities, and which subjects are finite throughout."""
        values = {**self.values, **{name: p[:, k] for k, name in enumerate(self.free)}}
        known = {**start_values(self.system, values, start), **initial}
        columns = [np.asarray(known[s], float) for s in code.states]
        if all(c.ndim == 0 for c in columns):
            states = np.array([[float(c) for c in columns]])
        else:
            states = np.stack([np.broadcast_to(c, (len(p),)) for c in columns], axis=1)
        if self.sensitivities:
            slopes = start_slopes(self.system, code.states, self.sensitivities, values, start, initial)
            count = max(len(states), len(slopes))
            states = np.hstack([np.broadcast_to(part, (count, part.shape[1])) for part in (states, slopes)])
        good = np.isfinite(p).all(axis=1) & np.isfinite(states).all(axis=1)
        return np.ascontiguousarray(states), good


class _Run:
    """One call of solve: arrays shared by the threads."""

    def __init__(
        self,
        solver: Solver,
        code: Code,
        parameters: np.ndarray,
        schedule: Schedule | Records,
        times: np.ndarray,
        start: float,
        rtol: float,
        tolerances: np.ndarray,
        starts: np.ndarray,
        after: bool,
        only: np.ndarray | None = None,  # the subjects whose outputs are kept
        like: _Run | None = None,  # a run of the same equations, whose table of events is used
        scale: np.ndarray | None = None,  # of each state of the system, where it is its own
    ) -> None:
        self.solver, self.code, self.parameters, self.times, self.start = solver, code, parameters, times, start
        self.starts = starts
        self.columns = 1 + len(solver.sensitivities)  # of states and outputs: themselves, then their sensitivities
        n = len(parameters)
        self.subjects = np.zeros(n, SUBJECT)
        self.subjects["status"], self.subjects["end_time"] = Status.STOPPED, start
        self.status, self.end_time = self.subjects["status"], self.subjects["end_time"]
        self.failed = np.full((min(n, 4096), len(code.states) + 2), -1.0)
        self.counters = np.zeros(4, np.int64)
        slow = {name: k for k, name in enumerate(code.slow)}
        self.rates_from = len(code.slow) - sum(name.startswith(RATE_PREFIX) for name in code.slow)
        rates = {name.removeprefix(RATE_PREFIX): k for name, k in slow.items() if name.startswith(RATE_PREFIX)}
        states = {name: k for k, name in enumerate(code.states)}
        same = like is not None and (like.code.states, like.code.slow) == (code.states, code.slow)
        self.events: EventTable = (
            like.events
            if same and like
            else schedule.table(states, slow, rates, solver.sensitivities, Moments.of_run(start, times, after=after))
        )
        self.slope_slots = np.full((len(slow), len(solver.sensitivities)), -1, np.int64)
        for state, k in rates.items():
            for number, name in enumerate(solver.sensitivities):
                self.slope_slots[k, number] = slow.get(rate_slope(state, name), -1)
        self.sure = True  # that no jump at a known time is missed
        if same and like:
            readings = like.all_readings
        else:
            readings = schedule.readings(times, self.events, after=after)
            if solver.modes:
                numbers = {**solver.values, **{name: parameters[:, k] for k, name in enumerate(solver.free)}}
                self.events, readings, self.sure = solver.modes.put_in(self.events, readings, slow, numbers, start)
            if (self.events.kind == CYCLE_START).any() and not solver.sensitivities:
                self.events, readings = self._steady_states(readings, {states[s]: k for s, k in rates.items()})
        self.all_readings: Readings = readings
        self.readings = readings if only is None else readings.only(only)
        for name, column in (("first_event", self.events.first), ("last_event", self.events.last),
                             ("first_time", self.readings.first), ("n_outputs", self.readings.count),
                             ("first_row", self.readings.row)):  # fmt: skip
            self.subjects[name] = column
        events = self.events
        self.event_records = np.zeros(len(events.time), EVENT)
        for name in ("time", "value", "kind", "target"):
            self.event_records[name] = getattr(events, name)
        self.event_records["slope"] = events.slopes if len(events.slopes) else -1
        self.rows = np.full((len(self.readings.need), len(solver.outputs) * self.columns), np.nan)
        self.start_slow = np.array([solver.values.get(name, 0.0) for name in code.slow[len(solver.free) :]], float)
        index = {s: k for k, s in enumerate(solver.system.states)}
        live = np.array([tolerances[index[s]] for s in code.states])
        of_live = 1.0 if scale is None else np.array([scale[index[s]] for s in code.states])
        values = {**solver.values, **code.zeros(live, of_live)}
        self.shared = np.concatenate([code.uniform(values), [rtol, *live]])
        self.scales = scales(solver.sensitivities, solver.values)
        self.tolerance = np.concatenate([[rtol, *live], np.outer(self.scales, live).ravel()])

    def _steady_states(self, readings: Readings, flows: Mapping[int, int]) -> tuple[EventTable, Readings]:
        """Events and readings with steady states in closed form where the equations are linear."""
        solver, code = self.solver, self.code
        linear = linear_form(code.text.programs.equations, solver.values)
        if linear is None:
            return self.events, readings
        rest = np.array([solver.values.get(name, 0.0) for name in code.slow[len(solver.free) :]], float)
        slow = np.hstack([self.parameters, np.broadcast_to(rest, (len(self.parameters), len(rest)))])
        into = {k: state for state, k in flows.items()}
        return in_closed_form(self.events, readings, linear, slow, into, self.starts, self.rates_from)

    def go(self, good: np.ndarray, threads: int, progress: Progress | None) -> None:
        self.status[~good] = Status.BAD_PARAMETER
        same = self._same_as()
        queue = np.flatnonzero(good & (same == np.arange(len(good)))).astype(np.int64)
        if not len(queue):  # the driver gives OK, and to none before its last output is read
            return
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
        self._copy(np.flatnonzero(good & (same != np.arange(len(good)))), same)

    def _same_as(self) -> np.ndarray:
        """(n_subjects,) the first subject equal to each; sensitivities of events are not compared, so all stay apart."""
        if self.solver.sensitivities:
            return np.arange(len(self.parameters))
        return representatives(self.parameters, self.starts, self.events, self.readings)

    def _copy(self, copies: np.ndarray, same: np.ndarray) -> None:
        for s in copies:
            r = same[s]
            count, to, of = self.readings.count[s], self.readings.row[s], self.readings.row[r]
            self.rows[to : to + count] = self.rows[of : of + count]
            for name in ("status", "end_time", "accepted", "rejected"):
                self.subjects[name][s] = self.subjects[name][r]

    def _work(self, queue: np.ndarray) -> None:
        code, solver, options = self.code, self.solver, self.solver.options
        lanes, layout, dtype = solver.target.lanes, code.layout, solver.target.dtype
        size = layout.size(lanes)
        raw = np.zeros(size + 64 // np.dtype(dtype).itemsize, dtype)
        shift = (-raw.ctypes.data % 64) // raw.itemsize
        w = raw[shift : shift + size]
        w[layout.vectors * lanes :] = np.repeat(self.shared, layout.copies)
        for k, scale in enumerate(self.scales):
            many = options.sensitivity_tolerance
            w[layout.index("scale", k) * lanes :][:lanes] = many * scale
            w[layout.index("relative") * lanes :][:lanes] = many * self.tolerance[0]
        n_all = len(code.states) * self.columns
        rows = rows_of(w, layout, lanes)
        record = np.zeros(1, RUN)[0]
        record["workspace"] = w.ctypes.data
        for name, exported in KERNELS.items():
            record["kernel"][name] = code.address[exported]
        for name in AREAS:
            record["at"][name] = layout.index(name)
        for name, value in self._facts(queue).items():
            record[name] = value
        tables = Tables(
            self.subjects, self.event_records, self.events.value_slopes, self.events.time_slopes, self.slope_slots,
            self.parameters, self.starts, self.start_slow, self.readings.times, self.readings.need, self.tolerance,
            self.failed, self.counters, kept_state=np.zeros((lanes, n_all)), kept_slow=np.zeros((lanes, len(code.slow))),
            cycle_state=np.zeros((lanes, n_all)),
        )  # fmt: skip
        driver.drive(record, np.zeros(lanes, LANE), rows, control_of(w, layout, lanes), tables, queue)

    def _facts(self, queue: np.ndarray) -> dict[str, float]:
        code, solver, ends = self.code, self.solver, self.readings.first[queue] + self.readings.count[queue] - 1
        return {
            "n_states": len(code.states),
            "n_rests": 0 if solver.target.double else len(code.states),
            "n_sensitivities": len(solver.sensitivities),
            "n_vary": len(solver.free),
            "n_slow": len(code.slow),
            "first_rate": self.rates_from,
            "start": self.start,
            "horizon": max(1e-300, float(np.max(np.abs(self.readings.times[ends] - self.start)))),
            "largest_step": solver.options.largest_step,
            "max_steps": solver.options.max_steps,
            "rows": self.rows.ctypes.data,
            "row_bytes": self.rows.strides[0],
            "counters": self.counters.ctypes.data,
        }

    def give_up(self, lost: list[Failure]) -> list[Failure]:
        """End subjects afterwards: their status, and no numbers from the time named on."""
        for failure in lost:
            s, row = failure.subject, self.readings.row[failure.subject]
            times = self.readings.times[self.readings.first[s] :][: self.readings.count[s]]
            self.status[s], self.end_time[s] = failure.status, failure.time
            self.rows[row : row + len(times)][times >= failure.time] = np.nan
        return lost

    def failures(self) -> list[Failure]:
        """Every subject that did not end well, with the state that most likely broke it."""
        kept = {int(row[0]): row for row in self.failed if row[0] >= 0}
        bad = np.flatnonzero(self.status)
        same = self._same_as() if len(bad) else bad
        found = []
        for s in map(int, bad):
            state, value = "", np.nan
            last = kept.get(int(same[s]))
            if last is not None:
                state, value = self.code.culprit(self._values_of(s), last[2:], last[1], self.end_time[s])
                if self._left_float32(s, last[2:]):
                    self.status[s] = Status.FLOAT32_RANGE
            found.append(Failure(int(s), Status(self.status[s]), float(self.end_time[s]), state, float(value)))
        return found

    def _left_float32(self, subject: int, states: np.ndarray) -> bool:
        """Whether float64 has the numbers that float32 lacked."""
        if self.solver.target.double or self.status[subject] != Status.NOT_FINITE:
            return False
        return self.code.has_numbers(self._values_of(subject), states, self.end_time[subject])

    def _values_of(self, subject: int) -> dict[str, float]:
        values = dict(self.solver.values)
        values.update(zip(self.solver.free, self.parameters[subject], strict=True))
        return values

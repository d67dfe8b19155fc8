"""What a solver is built for, and one call of it: checked at the door, then handed on as it is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from respine.engine.codegen.target import Target
from respine.engine.dosing.records import Records
from respine.engine.dosing.schedule import Schedule
from respine.engine.input_checks import check_known, check_one_clock, checked_times, tolerances_of
from respine.engine.solution import Options
from respine.engine.tolerances import OwnScales
from respine.model.system import System

Progress = Callable[[int, int], None]
"""Called with the number of subjects that have ended, and of all."""


@dataclass(frozen=True)
class Setup:
    """What a solver is built for. ``values``: the numbers of all parameters and inputs that do not vary."""

    system: System
    outputs: tuple[str, ...]  # those asked for, then those that record conserved totals
    n_asked: int
    vary: tuple[str, ...]
    values: Mapping[str, float]
    options: Options
    target: Target
    sensitivities: tuple[str, ...] = ()

    @property
    def free(self) -> tuple[str, ...]:
        """Parameters that are no literals in the code: those that vary, then those to differentiate by that do not."""
        return (*self.vary, *(s for s in self.sensitivities if s in self.system.parameters and s not in self.vary))

    @property
    def asked(self) -> tuple[str, ...]:
        """The outputs that were asked for."""
        return self.outputs[: self.n_asked]

    def extended(self, parameters: np.ndarray) -> np.ndarray:
        """Values of the free parameters, (n_subjects, len(free)), from those that vary, (n_subjects, len(vary))."""
        own = [self.values[name] for name in self.free[len(self.vary) :]]
        return np.hstack([parameters, np.broadcast_to(own, (len(parameters), len(own)))]) if own else parameters


@dataclass(frozen=True)
class Request:
    """One call of a solver.

    ``absolute`` are the tolerances of the states as given or by default; where none were given, ``own`` has the scales of
    the states themselves, ``level`` that of what starts at zero in these subjects.
    """

    parameters: np.ndarray  # (n_subjects, n_vary)
    schedule: Schedule | Records
    times: np.ndarray  # of the outputs, (n_times,); of all records on the run's clock for Records
    start: float
    rtol: float
    absolute: Mapping[str, float]
    initial: Mapping[str, float | np.ndarray]  # start values by state, a number or (n_subjects,)
    after: bool = False
    threads: int | None = None
    progress: Progress | None = None
    locate_jumps: bool | None = None
    own: OwnScales | None = None
    level: float = 1.0

    @property
    def n_subjects(self) -> int:
        """How many subjects are asked for."""
        return len(self.parameters)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the results without the axis of outputs: (n_subjects, n_times), or (n_records,)."""
        return (-1,) if isinstance(self.schedule, Records) else (self.n_subjects, len(self.times))

    @property
    def shown_times(self) -> np.ndarray:
        """The times of the result: of records those they were given with."""
        return self.schedule.own_times if isinstance(self.schedule, Records) else self.times

    def tolerances(self, states: Sequence[str], rooted: Collection[str]) -> tuple[np.ndarray, np.ndarray]:
        """Absolute tolerance and scale of each of these states, (n_states,) each; 1 for one that is not the system's.

        ``rooted`` states stand under a root, see tolerances.py.
        """
        absolute = np.array([self.absolute.get(s, 1.0) for s in states])
        if self.own is None:
            return absolute, np.ones(len(states))
        return self.own.tolerances(states, absolute, self.level, rooted, self.initial, self.rtol)

    def of(self, subjects: np.ndarray) -> Request:
        """The same for some of the subjects."""
        schedule = self.schedule.of(subjects)
        times = schedule.times(self.start) if isinstance(schedule, Records) else self.times
        initial = {s: np.asarray(v)[subjects] if np.ndim(v) else v for s, v in self.initial.items()}
        return replace(
            self, parameters=self.parameters[subjects], schedule=schedule, times=times, initial=initial
        )  # fmt: skip


def checked_request(
    setup: Setup,
    own: Callable[[float], OwnScales],
    parameters: np.ndarray | None,
    schedule: Schedule | Records | None,
    times: Sequence[float] | np.ndarray,
    *,
    start: float,
    rtol: float,
    atol: float | Mapping[str, float] | None,
    initial: Mapping[str, float | np.ndarray] | None,
    after: bool,
    threads: int | None,
    progress: Progress | None,
    locate_jumps: bool | None,
) -> Request:
    """What the arguments of `Solver.solve` say; ``own`` gives the scales of states at a start. Raises ValueError."""
    system, initial = setup.system, initial or {}
    count = schedule.n_subjects if schedule else 1
    p = np.zeros((count, 0)) if parameters is None else np.ascontiguousarray(parameters, float)
    if p.ndim != 2 or p.shape[1] != len(setup.vary):
        raise ValueError(f"parameters have shape {p.shape}; {len(setup.vary)} columns are wanted: {list(setup.vary)}")
    schedule = schedule or Schedule(len(p))
    if schedule.n_subjects != len(p):
        raise ValueError(f"the schedule is for {schedule.n_subjects} subjects, the parameters for {len(p)}")
    moments = schedule.times(start) if isinstance(schedule, Records) else checked_times(times, start)
    schedule.check_start(start)
    if isinstance(schedule, Records):
        check_one_clock(system, schedule)
    absolute = dict(zip(system.states, map(float, tolerances_of(system, rtol, atol)), strict=True))
    check_known(initial, system.states, "start state", system)
    for name, value in initial.items():
        if np.shape(value) not in ((), (len(p),)):
            raise ValueError(f"start of {name} has shape {np.shape(value)}; write one number or {len(p)}")
    return Request(p, schedule, moments, start, rtol, absolute, initial, after, threads, progress, locate_jumps,
                   own(start) if atol is None else None)  # fmt: skip

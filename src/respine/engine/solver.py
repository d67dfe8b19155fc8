"""The front door of the engine: build a solver for a system, solve it for many subjects at once."""

from __future__ import annotations

import time as clock
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from respine.engine.codegen.code import Code, check_method, code_for
from respine.engine.codegen.target import host_target
from respine.engine.dosing.covariates import on_lines
from respine.engine.dosing.records import Records
from respine.engine.dosing.schedule import Schedule
from respine.engine.equations.rate_jumps import jumps_by_state, needed_states, refuse_jumps
from respine.engine.equations.specialise import Requirements, specialise
from respine.engine.events.solver import solve_subjects
from respine.engine.events.time_modes import TimeModes, time_modes
from respine.engine.exact.linear_system import LinearSystem, linear_system, may_be_linear
from respine.engine.exact.solve import solve_exactly
from respine.engine.input_checks import check_known, check_once
from respine.engine.request import Progress, Request, Setup, checked_request
from respine.engine.run.conservation import ConservedTotals, conserved_totals
from respine.engine.run.solve_lanes import Twin, solve_lanes
from respine.engine.solution import Options, Solution
from respine.engine.tolerances import OwnScales, joined, own_scales, told_of_size
from respine.model.system import System


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
    options = options or Options()
    outputs, vary, sensitivities = tuple(outputs), tuple(vary), tuple(sensitivities)
    if not outputs:
        raise ValueError("no outputs asked for; name at least one state or rule")
    check_known(outputs, (*system.states, *system.rules, *system.parameters, *system.inputs), "output", system)
    check_known(vary, system.parameters, "varying parameter", system)
    check_known(fixed or {}, (*system.parameters, *system.inputs), "fixed parameter", system)
    check_once(vary, "varying parameter")
    check_once(outputs, "output")
    check_once(sensitivities, "sensitivity")
    check_method(options.method)
    if sensitivities and options.precision != "float64":
        raise ValueError(f'sensitivities need precision="float64", not "{options.precision}": their error would be '
                         "as large as what they are used for")  # fmt: skip
    values = {**system.parameters, **system.inputs, **(fixed or {})}
    totals, n_asked = None, len(outputs)
    if options.conserved:
        totals = conserved_totals(system, vary, values)
        system, outputs = totals.extended(system), (*outputs, *totals.outputs)
    target = host_target(options.precision, options.lanes)
    return Solver(Setup(system, outputs, n_asked, vary, values, options, target, sensitivities), totals)


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
    """Solves one system for any number of subjects; machine code is made when a schedule first asks for it.

    Made by `build`. ``setup`` is what it was built for.
    """

    def __init__(self, setup: Setup, totals: ConservedTotals | None = None, lines: tuple[str, ...] = (),
                 modes: TimeModes | None = None) -> None:  # fmt: skip
        self.setup, self.totals = setup, totals
        self.lines = lines  # covariates the system has as straight lines, see dosing/covariates.py
        self.modes = modes  # inputs that stand for conditions of time, see events/time_modes.py
        self._code: dict[Requirements, Code] = {}
        self._on_lines: dict[tuple[str, ...], Solver] = {}
        self._linear_systems: dict[Requirements, LinearSystem | None] = {}
        self._scales: dict[float, OwnScales] = {}

    def requirements(self, schedule: Schedule | Records) -> Requirements:
        """What this schedule needs of the system. Raises ValueError for an unknown dose target or input."""
        setup, system = self.setup, self.setup.system
        check_known((*schedule.dosed, *schedule.infused), system.states, "dosed state", system)
        check_known(schedule.changing, system.inputs, "input", system)
        names = setup.sensitivities
        if names:
            known = (*system.parameters, *schedule.dependent)
            check_known(names, known, "parameter (or name a dose depends on)", system)
            role = "parameter or sensitivity, but a dose depends on it; such a name"
            check_known(schedule.dependent, (*system.parameters, *names), role, system)
        return Requirements(
            setup.outputs,
            setup.free,
            tuple(sorted((*schedule.changing, *(self.modes.names if self.modes else ())))),
            schedule.dosed,
            tuple(sorted(schedule.infused)),
            setup.options.keep_all,
            names,
            tuple((state, name) for state, name in sorted(schedule.driven) if name in names),
            tuple((state, name) for name in names for state in sorted(schedule.moved({name}))),
            setup.options.nonnegative,
        )

    def live_states(self, schedule: Schedule | Records) -> tuple[str, ...]:
        """The states that are left once what this schedule and the outputs do not need is cut away."""
        return specialise(self.setup.system, self.requirements(schedule), self.setup.values).states

    def code(self, requirements: Requirements) -> Code:
        """The machine code for one kind of schedule, compiled or loaded at first use."""
        if requirements not in self._code:
            setup = self.setup
            code = code_for(setup.system, requirements, setup.values, setup.options.method, setup.target)
            if setup.sensitivities:
                refuse_jumps(setup.system, requirements, code.states)
            self._code[requirements] = code
        return self._code[requirements]

    def code_of(self, request: Request) -> Code:
        """The machine code for a request; a state that it gives a start is no constant of the code."""
        requirements = self.requirements(request.schedule)
        code = self.code(requirements)
        resting = {s for s in request.initial if s in code.constant}
        return self.code(replace(requirements, dosed=requirements.dosed | resting)) if resting else code

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
        request = checked_request(
            self.setup, self._own_scales, parameters, schedule, times, start=start, rtol=rtol, atol=atol,
            initial=initial, after=after, threads=threads, progress=progress, locate_jumps=locate_jumps,
        )  # fmt: skip
        return replace(self.answer(request), seconds=clock.perf_counter() - begun)

    def answer(self, request: Request) -> Solution:
        """The solution of a request: as it is, by a solver of a system made fit for it, or one subject at a time."""
        lines = tuple(sorted(name for name, way in request.schedule.covariates.items() if way == "linear"))
        if lines and self.lines != lines:
            return self._with_lines(lines).answer(request)
        exact = self._exactly(request)
        if exact is not None:
            return exact
        if request.own:
            levels = request.own.of_subjects(request.schedule, request.initial)
            groups = np.unique(levels)
            if len(groups) > 1:
                parts = [(subjects := np.flatnonzero(levels == g), self.answer(request.of(subjects))) for g in groups]
                return joined(parts, request.schedule)
            request = replace(request, level=float(groups[0]) if len(groups) else 1.0)
        by_state = self._jumps_by_state if request.locate_jumps is None else ()
        only_in_lanes = isinstance(request.schedule, Records) or self.setup.sensitivities or self.totals
        if self.setup.system.events or request.locate_jumps or (by_state and not only_in_lanes):
            return self._with_size_told(request, self._one_by_one(request))
        if request.locate_jumps is None and self._with_modes is not None:
            return self._with_modes.answer(request)
        code = self.code_of(request)
        twin = None
        if self._in_float64:
            twin = Twin(self._in_float64.setup, self._in_float64.code_of(request))
        solution = solve_lanes(self.setup, code, request, self.modes, self.totals, twin, by_state)
        return self._with_size_told(request, solution)

    @staticmethod
    def _with_size_told(request: Request, solution: Solution) -> Solution:
        if request.own is None or not solution.failures:
            return solution
        sizes = request.own.of_states(request.level, (), request.initial, request.rtol)
        begun = {s: size for s, size in sizes.items() if s in request.initial or request.own.starts[s] > 0}
        return told_of_size(solution, begun or sizes)

    def _exactly(self, request: Request) -> Solution | None:
        """The solution without steps where the equations are linear, else None."""
        options = self.setup.options
        if options.linear != "exact" or options.nonnegative or self.setup.system.events or request.locate_jumps:
            return None
        if request.locate_jumps is None and self._with_modes is not None:
            return self._with_modes._exactly(request)
        linear = self._linear(self._needs(request))
        return solve_exactly(self.setup, linear, request, self.modes, self.totals) if linear else None

    def _linear(self, requirements: Requirements) -> LinearSystem | None:
        if requirements not in self._linear_systems:
            system, values = self.setup.system, self.setup.values
            linear = None
            if may_be_linear(system, requirements, values):
                equations = specialise(system, requirements, values)
                if not equations.states:  # everything rests
                    equations = specialise(system, replace(requirements, keep_all=True), values)
                linear = linear_system(equations) if equations.states else None
                if linear and self.setup.sensitivities:
                    refuse_jumps(system, requirements, equations.states)
            self._linear_systems[requirements] = linear
        return self._linear_systems[requirements]

    def _needs(self, request: Request) -> Requirements:
        """What a request needs; a state that it gives a start is no constant."""
        requirements = self.requirements(request.schedule)
        given = frozenset(request.initial)
        return replace(requirements, dosed=requirements.dosed | given) if given else requirements

    def _one_by_one(self, request: Request) -> Solution:
        """One subject at a time, in float64: what the lanes cannot do."""
        system = self.setup.system
        if self.setup.sensitivities:
            raise ValueError(f"sensitivities stop at triggered events, and {system.name} has some or jumps are "
                             "to be located; build without sensitivities")  # fmt: skip
        if isinstance(request.schedule, Records):
            raise ValueError(f"{system.name} has events; records are for systems without, write a Schedule")
        if self.totals:
            raise ValueError(f"{system.name} is solved with events, which may change any total; leave conserved out")
        self.requirements(request.schedule)
        return solve_subjects(self.setup, request, request.schedule)

    def _own_scales(self, start: float) -> OwnScales:
        if start not in self._scales:
            self._scales[start] = own_scales(self.setup.system, self.setup.values, start)
        return self._scales[start]

    @cached_property
    def _jumps_by_state(self) -> tuple[str, ...]:
        """Rates and rules the outputs depend on that may jump where a state says so."""
        system = self.setup.system
        return tuple(jumps_by_state(system, needed_states(system, self.setup.outputs)))

    # ---- solvers of a system that is the same but for one thing ------------------------------------------------------
    @cached_property
    def _in_float64(self) -> Solver | None:
        """By which a float32 solver is judged."""
        options = self.setup.options
        if options.precision != "float32":
            return None
        options = replace(options, precision="float64", conserved=False)
        target = host_target("float64", options.lanes)
        return Solver(replace(self.setup, outputs=self.setup.asked, options=options, target=target), None, self.lines,
                      self.modes)  # fmt: skip

    @cached_property
    def _with_modes(self) -> Solver | None:
        """With inputs in place of its conditions of time, None where it has none."""
        setup = self.setup
        if self.modes is not None:
            return None
        modes = time_modes(setup.system, needed_states(setup.system, setup.outputs), setup.sensitivities)
        if modes is None:
            return None
        values = {**dict.fromkeys(modes.system.inputs, 0.0), **modes.system.inputs, **setup.values}
        return Solver(replace(setup, system=modes.system, values=values), self.totals, self.lines, modes)

    def _with_lines(self, names: tuple[str, ...]) -> Solver:
        """Where some inputs follow straight lines in time."""
        if names not in self._on_lines:
            setup = self.setup
            own = {name: setup.values[name] for name in setup.system.inputs}
            system = on_lines(replace(setup.system, inputs=own), names)
            values = {**system.inputs, **{name: setup.values[name] for name in system.parameters}}
            self._on_lines[names] = Solver(replace(setup, system=system, values=values), self.totals, names)
        return self._on_lines[names]

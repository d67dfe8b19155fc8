"""What all subjects of a request with events share: machine code of the smooth equations, and index tables."""

from __future__ import annotations

from respine.engine.codegen.code import Code, code_for
from respine.engine.codegen.target import Target, host_target
from respine.engine.dosing.moments import Moments
from respine.engine.dosing.schedule import Schedule
from respine.engine.equations.specialise import Requirements, specialise
from respine.engine.events.hybrid import LIVE, Hybrid, hybrid
from respine.engine.events.time_conditions import Clock
from respine.engine.request import Request, Setup


class Prepared:
    """Code and tables of a request, and what its subjects have to tell.

    ``tolerances`` and ``scale`` are those of the code's states; ``names`` number the targets of the doses in ``table``.
    """

    def __init__(self, setup: Setup, request: Request, schedule: Schedule) -> None:
        self.setup, self.request, self.schedule = setup, request, schedule
        self.left: set[str] = set()  # modes that some subject left to the error control
        self.clock_is_sure = True  # no condition of time was only looked at in many places
        self.target: Target = host_target("float64", setup.options.lanes)
        self.hybrid, requirements, self.values = self._split(clock=False)
        if not specialise(self.hybrid.system, requirements, self.values).states:
            self.hybrid, requirements, self.values = self._split(clock=True)
        self.code: Code = code_for(self.hybrid.system, requirements, self.values, setup.options.method, self.target)
        self.states = {name: k for k, name in enumerate(self.code.states)}
        self.tolerances, self.scale = request.tolerances(self.code.states, self.code.rooted)
        self.names = (*setup.system.states, *setup.system.inputs)
        where = {name: k for k, name in enumerate(self.names)}
        moments = Moments.of_run(request.start, request.times, after=request.after)
        self.table = schedule.table(where, where, where, moments=moments)
        self.uniform = self.code.uniform({**self.values, **self.code.zeros(self.tolerances, self.scale)})
        self.clock = Clock(self.hybrid.clocked, self.hybrid.clock_rules)

    def _split(self, *, clock: bool) -> tuple[Hybrid, Requirements, dict[str, float]]:
        """Smooth equations with what to watch, what they need, and the numbers of their parameters and inputs."""
        setup, schedule = self.setup, self.schedule
        split = hybrid(setup.system, setup.outputs, schedule.infused, clock=clock)
        assigned = {name for e in setup.system.events for name, _ in e.assignments}
        modes = [s.mode for s in split.switches]
        inputs = {*schedule.changing, *(assigned & set(setup.system.inputs))}
        requirements = Requirements(
            split.outputs, setup.vary, (*sorted(inputs), *split.held, *modes),
            frozenset((assigned | schedule.dosed | set(self.request.initial)) - set(split.held)),
            tuple(sorted(schedule.infused)), setup.options.keep_all, nonnegative=setup.options.nonnegative,
        )  # fmt: skip
        values = {**setup.values, **dict.fromkeys(split.held, 0.0), **dict.fromkeys(modes, LIVE)}
        return split, requirements, values

"""One experiment as a system: what its conditions set at the start is a start value, what they set later an event."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from respine import engine
from respine.errors import InputError, Problem
from respine.interop.petab.tables import Experiment, Targets
from respine.model.content import Content, Variable
from respine.model.expression import Expr, evaluate, mentions_time, num, sym, symbols
from respine.model.read_sbml import system_of
from respine.model.system import Event, System

FAR = tuple(10.0**k for k in range(1, 9))  # times at which a steady state is looked for
AT_REST = 1e-6  # relative change from one of these times to the next that counts as rest
FIRST = 1e9  # priority of conditions: they are set before the model's own events of the same moment


class NotAtRest(Exception):
    """A steady state was asked for, and the system goes on moving."""


@dataclass(frozen=True)
class Course:
    """Values of symbols at times; each (n_times, n) for n parameter vectors."""

    times: np.ndarray
    values: Mapping[str, np.ndarray]


class Simulator:
    """Solves one experiment for many parameter vectors at once."""

    def __init__(self, content: Content, experiment: Experiment, wanted: Sequence[str], fixed: Mapping[str, float],
                 varied: Sequence[str]) -> None:  # fmt: skip
        self.experiment, self.rtol = experiment, 0.0
        self.failures: dict[int, str] = {}  # of the last solve: vectors that could not be solved, whose values are NaN
        self.steady = None
        first = dict(experiment.periods[0][1])
        if experiment.steady is not None:
            self.steady = system_of(_conditioned(content, experiment.steady, [], fixed, varied))
            kept = {k: v for k, v in experiment.steady.items() if not _is_state(self.steady, k)}
            self.carried = {**kept, **first}
        else:
            self.carried = first
        # what is set after a steady state may depend on it, and is worked out there
        at_start = {k: v for k, v in self.carried.items() if self.steady is None or not _is_state(self.steady, k)}
        after_rest = _not_anew(content) if self.steady is not None else content
        self.system = system_of(_conditioned(after_rest, at_start, experiment.periods[1:], fixed, varied))
        known = {*self.system.states, *self.system.rules, *self.system.parameters, *self.system.inputs}
        self.outputs = tuple(dict.fromkeys(name for name in wanted if name in known)) or self.system.states[:1]
        self.varied = tuple(varied)
        self._solvers: dict[str, engine.Solver] = {}

    def solve(self, values: Mapping[str, np.ndarray], times: Sequence[float], n: int, rtol: float) -> Course:
        """The outputs at ``times`` (inf: at rest). Raises NotAtRest."""
        self.rtol, self.failures = rtol, {}
        start = self.experiment.periods[0][0]
        initial = self._after_rest(values, n) if self.steady is not None else {}
        finite = sorted({t for t in times if math.isfinite(t)})
        courses = {name: np.empty((len(finite) + any(map(math.isinf, times)), n)) for name in self.outputs}
        if finite:
            got = self._run("main", self.system, self.outputs, values, finite, n, start, initial)
            for k, name in enumerate(self.outputs):
                courses[name][: len(finite)] = got[:, :, k].T
        if any(map(math.isinf, times)):
            last = self._rest(self.system, self.outputs, values, n, start, initial, "main")
            for name in self.outputs:
                courses[name][-1] = last[name]
            finite.append(math.inf)
        return Course(np.array(finite), courses)

    @property
    def plain(self) -> bool:
        """Whether sensitivities follow it: no steady state to be sought, no events."""
        return self.steady is None and not self.system.events and bool(self.system.rates)

    def tangent(self, values: Mapping[str, float], times: Sequence[float], moves: np.ndarray, names: Sequence[str],
                rtol: float) -> Course:  # fmt: skip
        """The outputs on their tangent at one parameter vector: for ``moves`` (n, len(names)) of the parameters.

        Of a plain experiment at finite times.
        """
        own = tuple(p for p in names if p in self.system.parameters)
        finite = sorted(set(times))
        solver = engine.build(self.system, outputs=self.outputs, vary=own, sensitivities=own)
        solution = solver.solve(
            np.array([[values[p] for p in own]]), engine.Schedule(1), finite, start=self.experiment.periods[0][0], rtol=rtol,
            after=True,
        )  # fmt: skip
        if solution.failures:
            raise ValueError(str(solution.failures[0]))
        slopes = np.asarray(solution.gradients)[0]  # (n_times, n_outputs, n_own)
        along = np.column_stack([moves[:, list(names).index(p)] for p in own]) if own else np.zeros((len(moves), 0))
        moved = np.asarray(solution.values)[0][:, :, None] + np.einsum("top,np->ton", slopes, along)
        return Course(np.array(finite), {name: moved[:, k] for k, name in enumerate(self.outputs)})

    def _after_rest(self, values: Mapping[str, np.ndarray], n: int) -> dict[str, np.ndarray]:
        """Start values of all states: at rest, then as the first period's conditions set them."""
        assert self.steady is not None
        states = self.steady.states
        rest = self._rest(self.steady, (*states, *self.steady.rules), values, n, 0.0, {}, "steady")
        initial = {
            s: np.nan_to_num(rest[s]) for s in states if s in self.system.rates
        }  # of those that failed: NaN later
        known = {**self.system.parameters, **self.system.inputs, **values, **rest}
        for name, expr in self.experiment.periods[0][1].items():
            if expr is not None and _is_state(self.steady, name):
                if name not in self.system.rates:
                    why = "it is set after a steady state, in a compartment whose size moves."
                    raise InputError(Problem("conditions", name, "", why, "Set it in a period with a time."))
                initial[name] = np.broadcast_to(np.asarray(evaluate(expr, known), float), (n,)).copy()
        return initial

    def _rest(self, system: System, outputs: Sequence[str], values: Mapping[str, np.ndarray], n: int, start: float,
              initial: Mapping[str, np.ndarray], name: str) -> dict[str, np.ndarray]:  # fmt: skip
        got = self._run(f"{name} rest", system, outputs, values, [start + t for t in FAR], n, start, initial)
        last, before = got[:, -1], got[:, -2]
        scale = np.abs(last) + 1e-9 * np.nanmax(np.abs(got), axis=1)
        with np.errstate(all="ignore"):
            moved = np.abs(last - before) > AT_REST * scale + 1e-12
        if moved[:, [o in system.rates for o in outputs]].any():
            k = int(np.argwhere(moved)[0, 1])
            raise NotAtRest(f"{outputs[k]} still moves at time {FAR[-1]:g}")
        return {o: last[:, k] for k, o in enumerate(outputs)}

    def _run(self, name: str, system: System, outputs: Sequence[str], values: Mapping[str, np.ndarray],
             times: Sequence[float], n: int, start: float, initial: Mapping[str, np.ndarray]) -> np.ndarray:  # fmt: skip
        if not system.rates:
            return _without_states(system, outputs, values, times, n)
        vary = tuple(p for p in self.varied if p in system.parameters)
        if name not in self._solvers:
            self._solvers[name] = engine.build(system, outputs=tuple(outputs), vary=vary)
        parameters = np.column_stack([values[p] for p in vary]) if vary else np.zeros((n, 0))
        solution = self._solvers[name].solve(
            parameters, engine.Schedule(n), times, start=start, rtol=self.rtol, initial=initial, after=True
        )
        self.failures |= {f.subject: str(f) for f in solution.failures}
        return np.asarray(solution.values)


def _without_states(system: System, outputs: Sequence[str], values: Mapping[str, np.ndarray],
                    times: Sequence[float], n: int) -> np.ndarray:  # fmt: skip
    """A model in which nothing moves."""
    made = np.empty((n, len(times), len(outputs)))
    for k, time in enumerate(times):
        known = {**system.parameters, **system.inputs, **{p: v for p, v in values.items() if p in system.parameters}}
        for rule, expr in system.rules.items():
            known[rule] = evaluate(expr, known, time)
        for j, name in enumerate(outputs):
            made[:, k, j] = np.asarray(known[name], float)
    return made


def _not_anew(content: Content) -> Content:
    """Events whose triggers have turned true on the way to rest do not turn true once more where the experiment starts."""
    events = [e if mentions_time(e.trigger) else replace(e, initial_value=True) for e in content.events]
    return replace(content, events=events)


def _is_state(system: System, name: str) -> bool:
    return name in system.rates or name in system.species


def _conditioned(content: Content, at_start: Targets, later: Sequence[tuple[float, Targets]],
                 fixed: Mapping[str, float], varied: Sequence[str]) -> Content:  # fmt: skip
    """The model's declarations with the problem's parameters and the conditions' values in them."""
    made = replace(
        content, variables=dict(content.variables), starts=dict(content.starts), rules=dict(content.rules),
        rates=dict(content.rates), events=list(content.events), lines=dict(content.lines), taken=set(content.taken),
        reactions=dict(content.reactions), flows=list(content.flows),
    )  # fmt: skip
    for name in (*fixed, *varied):
        old = made.variables.get(name) or Variable(name, "parameter", math.nan, 0, constant=True)
        if old.kind == "species":
            continue
        made.starts.pop(name, None)
        made.variables[name] = replace(old, value=float(fixed.get(name, 1.0)), given=True)
        made.taken.add(name)
    for name, expr in at_start.items():
        _set_start(made, name, expr)
    unknown = {t for _, targets in later for t in targets if t not in made.variables}
    for name in unknown:
        made.variables[name] = Variable(name, "parameter", 0.0, 0)
    for k, (time, targets) in enumerate(later):
        given = tuple((name, expr) for name, expr in targets.items() if expr is not None)
        sizes = tuple(item for item in given if made.variables[item[0]].kind == "compartment")
        # a concentration is one in the compartment's new size, set or as it was before: all values are those of before
        others = tuple(item for item in given if item not in sizes)
        others += tuple((name, sym(name)) for name in _inside(made, {size for size, _ in sizes}) if name not in targets)
        for first, part in enumerate((sizes, others)):
            if part:
                trigger: Expr = ("ge", ("time",), num(time))
                made.events.append(Event(made.unique(f"condition_{k + 1}"), trigger, part,
                                         priority=num(FIRST - 2 * k - first), initial_value=False))  # fmt: skip
    if later:
        made.events = [replace(e, priority=num(0)) if e.priority is None else e for e in made.events]
    _declare_the_rest(made)
    return made


def _inside(content: Content, compartments: set[str]) -> list[str]:
    """Species of these compartments that stand for concentrations."""
    return [v.id for v in content.variables.values() if v.kind == "species" and v.compartment in compartments
            and not v.only_substance and v.dimensions > 0 and v.id not in content.rules]  # fmt: skip


def _set_start(content: Content, name: str, expr: Expr | None) -> None:
    if expr is None:
        return
    old = content.variables.get(name)
    if name in content.rules:
        why = "a condition sets it, and a rule of the model determines it."
        raise InputError(Problem("conditions", name, "", why, "Set what the rule depends on."))
    if old is None:
        old = content.variables[name] = Variable(name, "parameter", math.nan, 0, constant=True)
    content.starts.pop(name, None)
    value = _constant(expr)
    if value is not None and old.kind != "species":
        content.variables[name] = replace(old, value=value, given=True)
    else:
        content.starts[name] = expr if value is None else num(value)


def _constant(expr: Expr) -> float | None:
    if any(True for _ in symbols(expr)):
        return None
    return float(evaluate(expr, {}))


def _declare_the_rest(content: Content) -> None:
    """Names that conditions use and nothing declares. Raises InputError."""
    known = {*content.variables, *content.rules, *content.rates, *content.reactions}
    used = {s for expr in content.starts.values() for s in symbols(expr)}
    used |= {s for event in content.events for _, expr in event.assignments for s in symbols(expr)}
    missing = sorted(s for s in used - known if not s.startswith("rateOf:"))
    if missing:
        why = "conditions use it, and neither the model nor the parameter table has it."
        raise InputError(*(Problem("conditions", name, "", why, "Add it to the parameter table.") for name in missing))

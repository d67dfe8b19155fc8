"""A system with events as smooth equations plus what to watch: triggers, and switches inside the equations.

Every comparison that a rate depends on becomes a *mode*, an input that holds its value while the solver steps, so that
each step sees smooth equations; the solver watches the comparison itself and changes the mode where it flips.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from respine.engine.equations.graph import COMPARISONS
from respine.model.expression import Expr, num, sym, symbols
from respine.model.system import Event, System

TIMED = COMPARISONS | {"floor", "ceil"}
TURNING = TIMED - {"eq", "ne"}  # a state is equal to something for no time
LIVE = 1e301  # a mode with this value follows its comparison at once: for comparisons that flip without end
SLOW, TIME, STATE = range(3)  # what an expression depends on: numbers that rest between events, time, the state


@dataclass(frozen=True)
class Switch:
    """A comparison (or floor, ceil) inside the equations and the input that stands in for it."""

    mode: str
    expr: Expr
    depends: int


@dataclass(frozen=True)
class Watched:
    """A condition whose flip the solver looks for: output number of its value and of its margin (-1: it has none)."""

    value: int
    margin: int


@dataclass(frozen=True)
class EventOutputs:
    """Where an event's formulas stand among the outputs; ``trigger`` is -1 where it depends on time alone.

    ``volumes``: states whose assigned value is multiplied by an output (a volume) as it is when the event is executed,
    before any of its assignments.
    """

    event: Event
    trigger: int
    delay: int
    priority: int
    assignments: tuple[tuple[str, int], ...]
    volumes: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Hybrid:
    """Smooth equations, the outputs to compile, and what the outputs mean.

    ``held`` are states that only events move, now inputs; ``clocked`` the conditions that depend on time alone, by name
    (``mode`` of a switch or ``trigger k``); ``clock_rules`` the rules they need.
    """

    system: System
    outputs: tuple[str, ...]
    n_asked: int
    held: tuple[str, ...]
    switches: tuple[Switch, ...]
    switch_outputs: tuple[int, ...]
    events: tuple[EventOutputs, ...]
    watched: tuple[Watched, ...]
    clocked: Mapping[str, Expr]
    clock_rules: Mapping[str, Expr]


def hybrid(system: System, outputs: Iterable[str], infused: Iterable[str] = (), *, clock: bool = False) -> Hybrid:
    """Split a system for the event solver. ``clock`` adds a state that counts time, where no other state lives."""
    return _Split(system, tuple(outputs), frozenset(infused), clock).result()


def has_switches(system: System) -> bool:
    """Whether a rate of the system jumps somewhere (a piecewise, floor or comparison it depends on)."""
    split = _Split(system, (), frozenset(), False)
    split.freeze()
    return any(s.depends > SLOW for s in split.switches.values())


class _Split:
    def __init__(self, system: System, outputs: tuple[str, ...], infused: frozenset[str], clock: bool) -> None:
        self.system, self.asked, self.clock = system, outputs, clock
        self.held = tuple(s for s, rate in system.rates.items() if rate == num(0) and s not in infused)
        self.live = frozenset(system.states) - set(self.held)
        self.rules = dict(system.rules)
        self.rates = {s: rate for s, rate in system.rates.items() if s in self.live}
        self.switches: dict[Expr, Switch] = {}
        self.depends: dict[str, int] = {}
        for name, rule in self.rules.items():
            self.depends[name] = self.kind(rule)

    def kind(self, expr: Expr) -> int:
        """What an expression depends on."""
        if expr[0] == "time":
            return TIME
        if expr[0] == "sym":
            return STATE if expr[1] in self.live else self.depends.get(expr[1], SLOW)
        return SLOW if expr[0] == "num" else max(self.kind(part) for part in expr[1:])

    # ---- modes ------------------------------------------------------------------------------------------------------
    def freeze(self) -> None:
        """Put modes in place of the comparisons on which rates depend."""
        needed: set[str] = set()
        stack = [s for rate in self.rates.values() for s in symbols(rate)]
        while stack:
            name = stack.pop()
            if name in self.rules and name not in needed:
                needed.add(name)
                stack.extend(symbols(self.rules[name]))
        for name in self.rules:
            if name in needed:
                self.rules[name] = self._frozen(self.rules[name])
        self.rates = {s: self._frozen(rate) for s, rate in self.rates.items()}

    def _frozen(self, expr: Expr) -> Expr:
        if expr[0] in ("num", "sym", "time"):
            return expr
        inner = (expr[0], *(self._frozen(part) for part in expr[1:]))
        if expr[0] not in COMPARISONS and expr[0] not in ("floor", "ceil"):
            return inner
        depends = self.kind(expr)
        if depends == SLOW or (depends == STATE and expr[0] in ("eq", "ne")):  # x == 0 guards a division; no switch
            return inner
        if inner not in self.switches:
            self.switches[inner] = Switch(f"#mode {len(self.switches)}", inner, depends)
        mode = sym(self.switches[inner].mode)
        return ("if", ("lt", mode, num(LIVE)), mode, inner)

    # ---- outputs ----------------------------------------------------------------------------------------------------
    def result(self) -> Hybrid:
        self.freeze()
        extra: dict[str, Expr] = {}
        outputs = list(self.asked)
        if self.clock:
            self.rates["#clock"] = num(1)
            outputs.append("#clock")

        def record(name: str, expr: Expr | None) -> int:
            if expr is None:
                return -1
            extra[name] = expr
            outputs.append(name)
            return len(outputs) - 1

        clocked: dict[str, Expr] = {}
        watched: list[Watched] = []
        switch_outputs = []
        for switch in self.switches.values():
            switch_outputs.append(record(f"{switch.mode} value", switch.expr))
            if switch.depends == STATE:
                watched.append(Watched(switch_outputs[-1], record(f"{switch.mode} margin", margin(switch.expr))))
            else:
                clocked[switch.mode] = switch.expr
        events = []
        for k, event in enumerate(self.system.events):
            depends = self.kind(event.trigger)
            trigger = -1
            if depends == TIME:
                clocked[f"trigger {k}"] = event.trigger
            else:
                trigger = record(f"#trigger {k}", ("ne", event.trigger, num(0)))
                if depends == STATE:
                    watched.append(Watched(trigger, record(f"#margin {k}", margin(event.trigger))))
                    for j, part in enumerate(self._turning(event.trigger)):
                        if self.kind(part) == TIME:
                            clocked[f"part {k} {j}"] = part
                        elif part != event.trigger:
                            value = record(f"#part {k} {j}", part)
                            watched.append(Watched(value, record(f"#part margin {k} {j}", margin(part))))
            assignments = tuple((name, record(f"#value {k} {name}", expr)) for name, expr in event.assignments)
            delay, priority = record(f"#delay {k}", event.delay), record(f"#priority {k}", event.priority)
            volumes = tuple((name, record(f"#volume {k} {name}", sym(volume))) for name, volume in event.by_volume)
            events.append(EventOutputs(event, trigger, delay, priority, assignments, volumes))
        initial = {s: self.system.initial[s] for s in self.rates if s != "#clock"}
        if self.clock:
            initial["#clock"] = num(0)
        inputs = {**self.system.inputs, **dict.fromkeys(self.held, 0.0)}
        inputs |= {s.mode: LIVE for s in self.switches.values()}
        smooth = replace(
            self.system, inputs=inputs, rules={**self.rules, **extra}, rates=self.rates, initial=initial, events=()
        )
        return Hybrid(
            smooth,
            tuple(outputs),
            len(self.asked),
            self.held,
            tuple(self.switches.values()),
            tuple(switch_outputs),
            tuple(events),
            tuple(watched),
            clocked,
            self._clock_rules(clocked),
        )

    def _turning(self, condition: Expr) -> list[Expr]:
        """The comparisons, floors and ceilings in a condition and in the rules it uses, of time or state.

        A window of two comparisons may open and close within a step; each of them turns for good.
        """
        turning: dict[Expr, None] = {}
        seen: set[str] = set()
        stack = [condition]
        while stack:
            expr = stack.pop()
            if expr[0] == "sym" and expr[1] in self.rules and expr[1] not in seen:
                seen.add(expr[1])
                stack.append(self.rules[expr[1]])
            if expr[0] in ("num", "sym", "time"):
                continue
            stack += expr[1:]
            depends = self.kind(expr)
            if (expr[0] in TURNING and depends == STATE) or (expr[0] in TIMED and depends == TIME):
                turning[expr] = None
        return list(turning)

    def _clock_rules(self, clocked: Mapping[str, Expr]) -> dict[str, Expr]:
        """The rules that conditions of time alone use, in order; modes stay in them as inputs."""
        needed = {s for expr in clocked.values() for s in symbols(expr)}
        for name in reversed(self.rules):
            if name in needed:
                needed |= set(symbols(self.rules[name]))
        return {name: rule for name, rule in self.rules.items() if name in needed}


def margin(expr: Expr) -> Expr | None:
    """A number that is positive where a condition is true and negative where it is false, None where there is none."""
    op = expr[0]
    if op in ("lt", "le"):
        return ("sub", expr[2], expr[1])
    if op in ("gt", "ge"):
        return ("sub", expr[1], expr[2])
    if op == "not":
        inner = margin(expr[1])
        return None if inner is None else ("neg", inner)
    if op in ("and", "or"):
        a, b = margin(expr[1]), margin(expr[2])
        return None if a is None or b is None else ("min" if op == "and" else "max", a, b)
    return None

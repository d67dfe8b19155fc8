"""A system of equations solved by SciPy, apart from the engine: the witness of the library's own tests."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

from respine.model.expression import Expr, num
from respine.model.system import System

_INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/", "pow": "**", "lt": "<", "le": "<=", "gt": ">", "ge": ">=",
          "eq": "==", "ne": "!=", "and": "and", "or": "or"}  # fmt: skip
_NAMES = {
    "exp": lambda x: math.exp(min(x, 700.0)), "ln": math.log, "sqrt": math.sqrt, "min": min, "max": max, "abs": abs,
}  # fmt: skip


def python(formula: Expr) -> str:
    """A formula as Python text."""
    op = formula[0]
    if op == "num":
        return repr(formula[1])
    if op == "sym":
        return str(formula[1])
    if op == "time":
        return "t"
    parts = [python(part) for part in formula[1:]]
    if op in _INFIX:
        return f"({parts[0]} {_INFIX[op]} {parts[1]})"
    if op == "neg":
        return f"(-{parts[0]})"
    if op == "not":
        return f"(not {parts[0]})"
    if op == "if":
        return f"({parts[1]} if {parts[0]} else {parts[2]})"
    return f"{op}({', '.join(parts)})"


@dataclass(frozen=True)
class Change:
    """From ``time`` (h) on inputs take new values, and doses (by state) are added."""

    time: float
    inputs: Mapping[str, float] = dataclasses.field(default_factory=dict)
    doses: Mapping[str, float] = dataclasses.field(default_factory=dict)


class Witness:
    """One subject of a system, with parameters replaced and rules overridden by constants on request."""

    def __init__(
        self, system: System, parameters: Mapping[str, float] | None = None, held: Mapping[str, float] | None = None
    ) -> None:
        held = held or {}
        rules = {name: num(held[name]) if name in held else rule for name, rule in system.rules.items()}
        self.states = system.states
        self.inputs = dict(system.inputs)
        self.parameters = {**system.parameters, **(parameters or {})}
        head = "".join(f" {name}=p[{name!r}]\n" for name in (*self.parameters, *self.inputs))
        algebra = "".join(f" {name}={python(rule)}\n" for name, rule in rules.items())
        unpack = "".join(f" {name}=y[{i}]\n" for i, name in enumerate(self.states))
        rates = ", ".join(python(system.rates[name]) for name in self.states)
        names = ", ".join(f"{name!r}: {name}" for name in (*self.states, *rules))
        space: dict[str, Any] = dict(_NAMES)
        exec(f"def rates(t, y, p):\n{head}{unpack}{algebra} return [{rates}]\n", space)
        exec(f"def all_values(t, y, p):\n{head}{unpack}{algebra} return {{{names}}}\n", space)
        self.rates: Callable[..., list[float]] = space["rates"]
        self.all_values: Callable[..., dict[str, float]] = space["all_values"]
        self.start = self._start(system, rules)

    def _start(self, system: System, rules: Mapping[str, Expr]) -> np.ndarray:
        # a start may need rules over parameters, and those no state: evaluate whatever can be evaluated
        known: dict[str, float] = {**self.parameters, **self.inputs}
        waiting = {**rules, **{f"start of {name}": formula for name, formula in system.initial.items()}}
        progress = True
        while waiting and progress:
            progress = False
            for name, formula in list(waiting.items()):
                try:
                    known[name] = float(eval(python(formula), dict(_NAMES), known))
                except NameError:
                    continue
                del waiting[name]
                progress = True
                if name.startswith("start of "):
                    known.setdefault(name.removeprefix("start of "), known[name])
        return np.array([known[f"start of {name}"] for name in self.states])

    def run(self, changes: Sequence[Change], times: Sequence[float]) -> dict[float, dict[str, float]]:
        """Every state and rule at every time (h), from the first change on."""
        values, y = {**self.parameters, **self.inputs}, self.start.copy()
        changes = sorted(changes, key=lambda change: change.time)
        entries: dict[float, dict[str, float]] = {}
        for i, change in enumerate(changes):
            values |= change.inputs
            for name, amount in change.doses.items():
                y[self.states.index(name)] += amount
            last = i + 1 == len(changes)
            end = max(times) if last else changes[i + 1].time
            asked = [time for time in times if change.time <= time < end or (last and time == end)]
            if end > change.time:
                grid = sorted({change.time, *asked, end})
                solved = solve_ivp(
                    self.rates, (change.time, end), y, "LSODA", grid, args=(values,), rtol=1e-5, atol=1e-8
                )
                assert solved.success, solved.message
                entries |= {time: self.all_values(time, solved.y[:, grid.index(time)], values) for time in asked}
                y = solved.y[:, -1].copy()
        return entries

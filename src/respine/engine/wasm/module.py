"""From a system and what is asked of it to a WebAssembly module, and what its driver (driver.js) must know of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from respine.engine.codegen import step_size
from respine.engine.codegen.code import Text, text_for
from respine.engine.codegen.machine import relocatable_object
from respine.engine.codegen.program import Programs
from respine.engine.codegen.target import Target, wasm_target
from respine.engine.dosing import events_table
from respine.engine.equations.rate_jumps import jumps_by_state
from respine.engine.equations.specialise import RATE_PREFIX, Requirements
from respine.engine.events.time_modes import time_modes
from respine.engine.status import Status
from respine.engine.wasm.link import link
from respine.model.system import System

KERNELS = (
    "begin_inside",
    "advance",
    "commit_inside",
    "interpolate_inside",
    "observe_inside",
    "enter",
    "leave",
    "read_out",
)
AREAS = (
    "now", "reached", "next_event", "next_output", "next_step", "longest_step", "shortest_step", "share", "active",
    "outcome", "n_accepted", "n_rejected", "most_steps", "due", "at_event", "attention", "time", "step", "error",
    "last_log_error", "last_step", "fraction", "begin_step", "state", "rate", "slow",
)  # fmt: skip
EVENTS = (
    "ADD_STATE", "SET_SLOW", "SET_RATE", "RESET", "SET_STATE", "STEADY_BEGIN", "JUMP", "CYCLE_START", "CYCLE_END",
    "STEADY_END",
)  # fmt: skip
CONTROL = ("RESTART", "BEST_LOG_ERROR", "HALF_WAY", "FRESH", "SPENT", "STUCK", "BELOW_ZERO")


@dataclass(frozen=True)
class Module:
    """A module, and its description for the driver: names, layout, constants; all of it can be written as JSON."""

    code: bytes
    description: dict[str, Any]


def compile_module(
    system: System, requirements: Requirements, values: Mapping[str, float], *, method: str = "rodas5p", lanes: int = 2
) -> Module:
    """The kernels under some requirements as a module with ``lanes`` float64 lanes.

    ``values``: the numbers of all parameters and inputs; those that the requirements leave fixed may still be changed in the
    driver unless they are literals of the code (see ``specialise.literals``). Raises ValueError for what the driver does
    not know: sensitivities, events, and rates that jump.
    """
    if requirements.sensitivities:
        raise ValueError("a WebAssembly module has no sensitivities; leave them out")
    if system.events:
        raise ValueError(f"{system.name} has events, which the driver of WebAssembly modules does not know")
    if time_modes(system, system.states) or jumps_by_state(system, system.states):
        raise ValueError(f"rates of {system.name} jump; only native runs locate such jumps")
    target = wasm_target(lanes)
    text = text_for(system, requirements, values, method, target)
    linked = link(relocatable_object(text.ir, target), KERNELS)
    return Module(linked.module, _describe(text, target, requirements, linked.free_from, method))


def uniform_formulas(programs: Programs) -> list[list[Any]]:
    """What the numbers that all subjects share are computed from, ``[[op, *operands], ...]`` in an order that works.

    An operand is the number of an earlier row. Leaves are ``["const", x]`` and ``["uniform", name]``. The rows that are
    such numbers are ``["slot", k, row]``.
    """
    graph, slots = programs.equations.graph, programs.hoisted.uniform
    rows: list[list[Any]] = []
    at: dict[int, int] = {}
    for node in graph.order(list(slots)):
        op, *parts = graph.nodes[node]
        operands = parts if op in ("const", "uniform") else [at[p] for p in graph.operands(node)]
        at[node] = len(rows)
        rows.append([op, *map(_number, operands)])
    return rows + [["slot", k, at[node]] for node, k in slots.items()]


def _number(value: Any) -> Any:
    """JSON knows no infinity; the driver reads it from a word, as it does NaN (a constant of the graph is a word already)."""
    infinite = isinstance(value, float) and value in (float("inf"), float("-inf"))
    return str(value) if infinite else value


def _describe(text: Text, target: Target, requirements: Requirements, free_from: int, method: str) -> dict[str, Any]:
    equations, layout = text.programs.equations, text.layout
    return {
        "method": method,
        "lanes": target.lanes,
        "states": list(equations.states),
        "constant": dict(equations.constant),
        "slow": list(equations.slow),
        "outputs": list(requirements.outputs),
        "varying": len(requirements.vary),
        "ratesFrom": len(equations.slow) - sum(name.startswith(RATE_PREFIX) for name in equations.slow),
        "ratePrefix": RATE_PREFIX,
        "literals": dict(equations.literals),
        "uniform": uniform_formulas(text.programs),
        "offsets": {area: layout.index(area) for area in AREAS},
        "vectors": layout.vectors,
        "shared": layout.n_uniform + 1 + layout.n_states,
        "copies": layout.copies,
        "freeFrom": free_from,
        "events": {name: getattr(events_table, name) for name in EVENTS},
        "statuses": {status.name: int(status) for status in Status},
        "control": {name: getattr(step_size, name) for name in CONTROL},
    }

"""Cut a system down to what one run needs before anything is compiled.

Numbers that cannot change in this run become literals, states that cannot move become constants, states that no output
depends on are dropped. What is left is a graph of live states.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from respine.engine.equations.graph import LEAVES, Graph
from respine.engine.equations.sums import share_sums
from respine.model.expression import Expr, evaluate, mentions_time, symbols
from respine.model.system import System

RATE_PREFIX = "rate into "  # the slow input through which an infusion enters a state


@dataclass(frozen=True)
class Requirements:
    """What a run asks of a system: this, with the system's formulas, decides the code.

    ``vary``: parameters that differ between subjects; ``changing``: inputs that change in time; ``dosed``: states that
    receive boluses or are set; ``infused``: states that receive infusions; ``sensitivities``: what to differentiate by;
    ``moved``: (state, name) where a dose into the state depends on a name of these, ``driven``: where the rate of an
    infusion does; ``nonnegative``: no state may turn negative.
    """

    outputs: tuple[str, ...]
    vary: tuple[str, ...] = ()
    changing: tuple[str, ...] = ()
    dosed: frozenset[str] = frozenset()
    infused: tuple[str, ...] = ()
    keep_all: bool = False
    sensitivities: tuple[str, ...] = ()
    driven: tuple[tuple[str, str], ...] = ()
    moved: tuple[tuple[str, str], ...] = ()
    nonnegative: bool = False


@dataclass(frozen=True)
class Equations:
    """Live states and the graph nodes of their rates and of the outputs; ``constant`` states keep their start value."""

    graph: Graph
    states: tuple[str, ...]
    rates: tuple[int, ...]
    outputs: tuple[int, ...]
    slow: tuple[str, ...]
    literals: Mapping[str, float]
    constant: Mapping[str, float]
    sensitivities: tuple[str, ...] = ()
    touched: tuple[tuple[int, int], ...] = ()  # (state, which of these) where a start or a dose depends on one


def rate_slope(state: str, name: str) -> str:
    """The slow input that holds d(rate of infusion into a state)/d(name)."""
    return f"{RATE_PREFIX}{state} by {name}"


def specialise(system: System, requirements: Requirements, values: Mapping[str, float]) -> Equations:
    """The equations of one run; ``values``: the numbers of parameters and inputs. Raises KeyError on unknown names."""
    numbers = literals(system, requirements, values)
    slow = (*requirements.vary, *requirements.changing, *(RATE_PREFIX + s for s in requirements.infused))
    slow += tuple(rate_slope(*pair) for pair in requirements.driven)
    constant = {} if requirements.keep_all else _unmoved(system, requirements, values, numbers)
    live = [s for s in system.states if s not in constant]
    while True:
        graph, rates, outputs = _graph(system, requirements, numbers, constant, live)
        needed = live if requirements.keep_all else _reachable(graph, live, rates, outputs)
        if len(needed) == len(live):
            ordered = tuple(rates[s] for s in live)
            return Equations(graph, tuple(live), ordered, tuple(outputs), slow, numbers, constant,
                             requirements.sensitivities, _touched(system, requirements, live))  # fmt: skip
        live = needed


def literals(system: System, requirements: Requirements, values: Mapping[str, float]) -> dict[str, float]:
    """Inputs nobody changes, plain zeros and ones (they simplify), and exponents (they choose the code of a power)."""
    free = {*requirements.vary, *requirements.changing}
    exponents = {
        name
        for expr in (*system.rules.values(), *system.rates.values())
        for name in _exponents(expr)
        if name in system.parameters
    }
    names = {*system.inputs, *exponents, *(p for p in system.parameters if values[p] in (0.0, 1.0))} - free
    return {name: float(values[name]) for name in sorted(names)}


def _exponents(expr: Expr) -> set[str]:
    if expr[0] in ("num", "sym", "time"):
        return set()
    names = set(symbols(expr[2])) if expr[0] == "pow" else set()
    return names.union(*(_exponents(part) for part in expr[1:]))


def _leaf_names(
    system: System, requirements: Requirements, numbers: Mapping[str, float], graph: Graph
) -> dict[str, int]:
    names = {}
    slow = {*requirements.vary, *requirements.changing}
    for name in (*system.parameters, *system.inputs):
        if name in slow:
            names[name] = graph.slow(name)
        elif name in numbers:
            names[name] = graph.const(numbers[name])
        else:
            names[name] = graph.uniform(name)
    return names


def _graph(
    system: System,
    requirements: Requirements,
    numbers: Mapping[str, float],
    constant: Mapping[str, float],
    live: Sequence[str],
) -> tuple[Graph, dict[str, int], list[int]]:
    graph = Graph()
    names = _leaf_names(system, requirements, numbers, graph)
    names |= {s: graph.const(v) for s, v in constant.items()}
    names |= {s: graph.state(k) for k, s in enumerate(live)}
    # states no output depends on have left `live`; their symbols may still stand in rules nobody asks for
    names |= {s: graph.uniform(s) for s in system.states if s not in names}
    for name, rule in system.rules.items():
        names[name] = graph.as_number(graph.build(rule, names))
    rates = {s: graph.as_number(graph.build(system.rates[s], names)) for s in live}
    rates = dict(zip(rates, share_sums(graph, list(rates.values())), strict=True))
    for s in requirements.infused:
        if s in rates:
            rates[s] = graph.add(rates[s], graph.slow(RATE_PREFIX + s))
    return graph, rates, [names[o] for o in requirements.outputs]


def _unmoved(
    system: System, requirements: Requirements, values: Mapping[str, float], numbers: Mapping[str, float]
) -> dict[str, float]:
    """States that rest at their start for the whole run because everything that could move them is absent."""
    start = start_values(system, values)
    own = {*requirements.vary, *requirements.changing}  # what subjects start from may differ, also by when they start
    fixed = {*requirements.dosed, *requirements.infused} | {
        s for s in system.states if _depends(system, s, own, or_time=True)
    }
    resting = {s: start[s] for s in system.states if s not in fixed}
    while resting:
        live = [s for s in system.states if s not in resting]
        graph = Graph()
        names = _leaf_names(system, requirements, numbers, graph)
        names |= {s: graph.const(v) for s, v in resting.items()} | {s: graph.state(k) for k, s in enumerate(live)}
        for name, rule in system.rules.items():
            names[name] = graph.as_number(graph.build(rule, names))
        moved = [s for s in resting if graph.value(graph.build(system.rates[s], names)) != 0]
        if not moved:
            break
        for s in moved:
            del resting[s]
    return resting


def _touched(system: System, requirements: Requirements, live: Sequence[str]) -> tuple[tuple[int, int], ...]:
    return tuple(
        (k, p)
        for k, s in enumerate(live)
        for p, name in enumerate(requirements.sensitivities)
        if (s, name) in requirements.moved or _depends(system, s, {name})
    )


def _depends(system: System, state: str, names: Collection[str], *, or_time: bool = False) -> bool:
    """Whether a state's start value depends on any of the names (or the time), through rules or other starts."""
    seen: set[str] = set()
    stack = [state]
    while stack:
        name = stack.pop()
        if name in names:
            return True
        if name not in seen:
            seen.add(name)
            expr = system.rules.get(name) or system.initial.get(name)
            if expr and or_time and mentions_time(expr):
                return True
            stack.extend(symbols(expr) if expr else ())
    return False


def start_values(system: System, values: Mapping[str, object], time: float = 0.0) -> dict[str, float]:
    """Start value of every state for parameters given as numbers or arrays (one entry per subject)."""
    known: dict[str, Any] = dict(values)
    pending = dict(system.initial)
    rules = dict(system.rules)
    while pending:
        before = len(pending) + len(rules)
        for name, expr in [*pending.items(), *rules.items()]:
            if all(s in known for s in symbols(expr)):
                known[name] = evaluate(expr, known, time)
                pending.pop(name, None)
                rules.pop(name, None)
        if len(pending) + len(rules) == before:
            raise ValueError(f"start values of {', '.join(pending)} depend on each other in a circle")
    return {s: known[s] for s in system.states}


def _reachable(graph: Graph, live: Sequence[str], rates: Mapping[str, int], outputs: Sequence[int]) -> list[str]:
    needed: set[int] = set()
    stack = list(_states_in(graph, outputs))
    while stack:
        k = stack.pop()
        if k not in needed:
            needed.add(k)
            stack.extend(_states_in(graph, [rates[live[k]]]))
    return [s for k, s in enumerate(live) if k in needed]


def _states_in(graph: Graph, roots: Sequence[int]) -> list[int]:
    nodes = (graph.nodes[n] for n in graph.order(roots))
    return [op[1] for op in nodes if op[0] == "state"]


def rank(graph: Graph, nodes: Sequence[int]) -> dict[int, int]:
    """How fast each node changes: 0 literal, 1 one number a run, 2 per subject and segment, 3 along the trajectory."""
    ranks: dict[int, int] = {}
    leaf = {"const": 0, "uniform": 1, "slow": 2, "state": 3, "time": 3}
    for node in graph.order(nodes):
        op = graph.nodes[node][0]
        ranks[node] = leaf[op] if op in LEAVES else max((ranks[p] for p in graph.operands(node)), default=0)
    return ranks

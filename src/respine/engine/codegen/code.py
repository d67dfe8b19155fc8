"""From a system and what is asked of it to loaded machine code, with the slow way taken only once per machine."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cache

import numpy as np

from respine.engine.codegen.layout import Layout
from respine.engine.codegen.machine import Machine, read_cached, write_cached
from respine.engine.codegen.ordering import Pivoting
from respine.engine.codegen.program import Hoisted, Program, Programs, compile_programs, uniform_numbers
from respine.engine.codegen.step import EXPORTS, step_module
from respine.engine.codegen.tableaus import TABLEAUS
from respine.engine.codegen.target import Target
from respine.engine.equations.graph import Graph
from respine.engine.equations.specialise import Equations, Requirements, literals, specialise, start_values
from respine.engine.equations.tangent import Tangent
from respine.files import plain
from respine.files.store import code_fingerprint
from respine.model.expression import evaluate, symbols
from respine.model.system import System


@dataclass(frozen=True)
class Text:
    """Everything derived from the equations, before machine code: what is kept on disk to skip the derivation."""

    ir: str
    programs: Programs
    layout: Layout


KEPT = (Text, Programs, Program, Hoisted, Pivoting, Equations, Graph, Tangent, Layout)
"""All classes of which a kept text may hold objects."""


class Code:
    """Machine code of one system under one requirements."""

    def __init__(self, system: System, text: Text, target: Target) -> None:
        self.system, self.text, self.target = system, text, target
        self.machine = Machine(text.ir, target, EXPORTS)
        equations = text.programs.equations
        self.states, self.slow = equations.states, equations.slow
        self.constant, self.layout = equations.constant, text.layout
        self.address = self.machine.address

    def uniform(self, values: Mapping[str, float]) -> np.ndarray:
        """The run-wide numbers the kernels read."""
        return uniform_numbers(self.text.programs, values)

    @property
    def rooted(self) -> frozenset[str]:
        """Live states under a root, a logarithm or a power below one, where their slope at zero is infinite."""
        equations = self.text.programs.equations
        graph = equations.graph
        needed = graph.order(self.text.programs.hoisted.uniform)
        names = {graph.nodes[node][1] for node in needed if graph.nodes[node][0] == "uniform"}
        return frozenset(s for k, s in enumerate(equations.states) if f"#zero {k}" in names)

    def zeros(self, absolute: np.ndarray, scale: np.ndarray | float = 1.0) -> dict[str, float]:
        """How far from zero each live state, and any of them, may lie and still mean it: see `near_zero`."""
        return near_zero(absolute, scale, 1e-14 if self.target.double else 1e-6)

    def culprit(self, values: Mapping[str, float], states: np.ndarray, step: float, time: float) -> tuple[str, float]:
        """The state that most likely broke a step."""
        return culprit(self.system, self.text.programs.equations, values, states, step, time)

    def has_numbers(self, values: Mapping[str, float], states: np.ndarray, time: float) -> bool:
        """Whether all rates at a state are finite numbers in float64."""
        known = _known(self.system, self.text.programs.equations, values, states, time)
        here = [s for s in self.states if all(name in known for name in symbols(self.system.rates[s]))]
        return all(np.isfinite(float(evaluate(self.system.rates[s], known, time))) for s in here)


def near_zero(absolute: np.ndarray, scale: np.ndarray | float, rounding: float) -> dict[str, float]:
    """How far from zero each live state, and any of them, may lie and still mean it: what a step may err by.

    ``absolute`` (n_states,): their absolute tolerances; ``scale``: of what size they are; ``rounding``: of a state of size one.
    """
    each = np.minimum(np.maximum(10 * np.asarray(absolute, float), rounding * np.asarray(scale, float)), 1e-4)
    return {"#zero": float(each.max()), **{f"#zero {k}": float(value) for k, value in enumerate(each)}}


def _known(
    system: System, equations: Equations, values: Mapping[str, float], states: np.ndarray, time: float
) -> dict[str, float]:
    """All numbers at a state; those over states this run cut stay unknown."""
    known = {**values, **equations.constant, **dict(zip(equations.states, map(float, states), strict=True))}
    pending = dict(system.rules)
    while pending:  # rules may stand before what they need
        ready = [name for name, rule in pending.items() if all(s in known for s in symbols(rule))]
        if not ready:
            break
        known |= {name: float(evaluate(pending.pop(name), known, time)) for name in ready}
    return known


def culprit(
    system: System, equations: Equations, values: Mapping[str, float], states: np.ndarray, step: float, time: float
) -> tuple[str, float]:
    """The state that most likely broke a step: one that is or turns negative, else one whose rate is no number."""
    known = _known(system, equations, values, states, time)
    below = min(equations.states, key=lambda s: known[s])
    if known[below] < 0:
        return below, known[below]
    here = [s for s in equations.states if all(name in known for name in symbols(system.rates[s]))]
    rates = {s: float(evaluate(system.rates[s], known, time)) for s in here}
    no_number = [s for s in here if not np.isfinite(rates[s])]
    reach = max(step, 1e-12) * 10
    sinking = [s for s in here if rates[s] < 0 and known[s] + reach * rates[s] <= 0 and known[s] < 1e-3]
    fastest = max(here, key=lambda s: abs(rates[s]) / (abs(known[s]) + 1e-9), default="")
    name = (sinking or no_number or [fastest])[0]
    return name, known.get(name, np.nan)


def code_for(
    system: System, requirements: Requirements, values: Mapping[str, float], method: str, target: Target
) -> Code:
    """Compile, or load what an earlier run compiled. Raises ValueError for an unknown method."""
    return Code(system, text_for(system, requirements, values, method, target), target)


def text_for(
    system: System, requirements: Requirements, values: Mapping[str, float], method: str, target: Target
) -> Text:
    """Derive the kernels of one requirements, or load what an earlier run derived. Raises ValueError for an unknown method."""
    check_method(method)
    key = cache_key(system, requirements, values, method, target)
    stored = read_cached(key, ".ir")
    text = _kept_text(stored)
    if text is None:
        equations = specialise(system, requirements, values)
        if not equations.states:  # everything rests: solve it all the same
            equations = specialise(system, replace(requirements, keep_all=True), values)
        if not equations.states:
            raise ValueError(f"{system.name} has no states, so there is nothing to solve")
        programs = compile_programs(equations, narrow=not target.double)
        module = step_module(programs, TABLEAUS[method], target, nonnegative=requirements.nonnegative)
        text = Text(module.text, programs, module.layout)
        with contextlib.suppress(TypeError, RecursionError):  # of unusual parts or depth: derived every time
            write_cached(key, ".ir", plain.encode(text, KEPT))
    return text


def check_method(method: str) -> None:
    """Raises ValueError for an unknown method."""
    if method not in TABLEAUS:
        raise ValueError(f'method "{method}" is unknown; write one of {", ".join(TABLEAUS)}')


def _kept_text(stored: bytes | None) -> Text | None:
    """What an earlier run derived; None where it was damaged or of another shape: it is derived again."""
    if stored is None:
        return None
    with contextlib.suppress(ValueError):
        text = plain.decode(stored, KEPT)
        return text if isinstance(text, Text) else None
    return None


def cache_key(
    system: System, requirements: Requirements, values: Mapping[str, float], method: str, target: Target
) -> str:
    """All that decides the text: of the values only those that become literals, and the states' starts."""
    start = sorted((k, repr(v)) for k, v in start_values(system, values).items())
    formulas = (tuple(system.rules.items()), tuple(system.rates.items()), tuple(system.initial.items()))
    free = sorted(set(system.parameters) | set(system.inputs))
    facts = (
        engine_version(),
        plain.FORMAT,
        formulas,
        free,
        requirement_facts(requirements),
        literals(system, requirements, values),
        start,
        method,
        target,
    )
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def requirement_facts(requirements: Requirements) -> tuple:
    """All fields, sets in order: what a key is made of."""
    values = (getattr(requirements, field.name) for field in fields(requirements))
    return tuple(tuple(sorted(value)) if isinstance(value, frozenset) else value for value in values)


@cache
def engine_version() -> str:
    """Hash of the engine's own source files: any change of the code is another version."""
    return code_fingerprint("engine")

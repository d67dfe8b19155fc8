"""The model of a page: its kernels as WebAssembly, and what the page's driver needs to solve a study with them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from respine.engine import Options
from respine.engine.equations.specialise import Requirements
from respine.engine.tolerances import OF_RTOL, own_scales
from respine.engine.wasm import Module, compile_module
from respine.errors import InputError, Problem
from respine.model.expression import Expr, symbols
from respine.model.system import System
from respine.protocol.settings import NONNEGATIVE, RUN_RTOL

ROUNDING, MOST_ZERO = 1e-14, 1e-4  # as engine/codegen/code.py has them for float64


def kernel(system: System, outputs: Sequence[str], dosed: Sequence[str], begin: float) -> tuple[Module, dict[str, Any]]:
    """The module and its numbers: every parameter may differ between people, every input may change.

    ``dosed`` are the states that something may be given into. Raises InputError for a model with events or rates that
    jump, which only native runs locate.
    """
    values = {**system.parameters, **system.inputs}
    wanted = Requirements(
        tuple(outputs), tuple(system.parameters), tuple(sorted(system.inputs)), frozenset(dosed), tuple(sorted(dosed)),
        nonnegative=NONNEGATIVE and not set(dosed) >= set(system.states),
    )  # fmt: skip
    try:
        module = compile_module(system, wanted, values)
    except ValueError as why:
        cure = "Run it with `respine run` or rs.solve; a page holds models without events and without jumps."
        raise InputError(Problem(system.name, "model", system.name, f"{why}.", cure)) from None
    described = module.description
    live = described["states"]
    rooted = {
        live[int(row[1].split()[1])] for row in described["uniform"] if row[0] == "uniform" and "#zero " in row[1]
    }
    scales = own_scales(system, values, begin)
    flat = np.full(len(live), OF_RTOL * RUN_RTOL)
    absolute, size = scales.tolerances(live, flat, 1.0, rooted, {}, RUN_RTOL)
    each = np.minimum(np.maximum(10 * absolute, ROUNDING * size), MOST_ZERO)
    options = Options()
    facts = {
        "description": described,
        "sha256": hashlib.sha256(module.code).hexdigest(),
        "tolerances": [RUN_RTOL, *map(float, absolute)],
        "zeros": {"#zero": float(each.max()), **{f"#zero {k}": float(v) for k, v in enumerate(each)}},
        "mostSteps": min(options.max_steps, 200_000),  # a page answers or says so; a run may go on for longer
        "vary": list(wanted.vary),
        "inputs": dict(system.inputs),
        "starts": _starts(system, live),
    }
    return module, facts


def _starts(system: System, live: Sequence[str]) -> list[list[Any]]:
    """Formulas of the live states' start values and of the rules they need, in an order that works."""
    pending: dict[str, Expr] = {**system.initial, **system.rules}
    order: list[str] = []
    seen: set[str] = set()

    def visit(name: str) -> None:
        stack = [(name, False)]
        while stack:
            node, done = stack.pop()
            if done:
                order.append(node)
            elif node in pending and node not in seen:
                seen.add(node)
                stack.append((node, True))
                stack.extend((s, False) for s in symbols(pending[node]))

    for state in live:
        visit(state)
    return [[name, pending[name]] for name in order]

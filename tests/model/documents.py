"""Small SBML documents for tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import roadrunner

from respine.model import System, to_sbml
from respine.model.expression import Expr, evaluate, symbols

MATHML = 'xmlns="http://www.w3.org/1998/Math/MathML"'


def sbml(body: str, *, version: int = 2, attributes: str = "") -> str:
    """A Level 3 document around the content of its model."""
    space = f"http://www.sbml.org/sbml/level3/version{version}/core"
    head = f'<?xml version="1.0"?>\n<sbml xmlns="{space}" level="3" version="{version}"{attributes}>'
    return f'{head}\n<model id="m">\n{body}\n</model>\n</sbml>\n'


def math(content: str) -> str:
    return f"<math {MATHML}>{content}</math>"


def parameters(**values: float | None) -> str:
    """A list of parameters, all free to change."""
    rows = (
        f'<parameter id="{k}" constant="false"' + ("/>" if v is None else f' value="{v}"/>') for k, v in values.items()
    )
    return f"<listOfParameters>\n{chr(10).join(rows)}\n</listOfParameters>"


def rules(*entries: str) -> str:
    return f"<listOfRules>{''.join(entries)}</listOfRules>"


def assign(name: str, content: str) -> str:
    return f'<assignmentRule variable="{name}">{math(content)}</assignmentRule>'


def rate(name: str, content: str) -> str:
    return f'<rateRule variable="{name}">{math(content)}</rateRule>'


def at_start(system: System) -> dict[str, float]:
    """The value of every symbol at time 0."""
    values: dict[str, Any] = {**system.parameters, **system.inputs}
    waiting = {**system.initial, **system.rules}
    while waiting:
        ready = [n for n, e in waiting.items() if all(s in values for s in symbols(e))]
        assert ready, f"starts of {sorted(waiting)} need each other"
        for name in ready:
            values[name] = float(evaluate(waiting.pop(name), values, 0.0))
    return values


def rates_at_start(system: System) -> dict[str, float]:
    values = at_start(system)
    return {name: float(evaluate(expr, values, 0.0)) for name, expr in system.rates.items()}


def simulate(system: System, times: np.ndarray, ask: Mapping[str, Expr], **given: Any) -> np.ndarray:
    """The formulas asked for over time, by libRoadRunner from our export: a witness of reading and of writing."""
    told = system.with_rules({f"asked_{k}": expr for k, expr in enumerate(ask.values())})
    runner = roadrunner.RoadRunner(to_sbml(told, **given))
    runner.integrator.relative_tolerance = 1e-10
    runner.integrator.absolute_tolerance = 1e-14
    runner.integrator.maximum_num_steps = 100_000
    runner.selections = ["time", *(f"asked_{k}" for k in range(len(ask)))]
    return np.array(runner.simulate(float(times[0]), float(times[-1]), len(times)))[:, 1:]

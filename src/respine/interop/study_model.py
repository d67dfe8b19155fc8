"""The typical subject of one arm of a study as one system: its parameter values, doses and inputs, with time from 0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from respine.errors import InputError, Problem
from respine.library import BUILT_IN
from respine.model import load
from respine.model.expression import Expr, num, rebuild
from respine.model.system import System

Dose = tuple[str, float, float, float]
InputChange = tuple[str, float, float]


@dataclass(frozen=True)
class Exported:
    """A system with what happens to it; ``outputs`` are what a study records (all states of a plain model)."""

    system: System
    doses: tuple[Dose, ...] = ()
    inputs: tuple[InputChange, ...] = ()
    until: float | None = None
    outputs: tuple[str, ...] = ()


def model_of(source: str, arm: str | None = None) -> Exported:
    """A library model, a model file, or one arm of a study (a library study or a file .yaml), by name. Raises InputError."""
    if Path(source).suffix.lower() in (".yaml", ".yml") or source in BUILT_IN.names("studies"):
        return of_arm(source, arm)
    if arm is not None:
        why = "a model has no arms."
        raise InputError(Problem("command line", "--arm", arm, why, "Leave it out, or name a study."))
    system = load(source)
    return Exported(system, outputs=system.states)


def of_arm(study: str, arm: str | None = None) -> Exported:
    """One arm of a study, the first with doses where none is named. Raises InputError."""
    from respine.protocol import resolve
    from respine.protocol.output_times import output_times
    from respine.protocol.typical import typical_parameters, typical_people
    from respine.study import load as load_study

    asked = load_study(study)
    name = arm or next((n for n, arm in asked.arms.items() if arm.doses), next(iter(asked.arms)))
    if name not in asked.arms:
        cure = f"Write one of {', '.join(asked.arms)}."
        raise InputError(Problem("command line", "--arm", name, "the study has no such arm.", cure))
    protocol = resolve(asked)
    own = protocol.arm(name)
    values = typical_parameters(own)
    people = typical_people(own, 1, {id: np.array([value]) for id, value in values.items()})
    try:
        doses, inputs = own.schedule(people).of_subject(0)
    except ValueError as reason:
        raise InputError(Problem(study, f"arms.{name}", "", f"{reason}.", "Choose another arm.")) from None
    system = replace(
        protocol.system, parameters={**protocol.system.parameters, **values}, name=f"{protocol.system.name}_{name}"
    )
    begin = min([protocol.begin, *(d[1] for d in doses)])
    times = output_times(protocol)
    moved = from_zero(system, begin)
    before = {input: value for input, time, value in sorted(inputs, key=lambda i: i[1]) if time <= begin}
    moved = replace(moved, inputs={**moved.inputs, **before})
    return Exported(
        moved,
        tuple((state, time - begin, amount, duration) for state, time, amount, duration in doses),
        tuple((input, time - begin, value) for input, time, value in inputs if time > begin),
        float(times[-1]) - begin,
        tuple(name for name in asked.record if name in {*moved.rates, *moved.rules}),
    )


def from_zero(system: System, begin: float) -> System:
    """The same system on a clock that shows 0 at ``begin``."""
    if begin == 0:
        return system
    later: Expr = ("add", ("time",), num(begin))

    def moved(expr: Expr) -> Expr:
        return rebuild(expr, lambda leaf: later if leaf[0] == "time" else leaf)

    def change(table: Mapping[str, Expr]) -> dict[str, Expr]:
        return {name: moved(expr) for name, expr in table.items()}

    events = tuple(e.with_formulas(change(e.formulas())) for e in system.events)
    return replace(system, rules=change(system.rules), rates=change(system.rates), initial=change(system.initial),
                   events=events)  # fmt: skip

"""A model whose file counts time in another unit than hours, counted in hours."""

from __future__ import annotations

from dataclasses import replace

from respine.errors import InputError, Problem
from respine.files.numbers import number
from respine.model.expression import Expr, num, rebuild
from respine.model.system import System
from respine.model.units import NONE, Unit, parse

_HOUR = parse("h")


def hours_per_unit(system: System) -> float:
    """Hours in the model's unit of time; 1 where its file names none. Raises InputError for what is no time."""
    text = system.time_unit
    if text in ("", "1", "dimensionless"):
        return 1.0
    length, _, word = text.strip("()").partition(" ")
    try:
        unit = parse("second") * Unit(number(length), NONE.powers) if word == "second" else parse(text)
    except ValueError:
        unit = None
    if unit is None or not unit.alike(_HOUR):
        why = "The model counts time in something that is no time."
        raise InputError(Problem(system.name, "time", text, why, "Give the model's file a unit of time."))
    return unit.factor / _HOUR.factor


def in_hours(system: System) -> System:
    """The same model with its time in hours: rates, the symbol of time, and delays of events. Raises InputError."""
    hours = hours_per_unit(system)
    if hours == 1.0:
        return system
    time: Expr = ("div", ("time",), num(hours))

    def told(expr: Expr) -> Expr:
        return rebuild(expr, lambda leaf: time if leaf[0] == "time" else leaf)

    events = []
    for event in system.events:
        formulas = {place: told(expr) for place, expr in event.formulas().items()}
        if "delay" in formulas:
            formulas["delay"] = ("mul", formulas["delay"], num(hours))
        events.append(event.with_formulas(formulas))
    note = f"time is counted in {system.time_unit} in the file; it is converted to hours"
    return replace(
        system, time_unit="h", events=tuple(events), notes=(*system.notes, note),
        rules={name: told(expr) for name, expr in system.rules.items()},
        rates={name: ("div", told(expr), num(hours)) for name, expr in system.rates.items()},
        initial={name: told(expr) for name, expr in system.initial.items()},
    )  # fmt: skip

"""A system as Antimony text, with its labels and units as comments; doses and input changes as events."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from respine.model.expression import Expr, sym
from respine.model.infix import infix, number
from respine.model.system import Event, System

_KEPT = frozenset(("model", "module", "function", "end", "import", "at", "after", "in", "is", "const", "var", "species",
                   "compartment", "formula", "unit", "time", "event", "gene", "operator"))  # fmt: skip


def to_antimony(
    system: System, *, doses: Iterable[tuple[str, float, float, float]] = (),
    inputs: Iterable[tuple[str, float, float]] = (),
) -> str:  # fmt: skip
    """Antimony text that reads back as the same system. Raises InputError as ``to_sbml`` for a dose that cannot be."""
    from respine.model.write_sbml import with_given

    rates, events, infusions = with_given(system, list(doses), list(inputs))
    lines = [
        f"// {system.name}; time in {system.time_unit or 'a unit the model does not name'}",
        f"model {_name(system.name)}",
    ]
    for title, table in (
        ("parameters", system.parameters),
        ("inputs", {**system.inputs, **dict.fromkeys(infusions, 0.0)}),
    ):
        if table:
            lines += ["", f"  // {title}"]
        lines += [f"  {name} = {_value(value)};{_about(system, name)}" for name, value in table.items()]
    if system.rules:
        lines += [
            "",
            "  // rules",
            *(f"  {name} := {infix(e)};{_about(system, name)}" for name, e in system.rules.items()),
        ]
    lines += ["", "  // rates"]
    for name, rate in rates.items():
        lines.append(f"  {name}' = {infix(rate)};{_about(system, name)}")
        lines.append(f"  {name} = {_start(system.initial[name])};")
    changed = {name for event in events for name, _ in event.assignments} - rates.keys()
    fixed = [n for n in (*system.parameters, *system.inputs) if n not in changed]
    moving = [n for n in (*system.inputs, *infusions) if n in changed]
    lines += ["", *_declared("const", fixed), *_declared("var", [*moving, *rates, *system.rules])]
    if events:
        lines += ["", "  // events", *(f"  {_event(event)}" for event in events)]
    return "\n".join([*lines, "end", ""])


def _declared(kind: str, names: list[str]) -> list[str]:
    return [f"  {kind} {', '.join(names[k : k + 12])};" for k in range(0, len(names), 12)]


def _value(value: float) -> str:
    if math.isnan(value):
        return "nan"
    return number(value) if math.isfinite(value) else "inf" if value > 0 else "-inf"


def _start(expr: Expr) -> str:
    return _value(expr[1]) if expr[0] == "num" else infix(expr)


def _about(system: System, name: str) -> str:
    q = system.quantities.get(name)
    text = " ".join(part for part in (q.label, f"({q.unit})" if q.unit else "") if part) if q else ""
    return f"  // {' '.join(text.split())}" if text else ""


def _event(event: Event) -> str:
    delay = f"({infix(event.delay)}) after " if event.delay is not None else ""
    facts = [f"t0={_truth(event.initial_value)}", f"persistent={_truth(event.persistent)}",
             f"fromTrigger={_truth(event.values_from_trigger_time)}"]  # fmt: skip
    if event.priority is not None:
        facts.append(f"priority={infix(event.priority)}")
    volumes = dict(event.by_volume)
    changes = (f"{n} = {infix(('mul', e, sym(volumes[n])) if n in volumes else e)}" for n, e in event.assignments)
    return f"{_name(event.id)}: at {delay}({infix(event.trigger)}), {', '.join(facts)}: {', '.join(changes)};"


def _truth(value: bool) -> str:
    return "true" if value else "false"


def _name(text: str) -> str:
    plain = re.sub(r"\W", "_", text, flags=re.ASCII) or "_model"
    return f"_{plain}" if plain[0].isdigit() or plain in _KEPT else plain

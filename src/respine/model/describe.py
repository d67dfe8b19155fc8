"""A system in words: equations in infix, and under them what is known of every symbol they use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from respine.errors import InputError, Problem, printable
from respine.model.expression import Expr, sym, symbols
from respine.model.infix import infix
from respine.model.system import Quantity, System


def show(system: System, name: str | None = None, *, width: int = 120) -> str:
    """The text of a whole system, of one module (``synapse``), or of one symbol and every equation it stands in.

    Control characters of the file are written out. Raises InputError for a name that is neither a module nor a symbol.
    """
    return printable(_show(system, name, width), keep="\n")


def _show(system: System, name: str | None, width: int) -> str:
    groups = modules(system)
    if name is None:
        counts = ", ".join(f"{len(table)} {role}s" for role, table in _roles(system).items())
        head = f"{system.name}: {counts}; time in {system.time_unit or 'units of the file'}"
        head = "\n".join([head, *(f"not read: {note}" for note in system.notes)])
        return "\n\n".join(
            [head, *(_module(system, group, names, width) for group, names in groups.items()), *_events(system)]
        )
    if name in groups:
        return _module(system, name, groups[name], width)
    if name in _all(system):
        return _symbol(system, name)
    near = get_close_matches(name, [*groups, *_all(system)], 3)
    cure = f"Write {' or '.join(near)}." if near else f"Modules are {', '.join(groups)}."
    raise InputError(Problem(system.name, "show", name, "the model has no module or symbol of that name.", cure))


def knows(system: System, name: str) -> bool:
    """Whether ``show`` has something to say of this name: a module or a symbol."""
    return name in modules(system) or name in _all(system)


def modules(system: System) -> dict[str, list[str]]:
    """Names of states, rules and inputs by the module that defines them; one group, the system, if there are none."""
    groups: dict[str, list[str]] = {}
    for name in _all(system):
        if name in system.parameters:
            continue
        file = system.quantities[name].file if name in system.quantities else ""
        group = file.rpartition("/")[2].removesuffix(".csv") if file.startswith("library/") else system.name
        groups.setdefault(group, []).append(name)
    return groups or {system.name: []}


def _all(system: System) -> list[str]:
    """Every symbol once, variables in the order of their table."""
    known = [name for name in system.quantities if name not in system.parameters]
    return list(dict.fromkeys([*known, *system.rules, *system.rates, *system.inputs, *system.parameters]))


def equation(system: System, name: str) -> str:
    """The equation of a state or rule; empty for a symbol that has none."""
    if name in system.rates:
        return f"{name}' = {infix(system.rates[name])}"
    return f"{name} := {infix(system.rules[name])}" if name in system.rules else ""


def _module(system: System, title: str, names: Iterable[str], width: int) -> str:
    names = list(names)
    used: dict[str, None] = {}
    for name in names:
        for expr in (system.rules.get(name), system.rates.get(name), system.initial.get(name)):
            used.update(dict.fromkeys(symbols(expr) if expr else ()))
    equations = [line for name in names if (text := equation(system, name)) for line in _wrap(text, width)]
    variables = _table(system, names, system.initial)
    parameters = _table(system, [n for n in used if n in system.parameters], {})
    blocks = [f"== {title} =="]
    for heading, block in (("equations", equations), ("variables", variables), ("parameters", parameters)):
        if block:
            blocks.append("\n".join([heading, *(f"  {line}" for line in block)]))
    return "\n\n".join(blocks)


def _wrap(text: str, width: int) -> list[str]:
    """A long equation over several lines, broken before an operator of a sum or product."""
    lines, line = [], ""
    for piece in text.replace(" + ", "\0 + ").replace(" - ", "\0 - ").replace(" * ", "\0 * ").split("\0"):
        if line and len(line) + len(piece) > width - 2:
            lines.append(line)
            line = "     " + piece.lstrip()
        else:
            line += piece
    return [*lines, line]


def _table(system: System, names: Iterable[str], starts: Mapping[str, Expr]) -> list[str]:
    rows = [_cells(_quantity(system, name), starts.get(name)) for name in names]
    widths = [max((len(row[k]) for row in rows), default=0) for k in range(5)]
    return [
        ("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=False)) + f"  {row[5]}").rstrip()
        for row in rows
    ]


def _quantity(system: System, name: str) -> Quantity:
    known = system.quantities.get(name)
    if known:
        return known
    role = next(r for r, names in _roles(system).items() if name in names)
    return Quantity(name, role, "", system.parameters.get(name, system.inputs.get(name)))


def _roles(system: System) -> dict[str, Mapping[str, object]]:
    return {"state": system.rates, "rule": system.rules, "input": system.inputs, "parameter": system.parameters}


def _cells(q: Quantity, start: Expr | None) -> list[str]:
    value = f"{q.value:g}" if q.value is not None else (infix(start) if start else "")
    belief = f"{q.low:g} to {q.high:g}" if q.low is not None and q.high is not None else ""
    source = " ".join(part for part in (q.source.replace(";", ", "), f"({q.where})" if q.where else "") if part)
    about = "; ".join(part for part in (q.label, source, q.note) if part)
    return [q.id, value, q.unit, belief, q.status or q.role, about]


def _symbol(system: System, name: str) -> str:
    q = _quantity(system, name)
    spread = f"{q.distribution}, {q.variability:g} between people" if q.variability else ""
    start = system.initial.get(name)
    known = {
        "label": q.label, "role": q.role, "equation": equation(system, name),
        "value": f"{q.value:g} {q.unit}" if q.value is not None else "", "unit": q.unit if q.value is None else "",
        "start": infix(start) if start is not None and q.value is None else "",
        "90 % belief": f"{q.low:g} to {q.high:g} {q.unit}" if q.low is not None and q.high is not None else "",
        "people differ": spread, "status": q.status, "source": q.source.replace(";", ", "), "where": q.where,
        "population": q.population, "note": q.note, "written in": f"{q.file}:{q.line}" if q.file else "",
    }  # fmt: skip
    lines = [name, *(f"  {label:<14} {text}" for label, text in known.items() if text)]
    where = [
        n for table in (system.rules, system.rates) for n, expr in table.items() if n != name and name in symbols(expr)
    ]
    lines += [f"  {'used in':<14} {equation(system, other)}" for other in where]
    return "\n".join(lines)


def _events(system: System) -> list[str]:
    lines = []
    for event in system.events:
        after = f" after {infix(event.delay)}" if event.delay is not None else ""
        sizes = {name: sym(volume) for name, volume in event.by_volume}
        changed = [(name, ("mul", expr, sizes[name]) if name in sizes else expr) for name, expr in event.assignments]
        changes = ", ".join(f"{name} = {infix(expr)}" for name, expr in changed)
        lines.append(f"  {event.id}: when {infix(event.trigger)}{after}: {changes}")
    return ["\n".join(["events", *lines])] if lines else []

"""What the model consists of: its modules, how many equations each has, and which module feeds which."""

from __future__ import annotations

import re

import pandas as pd

from respine import library
from respine.model.describe import modules
from respine.model.expression import symbols
from respine.model.system import System

NO_MODULE = "(no module)"


def module_table(system: System) -> pd.DataFrame:
    """Rows ``module, what, states, rules, inputs, parameters``: parameters count where an equation first uses them."""
    groups = modules(system)
    listed: set[str] = set()
    rows = []
    for name, members in groups.items():
        used = {s for m in members for s in _used(system, m) if s in system.parameters} - listed
        listed |= used
        rows.append({
            "module": name, "what": first_sentence(name),
            "states": sum(m in system.rates for m in members), "rules": sum(m in system.rules for m in members),
            "inputs": sum(m in system.inputs for m in members), "parameters": len(used),
        })  # fmt: skip
    rest = len(set(system.parameters) - listed)
    if rest:
        meaning = "Read by doses, starts, populations and scales rather than by an equation."
        rows.append({"module": NO_MODULE, "what": meaning, "states": 0, "rules": 0, "inputs": 0, "parameters": rest})
    return pd.DataFrame(rows)


def links(system: System) -> pd.DataFrame:
    """Rows ``gives, takes, symbols, names``: how many quantities of one module stand in the equations of another."""
    groups = modules(system)
    home = {member: name for name, members in groups.items() for member in members}
    shared: dict[tuple[str, str], set[str]] = {}
    for name, members in groups.items():
        for member in members:
            for symbol in _used(system, member):
                other = home.get(symbol)
                if other is not None and other != name:
                    shared.setdefault((other, name), set()).add(symbol)
    order = list(groups)
    pairs = sorted(shared, key=lambda pair: (order.index(pair[0]), order.index(pair[1])))
    rows = [
        {"gives": pair[0], "takes": pair[1], "symbols": len(shared[pair]), "names": " ".join(sorted(shared[pair]))}
        for pair in pairs
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["gives", "takes", "symbols", "names"])


def equations(system: System) -> list[tuple[str, str]]:
    """Module and the text of its equations, in the order of the model."""
    from respine import model

    return [(name, model.show(system, name)) for name in modules(system)]


def counts(system: System) -> dict[str, int]:
    """How many differential equations, rules, inputs and parameters."""
    return {"states": len(system.states), "rules": len(system.rules), "inputs": len(system.inputs),
            "parameters": len(system.parameters)}  # fmt: skip


def first_sentence(module: str) -> str:
    """What a module says of itself in its first comment."""
    if module not in library.names("modules"):
        return ""
    lines = []
    for line in library.text("modules", module).splitlines():
        if not line.strip().startswith("//"):
            break
        lines.append(line.strip().lstrip("/").strip())
    text = " ".join(lines)
    match = re.match(r"(.*?)[.:](\s|$)", text)
    return (match[1] if match else text) + ("." if text else "")


def _used(system: System, name: str) -> set[str]:
    used: set[str] = set()
    for table in (system.rates, system.rules):
        if name in table:
            used |= set(symbols(table[name]))
    return used

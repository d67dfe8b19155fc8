"""What a drug or an exposure acts on in the models, and where the numbers of its kinetics come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from respine import library
from respine.cli.card_sources import citation
from respine.cli.card_text import cut, fields, indented
from respine.cli.screen import columns

if TYPE_CHECKING:
    from respine.model import System

FIRST = ("human", "rat", "mouse")  # the order in which models are told


def species_of_models() -> dict[str, str]:
    """The species of every library model, people first."""
    from ruamel.yaml import YAML

    known = sorted(library.names("models"), key=lambda m: FIRST.index(m) if m in FIRST else len(FIRST))
    return {m: str(YAML(typ="safe").load(library.text("models", m)).get("species", m)) for m in known}


def actions(targets: Mapping[str, Sequence[str]], width: int) -> Iterator[str]:
    """Blocks of text on the states and inputs that something enters or sets, by model; models alike are told together."""
    models_by_action: dict[tuple[str, ...], list[str]] = {}
    for model, names in targets.items():
        models_by_action.setdefault(_action(_system(model), list(dict.fromkeys(names)), width), []).append(model)
    for lines, models in models_by_action.items():
        listed = " and ".join(filter(None, (", ".join(models[:-1]), models[-1])))
        who = f"the {listed} model{'s' if len(models) > 1 else ''}"
        if lines:
            yield f"acts on, in {who}\n{lines[0]}"
    kinetics: dict[str, None] = {}
    for model, names in targets.items():
        for module in _own_modules(_system(model), names):
            kinetics.setdefault(_kinetics(_system(model), module, width))
    yield from kinetics


def _own_modules(system: System, targets: Sequence[str]) -> list[str]:
    return sorted({_module(system, t) for t in targets if t in system.rates})


def _action(system: System, targets: Sequence[str], width: int) -> tuple[str, ...]:
    """What outside their own module reads the targets or what follows from them; empty where nothing does."""
    targets = [t for t in targets if t in system.rates or t in system.inputs]
    own, users = set(_own_modules(system, targets)), _users(system)
    reached, waiting = set(targets), list(targets)
    readers: dict[str, dict[str, None]] = {}
    while waiting:
        symbol = waiting.pop(0)
        for user in users.get(symbol, ()):
            if _module(system, user) not in own:
                readers.setdefault(symbol, {})[f"{user} ({_module(system, user)})"] = None
            elif user not in reached:
                reached.add(user)
                waiting.append(user)
    rows = [(symbol, _label(system, symbol) + ", ".join(quantities)) for symbol, quantities in readers.items()]
    return (fields(rows, width, arrow=True),) if rows else ()


def _label(system: System, symbol: str) -> str:
    quantity = system.quantities.get(symbol)
    return f"{quantity.label}: " if quantity and quantity.label else ""


def _kinetics(system: System, module: str, width: int) -> str:
    """Number, status and sources of the parameters that the equations of a module use."""
    from respine.model.expression import symbols

    used: dict[str, None] = {}
    for name in (*system.rates, *system.rules):
        if _module(system, name) == module:
            for expr in (system.rules.get(name), system.rates.get(name)):
                used.update(dict.fromkeys(symbols(expr) if expr else ()))
    rows = [system.quantities[n] for n in used if n in system.parameters and n in system.quantities]
    count: dict[str, int] = {}
    sources: dict[str, int] = {}
    for q in rows:
        count[q.status] = count.get(q.status, 0) + 1
        for key in filter(None, (key.strip() for key in q.source.split(";"))):
            sources[key] = sources.get(key, 0) + 1
    statuses = ", ".join(f"{n} {status}" for status, n in count.items())
    lines = [f"kinetics: module {module} of the {system.name} model, {len(rows)} parameters ({statuses})"]
    named = [[str(n), citation(key)] for key, n in sorted(sources.items(), key=lambda item: -item[1])]
    if named:
        lines.append(indented(columns([["rows", "source"], *named], right=(0,))))
    lines.append(indented(f"every number with its place in the source: respine model show {module} -m {system.name}"))
    return "\n".join(cut(line, width) for block in lines for line in block.splitlines())


@lru_cache(maxsize=8)
def _system(name: str) -> System:
    from respine import model

    return model.load(name)


def _module(system: System, name: str) -> str:
    quantity = system.quantities.get(name)
    return quantity.file.rpartition("/")[2].removesuffix(".csv") if quantity else system.name


def _users(system: System) -> dict[str, list[str]]:
    """Which rules and states have a symbol in their equation."""
    from respine.model.expression import symbols

    users: dict[str, list[str]] = {}
    for table in (system.rules, system.rates):
        for name, expr in table.items():
            for symbol in dict.fromkeys(symbols(expr)):
                users.setdefault(symbol, []).append(name)
    return users

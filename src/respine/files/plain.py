"""Values as text and back without running anything: what a cache keeps of equations, in place of pickles.

A value is a list of nodes in JSON: a node is a number, a text, a truth value, nothing, or a list whose first item says
what it holds (tuple, list, dict, frozenset, or a class by its name) and whose others are numbers of earlier nodes.
Shared parts are kept once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from typing import Any

FORMAT = "plain-1"
"""Stands in the key of all that is kept in this form."""

_LEAVES = (str, int, float, bool, type(None))
_KINDS: dict[type, str] = {tuple: "()", list: "[]", dict: "{}", frozenset: "<>"}


def encode(value: Any, classes: Iterable[type]) -> bytes:
    """A value as bytes; objects in it must be of ``classes``. Raises TypeError for anything else."""
    names = {cls: cls.__name__ for cls in classes}
    nodes: list[Any] = []
    by_value: dict[tuple[type, str], int] = {}
    by_identity: dict[int, int] = {}
    kept: list[Any] = []  # so that no identity is used again

    def number(item: Any) -> int:
        if type(item).__module__ == "numpy" and getattr(item, "shape", None) == ():
            item = item.item()
        kind = type(item)
        if kind in _LEAVES:
            key = (kind, repr(item))
            if key not in by_value:
                by_value[key] = len(nodes)
                nodes.append(item)
            return by_value[key]
        if id(item) not in by_identity:
            node = [_KINDS.get(kind) or names.get(kind), *map(number, _parts(item, kind in names))]
            by_identity[id(item)] = len(nodes)
            kept.append(item)
            nodes.append(node)
        return by_identity[id(item)]

    number(value)
    return json.dumps(nodes, separators=(",", ":")).encode()


def _parts(item: Any, is_class: bool) -> Iterable[Any]:
    if is_class:
        held = {field.name: getattr(item, field.name) for field in fields(item)} if is_dataclass(item) else vars(item)
        return (part for pair in held.items() for part in pair)
    if type(item) is dict:
        return (part for pair in item.items() for part in pair)
    if type(item) in (tuple, list):
        return list(item)
    if type(item) is frozenset:
        return sorted(item, key=repr)
    raise TypeError(f"{type(item).__name__} cannot be kept")


def decode(data: bytes, classes: Iterable[type]) -> Any:
    """The value that ``encode`` wrote with these classes. Raises ValueError for bytes of any other shape."""
    named = {cls.__name__: cls for cls in classes}
    try:
        nodes = json.loads(data)
        values: list[Any] = []
        for node in nodes:
            if type(node) is not list:
                values.append(node if type(node) in _LEAVES else _refuse())
                continue
            kind, parts = node[0], [values[k] for k in node[1:]]
            if kind == "()":
                values.append(tuple(parts))
            elif kind == "[]":
                values.append(parts)
            elif kind == "{}":
                values.append(_pairs(parts))
            elif kind == "<>":
                values.append(frozenset(parts))
            else:
                values.append(_made(named[kind], _pairs(parts)))
        return values[-1]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError) as error:
        raise ValueError(f"these bytes hold no value kept here ({type(error).__name__})") from None


def _refuse() -> Any:
    raise ValueError("a mapping has no place here")


def _pairs(parts: list[Any]) -> dict[Any, Any]:
    return dict(zip(parts[::2], parts[1::2], strict=True))


def _made(kind: type, held: dict[str, Any]) -> Any:
    """An object by what it holds; a dataclass must hold its fields, all and no others."""
    if is_dataclass(kind) and held.keys() != {field.name for field in fields(kind)}:
        raise ValueError("other fields than those of the class")
    made: Any = object.__new__(kind)
    made.__dict__.update(held)
    return made

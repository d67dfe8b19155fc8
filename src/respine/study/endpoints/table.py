"""The table of kinds of endpoints in the docs, made from their classes."""

from __future__ import annotations

from typing import get_args

from respine.study.endpoints import CLASSES, Endpoint
from respine.study.endpoints.base import Adjustable

HEADER = "| kind | needs | may have | gives | unit |\n|---|---|---|---|---|\n"
_EVERY = ("name", "of", "kind", "analysis", "note")


def markdown() -> str:
    """One row a class: its kinds, fields, what the number is, and its unit."""
    return HEADER + "".join(_row(cls) for cls in CLASSES)


def _row(endpoint_class: type[Endpoint]) -> str:
    fields = {info.alias or name: info for name, info in endpoint_class.model_fields.items() if name not in _EVERY}
    paired = [name for pair in endpoint_class.either for name in pair]
    needs = [name for name, info in fields.items() if info.is_required()]
    may = [name for name in fields if name not in (*needs, *paired)]
    if endpoint_class.model_fields["analysis"].annotation == get_args(Adjustable)[0]:
        may.append("analysis")
    either = ["`" + "` or `".join(pair) + "`" for pair in endpoint_class.either]
    kinds = get_args(endpoint_class.model_fields["kind"].annotation)
    unit = endpoint_class.model_construct(kind=kinds[0]).unit("as measured")
    others = {endpoint_class.model_construct(kind=kind).unit("as measured") for kind in kinds} - {unit}
    cells = (
        _code(kinds), ", ".join(part for part in (_code(needs), *either) if part), _code(may), endpoint_class.gives,
        " or ".join([unit, *sorted(others)]),
    )  # fmt: skip
    return "| " + " | ".join(cells) + " |\n"


def _code(words: tuple[str, ...] | list[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)

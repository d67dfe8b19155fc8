"""Where every number comes from: the symbols of the models, the numbers of scales, drugs and populations, and a check."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from respine import library
from respine.files import yaml_file
from respine.model.system import Quantity, System

STATUSES = ("literature", "derived", "calibrated", "assumed")
KINDS = ("scales", "drugs", "exposures", "populations")
COLUMNS = ["symbol", "role", "value", "unit", "low", "high", "variability", "status", "source", "where", "note", "file",
           "lacks"]  # fmt: skip


def symbols(system: System, in_recipes: Mapping[str, str]) -> pd.DataFrame:
    """One row a symbol of a model, columns ``COLUMNS``; ``lacks`` names what its row should have and has not.

    ``in_recipes`` maps calibrated numbers to the block whose recipe gives them. An equation needs a unit and a label; a
    parameter a unit, a status and an entry in the references, or the reason of an assumption; a calibrated one a recipe.
    """
    known = set(library.references())
    rows = [_row(system, q, known, in_recipes) for q in system.quantities.values()]
    return pd.DataFrame(rows, columns=COLUMNS)


def _row(system: System, q: Quantity, known: set[str], in_recipes: Mapping[str, str]) -> dict[str, Any]:
    status = q.status if q.role == "parameter" else "set by a study" if q.role == "input" else "equation"
    lacks = [] if q.unit else ["unit"]
    keys = _keys(q.source)
    lacks += [f"reference {key}" for key in keys if key not in known]
    if q.role != "parameter":
        lacks += [] if q.label else ["label"]
        lacks += [] if q.role == "input" or q.id in system.rates or q.id in system.rules else ["equation"]
    else:
        lacks += _missing(q.status, keys, q.note)
        if q.status == "calibrated" and q.id not in in_recipes:
            lacks.append("recipe")
    return {
        "symbol": q.id, "role": q.role, "value": q.value, "unit": q.unit, "low": q.low, "high": q.high,
        "variability": q.variability or None, "status": status, "source": q.source,
        "where": q.where or (f"recipe {in_recipes[q.id]}" if q.id in in_recipes else ""),
        "note": q.note if q.role == "parameter" else q.label, "file": f"{q.file}:{q.line}", "lacks": ", ".join(lacks),
    }  # fmt: skip


def other_numbers() -> pd.DataFrame:
    """Numbers of the YAML files of scales, drugs, exposures and populations, columns as of ``symbols``."""
    known = set(library.references())
    rows = []
    for kind in KINDS:
        for file in sorted((library.ROOT / kind).glob(f"*{library.KINDS[kind]}")):
            doc = yaml_file.read(file, kind)
            for place, entry in _entries(doc.data, ()):
                where = f"library/{kind}/{file.name}:{doc.line(place)}"
                name = ".".join((file.stem.lstrip("_"), *map(str, place)))
                rows.append(_entry(name, kind.removesuffix("s"), entry, where, known))
    return pd.DataFrame(rows, columns=COLUMNS)


def _entry(name: str, role: str, entry: Mapping[str, Any], where: str, known: set[str]) -> dict[str, Any]:
    status, keys = str(entry.get("status") or ""), _keys(entry.get("source") or "")
    lacks = [f"reference {key}" for key in keys if key not in known]
    lacks += _missing(status, keys, str(entry.get("note") or ""))
    if status == "calibrated" and not entry.get("recipe"):
        lacks.append("recipe")
    numbers = (_number(entry.get(k)) for k in ("value", "median", "mean", "allele_frequency"))
    value = next((x for x in numbers if x is not None), None)
    return {
        "symbol": name, "role": role, "value": value, "unit": str(entry.get("unit") or ""),
        "low": _number(entry.get("low")), "high": _number(entry.get("high")), "variability": None, "status": status,
        "source": ";".join(keys), "where": f"recipe {entry['recipe']}" if entry.get("recipe") else "",
        "note": str(entry.get("note") or ""), "file": where, "lacks": ", ".join(lacks),
    }  # fmt: skip


def _entries(block: Any, place: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Mapping[str, Any]]]:
    """Every mapping that states an origin, with the names that lead to it."""
    if isinstance(block, Mapping):
        if "status" in block:
            yield place, block
            return
        for name, value in block.items():
            yield from _entries(value, (*place, str(name)))
    elif isinstance(block, list | tuple):
        for k, value in enumerate(block):
            yield from _entries(value, (*place, k))


def _missing(status: str, keys: list[str], note: str) -> list[str]:
    if status not in STATUSES:
        return ["status"]
    if status == "assumed":
        return [] if note or keys else ["reason"]
    return [] if keys else ["source"]


def _keys(source: Any) -> list[str]:
    parts = source if isinstance(source, list | tuple) else str(source).split(";")
    return [str(key).strip() for key in parts if str(key).strip()]


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def by_status(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Rows ``numbers, n``, a count per status, ``complete`` and ``assumed_share`` of each named table's numbers.

    Equations and inputs carry no status and do not count.
    """
    rows = []
    for name, table in tables.items():
        counted = table[table["status"].isin(STATUSES)]
        counts = {status: int((counted["status"] == status).sum()) for status in STATUSES}
        share = counts["assumed"] / len(counted) if len(counted) else None
        complete = int((counted["lacks"] == "").sum())
        rows.append({"numbers": name, "n": len(counted), **counts, "complete": complete, "assumed_share": share})
    return pd.DataFrame(rows)

"""What a page knows of every symbol of its model: equation, unit, belief, status, source, and who feeds whom."""

from __future__ import annotations

import re
from typing import Any

from respine.library import Library
from respine.model.describe import equation, modules
from respine.model.expression import symbols
from respine.model.infix import infix
from respine.model.system import System

LOWER_IS_BETTER = (
    "symptom", "ideation", "distress", "pain", "pain_felt", "cadss_drive", "sedation", "systolic_pressure_rise",
    "diastolic_pressure_rise", "heart_rate_rise", "bladder_risk", "cortisol", "cytokine", "dissociation", "limbic_growth",
)  # fmt: skip
HIGHER_IS_BETTER = (
    "spine_total", "spine_mushroom", "synapse_number", "synapse_strength", "dendrite_arbor", "circuit", "memory",
    "hippocampal_volume", "prefrontal_volume", "spine_head_size",
)  # fmt: skip


def symbols_of(system: System) -> dict[str, dict[str, Any]]:
    """Every symbol by its id. Empty entries are left away, to keep a page small."""
    group = {name: module for module, names in modules(system).items() for name in names}
    entries: dict[str, dict[str, Any]] = {}
    for name in (*system.rates, *system.rules, *system.inputs, *system.parameters):
        quantity = system.quantities.get(name)
        expr = system.rates.get(name) or system.rules.get(name)
        role = "state" if name in system.rates else "rule" if name in system.rules else (
            "input" if name in system.inputs else "parameter")  # fmt: skip
        entry: dict[str, Any] = {"role": role, "module": group.get(name, "")}
        if expr is not None:
            entry |= {
                "equation": equation(system, name),
                "uses": [s for s in dict.fromkeys(symbols(expr)) if s != name],
            }
        if role == "parameter":
            entry["value"] = system.parameters[name]
        elif role == "input":
            entry["value"] = system.inputs[name]
        elif name in system.initial:
            entry["start"] = infix(system.initial[name])
        if quantity is not None:
            about = {
                "unit": quantity.unit, "label": quantity.label, "status": quantity.status, "source": quantity.source,
                "where": quantity.where, "note": quantity.note, "low": quantity.low, "high": quantity.high,
                "population": quantity.population, "varies": quantity.variability or None,
                "distribution": quantity.distribution if quantity.variability else "", "file": quantity.file,
            }  # fmt: skip
            entry |= {key: value for key, value in about.items() if value not in ("", None)}
        if name in LOWER_IS_BETTER:
            entry["worse"] = "up"
        elif name in HIGHER_IS_BETTER:
            entry["worse"] = "down"
        entries[name] = entry
    return entries


def sources_of(symbols: dict[str, dict[str, Any]], library: Library) -> dict[str, dict[str, str]]:
    """The source keys that the symbols name: author, year, title, doi."""
    keys = {key.strip() for entry in symbols.values() for key in str(entry.get("source", "")).split(";") if key.strip()}
    references = library.references()
    return {key: _reference(references[key]) for key in sorted(keys) if key in references}


def _reference(entry: str) -> dict[str, str]:
    fields = {}
    for name in ("author", "year", "title", "journal", "doi", "url"):
        match = re.search(rf"(?im)^\s*{name}\s*=\s*[{{\"]+(.*?)[}}\"]+\s*,?\s*$", entry)
        if match:
            fields[name] = re.sub(r"[{}]", "", match[1])
    return fields

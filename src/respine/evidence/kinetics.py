"""Rows of the pharmacokinetic table: exposures from experiments with the typical subject, parameters as they are."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from respine import library, model
from respine.evidence import experiment, store
from respine.evidence.row import NAN, ComparedRow, about, score, unpredicted, within
from respine.files import units
from respine.files.constants import Z90
from respine.model import formula
from respine.model.expression import evaluate, symbols
from respine.model.system import System
from respine.population import normals
from respine.population.sample import belief as values_at
from respine.protocol import resolve
from respine.protocol.typical import TypicalStudy, dose_symbols
from respine.published import NotCompared, Reason
from respine.published.bars import number, published

SCHEMA = "respine/pk-experiments/1"
DRAWS = 200  # of the uncertain typical values
RANGES_OVERLAP = "published range or bar and the model's 90 % range overlap"
WITHIN_RANGE = "published value within the model's 90 % range"
SEED = 20260
Progress = Callable[[str, int, int], None]


def predict(progress: Progress | None = None) -> list[ComparedRow]:
    """A line for every row of ``evidence/pk.csv``: exposure, parameter, or the reason why neither."""
    data = experiment.read("pk_experiments", SCHEMA)
    digest = store.key("kinetics")
    kept = store.read("kinetics", digest)
    if kept is not None:
        return [ComparedRow.of(row) for row in kept]
    rows = {row["id"]: row for row in library.rows("evidence", "pk")}
    lines = _exposures(data, rows, progress) | _parameters(data, rows)
    result = [lines.get(id) or unpredicted(row, "pk", _why_not(data, row)) for id, row in rows.items()]
    store.write("kinetics", digest, [row.to_dict() for row in result])
    return result


def _why_not(data: Mapping[str, Any], row: Mapping[str, str]) -> Reason:
    text = " ".join(row.get(name, "") for name in ("quantity", "population", "species"))
    for entry in data["not_compared"]:
        if re.search(entry["pattern"], text):
            return NotCompared.EXPLAINED.because(str(entry["reason"]))
    kind = NotCompared.NO_NUMBER if published(row) is None else NotCompared.NO_EXPERIMENT
    return kind.because(kind.value)


def uncertain_values(system: System, outputs: Sequence[str], keep: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """Draws ``(DRAWS + 1,)`` of every uncertain typical value the outputs can depend on; the first is the value itself.

    The same parameter has the same draws in every experiment, so that ratios of experiments are of one draw. Names in
    ``keep`` stay at their value.
    """
    values = {}
    for id in sorted(system.dependencies(outputs) & system.parameters.keys()):
        quantity = system.quantities.get(id)
        if (
            id in keep
            or quantity is None
            or quantity.low is None
            or quantity.high is None
            or quantity.low == quantity.high
        ):
            continue
        z = normals(SEED, f"typical:{id}", 0, DRAWS)[:, 0]
        values[id] = np.concatenate([[system.parameters[id]], values_at(quantity, system.parameters[id], z)])
    return values


def _exposures(
    data: Mapping[str, Any], rows: Mapping[str, Mapping[str, str]], progress: Progress | None
) -> dict[str, ComparedRow]:
    entries = {entry["name"]: entry for entry in data["experiments"]}
    courses: dict[str, _Course] = {}
    lines: dict[str, ComparedRow] = {}
    for k, (name, entry) in enumerate(entries.items()):
        if progress:
            progress(name, k, len(entries))
        for ask in entry["rows"]:
            for wanted in (name, ask.get("against")):
                if wanted and wanted not in courses:
                    courses[wanted] = _Course(entries[wanted], _outputs_of(entries, wanted))
            values = courses[name].measure(ask, courses.get(ask.get("against", "")))
            lines[ask["id"]] = _exposure(rows[ask["id"]], entry, ask, values, data["acceptance"])
    if progress:
        progress("kinetics", len(entries), len(entries))
    return lines


def _outputs_of(entries: Mapping[str, Any], name: str) -> list[str]:
    """Outputs an experiment is asked for, by its own rows and by rows that take it as reference."""
    asked = list(entries[name]["rows"])
    asked += [ask for entry in entries.values() for ask in entry["rows"] if ask.get("against") == name]
    return list(dict.fromkeys(o for ask in asked for o in (ask["output"], ask.get("over_output")) if o))


class _Course:
    """Concentrations of the typical subject over time, for every draw of the typical values."""

    def __init__(self, entry: Mapping[str, Any], outputs: Sequence[str]) -> None:
        self.until = units.hours(entry["until"])
        study = experiment.study_of(
            entry["name"], entry["population"], {"only": {"doses": [entry["give"]]}}, entry["until"],
            entry.get("covariates"),
        )  # fmt: skip
        protocol = resolve(study)
        self.system = protocol.system
        dose = study.arms["only"].doses[0]
        assert dose.amount is not None
        weight = (entry.get("covariates") or {}).get("weight_kg", self.system.parameters.get("weight_kg", NAN))
        self.mg = dose.amount.value * (weight if "kg" in dose.amount.unit.split("/")[1:] else 1.0)
        drawn = uncertain_values(
            self.system,
            [*outputs, *sorted(dose_symbols(protocol.arm("only")))],
            keep=tuple(entry.get("covariates") or {}),
        )
        self.times, self.outputs = _grid(self.until), list(outputs)
        prepared = TypicalStudy(protocol, outputs, self.times, vary=tuple(drawn))
        self.values = prepared.predict(np.column_stack(list(drawn.values())))[:, 0]  # (draws, times, outputs)

    def of(self, output: str) -> np.ndarray:
        """(draws, times)."""
        return self.values[:, :, self.outputs.index(output)]

    def area(self, output: str, begin: float = 0.0, end: float | None = None) -> np.ndarray:
        """Area under the curve, (draws,)."""
        use = (self.times >= begin - 1e-9) & (self.times <= (self.until if end is None else end) + 1e-9)
        return np.trapezoid(self.of(output)[:, use], self.times[use], axis=1)

    def measure(self, ask: Mapping[str, Any], against: _Course | None) -> np.ndarray:
        """What a row asks for, one value a draw, in the row's unit."""
        begin, end = (units.hours(ask[name]) if name in ask else None for name in ("from", "to"))
        output, kind = ask["output"], ask["measure"]
        if kind == "peak":
            measured = self.of(output).max(axis=1)
        elif kind == "peak-time":
            measured = self.times[self.of(output).argmax(axis=1)]
        elif kind == "area":
            measured = self.area(output, begin or 0.0, end)
        elif kind == "area-ratio":
            measured = self.area(output, begin or 0.0, end) / self.area(ask["over_output"], begin or 0.0, end)
        elif kind == "clearance":  # ng/mL is ug/L
            measured = 1000 * self.mg / self.area(output)
        elif kind == "bioavailability":
            assert against is not None
            measured = 100 * (self.area(output) / self.mg) / (against.area(output) / against.mg)
        elif kind == "half-life":
            assert begin is not None and end is not None
            first, last = (self.of(output)[:, int(np.abs(self.times - t).argmin())] for t in (begin, end))
            measured = (end - begin) * np.log(2) / np.log(first / last)
        elif kind == "mean":
            assert begin is not None and end is not None
            measured = self.area(output, begin, end) / (end - begin)
        else:
            raise ValueError(f'library/pk_experiments.yaml: "{kind}" is no measure')
        return measured * float(ask.get("factor", 1.0)) + float(ask.get("offset", 0.0))


def _grid(until: float) -> np.ndarray:
    parts = [np.arange(0, 1, 1 / 60), np.arange(1, 6, 1 / 12), np.arange(6, 24, 0.25), np.arange(24, 96.1, 1.0)]
    times = np.concatenate(parts)
    if until > 96:
        times = np.concatenate([times, np.arange(97, until - 24, 6.0), np.arange(until - 24, until + 0.01, 0.5)])
    return np.unique(np.round(np.concatenate([times[times <= until], [until]]), 9))


def _exposure(
    row: Mapping[str, str], entry: Mapping[str, Any], ask: Mapping[str, Any], values: np.ndarray,
    acceptance: Mapping[str, str],
) -> ComparedRow:  # fmt: skip
    result = _published(row)
    accept = acceptance[ask.get("accept") or entry["give"]["route"]]
    typical = float(values[0])
    low, q25, q75, high = map(float, np.quantile(values[1:], [0.05, 0.25, 0.75, 0.95]))
    facts = about(row, "pk") | {
        "kind": "exposure", "study": entry["name"], "predicted": typical, "low": low, "high": high, "q25": q25,
        "q75": q75, "note": str(ask.get("note", "")), "n": _people(row),
    }  # fmt: skip
    if result is None:
        return ComparedRow(**facts, rule="no single number was published: shown only")
    value, bottom, top = result
    if np.isfinite(bottom) and _is_range(row):
        inside, rule = within(typical, bottom, top), "typical value within the published range"
    elif accept.endswith("fold"):
        fold = float(accept.removesuffix("-fold"))
        inside, rule = within(typical, value / fold, value * fold), f"typical value within {accept} of the published"
    else:
        share = float(accept.rstrip(" %")) / 100
        inside = within(typical, value * (1 - share), value * (1 + share))
        rule = f"typical value within {accept} of the published"
    se = (top - bottom) / (2 * 1.96) if np.isfinite(bottom) else 0.0
    return ComparedRow(**facts, published=value, published_low=bottom, published_high=top, inside=inside,
                z=score(value, typical, low, high, se), rule=rule)  # fmt: skip


def _is_range(row: Mapping[str, str]) -> bool:
    return number(row.get("value", "")) is None


def _published(row: Mapping[str, str]) -> tuple[float, float, float] | None:
    """Value and 95 % bar of a row; the middle and ends of a printed range ("17-20")."""
    result = published(row)
    if result is not None:
        return result.value, result.low, result.high
    text = row.get("value", "").replace("–", "-")
    if match := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*-\s*(\d+(?:\.\d+)?)\s*", text):
        low, high = float(match[1]), float(match[2])
        return (low + high) / 2, low, high
    return None


def _people(row: Mapping[str, str]) -> int | None:
    n = number(row.get("n", ""))
    return int(n) if n is not None and n >= 1 and n == int(n) else None


def _parameters(data: Mapping[str, Any], rows: Mapping[str, Mapping[str, str]]) -> dict[str, ComparedRow]:
    lines = {}
    for entry in data["parameters"]:
        system = model.load(entry["model"])
        expr = formula.parse(entry["formula"])
        drawn = uncertain_values(system, list(symbols(expr)))
        names = list(symbols(expr))
        values = np.asarray(evaluate(expr, {n: drawn.get(n, system.parameters[n]) for n in names}), float)
        values = np.broadcast_to(values, (DRAWS + 1,))
        row = rows[entry["id"]]
        low, q25, q75, high = map(float, np.quantile(values[1:], [0.05, 0.25, 0.75, 0.95]))
        if len(names) == 1 and len(drawn) == 1:  # the uncertainty itself, without the chance of its draws
            ends = [values_at(system.quantities[names[0]], system.parameters[names[0]], np.array([z]))[0]
                    for z in (-Z90, -0.6745, 0.6745, Z90)]  # fmt: skip
            low, q25, q75, high = sorted(float(evaluate(expr, {names[0]: end})) for end in ends)
        facts = about(row, "pk") | {
            "kind": "parameter", "study": f"{entry['model']} model", "predicted": float(values[0]), "low": low,
            "high": high, "q25": q25, "q75": q75, "note": entry["formula"], "n": _people(row),
        }  # fmt: skip
        result = _published(row)
        if result is None:
            lines[entry["id"]] = ComparedRow(**facts, rule="no single number was published: shown only")
            continue
        value, bottom, top = result
        se = (top - bottom) / (2 * 1.96) if np.isfinite(bottom) else 0.0
        overlap = np.isfinite(bottom) and (_is_range(row) or se > 0)
        rule = RANGES_OVERLAP if overlap else WITHIN_RANGE
        reach = bool(low <= top and high >= bottom) if overlap else within(value, low, high)
        if low == high:  # no uncertainty: an exact input
            reach, rule = bool(np.isclose(value, low, rtol=0.02)), "the model's number is the published one"
        lines[entry["id"]] = ComparedRow(**facts, published=value, published_low=bottom, published_high=top, inside=reach,
                                z=score(value, float(values[0]), low, high, se), rule=rule)  # fmt: skip
    return lines

"""The assertions of the library: named, signed checks of the typical animal or person against published findings."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from respine.errors import InputError, Problem
from respine.evidence import experiment, store
from respine.evidence.measures import Typicals, Value, bounded, compute, rows_by_id, target
from respine.files.suggest import nearest

SCHEMA = "respine/assertions/1"
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Check:
    """One number between bounds."""

    what: str
    value: float
    low: float | None
    high: float | None
    unit: str
    holds: bool

    @property
    def target(self) -> str:
        """The bounds in words."""
        return target(self.low, self.high)


@dataclass(frozen=True)
class Assertion:
    """A named finding with its checks; it holds when all of them do. ``evidence``: row ids with their roles."""

    label: str
    title: str
    study: str
    evidence: tuple[tuple[str, str], ...]
    checks: tuple[Check, ...]

    @property
    def holds(self) -> bool:
        """Whether every check holds."""
        return all(check.holds for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """Keys ``label, title, study, holds, target, value, unit, evidence, checks``; the first check gives target and
        value.
        """
        checks = [
            {"what": c.what, "target": c.target, "low": c.low, "high": c.high, "value": c.value, "unit": c.unit,
             "holds": c.holds}
            for c in self.checks
        ]  # fmt: skip
        rows = [{"id": id, "role": role} for id, role in self.evidence]
        first = self.checks[0]
        return {"label": self.label, "title": self.title, "study": self.study, "holds": self.holds,
                "target": first.target, "value": first.value, "unit": first.unit, "evidence": rows,
                "checks": checks}  # fmt: skip


def read() -> dict[str, Any]:
    """``library/assertions.yaml`` as plain values."""
    return experiment.read("assertions", SCHEMA)


def evaluate(
    labels: Collection[str] = (), parameters: Mapping[str, float] | None = None, progress: Progress | None = None
) -> list[Assertion]:
    """All assertions, or those with these labels, on the model as it is or with some typical values replaced.

    Raises InputError for an unknown label, ValueError for a parameter or output the model does not have.
    """
    data = read()
    known = [assertion["label"] for assertion in data["assertions"]]
    wrong = [label for label in labels if label not in known]
    if wrong:
        raise InputError(*(
            Problem("command line", "label", label, "There is no assertion of this label.", nearest(label, known))
            for label in wrong
        ))  # fmt: skip
    chosen = [assertion for assertion in data["assertions"] if not labels or assertion["label"] in labels]
    numbers = _numbers(data, chosen, dict(parameters or {}), progress)
    roles = {id: row["role"] for id, row in rows_by_id().items()}
    return [_assertion(assertion, numbers[assertion["label"]], roles) for assertion in chosen]


def _numbers(
    data: Mapping[str, Any], chosen: list[Any], parameters: dict[str, float], progress: Progress | None
) -> dict[str, dict[str, float]]:
    """The named values of every assertion; those of the model as it is are kept in the cache folder."""
    digest = store.key("assertions", repr([assertion["label"] for assertion in chosen]))
    kept = store.read("assertions", digest) if not parameters else None
    if kept is not None:
        return dict(kept)
    typicals = Typicals(data.get("experiments") or {}, parameters)
    asked = {
        assertion["label"]: {name: Value.of(raw, assertion.get("study") or assertion.get("experiment", ""))
                       for name, raw in assertion["values"].items()}
        for assertion in chosen
    }  # fmt: skip
    everything = [value for values in asked.values() for value in values.values()]
    names = list(dict.fromkeys(value.study for value in everything))
    for k, name in enumerate(names):
        if progress:
            progress(name, k, len(names))
        typicals.solve([value for value in everything if value.study == name])
    result = {label: {name: typicals[value] for name, value in values.items()} for label, values in asked.items()}
    if not parameters:
        store.write("assertions", digest, result)
    return result


def _assertion(entry: Mapping[str, Any], numbers: Mapping[str, float], roles: Mapping[str, str]) -> Assertion:
    checks = []
    for raw in entry["checks"]:
        value = compute(raw["formula"], numbers)
        low, high = raw.get("low"), raw.get("high")
        checks.append(Check(raw["what"], value, low, high, raw.get("unit", ""), bounded(value, low, high)))
    evidence = tuple((id, roles[id]) for id in entry["evidence"])
    study = entry.get("study") or entry.get("experiment", "")
    return Assertion(entry["label"], entry["title"], study, evidence, tuple(checks))

"""Values of typical animals and people by name, and formulas of them: what assertions and claims are written in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from respine import library
from respine import study as studies
from respine.evidence import experiment
from respine.files import units
from respine.model import formula
from respine.model.expression import evaluate
from respine.protocol import resolve
from respine.protocol.typical import typical
from respine.study.schema import Study

WINDOW_POINTS = 121  # times at which a window is looked at
TAKES: dict[str, Callable[..., Any]] = {"max": np.max, "min": np.min, "mean": np.mean}


@dataclass(frozen=True)
class Value:
    """One number of a typical subject: an output of an arm at ``times[0]``, or ``take`` of it over all ``times``."""

    study: str
    arm: str
    output: str
    times: tuple[float, ...]
    take: str = ""

    @classmethod
    def of(cls, raw: Mapping[str, Any], default: str) -> Value:
        """From a data file; ``default`` is the study the entry belongs to."""
        where = str(raw.get("study") or raw.get("experiment") or default)
        if "at" in raw:
            return cls(where, raw["arm"], raw["output"], (units.hours(raw["at"]),))
        first, last = units.hours(raw["from"]), units.hours(raw["to"])
        grid = np.round(np.linspace(first, last, WINDOW_POINTS), 9)
        return cls(where, raw["arm"], raw["output"], tuple(grid.tolist()), raw["take"])


@dataclass
class Typicals:
    """Typical subjects of studies and of a data file's own experiments, each solved once for all values asked for."""

    experiments: Mapping[str, Any]
    parameters: Mapping[str, float] = field(default_factory=dict)
    _found: dict[Value, float] = field(default_factory=dict)

    def study(self, name: str) -> Study:
        """A study of the library, or an experiment of the file. Raises InputError for neither."""
        if name not in self.experiments:
            return studies.load(name)
        return inline(name, self.experiments[name])

    def solve(self, values: list[Value]) -> None:
        """Compute all values, study by study."""
        for name in dict.fromkeys(value.study for value in values):
            wanted = [value for value in values if value.study == name and value not in self._found]
            if not wanted:
                continue
            times = np.unique([t for value in wanted for t in value.times])
            outputs = list(dict.fromkeys(value.output for value in wanted))
            study = self.study(name)
            protocol = resolve(study)
            known = protocol.system.parameters
            given = {id: number for id, number in self.parameters.items() if id in known}
            courses = typical(protocol, outputs, times, given)
            for value in wanted:
                at = np.searchsorted(times, np.asarray(value.times) - 1e-9)
                course = courses[value.arm][value.output][at]
                self._found[value] = float(TAKES[value.take](course)) if value.take else float(course[0])

    def __getitem__(self, value: Value) -> float:
        if value not in self._found:
            self.solve([value])
        return self._found[value]


def inline(name: str, experiment_fields: Mapping[str, Any]) -> Study:
    """The study of an experiment that stands in a data file."""
    more = {
        field: experiment_fields[field] for field in ("visits", "observe", "endpoints") if field in experiment_fields
    }
    return experiment.study_of(
        name,
        experiment_fields["population"],
        experiment_fields["arms"],
        experiment_fields["until"],
        experiment_fields.get("covariates"),
        **more,
    )


def compute(text: str, values: Mapping[str, float]) -> float:
    """A formula of named numbers. Raises FormulaError, KeyError for an unknown name."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(evaluate(formula.parse(text), dict(values)))


def bounded(value: float, low: float | None, high: float | None) -> bool:
    """Whether a number lies between its bounds, each of which may be absent; a number that is none does not."""
    return bool(np.isfinite(value) and (low is None or value >= low) and (high is None or value <= high))


def target(low: float | None, high: float | None) -> str:
    """The bounds in words."""
    if low is None:
        return f"at most {high:g}"
    return f"at least {low:g}" if high is None else f"{low:g} to {high:g}"


def rows_by_id() -> dict[str, dict[str, str]]:
    """Every row of the four tables by its id, with ``_table``."""
    return {row["id"]: row | {"_table": table} for table in library.names("evidence")
            for row in library.rows("evidence", table)}  # fmt: skip

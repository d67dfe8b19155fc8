"""A run folder, read: the only place of the report that knows file, column and manifest names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from respine.errors import InputError, Problem
from respine.report.text import records

if TYPE_CHECKING:
    from respine.model.system import Quantity
    from respine.study import Endpoint, Study

# file -> columns the report relies on
COLUMNS = {
    "chain": ("arm", "output", "time_h", "n", "p05", "median", "p95"),
    "visits": ("subject", "arm", "time_h", "scale", "value"),
    "doses": ("subject", "arm", "time_h", "why"),
    "endpoints": ("study", "arm", "endpoint", "time_h", "median", "p05", "p95", "published", "inside", "role"),
    "failures": ("subject", "arm", "status", "time_h", "state", "value", "reason"),
    "decisions": ("subject", "arm", "time_h", "rule", "action", "outcome", "why"),  # of studies with rules only
}


@dataclass(frozen=True)
class Known:
    """Label and unit of something drawn."""

    label: str
    unit: str


@dataclass(frozen=True)
class Folder:
    """The tables of a finished run (columns as in ``COLUMNS``) and what its manifest says."""

    path: Path
    study: Study
    chain: pd.DataFrame
    visits: pd.DataFrame
    doses: pd.DataFrame
    comparison: pd.DataFrame
    failures: pd.DataFrame
    quantities: Mapping[str, Quantity]
    model: str = "human"
    population: str = ""
    decisions: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=COLUMNS["decisions"]))
    when: str = ""
    warnings: Sequence[str] = ()
    facts: Sequence[tuple[str, str]] = field(default=())

    @property
    def arms(self) -> list[str]:
        """Arms in the order of the study."""
        return list(self.study.arms)

    @property
    def n_people(self) -> int:
        """Subjects simulated, all arms together."""
        return self.study.subjects * len(self.study.arms)

    def size(self, arm: str) -> int:
        """Subjects of an arm simulated to the end."""
        return self.study.subjects - int((self.failures["arm"] == arm).sum())

    @property
    def parameters(self) -> list[Quantity]:
        """The model's parameters with value, status and source."""
        return [q for q in self.quantities.values() if q.role == "parameter"]

    @property
    def compared(self) -> pd.DataFrame:
        """Rows with a prediction, with ``of`` and ``kind`` of their endpoint and the arm it is set ``against``."""
        return self._rows[self._rows["median"].notna()]

    @property
    def not_compared(self) -> pd.DataFrame:
        """Published rows without a prediction, or whose result is no single number; ``note`` says why."""
        rows = self._rows
        return rows[rows["median"].isna() | (rows["published"].isna() & (rows["role"] != ""))]

    @cached_property
    def _rows(self) -> pd.DataFrame:
        """The comparison with every optional column, and what each endpoint measures."""
        rows = self.comparison.copy()
        optional: dict[str, Any] = {
            "published_low": np.nan,
            "published_high": np.nan,
            "published_text": "",
            "unit": "",
            "note": "",
        }
        for column, blank in optional.items():
            if column not in rows:
                rows[column] = blank
        known = _measured(self.study)
        nothing = ("", "", "")
        meant = [known.get((r.arm, r.endpoint), known.get(("", r.endpoint), nothing)) for r in records(rows)]
        of, kind, against = zip(*meant, strict=True) if meant else ((), (), ())
        return rows.assign(of=of, kind=kind, against=against)

    def quantity(self, output: str) -> Known:
        """Label and unit of a model output."""
        q = self.quantities.get(output)
        return Known(q.label, q.unit) if q is not None else Known("", "")

    def scale(self, name: str) -> Known:
        """Label and unit of a scale, or of a model output that stands among the visits."""
        from respine import trial
        from respine.trial import scales

        if not trial.is_scale(name, self.study.library):
            return self.quantity(name)
        scale = scales.load(name, self.study.library)
        return Known(scale.title, scale.unit)


def _measured(study: Study) -> dict[tuple[str, str], tuple[str, str, str]]:
    """What each endpoint of each arm measures: scale or output, kind, and the arm it is set against."""
    from respine import published, trial

    def of(endpoint: Endpoint) -> tuple[str, str, str]:
        return endpoint.of, endpoint.kind, next(iter(endpoint.reference_arms), "")

    known = {("", endpoint.name): of(endpoint) for endpoint in trial.of_study(study)}
    for match in published.matches(study):
        if match.endpoint is not None:
            known[match.arm, match.endpoint.name] = of(match.endpoint)
    return known


def read(path: str | Path, quantities: Mapping[str, Quantity] | None = None) -> Folder:
    """The run in a folder. Raises InputError if there is none, or if it is unfinished or of another version.

    ``quantities`` of the model spare loading it again where the caller has it.
    """
    from respine import model
    from respine.run import manifest
    from respine.run.folder import read_finished

    record = read_finished(path)
    folder, facts, study = record.folder, record.facts, record.study
    tables = {name: _table(folder, name) for name in COLUMNS if name != "decisions"}
    tables["decisions"] = _table(folder, "decisions") if study.rules else pd.DataFrame(columns=COLUMNS["decisions"])
    return Folder(
        path=folder,
        study=study,
        chain=tables["chain"],
        visits=tables["visits"],
        doses=tables["doses"],
        comparison=tables["endpoints"],
        failures=tables["failures"],
        model=str(facts["model"]),
        population=f"{facts['population']['title']} ({facts['population']['name']})",
        quantities=model.load(facts["model"], study.library).quantities if quantities is None else quantities,
        decisions=tables["decisions"],
        when=_when(folder / manifest.NAME),
        warnings=[str(w) for w in facts["warnings"]],
        facts=_facts(facts),
    )


def _table(folder: Path, name: str) -> pd.DataFrame:
    file, wanted = folder / f"{name}.parquet", COLUMNS[name]
    if not file.is_file():
        why = f"{name}.parquet is missing from this run."
        raise InputError(Problem(str(folder), "run folder", "", why, "Make it again with {resume}.", ("resume",)))
    table = pd.read_parquet(file)
    missing = [column for column in wanted if column not in table.columns]
    if missing:
        why = f"the report needs {', '.join(missing)} too."
        seen = ", ".join(map(str, table.columns))
        raise InputError(Problem(str(file), "columns", seen, why, "Run the study again with this version."))
    return table


def _when(file: Path) -> str:
    return datetime.fromtimestamp(file.stat().st_mtime, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _facts(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Seed, sizes, hashes and versions, flat: what it takes to get the same numbers again."""
    identity = facts["identity"]
    solver = ", ".join(f"{name} {value}" for name, value in identity["solver"].items())
    rows = [
        ("study", identity["name"]),
        ("seed", facts["seed"]),
        ("subjects per arm", facts["subjects"]),
        ("model", facts["model"]),
        ("parameter draws", facts["parameter_draws"]),
        ("equations", f"{facts['equations']} of {facts['equations_before']} after specialisation"),
        ("solver", solver),
        *((f"{name}, SHA-256", digest) for name, digest in identity["parts"].items()),
        *facts["versions"].items(),
    ]
    return [(str(name), str(value)) for name, value in rows]

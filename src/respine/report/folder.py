"""A run folder, read: the only place of the report that knows file, column and manifest names."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from respine.errors import InputError, Problem
from respine.model.expression import evaluate, symbols
from respine.report.text import records
from respine.run.plan import PEOPLE_PER_DRAW

if TYPE_CHECKING:
    from respine.model.system import Quantity, System
    from respine.study import Endpoint, Study

LEAST_DRAWS = 20  # of the uncertain parameters, below which 5th and 95th percentiles mean nothing
_COMPLAINTS = ("severity", "relative", "level")  # rules of scales that count complaints and side effects

# file -> columns the report relies on
COLUMNS = {
    "chain": ("arm", "output", "time_h", "n", "p05", "median", "p95"),
    "visits": ("subject", "arm", "time_h", "scale", "value"),
    "doses": ("subject", "arm", "time_h", "why"),
    "endpoints": ("study", "arm", "endpoint", "time_h", "median", "p05", "p95", "published", "inside", "role"),
    "failures": ("subject", "arm", "status", "time_h", "state", "value", "reason"),
    "decisions": ("subject", "arm", "time_h", "rule", "action", "outcome", "why"),  # of studies with rules only
    "scores": ("arm", "scale", "time_h", "n", "p05", "median", "p95", "mean", "change_n", "change_mean"),
}
_SOMETIMES = ("visits", "doses", "decisions", "scores")


@dataclass(frozen=True)
class Known:
    """Label, unit and note of something drawn."""

    label: str
    unit: str
    note: str = ""


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
    draws: int | None = None  # of the uncertain parameters; None where nobody counted
    healthy: Mapping[str, float] = field(default_factory=dict)  # each quantity before anything happens
    warnings: Sequence[str] = ()
    facts: Sequence[tuple[str, str]] = field(default=())
    scores: pd.DataFrame | None = None  # over people at each visit; made from ``visits`` where a run has no such table

    @property
    def arms(self) -> list[str]:
        """Arms in the order of the study."""
        return list(self.study.arms)

    def of_person(self, name: str, arm: str, subject: int) -> pd.DataFrame:
        """The rows of one person in the table of ``visits`` or ``doses``."""
        file = self.path / f"{name}.parquet"
        if self.scores is None or not file.is_file():  # the tables are here as they were made
            held: pd.DataFrame = getattr(self, name)
            return held[(held["arm"] == arm) & (held["subject"] == subject)]
        return pd.read_parquet(file, filters=[("arm", "==", arm), ("subject", "==", subject)])

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
        """Rows with a prediction, with ``of`` and ``kind`` of their endpoint and the arm it is set ``against``.

        An interval that too few draws or no size of the trial stand behind is left out (`no_interval`).
        """
        rows = self._rows[self._rows["median"].notna()]
        bare = np.array([bool(self.no_interval(r.arm, r.against)) for r in records(rows)], bool)
        return rows.assign(
            p05=rows["p05"].mask(bare), p95=rows["p95"].mask(bare), inside=rows["inside"].astype("boolean").mask(bare)
        )

    def no_interval(self, *arms: str) -> str:
        """Why a result of these arms has no interval, or an empty text."""
        if self.draws is not None and self.draws < LEAST_DRAWS:
            few = "1 draw" if self.draws == 1 else f"{self.draws} draws"
            return (
                f"Medians only: {few} of the uncertain parameters {'is' if self.draws == 1 else 'are'} too few for an "
                f"interval. {LEAST_DRAWS} need {LEAST_DRAWS * PEOPLE_PER_DRAW} subjects an arm."
            )
        sizes = {arm: self.study.arms[arm].n_published for arm in arms if arm in self.study.arms}
        unknown = [arm for arm, size in sizes.items() if size is None]
        if unknown:
            return f"Medians only for {', '.join(unknown)}: an interval is that of a trial, whose size n_published is not given."
        return ""

    @property
    def interval_notes(self) -> list[str]:
        """Why intervals are missing, each reason once."""
        if self.draws is not None and self.draws < LEAST_DRAWS:
            return [self.no_interval()] if len(self.compared) else []
        return [note] if (note := self.no_interval(*dict.fromkeys(self.compared["arm"]))) else []

    @property
    def not_compared(self) -> pd.DataFrame:
        """Published rows without a prediction, or whose result is no single number; ``note`` says why."""
        rows = self._rows
        return rows[rows["median"].isna() | (rows["published"].isna() & (rows["role"] != ""))]

    @property
    def published(self) -> bool:
        """Whether any published result stands beside the predictions."""
        return bool(self._rows["published"].notna().any() or (self._rows["role"].fillna("") != "").any())

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

    def is_relative(self, name: str) -> bool:
        """Whether a quantity without unit is counted in multiples of its healthy value."""
        return math.isclose(self.healthy.get(name, math.nan), 1.0, rel_tol=1e-6)

    @cached_property
    def worse_when_higher(self) -> frozenset[str]:
        """Scales of complaints and side effects, and the model outputs that they read."""
        from respine.study import scales

        rated = [scales.load(self.study.library, name) for name in self.study.library.names("scales")]
        bad = [scale for scale in rated if scale.rule in _COMPLAINTS]
        return frozenset({name for scale in bad for name in (scale.name, *scale.aliases, scale.output)})

    def quantity(self, output: str) -> Known:
        """Label, unit and note of a model output."""
        q = self.quantities.get(output)
        return Known(q.label, q.unit, q.note) if q is not None else Known("", "")

    def scale(self, name: str) -> Known:
        """Label and unit of a scale, or of a model output that stands among the visits."""
        from respine.study import scales

        if not scales.is_scale(self.study.library, name):
            return self.quantity(name)
        scale = scales.load(self.study.library, name)
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


def folder_of(run: Any) -> Folder:
    """The tables of a run, given as a `Folder`, as what a run returns, or as the path of its folder."""
    if isinstance(run, Folder):
        return run
    return read(getattr(run, "folder", run))


def healthy_values(system: System) -> dict[str, float]:
    """What every state and rule of a system is before anything happens: at its start, inputs at rest."""
    known: dict[str, Any] = {**system.parameters, **system.inputs}
    waiting = {**system.initial, **system.rules}
    while waiting:
        ready = {name: expr for name, expr in waiting.items() if all(s in known for s in symbols(expr))}
        if not ready:  # a circle, which only a system made by hand can have
            break
        known |= {name: float(evaluate(expr, known, 0.0)) for name, expr in ready.items()}
        waiting = {name: expr for name, expr in waiting.items() if name not in ready}
    return {name: known[name] for name in (*system.states, *system.rules) if name in known}


def read(path: str | Path, system: System | None = None) -> Folder:
    """The run in a folder. Raises InputError if there is none, or if it is unfinished or of another version.

    ``system``: its model, which spares loading it again where the caller has it.
    """
    from respine import model
    from respine.run import manifest
    from respine.run.folder import read_finished

    record = read_finished(path)
    folder, facts, study = record.folder, record.facts, record.study
    system = model.load(facts["model"], study.library) if system is None else system
    tables = {name: _table(folder, name) for name in COLUMNS if name not in _SOMETIMES}
    tables["decisions"] = _table(folder, "decisions") if study.rules else pd.DataFrame(columns=COLUMNS["decisions"])
    scores = _table(folder, "scores") if "scores.parquet" in facts["files"] else None
    tables["visits"] = _table(folder, "visits") if scores is None else pd.DataFrame(columns=COLUMNS["visits"])
    tables["doses"] = _table(folder, "doses") if study.rules else _occasions(folder)
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
        quantities=system.quantities,
        draws=facts["parameter_draws"],
        healthy=healthy_values(system),
        decisions=tables["decisions"],
        when=_when(folder / manifest.NAME),
        warnings=[str(w) for w in facts["warnings"]],
        facts=_facts(facts),
        scores=scores,
    )


def _occasions(folder: Path) -> pd.DataFrame:
    """The table of doses with one row for every occasion of an arm: what is drawn of doses where no rule gives any."""
    _check_columns(folder, "doses")
    import pyarrow.parquet as pq

    file = pq.ParquetFile(folder / "doses.parquet", read_dictionary=["arm", "why"])
    parts = [
        file.read_row_group(k, columns=list(COLUMNS["doses"])).group_by(["arm", "time_h", "why"]).aggregate([("subject", "min")])
        for k in range(file.num_row_groups)
    ]  # fmt: skip
    frames = [part.rename_columns({"subject_min": "subject"}).to_pandas() for part in parts]
    if not frames:
        return pd.DataFrame(columns=COLUMNS["doses"])
    whole = pd.concat([frame.astype({"arm": str, "why": str}) for frame in frames], ignore_index=True)
    return whole.drop_duplicates(["arm", "time_h", "why"], ignore_index=True)[list(COLUMNS["doses"])]


def _table(folder: Path, name: str) -> pd.DataFrame:
    _check_columns(folder, name)
    return pd.read_parquet(folder / f"{name}.parquet")


def _check_columns(folder: Path, name: str) -> None:
    """Raise InputError where a table is missing or lacks a column."""
    import pyarrow.parquet as pq

    file, wanted = folder / f"{name}.parquet", COLUMNS[name]
    if not file.is_file():
        why = f"{name}.parquet is missing from this run."
        raise InputError(Problem(str(folder), "run folder", "", why, "Make it again with {resume}.", ("resume",)))
    held = pq.read_schema(file).names
    missing = [column for column in wanted if column not in held]
    if missing:
        why = f"the report needs {', '.join(missing)} too."
        seen = ", ".join(map(str, held))
        raise InputError(Problem(str(file), "columns", seen, why, "Run the study again with this version."))


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

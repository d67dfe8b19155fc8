"""What a run gives back: its tables, its warnings, and where they lie."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from respine import published, trial
from respine.errors import InputError, argument
from respine.files import parquet
from respine.files.html import card
from respine.protocol import Protocol
from respine.run import manifest
from respine.run.folder import TABLES, read_finished
from respine.study import scales
from respine.study.schema import Study
from respine.trial import Panel

COMPARISON = ("study", "arm", "endpoint", "time_h", "median", "p05", "p95", "published", "inside", "role")


@dataclass(frozen=True)
class Results:
    """Tables of a finished run.

    ``endpoints``: one row per endpoint and arm, with the published result beside it where there is one (median, p05 and
    p95 over simulated trials of the published size); ``comparison``: its rows that stand beside a published number;
    ``unmatched``: published rows that could not be compared, with the reason in ``note``; ``chain``: quantiles of the
    recorded outputs over time; ``failures``: who was not simulated to the end and why; ``folder``: where all of it
    lies; ``warnings``: sentences.
    """

    study: Study
    folder: Path
    endpoints: pd.DataFrame
    chain: pd.DataFrame
    failures: pd.DataFrame
    panel: Panel
    warnings: tuple[str, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)

    def plot(self, what: str | Sequence[str] = "chain") -> Any:
        """A figure of the run: ``"chain"`` (all steps over time), ``"comparison"``, or outputs and scales by name.

        The figure shows in a notebook by itself and hands back its numbers as ``.table``. Raises InputError for a name the
        run has nothing of.
        """
        from importlib import import_module

        report = import_module("respine.report")  # a later room: drawing is asked for here, done there
        if what == "comparison":
            return report.plot_comparison(self)
        names = () if what == "chain" else [what] if isinstance(what, str) else list(what)
        return report.plot_chain(self, only=names)

    def items(self, scale: str = "MADRS") -> pd.DataFrame:
        """A scale item by item: ``subject, arm, time_h, item, value``, whole numbers that add up to the score of the visit.

        An item with a scale of its own in the run (suicidal thoughts: MADRS-SUICIDE) is what that scale says, as far as the
        total allows. Raises InputError for a scale that the run did not observe or whose file has no items.
        """
        return items_of(self, scale)

    def __repr__(self) -> str:
        failed = f", {len(self.failures)} not simulated to the end" if len(self.failures) else ""
        return (
            f"Results of {self.study.name} in {self.folder}: {len(self.study.arms)} arms of {self.study.subjects} subjects"
            f"{failed}\n{len(self.endpoints)} endpoint rows, {len(self.comparison)} beside published results"
        )

    def _repr_html_(self) -> str:
        shown = self.endpoints[self.endpoints["median"].notna()]
        columns = ["arm", "endpoint", "median", "p05", "p95", "published", "unit"]
        rows = [["" if value != value or value is None else value for value in row]
                for row in shown[columns].astype(object).itertuples(index=False)]  # fmt: skip
        facts = [("folder", self.folder), ("subjects", f"{self.study.subjects} an arm"),
                 ("failed", len(self.failures) or ""), ("notes", "; ".join(self.warnings))]  # fmt: skip
        return card(f"{self.study.name}: {self.study.title}", facts, columns, rows)

    @property
    def comparison(self) -> pd.DataFrame:
        """Rows that stand beside a published number."""
        return self.endpoints[self.endpoints["published"].notna() & self.endpoints["median"].notna()].reset_index(
            drop=True
        )

    @property
    def unmatched(self) -> pd.DataFrame:
        """Published rows without a prediction; ``note`` says why."""
        return self.endpoints[self.endpoints["median"].isna()].reset_index(drop=True)

    @property
    def paths(self) -> dict[str, Path]:
        """The files of the run by name."""
        names = [name.removesuffix(".parquet") for name in self.details.get("files", {})] or list(TABLES)
        return {name: self.folder / f"{name}.parquet" for name in names} | {"manifest": self.folder / manifest.NAME}

    def to_json_rows(self, unmatched: bool = False) -> list[dict[str, Any]]:
        """Rows for JSON: ``study, arm, endpoint, time_h, median, p05, p95, published, inside, role`` first, numbers or
        None.

        ``note`` says what the interval contains. Rows that could not be predicted are left to ``unmatched``.
        """
        table = self.endpoints if unmatched else self.endpoints[self.endpoints["median"].notna()]
        columns = [*COMPARISON, "published_low", "published_high", "unit", "n", "note"]
        return [{name: _plain(row[name]) for name in columns} for row in table.to_dict("records")]


def _plain(value: Any) -> Any:
    if value is None or value is pd.NA:
        return None
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


_KINDS = (
    dict.fromkeys(
        ("study", "arm", "endpoint", "role", "published_text", "unit", "against", "note", "scale", "kind"), "string"
    )
    | dict.fromkeys(
        ("time_h", "median", "p05", "p95", "published", "published_low", "published_high", "value", "sd", "se"),
        "float64",
    )
    | {"inside": "boolean", "n": "Int64", "n_simulated": "Int64"}
)


def endpoint_table(protocol: Protocol, panel: Panel) -> pd.DataFrame:
    """Published rows with their prediction, then the study's endpoints that stand beside no published row."""

    class _Held:  # what published.compare asks for
        def __init__(self) -> None:
            self.panel = panel

    compared = published.compare(protocol.study, _Held())
    beside = set(
        zip(
            compared.loc[compared["median"].notna(), "arm"],
            compared.loc[compared["median"].notna(), "endpoint"],
            strict=True,
        )
    )
    predicted = trial.predict(protocol.study, panel, known=beside)
    own = predicted[[(a, e) not in beside for a, e in zip(predicted["arm"], predicted["endpoint"], strict=True)]]
    extra = list(trial.DETAILS)
    details = predicted.set_index(["arm", "endpoint"])[extra]
    compared = compared.join(details, on=["arm", "endpoint"])
    whole = pd.concat([compared, own], ignore_index=True) if len(own) else compared
    return whole[[*trial.COLUMNS, *extra]].astype(_KINDS)


def items_of(results: Results, scale: str) -> pd.DataFrame:
    """``Results.items``."""
    known = scales.load(results.study.library, scale)
    visits = parquet.read(results.folder / "visits.parquet")
    observed = sorted(set(visits["scale"]))
    if known.name not in observed:
        raise InputError(
            argument("scale", scale, "The run did not observe it.", f"Write one of: {', '.join(observed)}.")
        )
    alone = trial.rated_by_itself(known, observed)
    frames = []
    for arm in results.study.arms:
        of = visits[visits["arm"] == arm]
        wide = {
            name: of[of["scale"] == name].pivot(index="subject", columns="time_h", values="value")
            for name in (known.name, *alone.values())
        }
        total = wide[known.name]
        own = {item: wide[other].reindex_like(total).to_numpy() for item, other in alone.items()}
        made = trial.item_scores(results.study.seed, known, arm, total.index.to_numpy(), total.to_numpy(), own)
        index = pd.MultiIndex.from_product(
            [total.index, total.columns, known.items], names=["subject", "time_h", "item"]
        )
        frame = pd.Series(made.ravel(), index, name="value").dropna().reset_index()
        frames.append(frame.assign(arm=arm)[["subject", "arm", "time_h", "item", "value"]])
    return pd.concat(frames, ignore_index=True)


def load(folder: str | Path) -> Results:
    """The results of a finished run, with the study they were made from. Raises InputError if the folder holds none."""
    from respine.run.gather import read_panel

    record = read_finished(folder)
    tables = {name: parquet.read(record.folder / f"{name}.parquet") for name in ("endpoints", "chain", "failures")}
    return Results(
        record.study, record.folder, tables["endpoints"], tables["chain"], tables["failures"], read_panel(record.folder),
        tuple(record.facts["warnings"]), record.facts,
    )  # fmt: skip

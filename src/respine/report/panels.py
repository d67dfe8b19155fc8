"""What is drawn: one panel a quantity, from the first molecule of drug to the score, with its published points."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from respine.report.folder import Folder

COLUMNS = ["panel", "unit", "arm", "time_h", "n", "p05", "median", "p95"]
QUANTILES = (0.05, 0.5, 0.95)
# endpoints that are one score of one moment and so have a place on a score panel
ON_SCORE = {"score", "change"}


@dataclass(frozen=True)
class Panel:
    """One quantity over time: ``lines`` holds arm, time_h, n, p05, median, p95; ``points`` rows of the comparison."""

    name: str
    title: str
    unit: str
    lines: pd.DataFrame
    points: pd.DataFrame
    visits: bool = False  # observed at visits (markers) rather than all the time

    def table(self) -> pd.DataFrame:
        """The numbers behind the lines, in the columns every plot table shares."""
        return self.lines.assign(panel=self.name, unit=self.unit)[COLUMNS]


def panels(folder: Folder) -> list[Panel]:
    """The panels of a run in the order of the chain: recorded outputs as the study lists them, then its scales."""
    return [*_outputs(folder), *_scales(folder)]


def _outputs(folder: Folder) -> Iterator[Panel]:
    kept = list(dict.fromkeys(folder.chain["output"]))
    chosen = [output for output in folder.study.record if output in kept] or kept
    for output in chosen:
        known, lines = folder.quantity(output), folder.chain[folder.chain["output"] == output]
        label = known.label or output.replace("_", " ")
        yield Panel(output, _sentence(label), known.unit, lines, folder.compared.iloc[:0])


def _sentence(label: str) -> str:
    """With a capital, unless the word has its own spelling (mTORC1)."""
    return label if label[1:2].isupper() else label[:1].upper() + label[1:]


def _scales(folder: Folder) -> Iterator[Panel]:
    """Scores as seen by the rater; as change from each person's baseline where published changes are compared."""
    compared = folder.compared
    drawn = set(folder.study.record) | set(folder.chain["output"] if not folder.study.record else ())
    for scale, seen in folder.visits.groupby("scale", sort=False):
        if scale in drawn:  # an endpoint read straight from a model output that has its panel already
            continue
        points = compared[(compared["of"] == scale) & compared["kind"].isin(ON_SCORE)]
        changes = points[points["kind"] == "change"]
        as_change = len(changes) > 0 and len(changes) >= len(points) / 2
        known = folder.scale(str(scale))
        yield Panel(
            name=str(scale),
            title=f"{scale}, change from baseline"
            if as_change
            else f"{scale} ({known.label})"
            if known.label
            else str(scale),
            unit=known.unit,
            lines=_people(seen, as_change),
            points=changes if as_change else points[points["kind"] == "score"],
            visits=True,
        )


def _people(seen: pd.DataFrame, as_change: bool) -> pd.DataFrame:
    """Quantiles over people at each visit of each arm; people without a value there (or at baseline) are left out."""
    wide = seen.pivot_table(index=["arm", "subject"], columns="time_h", values="value", sort=False, observed=True)
    wide = wide[sorted(wide.columns)]
    if as_change:
        wide = wide.sub(wide.iloc[:, 0], axis=0)
    rows = []
    for arm, values in wide.groupby(level="arm", sort=False):
        for time in values.columns:
            column = values[time].dropna().to_numpy()
            low, mid, high = np.quantile(column, QUANTILES) if len(column) else (np.nan,) * 3
            rows.append((arm, float(time), len(column), low, mid, high))
    return pd.DataFrame(rows, columns=["arm", "time_h", "n", "p05", "median", "p95"])

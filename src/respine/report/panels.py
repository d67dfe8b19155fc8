"""What is drawn: one panel a quantity, from the first molecule of drug to the score, with its published points."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from respine.report.folder import Folder

COLUMNS = ["panel", "unit", "arm", "time_h", "n", "p05", "median", "p95", "mean"]
QUANTILES = (0.05, 0.5, 0.95)
# endpoints that are one score of one moment and so have a place on a score panel
ON_SCORE = {"score", "change"}
NO_UNIT = ("", "1", "dimensionless")
_LONGEST_NOTE = 60  # letters of a note beside a title


@dataclass(frozen=True)
class Panel:
    """One quantity over time: ``lines`` holds arm, time_h, n, p05, median, p95, mean; ``points`` rows of the comparison.

    Scores (``visits``) are drawn by their mean, as published ones are, model outputs by their median. ``healthy``: the
    value before anything happens, NaN where that is nothing to draw.
    """

    name: str
    title: str
    unit: str
    lines: pd.DataFrame
    points: pd.DataFrame
    visits: bool = False  # observed at visits (markers) rather than all the time
    healthy: float = math.nan

    @property
    def middle(self) -> str:
        """The column that the line shows."""
        return "mean" if self.visits else "median"

    @property
    def y_label(self) -> str:
        """The unit, or what a number without unit is counted in."""
        if self.unit not in NO_UNIT:
            return self.unit
        return "× healthy" if self.healthy == 1.0 else ""

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
        title = _sentence(known.label or output.replace("_", " "))
        healthy = math.nan
        if known.unit in NO_UNIT:
            healthy = 1.0 if folder.is_relative(output) else folder.healthy.get(output, math.nan) or math.nan
            if known.note and len(known.note) <= _LONGEST_NOTE:
                title += f", {known.note}"
        if output in folder.worse_when_higher:
            title += " (higher is worse)"
        yield Panel(output, title, known.unit, lines.assign(mean=np.nan), folder.compared.iloc[:0], healthy=healthy)


def _sentence(label: str) -> str:
    """With a capital, unless the word has its own spelling (mTORC1)."""
    return label if label[1:2].isupper() else label[:1].upper() + label[1:]


def _scales(folder: Folder) -> Iterator[Panel]:
    """Scores as seen by the rater; as change from each person's baseline where published changes are compared."""
    compared = folder.compared
    drawn = set(folder.study.record) | set(folder.chain["output"] if not folder.study.record else ())
    seen = folder.scores if folder.scores is not None else scores_of(folder.visits)
    for scale, at_visits in seen.groupby("scale", sort=False):
        if scale in drawn:  # an endpoint read straight from a model output that has its panel already
            continue
        points = compared[(compared["of"] == scale) & compared["kind"].isin(ON_SCORE)]
        changes = points[points["kind"] == "change"]
        as_change = len(changes) > 0 and len(changes) >= len(points) / 2
        known, worse = folder.scale(str(scale)), str(scale) in folder.worse_when_higher
        if as_change:
            title = f"{scale}, change from baseline{' (lower is better)' if worse else ''}"
        else:
            about = "; ".join(filter(None, (known.label, "higher is worse" if worse else "")))
            title = f"{scale} ({about})" if about else str(scale)
        yield Panel(
            name=str(scale),
            title=title,
            unit=known.unit,
            lines=_lines(at_visits, as_change),
            points=changes if as_change else points[points["kind"] == "score"],
            visits=True,
        )


_LINES = ["n", "p05", "median", "p95", "mean"]


def _lines(seen: pd.DataFrame, as_change: bool) -> pd.DataFrame:
    """Quantiles and mean over people at each visit of each arm, of their scores or of how far these changed."""
    chosen = seen[["arm", "time_h", *([f"change_{name}" for name in _LINES] if as_change else _LINES)]]
    return chosen.set_axis(["arm", "time_h", *_LINES], axis=1).reset_index(drop=True)


def scores_of(visits: pd.DataFrame) -> pd.DataFrame:
    """What the table of scores of a run holds, from its table of visits."""
    frames = []
    for scale, seen in visits.groupby("scale", sort=False):
        now, change = _people(seen, False), _people(seen, True)
        frames.append(now.assign(scale=scale, **{f"change_{name}": change[name] for name in _LINES}))
    names = ["arm", "time_h", *_LINES, "scale", *(f"change_{name}" for name in _LINES)]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=names)


def _people(seen: pd.DataFrame, as_change: bool) -> pd.DataFrame:
    """Quantiles and mean over people at each visit of each arm; people without a value there (or at baseline) are left out."""
    wide = seen.pivot_table(index=["arm", "subject"], columns="time_h", values="value", sort=False, observed=True)
    wide = wide[sorted(wide.columns)]
    if as_change:
        wide = wide.sub(wide.iloc[:, 0], axis=0)
    rows = []
    for arm, values in wide.groupby(level="arm", sort=False):
        for time in values.columns:
            column = values[time].dropna().to_numpy()
            low, mid, high = np.quantile(column, QUANTILES) if len(column) else (np.nan,) * 3
            mean = float(column.mean()) if len(column) else np.nan
            rows.append((arm, float(time), len(column), low, mid, high, mean))
    return pd.DataFrame(rows, columns=["arm", "time_h", "n", "p05", "median", "p95", "mean"])

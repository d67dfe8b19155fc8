"""Predicted beside published: the rows as words, and a plot of the intervals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pandas as pd

from respine.report import theme
from respine.report.text import hours, missing, records

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from respine.report.folder import Folder

MOST_TEXT = 30  # characters of a published result that is no number
HEADER = ("endpoint", "arm", "predicted (90 % of trials)", "published", "inside", "role")


def interval_words() -> str:
    """What a predicted interval contains, in one sentence."""
    from respine.trial import CONTAINS

    return f"Predicted: median and 5th to 95th percentile of the arm's result, the range of {CONTAINS}."


def words(comparison: pd.DataFrame) -> list[tuple[str, str, str, str, str, str]]:
    """The comparison as text cells under ``HEADER``: one row per published (or merely predicted) result."""
    digits = _digits(comparison)
    rows = zip(records(comparison), labels(comparison), strict=True)
    return [_words(row, label, digits.get(str(row.unit), 1)) for row, label in rows]


def labels(comparison: pd.DataFrame) -> list[str]:
    """What each row measures: "MADRS change 24 h" where that says all, else the endpoint's name in the study.

    A difference names the arm it is set against.
    """
    rows = records(comparison)
    against = [f"vs {r.against}" if r.against else "" for r in rows]
    plain = [
        _joined(r.of.replace("_", " "), r.kind.replace("-", " "), arm, hours(r.time_h)) if r.kind else ""
        for r, arm in zip(rows, against, strict=True)
    ]
    pairs = list(zip(plain, comparison["arm"], strict=True))
    return [
        label if label and pairs.count((label, row.arm)) == 1 else _joined(row.endpoint, arm, hours(row.time_h))
        for label, row, arm in zip(plain, rows, against, strict=True)
    ]


def _joined(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def _words(row: Any, label: str, digits: int) -> tuple[str, str, str, str, str, str]:
    def number(value: float) -> str:
        return "-" if missing(value) else f"{value:.{digits}f}"

    predicted = f"{number(row.median)} ({number(row.p05)} … {number(row.p95)})"
    text = "" if missing(row.published_text) else str(row.published_text)
    published = text[:MOST_TEXT] if text and missing(row.published) else number(row.published)
    low, high = row.published_low, row.published_high
    if not (missing(row.published) or missing(low) or missing(high) or low == high):
        below, above = row.published - low, high - row.published
        even = math.isclose(below, above, rel_tol=0.02, abs_tol=1e-9)
        published += f" ± {number(above)}" if even else f" ({number(low)} … {number(high)})"
    inside = "" if missing(row.inside) else "yes" if row.inside else "no"
    if row.unit and row.unit != "1" and "point" not in row.unit:  # a scale's points go without saying
        label = f"{label} [{row.unit}]"
    return (label, str(row.arm), predicted, published, inside, str(row.role or ""))


def _digits(comparison: pd.DataFrame) -> dict[str, int]:
    """Decimals by unit: as many as show two figures of the narrowest interval in it."""
    found: dict[str, int] = {}
    for row in records(comparison):
        width = 0.0 if missing(row.p05) or missing(row.p95) else abs(row.p95 - row.p05)
        if width == 0 or width <= 1e-6 * max(abs(row.p05), abs(row.p95)):  # what rounding leaves is no width
            continue
        needed = min(6, max(0, 1 - math.floor(math.log10(width))))
        found[str(row.unit)] = max(needed, found.get(str(row.unit), 0))
    return found


def plot_comparison(folder: Folder) -> tuple[Figure, pd.DataFrame]:
    """Predicted intervals with the published results beside them, a plot per unit. Returns figure and table."""
    import matplotlib
    from matplotlib.figure import Figure

    table = folder.compared
    groups = [(unit, rows) for unit, rows in table.groupby("unit", sort=False, dropna=False)]
    counts = [len(rows) for _, rows in groups]
    with matplotlib.rc_context(theme.RC):
        height = 0.3 * sum(counts) + 0.75 * len(groups) + 0.2
        figure = Figure(figsize=(9.6, height))
        grid = figure.subplots(len(groups), 1, squeeze=False, height_ratios=[n + 0.6 for n in counts])
        gap = 1.8 * len(groups) / height
        figure.subplots_adjust(left=0.36, right=0.985, top=1 - 0.1 / height, bottom=0.5 / height, hspace=gap)
        for axes, (unit, rows) in zip(grid[:, 0], groups, strict=True):
            _forest(axes, rows, folder.arms)
            axes.set_xlabel(str(unit) if unit and not missing(unit) else "")
    return figure, table


def _forest(axes: Axes, rows: pd.DataFrame, arms: list[str]) -> None:
    """One line a row, read from the top: thick bar predicted, marker published."""
    for place, row in enumerate(records(rows)):
        index = arms.index(str(row.arm)) if row.arm in arms else len(arms)
        colour = theme.arm_colour(index)
        axes.plot([row.p05, row.p95], [place, place], color=colour, linewidth=7, alpha=0.3, solid_capstyle="butt")
        axes.plot([row.median], [place], marker="|", color=colour, markersize=11, markeredgewidth=2)
        if not missing(row.published):
            low, high = row.published_low, row.published_high
            bars = None if missing(low) or missing(high) else [[row.published - low], [high - row.published]]
            axes.errorbar([row.published], [place], xerr=bars, color=theme.INK, zorder=5, **theme.published(row.role))
    names = [f"{arm}: {label}" for arm, label in zip(rows["arm"], labels(rows), strict=True)]
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(axis="x")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)

"""Predicted results, beside the published ones where there are any: as text and as a plot of intervals."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from respine.report import theme
from respine.report.drawing import Drawing, Piece
from respine.report.folder import Folder, folder_of
from respine.report.layout import NARROW, WIDE, Page, Row, compose
from respine.report.text import decimals, hours, missing, plain_number, records, subjects_word

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_TEXT = 30  # characters of a published result that is no number
_PITCH, _LINE, _BAR = 0.38, 0.14, 0.26  # inches: a row, a further line of its label, the bar below the label
_OF_ARM = {"percent-of-control": "percent of {arm}", "percent-restored": "percent of the loss in {arm} restored"}
_MOST_ROWS = 16  # in one piece of a page, so that it fits on paper


@dataclass(frozen=True)
class TextTable:
    """Cells under a header; ``right`` are the places of columns of numbers, ``judged`` that of yes and no (-1: none)."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right: tuple[int, ...]
    judged: int


def text_table(folder: Folder) -> TextTable:
    """A row per predicted result: endpoint, arm, predicted, unit, and published, inside, role where anything is published."""
    rows = folder.compared
    spans = bool(rows["p05"].notna().any())
    predicted = "predicted (90 % of trials)" if spans else "predicted (median)"
    header: tuple[str, ...] = ("endpoint", "arm", predicted, "unit")
    if folder.published:
        header = (*header, "published", "inside", "role")
    cells = [_cells(row, label, unit, folder.published)
             for row, label, unit in zip(records(rows), labels(rows), units(folder), strict=True)]  # fmt: skip
    return TextTable(header, tuple(cells), (2, 4) if folder.published else (2,), 5 if folder.published else -1)


def interval_text(folder: Folder) -> str:
    """What a predicted interval contains, in one sentence; empty where there is none."""
    if not folder.compared["p05"].notna().any():
        return ""
    who = subjects_word(folder.model)
    size = "the published size" if folder.published else "the size given as n_published"
    noise = ", rating noise and" if folder.study.observe else " and"
    text = f"90 % of simulated trials of {size}: {who}{noise} parameter uncertainty together"
    errors = "" if folder.study.observe else " Errors of measurement are not in it."
    return f"Predicted: median and 5th to 95th percentile of the arm's result, the range of {text}.{errors}"


def labels(comparison: pd.DataFrame) -> list[str]:
    """What each row measures: "MADRS change 24 h" where that says all, else the endpoint's name in the study.

    A difference names the arm it is set against.
    """
    rows = records(comparison)
    against = [f"vs {r.against}" if r.against and r.kind not in _OF_ARM else "" for r in rows]
    plain = [
        _joined(r.of.replace("_", " "), _OF_ARM.get(r.kind, r.kind).replace("-", " ").format(arm=r.against), arm, hours(r.time_h))
        if r.kind else ""
        for r, arm in zip(rows, against, strict=True)
    ]  # fmt: skip
    pairs = list(zip(plain, comparison["arm"], strict=True))
    return [
        label if label and pairs.count((label, row.arm)) == 1 else _joined(row.endpoint, arm, hours(row.time_h))
        for label, row, arm in zip(plain, rows, against, strict=True)
    ]


def units(folder: Folder) -> list[str]:
    """The unit of each compared row; that of the model's table where the run does not say it."""
    units = []
    for row in records(folder.compared):
        unit = "" if missing(row.unit) else str(row.unit)
        if unit == "of the output":
            unit = folder.quantity(row.of).unit
        units.append("" if unit == "1" else unit)
    return units


def _joined(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def _cells(row: Any, label: str, unit: str, published: bool) -> tuple[str, ...]:
    digits = decimals(row.p05, row.p95, row.median)
    predicted = plain_number(row.median, digits)
    if not missing(row.p05) and abs(row.p95 - row.p05) > 1e-6 * max(abs(row.p05), abs(row.p95)):
        predicted += f" ({plain_number(row.p05, digits)} … {plain_number(row.p95, digits)})"
    cells = (label, str(row.arm), predicted, unit)
    if not published:
        return cells
    inside = "" if missing(row.inside) else "yes" if row.inside else "no"
    return (*cells, _published(row, digits), inside, "" if missing(row.role) else str(row.role))


def _published(row: Any, digits: int) -> str:
    """The published result with its error, its own words where it is no number; as many decimals as it was written with."""
    if missing(row.published):
        text = "" if missing(row.published_text) else str(row.published_text)
        return text[:_MOST_TEXT] or "-"
    own = f"{row.published:.10g}".partition(".")[2]
    digits = max(digits, min(len(own), 2))
    text, low, high = plain_number(row.published, digits), row.published_low, row.published_high
    if missing(low) or missing(high) or low == high:
        return text
    below, above = row.published - low, high - row.published
    if math.isclose(below, above, rel_tol=0.02, abs_tol=1e-9):
        return f"{text} ± {plain_number(above, digits)}"
    return f"{text} ({plain_number(low, digits)} … {plain_number(high, digits)})"


def plot_comparison(run: Any) -> Drawing:
    """Predicted intervals with the published results beside them, a plot per unit (per scale where it is points).

    ``run``: the results of a run, a `Folder`, or the path of a run folder. The table has the rows that are drawn. Raises
    ValueError where the run has no endpoints.
    """
    folder = folder_of(run)
    if folder.compared.empty:
        raise ValueError(f"{folder.path} has no predicted endpoint; there is nothing to draw.")
    with theme.drawn():
        figure = _figure(folder, list(_groups(folder)), WIDE)
    return Drawing(figure, folder.compared)


def pieces(folder: Folder) -> Iterator[Piece]:
    """The plot cut for a page: name, title, a wide and a narrow figure per unit, long ones in several."""
    with theme.drawn():
        for k, (unit, rows) in enumerate(_groups(folder)):
            span = _limits(rows)
            for start in range(0, len(rows), _MOST_ROWS):
                part = [(unit, rows.iloc[start : start + _MOST_ROWS])]
                figures = [_figure(folder, part, page, span) for page in (WIDE, NARROW)]
                yield Piece(f"{k}-{start}", unit or "no unit", *figures)


def _groups(folder: Folder) -> Iterator[tuple[str, pd.DataFrame]]:
    """Rows that can share an axis: one unit, and one scale where the unit is its points."""
    rows = folder.compared
    keys = [f"{of}, {unit}" if "point" in unit and of not in unit else unit
            for of, unit in zip(rows["of"], units(folder), strict=True)]  # fmt: skip
    every = rows.assign(label=labels(rows))
    for key, group in every.groupby(pd.Series(keys, index=rows.index), sort=False):
        yield str(key), group


def _figure(
    folder: Folder, groups: Sequence[tuple[str, pd.DataFrame]], page: Page, span: tuple[float, float] | None = None
) -> Figure:
    rows, texts = [], []
    for _, group in groups:
        names = [theme.literal(f"{arm}: {label}") for arm, label in zip(group["arm"], group["label"], strict=True)]
        wrapped = ["\n".join(textwrap.wrap(name, page.letters)) for name in names]
        texts.append(wrapped)
        height = sum(_PITCH + _LINE * text.count("\n") for text in wrapped)
        rows.append(Row(0.08, height, 0.52))
    edge = Page(page.width, 0.12, 0.12, 0.0, page.letters)
    figure, grid = compose(edge, rows)
    for (axes,), (unit, group), wrapped in zip(grid, groups, texts, strict=True):
        _forest(axes, group, wrapped, folder.arms)
        axes.set_xlabel(unit)
        if span is not None:
            axes.set_xlim(*span)
    return figure


def _limits(rows: pd.DataFrame) -> tuple[float, float]:
    """One axis for all pieces of a unit."""
    columns = ["median", "p05", "p95", "published", "published_low", "published_high"]
    values, reference = pd.Series(rows[columns].to_numpy(float).ravel()), _reference(rows)
    low, high = float(min(reference, values.min())), float(max(reference, values.max()))
    pad = 0.04 * ((high - low) or 1.0)
    return low - pad, high + pad


def _reference(rows: pd.DataFrame) -> float:
    """The value at which nothing has happened: 100 of a percentage of another arm, 1 of a ratio, else 0."""
    kinds = set(rows["kind"])
    return 100.0 if kinds <= {"percent-of-control"} else 1.0 if all("ratio" in kind for kind in kinds) else 0.0


def _forest(axes: Axes, rows: pd.DataFrame, names: Sequence[str], arms: Sequence[str]) -> None:
    """One line a row, read from the top: its label, below it a thick bar predicted and a marker published."""
    top = 0.0
    for row, name in zip(records(rows), names, strict=True):
        lines = name.count("\n") + 1
        place = top + _LINE * (lines - 1) + _BAR
        index = arms.index(str(row.arm)) if row.arm in arms else len(arms)
        colour = theme.arm_colour(index)
        style: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "top", "fontsize": 8, "clip_on": False}
        style["bbox"] = {"facecolor": theme.PAPER, "edgecolor": "none", "pad": 0.6}  # the grid does not cross the words
        axes.text(0.0, top, name, **style)
        if not missing(row.p05):
            axes.plot([row.p05, row.p95], [place, place], color=colour, linewidth=7, alpha=0.3, solid_capstyle="butt")
        axes.plot([row.median], [place], marker="|", color=colour, markersize=10, markeredgewidth=2)
        if not missing(row.published):
            low, high = row.published_low, row.published_high
            bars = None if missing(low) or missing(high) else [[row.published - low], [high - row.published]]
            axes.errorbar([row.published], [place], xerr=bars, color=theme.INK, zorder=5, **theme.published(row.role))
        top += _PITCH + _LINE * (lines - 1)
    axes.axvline(_reference(rows), color=theme.FAINT, linewidth=0.8, zorder=0)
    axes.set_yticks([])
    axes.set_ylim(top, 0.0)
    axes.grid(axis="x")
    axes.spines["left"].set_visible(False)

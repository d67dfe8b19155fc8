"""The chain: a column of aligned plots from dose to score, the first hours after a dose beside the whole study."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import pandas as pd

from respine.report import theme
from respine.report.panels import Panel, panels
from respine.report.text import missing, records, thousands

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    from respine.report.folder import Folder

_HOURS = 24.0  # length of the "first hours" column
_ROW_INCHES = 1.42
_DOSE_INCHES = 0.12  # a line of dose marks
_LEGEND_LETTERS = 140  # letters that fit beside each other above the plots
_MOST_MARKS = 60  # dose marks an arm; denser schedules are thinned to their days


def plot_chain(folder: Folder, only: Collection[str] = ()) -> tuple[Figure, pd.DataFrame]:
    """Median line and 5-95 % band of people per arm for every panel. Returns the figure and the table behind it.

    ``only`` names the outputs and scales to draw; all of the run when empty. The table has one row per panel, arm and
    time: ``panel, unit, arm, time_h, n, p05, median, p95`` (time in hours).
    """
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.ticker import MultipleLocator

    shown = [panel for panel in panels(folder) if not only or panel.name in only]
    if not shown:
        wanted = f" named {', '.join(only)}" if only else ""
        raise ValueError(f"{folder.path} holds neither recorded outputs nor visits{wanted}; there is nothing to draw.")
    table = pd.concat([panel.table() for panel in shown], ignore_index=True)
    windows = _windows(table["time_h"], _first_dose(folder))
    with matplotlib.rc_context(theme.RC):
        handles, columns = _legend(folder, shown)
        above = 0.34 + 0.18 * -(-len(handles) // columns)
        rug = _DOSE_INCHES * max(1, folder.doses["arm"].nunique())
        height = _ROW_INCHES * len(shown) + rug + above + 0.45
        figure = Figure(figsize=(9.6, height))
        grid = figure.subplots(
            len(shown) + 1, len(windows), squeeze=False, sharex="col", width_ratios=[1.0, 1.35][-len(windows) :],
            height_ratios=[rug, *[1.0] * len(shown)],
        )  # fmt: skip
        top, bottom = 1 - above / height, 0.45 / height
        figure.subplots_adjust(left=0.085, right=0.985, top=top, bottom=bottom, hspace=0.62, wspace=0.1)
        for row, panel in enumerate(shown):
            for column, window in enumerate(windows):
                axes = grid[row + 1, column]
                _draw(axes, panel, folder.arms, window)
                axes.set_xlim(window.low, window.high)
                if column == 0:
                    axes.set_title(panel.title, pad=3)
                    axes.set_ylabel(_unit(panel.unit))
                else:
                    axes.tick_params(labelleft=False)
            _same_height(grid[row + 1])
        for column, window in enumerate(windows):
            grid[-1, column].set_xlabel(window.words)
            if window.hours == 1.0 and window.high - window.low > 6:
                grid[-1, column].xaxis.set_major_locator(MultipleLocator(_hour_step(window.high - window.low)))
            _dose_marks(grid[0, column], folder, window)
        place: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (0.07, 1.0), "ncols": columns}
        figure.legend(handles=handles, fontsize=8.5, handlelength=2.4, **place)
    return figure, table


class _Window:
    """A stretch of study time and the unit in which it is drawn."""

    def __init__(self, start: float, end: float, origin: float, unit: str) -> None:
        self.start, self.end, self.origin = start, end, origin
        self.hours = {"h": 1.0, "d": 24.0, "wk": 168.0}[unit]
        name = {"h": "hours", "d": "days", "wk": "weeks"}[unit]
        self.words = f"{name} after the first dose" if origin else f"{name} of the study"
        pad = 0.02 * (end - start)
        self.low, self.high = self(start - pad), self(end + pad)

    def __call__(self, time_h: Any) -> Any:
        """Study hours to the numbers on the axis."""
        return (time_h - self.origin) / self.hours


def _windows(times: pd.Series, first_dose: float | None) -> list[_Window]:
    start, end = float(times.min()), float(times.max())
    span = end - start
    unit = "h" if span <= 72 else "d" if span <= 24 * 150 else "wk"
    whole = _Window(start, max(end, start + 1e-6), 0.0, unit)
    if first_dose is None or span <= 1.5 * _HOURS or first_dose >= end:
        return [whole]
    first = _Window(first_dose - 1.0, min(first_dose + _HOURS, end), first_dose, "h")
    first.words = "hours after the first dose"
    return [first, whole]


def _first_dose(folder: Folder) -> float | None:
    return None if folder.doses.empty else float(folder.doses["time_h"].min())


def _draw(axes: Axes, panel: Panel, arms: list[str], window: _Window) -> None:
    """Band and line of each arm, then the published points, inside one window of time."""
    axes.grid()
    axes.tick_params(labelbottom=True)
    single = len(arms) == 1
    for index, arm in enumerate(arms):
        lines = panel.lines[panel.lines["arm"] == arm].sort_values("time_h")
        inside = lines[_near(lines["time_h"], window)]
        if inside.empty:
            continue
        x, colour = window(inside["time_h"]), theme.arm_colour(index)
        style: dict[str, Any] = {"marker": "o", "markersize": 2.6} if panel.visits else {}
        axes.fill_between(x, inside["p05"], inside["p95"], color=colour, alpha=0.22 if single else 0.16, linewidth=0)
        axes.plot(x, inside["median"], color=colour, linestyle=theme.arm_dash(index), **style)
    for row in records(panel.points):
        if pd.isna(row.published) or not window.start <= row.time_h <= window.end:
            continue
        index = arms.index(str(row.arm)) if row.arm in arms else len(arms)
        nudge = (index - (len(arms) - 1) / 2) * 0.012 * (window.high - window.low)  # arms of one visit side by side
        _beside(axes, window(row.time_h) + nudge, row, index)


def _beside(axes: Axes, x: float, row: Any, arm_index: int) -> None:
    """A published mean with its error bar, on the range predicted for it; the marker says what role the row has."""
    colour = theme.arm_colour(arm_index)
    axes.plot([x, x], [row.p05, row.p95], color=colour, linewidth=5, alpha=0.4, solid_capstyle="butt", zorder=4)
    low, high = row.published_low, row.published_high
    bars = [[row.published - low], [high - row.published]] if pd.notna(low) and pd.notna(high) else None
    axes.errorbar([x], [row.published], yerr=bars, color=colour, zorder=5, **theme.published(row.role))


def _near(times: pd.Series, window: _Window) -> pd.Series:
    """Times inside the window and one to each side, so that lines reach its edge."""
    before = times[times < window.start].max()
    after = times[times > window.end].min()
    low = window.start if pd.isna(before) else before
    high = window.end if pd.isna(after) else after
    return times.between(low, high)


def _same_height(row: Any) -> None:
    """One y axis for both windows of a panel."""
    from matplotlib.ticker import MaxNLocator

    low = min(axes.get_ylim()[0] for axes in row)
    high = max(axes.get_ylim()[1] for axes in row)
    for axes in row:
        axes.set_ylim(low, high)
        axes.yaxis.set_major_locator(MaxNLocator(4))


def _hour_step(span: float) -> float:
    """Hours between ticks: 2, 4, 6, 12 are round on a clock, 5 and 10 are not."""
    return next((step for step in (2.0, 4.0, 6.0, 12.0) if span / step <= 7), 24.0)


def _dose_marks(axes: Axes, folder: Folder, window: _Window) -> None:
    """A strip above the plots: one line an arm, a triangle wherever it was dosed."""
    axes.set_axis_off()
    axes.set_title(window.words, loc="right", fontsize=8, pad=1)
    dosed = [arm for arm in folder.arms if (folder.doses["arm"] == arm).any()]
    axes.set_ylim(max(1, len(dosed)) - 0.5, -0.5)
    for line, arm in enumerate(dosed):
        times = folder.doses.loc[folder.doses["arm"] == arm, "time_h"].round(2).drop_duplicates()
        times = times[times.between(window.start, window.end)]
        if len(times) > _MOST_MARKS:
            times = (times / 24).round().drop_duplicates() * 24
        colour = theme.arm_colour(folder.arms.index(arm))
        style: dict[str, Any] = {"linestyle": "none", "marker": "v", "markersize": 5, "color": colour}
        axes.plot(window(times), [line] * len(times), clip_on=False, **style)


def _legend(folder: Folder, shown: list[Panel]) -> tuple[list[Line2D], int]:
    """What the lines and marks mean, and in how many columns the words fit."""
    from matplotlib.lines import Line2D

    handles: list[Line2D] = []
    for index, arm in enumerate(folder.arms):
        style: dict[str, Any] = {"color": theme.arm_colour(index), "linestyle": theme.arm_dash(index)}
        handles.append(Line2D([], [], linewidth=2, label=f"{arm}, n = {thousands(folder.size(arm))}", **style))
    if not folder.doses.empty:
        handles.append(Line2D([], [], linestyle="none", marker="v", color=theme.INK, markersize=5, label="dose"))
    roles = list(
        dict.fromkeys(r.role for panel in shown for r in records(panel.points) if not missing(r.published) and r.role)
    )
    if roles:
        bar: dict[str, Any] = {"color": theme.INK, "linewidth": 5, "alpha": 0.4, "solid_capstyle": "butt"}
        handles.append(Line2D([], [], label="90 % of trials", **bar))
    for role in roles:
        marker: dict[str, Any] = {"marker": theme.role_marker(role), "markerfacecolor": theme.PAPER, "markersize": 5.5}
        words = f"published, {theme.ROLE_WORDS.get(role, role)}"
        handles.append(Line2D([], [], linestyle="none", color=theme.INK, label=words, **marker))
    longest = max(len(str(handle.get_label())) for handle in handles)
    return handles, max(1, min(len(handles), _LEGEND_LETTERS // (longest + 7)))


def _unit(unit: str) -> str:
    return "ratio" if unit in ("", "1", "dimensionless") else unit

"""The chain: aligned plots from dose to score, the first hours after a dose beside the whole study."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from respine.report import theme
from respine.report.drawing import Drawing, Piece
from respine.report.folder import Folder, folder_of
from respine.report.layout import NARROW, WIDE, Page, Row, compose
from respine.report.legend import Mark, marks
from respine.report.panels import Panel, panels
from respine.report.text import missing, records
from respine.report.windows import Window, windows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

_LINE = 0.15  # inches that a line of a title takes
_DOSE_LINE = 0.12  # a line of dose marks
_NUMBERS = 0.24  # the numbers below axes
_AXIS_LABEL = 0.2
_PANEL = 0.95
_MOST_MARKS = 60  # dose marks an arm; denser schedules are thinned to their days


def plot_chain(run: Any, only: Collection[str] = ()) -> Drawing:
    """A line per arm for every panel, with the band of 5-95 % of subjects where there are at most four arms.

    ``run``: the results of a run, a `Folder`, or the path of a run folder. ``only`` names the outputs and scales to draw;
    all of the run when empty. The table has one row per panel, arm and time: ``panel, unit, arm, time_h, n, p05, median,
    p95, mean`` (time in hours; the mean of scores only). Raises ValueError where there is nothing to draw.
    """
    folder = folder_of(run)
    shown = _chosen(folder, only)
    table = pd.concat([panel.table() for panel in shown], ignore_index=True)
    spans = windows(folder, table["time_h"])
    with theme.drawn():
        legend = marks(folder, shown)
        columns = max(1, min(len(legend), WIDE.letters // (max(len(mark.text) for mark in legend) + 7)))
        above = 0.1 + 0.18 * -(-len(legend) // columns)
        figure = _figure(folder, shown, spans, WIDE, strip=True, top=above)
        figure.legend(handles=[_handle(mark) for mark in legend], loc="upper left", bbox_to_anchor=(0.07, 1.0),
                      ncols=columns, fontsize=8.5, handlelength=2.4)  # fmt: skip
    return Drawing(figure, table)


def pieces(folder: Folder) -> Iterator[Piece]:
    """The chain cut for a page: name, title, a wide and a narrow figure of the doses and then of each panel."""
    shown = _chosen(folder, ())
    spans = windows(folder, pd.concat([panel.lines["time_h"] for panel in shown]))
    with theme.drawn():
        if len(folder.doses):
            yield Piece("doses", "Doses", *[_figure(folder, (), spans, page, strip=True) for page in (WIDE, NARROW)])
        for panel in shown:
            yield Piece(panel.name, panel.title, *[_figure(folder, [panel], spans, page) for page in (WIDE, NARROW)])


def _chosen(folder: Folder, only: Collection[str]) -> list[Panel]:
    shown = [panel for panel in panels(folder) if not only or panel.name in only]
    if not shown:
        wanted = f" named {', '.join(only)}" if only else ""
        raise ValueError(f"{folder.path} holds neither recorded outputs nor visits{wanted}; there is nothing to draw.")
    return shown


def _figure(
    folder: Folder, shown: Sequence[Panel], spans: Sequence[Window], page: Page, strip: bool = False, top: float = 0.0
) -> Figure:
    """Doses and panels below each other; the windows stand side by side, or below each other on a narrow page."""
    beside = page is not NARROW
    parts = (1.0, 1.35)[-len(spans) :] if beside else (1.0,)
    groups = [spans] if beside else [[span] for span in spans]
    rows: list[Row] = []
    if strip:
        marked = _DOSE_LINE * max(1, sum((folder.doses["arm"] == arm).any() for arm in folder.arms))
        alone = not shown
        rows += [Row(0.2, marked, 0.06 + (_NUMBERS + _AXIS_LABEL) * alone, parts) for _ in groups]
    titles = ["\n".join(textwrap.wrap(theme.literal(panel.title), page.letters)) for panel in shown]
    for k, title in enumerate(titles):
        last = k == len(titles) - 1 or not beside
        lines = title.count("\n") + 1
        rows += [
            Row(0.1 + _LINE * lines * (g == 0), _PANEL, _NUMBERS + _AXIS_LABEL * last, parts)
            for g in range(len(groups))
        ]
    figure, grid = compose(page, rows, top)
    at = 0
    if strip:
        for group in groups:
            for axes, span in zip(grid[at], group, strict=True):
                _dose_marks(axes, folder, span, numbers=not shown)
            at += 1
    for panel, title in zip(shown, titles, strict=True):
        own = grid[at : at + len(groups)]
        every = [
            (axes, span) for row, group in zip(own, groups, strict=True) for axes, span in zip(row, group, strict=True)
        ]
        _draw_panel(folder, panel, title, every)
        for row in own:
            for axes in row[1:]:
                axes.tick_params(labelleft=False)
        at += len(groups)
    for row, group in zip(
        grid[-len(groups) :] if beside else grid, groups if beside else groups * len(grid), strict=False
    ):
        for axes, span in zip(row, group, strict=True):
            if axes.axison:
                axes.set_xlabel(span.label)
    return figure


def _draw_panel(folder: Folder, panel: Panel, title: str, every: Sequence[tuple[Axes, Window]]) -> None:
    """One quantity in all its windows, on one y axis."""
    from matplotlib.ticker import MaxNLocator

    for k, (axes, span) in enumerate(every):
        axes.set_label(panel.name if k == 0 else f"{panel.name}, whole study")
        _draw(axes, panel, folder.arms, span)
        axes.set_xlim(*span.limits)
        span.ticks(axes.xaxis)
        if panel.healthy == panel.healthy:
            axes.axhline(panel.healthy, color=theme.FAINT, linewidth=0.9, linestyle=(0, (1, 2)), zorder=0)
    every[0][0].set_title(title, pad=3)
    every[0][0].set_ylabel(panel.y_label)
    low = min(axes.get_ylim()[0] for axes, _ in every)
    high = max(axes.get_ylim()[1] for axes, _ in every)
    for axes, _ in every:
        axes.set_ylim(low, high)
        axes.yaxis.set_major_locator(MaxNLocator(4))


def _draw(axes: Axes, panel: Panel, arms: Sequence[str], span: Window) -> None:
    """Band and line of each arm, then the published points, inside one window of time."""
    axes.grid()
    for index, arm in enumerate(arms):
        inside = span.shown(panel.lines[panel.lines["arm"] == arm].sort_values("time_h"), arm)
        if inside.empty:
            continue
        x, colour = span(inside["time_h"], arm), theme.arm_colour(index)
        style: dict[str, Any] = {"marker": theme.arm_marker(index), "markersize": 3.2} if panel.visits else {}
        if len(arms) <= theme.MOST_BANDS:
            strength = 0.22 if len(arms) == 1 else 0.14
            axes.fill_between(x, inside["p05"], inside["p95"], color=colour, alpha=strength, linewidth=0)
        axes.plot(x, inside[panel.middle], color=colour, linestyle=theme.arm_dash(index), **style)
    low, high = span.limits
    for row in records(panel.points):
        if pd.isna(row.published) or not span.holds(row.time_h, str(row.arm)):
            continue
        index = arms.index(str(row.arm)) if row.arm in arms else len(arms)
        nudge = (index - (len(arms) - 1) / 2) * 0.012 * (high - low)  # arms of one visit side by side
        _beside(axes, float(span(row.time_h, str(row.arm))) + nudge, row, index)


def _beside(axes: Axes, x: float, row: Any, arm_index: int) -> None:
    """A published mean with its error bar, on the range predicted for it; the marker says what role the row has."""
    colour = theme.arm_colour(arm_index)
    if not missing(row.p05):
        axes.plot([x, x], [row.p05, row.p95], color=colour, linewidth=5, alpha=0.4, solid_capstyle="butt", zorder=4)
    low, high = row.published_low, row.published_high
    bars = [[row.published - low], [high - row.published]] if pd.notna(low) and pd.notna(high) else None
    axes.errorbar([x], [row.published], yerr=bars, color=colour, zorder=5, **theme.published(row.role))


def _dose_marks(axes: Axes, folder: Folder, span: Window, numbers: bool) -> None:
    """A strip above the plots: one line an arm, a triangle wherever it was dosed."""
    axes.set_label("doses")
    axes.set_title(span.label if not numbers else "", loc="right", fontsize=8, pad=1)
    for side in ("left", *(() if numbers else ("bottom",))):
        axes.spines[side].set_visible(False)
    axes.tick_params(left=False, labelleft=False, bottom=numbers, labelbottom=numbers)
    axes.set_xlim(*span.limits)
    span.ticks(axes.xaxis)
    dosed = [arm for arm in folder.arms if (folder.doses["arm"] == arm).any()]
    axes.set_ylim(max(1, len(dosed)) - 0.5, -0.5)
    for line, arm in enumerate(dosed):
        times = folder.doses.loc[folder.doses["arm"] == arm, "time_h"].round(2).drop_duplicates()
        times = times[[span.holds(time, arm) for time in times]]
        if len(times) > _MOST_MARKS:
            times = (times / 24).round().drop_duplicates() * 24
        colour = theme.arm_colour(folder.arms.index(arm))
        style: dict[str, Any] = {"linestyle": "none", "marker": "v", "markersize": 5, "color": colour}
        axes.plot(span(times, arm), [line] * len(times), clip_on=False, **style)


def _handle(mark: Mark) -> Line2D:
    """An entry of the legend of a figure that stands alone."""
    from matplotlib.lines import Line2D

    return Line2D([], [], label=theme.literal(mark.text), **mark.style)

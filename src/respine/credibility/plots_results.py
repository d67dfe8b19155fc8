"""The drawings of predictions beside published results and of the sensitivity; each hands back a figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from respine.credibility.plots import WIDTH, _inside, _rows, strip
from respine.evidence.row import ComparedRow
from respine.files.constants import Z90
from respine.report import theme
from respine.report.text import records

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROLE_COLOURS = {"fit": theme.ARM_COLOURS[0], "validate": theme.ARM_COLOURS[1], "context": theme.ARM_COLOURS[6]}
MOST_UNITS = 6
MOST_BARS = 8


def published(lines: Sequence[ComparedRow]) -> Figure | None:
    """Predicted against published, a panel for each of the commonest units; None without a line to draw."""
    import matplotlib
    from matplotlib.figure import Figure

    counts = pd.Series([row.unit or "1" for row in lines]).value_counts()
    units = [str(unit) for unit in counts.index[:MOST_UNITS]]
    if not units:
        return None
    columns = min(3, len(units))
    down = -(-len(units) // columns)
    with matplotlib.rc_context(theme.RC):
        height = 2.85 * down + 0.75
        figure = Figure(figsize=(WIDTH, height))
        grid = figure.subplots(down, columns, squeeze=False)
        edges = {"left": 0.075, "right": 0.985, "top": 1 - 0.62 / height, "bottom": 0.5 / height}
        figure.subplots_adjust(**edges, hspace=0.42, wspace=0.28)
        for place, axes in enumerate(grid.flat):
            if place >= len(units):
                axes.set_axis_off()
                continue
            of_unit = [row for row in lines if (row.unit or "1") == units[place]]
            _against(axes, of_unit)
            axes.set_title(f"{units[place]} (n = {len(of_unit)})")
            axes.set_xlabel("published" if place >= len(units) - columns else "")
            axes.set_ylabel("predicted" if place % columns == 0 else "")
        figure.legend(handles=_roles(lines), loc="upper left", bbox_to_anchor=(0.06, 1.0), ncols=3)
    return figure


def _against(axes: Axes, lines: Sequence[ComparedRow]) -> None:
    """Points with their 90 % interval over the line of agreement; a logarithmic scale where values span decades."""
    values = np.array([[row.published, row.predicted] for row in lines])
    logarithmic = bool((values > 0).all() and all(row.low > 0 for row in lines) and values.max() / values.min() > 50)
    if logarithmic:
        axes.set_xscale("log")
        theme.plain_numbers(axes.xaxis)
        axes.set_yscale("log")
        theme.plain_numbers(axes.yaxis)
    for line in lines:
        colour = ROLE_COLOURS.get(line.role, theme.INK)
        axes.plot([line.published] * 2, [line.low, line.high], color=colour, linewidth=1, alpha=0.3)
        axes.plot([line.published], [line.predicted], marker=theme.role_marker(line.role), color=colour, markersize=3.4,
                  alpha=0.85, markeredgewidth=0)  # fmt: skip
    low, high = float(values.min()), float(values.max())
    pad = 0.0 if logarithmic else 0.04 * (high - low or 1.0)
    edges = (low / 1.3, high * 1.3) if logarithmic else (low - pad, high + pad)
    axes.plot(edges, edges, color=theme.FAINT, linewidth=0.9, zorder=0)
    axes.set_xlim(*edges)
    axes.set_ylim(*edges)
    axes.grid()


def _roles(lines: Sequence[ComparedRow]) -> list[Any]:
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], linestyle="none", marker=theme.role_marker(role), color=colour, markersize=5,
               label=f"{role}: {theme.ROLE_WORDS[role]}, n = {sum(row.role == role for row in lines)}")
        for role, colour in ROLE_COLOURS.items() if any(row.role == role for row in lines)
    ]  # fmt: skip


def distances(lines: Sequence[ComparedRow], systems: Sequence[str]) -> Figure | None:
    """z of every result by system and role; None without one."""
    import matplotlib
    from matplotlib.figure import Figure

    known = [row for row in lines if np.isfinite(row.z)]
    shown = [name for name in systems if any(row.system == name for row in known)]
    if not shown:
        return None
    with matplotlib.rc_context(theme.RC):
        figure = Figure(figsize=(WIDTH, 0.42 * len(shown) + 1.0))
        axes = figure.add_axes(_inside(figure, left=2.9, top=0.4))
        axes.axvspan(-Z90, Z90, color=theme.FAINT, alpha=0.16, linewidth=0)
        axes.axvline(0, color=theme.FAINT, linewidth=0.8)
        for y, name in enumerate(shown):
            for role, lift in (("fit", -0.22), ("context", 0.0), ("validate", 0.22)):
                z = np.array([row.z for row in known if row.system == name and row.role == role])
                strip(axes, z, y + lift, ROLE_COLOURS[role], theme.role_marker(role), width=0.12)
        _rows(axes, [f"{name} (n = {sum(row.system == name for row in known)})" for name in shown])
        axes.set_xlim(-6.3, 6.3)
        axes.set_xlabel("z = (published - predicted median) / SD")
        axes.legend(handles=_roles(known), loc="lower left", bbox_to_anchor=(-0.3, 1.0), ncols=3)
    return figure


def shares(by_role: pd.DataFrame) -> Figure | None:
    """Share of published results inside the 50 % and 90 % intervals of each role; None where nothing is counted."""
    import matplotlib
    from matplotlib.figure import Figure

    rows = by_role[by_role["numbers"] > 0]
    if rows.empty:
        return None
    with matplotlib.rc_context(theme.RC):
        figure = Figure(figsize=(WIDTH, 0.52 * len(rows) + 0.75))
        axes = figure.add_axes(_inside(figure, left=1.9, top=0.3))
        for y, row in enumerate(records(rows)):
            colour = ROLE_COLOURS.get(str(row.role), theme.INK)
            for lift, share, alpha in ((-0.19, row.inside_50, 0.5), (0.19, row.inside_90, 0.9)):
                error = np.sqrt(share * (1 - share) / row.numbers)
                axes.barh([y + lift], [100 * share], height=0.33, color=colour, alpha=alpha)
                axes.errorbar([100 * share], [y + lift], xerr=[100 * error], color=theme.INK, linewidth=1, capsize=2)
        for nominal in (50, 90):
            axes.axvline(nominal, color=theme.INK, linewidth=1, linestyle=(0, (4, 2)))
            axes.text(nominal, -0.72, f"honest: {nominal} %", fontsize=7.5, ha="center", va="bottom")
        _rows(axes, [f"{row.role} (n = {row.numbers})" for row in records(rows)])
        axes.set_xlim(0, 100)
        words = "% of published results inside the interval (pale: 50 % interval, full: 90 %; bar: standard error)"
        axes.set_xlabel(words)
    return figure


def sensitivity(readouts: pd.DataFrame, effects: pd.DataFrame) -> Figure | None:
    """The strongest parameters of each read-out as bars; None where no read-out moves."""
    import matplotlib
    from matplotlib.figure import Figure

    shown = [row for row in records(readouts) if (effects["readout"] == row.name).any()]
    if not shown:
        return None
    down = -(-len(shown) // 2)
    with matplotlib.rc_context(theme.RC):
        each = 0.185 * MOST_BARS + 0.62
        height = each * down + 0.3
        figure = Figure(figsize=(WIDTH, height))
        for k, row in enumerate(shown):
            line, column = divmod(k, 2)
            top = height - 0.1 - each * line
            tall = 0.185 * MOST_BARS
            box = ((1.85 + 4.85 * column) / WIDTH, (top - 0.28 - tall) / height, 2.8 / WIDTH, tall / height)
            axes = figure.add_axes(box)
            _bars(axes, effects[effects["readout"] == row.name].head(MOST_BARS), float(row.band))
            axes.set_title(_short(str(row.label)), pad=3, fontsize=8.2, loc="left", x=-0.62)
    return figure


def _bars(axes: Axes, rows: pd.DataFrame, band: float) -> None:
    axes.axvspan(-band, band, color=theme.FAINT, alpha=0.16, linewidth=0)
    axes.axvline(0, color=theme.FAINT, linewidth=0.8)
    values = rows["prcc"].to_numpy(float)
    colours = [theme.ARM_COLOURS[0] if v > 0 else theme.ARM_COLOURS[1] for v in values]
    axes.barh(range(len(values)), values, height=0.68, color=colours)
    _rows(axes, [str(name) for name in rows["parameter"]], size=7)
    axes.set_ylim(MOST_BARS - 0.4, -0.6)
    axes.set_xlim(-1, 1)
    axes.set_xticks([-1, -0.5, 0, 0.5, 1])
    axes.tick_params(axis="x", labelsize=7)


def _short(text: str, most: int = 62) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."

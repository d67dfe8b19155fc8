"""A figure for a paper: chosen panels and arms of a run at the width of a column, own results on top."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from respine.errors import InputError, argument
from respine.files import units
from respine.files.suggest import nearest
from respine.report import own_data, theme
from respine.report.drawing import Drawing
from respine.report.folder import Folder, folder_of
from respine.report.own_data import OwnPoint
from respine.report.panels import Panel, panels

MM = 1 / 25.4
SMALLEST_MM, LARGEST_MM = 40.0, 400.0
FORMATS = ("svg", "png", "pdf", "eps")


def figure(
    run: Any, *, only: Collection[str] = (), arms: Collection[str] = (), data: str | Path | None = None, width_mm: float = 85.0,
    height_mm: float | None = None, bands: bool | None = None, begin: float | None = None, until: float | None = None,
) -> Drawing:  # fmt: skip
    """Panels below each other at ``width_mm``: a line an arm, named axes, the healthy line, published and own points.

    ``run``: results, a `Folder`, or a run folder; ``only``: outputs and scales (all when empty); ``arms`` in the order in
    which they are drawn; ``data``: a CSV of own results (see ``own_data``); ``bands``: 5-95 % of subjects, left out where there
    are more than four arms unless asked for; ``begin``, ``until``: hours of the study shown. The axes carry the panel's name as
    label; the table has the lines, then the points (``kind``). Raises InputError for names that the run does not have.
    """
    folder = folder_of(run)
    chosen = _panels(folder, only)
    shown = _arms(folder, arms)
    if not SMALLEST_MM <= width_mm <= LARGEST_MM:
        why = f"A figure is {SMALLEST_MM:g} to {LARGEST_MM:g} mm wide."
        raise InputError(argument("width", width_mm, why, "Write 85mm for one column, 180mm for two."))
    points = own_data.read(data, folder.arms, [panel.name for panel in panels(folder)]) if data is not None else []
    points = [point for point in points if point.arm in shown]
    with_bands = len(shown) <= theme.MOST_BANDS if bands is None else bands
    with theme.drawn():
        made = _draw(folder, chosen, shown, points, width_mm, height_mm, with_bands, begin, until)
    return Drawing(made, _table(folder, chosen, shown, points))


def millimetres(text: str) -> float:
    """A width such as ``85mm`` or ``3.3in``. Raises InputError."""
    parts = units.split(text)
    factor = {"mm": 1.0, "cm": 10.0, "in": 25.4}.get(parts[1] if parts else "")
    if parts is None or factor is None:
        raise InputError(argument("width", text, "This is no width.", "Write it like 85mm, 18cm or 3.35in."))
    return parts[0] * factor


def _panels(folder: Folder, only: Collection[str]) -> list[Panel]:
    every = {panel.name: panel for panel in panels(folder)}
    wrong = [name for name in only if name not in every]
    if wrong or not every:
        problems = [
            argument("only", name, "The run holds nothing of this name.", nearest(name, list(every))) for name in wrong
        ]
        raise InputError(
            *(
                problems
                or [
                    argument(
                        "only", "", "The run recorded nothing that can be drawn.", "Add record: [...] to the study."
                    )
                ]
            )
        )
    return [every[name] for name in only] if only else list(every.values())


def _arms(folder: Folder, arms: Collection[str]) -> list[str]:
    wrong = [name for name in arms if name not in folder.arms]
    if wrong:
        raise InputError(
            *(
                argument("arms", name, "The study has no arm of this name.", nearest(name, folder.arms))
                for name in wrong
            )
        )
    return list(arms) or folder.arms


def _draw(
    folder: Folder, chosen: Sequence[Panel], arms: Sequence[str], points: Sequence[OwnPoint], width_mm: float,
    height_mm: float | None, bands: bool, begin: float | None, until: float | None,
) -> Any:  # fmt: skip
    from matplotlib.figure import Figure

    width = width_mm * MM
    height = height_mm * MM if height_mm else len(chosen) * max(1.35, 0.42 * width) + 0.55
    made = Figure(figsize=(width, height), layout="constrained")
    grid = np.atleast_1d(made.subplots(len(chosen), 1, sharex=True))
    times = pd.concat([panel.lines["time_h"] for panel in chosen])
    low, high = float(times.min()) if begin is None else begin, float(times.max()) if until is None else until
    size, unit = (1.0, "h") if high - low <= 72 else (24.0, "days") if high - low <= 24 * 150 else (168.0, "weeks")
    for panel, axes in zip(chosen, grid, strict=True):
        axes.set_label(panel.name)
        _lines(axes, folder, panel, arms, size, bands, low, high)
        _published(axes, panel, arms, size, folder)
        _own(axes, folder, panel, [point for point in points if point.of == panel.name], size)
        axes.set_title(panel.title.partition(" (")[0] if width < 4 else panel.title, fontsize=8, wrap=True)
        axes.set_ylabel(panel.y_label, fontsize=8)
        axes.tick_params(labelsize=7.5)
    grid[-1].set_xlabel(f"time ({unit})", fontsize=8)
    grid[-1].set_xlim(low / size - 0.02 * (high - low) / size, high / size + 0.02 * (high - low) / size)
    if len(arms) > 1 or points:
        handles, labels = _legend(folder, arms, points, bands)
        made.legend(
            handles, labels, loc="outside lower center", ncols=2 if width < 4 else 4, fontsize=7.5, handlelength=2.2
        )
    return made


def _lines(
    axes: Any, folder: Folder, panel: Panel, arms: Sequence[str], size: float, bands: bool, low: float, high: float
) -> None:
    axes.grid()
    for arm in arms:
        lines = panel.lines[(panel.lines["arm"] == arm) & panel.lines["time_h"].between(low, high)].sort_values(
            "time_h"
        )
        index = folder.arms.index(arm)
        x, colour = lines["time_h"] / size, theme.arm_colour(index)
        marker: dict[str, Any] = {"marker": theme.arm_marker(index), "markersize": 3} if panel.visits else {}
        if bands:
            axes.fill_between(x, lines["p05"], lines["p95"], color=colour, alpha=0.13, linewidth=0)
        axes.plot(x, lines[panel.middle], color=colour, linestyle=theme.arm_dash(index), **marker)
    if panel.healthy == panel.healthy:
        axes.axhline(panel.healthy, color=theme.FAINT, linewidth=0.8, linestyle=(0, (1, 2)), zorder=0)
        axes.annotate("healthy", (1, panel.healthy), xycoords=("axes fraction", "data"), xytext=(-2, 2), fontsize=6.5,
                      textcoords="offset points", ha="right", color=theme.FAINT)  # fmt: skip


def _published(axes: Any, panel: Panel, arms: Sequence[str], size: float, folder: Folder) -> None:
    for row in panel.points.to_dict("records"):
        if row["arm"] not in arms or pd.isna(row["published"]):
            continue
        ends = (row["published_low"], row["published_high"])
        bar = None if any(map(pd.isna, ends)) else [[row["published"] - ends[0]], [ends[1] - row["published"]]]
        colour = theme.arm_colour(folder.arms.index(str(row["arm"])))
        axes.errorbar(
            [row["time_h"] / size],
            [row["published"]],
            yerr=bar,
            color=colour,
            zorder=5,
            **theme.published(str(row["role"])),
        )


def _own(axes: Any, folder: Folder, panel: Panel, points: Sequence[OwnPoint], size: float) -> None:
    """Own results: filled stars, mean and SEM; per cent of control times what is predicted for the control then."""
    for point in points:
        mean, low, high = in_unit(panel, point)
        bar = [[mean - low], [high - mean]] if math.isfinite(low) else None
        colour = theme.arm_colour(folder.arms.index(point.arm))
        style: dict[str, Any] = {"fmt": "*", "markersize": 7, "markeredgecolor": theme.INK, "markeredgewidth": 0.5}
        axes.errorbar([point.time_h / size], [mean], yerr=bar, color=colour, capsize=2, linewidth=1, zorder=6, **style)


def in_unit(panel: Panel, point: OwnPoint) -> tuple[float, float, float]:
    """Mean, low and high of an own result on the axis of a panel."""
    if not point.control:
        return point.mean, point.low, point.high
    control = panel.lines[panel.lines["arm"] == point.control].sort_values("time_h")
    level = float(np.interp(point.time_h, control["time_h"], control[panel.middle]))
    return point.mean * level / 100, point.low * level / 100, point.high * level / 100


def _legend(
    folder: Folder, arms: Sequence[str], points: Sequence[OwnPoint], bands: bool
) -> tuple[list[Any], list[str]]:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=theme.arm_colour(k), linestyle=theme.arm_dash(k)) for k in map(folder.arms.index, arms)
    ]
    labels = [theme.literal(arm) + (" (5-95 %)" if bands else "") for arm in arms]
    if points:
        handles.append(Line2D([], [], color=theme.INK, marker="*", linestyle="none"))
        labels.append("own data, mean ± SEM" if any(math.isfinite(p.low) for p in points) else "own data, mean")
    return handles, labels


def _table(folder: Folder, chosen: Sequence[Panel], arms: Sequence[str], points: Sequence[OwnPoint]) -> pd.DataFrame:
    lines = pd.concat([panel.table() for panel in chosen], ignore_index=True)
    lines = lines[lines["arm"].isin(arms)].assign(kind="prediction")
    named = {panel.name: panel for panel in chosen}
    own = [
        {"panel": point.of, "unit": named[point.of].unit, "arm": point.arm, "time_h": point.time_h, "n": point.n, "p05": low,
         "mean": mean, "p95": high, "median": math.nan, "kind": "own data"}
        for point in points if point.of in named
        for mean, low, high in [in_unit(named[point.of], point)]
    ]  # fmt: skip
    return (
        pd.concat([lines, pd.DataFrame(own, columns=lines.columns)], ignore_index=True)
        if own
        else lines.reset_index(drop=True)
    )

"""Results of a sweep: a line over one axis, a heat map over two, small multiples over three; figure and table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from respine.errors import InputError, argument
from respine.files.suggest import nearest
from respine.report import theme
from respine.report.drawing import Drawing

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from respine.run.sweep import Sweep

_CELL = 0.75  # inches
MOST_PANELS = 12


def plot_sweep(sweep: Sweep, arm: str | None = None, endpoint: str | None = None) -> Drawing:
    """One result of an arm over the axes of a sweep: the first arm and endpoint where none is named.

    Raises InputError for an arm or endpoint that the sweep has nothing of.
    """
    rows = chosen(sweep, arm, endpoint)
    names = [axis.name for axis in sweep.axes]
    with theme.drawn():
        if len(sweep.indices):
            figure = _bars(sweep.indices, rows)
        elif len(names) == 1:
            figure = _line(rows, names[0], sweep)
        else:
            figure = _maps(rows, names, sweep)
    return Drawing(figure, rows)


def chosen(sweep: Sweep, arm: str | None, endpoint: str | None) -> pd.DataFrame:
    """The rows of one arm and endpoint. Raises InputError."""
    table = sweep.table
    for column, name in (("arm", arm), ("endpoint", endpoint)):
        known = list(dict.fromkeys(table[column]))
        if name is not None and name not in known:
            raise InputError(argument(column, name, f"The sweep has no such {column}.", nearest(name, known)))
        if known:
            table = table[table[column] == (known[0] if name is None else name)]
    return table.reset_index(drop=True)


def _title(rows: pd.DataFrame, sweep: Sweep) -> str:
    if rows.empty:
        return "no result"
    first = rows.iloc[0]
    against = f" against {first['against']}" if first["against"] else ""
    return theme.literal(
        f"{first['arm']}{against}: {first['endpoint']} ({first['unit']}), n = {sweep.study.subjects} an arm"
    )


def _line(rows: pd.DataFrame, name: str, sweep: Sweep) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.0, 3.4), layout="constrained")
    axes = figure.subplots()
    values = list(rows[name])
    numbers = all(isinstance(value, (int, float)) for value in values)
    x = np.array(values, float) if numbers else np.arange(len(values))
    axes.fill_between(x, rows["p05"], rows["p95"], color=theme.arm_colour(0), alpha=0.2, linewidth=0)
    axes.plot(x, rows["median"], color=theme.arm_colour(0), marker="o", markersize=4)
    if not numbers:
        axes.set_xticks(x, [theme.literal(str(value)) for value in values])
    axes.set_xlabel(theme.literal(name))
    axes.set_ylabel(theme.literal(str(rows["unit"].iloc[0]) if len(rows) else ""))
    axes.set_title(f"{_title(rows, sweep)}\nline: median, band: 5-95 % of trials")
    return figure


def _maps(rows: pd.DataFrame, names: list[str], sweep: Sweep) -> Figure:
    """A heat map over the first two axes, one for each combination of the others."""
    from matplotlib.figure import Figure

    across, down, *others = names
    parts = list(rows.groupby(others, sort=False)) if others else [((), rows)]
    x, y = (list(dict.fromkeys(rows[name])) for name in (across, down))
    wide = min(3, len(parts))
    tall = -(-min(len(parts), MOST_PANELS) // wide)
    size = (1.6 + wide * max(2.6, _CELL * len(x)), 1.0 + tall * max(1.6, 0.5 * len(y) + 0.6))
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(tall, wide, squeeze=False)
    low, high = float(rows["median"].min()), float(rows["median"].max())
    drawn: Any = None
    for axes, (key, part) in zip(grid.flat, parts[:MOST_PANELS], strict=False):
        cells = part.pivot_table(index=down, columns=across, values="median", sort=False).reindex(index=y, columns=x)
        drawn = axes.imshow(cells.to_numpy(), cmap="cividis", vmin=low, vmax=high, aspect="auto", origin="lower")
        _label(axes, cells, x, y, (across, down), (low + high) / 2)
        values = key if isinstance(key, tuple) else (key,)
        axes.set_title(theme.literal(", ".join(f"{n} {v}" for n, v in zip(others, values, strict=True))))
    for axes in grid.flat[len(parts) :]:
        axes.set_visible(False)
    if drawn is not None:
        figure.colorbar(drawn, ax=grid, label=theme.literal(f"median ({rows['unit'].iloc[0]})"))
    more = f" ({len(parts) - MOST_PANELS} more in the table)" if len(parts) > MOST_PANELS else ""
    figure.suptitle(f"{_title(rows, sweep)}{more}", x=0.01, ha="left", fontsize=9)
    return figure


def _label(
    axes: Axes, cells: pd.DataFrame, x: list[Any], y: list[Any], names: tuple[str, str], middle: float
) -> None:  # fmt: skip
    axes.set_xticks(range(len(x)), [theme.literal(str(value)) for value in x])
    axes.set_yticks(range(len(y)), [theme.literal(str(value)) for value in y])
    axes.set_xlabel(theme.literal(names[0]))
    axes.set_ylabel(theme.literal(names[1]))
    if cells.size > 400:
        return
    for (i, j), value in np.ndenumerate(cells.to_numpy(float)):
        if np.isfinite(value):
            axes.text(
                j, i, f"{value:.3g}", ha="center", va="center", color="white" if value < middle else "black", fontsize=8
            )


def _bars(indices: pd.DataFrame, rows: pd.DataFrame) -> Figure:
    """First-order and total indices of a Sobol design with their 95 % intervals."""
    from matplotlib.figure import Figure

    own = indices
    if len(rows):
        own = indices[(indices["arm"] == rows["arm"].iloc[0]) & (indices["endpoint"] == rows["endpoint"].iloc[0])]
    figure = Figure(figsize=(6.0, 1.0 + 0.4 * max(1, len(own))), layout="constrained")
    axes, place = figure.subplots(), np.arange(len(own))
    for shift, kind, label in ((-0.2, "S1", "alone"), (0.2, "ST", "with all others")):
        axes.barh(place + shift, own[kind], 0.36, xerr=own[f"{kind}_conf"], label=label,
                  color=theme.arm_colour(0 if kind == "S1" else 1), error_kw={"linewidth": 0.8})  # fmt: skip
    axes.set_yticks(place, [theme.literal(name) for name in own["name"]])
    axes.set_xlabel("share of the variance (bars: 95 %)")
    axes.set_title(theme.literal(f"{rows['arm'].iloc[0]}: {rows['endpoint'].iloc[0]}" if len(rows) else ""))
    axes.legend(frameon=False)
    return figure

"""The drawings of the structure, the provenance and the calibration; each hands back a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from respine.credibility.structure import NO_MODULE
from respine.files.constants import Z90
from respine.report import theme
from respine.report.text import records

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STATUS_COLOURS = {"literature": theme.ARM_COLOURS[0], "derived": theme.ARM_COLOURS[2],
                  "calibrated": theme.ARM_COLOURS[4], "assumed": theme.ARM_COLOURS[6]}  # fmt: skip
WIDTH = 9.6
EDGE = 4.0  # standard deviations drawn; what lies beyond stands at the edge as a triangle


def chain(modules: pd.DataFrame, links: pd.DataFrame) -> Figure:
    """The modules from top to bottom; arcs on the right feed forward, arcs on the left feed back."""
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyArrowPatch

    rows = modules[modules["module"] != NO_MODULE].reset_index(drop=True)
    place = {name: -k for k, name in enumerate(rows["module"])}
    most = max(1, int(links["symbols"].max())) if len(links) else 1
    with matplotlib.rc_context(theme.RC):
        figure = Figure(figsize=(WIDTH, 0.36 * len(rows) + 0.5))
        axes = figure.add_axes((0.01, 0.01, 0.98, 0.98))
        axes.set_axis_off()
        reach = max(4.0, len(rows) * 0.42)
        axes.set_xlim(-2.6 - reach, 2.6 + reach)
        axes.set_ylim(-len(rows) + 0.3, 1.1)
        for row in records(rows):
            y = place[row.module]
            size = f"{row.states} states, {row.rules} rules, {row.parameters} parameters"
            axes.text(0, y + 0.1, str(row.module), ha="center", va="center", fontsize=9, fontweight="bold")
            axes.text(0, y - 0.28, size, ha="center", va="center", fontsize=6.6, color=theme.FAINT)
        for link in records(links):
            start, end = place[link.gives], place[link.takes]
            forward = end < start
            side = 2.5 if forward else -2.5
            bend = min(0.95, 0.35 + 0.25 * abs(end - start) / len(rows) * 3)
            arc = FancyArrowPatch(
                (side, start), (side, end), connectionstyle=f"arc3,rad={-bend:.2f}",
                arrowstyle="-|>,head_length=3,head_width=1.6", linewidth=0.6 + 2.0 * (link.symbols / most) ** 0.5,
                color=theme.ARM_COLOURS[0 if forward else 1], alpha=0.55, shrinkA=0, shrinkB=0,
            )  # fmt: skip
            axes.add_patch(arc)
        axes.text(2.6, 0.75, "feeds forward", color=theme.ARM_COLOURS[0], fontsize=8.5)
        axes.text(-2.6, 0.75, "feeds back", color=theme.ARM_COLOURS[1], fontsize=8.5, ha="right")
    return figure


def statuses(provenance: pd.DataFrame) -> Figure:
    """Parameters of each table by status, stacked."""
    import matplotlib
    from matplotlib.figure import Figure

    from respine.credibility.provenance import STATUSES

    table = provenance[provenance["status"].isin(STATUSES)]
    files = table["file"].str.rpartition(":")[0].str.rpartition("/")[2].str.removesuffix(".csv")
    counts = pd.crosstab(files, table["status"]).reindex(columns=list(STATUSES), fill_value=0)
    counts = counts.loc[counts.sum(axis=1).sort_values(kind="stable", ascending=False).index]
    with matplotlib.rc_context(theme.RC):
        figure = Figure(figsize=(WIDTH, 0.24 * len(counts) + 0.9))
        axes = figure.add_axes(_inside(figure, left=1.75, top=0.4))
        left = np.zeros(len(counts))
        for status in STATUSES:
            n = counts[status].to_numpy(float)
            axes.barh(range(len(counts)), n, left=left, height=0.72, color=STATUS_COLOURS[status], label=status)
            left += n
        _rows(axes, [str(name) for name in counts.index])
        axes.set_xlabel("parameters")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=4)
    return figure


def calibrated(table: pd.DataFrame, informed: float) -> Figure:
    """Each calibrated number in standard deviations of its prior: estimate and 90 % interval over the prior's 90 %."""
    import matplotlib
    from matplotlib.figure import Figure

    blocks = list(dict.fromkeys(table["block"]))
    columns: list[list[str]] = [[], []]
    for name in blocks:  # the shorter column takes the next block
        heights = [sum((table["block"] == b).sum() + 3 for b in column) for column in columns]
        columns[int(np.argmin(heights))].append(name)
    tallest = max(sum((table["block"] == b).sum() + 3.2 for b in column) for column in columns)
    with matplotlib.rc_context(theme.RC):
        height = 0.165 * tallest + 0.3
        figure = Figure(figsize=(WIDTH, height))
        for c, column in enumerate(columns):
            top = height - 0.3
            for name in column:
                rows = table[table["block"] == name]
                tall = 0.165 * len(rows)
                axes = figure.add_axes(((1.95 + 4.85 * c) / WIDTH, (top - tall) / height, 2.7 / WIDTH, tall / height))
                _beliefs(axes, rows, informed)
                axes.set_title(f"{name} (n = {len(rows)})", pad=3)
                top -= tall + 0.165 * 3.2
    return figure


def _beliefs(axes: Axes, rows: pd.DataFrame, informed: float) -> None:
    axes.axvspan(-Z90, Z90, color=theme.FAINT, alpha=0.16, linewidth=0)
    axes.axvline(0, color=theme.FAINT, linewidth=0.8)
    for y, row in enumerate(records(rows)):
        known = row.informed is not None and row.informed == row.informed
        colour = theme.ARM_COLOURS[0] if known and row.informed >= informed else theme.ARM_COLOURS[1]
        at = float(np.clip(row.away, -EDGE, EDGE))
        if known:
            bar = np.clip([row.away - Z90 * row.error, row.away + Z90 * row.error], -EDGE, EDGE)
            axes.plot(bar, [y, y], color=colour, linewidth=2.2, alpha=0.55, solid_capstyle="butt")
        beyond = abs(row.away) > EDGE
        marker = "o" if not beyond else ">" if row.away > 0 else "<"
        axes.plot([at], [y], marker=marker, color=colour, markersize=3.6, clip_on=False)
    axes.set_xlim(-EDGE, EDGE)
    _rows(axes, [str(name) for name in rows["parameter"]], size=6.8)
    axes.tick_params(axis="x", labelsize=7)


def targets(table: pd.DataFrame) -> Figure:
    """How far the model is from each fit target, in standard errors, block by block."""
    import matplotlib
    from matplotlib.figure import Figure

    blocks = list(dict.fromkeys(table["block"]))
    with matplotlib.rc_context(theme.RC):
        figure = Figure(figsize=(WIDTH, 0.36 * len(blocks) + 0.7))
        axes = figure.add_axes(_inside(figure, left=1.9, top=0.08))
        axes.axvspan(-Z90, Z90, color=theme.FAINT, alpha=0.16, linewidth=0)
        axes.axvline(0, color=theme.FAINT, linewidth=0.8)
        for y, name in enumerate(blocks):
            z = table.loc[table["block"] == name, "z"].to_numpy(float)
            strip(axes, z, y, theme.ARM_COLOURS[0], "o")
        _rows(axes, [f"{name} (n = {(table['block'] == name).sum()})" for name in blocks])
        axes.set_xlim(-6.3, 6.3)
        axes.set_xlabel("(predicted - published) / standard error")
    return figure


def strip(
    axes: Axes, z: np.ndarray, y: float, colour: str, marker: str, edge: float = 6.0, width: float = 0.26
) -> None:
    """Values along a line, spread a little so that they do not hide each other; those beyond ``edge`` as triangles."""
    z = z[np.isfinite(z)]
    order = np.argsort(np.argsort(z, kind="stable"))
    shift = ((order * 0.618034) % 1 - 0.5) * 2 * width
    near = np.abs(z) <= edge
    style: dict[str, Any] = {"linestyle": "none", "markerfacecolor": colour, "markeredgecolor": theme.PAPER,
                             "markeredgewidth": 0.4, "alpha": 0.8}  # fmt: skip
    axes.plot(z[near], y + shift[near], marker=marker, markersize=4, **style)
    for side, sign in ((z > edge, ">"), (z < -edge, "<")):
        axes.plot(np.clip(z[side], -edge, edge), y + shift[side], marker=sign, markersize=4.6, **style)


def information(blocks: Sequence[Mapping[str, Any]]) -> Figure:
    """Eigenvalues of the information in the fit rows of each block, in units of the priors."""
    import matplotlib
    from matplotlib.figure import Figure

    shown = [block for block in blocks if len(block["eigenvalues"])]
    floor = 1e-3
    with matplotlib.rc_context(theme.RC):
        figure = Figure(figsize=(WIDTH, 0.34 * len(shown) + 0.75))
        axes = figure.add_axes(_inside(figure, left=1.9, top=0.1))
        axes.set_xscale("log")
        theme.plain_numbers(axes.xaxis)
        axes.axvline(1, color=theme.INK, linewidth=1, linestyle=(0, (4, 2)))
        top = floor * 10
        for y, block in enumerate(shown):
            e = np.array(block["eigenvalues"], float)
            top = max(top, float(e.max()))
            for chosen, colour in ((e >= 1, theme.ARM_COLOURS[0]), (e < 1, theme.ARM_COLOURS[1])):
                style: dict[str, Any] = {"linestyle": "none", "markersize": 9, "markeredgewidth": 1.6, "color": colour}
                axes.plot(np.maximum(e[chosen], floor), np.full(chosen.sum(), y), marker="|", **style)
        axes.set_xlim(floor / 2, top * 3)
        _rows(axes, [f"{block['block']} (n = {len(block['eigenvalues'])})" for block in shown])
        axes.set_xlabel("eigenvalue of the information in the fit rows, in units of the prior's (log scale)")
    return figure


def _rows(axes: Axes, names: Sequence[str], size: float = 8.0) -> None:
    """Names down the left side, the first on top."""
    axes.set_yticks(range(len(names)), names, fontsize=size)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(axis="x")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _inside(figure: Figure, left: float, top: float, bottom: float = 0.48) -> tuple[float, float, float, float]:
    """The drawing area of a figure whose margins are given in inches."""
    width, height = figure.get_size_inches()
    return left / width, bottom / height, (width - left - 0.15) / width, (height - top - bottom) / height

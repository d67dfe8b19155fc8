"""One quantity of two runs on one axis, arm by arm."""

from __future__ import annotations

from typing import Any

import pandas as pd

from respine.errors import InputError, Problem
from respine.files.suggest import nearest
from respine.report import theme
from respine.report.drawing import Drawing
from respine.report.folder import folder_of
from respine.report.panels import panels

_HEIGHT = 2.2  # inches an arm


def plot_two_runs(first: Any, second: Any, output: str) -> Drawing:
    """Medians of both runs over time with the 5-95 % band of subjects, a plot an arm that both have.

    ``output`` names a recorded output or a scale. The table has one row per run, arm and time: ``run, panel, unit, arm,
    time_h, n, p05, median, p95, mean``. Raises InputError where a run did not keep the output, or no arm is in both.
    """
    from matplotlib.figure import Figure

    tables, shown = [], []
    for name, run in (("first", first), ("second", second)):
        folder = folder_of(run)
        drawn = {panel.name: panel for panel in panels(folder)}
        if output not in drawn:
            why = "This run kept nothing of this name."
            raise InputError(Problem(str(folder.path), "output", output, why, nearest(output, drawn)))
        shown.append(drawn[output])
        tables.append(drawn[output].table().assign(run=f"{name}: {folder.path.name}"))
    table = pd.concat(tables, ignore_index=True)
    arms = [arm for arm in dict.fromkeys(tables[0]["arm"]) if arm in set(tables[1]["arm"])]
    if not arms:
        raise InputError(
            Problem("runs", "arms", "", "The two runs have no arm in common.", "Compare runs of the same arms.")
        )
    with theme.drawn():
        figure = Figure(figsize=(7.5, 0.5 + _HEIGHT * len(arms)), layout="constrained")
        axes = figure.subplots(len(arms), 1, sharex=True, squeeze=False)[:, 0]
        for axis, arm in zip(axes, arms, strict=True):
            for k, (name, own) in enumerate(table[table["arm"] == arm].groupby("run", sort=False)):
                own = own.sort_values("time_h")
                colour, dash = theme.arm_colour(k), theme.arm_dash(k)
                axis.plot(own["time_h"], own["median"], color=colour, linestyle=dash, label=theme.literal(str(name)))
                axis.fill_between(own["time_h"], own["p05"], own["p95"], color=colour, alpha=0.15, linewidth=0)
            axis.set_title(theme.literal(arm), loc="left", fontsize=9)
            axis.set_ylabel(theme.literal(str(table["unit"].iloc[0]) or output), fontsize=9)
        axes[0].legend(fontsize=8)
        axes[-1].set_xlabel("hours; line: median, band: 5-95 % of subjects", fontsize=9)
        figure.suptitle(theme.literal(shown[0].title), fontsize=10)
    return Drawing(figure, table[["run", *[name for name in table.columns if name != "run"]]])

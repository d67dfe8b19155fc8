"""Power and assurance against the number of people, a panel a comparison and visit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from respine.report import theme
from respine.report.drawing import Drawing

if TYPE_CHECKING:
    from respine.trial.power import PowerResults

WIDTH, HEIGHT, ACROSS = 3.6, 2.9, 3
LOOKS = {"power": (0, "power given the parameters"), "assurance": (1, "assurance over them")}


def plot_power(results: PowerResults) -> Drawing:
    """Counted power and assurance with 90 % intervals of the simulation's chance, and the fitted curves between the sizes.

    The table has a row a point: ``arm, against, visit_h, n, kind, share, low, high``.
    """
    import pandas as pd
    from matplotlib.figure import Figure

    groups = list(results.table.groupby(["arm", "against", "visit_h"], sort=False))
    across = min(ACROSS, len(groups))
    down = -(-len(groups) // across)
    rows = []
    with theme.drawn():
        figure = Figure(figsize=(max(WIDTH * across, 4.6), HEIGHT * down + 0.5), layout="constrained")
        axes = figure.subplots(down, across, squeeze=False)
        for axis in axes.ravel()[len(groups) :]:
            axis.remove()
        for axis, (key, table) in zip(axes.ravel(), groups, strict=False):
            arm, against, visit = str(key[0]), str(key[1]), float(table["visit_h"].iloc[0])
            n = table["n"].to_numpy(float)
            grid = np.linspace(n[0], n[-1], 120) if len(n) > 1 else n
            for kind, (index, label) in LOOKS.items():
                share, error = table[kind].to_numpy(), table[f"{kind}_error"].to_numpy()
                low, high = np.clip(share - 1.645 * error, 0, 1), np.clip(share + 1.645 * error, 0, 1)
                curve = results.curves.get((arm, against, visit, kind))
                colour = theme.arm_colour(index)
                if curve is not None:
                    axis.plot(grid, 100 * curve(grid), color=colour, linestyle=theme.arm_dash(index))
                axis.errorbar(n, 100 * share, yerr=100 * np.array([share - low, high - share]), fmt=theme.arm_marker(index),
                              color=colour, markersize=4.5, capsize=2, linewidth=1, label=label)  # fmt: skip
                rows += [
                    {
                        "arm": arm,
                        "against": against,
                        "visit_h": visit,
                        "n": int(k),
                        "kind": kind,
                        "share": s,
                        "low": a,
                        "high": b,
                    }
                    for k, s, a, b in zip(n, share, low, high, strict=True)
                ]
            for line in (80, 90):
                axis.axhline(line, color=theme.FAINT, linewidth=0.6, linestyle=(0, (2, 2)))
            axis.set(ylim=(0, 102), xlabel="people an arm", ylabel="% of trials won")
            day = f"{visit / 24:g} d" if visit >= 24 else f"{visit:g} h"
            axis.set_title(theme.literal(f"{arm} against {against}, {day}"))
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2)
        about = f"{results.replicates} simulated trials, two-sided alpha {results.alpha:g}; bars: 90 % of the simulation's chance"
        figure.suptitle(about, fontsize=8, x=0.01, ha="left")
    return Drawing(figure, pd.DataFrame(rows))

"""Figures of a fit: goodness of fit, individuals, visual predictive checks, random effects, the course of the
search.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from respine.fit.population.fitted import Fit

INK, BLUE, RED, GREY = "#222222", "#3b6ea5", "#b5473c", "#9a9a9a"


def _figure(rows: int, columns: int, width: float = 3.4, height: float = 2.8) -> tuple[Figure, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)


def goodness(table: pd.DataFrame) -> Figure:
    """Observed against predicted, residuals against time and prediction, and NPDE against their normal quantiles."""
    from respine.population.random import inverse_normal

    own = table[(table["MDV"] == 0) & table["CWRES"].notna()]
    figure, axes = _figure(2, 3)
    for axis, x, label in (
        (axes[0, 0], "PRED", "population prediction"),
        (axes[0, 1], "IPRED", "individual prediction"),
    ):
        axis.scatter(own[x], own["DV"], s=8, color=BLUE, alpha=0.6, linewidths=0)
        ends = [min(own[x].min(), own["DV"].min()), max(own[x].max(), own["DV"].max())]
        axis.plot(ends, ends, color=INK, linewidth=0.8)
        axis.set(xlabel=label, ylabel="observed")
    for axis, x, y in ((axes[0, 2], "IPRED", "IWRES"), (axes[1, 0], "TIME", "CWRES"), (axes[1, 1], "PRED", "CWRES")):
        axis.scatter(own[x], own[y], s=8, color=BLUE, alpha=0.6, linewidths=0)
        axis.axhline(0.0, color=INK, linewidth=0.8)
        for level in (-1.96, 1.96):
            axis.axhline(level, color=GREY, linewidth=0.6, linestyle="--")
        axis.set(xlabel=x, ylabel=y)
    known = np.sort(own["NPDE"].dropna().to_numpy())
    if len(known):
        wanted = inverse_normal((np.arange(len(known)) + 0.5) / len(known))
        axes[1, 2].scatter(wanted, known, s=8, color=BLUE, linewidths=0)
        axes[1, 2].plot(wanted, wanted, color=INK, linewidth=0.8)
    axes[1, 2].set(xlabel="normal quantile", ylabel="NPDE")
    return figure


def individuals(table: pd.DataFrame, most: int = 24) -> Figure:
    """Observed values, individual and population predictions of the first subjects, a panel each."""
    labels = list(dict.fromkeys(table["ID"]))[:most]
    columns = min(4, len(labels))
    figure, axes = _figure(-(-len(labels) // columns), columns, 2.4, 1.9)
    for axis, label in zip(axes.ravel(), labels, strict=False):
        own = table[table["ID"] == label]
        for _, part in own[own["OBS"] != ""].groupby("OBS"):
            axis.plot(part["TIME"], part["PRED"], color=GREY, linewidth=0.8, linestyle="--")
            axis.plot(part["TIME"], part["IPRED"], color=BLUE, linewidth=1.0)
            axis.scatter(part["TIME"], part["DV"], s=9, color=INK, linewidths=0, zorder=3)
        axis.set_title(f"ID {label}", fontsize=8)
        axis.tick_params(labelsize=7)
    for axis in axes.ravel()[len(labels) :]:
        axis.set_visible(False)
    return figure


def check(table: pd.DataFrame) -> Figure:
    """A visual predictive check from its table: bands of simulated quantiles, lines of observed ones."""
    panels = list(table.groupby(["observation", "stratum"]))
    shares = any((part["quantile"] == "below limit").any() for _, part in panels)
    figure, axes = _figure(2 if shares else 1, len(panels), 4.4, 3.0)
    for column, ((observation, stratum), part) in enumerate(panels):
        axis = axes[0, column]
        for quantile, own in part[part["quantile"] != "below limit"].groupby("quantile"):
            middle = quantile == "0.5"
            colour = RED if middle else BLUE
            axis.fill_between(own["time"], own["low"], own["high"], color=colour, alpha=0.2, linewidth=0)
            axis.plot(
                own["time"], own["observed"], color=colour, linewidth=1.3, linestyle="-" if middle else "--", marker="."
            )
        axis.set(xlabel="time", ylabel=str(observation), title=str(stratum))
        if shares:
            below = part[part["quantile"] == "below limit"]
            axes[1, column].fill_between(below["time"], below["low"], below["high"], color=BLUE, alpha=0.2, linewidth=0)
            axes[1, column].plot(below["time"], below["observed"], color=INK, linewidth=1.3, marker=".")
            axes[1, column].set(xlabel="time", ylabel="share below the limit", ylim=(0, 1))
    return figure


def effects(fit: Fit) -> Figure | None:
    """Random effects: their spread beside the model's; None without any."""
    objective = fit.optimum.objective
    names = objective.d.random_names()
    if not names:
        return None
    omega = objective.blocks.whole(fit.point.blocks)
    columns = min(4, len(names))
    figure, axes = _figure(-(-len(names) // columns), columns, 2.6, 2.1)
    for k, (axis, name) in enumerate(zip(axes.ravel(), names, strict=False)):
        own, sd = fit.optimum.value.random[:, k], float(np.sqrt(omega[k, k]))
        axis.hist(own[np.isfinite(own)], bins=12, density=True, color=BLUE, alpha=0.5)
        grid = np.linspace(-3.2 * sd, 3.2 * sd, 100)
        axis.plot(grid, np.exp(-0.5 * (grid / sd) ** 2) / (sd * np.sqrt(2 * np.pi)), color=INK, linewidth=0.9)
        axis.set_title(name, fontsize=8)
        axis.tick_params(labelsize=7)
    for axis in axes.ravel()[len(names) :]:
        axis.set_visible(False)
    return figure


def course(fit: Fit) -> Figure | None:
    """How the search went: the objective by step, or SAEM's parameters by step; None for an evaluation."""
    if fit.history is not None and len(fit.history):
        names = fit.vector.names
        columns = min(4, len(names))
        figure, axes = _figure(-(-len(names) // columns), columns, 2.6, 1.9)
        values = np.array([fit.vector.natural(fit.optimum.outer.point(x)) for x in fit.history])
        for k, axis in enumerate(axes.ravel()[: len(names)]):
            axis.plot(values[:, k], color=BLUE, linewidth=0.9)
            axis.set_title(names[k], fontsize=8)
            axis.tick_params(labelsize=7)
        for axis in axes.ravel()[len(names) :]:
            axis.set_visible(False)
        return figure
    paths = [search.path for search in fit.optimum.searches if len(search.path) > 1]
    if not paths:
        return None
    figure, axes = _figure(1, 1, 4.4, 2.6)
    best = min(value for path in paths for value, _ in path)
    for path in paths:
        axes[0, 0].semilogy([value - best + 1e-6 for value, _ in path], color=BLUE, linewidth=1.0, marker=".")
    axes[0, 0].set(xlabel="step", ylabel="objective above its lowest")
    return figure

"""Figures of simulated trials: survival with the people at risk, a forest of estimates, belief against effect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from respine.report import theme
from respine.report.drawing import Drawing

if TYPE_CHECKING:
    from respine.trial.replicates import Trials

RISK_TIMES = 6


def kaplan_meier(time: np.ndarray, event: np.ndarray) -> pd.DataFrame:
    """The product-limit estimate of times (n,) with ``event`` (n,) true where it happened: ``time, at_risk, events, survival,
    low, high`` with Greenwood's variance on the log-log scale (Kalbfleisch and Prentice), 95 %."""
    known = np.isfinite(time)
    time, event = time[known], event[known].astype(bool)
    moments = np.unique(time[event])
    risk = np.array([(time >= t).sum() for t in moments])
    happened = np.array([(event & (time == t)).sum() for t in moments])
    survival = np.cumprod(1 - happened / risk) if len(moments) else np.zeros(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.cumsum(happened / (risk * (risk - happened))) if len(moments) else np.zeros(0)
        wide = 1.959964 * np.sqrt(variance) / np.log(survival)
        low, high = survival ** np.exp(-wide), survival ** np.exp(wide)
    return pd.DataFrame(
        {"time": moments, "at_risk": risk, "events": happened, "survival": survival, "low": low, "high": high}
    )


def plot_survival(
    groups: Mapping[str, tuple[np.ndarray, np.ndarray]], *, unit: str = "days", outcome: str = "without relapse"
) -> Drawing:
    """Kaplan-Meier curves of groups ``{name: (times (n,), event (n,))}`` with 95 % bands, censoring marks and a table of the
    people at risk below. The table has a row a group and event time."""
    from matplotlib.figure import Figure

    last = max(float(np.nanmax(time)) for time, _ in groups.values())
    marks = np.linspace(0, last, RISK_TIMES)
    frames = []
    with theme.drawn():
        figure = Figure(figsize=(6.4, 3.4 + 0.22 * len(groups)), layout="constrained")
        axis, strip = figure.subplots(2, 1, gridspec_kw={"height_ratios": [3.2, 0.3 + 0.25 * len(groups)]})
        for k, (name, (time, event)) in enumerate(groups.items()):
            table, n = kaplan_meier(time, event), int(np.isfinite(time).sum())
            x, y = np.concatenate([[0], table["time"], [last]]), np.concatenate([[1], table["survival"]])
            y = np.append(y, y[-1])
            colour = theme.arm_colour(k)
            axis.step(
                x,
                100 * y,
                where="post",
                color=colour,
                linestyle=theme.arm_dash(k),
                label=theme.literal(f"{name} (n = {n})"),
            )
            low, high = (np.concatenate([[1], table[c].fillna(table["survival"]), [np.nan]]) for c in ("low", "high"))
            low[-1], high[-1] = low[-2], high[-2]
            axis.fill_between(x, 100 * low, 100 * high, step="post", color=colour, alpha=0.12, linewidth=0)
            gone = time[np.isfinite(time) & ~event.astype(bool)]
            at = np.interp(gone, x, y) if not len(table) else y[np.searchsorted(x, gone, side="right") - 1]
            axis.plot(gone, 100 * at, "|", color=colour, markersize=4)
            for mark in marks:
                strip.text(
                    mark, -k, f"{int((time >= mark - 1e-9).sum())}", ha="center", va="center", fontsize=8, color=colour
                )
            frames.append(table.assign(group=name))
        axis.set(ylim=(0, 102), xlim=(0, last), ylabel=f"% {outcome}", xlabel=unit)
        axis.legend(loc="lower left")
        strip.set(xlim=(0, last), ylim=(-len(groups) + 0.4, 0.7), yticks=[-k for k in range(len(groups))], xticks=[])
        strip.set_yticklabels([theme.literal(name) for name in groups])
        strip.set_title("at risk", fontsize=8)
        for side in strip.spines.values():
            side.set_visible(False)
    return Drawing(figure, pd.concat(frames, ignore_index=True))


def plot_forest(rows: pd.DataFrame | Sequence[Mapping[str, Any]], *, unit: str = "", none: float = 0.0) -> Drawing:
    """Estimates with intervals across trials and endpoints: rows with ``label, estimate, low, high`` and, where known, ``n`` and
    ``group`` (colour). ``none`` is where nothing differs."""
    from matplotlib.figure import Figure

    table = pd.DataFrame(rows).reset_index(drop=True)
    groups = list(dict.fromkeys(table["group"])) if "group" in table else [""]
    with theme.drawn():
        figure = Figure(figsize=(7.0, 0.9 + 0.28 * len(table)), layout="constrained")
        axis = figure.subplots()
        axis.axvline(none, color=theme.FAINT, linewidth=0.8, linestyle=(0, (2, 2)))
        for i, row in enumerate(table.to_dict("records")):
            k = groups.index(row["group"]) if "group" in table else 0
            error = [[row["estimate"] - row["low"]], [row["high"] - row["estimate"]]]
            axis.errorbar(
                row["estimate"], -i, xerr=error, fmt=theme.arm_marker(k), color=theme.arm_colour(k), markersize=5
            )
            said = f"{row['estimate']:.2f} ({row['low']:.2f} to {row['high']:.2f})" + (
                f", n = {row['n']:.0f}" if "n" in table else ""
            )
            axis.annotate(said, (1.01, -i), xycoords=("axes fraction", "data"), va="center", fontsize=8)
        axis.set(yticks=[-k for k in range(len(table))], ylim=(-len(table) + 0.4, 0.6), xlabel=unit)
        axis.set_yticklabels([theme.literal(str(label)) for label in table["label"]])
    return Drawing(figure, table)


def plot_belief(trials: Trials, scale: str, time: float) -> Drawing:
    """Belief in having got the drug against the change of the score at a rating (hours), a point a person, with the mean change
    in each fifth of belief by arm. The table has ``arm, belief, change``."""
    from matplotlib.figure import Figure

    column = trials.column(time)
    y, frames = trials.observed(scale), []
    with theme.drawn():
        figure = Figure(figsize=(5.2, 3.6), layout="constrained")
        axis = figure.subplots()
        for k, arm in enumerate(trials.arms):
            who = trials.arm == k
            belief, change = trials.belief[:, :, column][who], (y[:, :, column] - y[:, :, 0])[who]
            known = np.isfinite(change)
            belief, change = belief[known], change[known]
            colour = theme.arm_colour(k)
            axis.plot(belief, change, ".", color=colour, markersize=2, alpha=0.35)
            label = theme.literal(f"{arm} (n = {len(change)})")
            edges = np.unique(np.quantile(belief, np.linspace(0, 1, 6))) if len(belief) else np.zeros(0)
            bins = np.clip(np.searchsorted(edges, belief, side="right") - 1, 0, max(len(edges) - 2, 0))
            middle = [(belief[bins == b].mean(), change[bins == b].mean()) for b in np.unique(bins)]
            axis.plot(
                *zip(*middle, strict=True),
                color=colour,
                marker=theme.arm_marker(k),
                linestyle=theme.arm_dash(k),
                label=label,
            )
            frames.append(pd.DataFrame({"arm": arm, "belief": belief, "change": change}))
        axis.set(
            xlim=(-0.02, 1.02),
            xlabel="belief in having got the drug",
            ylabel=f"change of {scale}, {trials.protocol.scale(scale).unit} (lower is better)",
        )
        when = f"{time / 24:g} d" if time >= 24 else f"{time:g} h"
        axis.set_title(
            theme.literal(f"{trials.protocol.study.name}, {when}; lines: means of fifths of belief"),
            fontsize=8,
            loc="left",
        )
        axis.legend(loc="best")
    return Drawing(figure, pd.concat(frames, ignore_index=True))

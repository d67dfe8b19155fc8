"""Figures of many simulated trials by name: response curves, times to events, belief, and the forest of their answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from respine.errors import InputError, argument
from respine.files.suggest import nearest
from respine.report import theme
from respine.report.drawing import Drawing
from respine.report.trials import plot_belief, plot_forest, plot_survival

if TYPE_CHECKING:
    from respine.trial.replicates import Trials

EVENTS = {
    "dropout": "still observed", "discontinuation": "still on treatment", "rescue": "without rescue", "relapse": "without relapse"
}  # fmt: skip
FIGURES = ("responses", "belief", *EVENTS)
MOST_DOTS = 4000  # people drawn as points


def plot_trials(
    trials: Trials, name: str = "responses", scale: str | None = None, time: float | None = None
) -> Drawing:
    """A figure of simulated trials: ``responses``, ``belief`` (at ``time`` hours, the last rating if left out), or the time to
    ``dropout``, ``discontinuation``, ``rescue`` or ``relapse`` in the first trial. ``scale``: the first that is observed if left
    out. Raises InputError for another name, for a scale not observed and for an event that no trial has."""
    known = list(trials.scores)
    if name not in FIGURES:
        raise InputError(argument("figure", name, "There is no figure of this name.", nearest(name, FIGURES)))
    if scale is not None and scale not in known:
        raise InputError(argument("scale", scale, "The study does not observe it.", nearest(scale, known)))
    scale = scale or known[0]
    if name == "responses":
        return plot_responses(trials, scale)
    if name == "belief":
        return plot_belief(
            trials.head(max(1, MOST_DOTS // trials.subject.shape[1])),
            scale,
            float(trials.times[-1]) if time is None else time,
        )
    return plot_event(trials, name)


def plot_responses(trials: Trials, scale: str) -> Drawing:
    """Mean change from baseline by arm and visit, as the trials see it: a line through the mean over trials and a band that holds
    the means of 90 % of them. The table has ``arm, time_h, n, mean, low, high``; ``n`` is the mean number of people seen."""
    from matplotlib.figure import Figure

    seen, frames = trials.observed(scale), []
    change = seen - seen[:, :, :1]
    known = trials.protocol.scale(scale)
    with theme.drawn():
        figure = Figure(figsize=(6.0, 3.6), layout="constrained")
        axis = figure.subplots()
        for k, arm in enumerate(trials.arms):
            own = np.where((trials.arm == k)[:, :, None], change, np.nan)
            count = np.isfinite(own).sum(axis=1)
            means = np.nansum(own, axis=1) / np.where(count > 0, count, np.nan)
            middle = np.nanmean(means, axis=0)
            low, high = np.nanquantile(means, [0.05, 0.95], axis=0)
            days, colour = trials.times / 24, theme.arm_colour(k)
            axis.plot(days, middle, color=colour, linestyle=theme.arm_dash(k), marker=theme.arm_marker(k), markersize=4,
                      label=theme.literal(f"{arm} (n = {count[:, 0].mean():.0f})"))  # fmt: skip
            if len(trials) > 1:
                axis.fill_between(days, low, high, color=colour, alpha=0.13, linewidth=0)
            frames.append(pd.DataFrame({"arm": arm, "time_h": trials.times, "n": count.mean(axis=0), "mean": middle,
                                        "low": low, "high": high}))  # fmt: skip
        axis.axhline(0, color=theme.FAINT, linewidth=0.7, linestyle=(0, (2, 2)))
        better = " (lower is better)" if known.rule in ("severity", "relative") else ""
        axis.set(xlabel="days since baseline", ylabel=f"mean change of {scale}, {known.unit}{better}")
        band = f"bands: 5 to 95 % of {len(trials)} simulated trials" if len(trials) > 1 else "one simulated trial"
        axis.set_title(theme.literal(f"{trials.protocol.study.name}; {band}"), fontsize=8, loc="left")
        axis.legend(loc="best")
    return Drawing(figure, pd.concat(frames, ignore_index=True))


def plot_event(trials: Trials, kind: str, trial: int = 0) -> Drawing:
    """Kaplan-Meier curves of one trial to an event (days), censored at dropout and at the last visit, people at risk below.

    Raises InputError where nobody of that trial has it.
    """
    when, last = trials.events[kind][trial], float(trials.times[-1])
    end = np.full(when.shape, last) if kind == "dropout" else np.minimum(trials.events["dropout"][trial], last)
    event = when <= end
    if not event.any():
        cure = f'Add "{kind}" to the behaviour of the study.'
        raise InputError(argument("figure", kind, f"Nobody in this trial has a {kind}.", cure))
    start = float(trials.times[0])
    groups = {}
    for k, arm in enumerate(trials.arms):
        of = trials.arm[trial] == k
        groups[arm] = ((np.minimum(when, end)[of] - start) / 24, event[of])
    return plot_survival(groups, unit="days since baseline", outcome=EVENTS[kind])


def plot_answers(answers: pd.DataFrame) -> Drawing:
    """A forest of what many trials answer: by endpoint, visit and comparison the mean estimate and the range of 90 % of the
    trials."""
    rows = []
    for key, of in answers.groupby(["scale", "endpoint", "visit_h", "arm", "against"], sort=False):
        scale, endpoint, visit, arm, against = (str(part) for part in key)
        hours = float(visit)
        when = f"{hours / 24:g} d" if hours >= 24 else f"{hours:g} h"
        low, high = np.nanquantile(of["estimate"], [0.05, 0.95])
        rows.append({"label": f"{endpoint}, {when}: {arm} - {against}", "estimate": float(np.nanmean(of["estimate"])), "low": low,
                     "high": high, "group": scale})  # fmt: skip
    scales = list(dict.fromkeys(row["group"] for row in rows))
    return plot_forest(
        rows, unit=f"difference in {', '.join(scales)}; 5 to 95 % of {answers['trial'].nunique()} simulated trials"
    )

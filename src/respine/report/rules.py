"""What the decision rules of a study did, as a table and as a plot of the doses they gave."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from respine.report import theme
from respine.report.text import hours, records

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from respine.report.folder import Folder

HEADER = ("arm", "rule", "what", "outcome", "people", "times a person", "first")
_NEVER = "never acted"
_HATCHES = ("", "///", "...", "xxx")  # arms are told apart in print too


def table(folder: Folder) -> pd.DataFrame:
    """A row an arm, rule, action and outcome.

    ``people`` it happened to and their ``share`` of the ``n`` of the arm; ``p05, median, p95`` of how often it happened to a
    person of the arm, those to whom it never did included; ``first_h``: the median time of the first, among those it did.
    """
    from respine.protocol import rules_of

    rows = []
    for arm in folder.arms:
        n = folder.study.subjects
        decided = folder.decisions[folder.decisions["arm"] == arm]
        outcomes = [f"{o}: {_reason(w)}" if w else o for o, w in zip(decided["outcome"], decided["why"], strict=True)]
        decided = decided.assign(said=outcomes)
        for rule in rules_of(folder.study, arm):
            own = decided[decided["rule"] == rule.name]
            if own.empty:
                rows.append((arm, rule.name, _NEVER, "", 0, n, 0.0, 0.0, 0.0, 0.0, np.nan))
            for (action, outcome), group in own.groupby(["action", "said"], sort=False):
                times = group.groupby("subject").size().to_numpy()
                each = np.concatenate([times, np.zeros(n - len(times))])
                first = float(group.groupby("subject")["time_h"].min().median())
                spread = np.quantile(each, (0.05, 0.5, 0.95))
                rows.append((arm, rule.name, action, outcome, len(times), n, len(times) / n, *spread, first))
    names = ["arm", "rule", "action", "outcome", "people", "n", "share", "p05", "median", "p95", "first_h"]
    return pd.DataFrame(rows, columns=names)


def words(made: pd.DataFrame) -> list[tuple[str, ...]]:
    """The table as text cells under ``HEADER``."""
    return [
        (r.arm, r.rule, r.action, r.outcome, f"{r.people} of {r.n} ({r.share:.0%})",
         f"{r.median:g} ({r.p05:g} … {r.p95:g})" if r.people else "", hours(r.first_h))
        for r in records(made)
    ]  # fmt: skip


def _reason(why: str) -> str:
    """Why something was refused, without the moment, which differs between people."""
    return "on hold" if why.startswith("held until") else why


def doses(folder: Folder) -> pd.DataFrame:
    """How many doses rules gave: ``arm, doses, people, n, share`` (%), from none to the most that anybody of the arm got."""
    from respine.protocol import rules_of

    rows = []
    for arm in folder.arms:
        if not any(rule.then.dose or rule.then.start for rule in rules_of(folder.study, arm)):
            continue
        n, given = folder.study.subjects, folder.doses[folder.doses["arm"] == arm]
        count = given[given["why"].str.startswith("rule ")].groupby("subject").size()
        people = np.bincount(np.concatenate([count.to_numpy(int), np.zeros(n - len(count), int)]))
        rows += [(arm, k, int(p), n, 100.0 * p / n) for k, p in enumerate(people)]
    return pd.DataFrame(rows, columns=["arm", "doses", "people", "n", "share"])


def plot_doses(folder: Folder) -> tuple[Figure, pd.DataFrame] | None:
    """The share of people by the number of doses rules gave them, bars side by side for the arms.

    Figure and table, None where no rule can give any.
    """
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    given = doses(folder)
    if given.empty:
        return None
    arms = list(dict.fromkeys(given["arm"]))
    with matplotlib.rc_context(theme.RC):
        figure = Figure(figsize=(9.6, 2.6), layout="constrained")
        axes = figure.subplots()
        for k, arm in enumerate(arms):
            own = given[given["arm"] == arm]
            place = own["doses"] + (k - (len(arms) - 1) / 2) * 0.8 / len(arms)
            bars = axes.bar(place, own["share"], width=0.76 / len(arms), label=f"{arm} (n = {own['n'].iloc[0]})")
            for bar in bars:
                bar.set(facecolor=theme.arm_colour(folder.arms.index(arm)), edgecolor=theme.PAPER)
                bar.set_hatch(_HATCHES[k % len(_HATCHES)])
        axes.set_xlabel("doses that rules gave to a person")
        axes.set_ylabel("people (%)")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(frameon=False)
    return figure, given

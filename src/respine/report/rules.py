"""What the decision rules of a study did, as a table and as a plot of the doses they gave."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from respine.report import theme
from respine.report.drawing import Drawing, Piece
from respine.report.folder import Folder, folder_of
from respine.report.layout import NARROW, WIDE, Page, Row, compose
from respine.report.text import hours, records, subjects_word

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NEVER = "never acted"


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


def header(folder: Folder) -> tuple[str, ...]:
    """Titles of the columns of ``as_text``."""
    model = folder.model
    return ("arm", "rule", "what", "outcome", subjects_word(model), f"times a {subjects_word(model, 1)}", "first")


def as_text(made: pd.DataFrame) -> list[tuple[str, ...]]:
    """The table as text cells under ``header``."""
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


def plot_doses(run: Any) -> Drawing | None:
    """The share of subjects by the number of doses rules gave them, bars side by side for the arms.

    Figure and table, None where no rule can give any. ``run``: the results of a run, a `Folder`, or a run folder's path.
    """
    folder = folder_of(run)
    given = doses(folder)
    if given.empty:
        return None
    with theme.drawn():
        return Drawing(_figure(folder, given, WIDE), given)


def pieces(folder: Folder) -> Iterator[Piece]:
    """The plot for a page: name, title, a wide and a narrow figure."""
    given = doses(folder)
    with theme.drawn():
        yield Piece("all", "doses by rules", _figure(folder, given, WIDE), _figure(folder, given, NARROW))


def _figure(folder: Folder, given: pd.DataFrame, page: Page) -> Figure:
    from matplotlib.ticker import MaxNLocator

    arms = list(dict.fromkeys(given["arm"]))
    figure, [[axes]] = compose(page, [Row(0.2 + 0.17 * len(arms), 1.9, 0.5)])
    for k, arm in enumerate(arms):
        own, index = given[given["arm"] == arm], folder.arms.index(arm)
        place = own["doses"] + (k - (len(arms) - 1) / 2) * 0.8 / len(arms)
        label = theme.literal(f"{arm} (n = {own['n'].iloc[0]})")
        bars = axes.bar(place, own["share"], width=0.76 / len(arms), label=label)
        for bar in bars:
            bar.set(facecolor=theme.arm_colour(index), edgecolor=theme.PAPER, hatch=theme.arm_hatch(index))
    singular, many = (subjects_word(folder.model, count) for count in (1, 2))
    axes.set_xlabel(f"doses that rules gave to a {singular}")
    axes.set_ylabel(f"{many} (%)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0.0, 1.0), borderaxespad=0.2)
    return figure

"""One patient of a run: scores over time, each dose with its reason, and what rules refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from respine.errors import InputError, argument
from respine.files.suggest import nearest
from respine.report import theme
from respine.report.drawing import Drawing
from respine.report.folder import folder_of


def plot_patient(run: Any, subject: int, arm: str | None = None) -> Drawing:
    """The ledger of one person: scores as written down (a panel a scale), doses by reason and refusals as marks below.

    ``run``: the results of a run, a `Folder` or its path; ``arm``: the first one if left out. The table has ``time_h, what,
    value, why`` of every mark. Raises InputError for nobody.
    """
    from matplotlib.figure import Figure

    folder = folder_of(run)
    arm = folder.arms[0] if arm is None else arm
    if arm not in folder.arms:
        raise InputError(argument("arm", arm, "The run has no arm of this name.", nearest(arm, folder.arms)))
    seen = folder.of_person("visits", arm, subject)
    if seen.empty:
        most = folder.study.subjects - 1
        raise InputError(argument("subject", subject, "Nobody of this number was simulated to the end in this arm.",
                                  f"Write a number from 0 to {most}."))  # fmt: skip
    given = folder.of_person("doses", arm, subject)
    decided = folder.decisions[(folder.decisions["arm"] == arm) & (folder.decisions["subject"] == subject)]
    refused = decided[decided["outcome"] == "refused"]
    rows: list[tuple[Any, ...]] = [(r.time_h, r.scale, r.value, "") for r in seen.itertuples()]
    rows += [(r.time_h, f"{r.drug} {r.route}", r.amount, r.why) for r in given.itertuples()]
    rows += [(r.time_h, f"refused: {r.rule}", np.nan, r.why) for r in refused.itertuples()]
    table = pd.DataFrame(rows, columns=["time_h", "what", "value", "why"]).sort_values("time_h", ignore_index=True)
    scales = list(dict.fromkeys(seen["scale"]))
    reasons = list(dict.fromkeys(given["why"]))
    marks = [*reasons, *(["refused"] if len(refused) else [])]
    heights = [1.5] * len(scales) + [0.35 + 0.25 * max(1, len(marks))]
    with theme.drawn():
        figure = Figure(figsize=(7.2, sum(heights) + 0.6), layout="constrained")
        axes = figure.subplots(len(heights), 1, sharex=True, gridspec_kw={"height_ratios": heights}, squeeze=False)[
            :, 0
        ]
        for axis, scale in zip(axes, scales, strict=False):
            own = seen[seen["scale"] == scale]
            axis.plot(own["time_h"] / 24, own["value"], color=theme.arm_colour(0), marker="o", markersize=3)
            axis.set_ylabel(theme.literal(str(scale)))
        strip = axes[-1]
        for k, reason in enumerate(marks):
            times = refused["time_h"] if reason == "refused" else given.loc[given["why"] == reason, "time_h"]
            style = {"marker": "x"} if reason == "refused" else {"marker": "|", "markersize": 11}
            strip.plot(
                times / 24, np.full(len(times), float(k)), linestyle="none", color=theme.arm_colour(k + 1), **style
            )
        strip.set(yticks=range(len(marks)), ylim=(-0.7, max(1, len(marks)) - 0.3), xlabel="days")
        strip.set_yticklabels([theme.literal(f"{m} ({_count(m, given, refused)})") for m in marks])
        axes[0].set_title(theme.literal(f"subject {subject}, {arm}: scores as written down, {len(given)} doses"))
    return Drawing(figure, table)


def _count(mark: str, given: pd.DataFrame, refused: pd.DataFrame) -> int:
    return len(refused) if mark == "refused" else int((given["why"] == mark).sum())

"""Log-log plots of cost against error and against population size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

COLOURS = plt.get_cmap("tab10").colors  # type: ignore[attr-defined]


def cost_against_error(results: dict[str, list[Any]], path: Path) -> None:
    """One panel a model: milliseconds a subject on one core against achieved median error."""
    figure, axes = plt.subplots(1, len(results), figsize=(5.2 * len(results), 4.4), squeeze=False)
    titles = list(dict.fromkeys(e.title for entries in results.values() for e in entries))
    for axis, (name, entries) in zip(axes[0], results.items(), strict=True):
        for entry in entries:
            rungs = sorted((entry.ladder[r], entry.costs[r] * 1e3) for r in entry.ladder if 0 < entry.ladder[r] < 1)
            colour = COLOURS[titles.index(entry.title) % 10]
            axis.loglog(
                *zip(*rungs, strict=True), "o-", ms=3, lw=2.2 if entry.ours else 1, color=colour, label=entry.title
            )
        axis.set(title=name, xlabel="achieved error (median of subjects)", ylabel="ms per subject, one core")
        axis.grid(alpha=0.3)
    named = {label: line for axis in axes[0] for line, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    columns = 2 * len(results)
    figure.tight_layout(rect=(0, 0.02 + 0.05 * -(-len(named) // columns), 1, 1))
    figure.legend(named.values(), named.keys(), loc="lower center", ncols=columns, fontsize=8)
    figure.savefig(path)
    plt.close(figure)


def cost_against_population(grown: dict[str, list[dict[str, float]]], path: Path) -> None:
    """Milliseconds a subject on two threads against the number of subjects."""
    figure, axis = plt.subplots(figsize=(5.6, 4.2))
    for k, (name, rows) in enumerate(grown.items()):
        for precision, style in (("float64", "o-"), ("float32", "s--")):
            points = [(r["subjects"], r["ms"]) for r in rows if r["precision"] == precision]
            axis.loglog(*zip(*points, strict=True), style, ms=4, color=COLOURS[k], label=f"{name} {precision}")
    axis.set(xlabel="subjects", ylabel="ms per subject, two threads")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)

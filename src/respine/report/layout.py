"""Figures measured in inches: rows of axes below each other, on paper or on a telephone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Page:
    """Inches: the width, the room beside the axes, and between two axes side by side."""

    width: float
    left: float
    right: float
    gap: float
    letters: int  # that fit into the width at the size of a title


WIDE = Page(width=9.6, left=0.82, right=0.14, gap=0.3, letters=125)
NARROW = Page(width=3.7, left=0.58, right=0.1, gap=0.2, letters=43)


@dataclass(frozen=True)
class Row:
    """One row of axes: room above for titles, height of the axes, room below for their numbers; ``parts`` side by side."""

    above: float
    height: float
    below: float
    parts: Sequence[float] = (1.0,)  # shares of the width


def compose(page: Page, rows: Sequence[Row], top: float = 0.0) -> tuple[Figure, list[list[Axes]]]:
    """A figure with these rows below ``top`` inches, and its axes by row."""
    from matplotlib.figure import Figure

    height = top + sum(row.above + row.height + row.below for row in rows)
    figure = Figure(figsize=(page.width, height))
    made, y = [], height - top
    for row in rows:
        y -= row.above + row.height
        room = page.width - page.left - page.right - page.gap * (len(row.parts) - 1)
        x, axes = page.left, []
        for share in row.parts:
            width = room * share / sum(row.parts)
            axes.append(figure.add_axes((x / page.width, y / height, width / page.width, row.height / height)))
            x += width + page.gap
        made.append(axes)
        y -= row.below
    return figure, made

"""What lines and marks mean: entries of a figure's legend, and the same as small drawings of a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from respine.report import theme
from respine.report.text import missing, records, thousands

if TYPE_CHECKING:
    from respine.report.folder import Folder
    from respine.report.panels import Panel

_WIDTH, _HEIGHT = 34, 12  # of a small drawing, pixels
_POLYGONS = {
    "s": "-3,-3 3,-3 3,3 -3,3", "^": "0,-4 4,3 -4,3", "v": "0,4 4,-3 -4,-3", "D": "0,-4 4,0 0,4 -4,0",
    "<": "-4,0 3,-4 3,4", ">": "4,0 -3,-4 -3,4", "p": "0,-4 4,-1 2.4,3.6 -2.4,3.6 -4,-1",
    "P": "-1.3,-4 1.3,-4 1.3,-1.3 4,-1.3 4,1.3 1.3,1.3 1.3,4 -1.3,4 -1.3,1.3 -4,1.3 -4,-1.3 -1.3,-1.3",
    "X": "-4,-2.4 -2.4,-4 0,-1.6 2.4,-4 4,-2.4 1.6,0 4,2.4 2.4,4 0,1.6 -2.4,4 -4,2.4 -1.6,0",
}  # fmt: skip


@dataclass(frozen=True)
class Mark:
    """A text and how its line or marker is drawn (as matplotlib names it)."""

    text: str
    style: dict[str, Any] = field(default_factory=dict)

    @property
    def svg(self) -> str:
        """The mark as a small drawing in the colours of the page."""
        colour = _page_colour(self.style.get("color", theme.INK))
        middle = f"{_WIDTH / 2:g},{_HEIGHT / 2:g}"
        parts = []
        if self.style.get("linestyle", "solid") != "none":
            width, faint = self.style.get("linewidth", 2), self.style.get("alpha", 1)
            dash = self.style.get("linestyle", "solid")
            pattern = (
                f' stroke-dasharray="{" ".join(f"{2 * d:g}" for d in dash[1])}"' if isinstance(dash, tuple) else ""
            )
            line = f'x1="0" y1="{_HEIGHT / 2:g}" x2="{_WIDTH}" y2="{_HEIGHT / 2:g}"'
            parts.append(f'<line {line} stroke="{colour}" stroke-width="{width}" stroke-opacity="{faint}"{pattern}/>')
        marker = self.style.get("marker")
        if marker:
            fill = _page_colour(self.style.get("markerfacecolor", self.style.get("color", theme.INK)))
            look = f'fill="{fill}" stroke="{colour}" stroke-width="1.2" transform="translate({middle})"'
            shape = (
                f'<polygon points="{_POLYGONS[marker]}" {look}/>'
                if marker in _POLYGONS
                else f'<circle r="3.4" {look}/>'
            )
            parts.append(shape)
        box = f'width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
        return f'<svg aria-hidden="true" {box}>{"".join(parts)}</svg>'


def marks(folder: Folder, shown: Sequence[Panel]) -> list[Mark]:
    """Arms with their sizes, doses, the healthy value, and published results with their roles, as far as they are drawn."""
    marks = [_arm(folder, index, arm, any(panel.visits for panel in shown)) for index, arm in enumerate(folder.arms)]
    if not folder.doses.empty:
        marks.append(Mark("dose", {"linestyle": "none", "marker": "v", "color": theme.INK, "markersize": 5}))
    if any(panel.healthy == panel.healthy for panel in shown):
        marks.append(Mark("healthy", {"color": theme.FAINT, "linewidth": 0.9, "linestyle": (0, (1, 2))}))
    points = [row for panel in shown for row in records(panel.points) if not missing(row.published) and row.role]
    if any(not missing(row.p05) for row in points):
        marks.append(
            Mark("90 % of trials", {"color": theme.INK, "linewidth": 5, "alpha": 0.4, "solid_capstyle": "butt"})
        )
    for role in dict.fromkeys(row.role for row in points):
        style = {"linestyle": "none", "color": theme.INK, "marker": theme.role_marker(role), "markersize": 5.5}
        text = f"published, {theme.ROLE_WORDS.get(role, role)}"
        marks.append(Mark(text, style | {"markerfacecolor": theme.PAPER}))
    return marks


def _arm(folder: Folder, index: int, arm: str, visits: bool) -> Mark:
    style = {"color": theme.arm_colour(index), "linestyle": theme.arm_dash(index), "linewidth": 2}
    marker = {"marker": theme.arm_marker(index), "markersize": 4} if visits else {}
    return Mark(f"{arm}, n = {thousands(folder.size(arm))}", style | marker)


def _page_colour(colour: str) -> str:
    """The variable of the page's style behind a colour of the figures."""
    if colour in theme.ARM_COLOURS:
        return f"var(--arm-{theme.ARM_COLOURS.index(colour)})"
    return theme.PAGE_COLOURS.get(colour, colour)

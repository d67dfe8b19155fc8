"""The one look of every plot: colour-blind safe colours, readable in light, dark and print; figures as inline SVG."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe & Ito 2008 (jfly.uni-koeln.de/color), the order chosen for contrast between neighbours; told apart by dashes too
ARM_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#b0579a", "#e69f00", "#56b4e9", "#7a7a7a")
ARM_DASHES = ("solid", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)), (0, (9, 2)), (0, (3, 1, 1, 1, 1, 1)))
ROLE_MARKERS = {"fit": "o", "validate": "D", "context": "s"}
ROLE_WORDS = {"fit": "used to fit", "validate": "never fitted", "context": "background"}

# stand-ins that svg() turns into the colours of the page, so that one drawing serves light, dark and print
INK = "#010203"
FAINT = "#010204"
PAPER = "#fdfcfb"
_PAGE = {INK: "var(--ink)", FAINT: "var(--faint)", PAPER: "var(--paper)"}

RC: Any = {  # Any: matplotlib types every key by hand
    "svg.fonttype": "none",  # text stays text: searched, read aloud, small
    "svg.hashsalt": "respine",  # the same run gives the same file
    "font.family": ["DejaVu Sans", "sans-serif"],
    "font.size": 9.0,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.titlesize": 9.0,
    "axes.titlelocation": "left",
    "axes.labelsize": 8.5,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "grid.color": FAINT,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
}


def arm_colour(index: int) -> str:
    """Colour of the arm at that place in the study; repeats after seven."""
    return ARM_COLOURS[index % len(ARM_COLOURS)]


def arm_dash(index: int) -> Any:
    """Dash pattern of the arm at that place in the study, so that print and colour blindness lose nothing."""
    return ARM_DASHES[index % len(ARM_DASHES)]


def role_marker(role: str) -> str:
    """Marker of published points by the use their row is put to."""
    return ROLE_MARKERS.get(role, "^")


def published(role: str) -> dict[str, Any]:
    """How a published value with its error bar is drawn."""
    style: dict[str, Any] = {"fmt": role_marker(role), "markerfacecolor": PAPER, "markersize": 5.5, "capsize": 2.5}
    return style | {"markeredgewidth": 1.4, "linewidth": 1.2}


def svg(figure: Figure, name: str, title: str, description: str) -> str:
    """The figure as one ``<svg>`` element without links, with title and description for screen readers."""
    import matplotlib

    with matplotlib.rc_context({**RC, "svg.hashsalt": f"respine-{name}"}):
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", text).replace("xlink:href", "href")
    text = re.sub(r'\b(id="|url\(#|href="#)', rf"\1{name}-", text)  # several figures share one page
    for stand_in, colour in _PAGE.items():
        text = text.replace(stand_in, colour)
    for index, colour in enumerate(ARM_COLOURS):
        text = text.replace(colour, f"var(--arm-{index})")
    size = re.search(r'<svg[^>]*?width="([\d.]+)pt"[^>]*?>', text) or re.search(r"<svg[^>]*>", text)
    assert size is not None
    head = re.sub(r'\s(width|height|version)="[^"]*"', "", size[0])
    labels = f'<title id="{name}-title">{_escape(title)}</title><desc id="{name}-desc">{_escape(description)}</desc>'
    head = head.replace("<svg", f'<svg role="img" aria-labelledby="{name}-title {name}-desc"', 1)
    return (head + labels + text[size.end() :]).strip()


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

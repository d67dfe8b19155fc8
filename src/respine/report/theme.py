"""The one look of every plot: colour-blind safe colours, readable in light, dark and print; figures as inline SVG."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from respine.errors import printable

if TYPE_CHECKING:
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

# Okabe & Ito 2008 (jfly.uni-koeln.de/color) and four more, the order chosen for contrast between neighbours; arms are told
# apart by dashes, markers and hatches too, so that print and colour blindness lose nothing
ARM_COLOURS = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#b0579a",
    "#e69f00",
    "#4b3ba6",
    "#7a7a7a",
    "#8c4a2f",
    "#6b7d00",
    "#b3123f",
)
ARM_DASHES = ("solid", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)), (0, (9, 2)), (0, (3, 1, 1, 1, 1, 1)))
ARM_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p")
ARM_HATCHES = ("", "///", "...", "xxx", "\\\\\\", "|||", "---", "ooo", "+++", "**")
MOST_BANDS = 4  # more bands on top of each other are one grey
ROLE_MARKERS = {"fit": "o", "validate": "D", "context": "s"}
ROLE_WORDS = {"fit": "used to fit", "validate": "never fitted", "context": "background"}

# stand-ins that svg() turns into the colours of the page, so that one drawing serves light, dark and print
INK = "#010203"
FAINT = "#010204"
PAPER = "#fdfcfb"
PAGE_COLOURS = {INK: "var(--ink)", FAINT: "var(--faint)", PAPER: "var(--paper)"}

RC: Any = {  # Any: matplotlib types every key by hand
    "svg.fonttype": "none",  # text stays text: searched, read aloud, small
    "svg.hashsalt": "respine",  # the same run gives the same file
    "font.family": ["DejaVu Sans", "sans-serif"],
    "font.size": 9.0,
    "text.parse_math": False,  # names of arms are text, also with dollars in them
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
    """Colour of the arm at that place in the study; after ten they come again, with other dashes and markers."""
    return ARM_COLOURS[index % len(ARM_COLOURS)]


def arm_dash(index: int) -> Any:
    """Dash pattern of the arm at that place in the study."""
    return ARM_DASHES[(index + index // len(ARM_COLOURS)) % len(ARM_DASHES)]


def arm_marker(index: int) -> str:
    """Marker of the arm at that place in the study."""
    return ARM_MARKERS[(index + index // len(ARM_COLOURS)) % len(ARM_MARKERS)]


def arm_hatch(index: int) -> str:
    """Hatch of the bars of the arm at that place in the study."""
    return ARM_HATCHES[(index + index // len(ARM_COLOURS)) % len(ARM_HATCHES)]


def literal(text: str) -> str:
    """A user's text as it stands, also for a legend, which would drop one that begins with an underscore.

    Mathematics between dollars is off in `RC`, so every other character means itself.
    """
    text = printable(text)
    return f"\N{WORD JOINER}{text}" if text.startswith("_") else text


def plain_numbers(axis: Axis) -> None:
    """Numbers at the ticks of a logarithmic axis; its own ones are written in mathematics, which is off."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def role_marker(role: str) -> str:
    """Marker of published points by the use their row is put to."""
    return ROLE_MARKERS.get(role, "^")


def published(role: str) -> dict[str, Any]:
    """How a published value with its error bar is drawn."""
    style: dict[str, Any] = {"fmt": role_marker(role), "markerfacecolor": PAPER, "markersize": 5.5, "capsize": 2.5}
    return style | {"markeredgewidth": 1.4, "linewidth": 1.2}


@contextmanager
def drawn(salt: str = "respine") -> Iterator[None]:
    """Inside, figures are made and saved in the theme; letters that the font lacks are no reason for a warning."""
    import matplotlib

    with matplotlib.rc_context({**RC, "svg.hashsalt": salt}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        yield


def svg(figure: Figure, name: str, title: str, description: str) -> str:
    """The figure as one ``<svg>`` element without links, with title and description for screen readers."""
    buffer = io.StringIO()
    with drawn(salt=f"respine-{name}"):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r"<[^>]+>", lambda tag: _page_tag(tag[0], name), text)  # tags alone: what a user wrote stays as it is
    size = re.search(r'<svg[^>]*?width="([\d.]+)pt"[^>]*?>', text) or re.search(r"<svg[^>]*>", text)
    assert size is not None
    head = re.sub(r'\s(width|height|version)="[^"]*"', "", size[0])
    labels = f'<title id="{name}-title">{_escape(title)}</title><desc id="{name}-desc">{_escape(description)}</desc>'
    head = head.replace("<svg", f'<svg role="img" aria-labelledby="{name}-title {name}-desc"', 1)
    return (head + labels + text[size.end() :]).strip()


def identifier(text: str) -> str:
    """A text as an id of a page, whatever a user called things."""
    return re.sub(r"[^A-Za-z0-9-]", lambda letter: f"_{ord(letter[0]):x}_", text)


def _page_tag(tag: str, name: str) -> str:
    """A tag without namespaces, with ids of its own figure and the colours of the page."""
    tag = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", tag).replace("xlink:href", "href")
    tag = re.sub(r'\b(id="|url\(#|href="#)', rf"\1{name}-", tag)  # several figures share one page
    for stand_in, colour in PAGE_COLOURS.items():
        tag = tag.replace(stand_in, colour)
    for index, colour in enumerate(ARM_COLOURS):
        tag = tag.replace(colour, f"var(--arm-{index})")
    return tag


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

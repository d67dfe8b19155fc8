"""Layout of the cards of the library: labelled texts and tables that wrap."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from respine.cli.screen import columns


def fields(pairs: Iterable[tuple[str, str]], width: int, arrow: bool = False) -> str:
    """Labels and texts side by side, long texts wrapped under themselves; pairs without text are left out."""
    pairs = [(label, text) for label, text in pairs if text]
    edge = max((len(label) for label, _ in pairs), default=0)
    sign = " -> " if arrow else "  "
    lines = []
    for label, text in pairs:
        first = f"  {label:<{edge}}{sign}"
        lines += textwrap.wrap(text, max(width, len(first) + 30), initial_indent=first, break_on_hyphens=False,
                               subsequent_indent=" " * len(first), break_long_words=False)  # fmt: skip
    return "\n".join(lines)


def wrapped_table(rows: Sequence[Sequence[str]], header: Sequence[str], width: int) -> str:
    """Columns whose last one is wrapped."""
    if not rows:
        return "(none)"
    edge = sum(max(len(c) for c in column) + 2 for column in list(zip(header, *rows, strict=True))[:-1])
    room = max(30, width - edge - 2)
    wrapped = []
    for row in rows:
        first, *rest = textwrap.wrap(row[-1], room, break_on_hyphens=False) or [""]
        wrapped += [[*row[:-1], first], *([*[""] * (len(row) - 1), line] for line in rest)]
    return columns(wrapped, header)


def indented(text: str) -> str:
    return textwrap.indent(text, "  ")


def cut(line: str, width: int) -> str:
    return line if len(line) <= width else f"{line[: width - 3].rstrip()}..."

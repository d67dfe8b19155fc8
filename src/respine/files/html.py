"""One-screen HTML of a value for notebooks: a title, a few facts, a small table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from respine.errors import printable

MOST_ROWS = 12


def page_bytes(html: str) -> bytes:
    """A page as bytes; what steers a terminal or hides in a name of a user's file is written out."""
    return printable(html, keep="\n\t\r").encode("utf-8")


def card(
    title: str,
    facts: Iterable[tuple[str, object]] = (),
    header: Sequence[str] = (),
    rows: Sequence[Sequence[object]] = (),
) -> str:
    """A card with ``facts`` as name and value, and the first ``MOST_ROWS`` of ``rows`` under ``header``."""
    lines = [f"<b>{escape(title)}</b>"]
    listed = [f"<dt style='float:left;clear:left;width:9em'>{escape(name)}</dt>"
              f"<dd style='margin-left:9.5em'>{escape(str(value))}</dd>"
              for name, value in facts if value not in ("", None)]  # fmt: skip
    if listed:
        lines.append(f"<dl style='margin:.4em 0'>{''.join(listed)}</dl>")
    if rows:
        head = "".join(f"<th style='text-align:left'>{escape(name)}</th>" for name in header)
        body = "".join(
            "<tr>" + "".join(f"<td style='text-align:left'>{escape(_text(cell))}</td>" for cell in row) + "</tr>"
            for row in rows[:MOST_ROWS]
        )
        lines.append(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")
        if len(rows) > MOST_ROWS:
            lines.append(f"<p>and {len(rows) - MOST_ROWS} more</p>")
    return printable(f"<div>{''.join(lines)}</div>", keep="\n")


def _text(cell: object) -> str:
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)

"""Writes the table of endpoint kinds into docs/studies.md: ``python docs/make_tables.py``."""

from __future__ import annotations

from pathlib import Path

from respine.study.endpoints.table import markdown

PAGE = Path(__file__).parent / "studies.md"
BEGIN, END = "<!-- kinds: made by docs/make_tables.py -->\n", "<!-- end of kinds -->\n"


def page() -> str:
    """The page with the table as the classes of endpoints make it."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    return before + BEGIN + markdown() + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

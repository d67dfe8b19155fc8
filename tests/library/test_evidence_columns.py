"""The columns that say what a published row is are filled in the tables of the library, by words that respine knows."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from respine import library
from respine.published.measures import MEASURES
from respine.published.rows import SIGNS, sign_problem

ROOT = Path(__file__).parents[2]


def test_every_clinical_row_says_what_was_measured() -> None:
    rows = library.rows("evidence", "clinical")
    assert [row["id"] for row in rows if row["measure"] not in MEASURES] == []
    assert [row["id"] for row in rows if row["sign"] not in SIGNS] == []
    assert [row["id"] for row in rows if sign_problem(row)] == []
    assert [row["id"] for row in rows if MEASURES[row["measure"]].signed and not row["sign"]] == []


@pytest.mark.parametrize("table", library.names("evidence"))
def test_the_script_finds_nothing_to_fill(table: str) -> None:
    """New rows are filled by ``python tools/fill_evidence_columns.py`` and looked at before they are committed."""
    script = runpy.run_path(str(ROOT / "tools" / "fill_evidence_columns.py"))
    defaults = script["default_scales"]()
    rows = [
        {name: cell for name, cell in row.items() if not name.startswith("_")}
        for row in library.rows("evidence", table)
    ]
    assert [row["id"] for row in rows if script["fill"](table, row, defaults.get(row["id"], "")) != row] == []

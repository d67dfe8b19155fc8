"""docs/trust.md keeps its word: every test it names is there, every kind of fault has a row, and rows have three cells."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "trust.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip().strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith("| kind")
]
KINDS = set(range(1, 19))


def test_every_test_named_is_there_and_tests_something() -> None:
    named = set(re.findall(r"`(tests/[\w/]+\.py)`", PAGE))
    assert len(named) > 20
    for name in named:
        tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
        tests = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test")]
        assert tests, name


def test_every_kind_has_a_row_and_every_row_a_test() -> None:
    assert len(ROWS) > 30
    names: set[int] = set()
    for row in ROWS:
        assert len(row) == 3 and all(row), row
        numbers = re.match(r"(\d+(?:, \d+)*) ", row[0])
        assert numbers, row
        names |= {int(number) for number in numbers[1].split(", ")}
        assert re.search(r"`tests/[\w/]+\.py`", row[2]), row
    assert names == KINDS

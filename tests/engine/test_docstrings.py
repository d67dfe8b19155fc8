"""Everything public in the engine says what it is."""

from __future__ import annotations

import ast
from pathlib import Path

from respine import engine


def without_docstring(file: Path) -> list[str]:
    entries = []

    def look(node: ast.Module | ast.ClassDef, above: str = "") -> None:
        for part in node.body:
            if isinstance(part, (ast.FunctionDef, ast.ClassDef)) and not part.name.startswith("_"):
                if not ast.get_docstring(part):
                    entries.append(above + part.name)
                if isinstance(part, ast.ClassDef):
                    look(part, f"{part.name}.")

    look(ast.parse(file.read_text(encoding="utf-8")))
    return entries


def test_everything_public_has_a_docstring() -> None:
    missing = {
        file.name: result for file in Path(engine.__file__).parent.rglob("*.py") if (result := without_docstring(file))
    }
    assert not missing

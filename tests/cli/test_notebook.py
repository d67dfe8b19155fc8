"""The notebook of the docs runs, cell by cell, and what a cell ends with can be shown."""

from __future__ import annotations

import ast
import json
import linecache
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebook.ipynb"


def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    space: dict[str, object] = {"__name__": "__main__"}
    shown = []
    for number, cell in enumerate(json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]):
        if cell["cell_type"] != "code":
            continue
        text, name = "".join(cell["source"]), f"cell-{number}.py"
        linecache.cache[name] = (len(text), None, text.splitlines(True), name)
        tree = ast.parse(text)
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, name, "exec"), space)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), name, "eval"), space)
            forms = ("_repr_html_", "_repr_png_", "_repr_svg_")
            drawn = (getattr(value, form)() for form in forms if getattr(value, form, None))
            shown.append(next((drawing for drawing in drawn if drawing is not None), repr(value)))
    assert len(shown) >= 7 and all(0 < len(form) < 400_000 for form in shown)
    assert "cell-3.py" in capsys.readouterr().out  # the refused study names the line of its cell


def test_the_notebook_is_kept_without_outputs() -> None:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert not any(cell.get("outputs") for cell in cells)

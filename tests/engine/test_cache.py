"""Kept machine code belongs to the code that wrote it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import respine
from respine.engine.codegen.code import engine_version
from respine.files import store


@pytest.mark.parametrize("file", ["status.py", "codegen/step.py", "codegen/sensitivity/step.py", "run/driver.py"])
def test_a_change_of_any_file_is_another_version(file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in a package inside the engine; else code compiled by the file as it was would be loaded."""
    source = Path(respine.__file__).parent
    shutil.copytree(source / "engine", tmp_path / "engine", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(store, "__file__", str(tmp_path / "files" / "store.py"))
    before = engine_version.__wrapped__()
    assert before == engine_version()
    with (tmp_path / "engine" / file).open("a", encoding="utf-8") as text:
        text.write("# another line\n")
    assert engine_version.__wrapped__() != before

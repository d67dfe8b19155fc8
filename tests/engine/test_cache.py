"""Kept machine code belongs to the code that wrote it."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from numba import njit

import respine
from respine.engine.codegen.code import engine_version
from respine.engine.run import driver
from respine.files import store


@pytest.mark.parametrize("file", ["status.py", "codegen/step.py", "codegen/sensitivity/step.py", "run/lanes.py"])
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


def test_the_driver_is_kept_by_the_version_of_all_its_files() -> None:
    """numba looks at the file of the outermost function alone; what that closes over counts as well."""
    (version,) = [cell.cell_contents for cell in driver.drive.py_func.__closure__]
    assert version == int(engine_version()[:15], 16)

    def compiled(version: int) -> Any:
        @njit(cache=True)
        def function(x: int) -> bool:
            return x < version

        return function

    other = time.time_ns()
    for number, hits in ((other, 0), (other, 1), (other + 1, 0)):
        function = compiled(number)
        assert function(1)
        assert sum(function.stats.cache_hits.values()) == hits

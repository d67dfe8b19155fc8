"""Commands run in this process, their output caught apart."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from typer.testing import CliRunner, Result

from respine.cli.app import app

Respine = Callable[..., Result]


@pytest.fixture
def respine(tmp_path, monkeypatch) -> Respine:  # type: ignore[no-untyped-def]
    """``respine("run", "murrough-2013")`` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words], prog_name="respine")

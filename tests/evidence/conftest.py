"""A cache folder of its own, so that no test reads what another run left."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Results are kept here and nowhere else."""
    from respine.evidence import store

    folder = tmp_path / "kept"
    monkeypatch.setattr(store, "folder", lambda: folder)
    return folder

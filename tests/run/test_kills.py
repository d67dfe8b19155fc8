"""A run that is killed again and again ends with the tables of one that never was (see kills.py for 50 kills)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.run.kills import kill_and_resume


@pytest.mark.slow
@pytest.mark.parametrize("way", ["local", "array"])
def test_kills_at_random_moments_change_nothing(tmp_path: Path, way: str) -> None:
    told = kill_and_resume(tmp_path, 5, way, seed=3)
    assert told["kills"] == 5

"""A few kills and contests of real runs; ``python -m tests.kill_runs`` does hundreds."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests import kill_runs

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and process groups")


@pytest.mark.slow
def test_killed_and_contested_runs_give_the_same_bits() -> None:
    tally = kill_runs.run(4, 2, people=12, arms=6)
    assert not tally.faults, tally.faults
    assert tally.kills == 4 and tally.contests == 2


def test_differences_are_seen(tmp_path: Path) -> None:
    """What the script compares is looked at: one bit of a table, one touched file."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "visits.parquet").write_bytes(b"abc")
    tables, before = kill_runs.tables(out), kill_runs.contents(out)
    assert kill_runs.tables(out) == tables and kill_runs.contents(out) == before
    (out / "visits.parquet").write_bytes(b"abd")
    assert kill_runs.tables(out) != tables and kill_runs.contents(out) != before
    tally = kill_runs.Tally()
    study = kill_runs.write_study(tmp_path, people=0)  # a run that cannot end well is a fault, not a pass
    kill_runs.killed_runs(study, tmp_path, tables, 0.5, 1, random.Random(1), tally)
    assert tally.kills <= 1 and tally.faults

"""What several tests of run folders begin with."""

from __future__ import annotations

from pathlib import Path

import pytest

from respine import run
from respine.run.plan import Plan
from tests.run.tiny import tiny_system
from tests.trial.stand_ins import STUDY, small_study


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Plan]:
    """A finished run of a small study in shards of 25, and its plan."""
    folder = tmp_path_factory.mktemp("whole")
    plan = run.plan(small_study(folder, STUDY), system=tiny_system(), shard=25, threads=1)
    run.execute(plan, folder / "run")
    return folder / "run", plan

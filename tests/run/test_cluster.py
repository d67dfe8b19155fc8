"""Shards on a Dask cluster: the same tables, lost workers, clusters that cannot be used."""

from __future__ import annotations

import multiprocessing
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import distributed
import pytest

from respine import run
from respine.errors import InputError
from respine.run import cluster, shards
from respine.run.cluster import Cluster
from tests.run.tiny import tiny_system
from tests.trial.stand_ins import STUDY, small_study

TABLES = ("subjects", "visits", "doses", "endpoints", "chain", "failures", "scores", "trajectories")
# the end of a cluster in this process leaves a loop or a file to the garbage collector
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.slow]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A cluster of two workers in processes of their own."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
    ) as here:
        yield here.scheduler_address


def _bytes(folder: Path) -> dict[str, bytes]:
    return {name: (folder / f"{name}.parquet").read_bytes() for name in TABLES}


def test_workers_give_the_same_bytes_even_where_one_is_lost(address: str, tmp_path: Path) -> None:
    plan = run.plan(small_study(tmp_path, STUDY), system=tiny_system(), subjects=400, shard=20, threads=1)
    run.execute(plan, tmp_path / "whole")
    seen: list[int] = []

    def kills_a_worker(done: int, total: int) -> None:
        seen.append(done)
        if len(seen) == 5:
            with distributed.Client(address, set_as_default=False) as client:
                worker = sorted(client.scheduler_info()["workers"])[0]
                client.run(_die, workers=[worker], on_error="ignore")

    run.execute(plan, tmp_path / "run", executor=Cluster(address), progress=kills_a_worker)
    assert _bytes(tmp_path / "run") == _bytes(tmp_path / "whole") and seen[-1] == 800


def _die() -> None:
    import os

    os._exit(9)


def test_other_versions_are_refused(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = run.plan(small_study(tmp_path, STUDY), system=tiny_system(), shard=25, threads=1)
    monkeypatch.setattr(cluster, "_versions", _older)
    with pytest.raises(InputError) as refused:
        run.execute(plan, tmp_path / "run", executor=Cluster(address))
    assert "0.0.1" in str(refused.value) and "here" in str(refused.value)


def _older() -> dict[str, str]:
    """What this process says of itself is not what workers say."""
    return {"respine": "9.9.9" if multiprocessing.parent_process() is None else "0.0.1"}


def test_an_address_where_nobody_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = run.plan(small_study(tmp_path, STUDY), system=tiny_system(), shard=25, threads=1)
    monkeypatch.setattr(shards, "compute", lambda *a: pytest.fail("computed here"))
    assert cluster.UNREACHABLE_AFTER < 20
    monkeypatch.setattr(cluster, "UNREACHABLE_AFTER", 2.0)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        place = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(InputError, match="Nothing answers") as refused:
            run.execute(plan, tmp_path / "run", executor=Cluster(place))
        assert place in str(refused.value) and time.monotonic() - began < 120


@pytest.mark.parametrize("wrong", ["", "here", "local:0", "local:-1", "tcp://", "http://x:1", "tcp://a b"])
def test_addresses_that_are_none(wrong: Any) -> None:
    with pytest.raises(InputError, match="no address of a cluster"):
        Cluster(wrong)

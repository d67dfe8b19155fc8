"""A run in an S3 store (moto's server): the same tables as in a folder, each shard written once."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from moto import server

from respine import run
from respine.errors import InputError
from respine.run import shards
from respine.run.plan import Plan
from respine.run.s3 import Bucket, execute_in_store, is_address
from tests.run.tiny import tiny_system
from tests.trial.stand_ins import STUDY, small_study

TABLES = ("subjects", "visits", "doses", "endpoints", "chain", "failures", "scores", "trajectories")


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """An empty bucket of a server on this machine."""
    import obstore
    from obstore.store import S3Store

    with pytest.MonkeyPatch.context() as patch:
        moto = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        moto.start()
        host, port = moto.get_host_and_port()
        for name, value in (("AWS_ENDPOINT_URL", f"http://{host}:{port}"), ("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "x"),
                            ("AWS_REGION", "us-east-1")):  # fmt: skip
            patch.setenv(name, value)
        import urllib.request

        urllib.request.urlopen(urllib.request.Request(f"http://{host}:{port}/bucket", method="PUT"), timeout=10)
        assert obstore and S3Store
        yield "s3://bucket"
        moto.stop()


def _plan(folder: Path) -> Plan:
    return run.plan(small_study(folder, STUDY), system=tiny_system(), shard=25, threads=1)


def test_a_run_in_a_store_is_the_same_and_goes_on(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, address = _plan(tmp_path), f"{bucket}/runs/one"
    whole = run.execute(plan, tmp_path / "whole")
    compute, calls = shards.compute, []

    def dies(*args: Any) -> Any:
        calls.append(args[1].name)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return compute(*args)

    monkeypatch.setattr(shards, "compute", dies)
    with pytest.raises(run.Stopped):
        execute_in_store(plan, address, tmp_path / "work")
    assert len(Bucket(address).shards()) == 3
    with pytest.raises(InputError, match="holds a run there already"):
        execute_in_store(plan, address, tmp_path / "elsewhere")
    result = execute_in_store(plan, address, tmp_path / "elsewhere", resume=True)  # from another machine
    assert len(calls) == 7 and result.to_json_rows() == whole.to_json_rows()
    for name in TABLES:
        assert Bucket(address).get(f"{name}.parquet") == (tmp_path / "whole" / f"{name}.parquet").read_bytes(), name
    assert Bucket(address).shards() == []
    again = execute_in_store(plan, address, tmp_path / "third", resume=True)
    assert len(calls) == 7 and again.to_json_rows() == whole.to_json_rows()
    other = run.plan(small_study(tmp_path), seed=6, system=tiny_system(), shard=25, threads=1)
    with pytest.raises(InputError, match="the seed"):
        execute_in_store(other, address, tmp_path / "fourth", resume=True)


def test_what_is_written_once_stays(bucket: str) -> None:
    from respine.run.shard_file import pack

    once = pickle.loads(pickle.dumps(Bucket(f"{bucket}/once")))
    first, second = (pack({"a": data}, {}) for data in (b"1", b"2"))
    once.write("00001", first)
    once.write("00001", second)
    assert once.read("00001") == first and once.shards() == ["00001"] and once.read("00002") is None
    assert once.put(f"shards/00003{'.shard'}", b"half") and once.read("00003") == b"half"
    once.write("00003", second)  # damaged: replaced
    assert once.read("00003") == second
    once.remove("00001")
    once.remove("00001")
    assert once.shards() == ["00003"]


def test_a_store_without_the_guarantee_is_refused(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put = Bucket.put
    monkeypatch.setattr(Bucket, "put", lambda self, name, data, once=False: put(self, name, data) or True)
    with pytest.raises(InputError, match="written once cannot be held"):
        execute_in_store(_plan(tmp_path), f"{bucket}/x", tmp_path / "work")
    monkeypatch.undo()


def test_addresses() -> None:
    assert is_address("s3://b/x") and is_address(Path("s3://b/x")) and is_address("gs://b") and not is_address("runs/x")
    for wrong in ("gs://bucket/x", "s3://", "s3://UPPER/x", "ftp://x/y"):
        with pytest.raises(InputError, match="no address of a store"):
            Bucket(wrong)

"""What is kept between runs is data, never code, and only what this user wrote is taken."""

from __future__ import annotations

import math
import os
import pickle
import warnings
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respine import model
from respine.engine.codegen import code, machine
from respine.files import plain, store
from respine.model import cache
from respine.model.system import System


@dataclass(frozen=True)
class Pair:
    left: object
    right: object = None


LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
KEYS = st.text() | st.integers() | st.tuples(st.integers(), st.text())
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(KEYS, inner)
    | st.frozensets(st.integers()) | st.builds(Pair, inner, inner),
    max_leaves=12,
)  # fmt: skip


@given(VALUES)
def test_every_value_comes_back_as_it_was(value: object) -> None:
    back = plain.decode(plain.encode(value, [Pair]), [Pair])
    assert back == value and plain.encode(back, [Pair]) == plain.encode(value, [Pair])  # -0.0, True and 1 stay apart


def test_shared_parts_are_kept_once_and_infinities_stay() -> None:
    part: tuple = ("x",)
    for _ in range(60):  # 2**60 leaves if written out
        part = ("add", part, part)
    kept = plain.encode(part, [])
    assert len(kept) < 2000
    back = plain.decode(kept, [])
    assert back[1] is back[2]
    assert plain.decode(plain.encode([math.inf, -math.inf], []), []) == [math.inf, -math.inf]
    assert math.isnan(plain.decode(plain.encode(math.nan, []), []))


@pytest.mark.parametrize("value", [{1, 2}, b"bytes", 1j, print, object(), range(3), Path("x"), [Pair(1)]])
def test_other_things_are_not_kept(value: object) -> None:
    with pytest.raises(TypeError, match="cannot be kept"):
        plain.encode(value, [])


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[]", b"3", b'[["()", 0]]', b'[["()", 5]]', b'[["Pair"]]', b'[["Other"]]', b'[1, ["Pair", 0, 0]]', b"\xff",
     b'["left", 1, ["Pair", 0, 1]]', b'["a", 1, "b", ["Pair", 0, 1, 2, 1]]', b'[[]]', b'[[["()"]]]', b'[{"a": 1}]',
     b'[["{}", 0]]', b'[[], ["{}", 0, 0]]', b"[" * 100_000, pickle.dumps(Pair(1))],
)  # fmt: skip
def test_bytes_of_any_other_shape_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="no value kept here"):
        plain.decode(data, [Pair])


class _Trap:
    def __reduce__(self):
        return os._exit, (99,)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RESPINE_CACHE", str(tmp_path / "cache"))
    store._warn_once.cache_clear()
    return tmp_path / "cache"


def test_a_pickle_in_the_cache_is_never_loaded(home: Path) -> None:
    trap = pickle.dumps(_Trap())
    store.write_kept("models/trap.json", trap)
    assert cache.read("trap") is None
    machine.write_cached("trap", ".ir", trap)
    assert machine.read_cached("trap", ".ir") == trap and code._kept_text(trap) is None
    assert not [at for at in (Path(code.__file__), Path(cache.__file__)) if "pickle" in at.read_text()]


def test_the_human_model_comes_back_whole(home: Path) -> None:
    built = model.load("human")
    data = store.read_kept(f"models/{next((home / 'models').iterdir()).name}")
    assert data is not None
    back = plain.decode(data, cache.CLASSES)
    assert isinstance(back, System) and back == built


def _strange(home: Path, how: str) -> None:
    file = home / "models" / "x.json"
    if how == "file for all":
        file.chmod(0o666)
    elif how == "file for the group":
        file.chmod(0o620)
    elif how == "folder for all":
        file.parent.chmod(0o777)
    elif how == "root for all":
        home.chmod(0o777)
    elif how == "root for the group":
        home.chmod(0o775)
    elif how == "a link":
        file.rename(home / "there")
        file.symlink_to(home / "there")
    elif how == "a pipe":
        file.unlink()
        os.mkfifo(file)
    elif how == "a folder":
        file.unlink()
        file.mkdir()
    elif how in ("file of another", "folder of another", "root of another"):
        if os.geteuid() != 0:
            pytest.skip("only root can give files away")
        os.chown({"file": file, "folder": file.parent, "root": home}[how.split()[0]], 12345, 12345)


@pytest.mark.parametrize(
    "how",
    ["file for all", "file for the group", "folder for all", "root for all", "root for the group", "a link", "a pipe",
     "a folder", "file of another", "folder of another", "root of another"],
)  # fmt: skip
def test_what_others_may_have_written_is_left_out(home: Path, how: str) -> None:
    store.write_kept("models/x.json", b"mine")
    assert store.read_kept("models/x.json") == b"mine"
    _strange(home, how)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert store.read_kept("models/x.json") is None
        assert store.read_kept("models/x.json") is None
    messages = [str(message.message) for message in told if "the cache is left out" in str(message.message)]
    assert len(messages) == (0 if how in ("a link", "a folder") else 1) and all("\n" not in text for text in messages)


def test_nothing_is_written_where_others_may_write(home: Path) -> None:
    home.mkdir(mode=0o777)
    home.chmod(0o777)
    store.write_kept("models/x.json", b"mine")
    assert not (home / "models" / "x.json").exists()


def test_a_new_cache_is_for_its_owner_alone_whatever_the_umask(home: Path) -> None:
    before = os.umask(0o000)
    try:
        store.write_kept("models/x.json", b"mine")
    finally:
        os.umask(before)
    assert store.read_kept("models/x.json") == b"mine"
    assert not [at for at in (home, home / "models", home / "models" / "x.json") if at.stat().st_mode & 0o077]

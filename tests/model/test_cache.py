from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from respine import model
from respine.errors import InputError
from respine.files import store
from respine.model import assemble, cache

from .conftest import Home


def test_the_second_load_builds_nothing(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    first = model.load("oral", home.library)
    monkeypatch.setattr(assemble, "assemble", lambda name: pytest.fail("built again"))
    assert model.load("oral", home.library) == first


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("parameters/absorption.csv", "ka,1.5", "ka,1.7"),
        ("modules/absorption.ant", "ka * gut", "2 * ka * gut"),
        ("variables/absorption.csv", "mg,0,Amount in the gut", "mg,3,Amount in the gut"),
    ],
)
def test_any_change_is_seen(home: Home, file: str, old: str, new: str) -> None:
    before = model.load("oral", home.library)
    home.change(file, old, new)
    assert model.load("oral", home.library) != before


def test_a_broken_source_is_still_an_error(home: Home) -> None:
    model.load("oral", home.library)
    home.write("references.bib", "")
    with pytest.raises(InputError, match="no entry"):
        model.load("oral", home.library)


def test_a_torn_or_foreign_file_is_ignored(home: Home) -> None:
    right = model.load("oral", home.library)
    file = store.cache_folder() / "models" / f"{cache.key_of('oral', home.library)}.json"
    for content in (file.read_bytes()[:50], b"", pickle.dumps("something else")):
        file.write_bytes(content)
        assert model.load("oral", home.library) == right


def test_without_a_writable_folder_nothing_is_kept(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("RESPINE_CACHE", str(tmp_path / "file"))
    assert model.load("oral", home.library).states == ("gut", "body")


def test_where_the_cache_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESPINE_CACHE", "/a")
    monkeypatch.setenv("XDG_CACHE_HOME", "/b")
    assert store.cache_folder() == Path("/a")
    monkeypatch.delenv("RESPINE_CACHE")
    assert store.cache_folder() == Path("/b/respine")


def test_a_kept_model_loads_without_the_heavy_libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESPINE_CACHE", str(tmp_path))
    model.load("human")
    code = "import sys; from respine.model import load; load('human'); print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"libsbml", "antimony", "pint", "scipy", "ruamel.yaml"} & set(done.stdout.split())

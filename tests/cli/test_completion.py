"""What the shell offers after TAB: names of the library with their meaning, quickly and without heavy imports."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from respine import library
from respine.cli import names

from .test_start import HEAVY


def offered(words: str, folder: Path, shell: str = "bash") -> list[str]:
    """The lines that the shell's completion gets for a command line typed so far."""
    typed = words.split(" ")
    place = {"COMP_WORDS": words, "COMP_CWORD": str(len(typed) - 1), "_TYPER_COMPLETE_ARGS": words}
    more = {"_RESPINE_COMPLETE": f"complete_{shell}", **place, "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    code = "import sys; sys.argv = ['respine']; from respine.cli.app import app; app(prog_name='respine')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder,
                          env={"PATH": os.environ["PATH"], **more})  # fmt: skip
    assert done.stderr == ""
    return done.stdout.split("\n")


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("respine run mur", {"murrough-2013", "murrough-2013-repeated"}),
        ("respine study check zar", {"zarate-2006", "zarate-2012"}),
        ("respine model show k_spine_m", {"k_spine_mature"}),
        ("respine model show keta", {"ketamine", "ketamine_human", "ketamine_rodent", "ketamine-rapamycin"}),
        ("respine model show MAD", {"MADRS", "MADRS-SUICIDE"}),
        ("respine model export out.xml -m r", {"rat"}),
        ("respine model names dr", {"drugs"}),
        ("respine calibrate expec", {"expectancy"}),
    ],
)
def test_names_are_offered(words: str, wanted: set[str], tmp_path: Path) -> None:
    assert wanted <= set(offered(words, tmp_path))


def test_own_files_and_folders_are_offered(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("")
    (tmp_path / "mine.txt").write_text("")
    (tmp_path / "minor").mkdir()
    (tmp_path / "minor" / "a.yaml").write_text("")
    assert set(filter(None, offered("respine run min", tmp_path))) == {"mine.yaml", "minor/"}
    assert set(filter(None, offered("respine run minor/", tmp_path))) == {"minor/a.yaml"}
    assert set(filter(None, offered("respine run nowhere/", tmp_path))) == set()


def test_completion_is_light() -> None:
    """A key press must not wait for the packages of a run."""
    code = (
        "import sys; from respine.cli import app, names; names.complete_any('k_sp'); names.complete_study('m')\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    began = time.perf_counter()
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not HEAVY & set(loaded)
    assert time.perf_counter() - began < 5  # generous: a busy machine


def test_every_name_has_a_meaning() -> None:
    """Also without quotes of YAML and marks of comments."""
    for kind in names.KINDS:
        for name in library.names(kind):
            text = names.meaning(kind, name)
            assert len(text) >= 4 and not text.startswith(("#", "//", '"', "'", ">", "|")), (kind, name, text)


@pytest.mark.parametrize(
    ("yaml", "meant"),
    [
        ("plain: words # and a comment", "plain: words"),
        ("'it''s quoted'", "it's quoted"),
        ('"a # in quotes" # not this', "a # in quotes"),
    ],
)
def test_titles_are_read_as_yaml_does(yaml: str, meant: str) -> None:
    assert names._unquoted(yaml) == meant

"""Files that are no plain YAML of a study's size: one clear error, at once."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest

from respine import library, population, study
from respine.errors import InputError
from respine.evidence import user_data
from respine.files import yaml_file
from respine.interop import delimited
from respine.trial.analysis import table

DIRECTIVES = ["%YAML 1.3\n---\na: 1\n", "%YAML 1.1\n---\na: 1\n", "# c\n\n%YAML 2.0\n---\na: 1", "%TAG ! !\n---\na: 1",
              "%TAG ! tag:x,2000:\n---\na: !b 1", "%FOO\n---\na: 1", "%YAML x\n---\na: 1", "%\n",
              "  # c\r\n%YAML 1.3\r\n---\r\na: 1",
              "a: 1\n...\n%YAML 1.3\n---\nb: 2"]  # fmt: skip


@pytest.mark.parametrize("text", DIRECTIVES)
def test_directives_are_one_clear_error(text: str, tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(text, newline="")
    with pytest.raises(InputError) as refused:
        study.load(tmp_path / "s.yaml")
    assert len(refused.value.problems) == 1 and "directives" in str(refused.value)


def test_a_percent_sign_elsewhere_is_text() -> None:
    doc = yaml_file.read_text("a: 50 %\nb: |\n  %YAML 1.3\nc: '%'\n", "study", Path("s.yaml"))
    assert doc.data == {"a": "50 %", "b": "%YAML 1.3\n", "c": "%"} and not doc.problems


LARGE = {
    "10 MB of a list": "a: [" + "1, " * 3_400_000 + "1]",
    "10 MB of lines": "".join(f"k{i}: {i}\n" for i in range(800_000)),
    "10 MB of text": "a: " + "x" * 10_000_000,
    "many entries": "a: [" + "1," * 200_000 + "1]",
    "many rows": "a:\n" + "- b\n" * 100_000,
    "deep": "[" * 30_000,
    "deep mappings": "{a: " * 10_000,
    "deep rows": "- " * 20_000,
    "anchors": "&a " * 100_000,
    "tags": "! " * 100_000,
    "questions": "? " * 20_000,
}


@pytest.mark.parametrize("what", LARGE)
def test_a_file_larger_than_any_study_is_refused_at_once(what: str, tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(LARGE[what])
    began = time.process_time()
    with pytest.raises(InputError) as refused:
        study.load(tmp_path / "s.yaml")
    assert time.process_time() - began < 15 and len(refused.value.problems) == 1


@pytest.mark.parametrize("opened", ["[", "{a: ", "- ", "a:\n", "? ", "[{a: "])
@pytest.mark.parametrize("times", [100, 1_000, 3_000])
def test_nesting_is_refused_before_the_reader_slows_down(opened: str, times: int) -> None:
    """The time of ruamel's scanner grows with what is open, at every token: 3,000 brackets took 13 s."""
    text = "".join(" " * k + "a:\n" for k in range(min(times, 1_000))) if opened == "a:\n" else opened * times
    began = time.process_time()
    with pytest.raises(InputError) as refused:
        yaml_file.read_text(text, "study", Path("s.yaml")).check()
    assert time.process_time() - began < 10 and len(refused.value.problems) == 1


def test_folded_text_holds_what_was_written() -> None:
    doc = yaml_file.read_text("a: >\n  one\n  two\n\n  three\nb: 2\n", "study", Path("s.yaml"))
    assert doc.data == {"a": "one two\nthree\n", "b": 2}


@pytest.mark.parametrize("load", [study.load, population.load])
@pytest.mark.parametrize("kind", ["pipe", "device", "link to a device", "folder"])
def test_what_is_no_file_is_refused(load, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        path = Path("/dev/zero")
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(InputError, match=r"pipe or a device|a folder"):
        load(path)


@pytest.mark.parametrize("read", [user_data._text, table.read, delimited._text])
def test_tables_that_are_pipes_are_refused(read, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "rows.csv")
    with pytest.raises(InputError):
        read(tmp_path / "rows.csv")


SECRETS = ["root:x:0:0:root:/root:/bin/bash\n", "password: hunter2\nname: hunter2\n", "[hunter2\n", "hunter2: *hunter2\n",
           "- hunter2\n", "hunter2", "AWS=hunter2\n\tb", "'hunter2", "key: !hunter2 x\n", "%hunter2\n"]  # fmt: skip


@pytest.mark.parametrize("text", SECRETS)
@pytest.mark.parametrize("field", ["population", "people"])
def test_a_study_cannot_make_errors_quote_other_files(text: str, field: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(text + "hunter2, 1\nroot, 2, 3\n")
    named = {"population": "mdd"} | {field: str(tmp_path / "secret")}
    lines = "".join(f"{key}: {value}\n" for key, value in named.items())
    (tmp_path / "s.yaml").write_text(
        f"schema: respine/study/1\nname: x\ntitle: t\n{lines}subjects: 2\nseed: 1\n"
        "arms: {a: {}}\nvisits: [0 h]\nobserve: [MADRS]\n"
    )
    with pytest.raises(InputError) as refused:
        study.load(tmp_path / "s.yaml")
    assert "hunter2" not in str(refused.value) and "root:" not in str(refused.value)


@pytest.mark.parametrize("text", [r"x\ud800y", r"x\0y", r"\udfff", r"\x00.yaml"])
@pytest.mark.parametrize("field", ["title", "population", "note", "arm", "observe"])
def test_nulls_and_half_characters_behind_quotes_are_refused(text: str, field: str, tmp_path: Path) -> None:
    """They got through to the first file that was written, after the run."""
    study_text = library.text("studies", "murrough-2013")
    changed = {
        "title": study_text.replace("title: ", f'title: "{text}" #', 1),
        "population": re.sub(r"population: .*", lambda _: f'population: "{text}"', study_text, count=1),
        "note": study_text.replace("subjects:", f'note: "{text}"\nsubjects:', 1),
        "arm": study_text.replace("  midazolam:", f'  "{text}":', 1),
        "observe": study_text.replace("observe: [", f'observe: ["{text}", ', 1),
    }[field]
    file = tmp_path / "study.yaml"
    file.write_text(changed, encoding="utf-8")
    with pytest.raises(InputError, match="half a character") as error:
        study.load(file)
    assert not any(letter in str(error.value) for letter in "\0\ud800\udfff")
    people = tmp_path / "people.yaml"
    people.write_text(library.text("populations", "mdd").replace("title: ", f'title: "{text}" #', 1), encoding="utf-8")
    with pytest.raises(InputError, match="half a character"):
        population.load(people)

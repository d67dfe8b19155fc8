"""Ids with signs that Antimony does not know: its messages may end in half a character."""

from pathlib import Path

import pytest

from respine.errors import InputError
from respine.library import BUILT_IN, Library
from respine.model import assemble


@pytest.mark.parametrize("sign", ["\u00fc", "\uff21", "\U0001f9e0", "\u202e"])
def test_an_id_with_an_odd_sign_is_one_clear_error(tmp_path: Path, sign: str) -> None:
    text = BUILT_IN.path("parameters", "ketamine_human").read_text(encoding="utf-8")
    header, first, rest = text.split("\n", 2)
    (tmp_path / "parameters").mkdir()
    damaged = f"{header}\n{first[:3]}{sign}{first[3:]}\n{rest}"
    (tmp_path / "parameters" / "ketamine_human.csv").write_text(damaged, encoding="utf-8")
    with pytest.raises(InputError) as refused:
        assemble.load("human", Library().overlay(tmp_path))
    assert any(Path(problem.where.rsplit(":", 1)[0]).name == "ketamine_human.csv" for problem in refused.value.problems)

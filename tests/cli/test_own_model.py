"""`respine model show` of a user's own file."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from respine.cli.app import app
from respine.model import load, to_sbml

TEXT = "// by mouth\ndepot' = -ka*depot; central' = ka*depot - CL/Vc*central\ndepot = 100; central = 0; ka = 1.5; CL = 4; Vc = 20\n"


@pytest.mark.parametrize("suffix", [".ant", ".xml", ".sbml", ".ANT"])
def test_a_file_is_shown(suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"two{suffix}"
    file.write_text(TEXT if suffix.lower() == ".ant" else to_sbml(load(TEXT)))
    done = CliRunner().invoke(app, ["model", "show", str(file)])
    assert done.exit_code == 0 and "central' = ka * depot - CL / Vc * central" in done.stdout
    shown_model = CliRunner().invoke(app, ["model", "show", "ka", "--model", str(file)])
    assert shown_model.exit_code == 0 and "1.5" in shown_model.stdout


@pytest.mark.parametrize(
    ("text", "where"), [("x' = -k*x\n", "1  parameter k"), ("x = 1\nx' = (\n", "2  Antimony"), (None, "no such file")]
)
def test_a_faulty_file_is_told_by_line(text: str | None, where: str, tmp_path: Path) -> None:
    file = tmp_path / "two.ant"
    if text is not None:
        file.write_text(text)
    done = CliRunner().invoke(app, ["model", "show", str(file)])
    assert done.exit_code == 2 and where in done.output and "Traceback" not in done.output

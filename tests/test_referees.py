"""Outside answers that are asked for and missing fail a test; only where nobody asked are they skipped, with a word."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import conftest

ROOT = Path(__file__).resolve().parents[1]


def test_what_is_asked_for_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESPINE_REFERENCE", str(tmp_path / "nowhere"))
    with pytest.raises(pytest.fail.Exception, match="nowhere"):
        conftest.needed()
    monkeypatch.setenv("RESPINE_REFERENCE", str(tmp_path))
    assert conftest.needed() == tmp_path
    with pytest.raises(pytest.fail.Exception, match="sbml-semantic"):
        conftest.needed("sbml-semantic")
    monkeypatch.delenv("RESPINE_REFERENCE")
    monkeypatch.setattr(conftest, "ROOT", tmp_path / "checkout")
    with pytest.raises(pytest.skip.Exception, match="set RESPINE_REFERENCE"):
        conftest.needed()


def test_a_whole_file_of_cases_fails_where_its_suite_is_missing(tmp_path: Path) -> None:
    """As CI runs it: the suite of SBML cases with a folder that holds none of them."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/model/test_reference_suites.py"]
    environment = {**os.environ, "RESPINE_REFERENCE": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 1, done.stdout
    assert "skipped" not in done.stdout.splitlines()[-1]


def test_no_test_skips_on_its_own_account() -> None:
    """``pytest.skip`` and ``importorskip`` for outside answers stand in one place."""
    own = {"conftest.py", Path(__file__).name}
    beside = ("mypy", "axe_playwright_python")  # of the extras dev and browser, which CI installs
    for file in sorted((ROOT / "tests").rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        if file.name not in own:
            left = re.findall(r"importorskip\(\"(\w+)", text)
            assert not [name for name in left if name not in beside], file
            assert "RESPINE_REFERENCE" not in text or "skip" not in text.replace("fmt: skip", ""), file

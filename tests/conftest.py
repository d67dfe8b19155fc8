"""Shared by all tests: where outside reference material lies, and small systems with exact answers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]


def reference_folder() -> Path:
    """Third-party data and answers: ``RESPINE_REFERENCE``, else a folder beside the checkout."""
    return Path(os.environ.get("RESPINE_REFERENCE") or ROOT.parent / "shared" / "reference")


def asked_for() -> bool:
    """Whether somebody said that the references are there: then one that is not is a failure, never a skip."""
    return bool(os.environ.get("RESPINE_REFERENCE"))


def needed(name: str = "") -> Path:
    """A folder of the references; a test that needs it is skipped where none are, and fails where they were asked for."""
    folder = reference_folder() / name
    if not folder.is_dir():
        if asked_for():
            pytest.fail(f"RESPINE_REFERENCE says that outside answers are at {folder}, and they are not", pytrace=False)
        pytest.skip(f"outside reference data not found at {folder}; set RESPINE_REFERENCE to run this test")
    return folder


def cases_of(cases: Sequence[str]) -> list[Any]:
    """Names of cases found in the reference folder; where there are none, one that is skipped, or fails where they were asked for."""
    absent = pytest.mark.skip(reason=f"no cases at {reference_folder()}; set RESPINE_REFERENCE to run this test")
    return list(cases) or [pytest.param("(none found)", marks=() if asked_for() else absent)]


@pytest.fixture
def reference() -> Path:
    """The outside reference folder; see ``needed``."""
    return needed()

"""Shared by all tests: where outside reference material lies, and small systems with exact answers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def reference_folder() -> Path:
    """Third-party data and answers: ``RESPINE_REFERENCE``, else a folder beside the checkout."""
    return Path(os.environ.get("RESPINE_REFERENCE") or ROOT.parent / "shared" / "reference")


@pytest.fixture
def reference(request: pytest.FixtureRequest) -> Path:
    """The outside reference folder; a test that needs it is skipped where it is absent."""
    folder = reference_folder()
    if not folder.is_dir():
        pytest.skip(f"outside reference data not found at {folder}; set RESPINE_REFERENCE to run this test")
    return folder

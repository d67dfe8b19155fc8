"""`import respine` must stay light: the command line answers in a third of a second."""

from __future__ import annotations

import subprocess
import sys


def test_importing_respine_imports_nothing_heavy() -> None:
    code = "import sys, respine; print(sorted({'numpy', 'pandas', 'numba', 'pydantic', 'libsbml'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

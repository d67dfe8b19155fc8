"""Install the peers one by one, so that one which cannot be built here does not keep the others out.

python benchmarks/install.py

What is installed is the ``bench`` extra of pyproject.toml. Some build from source: numbalsoda asks for a Fortran compiler,
AMICI for a C++ compiler. A peer that is missing is skipped by the benchmark, with the reason.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

TELLING = ("error:", "could not", "no such", "not found", "required")


def main() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
    for package in project["project"]["optional-dependencies"]["bench"]:
        print(f"{package} ... ", end="", flush=True)
        call = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", package]
        done = subprocess.run(call, capture_output=True, text=True)
        print("installed" if done.returncode == 0 else f"left out: {_reason(done.stderr)}", flush=True)


def _reason(output: str) -> str:
    """The first line that says what was missing, else the last one."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    clear = [line for line in lines if any(word in line.lower() for word in TELLING) and "subprocess" not in line]
    return (clear or lines or ["pip gave no reason"])[0 if clear else -1][:200]


if __name__ == "__main__":
    main()

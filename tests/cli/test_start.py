"""The command line starts fast: nothing heavy is imported before a command needs it."""

import subprocess
import sys

HEAVY = {
    *("numpy", "pandas", "matplotlib", "numba", "llvmlite", "antimony", "libsbml"),
    *("pydantic", "ruamel", "pyarrow", "pint", "scipy", "jinja2"),
}


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_help_imports_nothing_heavy() -> None:
    code = """
import sys
sys.argv = ["respine", "--help"]
from respine.cli import main
try:
    main()
except SystemExit:
    pass
print("LOADED", *sorted({name.partition(".")[0] for name in sys.modules}))
"""
    out = python(code)
    assert "Research software. Not advice for any person." in out
    loaded = set(out.splitlines()[-1].split()[1:])
    assert "typer" in loaded
    assert not loaded & HEAVY


def test_plotting_is_not_needed_to_simulate() -> None:
    assert python("import sys, respine.run; print('matplotlib' in sys.modules)").strip() == "False"

"""Imports run one way: a room uses only rooms above it. Parsed, not imported, so late imports count as well."""

from __future__ import annotations

import ast
import re
import runpy
from pathlib import Path

import pytest

import respine

HOUSE = Path(respine.__file__).parent
ROOMS = [
    "library", "files", "model", "engine", "population", "study", "protocol", "trial", "published", "run", "fit",
    "evidence", "interop", "qualify", "report", "credibility", "web", "cli",
]  # fmt: skip
FREE = {"errors"}  # the shape of a user's mistake, for all


def imported(source: str, package: list[str]) -> set[str]:
    """Names of the rooms a file imports; ``package`` is where the file stands, outermost first."""
    rooms = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = [*base, *(node.module.split(".") if node.module else [])]
            names = [".".join([*stem, alias.name]) for alias in node.names]
        else:
            continue
        rooms |= {name.split(".")[1] for name in names if name.startswith("respine.")}
    return rooms


def faults(room: str, source: str, package: list[str]) -> list[str]:
    """Imports of a room that do not lie above it."""
    allowed = {*ROOMS[: ROOMS.index(room) + 1], *FREE, "__version__"}
    return sorted(imported(source, package) - allowed)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_rooms_above_it(room: str) -> None:
    for file in sorted((HOUSE / room).rglob("*.py")):
        package = ["respine", *file.relative_to(HOUSE).parts[:-1]]
        assert not faults(room, file.read_text(encoding="utf-8"), package), file


def test_errors_import_no_room() -> None:
    assert not imported((HOUSE / "errors.py").read_text(encoding="utf-8"), ["respine"]) - FREE


def test_the_rooms_are_listed_once_and_alike() -> None:
    docs = Path(__file__).parent.parent / "docs"
    written = (docs / "architecture.md").read_text(encoding="utf-8").partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)/`", written, re.MULTILINE) == ROOMS
    assert runpy.run_path(str(docs / "make_map.py"))["ROOMS"] == ROOMS


def test_every_folder_is_a_room() -> None:
    folders = {p.name for p in HOUSE.iterdir() if p.is_dir() and list(p.glob("*.py"))}
    assert folders <= set(ROOMS), "add the new room to its place in the order"


@pytest.mark.parametrize(
    "source",
    [
        "from respine.engine import build",
        "from respine import engine",
        "def f():\n    import respine.run.store as s",
        "from ..study import load",
        "from .. import cli",
    ],
)
def test_a_wrong_import_is_seen(source: str) -> None:
    assert len(faults("model", source, ["respine", "model"])) == 1


@pytest.mark.parametrize(
    "source",
    ["from respine import library", "from .system import System", "import json", "from respine.errors import Problem"],
)
def test_a_right_import_passes(source: str) -> None:
    assert faults("model", source, ["respine", "model"]) == []

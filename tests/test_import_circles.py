"""No two files need each other, and the packages of the engine stand in order. Parsed: late imports count as well.

An import that only type checkers follow does not count: nothing runs by it, and an arm may name the protocol it belongs to.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import respine

HOUSE = Path(respine.__file__).parent
ENGINE = [
    "status", "solution", "equations", "codegen", "dosing", "tolerances", "input_checks", "request", "events", "run", "exact",
    "solver", "solve_once", "wasm",
]  # fmt: skip
"""What stands directly in engine/, in the order in which data flows; each imports only what is named before it."""


def modules(house: Path) -> dict[str, Path]:
    """Every file by its dotted name."""
    parts = {file: ("respine", *file.relative_to(house).with_suffix("").parts) for file in sorted(house.rglob("*.py"))}
    return {".".join(p[:-1] if p[-1] == "__init__" else p): file for file, p in parts.items()}


def imports(name: str, file: Path, known: dict[str, Path]) -> Iterator[str]:
    """The files that a file imports: of ``from a import b`` the file b where there is one, else the file a."""
    package = name.split(".") if file.stem == "__init__" else name.split(".")[:-1]
    tree = ast.parse(file.read_text(encoding="utf-8"))
    unseen = {
        id(inner)
        for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for part in node.body for inner in ast.walk(part)
    }  # fmt: skip
    for node in (node for node in ast.walk(tree) if id(node) not in unseen):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*above, *(node.module.split(".") if node.module else [])])
            names = {f"{stem}.{alias.name}" for alias in node.names}
            yield from names & set(known)
            if stem in known and not names <= set(known):
                yield stem


def graph(house: Path) -> dict[str, set[str]]:
    """What each file imports."""
    known = modules(house)
    return {name: set(imports(name, file, known)) - {name} for name, file in known.items()}


def circle(arrows: dict[str, set[str]]) -> list[str]:
    """Files that need each other, in a ring, or nothing."""
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        return error.args[1][::-1]
    return []


def test_no_circle_of_files() -> None:
    assert circle(graph(HOUSE)) == []


@pytest.mark.parametrize("part", ENGINE)
def test_the_engine_imports_in_the_order_data_flows(part: str) -> None:
    at = f"respine.engine.{part}"
    allowed = {*ENGINE[: ENGINE.index(part) + 1]}
    for name, needed in graph(HOUSE).items():
        if name == at or name.startswith(f"{at}."):
            inside = {other.split(".")[2] for other in needed if other.startswith("respine.engine.")}
            assert inside <= allowed and "respine.engine" not in needed, name


def test_all_parts_of_the_engine_have_a_place() -> None:
    assert sorted(ENGINE) == sorted({n.split(".")[2] for n in graph(HOUSE) if n.startswith("respine.engine.")})


@pytest.mark.parametrize(
    ("first", "second", "meet"),
    [
        ("from respine.room import second", "from respine.room.first import x", True),
        ("def f():\n    from .second import x", "import respine.room.first", True),
        (
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from . import second",
            "from .first import x",
            False,
        ),
        ("from respine.room import x", "import respine.room.first", False),
    ],
)
def test_a_circle_is_seen(first: str, second: str, meet: bool, tmp_path: Path) -> None:
    room = tmp_path / "room"
    room.mkdir()
    for name, text in (("__init__", ""), ("first", first), ("second", second)):
        (room / f"{name}.py").write_text(text, encoding="utf-8")
    ring = circle(graph(tmp_path))
    assert (set(ring) == {"respine.room.first", "respine.room.second"}) == meet
    assert bool(ring) == meet

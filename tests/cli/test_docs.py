"""The documentation is true: links lead somewhere, examples run, the map names every file, commands exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
COMMANDS = (
    "python3 -m venv .venv && .venv/bin/pip install -q -e . && .venv/bin/respine run murrough-2013",
    ".venv/bin/pip install -q -e '.[test]' && .venv/bin/pytest",
)


def text(name: str | Path) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def python_blocks() -> list[tuple[str, str]]:
    entries = []
    for page in (p for p in PAGES if p.name != "architecture.md"):  # its blocks are contracts, with names left open
        for number, block in enumerate(re.findall(r"^```python\n(.*?)^```", text(page), re.DOTALL | re.MULTILINE)):
            entries.append((f"{page.name}-{number}", block))
    return entries


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", text(page)):
        if not re.match(r"[a-z]+:", target):
            path, _, heading = target.partition("#")
            file = (page.parent / path) if path else page
            assert file.exists(), target
            if heading:
                titles = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
                assert heading in {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}, target


def test_there_are_examples() -> None:
    assert {name.split("-")[0] for name, _ in python_blocks()} >= {"README.md", "getting"}


@pytest.mark.parametrize(("name", "block"), python_blocks(), ids=[name for name, _ in python_blocks()])
def test_examples_run(name: str, block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(block, name, "exec"), {"__name__": "__example__"})


def test_the_study_of_the_docs_is_valid(tmp_path: Path) -> None:
    from respine import study

    first, second = re.findall(r"^```yaml\n(.*?)^```", text("docs/studies.md"), re.DOTALL | re.MULTILINE)
    file = tmp_path / "mine.yaml"
    file.write_text(first, encoding="utf-8")
    assert list(study.load(file).arms) == ["ketamine", "midazolam"]
    file.write_text(second, encoding="utf-8")
    assert [rule.name for rule in study.load(file).rules] == ["as-needed", "hold-on-pressure", "switch-to-iv"]


def test_the_two_commands() -> None:
    between = re.search(r"<!-- two commands -->(.*?)<!-- end -->", text("README.md"), re.DOTALL)
    assert between is not None
    assert [line.strip() for line in between[1].splitlines() if line.startswith("    ")] == list(COMMANDS)
    assert COMMANDS[0] in text("docs/getting-started.md")


def test_the_map_names_every_file() -> None:
    listed = set(re.findall(r"^\| `([\w/]+\.py)` \| (?=\S)", text("docs/map.md"), re.MULTILINE))
    source = ROOT / "src" / "respine"
    files = {f.relative_to(source).as_posix() for f in source.rglob("*.py") if f.read_text(encoding="utf-8").strip()}
    assert listed == files, "renew the map: python docs/make_map.py"


def test_the_table_of_endpoint_kinds_is_made_from_the_classes() -> None:
    import runpy

    made = runpy.run_path(str(ROOT / "docs" / "make_tables.py"))["page"]()
    assert text("docs/studies.md") == made, "renew the table: python docs/make_tables.py"


def test_commands_named_in_the_docs_exist() -> None:
    import typer.main

    from respine.cli.app import app

    root = typer.main.get_command(app)
    for page in PAGES:
        written = re.sub(r"<!-- map.*<!-- end of map -->", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        for words in re.findall(r"(?:`|^    |bin/)respine ([a-z]+(?: [a-z]+)?)", written, re.MULTILINE):
            first, *second = words.split()
            commands = root.commands  # type: ignore[attr-defined]
            assert first in commands, f"{page.name}: respine {words}"
            inner = getattr(commands[first], "commands", None)
            if inner is not None and second:
                assert second[0] in inner, f"{page.name}: respine {words}"


def test_the_citation_is_complete_and_of_this_version() -> None:
    import tomllib

    citation = YAML(typ="safe").load(text("CITATION.cff"))
    project = tomllib.loads(text("pyproject.toml"))["project"]
    assert citation["version"] == project["version"] and citation["license"] == project["license"]
    assert {"cff-version", "message", "title", "authors"} <= set(citation)


def test_the_changelog_has_an_open_block() -> None:
    assert re.search(r"^## Unreleased$", text("CHANGELOG.md"), re.MULTILINE)


def test_nothing_names_a_machine() -> None:
    for page in PAGES:
        assert not re.search(r"(?<![\w./:<>-])/[A-Za-z_]\w*/", text(page)), page.name  # no absolute path at all

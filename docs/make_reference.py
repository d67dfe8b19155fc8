"""Writes the reference pages of the site from the library, the command tree and the front door: called by ``conf.py``."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import typer

import respine
from respine import library
from respine.cli.app import app
from respine.cli.cards import card
from respine.study import schema as study_form

BELIEF = ("id", "value", "unit", "low", "high", "status", "source", "note")
EVIDENCE = {
    "clinical": ("id", "study", "year", "arm", "endpoint", "time_h", "value", "unit", "n", "role", "source"),
    "pk": ("id", "quantity", "population", "dose", "value", "unit", "role", "source"),
    "preclinical": ("id", "species", "intervention", "endpoint", "time_h", "value", "unit", "role", "source"),
    "population": ("id", "quantity", "value", "unit", "role", "source"),
}
KINDS = {
    "drugs": "Drugs", "exposures": "Exposures", "scales": "Scales", "populations": "Populations", "studies": "Studies",
}  # fmt: skip
DOOR = {
    "Verbs": ("load_study", "load_model", "load_population", "read_nonmem", "resolve", "plan", "execute", "simulate",
              "solve", "compile", "compare", "load_results", "to_sbml"),
}  # fmt: skip


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table as reStructuredText-free MyST (``csv-table``), so that bars and stars in a cell stay text."""
    out = io.StringIO()
    writer = csv.writer(out)
    for row in rows:
        writer.writerow([_cell(value) for value in row])
    heads = io.StringIO()
    csv.writer(heads).writerow(head)
    body = out.getvalue().replace("\r\n", "\n")
    return (
        f"```{{csv-table}}\n:header: {heads.getvalue().strip()}\n:class: reference-table\n\n{body}```\n" if body else ""
    )


def _cell(value: Any) -> str:
    text = " ".join(str(value if value is not None else "").split())
    for mark in ("\\", "*", "_", "`", "|", "<", "[", "$"):
        text = text.replace(mark, "\\" + mark)
    return text


def modules() -> Iterator[str]:
    """Every mechanism: what it is, its equations as they are solved, its quantities, its numbers."""
    yield "# Mechanisms\n\nThe model is text. Each mechanism is a fragment of Antimony; times are hours.\n"
    for name in library.names("modules"):
        text = library.text("modules", name)
        yield f"## {name}\n\n```text\n{text.rstrip()}\n```\n"
        yield from _rows("variables", name, ("id", "role", "unit", "start", "label", "source", "note"))
    yield "# Numbers\n\n`low` and `high` hold 90 % of the belief about the typical value.\n"
    for name in library.names("parameters"):
        yield f"## {name} (numbers)\n"
        yield from _rows("parameters", name, BELIEF)


def _rows(kind: str, name: str, columns: Sequence[str]) -> Iterator[str]:
    if name in library.names(kind):
        yield table(columns, ([row.get(c, "") for c in columns] for row in library.rows(kind, name)))


def cards(kind: str) -> Iterator[str]:
    """What ``respine model show`` says of every file of a kind."""
    yield f"# {KINDS[kind]}\n\nThe same text as `respine model show NAME`.\n"
    for name in library.names(kind):
        yield f"## {name}\n\n```text\n{card(kind, name, 110)}\n```\n"


def evidence() -> Iterator[str]:
    """Every published row with its role."""
    yield "# Evidence\n\nEvery published row. `fit` rows may be fitted; `validate` rows are predicted and reported only.\n"
    for name in library.names("evidence"):
        rows = library.rows("evidence", name)
        columns = [c for c in EVIDENCE.get(name, tuple(rows[0])) if c in rows[0]]
        yield f"## {name}\n\n{len(rows)} rows.\n\n" + table(
            columns, ([row.get(c, "") for c in columns] for row in rows)
        )


def study_schema() -> Iterator[str]:
    """The fields of a study file, from the classes that read it."""
    whole = study_form()
    yield "# Fields of a study file\n\nMade from the classes that read it. `respine study schema` prints the JSON Schema.\n"
    yield "## Study\n\n" + table(*_fields(whole))
    for name, part in whole.get("$defs", {}).items():
        if part.get("properties"):
            yield f"## {name}\n\n{part.get('description', '')}\n\n" + table(*_fields(part))


def _fields(part: dict[str, Any]) -> tuple[Sequence[str], list[Sequence[str]]]:
    needed = set(part.get("required", ()))
    rows = [
        (name, "yes" if name in needed else "", _type(field), json.dumps(field["default"]) if "default" in field else "",
         field.get("description", ""))
        for name, field in part["properties"].items()
    ]  # fmt: skip
    return ("field", "needed", "form", "left out", "meaning"), rows


def _type(field: dict[str, Any]) -> str:
    if "$ref" in field:
        return str(field["$ref"]).rpartition("/")[2]
    for key in ("anyOf", "oneOf"):
        if key in field:
            return " or ".join(dict.fromkeys(_type(part) for part in field[key]))
    if "enum" in field:
        return ", ".join(str(value) for value in field["enum"])
    if "const" in field:
        return str(field["const"])
    if field.get("type") == "array":
        return f"list of {_type(field.get('items') or {})}"
    if field.get("type") == "object" and isinstance(field.get("additionalProperties"), dict):
        return f"mapping to {_type(field['additionalProperties'])}"
    return str(field.get("type", "any"))


def commands() -> Iterator[str]:
    """The help of every command."""
    yield "# Commands\n"
    yield from _command(typer.main.get_command(app), "respine", None)


def _command(command: click.Command, name: str, parent: click.Context | None) -> Iterator[str]:
    context = click.Context(command, info_name=name, parent=parent, max_content_width=100, terminal_width=100)
    yield f"## {context.command_path}\n\n```text\n{command.get_help(context).strip()}\n```\n"
    for child, below in getattr(command, "commands", {}).items():
        yield from _command(below, child, context)


def door() -> Iterator[str]:
    """The Python front door, from its docstrings."""
    yield "# Python\n\n`import respine as rs`. Everything below is `rs.NAME`; arguments carry types.\n"
    classes = [name for name in dir(respine) if isinstance(getattr(respine, name), type)]
    yield "## Verbs\n"
    for name in DOOR["Verbs"]:
        yield from _auto("autofunction", name)
    yield "## Values\n"
    for name in classes:
        yield from _auto("autoclass", name)


def _auto(kind: str, name: str) -> Iterator[str]:
    thing = getattr(respine, name)
    yield f"### {name}\n\n```{{eval-rst}}\n.. {kind}:: {thing.__module__}.{thing.__qualname__}\n```\n"


PAGES = {
    "python": door, "commands": commands, "study-file": study_schema, "mechanisms": modules, "evidence": evidence,
    **{kind: (lambda kind=kind: cards(kind)) for kind in KINDS},
}  # fmt: skip


def write(folder: Path) -> None:
    """All pages into ``folder``; a page that says the same already is left alone, so that it is not built anew."""
    folder.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        file, text = folder / f"{name}.md", "\n".join(page())
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(__file__).parent / "reference")

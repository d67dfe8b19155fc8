"""Names of the library with a line of meaning each, read so lightly that a shell can complete them."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

from respine import library

KINDS = ("models", "modules", "drugs", "exposures", "scales", "populations", "studies")
_COMMENT = {".ant": "//", ".yaml": "#"}


def kind_word(kind: str) -> str:
    """The kind of one member: "study" of "studies"."""
    return "study" if kind == "studies" else kind.removesuffix("s")


def kinds_of(name: str) -> list[str]:
    """The kinds that hold a file of this name; an exposure and a module may share one."""
    return [kind for kind in KINDS if name in library.names(kind)]


def meaning(kind: str, name: str) -> str:
    """The title of a library file, or the first sentence of its opening comment; empty where it has neither."""
    text = library.text(kind, name)
    title = re.search(r"^title:[ \t]*(.*)$", text, re.MULTILINE)
    if title and title[1][:1] not in (">", "|", ""):
        return _unquoted(title[1])
    mark = _COMMENT[library.KINDS[kind]]
    comment = []
    for line in text.splitlines():
        if not line.startswith(mark):
            break
        comment.append(line.removeprefix(mark).strip())
    return re.split(r"(?<=[^\d])\.\s", " ".join(comment) + " ", maxsplit=1)[0].strip()


def _unquoted(text: str) -> str:
    """A YAML scalar of one line as the text it means."""
    if text[:1] == "'":
        return text[1:].rpartition("'")[0].replace("''", "'")
    if text[:1] == '"':
        return text[1:].rpartition('"')[0].replace('\\"', '"')
    return text.partition(" #")[0].strip()


def symbols() -> Iterator[tuple[str, str]]:
    """Every parameter and variable of the library's tables, with its label or unit; some stand in several tables."""
    for kind in ("variables", "parameters"):
        for name in library.names(kind):
            for row in csv.DictReader(library.text(kind, name).splitlines()):
                if row.get("id"):
                    about = row.get("label") or " ".join(filter(None, (row.get("value"), row.get("unit"))))
                    yield row["id"], about.strip()


# -- what a shell offers; a fault in here must stay quiet, or it would end up on the command line being typed ----------


def complete_study(incomplete: str) -> list[tuple[str, str]]:
    """Studies of the library, then YAML files and folders here."""
    return [*_members(("studies",), incomplete), *_files(incomplete, (".yaml", ".yml"))]


def complete_any(incomplete: str) -> list[tuple[str, str]]:
    """Everything that `respine model show` knows: members of all kinds, symbols, model files."""
    members = _members(KINDS, incomplete)
    if not incomplete:  # a thousand symbols would drown the names
        return members
    known = {name for name, _ in members}
    matching = dict(item for item in symbols() if item[0].startswith(incomplete) and item[0] not in known)
    return [*members, *matching.items(), *_files(incomplete, (".xml", ".sbml", ".ant"))]


def complete_model(incomplete: str) -> list[tuple[str, str]]:
    """Models of the library."""
    return _members(("models",), incomplete)


def complete_kind(incomplete: str) -> list[tuple[str, str]]:
    """Kinds of library files."""
    return [(kind, "") for kind in KINDS if kind.startswith(incomplete)]


def complete_recipe(incomplete: str) -> list[tuple[str, str]]:
    """Blocks of the calibration, then YAML files and folders here."""
    return [*_members(("recipes",), incomplete), *_files(incomplete, (".yaml", ".yml"))]


def complete_run(incomplete: str) -> list[tuple[str, str]]:
    """Folders that hold a finished or stopped run, and folders on the way there."""
    return [(path, about) for path, about in _files(incomplete, ()) if path]


def _members(kinds: tuple[str, ...], incomplete: str) -> list[tuple[str, str]]:
    members: dict[str, str] = {}
    for kind in kinds:
        for name in library.names(kind):
            if name.startswith(incomplete):
                members.setdefault(name, f"{kind_word(kind)}: {meaning(kind, name)}")
    return list(members.items())


def _files(incomplete: str, endings: tuple[str, ...]) -> list[tuple[str, str]]:
    """Files of these endings, and folders, that begin as typed; hidden ones only where a dot was typed."""
    folder, begun = incomplete.rpartition("/")[::2]
    place = Path(f"{folder}/" if incomplete.startswith("/") or folder else ".")
    try:
        inside = sorted(place.iterdir())
    except OSError:
        return []
    shown = []
    for path in inside:
        if not path.name.startswith(begun) or (path.name.startswith(".") and not begun.startswith(".")):
            continue
        written = f"{folder}/{path.name}" if "/" in incomplete else path.name
        if path.is_dir():
            shown.append((f"{written}/", "folder"))
        elif path.suffix in endings:
            shown.append((written, "file"))
    return shown

"""Read a YAML file into plain values, keeping for every value its line and its text, and every mistake of form."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from respine.errors import InputError, Problem
from respine.files import numbers, store

Place = tuple[str | int, ...]
MOST_VALUES = 200_000  # aliases can blow a small file up beyond any memory
MOST_DEPTH = 40
MOST_BYTES = 1_000_000
MOST_MARKS = 60_000  # commas, colons, brackets and dashes: what reading takes its time for (some 10 s here)

_MARKS = re.compile(r"[,:\[\]{}]|- |[&*!]")
_DIRECTIVE = re.compile(r"\A(?:[ \t]*(?:#[^\n]*)?\r?\n)*(?=%)")

_INT = re.compile(r"^[-+]?[0-9]+$")
_FLOAT = re.compile(r"^[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?$")
_WORDS: dict[str, Any] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None, "true": True, "True": True, "TRUE": True,
    "false": False, "False": False, "FALSE": False, ".inf": float("inf"), "-.inf": float("-inf"),
    "+.inf": float("inf"), ".nan": float("nan"), ".NaN": float("nan"),
}  # fmt: skip


@dataclass
class Document:
    """The values of one file with their places: ``("arms", "ketamine", "doses", 0, "amount")``."""

    file: Path
    data: Any = None
    text: str = ""
    lines: dict[Place, int] = field(default_factory=dict)
    texts: dict[Place, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    made: bool = False
    """Whether the values come from Python rather than from a file; ``file`` then is the line of the caller."""
    named_from: Path | None = None
    prefix: Place = ()
    """Where the values stand in a larger file."""
    doubled: set[Place] = field(default_factory=set)
    """Mappings in which a name stands twice."""

    @property
    def folder(self) -> Path | None:
        """The folder other files are named from; None for values that come from no file."""
        return self.named_from if self.made else self.file.parent

    def where(self, place: Place) -> str:
        """How errors name a place: ``study.yaml:12``, or the line of Python for values that come from no file."""
        return f"{self.file}:{self.line(place)}" if not self.made else str(self.file)

    def line(self, place: Place) -> int:
        """Line of a value, or of the nearest value around it."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)

    def problem(self, place: Place, why: str, cure: str, seen: str | None = None) -> None:
        """Note one mistake; ``seen`` defaults to the text at the place."""
        text = self.texts.get(place, "") if seen is None else seen
        shown = text if len(text) <= 80 else text[:77] + "..."
        self.problems.append(Problem(self.where(place), dotted((*self.prefix, *place)), shown, why, cure))

    def instead(self, place: Place, why: str, cure: str) -> None:
        """Note a mistake better understood than before: it takes the place of what was noted there."""
        where, field = self.where(place), dotted((*self.prefix, *place))
        self.problems = [problem for problem in self.problems if (problem.where, problem.field) != (where, field)]
        self.problem(place, why, cure)

    def check(self) -> None:
        """Raise InputError with all mistakes noted so far, in the order of the file, if there are any."""
        if self.problems:
            unique = dict.fromkeys(self.problems)  # two checks may meet the same mistake
            raise InputError(*sorted(unique, key=self._order))

    def _order(self, problem: Problem) -> tuple[bool, int]:
        """This file first, then files it names; each by its lines."""
        file, _, line = problem.where.rpartition(":")
        return file != str(self.file), int(line) if line.isdigit() else 0


def dotted(place: Place) -> str:
    """``arms.ketamine.doses[0].amount``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return text.lstrip(".") or "(the file)"


def read(file: Path, what: str, form: str = "") -> Document:
    """The values of a YAML file that must be a mapping; ``what`` names it in errors ("study"). Raises InputError.

    A file without the text ``form`` is refused with no word of what it holds: another file may have named it.
    """
    doc = Document(file)
    text = _text(doc, what)
    if text is not None and form not in text:
        cure = f'Add "schema: respine/{what}/1" if the file is a {what}.'
        doc.problem((), f'The field "schema" is missing: this is no {what} file.', cure, seen="")
        text = None
    if text is None:
        doc.check()
    return _parsed(doc, text or "", what)


def read_text(text: str, what: str, name: Path) -> Document:
    """The values of a YAML text, as ``read`` gives them; ``name`` is what errors call it."""
    return _parsed(Document(name), text, what)


def _parsed(doc: Document, text: str, what: str) -> Document:
    doc.text = text
    node = _compose(doc, text)
    if node is not None:
        builder = _Builder(doc)
        doc.data = builder.value(node, (), 0)
        if builder.values < 0:
            doc.check()
    if not doc.problems and not isinstance(doc.data, dict):
        if doc.data is None:
            doc.problem((), f"The file is empty; a {what} file is a mapping of fields.", _start(what), seen="")
        else:
            kind = "a list" if isinstance(doc.data, list) else "a single value"
            doc.problem((), f"The file is {kind}; a {what} file is a mapping of fields.", _start(what), seen="")
    if not isinstance(doc.data, dict):
        doc.check()
    return doc


def _start(what: str) -> str:
    example = "name: my-study" if what == "study" else "title: ..."
    return f'Write "field: value" lines, for example "{example}".'


def _text(doc: Document, what: str) -> str | None:
    try:
        if doc.file.is_dir():
            doc.problem((), "This is a folder.", f"Name the {what} file in it.", seen="")
            return None
        if not store.is_plain_file(doc.file):
            doc.problem(
                (), "This is a pipe or a device, not a file.", f"Save the {what} as a file and name that.", seen=""
            )
            return None
        if doc.file.stat().st_size > MOST_BYTES:
            cure = f"Name a {what} file; rows of people belong into a CSV table."
            doc.problem((), "The file is larger than 1 MB.", cure, seen="")
            return None
        raw = doc.file.read_bytes()
    except OSError as error:
        cure = "Check the name." if isinstance(error, FileNotFoundError) else "Check the file and its permissions."
        doc.problem((), f"The file cannot be read: {error.strerror or error}.", cure, seen="")
        return None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        doc.lines[()] = raw.count(b"\n", 0, error.start) + 1
        seen = raw[error.start : error.start + 4].hex(" ")
        doc.problem(
            (), f"The file is not UTF-8 text: byte {error.start + 1} starts {seen}.", "Save it as UTF-8.", seen=""
        )
        return None


def _compose(doc: Document, text: str) -> Any:
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    from respine.files import yaml_nodes

    directive = _DIRECTIVE.match(text)
    if directive is not None:
        doc.lines[()] = text.count("\n", 0, directive.end()) + 1
        why = 'YAML directives ("%YAML", "%TAG") are not used here.'
        doc.problem((), why, 'Remove the lines that begin with "%", and the "---" below them.', seen="")
        return None
    if len(text) > MOST_BYTES or len(_MARKS.findall(text)) > MOST_MARKS:
        cure = "Write less into one file; rows of people belong into a CSV table."
        doc.problem((), "The file holds more entries than any study.", cure, seen="")
        return None
    try:
        return yaml_nodes.compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        doc.lines[()] = (mark.line if mark else 0) + 1
        said = error.problem or error.context or "the text breaks off"
        if "\\t" in said or (mark and "\t" in _line_of(text, mark.line)[: mark.column + 1]):
            doc.problem((), "A tab stands where YAML wants spaces.", "Indent with spaces.", seen="")
        elif "expected a single document" in (error.context or "") + said:
            doc.problem((), "The file holds more than one document.", 'Keep one; remove the "---" line.', seen="")
        else:
            why = f"This is not YAML: {said}."
            doc.problem((), why, "Check indentation, quotes, colons and brackets here and one line above.", seen="")
    except (YAMLError, ValueError, RecursionError) as error:
        said = str(error).splitlines()[0] if str(error) else "nested too deep"
        doc.problem((), f"This is not YAML: {said}.", "Remove control characters and deep nesting.", seen="")
    except Exception as error:  # hostile text makes the reader fail in ways of its own, assertions among them
        why = f"This is not YAML that can be read ({type(error).__name__})."
        doc.problem((), why, 'Write plain "field: value" lines in one document, without directives or tags.', seen="")
    return None


def _line_of(text: str, index: int) -> str:
    lines = text.split("\n")
    return lines[index] if index < len(lines) else ""


class _Builder:
    """Plain values from YAML nodes, noting lines, duplicate keys, tags and runaway aliases."""

    def __init__(self, doc: Document) -> None:
        self.doc = doc
        self.values = 0
        self.open: list[int] = []  # nodes being built, to notice one that contains itself

    def value(self, node: Any, place: Place, depth: int) -> Any:
        self.values += 1
        self.doc.lines.setdefault(place, node.start_mark.line + 1)
        if self.values > MOST_VALUES or depth > MOST_DEPTH or id(node) in self.open:
            why = "Aliases or nesting make this file larger than any study."
            self.doc.problem(place[:3], why, "Write the values out, without aliases.", seen="")
            self.values = -(10**12)  # said once; nothing more is expanded
            return None
        if self.values < 0:
            return None
        self.open.append(id(node))
        try:
            if node.id == "scalar":
                return self.scalar(node, place)
            if node.id == "sequence":
                return [self.value(item, (*place, i), depth + 1) for i, item in enumerate(node.value)]
            return self.mapping(node, place, depth)
        finally:
            self.open.pop()

    def mapping(self, node: Any, place: Place, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        first: dict[str, int] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if key_node.id != "scalar":
                self.doc.lines.setdefault(place, line)
                self.doc.problem(place, "A field name must be a word.", 'Write "name: value".', seen="")
                continue
            key = self.plain_text(str(key_node.value), place, line)
            if key == "<<" and not key_node.style:
                self.doc.problem(
                    place, '"<<" (merging of mappings) is not used here.', "Write the fields out.", seen="<<"
                )
                continue
            here = (*place, key)
            if key in first:
                why = f'"{key}" stands here twice (first in line {first[key]}); the second would hide the first.'
                at = f"{self.doc.file}:{line}"
                cure = "Give each its own name, or remove one."
                self.doc.problems.append(Problem(at, dotted(here), key, why, cure))
                self.doc.doubled.add(place)
                continue
            first[key] = line
            self.doc.lines[here] = line
            result[key] = self.value(value_node, here, depth + 1)
        return result

    def plain_text(self, text: str, place: Place, line: int) -> str:
        """The text, refused where quotes hide what no file, terminal or page can hold: a null, half a character."""
        if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
            at = f"{self.doc.file}:{line}"
            why = "The text holds a null or half a character, which no file or page can show."
            self.doc.problems.append(
                Problem(at, dotted(place), text, why, "Write letters; remove the \\0 or \\ud... of the quotes.")
            )
            text = "".join("?" if c == "\0" or "\ud800" <= c <= "\udfff" else c for c in text)
        return text

    def scalar(self, node: Any, place: Place) -> Any:
        text = self.plain_text(str(node.value), place, node.start_mark.line + 1)
        self.doc.texts[place] = text
        tag = str(node.tag or "")
        if tag.startswith("!") or (tag and not tag.startswith("tag:yaml.org,2002:")) or "python" in tag:
            self.doc.problem(place, f'The tag "{tag}" is not used here.', "Write the plain value.")
            return None
        if node.style is not None:  # quoted or block text stays text
            return text
        return plain(text)


def plain(text: str) -> Any:
    """What an unquoted word of a file means: a number, a truth value, nothing, or the text itself."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.match(text) and len(text) < 40:
        return int(text)
    try:
        return numbers.number(text) if _FLOAT.match(text) else text
    except ValueError:  # too small for a number: words, which no field of numbers takes
        return text

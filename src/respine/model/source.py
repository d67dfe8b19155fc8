"""What a user calls a model: a name of the library, a file, or the text itself."""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from respine.errors import InputError, Problem, printable
from respine.model.limits import Limits

SUFFIXES = {".xml": "SBML", ".sbml": "SBML", ".ant": "Antimony", ".antimony": "Antimony"}
_KINDS = {
    stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe, which may never end", stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
}  # fmt: skip
_DECLARATION = re.compile(r"<\?xml\s[^>]*\?>")
_CURE = "Give an SBML file (.xml), an Antimony file (.ant), or the text itself."


@dataclass(frozen=True)
class Source:
    """A document from outside: its language, its bytes, and what messages call it."""

    name: str
    language: Literal["SBML", "Antimony"]
    data: bytes
    folder: Path | None = None  # where files it names are looked for


def is_text(given: str | Path) -> bool:
    """Whether this is the text of a model rather than the name of one."""
    return isinstance(given, str) and ("\n" in given or given.lstrip("\ufeff \t").startswith("<"))


def from_text(text: str, limits: Limits) -> Source:
    """SBML or Antimony text. Raises InputError."""
    language: Literal["SBML", "Antimony"] = "SBML" if text.lstrip("\ufeff \t\r\n").startswith("<") else "Antimony"
    name = f"{language} text"
    if language == "SBML":
        text = declared_as_utf8(text.lstrip("\ufeff \t\r\n"))
    data = text.lstrip("\ufeff").encode("utf-8", "surrogatepass")  # half characters are refused as bytes
    _check_size(name, len(data), limits)
    if language == "Antimony":
        _antimony_text(name, data)
    return Source(name, language, data)


def from_file(path: Path, limits: Limits) -> Source:
    """The content of a regular file, SBML or Antimony by its suffix or else its first sign. Raises InputError."""
    name = str(path)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            kind = _KINDS.get(stat.S_IFMT(status.st_mode), "no file")
            raise InputError(Problem(name, "file", "", f"this is {kind}, not a file of text.", _CURE))
        _check_size(name, status.st_size, limits)
        with path.open("rb") as file:
            data = file.read(int(limits.megabytes * 1e6) + 1)  # a file may grow while it is read
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(Problem(name, "file", "", "there is no such file.", _CURE)) from None
    except (OSError, ValueError) as fault:  # ValueError: a zero byte in the name
        reason = fault.strerror if isinstance(fault, OSError) and fault.strerror else str(fault)
        raise InputError(Problem(name, "file", "", f"it cannot be read: {reason}.", "Check its permissions.")) from None
    _check_size(name, len(data), limits)
    start = data.lstrip(b"\xef\xbb\xbf \t\r\n")
    if not start:
        raise InputError(Problem(name, "file", "", "the file is empty.", _CURE))
    language = SUFFIXES.get(path.suffix.lower()) or (
        "SBML" if start.startswith((b"<", b"\xff\xfe", b"\xfe\xff")) else "Antimony"
    )
    if language == "SBML":
        return Source(name, "SBML", data, path.parent)
    _antimony_text(name, data)
    return Source(name, "Antimony", data, path.parent)


def declared_as_utf8(text: str) -> str:
    """XML text with a declaration that says UTF-8: libSBML checks no further where there is none, or another."""
    match = _DECLARATION.match(text)
    rest = text[match.end() :] if match else text
    lines = match[0].count("\n") if match else 0
    return '<?xml version="1.0" encoding="UTF-8"?>' + "\n" * lines + rest


def _check_size(name: str, size: int, limits: Limits) -> None:
    if size > limits.megabytes * 1e6:
        why = f"it holds {size / 1e6:.0f} MB; respine reads models of up to {limits.megabytes:g} MB."
        raise InputError(Problem(name, "size", "", why, "Write limits=Limits(megabytes=...) if it is meant."))


def _antimony_text(name: str, data: bytes) -> None:
    """Refuse what is no text: other encodings, and bytes that no editor writes."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        line = data.count(b"\n", 0, fault.start) + 1
        why = f"byte {data[fault.start]:#04x} is not UTF-8 text."
        raise InputError(Problem(f"{name}:{line}", "encoding", "", why, "Save the file as UTF-8.")) from None
    for number, row in enumerate(text.split("\n"), start=1):
        control = next((c for c in row if ord(c) < 32 and c not in "\t\r\f"), None)
        if control is not None:
            why = f"the character {printable(control)} is no text."
            raise InputError(Problem(f"{name}:{number}", "text", "", why, "Remove it, or give a text file."))

"""The text of a file of NONMEM's: control stream, data or printed table."""

from __future__ import annotations

from pathlib import Path

from respine.errors import InputError, Problem


def text_of(path: Path, field: str, cure: str, most_bytes: int) -> str:
    """The text of a file, UTF-8 or else Latin-1; ``field`` names it in errors, ``cure`` says what to give. Raises InputError."""
    why = ""
    try:
        if not path.is_file():
            why = "This is a folder." if path.is_dir() else "There is no such file."
        elif path.stat().st_size > most_bytes:
            why = f"The file is larger than {most_bytes / 1e6:g} MB."
        elif b"\0" in (data := path.read_bytes()):
            why = "The file holds zero bytes, so it is no text."
    except OSError as error:
        why = f"The file cannot be read: {error.strerror}."
    if why:
        raise InputError(Problem(str(path), field, path.name, why, cure))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")

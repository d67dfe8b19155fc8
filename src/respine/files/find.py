"""The file behind a path, or behind a name of the library."""

from __future__ import annotations

from pathlib import Path

from respine.errors import InputError, Problem
from respine.files.suggest import nearest
from respine.library import Library


def find(path_or_name: str | Path, kind: str, file_type: str, library: Library, beside: Path | None = None) -> Path:
    """The file of a path, or of a name in the library. Raises InputError if there is neither."""
    text = str(path_or_name)
    path = Path(text).expanduser()
    if beside is not None and not path.is_absolute():
        path = beside / path
    if path.suffix in (".yaml", ".yml") or path.is_file() or (isinstance(path_or_name, Path)):
        if path.exists():
            return path
        why = f"There is no such {file_type} file."
        raise InputError(
            Problem(text, file_type, "", why, f"Check the path, or name one of the library: {_listed(library, kind)}.")
        )
    if text in library.names(kind):
        return library.path(kind, text)
    why = f'The library has no {file_type} of this name and there is no file "{path}".'
    raise InputError(Problem(text, file_type, text, why, nearest(text, library.names(kind))))


def _listed(library: Library, kind: str) -> str:
    names = library.names(kind)
    return ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")

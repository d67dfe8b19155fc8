"""Files that are whole or not there: written beside, forced to the disk, renamed; and the same bytes for the same
table.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any


def cache_folder() -> Path:
    """Where compiled code and checked systems are kept: ``$RESPINE_CACHE``, else the user's cache folder."""
    own = os.environ.get("RESPINE_CACHE")
    if own:
        return Path(own)
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path("~/.cache").expanduser()) / "respine"


def fingerprint(*parts: str | bytes | Path, root: Path | None = None) -> str:
    """Hexadecimal SHA-256 of texts, bytes and files; a file counts with its name (below ``root``) and its content.

    Every part is preceded by its length, so that no two lists of parts are told apart by their borders alone.
    """
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            name = part.relative_to(root).as_posix() if root is not None else part.name
            pieces = [name.encode(), part.read_bytes()]
        else:
            pieces = [part.encode() if isinstance(part, str) else part]
        for piece in pieces:
            digest.update(len(piece).to_bytes(8, "big") + piece)
    return digest.hexdigest()


def code_fingerprint(*rooms: str) -> str:
    """SHA-256 over the Python code of these rooms."""
    root = Path(__file__).parent.parent
    return fingerprint(*(f for room in rooms for f in sorted((root / room).rglob("*.py"))), root=root)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file in one step: a reader sees the old one or the new one. Raises OSError."""
    beside = path.with_name(f".{path.name}.part")
    try:
        with beside.open("wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Write JSON in one step, keys in the order given."""
    write_bytes(path, (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode())


def write_folder(path: Path, files: dict[str, bytes]) -> dict[str, str]:
    """Write a folder of files in one step; returns the SHA-256 of each. Raises OSError."""
    beside = path.with_name(f".{path.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        beside.mkdir(parents=True)
        for name, data in files.items():
            with (beside / name).open("wb") as out:
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
        _sync_folder(beside)
        if path.exists():
            shutil.rmtree(path)
        os.replace(beside, path)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    _sync_folder(path.parent)
    return {name: sha256(data) for name, data in files.items()}


def _sync_folder(path: Path) -> None:
    with contextlib.suppress(OSError):  # some file systems cannot; the rename is atomic all the same
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sha256(data: bytes) -> str:
    """Hexadecimal SHA-256."""
    return hashlib.sha256(data).hexdigest()


def file_sha256(path: Path) -> str | None:
    """SHA-256 of a file, or None where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None

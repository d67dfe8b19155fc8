"""Files that are whole or not there: written beside, forced to the disk, renamed; and the same bytes for the same
table.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def cache_folder() -> Path:
    """Where compiled code and checked systems are kept: ``$RESPINE_CACHE``, else the user's cache folder."""
    own = os.environ.get("RESPINE_CACHE")
    if own:
        return Path(own)
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path("~/.cache").expanduser()) / "respine"


def read_kept(name: str) -> bytes | None:
    """A file of the cache, None where there is none.

    Only what this user alone can have written is taken: the cache folder, the folder of the file and the file itself
    belong to the user and nobody else may write to them. Else the file is left out, with one warning.
    """
    path = cache_folder() / name
    try:
        flags = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(path, os.O_RDONLY | flags), "rb") as file:
            places = ((path, os.fstat(file.fileno())), *_folders_above(path))
            strange = next((at for at, facts in places if not _of_this_user(facts)), None)
            if strange is None:
                return file.read()
    except OSError:
        return None
    _warn_once(strange)
    return None


def write_kept(name: str, data: bytes) -> None:
    """Keep a file in the cache, for this user alone; without a folder of the user's own nothing is kept."""
    path, temporary = cache_folder() / name, ""
    try:
        for folder in (cache_folder(), path.parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not all(_of_this_user(facts) for _, facts in _folders_above(path)):
            return
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        with os.fdopen(handle, "wb") as out:
            out.write(data)
        os.replace(temporary, path)
    except OSError:
        if temporary:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


@dataclass(frozen=True)
class Cached:
    """A file of the cache: its ``kind`` (the folder it lies in, else ``other``), bytes, and when it was used last."""

    path: Path
    kind: str
    size: int
    used: float


def cached() -> list[Cached]:
    """The files of the cache; links are left out, and files that go meanwhile."""
    root, entries = cache_folder(), []
    for path in sorted(root.rglob("*")) if root.is_dir() else ():
        with contextlib.suppress(OSError):
            facts = path.lstat()
            if stat.S_ISREG(facts.st_mode):
                inside = path.relative_to(root).parts
                kind = inside[0] if len(inside) > 1 else "other"
                entries.append(Cached(path, kind, facts.st_size, max(facts.st_atime, facts.st_mtime)))
    return entries


def trim_cache(size: float | None, age: float | None) -> list[Cached]:
    """Remove files of the cache: those used longest ago until ``size`` bytes are left, those not used for ``age`` seconds.

    Returns what was removed. Files that this user may not remove stay.
    """
    import time

    files = sorted(cached(), key=lambda file: file.used)
    total, removed, now = sum(file.size for file in files), [], time.time()
    for file in files:
        old = age is not None and now - file.used > age
        if not old and (size is None or total <= size):
            continue
        with contextlib.suppress(OSError):
            file.path.unlink()
            removed.append(file)
            total -= file.size
    return removed


def _folders_above(path: Path) -> list[tuple[Path, os.stat_result]]:
    """The folders of the cache that hold a file, innermost first."""
    root = cache_folder()
    return [(folder, folder.stat()) for folder in path.parents if folder == root or root in folder.parents]


def _of_this_user(facts: os.stat_result) -> bool:
    """Whether a file or folder belongs to this user and nobody else may write to it; always so on Windows."""
    if not hasattr(os, "geteuid"):
        return True
    regular = stat.S_ISREG(facts.st_mode) or stat.S_ISDIR(facts.st_mode)
    return regular and facts.st_uid == os.geteuid() and not facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


@functools.cache
def _warn_once(path: Path) -> None:
    import warnings

    own = path.stat().st_uid == os.geteuid()
    why, cure = ("others may write to it", f"chmod go-w {path}") if own else ("it belongs to another user", "remove it")
    warnings.warn(
        f"the cache is left out, for {path}: {why}; {cure}, or set RESPINE_CACHE to a folder of your own", stacklevel=2
    )


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
    """Write a file in one step: a reader sees the old one or the new one; links are replaced, not followed.

    Raises OSError.
    """
    beside = path.with_name(f".{path.name}.part")
    try:
        remove(beside)
        _write_new(beside, data)
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_by_many(path: Path, data: bytes) -> None:
    """As ``write_bytes`` where several processes may write the same file at once: each beside it under a name of its own."""
    handle, beside = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        if path.is_dir() and not path.is_symlink():
            remove(path)
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise
    sync_folder(path.parent)


def settle(beside: Path, path: Path) -> None:
    """Give a file that was written beside its place its name, once it is on the disk. Raises OSError."""
    handle = os.open(beside, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    os.replace(beside, path)
    sync_folder(path.parent)


def _write_new(path: Path, data: bytes) -> None:
    """Write a file that is not there yet, down to the disk; what lies there already, a link too, is an error."""
    with path.open("xb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())


def remove(path: Path) -> None:
    """Remove a file, a link (never what it leads to) or a folder with all it holds; nothing if there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def is_plain_file(path: Path) -> bool:
    """Whether a regular file lies here: no folder, pipe or device; links to regular files count. Raises OSError."""
    return stat.S_ISREG(path.stat().st_mode)


def write_json(path: Path, value: Any) -> None:
    """Write JSON in one step, keys in the order given."""
    write_bytes(path, json_bytes(value))


def json_bytes(value: Any) -> bytes:
    """JSON as ``write_json`` writes it."""
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()


def write_folder(path: Path, files: dict[str, bytes]) -> dict[str, str]:
    """Write a folder of files in one step; returns the SHA-256 of each. The folder around it must be there.

    Raises OSError.
    """
    beside = path.with_name(f".{path.name}.part")
    try:
        remove(beside)
        beside.mkdir()
        for name, data in files.items():
            _write_new(beside / name, data)
        sync_folder(beside)
        remove(path)
        os.replace(beside, path)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    sync_folder(path.parent)
    return {name: sha256(data) for name, data in files.items()}


def sync_folder(path: Path) -> None:
    """Force the names in a folder to the disk."""
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

"""Files that are whole or not there: written beside, forced to the disk, renamed; and the same bytes for the same
table.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd


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


def parquet(table: pd.DataFrame) -> bytes:
    """A table as Parquet: the same bytes for the same values (no index, no time stamp, fixed compression)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrow = pa.Table.from_pandas(_plain(table), preserve_index=False).replace_schema_metadata(None)
    sink = io.BytesIO()
    pq.write_table(arrow, sink, compression="zstd", compression_level=3, version="2.6", use_dictionary=True)
    return sink.getvalue()


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    """Texts as plain strings, also where a column is empty, so that an empty table has the types of a full one."""
    texts = [
        name
        for name in table.columns
        if (table[name].dtype == object or isinstance(table[name].dtype, pd.StringDtype))
        and all(value is None or isinstance(value, str) for value in table[name])
    ]
    return table.astype(dict.fromkeys(texts, "string"))


def read_parquet(path: Path) -> pd.DataFrame:
    """A table written by ``parquet``."""
    import pyarrow.parquet as pq

    return pq.read_table(path).to_pandas()


def array(values: np.ndarray) -> bytes:
    """An array in NumPy's own format."""
    sink = io.BytesIO()
    np.save(sink, values, allow_pickle=False)
    return sink.getvalue()

"""A shard on disk: one file with its tables, its receipt and a checksum of all of it, so that it vouches for itself.

A ZIP archive without compression (its members are compressed already) whose comment is the SHA-256 of all bytes before it.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

RECEIPT = "receipt.json"
ENDING = ".shard"
_DIGITS = 64


@dataclass(frozen=True)
class Loaded:
    """What a shard file holds: its receipt, its members' bytes by name, and the SHA-256 it is known by."""

    receipt: dict[str, Any]
    members: dict[str, bytes]
    sha256: str


def pack(members: Mapping[str, bytes], receipt: Mapping[str, Any]) -> bytes:
    """The bytes of a shard file: the same for the same content."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        text = json.dumps(receipt, sort_keys=True).encode()
        for name, data in {RECEIPT: text, **members}.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    body = sink.getvalue()[:-2]  # the last two bytes are the length of the comment
    return body + struct.pack("<H", _DIGITS) + digest(body).encode()


def digest(body: bytes | memoryview) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(body).hexdigest()


def unpack(data: bytes) -> Loaded | None:
    """What a shard file holds; None where a single byte of it is not as it was written."""
    known = checksum(data)
    if known is None:
        return None
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        receipt = json.loads(members.pop(RECEIPT))
    except (zipfile.BadZipFile, KeyError, ValueError, OSError):
        return None
    return Loaded(receipt, members, known) if isinstance(receipt, dict) else None


def checksum(data: bytes) -> str | None:
    """The checksum a shard file ends with, None where it is not that of the bytes before it."""
    end = len(data) - _DIGITS - 2
    if end <= 0 or data[end : end + 2] != struct.pack("<H", _DIGITS):
        return None
    said = data[end + 2 :]
    return said.decode() if digest(memoryview(data)[:end]).encode() == said else None

"""Reading and writing the binary format of WebAssembly: numbers of variable length, names, sections.

https://webassembly.github.io/spec/core/binary/index.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

MAGIC = b"\0asm\1\0\0\0"
CUSTOM, TYPE, IMPORT, FUNCTION, TABLE, MEMORY, GLOBAL, EXPORT, START, ELEMENT, CODE, DATA, DATA_COUNT = range(13)
SECTION_ORDER = (TYPE, IMPORT, FUNCTION, TABLE, MEMORY, GLOBAL, EXPORT, START, ELEMENT, DATA_COUNT, CODE, DATA)
PADDED = 5  # bytes in which an object file writes a number that a linker may change


def unsigned(value: int, size: int = 0) -> bytes:
    """LEB128 of a number from 0 on, stretched to ``size`` bytes where that is given."""
    result = bytearray()
    while True:
        low, value = value & 0x7F, value >> 7
        more = value > 0 or len(result) + 1 < size
        result.append(low | (0x80 if more else 0))
        if not more:
            return bytes(result)


def signed(value: int, size: int = 0) -> bytes:
    """Signed LEB128, stretched to ``size`` bytes where that is given."""
    result = bytearray()
    while True:
        low, value = value & 0x7F, value >> 7
        done = (value == 0 and not low & 0x40) or (value == -1 and bool(low & 0x40))
        more = not done or len(result) + 1 < size
        result.append(low | (0x80 if more else 0))
        if not more:
            return bytes(result)


def name(text: str) -> bytes:
    """A string with its length before it."""
    return unsigned(len(text.encode())) + text.encode()


def vector(items: list[bytes]) -> bytes:
    """Several things with their number before them."""
    return unsigned(len(items)) + b"".join(items)


def section(kind: int, body: bytes) -> bytes:
    """A section of a module."""
    return bytes([kind]) + unsigned(len(body)) + body


class Reader:
    """Goes through bytes from left to right."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data, self.at = data, at

    @property
    def more(self) -> bool:
        """Whether bytes are left."""
        return self.at < len(self.data)

    def byte(self) -> int:
        """The next byte."""
        self.at += 1
        return self.data[self.at - 1]

    def bytes(self, count: int) -> bytes:
        """So many bytes."""
        self.at += count
        return self.data[self.at - count : self.at]

    def unsigned(self) -> int:
        """The next LEB128 number without sign."""
        result = shift = 0
        while True:
            byte = self.byte()
            result |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return result

    def signed(self) -> int:
        """The next LEB128 number with sign."""
        result = shift = 0
        while True:
            byte = self.byte()
            result |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return result - (1 << shift) if byte & 0x40 else result

    def name(self) -> str:
        """The next name, UTF-8 with its length before it."""
        return self.bytes(self.unsigned()).decode()


@dataclass(frozen=True)
class Section:
    """A section of a module: its kind, its name where it is custom, and its contents after the name."""

    kind: int
    name: str
    body: bytes


def sections(module: bytes) -> Iterator[Section]:
    """All sections of a module in order. Raises ValueError for what is no module."""
    if not module.startswith(MAGIC):
        raise ValueError("this is no WebAssembly module of version 1")
    reader = Reader(module, len(MAGIC))
    while reader.more:
        kind = reader.byte()
        body = reader.bytes(reader.unsigned())
        inside = Reader(body)
        label = inside.name() if kind == CUSTOM else ""
        yield Section(kind, label, body[inside.at :])

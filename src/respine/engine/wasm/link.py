"""A relocatable object of LLVM -> a module that can be instantiated, by a linker of our own: no tool is asked of the user.

One object is linked at a time, which is what the engine emits. Functions keep their numbers; the memory becomes the
module's own and is exported with the kernels; constants move to ``DATA_AT``; the stack pointer becomes a global of the
module; what the object calls from outside must be in ``MATH`` and is imported.

Conventions: https://github.com/WebAssembly/tool-conventions/blob/main/Linking.md
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from respine.engine.wasm import binary
from respine.engine.wasm.binary import PADDED, Reader

MATH = frozenset(("acos", "asin", "atan"))  # functions of one number that the page or Node provides
DATA_AT = 1024  # nothing lies at address 0, as a null pointer means nothing
STACK = 65536  # bytes; kernels keep their numbers in the workspace and hardly use it
PAGE = 65536

_SYMBOL_TABLE, _SEGMENT_INFO = 8, 5
_FUNCTION, _DATA, _GLOBAL = 0, 1, 2  # kinds of symbols
_SECTION = 3
_LOCAL, _HIDDEN, _UNDEFINED, _EXPLICIT_NAME = 0x2, 0x4, 0x10, 0x40  # flags of symbols
_INDEX_LEB, _ADDRESS_LEB, _ADDRESS_SLEB, _ADDRESS_I32, _TYPE_LEB, _GLOBAL_LEB = 0, 3, 4, 5, 6, 7  # relocations
_KEPT = frozenset((_INDEX_LEB, _TYPE_LEB, _GLOBAL_LEB))  # of one object, these numbers are right already


@dataclass(frozen=True)
class _Symbol:
    kind: int
    name: str
    flags: int
    index: int = 0  # of a function or global
    segment: int = 0  # of data
    offset: int = 0


@dataclass(frozen=True)
class _Relocation:
    kind: int
    offset: int
    symbol: int
    addend: int


@dataclass
class _Object:
    """A relocatable object, taken apart."""

    bodies: dict[int, bytes] = field(default_factory=dict)
    kinds: list[int] = field(default_factory=list)  # of the sections, in order
    symbols: list[_Symbol] = field(default_factory=list)
    relocations: dict[int, list[_Relocation]] = field(default_factory=dict)  # by section kind


@dataclass(frozen=True)
class Linked:
    """A module, and the first address that is free for workspaces."""

    module: bytes
    free_from: int


def link(object_code: bytes, exports: Sequence[str]) -> Linked:
    """Link one object. Raises ValueError for an export it lacks or a function it calls that nobody provides."""
    parts = _take_apart(object_code)
    segments, data_end = _place(parts)
    free_from = -(-(data_end + STACK) // 64) * 64
    for kind, relocations in parts.relocations.items():
        parts.bodies[kind] = _relocate(parts, kind, relocations, segments)
    imports, has_stack = _imports(parts)
    bodies = dict(parts.bodies)
    bodies[binary.IMPORT] = imports
    bodies[binary.MEMORY] = binary.vector([b"\0" + binary.unsigned(-(-free_from // PAGE))])
    if has_stack:
        start = b"\x7f\x01\x41" + binary.signed(free_from) + b"\x0b"  # i32, mutable, i32.const top of the stack
        bodies[binary.GLOBAL] = binary.vector([start])
    bodies[binary.EXPORT] = _exports(parts, exports)
    if binary.DATA in bodies:
        bodies[binary.DATA] = _data(bodies[binary.DATA], segments)
    kept = [kind for kind in binary.SECTION_ORDER if bodies.get(kind, b"\0") != b"\0"]
    module = binary.MAGIC + b"".join(binary.section(kind, bodies[kind]) for kind in kept)
    return Linked(module, free_from)


# ---- reading --------------------------------------------------------------------------------------------------------
def _take_apart(object_code: bytes) -> _Object:
    parts = _Object()
    for section in binary.sections(object_code):
        if section.name == "linking":
            parts.symbols = _symbols(Reader(section.body))
        elif section.name.startswith("reloc."):
            reader = Reader(section.body)
            kind = parts.kinds[reader.unsigned()]
            parts.relocations[kind] = _relocations(reader)
        if section.kind != binary.CUSTOM:
            parts.bodies[section.kind] = section.body
        parts.kinds.append(section.kind)
    parts.relocations.pop(binary.CUSTOM, None)  # of debug information, which is dropped
    return parts


def _symbols(reader: Reader) -> list[_Symbol]:
    version = reader.unsigned()
    if version != 2:
        raise ValueError(f"the object's linking section has version {version}; 2 is known")
    while reader.more:
        kind, size = reader.byte(), reader.unsigned()
        if kind == _SYMBOL_TABLE:
            table = Reader(reader.bytes(size))
            return [_symbol(table) for _ in range(table.unsigned())]
        reader.bytes(size)
    return []


def _symbol(reader: Reader) -> _Symbol:
    kind, flags = reader.byte(), reader.unsigned()
    if kind == _DATA:
        label = reader.name()
        if flags & _UNDEFINED:
            return _Symbol(kind, label, flags)
        segment, offset = reader.unsigned(), reader.unsigned()
        reader.unsigned()  # its size
        return _Symbol(kind, label, flags, segment=segment, offset=offset)
    if kind == _SECTION:
        return _Symbol(kind, "", flags, index=reader.unsigned())
    index = reader.unsigned()
    named = not flags & _UNDEFINED or flags & _EXPLICIT_NAME
    return _Symbol(kind, reader.name() if named else "", flags, index=index)


def _relocations(reader: Reader) -> list[_Relocation]:
    result = []
    for _ in range(reader.unsigned()):
        kind, offset, symbol = reader.byte(), reader.unsigned(), reader.unsigned()
        if kind not in _KEPT and kind not in (_ADDRESS_LEB, _ADDRESS_SLEB, _ADDRESS_I32):
            raise ValueError(f"the object has a relocation of kind {kind}, which this linker does not know")
        addend = 0 if kind in _KEPT else reader.signed()
        result.append(_Relocation(kind, offset, symbol, addend))
    return result


# ---- placing --------------------------------------------------------------------------------------------------------
def _place(parts: _Object) -> tuple[list[int], int]:
    """Address of each data segment, and the end of the last."""
    addresses, at = [], DATA_AT
    for _, body in _segments(parts.bodies.get(binary.DATA, b"\0")):
        at = -(-at // 64) * 64
        addresses.append(at)
        at += len(body)
    return addresses, at


def _segments(body: bytes) -> list[tuple[int, bytes]]:
    """(offset in the section, bytes) of every data segment."""
    reader, result = Reader(body), []
    for _ in range(reader.unsigned()):
        flags = reader.unsigned()
        if flags != 0:
            raise ValueError(f"the object has a data segment with flags {flags}; only plain ones are known")
        reader.byte(), reader.signed(), reader.byte()  # i32.const, address, end
        size = reader.unsigned()
        result.append((reader.at, reader.bytes(size)))
    return result


def _relocate(parts: _Object, kind: int, relocations: Sequence[_Relocation], addresses: Sequence[int]) -> bytes:
    body = bytearray(parts.bodies[kind])
    for relocation in relocations:
        if relocation.kind in _KEPT:
            continue
        symbol = parts.symbols[relocation.symbol]
        if symbol.flags & _UNDEFINED:
            raise ValueError(f"the object refers to {symbol.name}, which it does not hold")
        address = addresses[symbol.segment] + symbol.offset + relocation.addend
        if relocation.kind == _ADDRESS_I32:
            body[relocation.offset : relocation.offset + 4] = address.to_bytes(4, "little")
        else:
            write = binary.unsigned if relocation.kind == _ADDRESS_LEB else binary.signed
            body[relocation.offset : relocation.offset + PADDED] = write(address, PADDED)
    return bytes(body)


def _data(body: bytes, addresses: Sequence[int]) -> bytes:
    placed = []
    for (_, content), address in zip(_segments(body), addresses, strict=True):
        placed.append(b"\0\x41" + binary.signed(address) + b"\x0b" + binary.unsigned(len(content)) + content)
    return binary.vector(placed)


# ---- what goes in and out ------------------------------------------------------------------------------------------
def _imports(parts: _Object) -> tuple[bytes, bool]:
    """The imports that stay: functions of ``MATH``; and whether the object uses the stack."""
    reader, kept, has_stack = Reader(parts.bodies.get(binary.IMPORT, b"\0")), [], False
    for _ in range(reader.unsigned()):
        start = reader.at
        _, label, kind = reader.name(), reader.name(), reader.byte()
        if kind == 0:
            reader.unsigned()
            if label not in MATH:
                known = ", ".join(sorted(MATH))
                raise ValueError(f"the object calls {label}, which is not provided; it may call {known}")
            kept.append(reader.data[start : reader.at])
        elif kind == 2:
            reader.unsigned() if reader.byte() == 0 else (reader.unsigned(), reader.unsigned())
        elif kind == 3 and label == "__stack_pointer":
            reader.bytes(2)
            has_stack = True
        else:
            raise ValueError(f"the object imports {label} of kind {kind}, which this linker does not know")
    return binary.vector(kept), has_stack


def _exports(parts: _Object, exports: Sequence[str]) -> bytes:
    defined = {
        symbol.name: symbol.index
        for symbol in parts.symbols
        if symbol.kind == _FUNCTION and not symbol.flags & (_LOCAL | _UNDEFINED)
    }
    missing = [label for label in exports if label not in defined]
    if missing:
        raise ValueError(f"the object lacks {', '.join(missing)}")
    functions = [binary.name(label) + b"\0" + binary.unsigned(defined[label]) for label in exports]
    return binary.vector([*functions, binary.name("memory") + b"\2" + binary.unsigned(0)])

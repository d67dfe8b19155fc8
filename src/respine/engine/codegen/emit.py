"""Programs as LLVM IR text with explicit vectors; one function a program."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence

import numpy as np

from respine.engine.codegen.functions import LIBRARY_CALLS
from respine.engine.codegen.layout import Layout
from respine.engine.codegen.program import READ_ONLY, Program, operands
from respine.engine.codegen.target import Target

_COMPARE = {"lt": "olt", "le": "ole", "gt": "ogt", "ge": "oge", "eq": "oeq", "ne": "une"}
_ARITHMETIC = {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv"}
_BITS = {"integer_add": "add", "bit_and": "and", "bit_or": "or", "shift_left": "shl", "shift_right": "lshr"}
_LOGIC = {"and": "and", "or": "or", "xor": "xor"}


LONG, PART = 2_500, 300  # operations of a function that is cut into parts, and of a part: see PartedBody
VERY_LONG = 8_000  # operations of one whose values wait in memory from part to part
_NO_NUMBERS = frozenset((*_COMPARE, *_LOGIC, *_BITS, "not", "as_bits", "bit_xor_values", "bit_and_values"))


def crossings(program: Program) -> dict[int, int]:
    """The values of a very long function that are wanted in a later part than their own, and a place in memory for each.

    What can be read again from where it lies is; masks and bits stay in registers.
    """
    last_part: dict[int, int] = {}
    if len(program.operations) <= VERY_LONG:
        return last_part
    for k, operation in enumerate(program.operations):
        for x in operands(operation):
            op = program.operations[x][0]
            if x // PART != k // PART and x not in last_part and op not in _NO_NUMBERS and not _lies_there(program, x):
                last_part[x] = len(last_part)
    return last_part


def _lies_there(program: Program, k: int) -> bool:
    op, *a = program.operations[k]
    return op in ("const", "true", "false", "broadcast") or (op == "load" and a[0] in READ_ONLY)


class Emitter:
    """Writes IR for one target and layout; keeps track of the intrinsics it used."""

    parts = True  # whether long functions are cut

    def __init__(self, target: Target, layout: Layout) -> None:
        self.target, self.layout = target, layout
        self._declared: dict[str, str] = {}

    # ---- constants and addresses ------------------------------------------------------------------------------------
    def number(self, value: float) -> str:
        """A number as LLVM writes it."""
        value = value if self.target.double else float(np.float32(value))
        if value != value:
            value = math.nan
        return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"

    def splat(self, value: float) -> str:
        """A number in all lanes."""
        t = self.target
        return "<" + ", ".join([f"{t.scalar} {self.number(value)}"] * t.lanes) + ">"

    def _integers(self, value: int) -> str:
        t = self.target
        bits = value - (1 << t.bits) if value >> (t.bits - 1) else value
        return "<" + ", ".join([f"i{t.bits} {bits}"] * t.lanes) + ">"

    def _table(self, values: Sequence[float]) -> str:
        return "<" + ", ".join(f"{self.target.scalar} {self.number(v)}" for v in values) + ">"

    def address(self, name: str, offset: int, base: str = "%w") -> str:
        """Address of a row of the workspace."""
        return f"  {name} = getelementptr {self.target.scalar}, ptr {base}, i64 {offset * self.target.lanes}"

    def intrinsic(self, name: str, result: str, *parameters: str) -> str:
        """The intrinsic's name, remembered for its declaration."""
        self._declared[name] = f"declare {result} @{name}({', '.join(parameters)})"
        return f"@{name}"

    def math(self, name: str, count: int) -> str:
        """A call of LLVM's intrinsic function."""
        t = self.target
        if name == "fma" and not t.fused:
            name = "fmuladd"  # a multiplication and an addition, rounded each
        return self.intrinsic(f"llvm.{name}.v{t.lanes}f{t.bits}", t.vector, *[t.vector] * count)

    def declarations(self) -> str:
        """Declarations of the functions that were used."""
        return "\n".join(sorted(self._declared.values()))

    # ---- functions --------------------------------------------------------------------------------------------------
    def body(self, pointers: tuple[str, ...]) -> Body:
        """An empty body of a function with these pointers, to be written."""
        return Body(self, pointers)

    def function(self, name: str, program: Program, pointers: Sequence[str] = ()) -> str:
        """IR of ``name(w, *pointers)``; areas named in ``pointers`` are addressed from those instead of ``w``.

        ``program`` must be spelled out (see lowering.py). Nothing else is where a pointer points, but for ``factors``: the
        compiler, which would keep what was stored there and spill it elsewhere, must read it again.
        """
        body = self.body(tuple(pointers))
        if self.parts and len(program.operations) > LONG:
            body = PartedBody(self, tuple(pointers), program)
        for k, (op, *a) in enumerate(program.operations):
            body.operation(k, op, a)
        body.close()
        arguments = "".join(f", ptr {'' if p == 'factors' else 'noalias '}%{p}" for p in pointers)
        head = f"define internal void @{name}(ptr %w{arguments}) noinline nounwind {{"
        return "\n".join([head, *body.lines, "  ret void", "}"])


class Body:
    """The lines of one function, operation by operation."""

    def __init__(self, emitter: Emitter, pointers: Sequence[str]) -> None:
        self.e, self.t, self.pointers = emitter, emitter.target, pointers
        self.lines: list[str] = []
        self.names: dict[int, str] = {}

    def line(self, text: str) -> None:
        """Write a line of IR."""
        self.lines.append("  " + text)

    def close(self) -> None:
        """After the last operation."""

    def operation(self, k: int, op: str, a: list) -> None:
        """Write one operation."""
        result = f"%v{k}"
        self.names[k] = result
        handler = getattr(self, f"_{op}", None)
        if handler:
            handler(k, result, *a)
            return
        v, n = self.t.vector, self.names
        if op in _ARITHMETIC:
            self.line(f"{result} = {_ARITHMETIC[op]} contract {v} {n[a[0]]}, {n[a[1]]}")
        elif op in _COMPARE:
            self.line(f"{result} = fcmp {_COMPARE[op]} {v} {n[a[0]]}, {n[a[1]]}")
        elif op in _LOGIC:
            self.line(f"{result} = {_LOGIC[op]} {self.t.mask} {n[a[0]]}, {n[a[1]]}")
        elif op in _BITS:
            self.line(f"{result} = {_BITS[op]} {self.t.integer} {n[a[0]]}, {self.e._integers(a[1])}")
        elif op in LIBRARY_CALLS:
            self._library_call(k, result, op, a[0])
        else:
            raise NotImplementedError(f"no machine code for {op}")

    # ---- memory -----------------------------------------------------------------------------------------------------
    def _const(self, k: int, result: str, value: float | str) -> None:
        self.names[k] = self.e.splat(math.nan if value == "nan" else float(value))

    def _true(self, k: int, result: str) -> None:
        self.names[k] = "<" + ", ".join(["i1 true"] * self.t.lanes) + ">"

    def _false(self, k: int, result: str) -> None:
        self.names[k] = "<" + ", ".join(["i1 false"] * self.t.lanes) + ">"

    def _where(self, k: int, area: str, index: int) -> None:
        base, offset = ("%w", self.e.layout.index(area, index)) if area not in self.pointers else (f"%{area}", index)
        self.lines.append(self.e.address(f"%a{k}", offset, base))

    def _load(self, k: int, result: str, area: str, index: int) -> None:
        self._where(k, area, index)
        self.line(f"{result} = load {self.t.vector}, ptr %a{k}, align {self.t.alignment}")

    def _store(self, k: int, result: str, area: str, index: int, value: int) -> None:
        self._where(k, area, index)
        self.line(f"store {self.t.vector} {self.names[value]}, ptr %a{k}, align {self.t.alignment}")

    def _broadcast(self, k: int, result: str, index: int) -> None:
        t, layout = self.t, self.e.layout
        offset = layout.vectors * t.lanes + index * layout.copies
        self.line(f"%a{k} = getelementptr {t.scalar}, ptr %w, i64 {offset}")
        if layout.copies == t.lanes:
            self.line(f"{result} = load {t.vector}, ptr %a{k}, align {t.alignment}")
            return
        self.line(f"%s{k} = load {t.scalar}, ptr %a{k}")
        self.line(f"%i{k} = insertelement {t.vector} poison, {t.scalar} %s{k}, i32 0")
        zeros = f"<{t.lanes} x i32> zeroinitializer"
        self.line(f"{result} = shufflevector {t.vector} %i{k}, {t.vector} poison, {zeros}")

    # ---- arithmetic -------------------------------------------------------------------------------------------------
    def _neg(self, k: int, result: str, a: int) -> None:
        self.line(f"{result} = fneg {self.t.vector} {self.names[a]}")

    def _fma(self, k: int, result: str, a: int, b: int, c: int) -> None:
        self._math(result, "fma", a, b, c)

    def _math(self, result: str, name: str, *parts: int) -> None:
        v = self.t.vector
        arguments = ", ".join(f"{v} {self.names[p]}" for p in parts)
        self.line(f"{result} = call {v} {self.e.math(name, len(parts))}({arguments})")

    def _sqrt(self, k: int, result: str, a: int) -> None:
        self._math(result, "sqrt", a)

    def _abs(self, k: int, result: str, a: int) -> None:
        self._math(result, "fabs", a)

    def _floor(self, k: int, result: str, a: int) -> None:
        self._math(result, "floor", a)

    def _ceil(self, k: int, result: str, a: int) -> None:
        self._math(result, "ceil", a)

    def _max(self, k: int, result: str, a: int, b: int) -> None:
        self._pick(k, result, "ogt", a, b)

    def _min(self, k: int, result: str, a: int, b: int) -> None:
        self._pick(k, result, "olt", a, b)

    def _pick(self, k: int, result: str, relation: str, a: int, b: int) -> None:
        v, x, y = self.t.vector, self.names[a], self.names[b]
        self.line(f"%c{k} = fcmp {relation} {v} {x}, {y}")
        self.line(f"{result} = select {self.t.mask} %c{k}, {v} {x}, {v} {y}")

    def _select(self, k: int, result: str, mask: int, a: int, b: int) -> None:
        v, n = self.t.vector, self.names
        self.line(f"{result} = select {self.t.mask} {n[mask]}, {v} {n[a]}, {v} {n[b]}")

    def _not(self, k: int, result: str, a: int) -> None:
        ones = "<" + ", ".join(["i1 true"] * self.t.lanes) + ">"
        self.line(f"{result} = xor {self.t.mask} {self.names[a]}, {ones}")

    def _library_call(self, k: int, result: str, name: str, a: int) -> None:
        """One scalar call a lane, always in double."""
        t = self.t
        self.e.intrinsic(name, "double", "double")
        current = "poison"
        for lane in range(t.lanes):
            x = f"%x{k}_{lane}"
            self.line(f"{x} = extractelement {t.vector} {self.names[a]}, i32 {lane}")
            if not t.double:
                self.line(f"{x}d = fpext float {x} to double")
                x += "d"
            y = f"%y{k}_{lane}"
            self.line(f"{y} = call double @{name}(double {x})")
            if not t.double:
                self.line(f"{y}s = fptrunc double {y} to float")
                y += "s"
            target = result if lane == t.lanes - 1 else f"%z{k}_{lane}"
            self.line(f"{target} = insertelement {t.vector} {current}, {t.scalar} {y}, i32 {lane}")
            current = target

    # ---- bits -------------------------------------------------------------------------------------------------------
    def _as_bits(self, k: int, result: str, a: int) -> None:
        self.line(f"{result} = bitcast {self.t.vector} {self.names[a]} to {self.t.integer}")

    def _as_number(self, k: int, result: str, a: int) -> None:
        self.line(f"{result} = bitcast {self.t.integer} {self.names[a]} to {self.t.vector}")

    def _bit_xor_values(self, k: int, result: str, a: int, b: int) -> None:
        self.line(f"{result} = xor {self.t.integer} {self.names[a]}, {self.names[b]}")

    def _bit_and_values(self, k: int, result: str, a: int, b: int) -> None:
        self.line(f"{result} = and {self.t.integer} {self.names[a]}, {self.names[b]}")

    # ---- AVX-512 ----------------------------------------------------------------------------------------------------
    def _x86(self, result: str, name: str, parts: Sequence[tuple[str, str]]) -> None:
        suffix = "pd" if self.t.double else "ps"
        types = [kind for kind, _ in parts]
        function = self.e.intrinsic(f"llvm.x86.avx512.{name}.{suffix}.512", self.t.vector, *types)
        self.line(f"{result} = call {self.t.vector} {function}({', '.join(f'{t} {v}' for t, v in parts)})")

    def _masked(self, *parts: tuple[str, str]) -> list[tuple[str, str]]:
        return [*parts, (self.t.vector, "zeroinitializer"), (f"i{self.t.lanes}", "-1")]

    def _rough_reciprocal(self, k: int, result: str, a: int) -> None:
        self._x86(result, "rcp14", self._masked((self.t.vector, self.names[a])))

    def _exponent(self, k: int, result: str, a: int) -> None:
        self._x86(result, "mask.getexp", [*self._masked((self.t.vector, self.names[a])), ("i32", "4")])

    def _mantissa(self, k: int, result: str, a: int) -> None:
        v = self.t.vector
        parts = [(v, self.names[a]), ("i32", "0"), (v, "zeroinitializer"), (f"i{self.t.lanes}", "-1"), ("i32", "4")]
        self._x86(result, "mask.getmant", parts)

    def _scale(self, k: int, result: str, a: int, b: int) -> None:
        v = self.t.vector
        self._x86(result, "mask.scalef", [*self._masked((v, self.names[a]), (v, self.names[b])), ("i32", "4")])

    def _table(self, k: int, result: str, index: int, *values: float) -> None:
        v, i = self.t.vector, (self.t.integer, self.names[index])
        if self.t.double:
            halves = (v, self.e._table(values[:8])), (v, self.e._table(values[8:]))
            name = "llvm.x86.avx512.vpermi2var.pd.512"
            parts = [halves[0], i, halves[1]]
        else:
            name = "llvm.x86.avx512.permvar.sf.512"
            parts = [(v, self.e._table(values)), i]
        function = self.e.intrinsic(name, v, *(t for t, _ in parts))
        self.line(f"{result} = call {v} {function}({', '.join(f'{t} {x}' for t, x in parts)})")


class PartedBody(Body):
    """A long function as basic blocks: what LLVM does with one, and with values that live long, grows faster than its size.

    A branch that is never taken keeps the blocks apart. In very long functions a value wanted in a later part is kept in
    memory meanwhile.
    """

    def __init__(self, emitter: Emitter, pointers: Sequence[str], program: Program) -> None:
        super().__init__(emitter, pointers)
        self.program, self.places = program, crossings(program)
        self.part = 0
        self.at_hand: dict[int, int] = {}  # the part in which a value has its present name

    def operation(self, k: int, op: str, a: list) -> None:
        """Write one operation, in the part that it belongs to."""
        part = k // PART
        if part != self.part:
            self.part = part
            self.line(f"%here{k} = icmp ne ptr %w, null")
            self.lines += [f"  br i1 %here{k}, label %part{k}, label %out", f"part{k}:"]
        for x in operands((op, *a)) if self.places else ():
            if self.at_hand[x] != part:
                self._fetch(x)
        super().operation(k, op, a)
        self.at_hand[k] = part
        if k in self.places:
            self.lines.append(self.e.address(f"%kept{k}", self.e.layout.index("kept", self.places[k])))
            self.line(f"store {self.t.vector} {self.names[k]}, ptr %kept{k}, align {self.t.alignment}")

    def _fetch(self, x: int) -> None:
        """A value of an earlier part, read again."""
        op, *a = self.program.operations[x]
        if x in self.places:
            name = f"{x}_in{self.part}"
            self.lines.append(self.e.address(f"%again{name}", self.e.layout.index("kept", self.places[x])))
            self.line(f"%v{name} = load {self.t.vector}, ptr %again{name}, align {self.t.alignment}")
            self.names[x] = f"%v{name}"
        elif op in ("load", "broadcast"):
            getattr(self, f"_{op}")(f"{x}_in{self.part}", f"%v{x}_in{self.part}", *a)
            self.names[x] = f"%v{x}_in{self.part}"
        self.at_hand[x] = self.part

    def close(self) -> None:
        """End the part at hand."""
        self.lines += ["  br label %out", "out:"]

"""Short loops over the states as LLVM IR: what all states of a lane block have done to them in the same way."""

from __future__ import annotations

from collections.abc import Sequence

from respine.engine.codegen.emit import Emitter


class Loop:
    """IR of ``name(w, *pointers)``: code before the loop, then one loop over q = 0 .. n-1.

    Areas named in ``pointers`` are addressed from those instead of ``w``.
    """

    def __init__(self, emitter: Emitter, name: str, n: int, pointers: Sequence[str] = ()) -> None:
        self.e, self.t, self.n, self.pointers = emitter, emitter.target, n, pointers
        arguments = "".join(f", ptr %{p}" for p in pointers)
        self.lines = [f"define internal void @{name}(ptr %w{arguments}) noinline nounwind {{", "entry:"]
        self.count = 0
        self.inside = False

    def value(self, text: str) -> str:
        """Write a value; returns its name."""
        self.count += 1
        self.lines.append(f"  %x{self.count} = {text}")
        return f"%x{self.count}"

    def loop(self) -> None:
        """Begin a loop over so many rows."""
        self.inside = True
        self.lines += ["  br label %loop", "loop:", "  %q = phi i64 [0, %entry], [%next, %loop]"]
        self.lines.append(f"  %offset = mul nuw nsw i64 %q, {self.t.lanes}")

    def _address(self, area: str, k: int, *, fixed: bool) -> str:
        t = self.t
        base, offset = (f"%{area}", k) if area in self.pointers else ("%w", self.e.layout.index(area, k))
        start = self.value(f"getelementptr {t.scalar}, ptr {base}, i64 {offset * t.lanes}")
        return start if fixed else self.value(f"getelementptr {t.scalar}, ptr {start}, i64 %offset")

    def load(self, area: str, k: int = 0, *, fixed: bool = False) -> str:
        """Read a vector of an area at the loop's row."""
        address = self._address(area, k, fixed=fixed or not self.inside)
        return self.value(f"load {self.t.vector}, ptr {address}, align {self.t.alignment}")

    def store(self, value: str, area: str, k: int = 0, *, fixed: bool = False) -> None:
        """Write a vector of an area at the loop's row."""
        address = self._address(area, k, fixed=fixed)
        self.lines.append(f"  store {self.t.vector} {value}, ptr {address}, align {self.t.alignment}")

    def hidden(self, bits: str, area: str) -> str:
        """The same integers by way of a place in memory, so that the compiler cannot tell where they come from."""
        address = self._address(area, 0, fixed=True)
        kind, align = self.t.integer, self.t.alignment
        self.lines.append(f"  store volatile {kind} {bits}, ptr {address}, align {align}")
        return self.value(f"load volatile {kind}, ptr {address}, align {align}")

    def const(self, value: float) -> str:
        """A vector of one number."""
        return self.e.splat(value)

    def fma(self, a: str, b: str, c: str) -> str:
        """a * b + c"""
        v = self.t.vector
        return self.value(f"call {v} {self.e.math('fma', 3)}({v} {a}, {v} {b}, {v} {c})")

    def arithmetic(self, op: str, a: str, b: str) -> str:
        """One operation of two vectors."""
        return self.value(f"{op} contract {self.t.vector} {a}, {b}")

    def end(self) -> None:
        """End the loop."""
        self.inside = False
        self.lines += ["  %next = add nuw nsw i64 %q, 1", f"  %more = icmp ult i64 %next, {self.n}"]
        self.lines += ["  br i1 %more, label %loop, label %done, !llvm.loop !0", "done:"]

    def text(self) -> str:
        """The function as LLVM IR."""
        return "\n".join([*self.lines, "  ret void", "}"])

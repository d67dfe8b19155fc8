"""Factorisation and triangular solves as loops over tables, for systems whose straight-line code would be too long.

The numbers of operations grow faster than the equations where many states act on each other: 250 states may take 400,000
products, and half a minute of compilation. Loops take as long to compile as the tables are: one entry a non-zero of the
factors. Row by row as in ``program.py``, with the same operations in the same order.
"""

from __future__ import annotations

from collections.abc import Sequence

from respine.engine.codegen.emit import Emitter
from respine.engine.codegen.ordering import Pivoting


def areas(n: int) -> tuple[tuple[str, int], ...]:
    """What the loops need of the workspace: one row written out, and the rates by which a step is judged."""
    return ("row", n), ("moving", n)


def functions(emitter: Emitter, pivoting: Pivoting, gamma: float) -> list[str]:
    """``factorise``, ``solve_first`` and ``solve``, as straight-line programs would be called, and their tables."""
    loops = _Loops(emitter, len(pivoting.order), len(pivoting.slots))
    narrow = not emitter.target.double
    return [
        *_tables(pivoting),
        loops.eliminate(),
        loops.factorise(),
        *(
            loops.solve(name, gamma if narrow else None, first=name == "solve_first")
            for name in ("solve_first", "solve")
        ),
    ]


def _tables(pivoting: Pivoting) -> list[str]:
    """The order of the rows; for every row where it begins, where its pivot stands and where it ends; all columns."""
    n = len(pivoting.order)
    start, pivot, end, columns = [0] * n, [0] * n, [0] * n, [0] * len(pivoting.slots)
    for k, i in enumerate(pivoting.order):
        pivot[i] = pivoting.slots[i, i]
        start[i] = pivot[i] - len(pivoting.left(k))
        end[i] = pivot[i] + 1 + len(pivoting.right(k))
    for (_, j), slot in pivoting.slots.items():
        columns[slot] = j
    tables = {"rows": pivoting.order, "start": start, "pivot": pivot, "end": end, "columns": columns}
    return [_table(name, values) for name, values in tables.items()]


def _table(name: str, values: Sequence[int]) -> str:
    return f"@{name} = internal constant [{len(values)} x i64] [" + ", ".join(f"i64 {v}" for v in values) + "]"


class _Loops:
    def __init__(self, emitter: Emitter, n: int, n_factors: int) -> None:
        self.e, self.t, self.n, self.n_factors = emitter, emitter.target, n, n_factors

    # ---- single lines ------------------------------------------------------------------------------------------------
    def _number(self, name: str, table: str, k: str) -> list[str]:
        """``name`` := entry ``k`` of a table."""
        return [f"  {name}.p = getelementptr i64, ptr @{table}, i64 {k}", f"  {name} = load i64, ptr {name}.p"]

    def _at(self, name: str, base: str, k: str) -> list[str]:
        """``name`` := the address of lane vector ``k`` of an area."""
        return [f"  {name} = getelementptr {self.t.vector}, ptr {base}, i64 {k}"]

    def _load(self, name: str, base: str, k: str) -> list[str]:
        t = self.t
        return [*self._at(f"{name}.a", base, k), f"  {name} = load {t.vector}, ptr {name}.a, align {t.alignment}"]

    def _store(self, value: str, pointer: str) -> str:
        return f"  store {self.t.vector} {value}, ptr {pointer}, align {self.t.alignment}"

    def _fma(self, name: str, a: str, b: str, c: str) -> str:
        v = self.t.vector
        return f"  {name} = call {v} {self.e.math('fma', 3)}({v} {a}, {v} {b}, {v} {c})"

    def _area(self, name: str, area: str) -> str:
        return self.e.address(name, self.e.layout.index(area))

    def _row(self) -> list[str]:
        """The number of row k, and where it begins, has its pivot and ends."""
        lines = self._number("%i", "rows", "%k")
        for name in ("start", "pivot", "end"):
            lines += self._number(f"%{name}", name, "%i")
        return [*lines, "  %right = add i64 %pivot, 1"]

    # ---- functions ---------------------------------------------------------------------------------------------------
    def factorise(self) -> str:
        t = self.t
        size = self.n_factors * t.lanes * t.bits // 8
        clear = self.e.intrinsic("llvm.memset.p0.i64", "void", "ptr", "i8", "i64", "i1")
        return "\n".join([
            "define internal void @factorise(ptr %w, ptr %factors) noinline nounwind {",
            f"  call void {clear}(ptr align {t.alignment} %factors, i8 0, i64 {size}, i1 false)",
            "  call void @jacobian(ptr %w, ptr %factors)",
            "  call void @eliminate(ptr %w, ptr %factors)",
            "  call void @watch(ptr %w)",
            "  ret void",
            "}",
        ])  # fmt: skip

    def eliminate(self) -> str:
        """Each row is written out over all states, cleared left of its pivot by the rows above, and put back."""
        v, minus_one = self.t.vector, self.e.splat(-1.0)
        return "\n".join([
            "define internal void @eliminate(ptr %w, ptr noalias %f) noinline nounwind {",
            "entry:",
            self._area("%x", "row"),
            "  br label %row",
            "row:",
            "  %k = phi i64 [0, %entry], [%k1, %row_end]",
            *self._row(),
            "  br label %spread",
            "spread:",
            "  %m = phi i64 [%start, %row], [%m1, %spread]",
            *self._number("%c", "columns", "%m"),
            *self._load("%j", "%f", "%m"),
            *self._at("%to", "%x", "%c"),
            self._store("%j", "%to"),
            "  %m1 = add i64 %m, 1",
            "  %more = icmp slt i64 %m1, %end",
            "  br i1 %more, label %spread, label %left",
            "left:",
            "  %any = icmp slt i64 %start, %pivot",
            "  br i1 %any, label %clear, label %invert",
            "clear:",
            "  %p = phi i64 [%start, %left], [%p1, %cleared]",
            *self._number("%above", "columns", "%p"),
            *self._load("%multiplier", "%x", "%above"),
            *self._at("%kept", "%f", "%p"),
            self._store("%multiplier", "%kept"),
            *self._number("%q0.before", "pivot", "%above"),
            "  %q0 = add i64 %q0.before, 1",
            *self._number("%q.end", "end", "%above"),
            "  %inside = icmp slt i64 %q0, %q.end",
            "  br i1 %inside, label %subtract, label %cleared",
            "subtract:",
            "  %q = phi i64 [%q0, %clear], [%q1, %subtract]",
            *self._number("%d", "columns", "%q"),
            *self._load("%u", "%f", "%q"),
            *self._load("%y", "%x", "%d"),
            self._fma("%z", "%multiplier", "%u", "%y"),
            self._store("%z", "%y.a"),
            "  %q1 = add i64 %q, 1",
            "  %again = icmp slt i64 %q1, %q.end",
            "  br i1 %again, label %subtract, label %cleared",
            "cleared:",
            "  %p1 = add i64 %p, 1",
            "  %next = icmp slt i64 %p1, %pivot",
            "  br i1 %next, label %clear, label %invert",
            "invert:",
            *self._load("%diagonal", "%x", "%i"),
            f"  %inverse = fdiv {v} {minus_one}, %diagonal",
            *self._at("%own", "%f", "%pivot"),
            self._store("%inverse", "%own"),
            "  %beyond = icmp slt i64 %right, %end",
            "  br i1 %beyond, label %scale, label %row_end",
            "scale:",
            "  %s = phi i64 [%right, %invert], [%s1, %scale]",
            *self._number("%e", "columns", "%s"),
            *self._load("%g", "%x", "%e"),
            f"  %scaled = fmul {v} %g, %inverse",
            *self._at("%back", "%f", "%s"),
            self._store("%scaled", "%back"),
            "  %s1 = add i64 %s, 1",
            "  %on = icmp slt i64 %s1, %end",
            "  br i1 %on, label %scale, label %row_end",
            "row_end:",
            "  %k1 = add i64 %k, 1",
            f"  %rest = icmp slt i64 %k1, {self.n}",
            "  br i1 %rest, label %row, label %done",
            "done:",
            "  ret void",
            "}",
        ])  # fmt: skip

    def solve(self, name: str, gamma: float | None, *, first: bool) -> str:
        """``vector`` := U_i; ``gamma`` where increments are wanted instead (float32)."""
        return "\n".join([
            f"define internal void @{name}(ptr %w, ptr noalias %x) noinline nounwind {{",
            "entry:",
            self._area("%f", "factor"),
            *([self._area("%sum", "sum")] if gamma else []),
            "  br label %down",
            *self._sweep("down", "%start", "%pivot", self._times_pivot()),
            "middle:",
            "  br label %up",
            *self._sweep("up", "%right", "%end", []),
            "finish:",
            *(self._increments(gamma, first=first) if gamma else []),
            "  ret void",
            "}",
        ])  # fmt: skip

    def _times_pivot(self) -> list[str]:
        return [
            *self._load("%factor", "%f", "%pivot"),
            f"  %product = fmul {self.t.vector} %total, %factor",
            self._store("%product", "%own.a"),
        ]

    def _sweep(self, way: str, first: str, last: str, close: Sequence[str]) -> list[str]:
        """One triangle: rows in the order of elimination, or back."""
        v, down = self.t.vector, way == "down"
        begin, before, after = ("0", "entry", "middle") if down else (str(self.n - 1), "middle", "finish")
        lines = [
            f"{way}:",
            f"  %k = phi i64 [{begin}, %{before}], [%k1, %{way}_end]",
            *self._row(),
            *self._load("%own", "%x", "%i"),
            f"  %any = icmp slt i64 {first}, {last}",
            f"  br i1 %any, label %{way}_in, label %{way}_end",
            f"{way}_in:",
            f"  %m = phi i64 [{first}, %{way}], [%m1, %{way}_in]",
            f"  %y = phi {v} [%own, %{way}], [%z, %{way}_in]",
            *self._number("%c", "columns", "%m"),
            *self._load("%g", "%f", "%m"),
            *self._load("%u", "%x", "%c"),
            self._fma("%z", "%g", "%u", "%y"),
            "  %m1 = add i64 %m, 1",
            f"  %more = icmp slt i64 %m1, {last}",
            f"  br i1 %more, label %{way}_in, label %{way}_end",
            f"{way}_end:",
            f"  %total = phi {v} [%own, %{way}], [%z, %{way}_in]",
            *(close or [self._store("%total", "%own.a")]),
            f"  %k1 = add i64 %k, {1 if down else -1}",
            f"  %rest = icmp {'slt' if down else 'sge'} i64 %k1, {self.n if down else 0}",
            f"  br i1 %rest, label %{way}, label %{after}",
        ]
        return [_own_names(line, way) for line in lines]

    def _increments(self, gamma: float, *, first: bool) -> list[str]:
        v = self.t.vector
        after = [*self._load("%s", "%sum", "%h"), f"  %less = fsub {v} %grown, %s"] if not first else []
        return [
            "  br label %turn",
            "turn:",
            "  %h = phi i64 [0, %finish], [%h1, %turn]",
            *self._load("%u", "%x", "%h"),
            f"  %grown = fmul {v} {self.e.splat(1 / gamma)}, %u",
            *after,
            self._store("%grown" if first else "%less", "%u.a"),
            "  %h1 = add i64 %h, 1",
            f"  %going = icmp slt i64 %h1, {self.n}",
            "  br i1 %going, label %turn, label %out",
            "out:",
        ]


def _own_names(line: str, way: str) -> str:
    """The line with its values named after the sweep they belong to, as both stand in one function."""
    import re

    shared = {"%w", "%x", "%f", "%sum", f"%{way}", f"%{way}_in", f"%{way}_end", "%entry", "%middle", "%finish"}
    return re.sub(r"%[\w.]+", lambda m: m[0] if m[0] in shared else f"{m[0]}.{way}", line)

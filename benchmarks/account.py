"""Where the multiply-add peak goes: the instructions of one step, counted in the machine code."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from respine.engine.codegen.target import Target


@dataclass(frozen=True)
class Account:
    """Vector instructions of one step of one lane block by kind, and the cycles they need at the least."""

    multiply_adds: int
    single: int
    divisions: int
    compares: int
    bits: int
    moves: int
    code_kb: float
    workspace_kb: float
    cycles: float  # measured, from the time of a step in a whole run and the clock behind the measured peak
    division: float  # cycles between two divisions, measured
    precision: str

    @property
    def arithmetic(self) -> int:
        return self.multiply_adds + self.single + self.compares + self.bits + self.divisions

    def sentence(self) -> str:
        """The account in words."""
        needed, divider = self.arithmetic / 2, self.divisions * self.division
        parts = [("multiply-adds", self.multiply_adds), ("single additions and multiplications", self.single),
                 ("comparisons and choices", self.compares), ("exponents, tables and bits", self.bits),
                 ("divisions", self.divisions)]  # fmt: skip
        shares = ", ".join(f"{n / self.arithmetic:.0%} {name}" for name, n in parts)
        return (
            f"Where the peak goes, {self.precision}: a step of one lane block is {self.arithmetic} vector operations "
            f"({shares}) and {self.moves} loads, stores and moves. Only multiply-adds count double, so this mix could reach "
            f"{self.possible:.0%} of the peak if two operations started in every cycle. That would take {needed:.0f} cycles, "
            f"with {divider:.0f} of the divider beside them; a step takes {self.cycles:.0f}, its share of control, outputs "
            f"and events included. The rest is waiting: for results (powers, pivots and triangular solves are chains), for "
            f"about {self.code_kb:.0f} KB of straight code and for {self.workspace_kb:.0f} KB of workspace, which with the "
            f"driver do not stay in the first-level caches."
        )

    @property
    def possible(self) -> float:
        """Share of the peak if two operations started every cycle."""
        return (2 * self.multiply_adds + self.single + self.divisions) / (2 * self.arithmetic)


def account(ir: str, target: Target, seconds_of_a_step: float, peak: float, division: float, workspace: int) -> Account:
    """``seconds_of_a_step`` of one lane block, ``peak`` in GFLOP/s, ``division`` in ns, ``workspace`` in numbers."""
    kinds, size = _step(ir, target)
    clock = peak * 1e9 / (4 * target.lanes)  # two multiply-adds a cycle, two operations each
    return Account(
        kinds["fma"], kinds["single"], kinds["division"], kinds["compare"], kinds["bits"], kinds["move"],
        size / 1024, workspace * target.bits / 8 / 1024, seconds_of_a_step * clock,
        division * clock / 1e9, target.precision,
    )  # fmt: skip


_KINDS = (
    ("fma", r"vfn?m(add|sub)"),
    ("division", r"v(div|sqrt)p"),
    ("single", r"v(add|sub|mul)p"),
    ("compare", r"v(max|min|cmp|blendv?m?)p|k(or|and|xor|not)"),
    ("bits", r"v(getexp|getmant|scalef|perm|rcp14|rndscale|psll|psrl|pand|por|pxor|andp|orp|xorp|padd|cvt|pternlog)"),
    ("move", r"v(mov|broadcast|insert|extract)"),
)


def _step(ir: str, target: Target) -> tuple[Counter[str], int]:
    """Instructions of ``step_inside`` by kind, functions it calls and loop trips included, and the bytes of its code."""
    trips = {name: int(n) for name, n in re.findall(
        r"^define internal void @(\w+)\((?:(?!^\}).)*?icmp ult i64 %next, (\d+)", ir, re.M | re.S)}  # fmt: skip
    bodies = _functions(_assembly(ir, target))
    totals: Counter[str] = Counter()
    seen: set[str] = set()
    size = 0

    def add(name: str) -> None:
        nonlocal size
        outside, inside = bodies[name]
        if name not in seen:
            size += 7 * (len(outside) + len(inside))  # EVEX instructions are six to eleven bytes long
        seen.add(name)
        for lines, times in ((outside, 1), (inside, trips.get(name, 1))):
            for line in lines:
                called = re.match(r"callq?\s+(\w+)", line)
                if called and called.group(1) in bodies:
                    add(called.group(1))
                kind = next((k for k, pattern in _KINDS if re.match(pattern, line)), None)
                if kind:
                    totals[kind] += times

    add("step_inside")
    return totals, size


def _functions(assembly: str) -> dict[str, tuple[list[str], list[str]]]:
    """Per function its instructions outside and inside of its loop (the lines from a label to the jump back to it)."""
    entries = {}
    for name, body in re.findall(r"^(\w+):[^\n]*\n(.*?)^\.Lfunc_end", assembly, re.M | re.S):
        lines = [line.strip() for line in body.splitlines() if line.strip() and not line.strip().startswith("#")]
        back = next((re.match(r"j\w+\s+(\.L\w+)", line) for line in lines if re.match(r"j\w+\s+\.L", line)), None)
        label = next((k for k, line in enumerate(lines) if back and line.startswith(back.group(1) + ":")), None)
        jump = next((k for k, line in enumerate(lines) if re.match(r"j\w+\s+\.L", line)), None)
        if label is None or jump is None or jump < label:
            entries[name] = (lines, [])
        else:
            entries[name] = (lines[:label] + lines[jump + 1 :], lines[label:jump])
    return entries


def _assembly(ir: str, target: Target) -> str:
    import llvmlite.binding as llvm

    machine = llvm.Target.from_triple(target.triple).create_target_machine(
        cpu=target.cpu, features=target.features, opt=2, jit=True, codemodel="small", reloc="pic"
    )
    module = llvm.parse_assembly(ir)
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(2))
    builder.getModulePassManager().run(module, builder)
    return machine.emit_assembly(module)

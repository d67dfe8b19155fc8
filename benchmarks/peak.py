"""The measured peak of fused multiply-adds, and how many operations a step of a model takes."""

from __future__ import annotations

import ctypes
import re
import time

import numpy as np

from respine.engine.codegen.target import host_target

CHAINS = 12  # independent accumulators: enough to hide the latency, few enough to stay in 16 registers


def measured_peak(precision: str) -> float:
    """GFLOP/s of one core in a fully unrolled loop of multiply-adds, made by llvmlite like the kernels."""
    target = host_target(precision)
    return 2 * target.lanes / _nanoseconds(precision, "call {v} {fma}({v} {x}, {v} {one}, {v} {tiny})")


def measured_division(precision: str) -> float:
    """Nanoseconds between two vector divisions."""
    return _nanoseconds(precision, "fdiv {v} {x}, {almost}")


def _nanoseconds(precision: str, operation: str, seconds: float = 0.3) -> float:
    """Of one vector operation, in a loop of many that do not wait for one another."""
    import llvmlite.binding as llvm

    target = host_target(precision)
    v = target.vector
    fma = f"@llvm.fma.v{target.lanes}f{target.bits}"

    def splat(number: str) -> str:
        return "<" + ", ".join([f"{target.scalar} {number}"] * target.lanes) + ">"

    words = {"v": v, "fma": fma, "one": splat("1.0"), "tiny": splat("0x3810000000000000"),
             "almost": splat("0x3FEFFFFFE0000000")}  # fmt: skip
    repeats = 8
    lines = [f"declare {v} {fma}({v}, {v}, {v})", "define void @many(i64 %n, ptr %out) {", "entry:",
             "  br label %loop", "loop:", "  %i = phi i64 [0, %entry], [%next, %loop]"]  # fmt: skip
    lines += [f"  %a{c} = phi {v} [{words['one']}, %entry], [%b{c}_{repeats - 1}, %loop]" for c in range(CHAINS)]
    for r in range(repeats):
        for c in range(CHAINS):
            before = f"%a{c}" if r == 0 else f"%b{c}_{r - 1}"
            lines.append(f"  %b{c}_{r} = " + operation.format(x=before, **words))
    lines += [
        "  %next = add i64 %i, 1",
        "  %more = icmp ult i64 %next, %n",
        "  br i1 %more, label %loop, label %done",
        "done:",
    ]
    total = f"%b0_{repeats - 1}"
    for c in range(1, CHAINS):
        lines.append(f"  %s{c} = fadd {v} {total}, %b{c}_{repeats - 1}")
        total = f"%s{c}"
    lines += [f"  store {v} {total}, ptr %out, align {target.alignment}", "  ret void", "}"]
    machine = llvm.Target.from_triple(target.triple).create_target_machine(
        cpu=target.cpu, features=target.features, opt=2
    )
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly("\n".join(lines)), machine)
    engine.finalize_object()
    function = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_void_p)(engine.get_function_address("many"))
    raw = np.zeros(32, np.float64)
    out = raw.ctypes.data + (-raw.ctypes.data % 64)
    rounds, best = 20_000, np.inf
    stop = time.perf_counter() + seconds
    while time.perf_counter() < stop:
        begun = time.perf_counter()
        function(rounds, out)
        best = min(best, time.perf_counter() - begun)
    return best / (rounds * repeats * CHAINS) * 1e9


_ONE = re.compile(r"= (fadd|fsub|fmul|fdiv) |@llvm\.(sqrt|floor|ceil)\.|rcp14|getexp|getmant|scalef")


def operations_of_a_step(ir: str) -> int:
    """Floating-point operations of one lane in ``step``, counted in the IR: elementary functions by what they are
    spelled out to, a multiply-add as two, a division, root or exponent operation as one; comparisons and moves as none.
    """
    bodies = dict(re.findall(r"^define [^@]*@(\w+)\([^\n]*\n(.*?)^\}", ir, re.M | re.S))
    counted: dict[str, int] = {}

    def count(name: str) -> int:
        if name not in counted:
            called = [k for k in re.findall(r"call void @(\w+)\(", bodies[name]) if k in bodies]
            counted[name] = _operations(bodies[name]) + sum(count(k) for k in called)
        return counted[name]

    return count("step")


def _operations(body: str) -> int:
    before, _, rest = body.partition("\nloop:")
    inside, _, after = rest.partition("\ndone:")
    trips = re.search(r"icmp ult i64 %next, (\d+)", inside)
    outside = _in_lines(before) + _in_lines(after)
    return outside + _in_lines(inside) * (int(trips.group(1)) if trips else 1)


def _in_lines(text: str) -> int:
    return sum(
        2 if "@llvm.fma." in line else 1 for line in text.splitlines() if "@llvm.fma." in line or _ONE.search(line)
    )

"""One Rosenbrock step as LLVM IR: sums over the stages as short loops over the states, around one shared triangular solve.

Loops keep the code inside the instruction cache and compile fast; only rates, factorisation and solve are straight-line.
float64 uses the (a, c) form, float32 the increment form, whose smaller coefficients keep round-off below the tolerance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from respine.engine.codegen import elimination, step_size
from respine.engine.codegen.emit import Emitter, crossings
from respine.engine.codegen.float64_in_float32 import clock_of_output, clock_of_step, moments, wide_function
from respine.engine.codegen.layout import Layout, lay_out
from respine.engine.codegen.lowering import spell_out
from respine.engine.codegen.program import Program, Programs
from respine.engine.codegen.stage_loops import StageLoops
from respine.engine.codegen.tableaus import Tableau
from respine.engine.codegen.target import Target
from respine.engine.codegen.triangular_solve import solve

if TYPE_CHECKING:
    from respine.engine.codegen.sensitivity.step import SensitivityKernels

ALLOWED_BELOW_ZERO = 1e3  # error weights a state may undershoot zero by before it counts as negative
BEGIN = 0.01  # the first step changes the state by about this share
TOO_LONG = 1e30  # the squared error of a step in which something grows faster than the method can follow
KERNELS = ("begin", "step", "commit", "interpolate", "observe")
EXPORTS = (*KERNELS, *(f"{name}_inside" for name in KERNELS), "advance", "read_out", "enter", "leave")


@dataclass(frozen=True)
class Module:
    """IR of all kernels of a model, and the layout its driver needs."""

    text: str
    layout: Layout


def step_module(programs: Programs, tableau: Tableau, target: Target, *, nonnegative: bool = False) -> Module:
    """All kernels: ``begin step commit interpolate observe``, each ``void (ptr workspace)``; ``advance`` and ``read_out``."""
    from respine.engine.codegen.sensitivity.step import SensitivityKernels, areas

    equations, tangent = programs.equations, programs.tangent
    n = len(equations.states)
    layout = lay_out(
        n,
        len(programs.time_dependent),
        len(programs.pivoting.slots),
        tableau.stages,
        len(programs.hoisted.slow),
        len(equations.slow),
        len(equations.outputs),
        len(programs.hoisted.uniform),
        len(programs.hoisted.clock) * len(moments(tableau)),
        0 if target.double else n,
        tangent.n_parameters if tangent else 0,
        1 if target.double else 2,
        (*(elimination.areas(n) if programs.watch else ()), *(areas(programs, tableau) if tangent else ())),
    ).spread(target)
    emitter = Emitter(target, layout)
    sensitivities = SensitivityKernels(emitter, tableau, programs) if tangent else None
    straight = {
        "prepare": (programs.prepare, ()),
        "rates": (programs.rates, ("state", "time", "clock", "vector")),
        **_linear_algebra(programs, tableau.gamma, narrow=not target.double),
        "outputs": (programs.observe, ("state", "time")),
        "finish": (_finish(layout, tableau, n, target, nonnegative), ()),
        "first_step": (_first_step(layout, n), ()),
        "no_stage": (_no_stage(n, len(programs.time_dependent), target), ()),
    }
    spelled = {name: spell_out(program, target) for name, (program, _) in straight.items()}
    kept = max(len(crossings(program)) for program in spelled.values())
    if kept:
        emitter.layout = layout = layout.with_area("kept", kept)
    functions = [emitter.function(name, program, straight[name][1]) for name, program in spelled.items()]
    wide = {
        "before": step_size.before(),
        "after": step_size.after(to_outputs=bool(tangent)),
        "arrive": step_size.arrive(),
    }
    if programs.hoisted.clock:
        wide |= {"clock_of_step": clock_of_step(programs, tableau), "clock_of_output": clock_of_output(programs)}
    functions += [wide_function(emitter, name, program) for name, program in wide.items()]
    functions += StageLoops(emitter, tableau, n).functions()
    if programs.watch:
        functions += elimination.functions(emitter, programs.pivoting, tableau.gamma)
    functions += sensitivities.functions() if sensitivities else []
    functions.append(_top_level(emitter, programs, tableau, sensitivities))
    head = [f'target triple = "{target.triple}"', emitter.declarations(), *([_FLUSH] if target.x86 else [])]
    tail = ['!0 = distinct !{!0, !1}\n!1 = !{!"llvm.loop.unroll.disable"}',
            '!2 = distinct !{!2, !3}\n!3 = !{!"llvm.loop.vectorize.enable", i1 false}']  # fmt: skip
    return Module("\n\n".join([*head, *functions, *tail]) + "\n", layout)


def _linear_algebra(programs: Programs, gamma: float, *, narrow: bool) -> dict[str, tuple[Program, tuple[str, ...]]]:
    """The straight-line programs of factorisation and solve; where tables do them, what comes before and after."""
    if programs.watch:
        return {"jacobian": (programs.factor, ("factors",)), "watch": (programs.watch, ())}
    return {
        "factorise": (programs.factor, ("factors",)),
        "solve_first": (solve(programs, gamma, first=True, narrow=narrow), ("vector",)),
        "solve": (solve(programs, gamma, first=False, narrow=narrow), ("vector",)),
    }


# ---- straight-line parts that close a step --------------------------------------------------------------------------
def _finish(layout: Layout, tableau: Tableau, n: int, target: Target, nonnegative: bool) -> Program:
    """New state, squared error norm, the step-size factors of both controllers, and the lowest state if that matters."""
    p = Program()
    relative = p.do("broadcast", layout.relative_tolerance)
    lowest: int | None = None
    sums: list[int | None] = [None] * 4  # four chains, so that the sum does not wait for itself
    for q in range(n):
        last = p.load("increment", (tableau.stages - 1) * n + q)
        new = p.load("stage", q)
        if target.double:
            new = p.do("add", last, new)
            p.store("stage", q, new)
        else:  # the error over gamma; the new state is there already
            last = p.do("add", last, p.load("sum", q))
        size = p.do("max", p.do("abs", new), p.do("abs", p.load("state", q)))
        weight = p.do("fma", relative, size, p.do("broadcast", layout.absolute_tolerance(q)))
        if nonnegative:
            allowed = p.do("fma", p.const(ALLOWED_BELOW_ZERO), weight, new)
            lowest = allowed if lowest is None else p.do("min", lowest, allowed)
        z = p.do("mul", last, p.do("rough", weight))
        previous = sums[q % 4]
        sums[q % 4] = p.do("mul", z, z) if previous is None else p.do("fma", z, z, previous)
    if lowest is not None:
        p.store("lowest", 0, lowest)
    parts = [s for s in sums if s is not None]
    total = parts[0]
    for part in parts[1:]:
        total = p.do("add", total, part)
    scale = 1.0 if target.double else tableau.gamma
    error = p.do("mul", total, p.const(scale**2 / n))
    too_long = p.do("gt", p.load("runaway"), p.const(0.5))
    step_size.growth(p, p.do("select", too_long, p.do("max", p.const(TOO_LONG), error), error), tableau)
    return p


def _first_step(layout: Layout, n: int) -> Program:
    """A careful first step after a start or an event, from how fast the state moves against its tolerance."""
    p = Program()
    relative = p.do("broadcast", layout.relative_tolerance)
    total = None
    for q in range(n):
        size = p.do("abs", p.load("state", q))
        weight = p.do("fma", relative, size, p.do("broadcast", layout.absolute_tolerance(q)))
        z = p.do("mul", p.load("rate", q), p.do("reciprocal", weight))
        total = p.do("mul", z, z) if total is None else p.do("fma", z, z, total)
    assert total is not None
    speed = p.do("sqrt", p.do("max", p.const(1e-30), p.do("mul", total, p.const(1.0 / n))))
    p.store("begin_step", 0, p.do("mul", p.const(BEGIN), p.do("reciprocal", p.do("mul", relative, speed))))
    return p


def _no_stage(n: int, n_time_slopes: int, target: Target) -> Program:
    """What a stage adds to the rates, set to nothing; a lane's last subject may have left no numbers there."""
    p = Program()
    sums = "rate" if target.double else "sum"
    for area, count in (("slope_share", 1), ("inverse_step", 1), ("time_slope", n_time_slopes), (sums, n)):
        for k in range(count):
            p.store(area, k, p.const(0.0))
    return p


# ---- loops over the states ------------------------------------------------------------------------------------------


# ---- the exported functions -----------------------------------------------------------------------------------------
# denormal numbers (drug that has decayed away) cost hundreds of cycles each: flush them to zero while kernels run.
# Switching takes as long as a small kernel, so a loop over kernels calls `enter`, the kernels ``_inside``, and `leave`.
_FLUSH = """@flush_to_zero = internal constant i32 40896
declare void @llvm.x86.sse.ldmxcsr(ptr)
declare void @llvm.x86.sse.stmxcsr(ptr)"""


def _top_level(emitter: Emitter, programs: Programs, tableau: Tableau, sensitivities: SensitivityKernels | None) -> str:
    """The exported kernels; those of the sensitivities go on where the plain ones end."""
    t = emitter.target
    here = emitter.layout.index

    def pointer(name: str, area: str, k: int = 0) -> str:
        return emitter.address(name, here(area, k))

    def define(name: str, body: Sequence[str]) -> str:
        return "\n".join([f"define void @{name}(ptr %w) nounwind {{", *body, "  ret void", "}"])

    def both(name: str, body: Sequence[str]) -> str:
        outer = ["  call void @enter(ptr %w)", f"  call void @{name}_inside(ptr %w)", "  call void @leave(ptr %w)"]
        return define(f"{name}_inside", body) + "\n\n" + define(name, outer)

    mode = pointer("%mode", "float_mode")
    enter = [mode, "  call void @llvm.x86.sse.stmxcsr(ptr %mode)",
             "  call void @llvm.x86.sse.ldmxcsr(ptr @flush_to_zero)"] if t.x86 else []  # fmt: skip
    leave = [mode, "  call void @llvm.x86.sse.ldmxcsr(ptr %mode)"] if t.x86 else []
    clock = bool(programs.hoisted.clock)
    rates_here = [
        pointer("%y", "state"),
        pointer("%t", "time"),
        pointer("%c", "clock"),
        *(["  call void @clock_of_step(ptr %w)"] if clock else []),
        pointer("%f", "rate"),
        "  call void @rates(ptr %w, ptr %y, ptr %t, ptr %c, ptr %f)",
    ]
    begin = [
        "  call void @prepare(ptr %w)",
        "  call void @no_stage(ptr %w)",
        *rates_here,
        "  call void @first_step(ptr %w)",
    ]
    v, align = t.vector, t.alignment
    observe = [  # the interpolated state lies in `rate`; its time is time + fraction * step
        *(pointer(f"%{a}", a) for a in ("time", "step", "fraction", "stage_time", "rate")),
        *(f"  %v_{a} = load {v}, ptr %{a}, align {align}" for a in ("time", "step", "fraction")),
        f"  %ahead = fmul {v} %v_fraction, %v_step",
        f"  %now = fadd {v} %v_time, %ahead",
        f"  store {v} %now, ptr %stage_time, align {align}",
        *(["  call void @clock_of_output(ptr %w)"] if clock else []),
        "  call void @outputs(ptr %w, ptr %rate, ptr %stage_time)",
    ]
    step, commit = (
        _step_body(emitter, programs, tableau),
        ["  call void @commit_states(ptr %w)", "  call void @arrive(ptr %w)"],
    )
    if sensitivities:
        step, commit = step + sensitivities.step(), commit + sensitivities.commit()
        observe += sensitivities.observe()
    bodies = {"begin": begin, "step": step, "commit": commit,
              "interpolate": ["  call void @interpolate_states(ptr %w)"], "observe": observe}  # fmt: skip
    kernels = [both(name, body) for name, body in bodies.items()]
    return "\n\n".join(
        [define("enter", enter), define("leave", leave), *kernels, _advance(emitter), _read_out(emitter)]
    )


def _advance(emitter: Emitter) -> str:
    """``i64 advance(ptr workspace)``: one step in every lane at its own pace; whether any lane needs attention."""
    t = emitter.target
    kind = f"<{t.lanes} x double>"
    any_of = emitter.intrinsic(f"llvm.vector.reduce.or.v{t.lanes}i1", "i1", t.mask)
    return "\n".join([
        "define i64 @advance(ptr %w) nounwind {",
        "  call void @before(ptr %w)",
        "  call void @step_inside(ptr %w)",
        "  call void @after(ptr %w)",
        emitter.address("%p", emitter.layout.index("attention")),
        f"  %attention = load {kind}, ptr %p, align {t.alignment}",
        f"  %needed = fcmp une {kind} %attention, zeroinitializer",
        f"  %any = call i1 {any_of}({t.mask} %needed)",
        "  %found = zext i1 %any to i64",
        "  ret i64 %found",
        "}",
    ])  # fmt: skip


def _read_out(emitter: Emitter) -> str:
    """``void read_out(ptr workspace, i64 lane, ptr row)``: one lane's outputs, as doubles side by side.

    One number after the other: vector code would gather them, which takes many processors longer.
    """
    t, layout = emitter.target, emitter.layout
    count = layout.sizes["output"]
    value = "%value" if t.double else "%wide"
    return "\n".join([
        "define void @read_out(ptr %w, i64 %lane, ptr %row) nounwind {",
        "entry:",
        emitter.address("%outputs", layout.index("output")),
        f"  %first = getelementptr {t.scalar}, ptr %outputs, i64 %lane",
        "  br label %loop",
        "loop:",
        "  %q = phi i64 [0, %entry], [%next, %loop]",
        f"  %offset = mul nuw nsw i64 %q, {t.lanes}",
        f"  %from = getelementptr {t.scalar}, ptr %first, i64 %offset",
        f"  %value = load {t.scalar}, ptr %from",
        *([] if t.double else ["  %wide = fpext float %value to double"]),
        "  %to = getelementptr double, ptr %row, i64 %q",
        f"  store double {value}, ptr %to",
        "  %next = add nuw nsw i64 %q, 1",
        f"  %more = icmp ult i64 %next, {count}",
        "  br i1 %more, label %loop, label %done, !llvm.loop !2",
        "done:",
        "  ret void",
        "}",
    ])  # fmt: skip


def _step_body(emitter: Emitter, programs: Programs, tableau: Tableau) -> list[str]:
    t, n = emitter.target, len(programs.equations.states)
    v, align = t.vector, t.alignment
    clock, slopes = bool(programs.hoisted.clock), bool(programs.time_dependent)
    names = ("time", "step", "shift", "inverse_step", "slope_share", "stage_time", "stage")
    lines = [emitter.address(f"%p_{a}", emitter.layout.index(a)) for a in names]
    lines += [
        f"  %t = load {v}, ptr %p_time, align {align}",
        f"  %h = load {v}, ptr %p_step, align {align}",
        f"  %inverse = fdiv {v} {emitter.splat(1.0)}, %h",
        f"  %shift = fmul {v} %inverse, {emitter.splat(1 / tableau.gamma)}",
        f"  store {v} %inverse, ptr %p_inverse_step, align {align}",
        f"  store {v} %shift, ptr %p_shift, align {align}",
        *(["  call void @clock_of_step(ptr %w)"] if clock else []),
    ]
    n_clock, times = len(programs.hoisted.clock), moments(tableau)
    for i in range(tableau.stages):
        lines.append(emitter.address(f"%k{i}", emitter.layout.index("increment", i * n)))
        if slopes and (i == 0 or tableau.d[i] != tableau.d[i - 1]):
            lines += [
                f"  %sloped{i} = fmul {v} %h, {emitter.splat(tableau.d[i])}",
                f"  store {v} %sloped{i}, ptr %p_slope_share, align {align}",
            ]
        if i == 0:
            lines += [
                emitter.address("%p_factors", emitter.layout.index("factor")),
                "  call void @factorise(ptr %w, ptr %p_factors)",
                "  call void @solve_first(ptr %w, ptr %k0)",
            ]
            continue
        lines += [
            f"  call void @gather{i}(ptr %w)",
            f"  %d{i} = fmul {v} %h, {emitter.splat(tableau.alpha[i])}",
            f"  %s{i} = fadd {v} %t, %d{i}",
            f"  store {v} %s{i}, ptr %p_stage_time, align {align}",
            emitter.address(f"%c{i}", emitter.layout.index("clock", times.index(float(tableau.alpha[i])) * n_clock)),
            f"  call void @rates(ptr %w, ptr %p_stage, ptr %p_stage_time, ptr %c{i}, ptr %k{i})",
            f"  call void @solve(ptr %w, ptr %k{i})",
        ]
    exact = [] if t.double else ["  call void @compensate(ptr %w)"]
    return [*lines, *exact, "  call void @finish(ptr %w)"]

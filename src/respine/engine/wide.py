"""Float64 inside float32 code: formulas of time alone, and the pace of the lanes.

A day into week eight, float32 resolves time to a second or two; a rhythm computed from that is noisier than the
tolerance. So time is kept as two float32 numbers whose sum is exact enough, what depends on time alone is computed from
it in float64, and only the results are rounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from respine.engine.control import WIDE
from respine.engine.emit import Body, Emitter
from respine.engine.program import Program
from respine.engine.spelling import spell_out

CLOCK = "clock"  # the kernel, and the area of its results


def clock_function(narrow: Emitter, program: Program) -> str:
    """IR of ``clock(w, time)`` for ``program``, whose loads and stores are float32 and all else float64."""
    return wide_function(narrow, CLOCK, program, ("time",))


def wide_function(emitter: Emitter, name: str, program: Program, pointers: Sequence[str] = ()) -> str:
    """IR of a program whose arithmetic is float64 whatever that of the states is."""
    wide = emitter if emitter.target.double else _WideEmitter(emitter)
    return wide.function(name, spell_out(program, wide.target), pointers)


def stage_times(narrow: Emitter, fractions: Sequence[float]) -> tuple[list[str], list[list[str]]]:
    """IR that a step begins with, and per stage what sets ``stage_time`` to a fraction of the step and calls the clock."""
    v, double = narrow.target.vector, f"<{narrow.target.lanes} x double>"
    splat = _WideEmitter(narrow).splat
    begin = [*_sum_of_two(narrow, "now", "%p_time", double), f"  %h_wide = fpext {v} %h to {double}"]
    stages: list[list[str]] = []
    for i, fraction in enumerate(fractions):
        if i and fraction == fractions[i - 1]:
            stages.append([])  # the clock stands at this time already
            continue
        stages.append(
            [
                f"  %ahead{i} = fmul {double} %h_wide, {splat(fraction)}",
                f"  %at{i} = fadd {double} %now, %ahead{i}",
                *_set_clock(narrow, f"at{i}", "%p_stage_time"),
            ]
        )
    return begin, stages


def observed_time(narrow: Emitter) -> list[str]:
    """IR that sets ``stage_time`` to time + fraction * step and calls the clock."""
    v, double = narrow.target.vector, f"<{narrow.target.lanes} x double>"
    return [
        *_sum_of_two(narrow, "from", "%time", double),
        f"  %ahead_wide = fpext {v} %ahead to {double}",
        f"  %now_wide = fadd {double} %from, %ahead_wide",
        *_set_clock(narrow, "now_wide", "%stage_time"),
    ]


def _set_clock(narrow: Emitter, name: str, pointer: str) -> list[str]:
    """IR that stores the float64 time ``%name`` as two numbers from ``pointer`` on and calls the clock."""
    v, align, double = narrow.target.vector, narrow.target.alignment, f"<{narrow.target.lanes} x double>"
    return [
        f"  %{name}_high = fptrunc {double} %{name} to {v}",
        f"  %{name}_back = fpext {v} %{name}_high to {double}",
        f"  %{name}_low = fsub {double} %{name}, %{name}_back",
        f"  %{name}_rest = fptrunc {double} %{name}_low to {v}",
        f"  store {v} %{name}_high, ptr {pointer}, align {align}",
        narrow.address(f"%{name}_p", 1, pointer),
        f"  store {v} %{name}_rest, ptr %{name}_p, align {align}",
        f"  call void @{CLOCK}(ptr %w, ptr {pointer})",
    ]


def _sum_of_two(narrow: Emitter, name: str, pointer: str, double: str) -> list[str]:
    """IR of ``%name``, the float64 sum of a float32 vector and the one after it."""
    v, align = narrow.target.vector, narrow.target.alignment
    return [
        f"  %{name}_first = load {v}, ptr {pointer}, align {align}",
        narrow.address(f"%{name}_next", 1, pointer),
        f"  %{name}_second = load {v}, ptr %{name}_next, align {align}",
        f"  %{name}_x = fpext {v} %{name}_first to {double}",
        f"  %{name}_y = fpext {v} %{name}_second to {double}",
        f"  %{name} = fadd {double} %{name}_x, %{name}_y",
    ]


class _WideEmitter(Emitter):
    """Float64 arithmetic on as many lanes, addresses of the float32 workspace."""

    def __init__(self, narrow: Emitter) -> None:
        self.narrow = narrow
        super().__init__(replace(narrow.target, precision="float64", avx512=False), narrow.layout)
        self._declared = narrow._declared

    def address(self, name: str, offset: int, base: str = "%w") -> str:
        return self.narrow.address(name, offset, base)

    def body(self, pointers: tuple[str, ...]) -> Body:
        return _WideBody(self, pointers)


class _WideBody(Body):
    e: _WideEmitter

    def _load(self, k: int, result: str, area: str, index: int) -> None:
        double = self.t.vector
        self._where(k, area, index)
        if area in WIDE:
            self.line(f"{result} = load {double}, ptr %a{k}, align {self.e.narrow.target.alignment}")
            return
        if area == "time":
            self.lines += _sum_of_two(self.e.narrow, f"v{k}", f"%a{k}", double)
            return
        narrow = self.e.narrow.target
        self.line(f"%n{k} = load {narrow.vector}, ptr %a{k}, align {narrow.alignment}")
        self.line(f"{result} = fpext {narrow.vector} %n{k} to {double}")

    def _store(self, k: int, result: str, area: str, index: int, value: int) -> None:
        narrow = self.e.narrow.target
        self._where(k, area, index)
        if area in WIDE:
            self.line(f"store {self.t.vector} {self.names[value]}, ptr %a{k}, align {narrow.alignment}")
            return
        self.line(f"%n{k} = fptrunc {self.t.vector} {self.names[value]} to {narrow.vector}")
        self.line(f"store {narrow.vector} %n{k}, ptr %a{k}, align {narrow.alignment}")

    def _rounded(self, k: int, result: str, a: int) -> None:
        narrow = self.e.narrow.target.vector
        self.line(f"%n{k} = fptrunc {self.t.vector} {self.names[a]} to {narrow}")
        self.line(f"{result} = fpext {narrow} %n{k} to {self.t.vector}")

    def _broadcast(self, k: int, result: str, index: int) -> None:
        wide, self.t = self.t, self.e.narrow.target
        super()._broadcast(k, f"%n{k}", index)
        self.t = wide
        self.line(f"{result} = fpext {self.e.narrow.target.vector} %n{k} to {wide.vector}")

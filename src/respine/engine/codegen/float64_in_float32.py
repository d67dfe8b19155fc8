"""Float64 inside float32 code: formulas of time alone, and the pace of the lanes.

A day into week eight, float32 resolves time to a second or two; a rhythm computed from that is noisier than the
tolerance. So time is kept in float64, what depends on time alone is computed from it in float64, and only the results are
rounded.
"""

from __future__ import annotations

from dataclasses import replace

from respine.engine.codegen.emit import Body, Emitter
from respine.engine.codegen.lowering import spell_out
from respine.engine.codegen.program import Lowering, Program, Programs
from respine.engine.codegen.step_size import WIDE
from respine.engine.codegen.tableaus import Tableau


def moments(tableau: Tableau) -> tuple[float, ...]:
    """The times of the stages as shares of the step, each once, the start first."""
    return tuple(dict.fromkeys(map(float, tableau.alpha)))


def clock_of_step(programs: Programs, tableau: Tableau) -> Program:
    """``clock`` at the moments of a step, one after the other: side by side they wait for each other less."""
    p = Program()
    step, now = p.load("step"), p.load("now")
    for k, share in enumerate(moments(tableau)):
        _clock(programs, p, p.do("fma", p.const(share), step, now) if share else now, k)
    return p


def clock_of_output(programs: Programs) -> Program:
    """``clock`` at ``fraction`` of a step, in place of that of its start."""
    p = Program()
    _clock(programs, p, p.do("fma", p.load("fraction"), p.load("step"), p.load("now")), 0)
    return p


def _clock(programs: Programs, p: Program, time: int, moment: int) -> None:
    nodes = programs.hoisted.clock
    lowering = Lowering(programs.equations, programs.hoisted, p, time=time)
    for node, slot in nodes.items():
        p.store("clock", moment * len(nodes) + slot, lowering.value(node))


def wide_function(emitter: Emitter, name: str, program: Program) -> str:
    """IR of a program whose arithmetic is float64 whatever that of the states is."""
    wide = emitter if emitter.target.double else _WideEmitter(emitter)
    return wide.function(name, spell_out(program, wide.target))


class _WideEmitter(Emitter):
    """Float64 arithmetic on as many lanes, addresses of the float32 workspace."""

    parts = False

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

    def _broadcast(self, k: int, result: str, index: int) -> None:
        wide, self.t = self.t, self.e.narrow.target
        super()._broadcast(k, f"%n{k}", index)
        self.t = wide
        self.line(f"{result} = fpext {self.e.narrow.target.vector} %n{k} to {wide.vector}")

"""Sums over the stages of a step as short loops over the states: gather, compensate, commit, interpolate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from respine.engine.codegen.emit import Emitter
from respine.engine.codegen.loop import Loop
from respine.engine.codegen.tableaus import Tableau


class StageLoops:
    """Writes the functions of a step that sum over its stages."""

    def __init__(self, emitter: Emitter, tableau: Tableau, n: int) -> None:
        self.e, self.tableau, self.n = emitter, tableau, n
        self.plain = emitter.target.double
        if self.plain:
            self.argument, self.right, self.dense = tableau.a, tableau.c, tableau.dense
        else:
            self.argument, self.right, self.dense, self.new = tableau.increments()

    def functions(self) -> list[str]:
        """IR of each loop."""
        gathered = [self._gather(i) for i in range(1, self.tableau.stages)]
        exact = [] if self.plain else [self._compensate()]
        return [*gathered, *exact, self._commit(), self._interpolate()]

    def _gather(self, i: int) -> str:
        """Argument and sum of stage i, from the same increments: reading these is what the loop is waiting for."""
        f = Loop(self.e, f"gather{i}", self.n)
        inverse = f.load("inverse_step")
        f.loop()
        increments = [f.load("increment", j * self.n) for j in range(i)]
        if not self.tableau.follows[i]:
            argument = self._combined(f, self.argument[i], increments, f.load("state"))
        elif self.plain:
            argument = f.arithmetic("fadd", f.load("stage"), increments[-1])
        else:
            last = f.arithmetic("fadd", f.load("sum"), increments[-1])
            argument = f.fma(f.const(self.tableau.gamma), last, f.load("stage"))
        f.store(argument, "stage")
        combined = self._combined(f, self.right[i], increments)
        if self.plain:
            f.store(f.arithmetic("fmul", inverse, combined), "increment", i * self.n)
        else:
            f.store(combined, "sum")
        f.end()
        return f.text()

    @staticmethod
    def _combined(f: Loop, weights: np.ndarray, parts: Sequence[str], total: str | None = None) -> str:
        for j in np.flatnonzero(weights):
            weight = f.const(weights[j])
            part = parts[int(j)]
            total = f.arithmetic("fmul", weight, part) if total is None else f.fma(weight, part, total)
        return f.const(0.0) if total is None else total

    def _compensate(self) -> str:
        """New state = state + increments, with what rounding takes kept for the next step (float32).

        Slow states move by less than a rounding error a step and would stand still.
        """
        f = Loop(self.e, "compensate", self.n)
        f.loop()
        moved = f.load("state_rest")
        for j in np.flatnonzero(self.new):
            moved = f.fma(f.const(self.new[j]), f.load("increment", int(j) * self.n), moved)
        state = f.load("state")
        new = f.arithmetic("fadd", state, moved)
        f.store(new, "stage")
        f.store(f.arithmetic("fsub", moved, f.arithmetic("fsub", new, state)), "new_rest")
        f.end()
        return f.text()

    def _commit(self) -> str:
        """New states where the step was accepted, chosen by bits: LLVM would make a ``select`` a masked store, which
        takes some processors twenty cycles."""
        t = self.e.target
        f = Loop(self.e, "commit_states", self.n)
        accepted = f.value(f"fcmp ogt {t.vector} {f.load('accepted', fixed=True)}, {f.const(0.5)}")
        mask = f.hidden(f.value(f"sext {t.mask} {accepted} to {t.integer}"), "taken")
        ones = "<" + ", ".join([f"i{t.bits} -1"] * t.lanes) + ">"
        rest = f.value(f"xor {t.integer} {mask}, {ones}")
        f.loop()
        for new, old in (("stage", "state"),) if self.plain else (("stage", "state"), ("new_rest", "state_rest")):
            parts = []
            for area, chosen in ((new, mask), (old, rest)):
                bits = f.value(f"bitcast {t.vector} {f.load(area)} to {t.integer}")
                parts.append(f.value(f"and {t.integer} {bits}, {chosen}"))
            both = f.value(f"or {t.integer} {parts[0]}, {parts[1]}")
            f.store(f.value(f"bitcast {t.integer} {both} to {t.vector}"), old)
        f.end()
        return f.text()

    def _interpolate(self) -> str:
        """rate := dense output at ``fraction`` of the step (rate is free between steps)."""
        f = Loop(self.e, "interpolate_states", self.n)
        theta = f.load("fraction", fixed=True)
        rest = f.arithmetic("fsub", f.const(1.0), theta)
        both = f.arithmetic("fmul", theta, rest)
        weights = []
        for j in range(self.tableau.stages):
            value = f.const(self.dense[-1, j])
            for row in self.dense[-2::-1]:
                value = f.fma(theta, value, f.const(row[j]))
            weights.append(f.arithmetic("fmul", value, both))
        f.loop()
        value = f.fma(theta, f.load("stage"), f.arithmetic("fmul", rest, f.load("state")))
        for j, weight in enumerate(weights):
            value = f.fma(weight, f.load("increment", j * self.n), value)
        f.store(value, "rate")
        f.end()
        return f.text()

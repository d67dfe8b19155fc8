"""All stages of a step for one batch of sensitivities as LLVM IR (see step.py for the equations)."""

from __future__ import annotations

import numpy as np

from respine.engine.codegen.emit import Emitter
from respine.engine.codegen.loop import Loop
from respine.engine.codegen.lowering import spell_out
from respine.engine.codegen.program import Program, Programs
from respine.engine.codegen.sensitivity import program as straight
from respine.engine.codegen.sensitivity.program import Batch
from respine.engine.codegen.tableaus import Tableau


def nodes_of(tableau: Tableau) -> tuple[float, ...]:
    """Stage times as shares of the step, each once, the start first."""
    return tuple(sorted(set(map(float, tableau.alpha))))


def combinations(tableau: Tableau) -> tuple[np.ndarray, np.ndarray]:
    """Arguments S_i, and S_i/gamma + sum_j c_ij U_j, as sums over s, W_1, W_2 ...; each (stages, 1 + stages)."""
    stages = tableau.stages
    arguments, right, increments = (np.zeros((stages, stages + 1)) for _ in range(3))
    for i in range(stages):
        if tableau.follows[i]:
            arguments[i, i] = 1.0
        else:
            arguments[i] = tableau.a[i] @ increments
            arguments[i, 0] += 1.0
        right[i] = arguments[i] / tableau.gamma + tableau.c[i] @ increments
        increments[i] = -arguments[i]
        increments[i, i + 1] += 1.0
    return arguments, np.where(np.abs(right) < 1e-10, 0.0, right)


class BatchKernels:
    """The functions of one batch, and the calls that carry it through a step."""

    def __init__(self, emitter: Emitter, tableau: Tableau, programs: Programs, number: int, batch: Batch) -> None:
        assert programs.tangent is not None
        self.e, self.tableau, self.programs, self.number, self.batch = emitter, tableau, programs, number, batch
        self.varies = bool(programs.tangent.varying)
        self.nodes = nodes_of(tableau)
        self.arguments, self.right = combinations(tableau)
        self.drive = straight.drive(programs, batch)

    # ---- the functions --------------------------------------------------------------------------------------------------
    def own_functions(self) -> list[str]:
        """Kernels of a batch of parameters, as LLVM IR."""
        return [self._straight(f"drive{self.number}", self.drive, "node_drive", "vector")] if self._driven else []

    def functions(self) -> list[str]:
        """Those that all batches of one shape share."""
        programs, batch, stages = self.programs, self.batch, self.tableau.stages
        begin, solve = straight.begin(programs, batch), straight.couple_and_solve(programs, batch, couple=False)
        finish = straight.finish(programs, batch, self.e.layout, stages)
        couple = straight.couple_and_solve(programs, batch)
        return [
            self._straight(self._name("begin"), begin, "node_matrix", *batch.named("old")),
            self._straight(self._name("solve"), solve, "vector"),
            self._straight(self._name("couple_and_solve"), couple, "vector", "node_matrix", "argument"),
            self._straight(self._name("finish"), finish, *batch.named("new"), *batch.named("scale")),
            *(self._right_hand_side(i) for i in range(stages)),
            self._straight(self._name("commit"), straight.commit(batch), "old", "new"),
        ]

    @property
    def _driven(self) -> bool:
        return bool(self.drive.operations)

    def _name(self, function: str) -> str:
        return f"{function}_{self.batch.shape}"

    def _straight(self, name: str, program: Program, *pointers: str) -> str:
        return self.e.function(name, spell_out(program, self.e.target), pointers)

    def _right_hand_side(self, i: int) -> str:
        """The vector of a stage before its drive, coupling and solve; with it the argument, from the same numbers.

        An argument lies where the next stage's vector will; the first stage's and those that follow another need none.
        """
        size = self.batch.size
        f = Loop(self.e, self._name(f"right{i}"), size)
        inverse = f.load("inverse_step", fixed=True)
        f.loop()
        value = f.arithmetic("fmul", inverse, self._combination(f, self.right[i]))
        if self.tableau.d[i]:
            value = f.fma(f.const(self.tableau.d[i]), f.load("sensitivity_slope"), value)
        argued = bool(i) and not self.tableau.follows[i]
        argument = self._combination(f, self.arguments[i]) if argued else None
        f.store(value, "sensitivity_stage", i * size)
        if argument is not None:
            f.store(argument, "sensitivity_stage", (i + 1) * size)
        f.end()
        return f.text()

    def _combination(self, f: Loop, weights: np.ndarray) -> str:
        """weights[0] * s + sum weights[j] * W_j."""
        value = None
        for j in np.flatnonzero(weights):
            size = self.batch.size
            part = f.load("sensitivity_stage", (int(j) - 1) * size) if j else f.load("sensitivity_start")
            weight = f.const(weights[j])
            value = f.arithmetic("fmul", weight, part) if value is None else f.fma(weight, part, value)
        assert value is not None
        return value

    # ---- the calls ------------------------------------------------------------------------------------------------------
    def commit(self) -> list[str]:
        """Take a step's sensitivities over, batch by batch."""
        lines = self._addresses()
        for old, new in zip(self._pointers("old"), self._pointers("new"), strict=True):
            lines.append(f"  call void @{self._name('commit')}(ptr %w, {old}, {new})")
        return lines

    def _pointers(self, name: str) -> list[str]:
        return [f"ptr %{name}{p}" for p in self.batch.parameters]

    def _addresses(self) -> list[str]:
        index, n = self.e.layout.index, len(self.programs.equations.states)
        places = {p: (("old", "state", n * (1 + p)), ("new", "sensitivity_new", n * p), ("scale", "scale", p))
                  for p in self.batch.parameters}  # fmt: skip
        return [self.e.address(f"%{name}{p}", index(area, at)) for p in places for name, area, at in places[p]]

    def step(self) -> list[str]:
        """All stages."""
        index = self.e.layout.index
        lines = self._addresses()
        lines.append(self._call("begin", "ptr %matrix_slope", *self._pointers("old")))
        lines += self._add_drive("slope", index("sensitivity_slope"), "%drive_slope")
        for i, alpha in enumerate(self.tableau.alpha):
            node = self.nodes.index(float(alpha))
            lines.append(self._call(f"right{i}"))
            lines += self._add_drive(f"vector{i}_", index("sensitivity_stage", i * self.batch.size), f"%drive{node}")
            lines += self._solve(i, node)
        return [*lines, self._call("finish", *self._pointers("new"), *self._pointers("scale"))]

    def _call(self, function: str, *arguments: str) -> str:
        return f"  call void @{self._name(function)}({', '.join(('ptr %w', *arguments))})"

    def _solve(self, i: int, node: int) -> list[str]:
        """Couple and solve one stage; its argument is the last stage's result where it follows that."""
        b = self.number
        if node == 0 or not self.varies:  # J itself: nothing to couple
            return [self._call("solve", f"ptr %vector{i}_{b}")]
        if self.tableau.follows[i]:
            return [
                self._call("couple_and_solve", f"ptr %vector{i}_{b}", f"ptr %matrix{node}", f"ptr %vector{i - 1}_{b}")
            ]
        return [
            self.e.address(f"%argument{i}_{b}", self.e.layout.index("sensitivity_stage", (i + 1) * self.batch.size)),
            self._call("couple_and_solve", f"ptr %vector{i}_{b}", f"ptr %matrix{node}", f"ptr %argument{i}_{b}"),
        ]

    def _add_drive(self, name: str, at: int, table: str) -> list[str]:
        """Address a vector, and add the drives of the batch if there are any."""
        lines = [self.e.address(f"%{name}{self.number}", at)]
        if self._driven:
            lines.append(f"  call void @drive{self.number}(ptr %w, ptr {table}, ptr %{name}{self.number})")
        return lines

"""The sensitivities' share of a step as LLVM IR: the same method with the same factors, for s' = A(t) s + b(t).

The equations of s are linear, so that a step of the states known in full leaves little to do. A and b are evaluated on
the dense output at the stage times (the nodes), once for all parameters; their slopes in time come from those values, so
no second derivative is needed. With W = U + S (S the argument, U the increment of a stage) the product of J and S leaves
the right-hand side,

    (1/(h gamma) - J) W_i = (S_i/gamma + sum_j c_ij U_j)/h + (A(t_i) - J) S_i + b(t_i) + h d_i (A' s + b'),

and W is the next argument where one stage follows another, the new s after the last one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from respine.engine.codegen.emit import Emitter
from respine.engine.codegen.loop import Loop
from respine.engine.codegen.lowering import spell_out
from respine.engine.codegen.program import Program, Programs
from respine.engine.codegen.sensitivity import kinks
from respine.engine.codegen.sensitivity import program as straight
from respine.engine.codegen.sensitivity.batch import BatchKernels, nodes_of
from respine.engine.codegen.step_size import growth
from respine.engine.codegen.tableaus import Tableau


def areas(programs: Programs, tableau: Tableau) -> Sequence[tuple[str, int]]:
    """Areas of the workspace that sensitivities add, by name."""
    return straight.extra_areas(programs, tableau.stages, len(nodes_of(tableau)))


def slope_weights(nodes: Sequence[float], order: int) -> np.ndarray:
    """Weights of values at the nodes that give the slope at 0, exact for polynomials of degree below ``order``."""
    powers = np.vander(np.array(nodes), order, increasing=True).T
    slope = np.zeros(order)
    slope[1] = 1.0
    return np.linalg.lstsq(powers, slope, rcond=None)[0]


AT_NODE = ("state", "time", "node_matrix", "node_drive", "node_switch")


class SensitivityKernels:
    """What a step with sensitivities adds to the kernels: its functions, and what the others call."""

    def __init__(self, emitter: Emitter, tableau: Tableau, programs: Programs) -> None:
        assert programs.tangent is not None
        self.e, self.tableau, self.programs, self.tangent = emitter, tableau, programs, programs.tangent
        self.n = len(programs.equations.states)
        self.nodes = nodes_of(tableau)
        batches = enumerate(straight.batches_of(self.tangent))
        self.batches = [BatchKernels(emitter, tableau, programs, number, batch) for number, batch in batches]

    # ---- the functions --------------------------------------------------------------------------------------------------
    def functions(self) -> list[str]:
        """The kernels by name, as LLVM IR."""
        shapes = {batch.batch.shape: batch for batch in self.batches}
        return [
            self._straight("tangent", straight.at_node(self.programs), *AT_NODE),
            self._straight("output_slopes", straight.output_slopes(self.programs), "state", "time", "sensitivity"),
            self._straight("control_sensitivities", self._control()),
            *(self._interpolate(k) for k in range(1, len(self.nodes)) if self.nodes[k] < 1),
            *(self._slopes(area, size) for area, size in self._tables() if size),
            *self._kink_functions(),
            *(function for batch in self.batches for function in batch.own_functions()),
            *(function for batch in shapes.values() for function in batch.functions()),
        ]

    def _straight(self, name: str, program: Program, *pointers: str) -> str:
        return self.e.function(name, spell_out(program, self.e.target), pointers)

    def _kink_functions(self) -> list[str]:
        count = len(self.tangent.switches)
        if not count:
            return []
        return [
            self._straight("bracket_kink", kinks.bracket(self.e.layout, self.nodes, count)),
            self._straight("refine_kink", kinks.refine(count), "value"),
            self._straight("settle_kink", kinks.settle()),
            self._straight("switches", kinks.switch_values(self.programs), "state", "time", "value"),
        ]

    def _tables(self) -> tuple[tuple[str, int], ...]:
        return ("matrix", len(self.tangent.varying)), ("drive", len(self.tangent.drive))

    def _control(self) -> Program:
        """The larger error decides; where the states failed, theirs alone: if these were computed is the neighbours' doing."""
        p = Program()
        error = p.load("error")
        both = straight.larger(p, error, p.load("sensitivity_error"))
        growth(p, p.do("select", p.do("le", error, p.const(1.0)), both, error), self.tableau)
        return p

    def _interpolate(self, node: int) -> str:
        """node_state := dense output at a node."""
        theta, dense = self.nodes[node], self.tableau.dense
        f = Loop(self.e, f"interpolate_node{node}", self.n)
        f.loop()
        rest = f.arithmetic("fmul", f.const(1 - theta), f.load("state"))
        value = f.fma(f.const(theta), f.load("stage"), rest)
        for j in range(self.tableau.stages):
            weight = theta * (1 - theta) * sum(row[j] * theta**k for k, row in enumerate(dense))
            if weight:
                value = f.fma(f.const(weight), f.load("increment", j * self.n), value)
        f.store(value, "node_state")
        f.end()
        return f.text()

    def _slopes(self, area: str, size: int) -> str:
        """The slope in time (times h) at the start of the step, from the values at the nodes."""
        weights = slope_weights(self.nodes, self.tableau.order)
        f = Loop(self.e, f"{area}_slopes", size)
        f.loop()
        value = f.const(0.0)
        for node, weight in enumerate(weights):
            if node or area == "drive":  # the matrix is kept as its change since the start
                value = f.fma(f.const(weight), f.load(area, node * size), value)
        f.store(value, area, len(self.nodes) * size)
        f.end()
        return f.text()

    # ---- what the exported kernels add --------------------------------------------------------------------------------
    def commit(self) -> list[str]:
        """Take a step's sensitivities over."""
        return [line for batch in self.batches for line in batch.commit()]

    def observe(self) -> list[str]:
        """Sensitivities of the outputs at a reading."""
        here = self.e.address("%sensitivity", self.e.layout.index("state", self.n))
        return [here, "  call void @output_slopes(ptr %w, ptr %rate, ptr %stage_time, ptr %sensitivity)"]

    def step(self) -> list[str]:
        """After a step of the states: the sensitivities, if the step was good in any lane."""
        t, index = self.e.target, self.e.layout.index
        v, bits = t.vector, f"v{t.lanes}i1"
        any_good = self.e.intrinsic(f"llvm.vector.reduce.or.{bits}", "i1", t.mask)
        head = [
            self.e.address("%p_error", index("error")),
            f"  %error = load {v}, ptr %p_error, align {t.alignment}",
            f"  %good = fcmp ole {v} %error, {self.e.splat(1.0)}",
            f"  %any_good = call i1 {any_good}({t.mask} %good)",
            "  br i1 %any_good, label %sensitivities, label %all_done",
            "sensitivities:",
            self.e.address("%p_worst", index("sensitivity_error")),
            f"  store {v} {self.e.splat(0.0)}, ptr %p_worst, align {t.alignment}",
        ]
        forget = [
            self.e.address("%p_kink", index("kink")),
            f"  store {v} {self.e.splat(0.0)}, ptr %p_kink, align {t.alignment}",
        ]
        body = [line for batch in self.batches for line in batch.step()]
        tail = ["  call void @control_sensitivities(ptr %w)", "  br label %all_done", "all_done:"]
        return [*forget, *head, *self._at_nodes(), *body, *self._find_kinks(any_good), *tail]

    def _find_kinks(self, any_of: str) -> list[str]:
        """Look for a kink if a lane's states are well and its sensitivities are not."""
        if not self.tangent.switches:
            return []
        t, v = self.e.target, self.e.target.vector
        lines = [
            f"  %worst = load {v}, ptr %p_worst, align {t.alignment}",
            f"  %too_large = fcmp ogt {v} %worst, {self.e.splat(1.0)}",
            f"  %spoilt = and {t.mask} %good, %too_large",
            f"  %any_spoilt = call i1 {any_of}({t.mask} %spoilt)",
            "  br i1 %any_spoilt, label %kinks, label %control",
            "kinks:",
            self.e.address("%p_fraction", self.e.layout.index("fraction")),
            self.e.address("%p_rate", self.e.layout.index("rate")),
            self.e.address("%p_switch_now", self.e.layout.index("switch_now")),
            "  call void @bracket_kink(ptr %w)",
        ]
        for k in range(kinks.REFINEMENTS):
            lines += [
                "  call void @interpolate_states(ptr %w)",
                f"  %share{k} = load {v}, ptr %p_fraction, align {t.alignment}",
                f"  %on{k} = fmul {v} %share{k}, %h",
                f"  %then{k} = fadd {v} %t, %on{k}",
                f"  store {v} %then{k}, ptr %p_stage_time, align {t.alignment}",
                "  call void @switches(ptr %w, ptr %p_rate, ptr %p_stage_time, ptr %p_switch_now)",
                "  call void @refine_kink(ptr %w, ptr %p_switch_now)",
            ]
        return [*lines, "  call void @settle_kink(ptr %w)", "  br label %control", "control:"]

    def _at_nodes(self) -> list[str]:
        t, index = self.e.target, self.e.layout.index
        v, lines = t.vector, [self.e.address("%node_state", index("node_state"))]
        for k, theta in enumerate(self.nodes):
            for area, size in (*self._tables(), ("switch", len(self.tangent.switches))):
                lines.append(self.e.address(f"%{area}{k}", index(area, k * size)))
            if k:
                lines += [f"  call void @interpolate_node{k}(ptr %w)"] if theta < 1 else []
                state = "%node_state" if theta < 1 else "%p_stage"
                lines += [
                    f"  %ahead{k} = fmul {v} %h, {self.e.splat(theta)}",
                    f"  %moment{k} = fadd {v} %t, %ahead{k}",
                    f"  store {v} %moment{k}, ptr %p_stage_time, align {t.alignment}",
                    f"  call void @tangent(ptr %w, ptr {state}, ptr %p_stage_time, ptr %matrix{k}, ptr %drive{k}, "
                    f"ptr %switch{k})",
                ]
        for area, size in self._tables():
            lines.append(self.e.address(f"%{area}_slope", index(area, len(self.nodes) * size)))
            lines += [f"  call void @{area}_slopes(ptr %w)"] if size else []
        return lines

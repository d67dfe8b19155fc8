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

from respine.engine import sensitivity_kinks as kinks
from respine.engine import sensitivity_program as straight
from respine.engine.emit import Emitter
from respine.engine.loop import Loop
from respine.engine.program import Program, Programs
from respine.engine.spelling import spell_out
from respine.engine.step import control_step
from respine.engine.tableaus import Tableau


def nodes_of(tableau: Tableau) -> tuple[float, ...]:
    """Stage times as shares of the step, each once, the start first."""
    return tuple(sorted(set(map(float, tableau.alpha))))


def areas(programs: Programs, tableau: Tableau) -> Sequence[tuple[str, int]]:
    return straight.extra_areas(programs, tableau.stages, len(nodes_of(tableau)))


def slope_weights(nodes: Sequence[float], order: int) -> np.ndarray:
    """Weights of values at the nodes that give the slope at 0, exact for polynomials of degree below ``order``."""
    powers = np.vander(np.array(nodes), order, increasing=True).T
    slope = np.zeros(order)
    slope[1] = 1.0
    return np.linalg.lstsq(powers, slope, rcond=None)[0]


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


AT_NODE = ("state", "time", "node_matrix", "node_drive", "node_switch")


class SensitivityKernels:
    def __init__(self, emitter: Emitter, tableau: Tableau, programs: Programs) -> None:
        assert programs.tangent is not None
        self.e, self.tableau, self.programs, self.tangent = emitter, tableau, programs, programs.tangent
        self.n, self.count = len(programs.equations.states), programs.tangent.n_parameters
        self.nodes = nodes_of(tableau)
        self.arguments, self.right = combinations(tableau)
        self.range = straight.support_range(programs)

    # ---- the functions --------------------------------------------------------------------------------------------------
    def functions(self) -> list[str]:
        programs, stages = self.programs, self.tableau.stages
        made = [
            self._straight("tangent", straight.at_node(programs), *AT_NODE),
            self._straight("output_slopes", straight.output_slopes(programs), "state", "time", "sensitivity"),
            self._straight("control_sensitivities", self._control()),
            *(self._interpolate(k) for k in range(1, len(self.nodes)) if self.nodes[k] < 1),
            *(self._slopes(area, size) for area, size in self._tables() if size),
            *(
                self._straight(f"drive{p}", straight.drive(programs, p), "node_drive", "vector")
                for p in range(self.count)
            ),
            self._commit(),
            *self._kink_functions(),
        ]
        return [
            *made,
            self._straight(
                "couple_and_solve", straight.couple_and_solve(programs), "vector", "node_matrix", "argument"
            ),
            self._straight("solve_support", straight.couple_and_solve(programs, couple=False), "vector"),
            self._straight("slope_in_time", straight.slope_in_time(programs), "old", "node_matrix"),
            self._straight(
                "finish_sensitivity", straight.finish(programs, self.e.layout, stages), "old", "new", "scale"
            ),
            *(self._right_hand_side(i) for i in range(stages)),
        ]

    def _straight(self, name: str, program: Program, *pointers: str) -> str:
        return self.e.function(name, spell_out(program, self.e.target), pointers)

    def _kink_functions(self) -> list[str]:
        count = len(self.tangent.switches)
        if not count:
            return []
        return [
            self._straight("bracket_kink", kinks.bracket(self.nodes, count)),
            self._straight("refine_kink", kinks.refine(count), "value"),
            self._straight("settle_kink", kinks.settle()),
            self._straight("switches", kinks.switch_values(self.programs), "state", "time", "value"),
        ]

    def _tables(self) -> tuple[tuple[str, int], ...]:
        return ("matrix", len(self.tangent.varying)), ("drive", len(self.tangent.drive))

    def _control(self) -> Program:
        p = Program()
        control_step(p, straight.larger(p, p.load("error"), p.load("sensitivity_error")), self.tableau)
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

    def _right_hand_side(self, i: int) -> str:
        """The vector of a stage before its drive, coupling and solve; with it the argument, from the same numbers.

        An argument lies where the next stage's vector will; the first stage's and those that follow another need none.
        """
        first, last = self.range
        f = Loop(self.e, f"sensitivity_right{i}", last - first, ("old",))
        inverse = f.load("inverse_step", fixed=True)
        f.loop()
        value = f.arithmetic("fmul", inverse, self._combination(f, self.right[i], first))
        if self.tableau.d[i]:
            value = f.fma(f.const(self.tableau.d[i]), f.load("sensitivity_slope", first), value)
        argued = bool(i) and not self.tableau.follows[i]
        argument = self._combination(f, self.arguments[i], first) if argued else None
        f.store(value, "sensitivity_stage", i * self.n + first)
        if argument is not None:
            f.store(argument, "sensitivity_stage", (i + 1) * self.n + first)
        f.end()
        return f.text()

    def _combination(self, f: Loop, weights: np.ndarray, first: int = 0) -> str:
        """weights[0] * s + sum weights[j] * W_j, from a state on."""
        value = None
        for j in np.flatnonzero(weights):
            part = f.load("sensitivity_stage", (int(j) - 1) * self.n + first) if j else f.load("old", first)
            weight = f.const(weights[j])
            value = f.arithmetic("fmul", weight, part) if value is None else f.fma(weight, part, value)
        assert value is not None
        return value

    def _commit(self) -> str:
        f = Loop(self.e, "commit_sensitivities", self.n * self.count)
        v = self.e.target.vector
        mask = f.value(f"fcmp ogt {v} {f.load('accepted', fixed=True)}, {f.const(0.5)}")
        f.loop()
        chosen = f"select {self.e.target.mask} {mask}, {v} {f.load('sensitivity_new')}, {v} {f.load('state', self.n)}"
        f.store(f.value(chosen), "state", self.n)
        f.end()
        return f.text()

    # ---- what the exported kernels add --------------------------------------------------------------------------------
    def commit(self) -> list[str]:
        return ["  call void @commit_sensitivities(ptr %w)"]

    def observe(self) -> list[str]:
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
        body = [line for p in range(self.count) for line in self._parameter(p)]
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

    def _parameter(self, p: int) -> list[str]:
        """All stages of one parameter."""
        index, n = self.e.layout.index, self.n
        lines = [
            self.e.address(f"%old{p}", index("state", n * (1 + p))),
            self.e.address(f"%new{p}", index("sensitivity_new", n * p)),
            self.e.address(f"%scale{p}", index("scale", p)),
            f"  call void @slope_in_time(ptr %w, ptr %old{p}, ptr %matrix_slope)",
            *self._drive(p, f"%slope{p}", index("sensitivity_slope"), "%drive_slope"),
        ]
        for i, alpha in enumerate(self.tableau.alpha):
            node = self.nodes.index(float(alpha))
            lines.append(f"  call void @sensitivity_right{i}(ptr %w, ptr %old{p})")
            lines += self._drive(p, f"%vector{p}_{i}", index("sensitivity_stage", i * n), f"%drive{node}")
            lines += self._solve(p, i, node)
        lines.append(f"  call void @finish_sensitivity(ptr %w, ptr %old{p}, ptr %new{p}, ptr %scale{p})")
        return lines

    def _solve(self, p: int, i: int, node: int) -> list[str]:
        """Couple and solve one stage; its argument is the last stage's result where it follows that."""
        if node == 0 or not self.tangent.varying:  # J itself: nothing to couple
            return [f"  call void @solve_support(ptr %w, ptr %vector{p}_{i})"]
        pointers = f"ptr %w, ptr %vector{p}_{i}, ptr %matrix{node}"
        if self.tableau.follows[i]:
            return [f"  call void @couple_and_solve({pointers}, ptr %vector{p}_{i - 1})"]
        return [
            self.e.address(f"%argument{p}_{i}", self.e.layout.index("sensitivity_stage", (i + 1) * self.n)),
            f"  call void @couple_and_solve({pointers}, ptr %argument{p}_{i})",
        ]

    def _drive(self, parameter: int, name: str, at: int, table: str) -> list[str]:
        """Address a vector, and add the drive of its parameter if there is any."""
        lines = [self.e.address(name, at)]
        if any(p == parameter for _, p in self.tangent.drive):
            lines.append(f"  call void @drive{parameter}(ptr %w, ptr {table}, ptr {name})")
        return lines

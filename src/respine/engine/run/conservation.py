"""Conserved totals (bound and free receptors, say): found in the form of the equations, followed as a check of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from respine.engine.dosing.schedule import Readings
from respine.engine.equations.graph import Graph
from respine.engine.equations.specialise import Requirements, specialise
from respine.engine.equations.sums import terms_of
from respine.engine.status import Failure, Status
from respine.model.expression import Expr, num, sym
from respine.model.system import System

ALLOWED = 10.0  # tolerances: the methods keep linear totals to rounding, so this much is a fault
Total = dict[str, float]  # weight of each state


def conservation_laws(system: System, vary: Sequence[str], values: Mapping[str, float]) -> list[Total]:
    """Weighted sums of states whose rates cancel term by term, one dict of weights each; states at rest left out."""
    equations = specialise(system, Requirements(system.states, tuple(vary), keep_all=True), values)
    columns: dict[tuple[int, ...], int] = {}
    entries = []
    for i, root in enumerate(equations.rates):
        for node, sign in terms_of(equations.graph, root):
            base, factor = _split(equations.graph, node)
            if factor:
                entries.append((columns.setdefault(base, len(columns)), i, sign * factor))
    matrix = np.zeros((len(columns), len(system.states)))
    for term, state, factor in entries:
        matrix[term, state] += factor
    moving = np.flatnonzero(np.abs(matrix).max(axis=0, initial=0.0) > 0)
    names = [system.states[k] for k in moving]
    return [{name: float(w) for name, w in zip(names, row, strict=True) if w} for row in _null_space(matrix[:, moving])]


def _split(graph: Graph, node: int) -> tuple[tuple[int, ...], float]:
    """A product as its factors and a number: 2*(k*v) as ((k, v), 2)."""
    factors, number, stack = [], 1.0, [node]
    while stack:
        factor = stack.pop()
        op, *parts = graph.nodes[factor]
        if op in ("mul", "neg"):
            stack += parts
            number = -number if op == "neg" else number
        elif op == "const":
            number *= parts[0] if parts[0] != "nan" else np.nan
        else:
            factors.append(factor)
    return tuple(sorted(factors)), number


def _null_space(matrix: np.ndarray) -> np.ndarray:
    """Rows that the matrix sends to zero, by elimination, so that each has few entries."""
    a = matrix.copy()
    pivots: list[int] = []
    for column in range(a.shape[1]):
        left = a[len(pivots) :, column]
        if not len(left) or np.abs(left).max() < 1e-9:
            continue
        row = len(pivots) + int(np.abs(left).argmax())
        here = len(pivots)
        a[[here, row]] = a[[row, here]]
        a[here] /= a[here, column]
        others = np.arange(len(a)) != here
        a[others] -= np.outer(a[others, column], a[here])
        pivots.append(column)
    free = [c for c in range(a.shape[1]) if c not in pivots]
    rows = np.zeros((len(free), a.shape[1]))
    for k, column in enumerate(free):
        rows[k, column] = 1.0
        rows[k, pivots] = -a[: len(pivots), column]
    rows[np.abs(rows) < 1e-9] = 0.0
    return rows


@dataclass(frozen=True)
class ConservedTotals:
    """The totals of a system, and the outputs that record them: of each its value and the size of its parts."""

    totals: tuple[Total, ...]

    @property
    def outputs(self) -> tuple[str, ...]:
        """Totals as outputs to record."""
        return tuple(name for k in range(len(self.totals)) for name in (f"#total {k}", f"#size {k}"))

    def extended(self, system: System) -> System:
        """The system with a rule for each of the outputs."""
        rules: dict[str, Expr] = {}
        for k, total in enumerate(self.totals):
            parts = [(w, sym(s)) for s, w in total.items()]
            rules[f"#total {k}"] = _sum([("mul", num(w), state) for w, state in parts])
            rules[f"#size {k}"] = _sum([("mul", num(abs(w)), ("abs", state)) for w, state in parts])
        return replace(system, rules={**system.rules, **rules})

    def check(
        self, rows: np.ndarray, readings: Readings, status: np.ndarray, rtol: float, fed: frozenset[str]
    ) -> tuple[list[dict[str, object]], list[Failure]]:
        """Each total with its largest drift between readings with no event in between, and the subjects with too much.

        ``rows``: the recorded outputs, (n_rows, 2 * totals). Totals of states ``fed`` by an infusion are not conserved: left out.
        """
        subject = np.repeat(np.arange(len(readings.count)), readings.count)
        order = np.concatenate([np.arange(r, r + n) for r, n in zip(readings.row, readings.count, strict=True)])
        notes: list[dict[str, object]] = []
        failures: list[Failure] = []
        for k, total in enumerate(self.totals):
            if fed & set(total):
                continue
            value, size = rows[order, 2 * k], rows[order, 2 * k + 1]
            together = (subject[1:] == subject[:-1]) & (readings.need[order][1:] == readings.need[order][:-1])
            with np.errstate(invalid="ignore", divide="ignore"):
                drift = np.abs(np.diff(value)) / np.maximum(np.maximum(size[1:], size[:-1]), 1e-300)
            drift = np.where(together & np.isfinite(drift), drift, 0.0)
            notes.append({"total": total, "largest_drift": float(drift.max(initial=0.0))})
            for at in np.flatnonzero(drift > ALLOWED * rtol):
                s = int(subject[at + 1])
                if status[s] == Status.OK and s not in {f.subject for f in failures}:
                    time = float(readings.times[readings.first[s] + order[at + 1] - readings.row[s]])
                    failures.append(Failure(s, Status.NOT_KEPT, time, _describe(total), float(value[at + 1])))
        return notes, failures


def conserved_totals(system: System, vary: Sequence[str], values: Mapping[str, float]) -> ConservedTotals:
    """The conserved totals of a system, `conservation_laws` of it."""
    return ConservedTotals(tuple(conservation_laws(system, vary, values)))


def _sum(parts: Sequence[Expr]) -> Expr:
    total = parts[0]
    for part in parts[1:]:
        total = ("add", total, part)
    return total


def _describe(total: Total) -> str:
    return " + ".join(name if w == 1 else f"{w:g} {name}" for name, w in total.items())

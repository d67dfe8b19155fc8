"""Predictions of subjects for given parameters and random effects, with exact derivatives by both.

A *lane* is a subject with one vector of random effects; a batch of lanes is solved by the engine at once. Formulas of
the problem are evaluated with their slopes (`dual`), the engine gives the sensitivities of the states, and the chain
rule joins them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from respine.errors import InputError, Problem
from respine.fit.population.directions import Directions
from respine.fit.population.doses import DoseBook
from respine.fit.population.dual import Dual, evaluate
from respine.fit.population.equations import Equations, at_start, base, direction, prepare, slope
from respine.fit.population.lanes import LaneRecords
from respine.fit.population.observation import DATUM, PREDICTION, ObservationModel
from respine.fit.population.problem import PopulationProblem
from respine.fit.population.read import TIME_NAMES

WANTS = ("nothing", "random", "all")
FEW = 24  # lanes up to which a second thread costs more than it brings


@dataclass(frozen=True)
class Layout:
    """Rows of a batch: all records of its lanes, one lane after the other.

    ``subjects`` (n_lanes,); ``lane`` and ``record`` (n_rows,); ``first`` (n_lanes,) the row at which each lane
    begins; ``observed``: for each observation part its rows.
    """

    subjects: np.ndarray
    lane: np.ndarray
    record: np.ndarray
    first: np.ndarray
    observed: Mapping[str, np.ndarray]

    @property
    def n_lanes(self) -> int:
        return len(self.subjects)


@dataclass(frozen=True)
class Piece:
    """One observation part's share of a batch, its rows in the order of lanes, (n_rows,) each.

    Gaussian: ``mean`` and ``variance`` on the scale of ``datum``, ``log_slope`` of the datum's transform; else
    ``log_likelihood``. ``ipred`` is the prediction on its natural scale, ``values`` what else its formulas were
    evaluated with. ``observed`` is False for records without an observation (they are predicted for tables).
    """

    model: ObservationModel
    lane: np.ndarray
    record: np.ndarray
    ipred: Dual
    mean: Dual
    variance: Dual
    datum: Dual
    log_slope: Dual
    log_likelihood: Dual | None = None
    limit: np.ndarray | None = None
    values: Mapping[str, Dual] = field(default_factory=dict)
    observed: bool = True


@dataclass(frozen=True)
class Prediction:
    """Predictions of a batch. ``bad`` (n_lanes,) lanes that could not be solved, ``reasons`` why, by lane."""

    layout: Layout
    pieces: tuple[Piece, ...]
    bad: np.ndarray
    reasons: Mapping[int, str]
    individual: Mapping[str, Dual]


class Predictor:
    """Predicts the observations of a problem. ``rtol`` of the engine; ``threads`` None: all there are."""

    def __init__(self, problem: PopulationProblem, *, rtol: float | None = None, threads: int | None = None) -> None:
        self.problem = problem
        self.rtol = rtol or problem.estimation.rtol
        self.threads = threads or len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else threads
        self.directions = Directions(problem)
        self._layouts: dict[bytes, Layout] = {}
        self._solvers: dict[str, _Solver] = {}
        names = self.directions.names
        self.changing = {
            name for name, formula in problem.individual.items()
            if self.directions.changes(names(formula.expr, problem.individual, name))
        }  # fmt: skip
        self.book = DoseBook(problem, self.directions, self.changing)

    # ---- layouts ------------------------------------------------------------------------------------------------------
    def layout(self, subjects: np.ndarray) -> Layout:
        """The rows of lanes of these subjects."""
        key = np.asarray(subjects, np.int64).tobytes()
        if key not in self._layouts:
            if len(self._layouts) > 64:
                self._layouts.clear()
            self._layouts[key] = self._make_layout(np.asarray(subjects, np.int64))
        return self._layouts[key]

    def _make_layout(self, subjects: np.ndarray) -> Layout:
        data = self.problem.data
        count = (data.last - data.first)[subjects]
        first = np.cumsum(count) - count
        lane = np.repeat(np.arange(len(subjects)), count)
        record = np.arange(int(count.sum())) - first[lane] + data.first[subjects][lane]
        observed = {}
        for name, rows in self.problem.rows.items():
            belongs = np.zeros(data.n_records, bool)
            belongs[rows] = True
            observed[name] = np.flatnonzero(belongs[record])
        return Layout(subjects, lane, record, first, observed)

    # ---- formulas -----------------------------------------------------------------------------------------------------
    def _units(self, want: str) -> tuple[int, np.ndarray]:
        """How many directions are wanted, and the unit vectors (k, k)."""
        d = self.directions
        k = {"nothing": 0, "random": d.n_random, "all": d.n_random + d.n_free}[want]
        return k, np.eye(k)

    def _unit(self, eye: np.ndarray, k: int) -> np.ndarray | None:
        return eye[:, k : k + 1] if k < len(eye) else None

    def lane_values(self, layout: Layout, fixed: np.ndarray, random: np.ndarray, want: str) -> dict[str, Dual]:
        """Parameters, effects, and individual parameters that are one number a subject."""
        d, problem = self.directions, self.problem
        _, eye = self._units(want)
        place = {k: d.n_random + m for m, k in enumerate(d.free)}
        values: dict[str, Dual] = {name: Dual(0.0) for name in d.resting}
        for k, name in enumerate(d.fixed):
            values[name] = Dual(fixed[k], self._unit(eye, place[k]) if k in place else None)
        for name, k in d.eta.items():
            values[name] = Dual(random[:, k], self._unit(eye, k))
        begin = self.problem.data.first[layout.subjects]
        for name, column in problem.covariates.items():
            if name not in values:
                values[name] = Dual(column[begin])
        for name, formula in problem.individual.items():
            if name not in self.changing:
                values[name] = evaluate(formula.expr, values)
        return values

    def record_values(
        self, layout: Layout, rows: np.ndarray, lane_values: Mapping[str, Dual], random: np.ndarray, want: str
    ) -> dict[str, Dual]:
        """All values at some rows of the layout."""
        d, problem = self.directions, self.problem
        lane, record = layout.lane[rows], layout.record[rows]
        values = {name: value.take(lane) for name, value in lane_values.items()}
        for name, column in problem.covariates.items():
            if name not in d.fixed and name not in d.eta and (name not in problem.individual or name in self.changing):
                values[name] = Dual(column[record])
        time = Dual(problem.data.time[record])
        values |= {name: time for name in TIME_NAMES if name not in values or name in problem.covariates}
        if d.kappa:
            k, _ = self._units(want)
            for name, j in d.kappa.items():
                at = len(d.eta) + d.occasion[record] * len(d.kappa) + j
                slopes = None
                if k:
                    slopes = np.zeros((k, len(rows)))
                    slopes[at, np.arange(len(rows))] = 1.0
                values[name] = Dual(random[lane, at], slopes)
        for name, formula in problem.individual.items():
            if name in self.changing:
                values[name] = evaluate(formula.expr, values)
        return values

    # ---- the engine ---------------------------------------------------------------------------------------------------
    @cached_property
    def outputs(self) -> tuple[str, ...]:
        """States and rules of the model that observations need."""
        system = self.problem.system
        if system is None:
            return ()
        own = {*self.problem.individual, *self.directions.fixed}
        wanted = {name for model in self.problem.observations for name in model.names}
        return tuple(n for n in (*system.states, *system.rules) if n in wanted and n not in own)

    def solver(self, want: str) -> _Solver:
        if want not in self._solvers:
            self._solvers[want] = _Solver(self, want)
        return self._solvers[want]

    # ---- predictions --------------------------------------------------------------------------------------------------
    def predict(
        self, subjects: np.ndarray, fixed: np.ndarray, random: np.ndarray, want: str = "nothing", *, every: bool = False
    ) -> Prediction:
        """Predictions of lanes: ``subjects`` (n_lanes,), ``fixed`` (n_fixed,), ``random`` (n_lanes, Q).

        ``want``: derivatives by ``nothing``, the ``random`` effects, or ``all`` directions. ``every``: at all
        records, by the first observation part where a record is no observation.
        """
        layout = self.layout(subjects)
        lane_values = self.lane_values(layout, fixed, random, want)
        solved: dict[str, Dual] = {}
        bad, reasons = np.zeros(layout.n_lanes, bool), dict[int, str]()
        if self.outputs:
            solved, bad, reasons = self.solver(want).solve(layout, lane_values, random)
        pieces = [(model, layout.observed[model.name]) for model in self.problem.observations]
        made = tuple(
            self._piece(layout, model, rows, lane_values, random, want, solved) for model, rows in pieces if len(rows)
        )
        if every:
            taken = np.zeros(len(layout.record), bool)
            for _, rows in pieces:
                taken[rows] = True
            rest = np.flatnonzero(~taken)
            model = next((m for m in self.problem.observations if m.prediction is not None), None)
            if len(rest) and model is not None:
                made += (replace(self._piece(layout, model, rest, lane_values, random, want, solved), observed=False),)
        return Prediction(layout, made, bad, reasons, lane_values)

    def _piece(
        self,
        layout: Layout,
        model: ObservationModel,
        rows: np.ndarray,
        lane_values: Mapping[str, Dual],
        random: np.ndarray,
        want: str,
        solved: Mapping[str, Dual],
    ) -> Piece:
        values = self.record_values(layout, rows, lane_values, random, want)
        values |= {name: value.take(rows) for name, value in solved.items()}
        if self.problem.system is not None:
            system = self.problem.system
            rest = {**system.parameters, **system.inputs}
            values |= {name: Dual(value) for name, value in rest.items() if name not in values}
        record = layout.record[rows]
        size = len(rows)
        datum = Dual(self.problem.data.dv[record])
        values[DATUM] = datum
        nothing = Dual(np.zeros(size))
        lane = layout.lane[rows]
        if model.log_likelihood is not None:
            ipred = _full(evaluate(model.prediction, values), size) if model.prediction is not None else nothing
            values[PREDICTION] = ipred
            log_likelihood = _full(evaluate(model.log_likelihood, values), size)
            return Piece(model, lane, record, ipred, ipred, nothing, datum, nothing, log_likelihood)
        assert model.prediction is not None and model.variance is not None
        ipred = _full(evaluate(model.prediction, values), size)
        values[PREDICTION] = ipred
        variance = _full(evaluate(model.variance, values), size)
        mean = ipred if model.mean is None else _full(evaluate(model.mean, values), size)
        slope = nothing
        if model.datum is not None and model.log_slope is not None:
            datum, slope = _full(evaluate(model.datum, values), size), _full(evaluate(model.log_slope, values), size)
        limit = None if model.limit is None else np.broadcast_to(evaluate(model.limit, values).value, (size,))
        return Piece(model, lane, record, ipred, mean, variance, datum, slope, None, limit, values)


def _full(value: Dual, size: int) -> Dual:
    """With one entry and one column of slopes a row."""
    slopes = value.slope
    if slopes is not None and slopes.shape[1] != size:
        slopes = np.broadcast_to(slopes, (len(slopes), size))
    return Dual(np.broadcast_to(value.value, (size,)), slopes)


class _Solver:
    """The engine's solver for one set of directions, and how its parameters and sensitivities belong to the
    formulas.
    """

    def __init__(self, predictor: Predictor, want: str) -> None:
        from respine import engine

        self.predictor, self.want = predictor, want
        problem, d = predictor.problem, predictor.directions
        system = problem.system
        assert system is not None
        k = predictor._units(want)[0]
        of_model = {*system.parameters, *system.inputs}
        own = {name: f for name, f in problem.individual.items() if name in of_model}
        depends = {name: sorted(i for i in d.of(f.expr, problem.individual, name) if i < k) for name, f in own.items()}
        changing = {name: depends[name] for name in own if name in predictor.changing}
        book = predictor.book
        directed = {i for which in changing.values() for i in which} | {i for i in book.directed if i < k}
        self.equations: Equations = prepare(problem, changing, directed, book.slots, book.leaves)
        made = self.equations.system
        place = {name: d.n_random + m for m, name in enumerate(d.fixed[i] for i in d.free)}
        constant = [name for name in own if name not in changing]
        plain = [name for name in problem.theta_names if name in of_model and name not in own]
        starts = [name for name in changing if at_start(name) in made.parameters]
        self.vary = [*constant, *plain, *(at_start(name) for name in starts), *book.parameters]
        leaves = [name for name in constant if depends[name]] + [name for name in plain if place.get(name, k) < k]
        leaves += [at_start(name) for name in starts if depends[name]]
        leaves += [name for name in book.leaves if any(i < k for i in book.leaves[name])]
        self.leaves, self.directed = leaves, sorted(directed)
        self.changing, self.starts = changing, starts
        sensitivities = [*leaves, *(direction(i) for i in self.directed)] if k else []
        try:
            self.solver = engine.build(
                made, outputs=predictor.outputs, vary=[n for n in self.vary if n in made.parameters],
                sensitivities=sensitivities,
            )  # fmt: skip
        except ValueError as error:
            raise _refused(problem, error) from None

    def solve(
        self, layout: Layout, lane_values: Mapping[str, Dual], random: np.ndarray
    ) -> tuple[dict[str, Dual], np.ndarray, dict[int, str]]:
        """The outputs at all rows with their slopes, which lanes failed, and why."""
        predictor, problem = self.predictor, self.predictor.problem
        rows = np.arange(len(layout.record))
        along: Mapping[str, Dual] = {}
        if self.changing or predictor.book.along:
            along = predictor.record_values(layout, rows, lane_values, random, self.want)
        values: dict[str, Dual] = {name: lane_values[name] for name in self.vary if name in lane_values}
        values |= {at_start(name): along[name].take(layout.first) for name in self.starts}
        batch = predictor.book.batch(layout, lane_values, along, self.want, self.equations.inputs)
        values |= batch.values
        names = self.solver.setup.vary
        parameters = np.empty((layout.n_lanes, len(names)))
        for k, name in enumerate(names):
            parameters[:, k] = values[name].value
        records = batch.records
        if self.changing:
            records = LaneRecords(records.plans, records.which, self._inputs(layout, along))
        threads = 1 if layout.n_lanes <= FEW else predictor.threads
        try:
            solution = self.solver.solve(
                parameters, records, rtol=predictor.rtol, threads=threads, start=float(problem.data.time.min())
            )
        except ValueError as error:
            raise _refused(problem, error) from None
        kept = batch.kept
        solved = {}
        k = predictor._units(self.want)[0]
        for o, name in enumerate(solution.outputs):
            slopes = None
            if k and solution.gradients is not None:
                slopes = self._chain(solution.gradients[kept, o], values, layout, k)
            solved[name] = Dual(solution.values[kept, o], slopes)
        bad = solution.status != 0
        reasons = {f.subject: f"{f.reason} (time {f.time:g})" for f in solution.failures} if bad.any() else {}
        return solved, bad, reasons

    def _chain(self, gradients: np.ndarray, values: Mapping[str, Dual], layout: Layout, k: int) -> np.ndarray:
        """(k, n_rows) from the engine's sensitivities (n_rows, n_leaves + n_directions)."""
        total = np.zeros((k, len(gradients)))
        for column, name in enumerate(self.leaves):
            slopes = values[name].slope
            if slopes is not None:
                wide = slopes if slopes.shape[1] == 1 else slopes[:, layout.lane]
                total += wide * gradients[:, column]
        for column, i in enumerate(self.directed, len(self.leaves)):
            total[i] += gradients[:, column]
        return total

    def _inputs(self, layout: Layout, along: Mapping[str, Dual]) -> list[np.ndarray]:
        """For each lane the values of the inputs at its records, (n_records, n_inputs)."""
        columns: list[np.ndarray] = []
        size = len(layout.record)
        for name in self.equations.inputs:
            owner = next(n for n in self.changing if name == base(n) or name in [slope(n, k) for k in self.changing[n]])
            value = along[owner]
            if name == base(owner):
                columns.append(np.broadcast_to(value.value, (size,)))
                continue
            k = next(i for i in self.changing[owner] if name == slope(owner, i))
            columns.append(
                np.zeros(size) if value.slope is None else np.broadcast_to(value.slope, (len(value.slope), size))[k]
            )
        whole = np.stack(columns, axis=1)
        ends = np.append(layout.first[1:], size)
        return [whole[a:b] for a, b in zip(layout.first, ends, strict=True)]


def _refused(problem: PopulationProblem, error: ValueError) -> InputError:
    """What the engine refuses, as a mistake of the problem."""
    where = str(problem.file or "problem")
    return InputError(
        Problem(where, "model", "", f"The model cannot be solved: {error}.", "Correct the model or the data.")
    )

"""Estimation by the first-order methods and Laplace: an exact outer search, starts that differ, and a guard on the
slopes.
"""

from __future__ import annotations

import time as clock
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from respine.fit.population.marginal import Marginal
from respine.fit.population.objective import Objective, Point, Value, start_point
from respine.fit.population.prediction import Predictor
from respine.fit.population.priors import penalty
from respine.fit.population.problem import PopulationProblem
from respine.fit.population.quasi_newton import Search, search
from respine.fit.population.vector import Vector

Watch = Callable[[str], None]
DIFFERENCE = 1e-4  # of x, where slopes come from differences of the objective
STEP = 1e-2  # of the guard, in standard errors or so
TOLERANCE, SAMPLED = 1e-7, 1e-3  # of the objective, at which a search ends; of one that comes from samples
GUARD = 1e-3  # relative difference between exact slopes and differences that is still believed


@dataclass(frozen=True)
class SlopeCheck:
    """One comparison of exact slopes with differences of the objective along a direction."""

    where: str
    exact: float
    difference: float

    @property
    def agrees(self) -> bool:
        scale = max(abs(self.exact), abs(self.difference))
        return bool(abs(self.exact - self.difference) <= GUARD * (1.0 + scale))


@dataclass
class Estimate:
    """The end of a search: ``point``, its ``value``, the slopes by x of every subject (n_subjects, n); ``matrix`` (n,
    n) is what the search knows of the second derivatives.
    """

    outer: Outer
    point: Point
    value: Value
    prior: float
    slopes: np.ndarray
    converged: bool
    why: str
    checks: list[SlopeCheck]
    searches: list[Search]
    evaluations: int
    seconds: float
    matrix: np.ndarray

    @property
    def objective(self) -> Objective:
        return self.outer.objective

    @property
    def vector(self) -> Vector:
        return self.outer.vector

    @property
    def total(self) -> float:
        """The objective with what priors add."""
        return self.value.total + self.prior

    @property
    def x(self) -> np.ndarray:
        return self.vector.pack(self.point)


def objective_of(problem: PopulationProblem, method: str, predictor: Predictor | None = None) -> Objective:
    """The objective of a method."""
    if method in ("agq", "imp"):
        return Marginal(problem, method, predictor=predictor)
    return Objective(problem, method, predictor=predictor)


class Outer:
    """The objective of a problem as a function of one vector."""

    def __init__(self, problem: PopulationProblem, method: str) -> None:
        self.problem = problem
        self.objective = objective_of(problem, method)
        self.vector = Vector(self.objective.d, self.objective.blocks)
        self.begin = start_point(self.objective)
        self.floors = self.vector.floors(self.begin)
        self.evaluations = 0
        self.each: np.ndarray | None = None

    def point(self, x: np.ndarray) -> Point:
        """The point of x; variances that fell below their floors stay there."""
        return self.vector.unpack(np.maximum(x, self.floors), self.begin)

    def value(self, x: np.ndarray) -> float:
        """The objective alone."""
        point = self.point(x)
        self.evaluations += 1
        if not self._usable(point):
            return np.nan
        return self.objective.at(point).total + penalty(self.objective.d, self.objective.blocks, point)[0]

    def __call__(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """The objective and its slopes; NaN outside of what numbers can hold."""
        point = self.point(x)
        if not self._usable(point):
            return np.nan, np.zeros(len(x))
        if self.objective.by_differences:
            return self._by_differences(x)
        self.evaluations += 1
        value = self.objective.at(point, slopes=True)
        if not np.isfinite(value.total):
            return np.nan, np.zeros(len(x))
        assert value.by_fixed is not None and value.by_blocks is not None
        prior, by_fixed, by_blocks = penalty(self.objective.d, self.objective.blocks, point)
        self.each = self.vector.slopes(point, value.by_fixed, value.by_blocks)
        of_prior = self.vector.slopes(point, by_fixed[None], [b[None] for b in by_blocks])[0]
        self.each[:, x < self.floors] = 0.0
        return value.total + prior, np.where(x < self.floors, 0.0, self.each.sum(axis=0) + of_prior)

    def _usable(self, point: Point) -> bool:
        parts = (point.fixed, *point.blocks)
        if not all(np.isfinite(part).all() and np.abs(part).max(initial=0.0) < 1e100 for part in parts):
            return False
        return all(np.linalg.eigvalsh(b)[0] > 1e-14 * float(np.trace(b)) for b in point.blocks)

    def _by_differences(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """Slopes of every subject by central differences: Laplace's curvature would need third derivatives."""
        n, count = len(self.objective.subjects), len(x)
        self.each = np.zeros((n, count))
        slope = np.zeros(count)
        for k in range(count):
            step = np.zeros(count)
            step[k] = DIFFERENCE
            up, down = (self.objective.at(self.point(x + sign * step)).each for sign in (1, -1))
            high, low = (penalty(self.objective.d, self.objective.blocks, self.point(x + s * step))[0] for s in (1, -1))
            self.each[:, k] = (up - down) / (2 * DIFFERENCE)
            slope[k] = self.each[:, k].sum() + (high - low) / (2 * DIFFERENCE)
        self.evaluations += 2 * count
        value = self.value(x)
        return (value, slope) if np.isfinite(slope).all() else (np.nan, np.zeros(count))

    def guess(self) -> np.ndarray:
        """Second derivatives from the spread of the subjects' slopes (Berndt et al. 1974)."""
        assert self.each is not None
        away = self.each - self.each.mean(axis=0)
        matrix = 0.5 * away.T @ away
        size = np.diag(matrix)
        floor = max(float(size.max(initial=0.0)), 1e-8) * 1e-6
        scale = np.sqrt(np.maximum(size, floor))
        share = len(self.each) / (len(self.each) + len(size))  # few subjects say little of correlations
        shrunk = share * matrix / np.outer(scale, scale)
        np.fill_diagonal(shrunk, 1.0)
        return shrunk * np.outer(scale, scale)

    def check(self, where: str, x: np.ndarray, slope: np.ndarray, matrix: np.ndarray, seed: int) -> list[SlopeCheck]:
        """Exact slopes against differences along a random direction, in units in which the objective curves alike."""
        if self.objective.by_differences or self.objective.method == "imp" or not len(x):
            return []
        values, vectors = np.linalg.eigh(matrix)
        chance = np.random.default_rng(seed).standard_normal(len(x))
        direction = vectors @ (chance / np.sqrt(np.maximum(values, 1e-6 * max(float(values[-1]), 1e-300))))
        direction *= min(1.0, 10.0 / float(np.max(np.abs(direction))))
        high, low = (self.value(x + sign * STEP * direction) for sign in (1, -1))
        if not (np.isfinite(high) and np.isfinite(low)):
            return []  # the edge of what can be solved: nothing to compare with
        return [SlopeCheck(where, float(slope @ direction), (high - low) / (2 * STEP))]


def estimate(problem: PopulationProblem, method: str | None = None, watch: Watch | None = None) -> Estimate:
    """Estimate a problem by fo, foce, focei or laplace (with or without interaction). Deterministic for a seed."""
    begun = clock.perf_counter()
    options = problem.estimation
    outer = Outer(problem, method or options.method)
    first = outer.vector.pack(outer.begin)
    chance = np.random.default_rng(options.seed)
    starts = [first, *(first + 0.5 * chance.standard_normal(len(first)) for _ in range(options.starts - 1))]
    searches: list[Search] = []
    checks: list[SlopeCheck] = []
    for number, x in enumerate(starts):
        name = f"start {number + 1}, " if len(starts) > 1 else ""
        searches.append(walk(outer, x, checks if number == 0 else None, watch, name))
    return finish(outer, searches, checks, clock.perf_counter() - begun)


def walk(outer: Outer, x: np.ndarray, checks: list[SlopeCheck] | None, watch: Watch | None, name: str = "") -> Search:
    """One search from ``x``; where it begins the slopes are compared with differences, if ``checks`` are wanted."""
    options = outer.problem.estimation
    outer.objective.forget()
    value, slope = outer(x)
    if options.max_evaluations == 0 or len(x) == 0 or not np.isfinite(value):
        why = "evaluated only" if np.isfinite(value) else "the objective has no value at the start"
        return Search(x, value, slope, False, why, np.nan, 1, np.eye(len(x)))
    guess = outer.guess()
    if checks is not None:
        checks += outer.check("start", x, slope, guess, options.seed)

    def tell(step: int, value: float, _: np.ndarray) -> None:
        if watch is not None:
            watch(f"{name}step {step}: objective {value:.6f}")

    sampled = outer.objective.method == "imp"
    tolerance = SAMPLED if sampled else TOLERANCE
    end = search(outer, x, guess, tolerance=tolerance, most_evaluations=options.max_evaluations, sampled=sampled,
                   watch=tell)  # fmt: skip
    if checks is not None:
        checks += outer.check("end", end.x, end.slope, end.matrix, options.seed + 1)
    return end


def finish(outer: Outer, searches: list[Search], checks: list[SlopeCheck], seconds: float) -> Estimate:
    """The best of some searches, evaluated once more."""
    best = min(searches, key=lambda s: s.value if np.isfinite(s.value) else np.inf)
    point = outer.point(best.x)
    outer(best.x)
    each = outer.each if outer.each is not None else np.zeros((len(outer.objective.subjects), len(best.x)))
    last = outer.objective.at(point, slopes=not outer.objective.by_differences)
    prior = penalty(outer.objective.d, outer.objective.blocks, point)[0]
    return Estimate(
        outer,
        point,
        last,
        prior,
        each,
        best.converged,
        best.why,
        checks,
        searches,
        outer.evaluations,
        seconds,
        best.matrix,
    )

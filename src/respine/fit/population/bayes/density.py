"""The log posterior of parameters and random effects together, and its slopes, where a sampler walks well.

What is sampled is y = (u, z). x = centre + C u. Of the random effects of a subject the data say, near the mode of the
marginal posterior (FOCEI, or Laplace where data are not normal), as much as a normal with precision I and I d = r + B (x -
centre); with the precision P(x) of their own law they are N(H^-1 I d, H^-1), H = P(x) + I. So e = H^-1 I d + L^-T z with H
= L L', and y is near standard normal: where data tell much the effects are centred on them, where a variance goes to zero they
shrink with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from respine.fit.population.bayes.prior import Prior
from respine.fit.population.estimate import Outer
from respine.fit.population.objective import Objective, Point
from respine.fit.population.prediction import Predictor
from respine.fit.population.problem import PopulationProblem
from respine.fit.population.quasi_newton import Search, search

STEP = 1e-5  # of differences by x
TOLERANCE = 1e-4  # of the search for the centre; the sampler needs no more
LEAST_RTOL = 1e-8  # of the solver while sampling


@dataclass(frozen=True)
class Placed:
    """Where y lies: ``x`` (P,), ``random`` (n, Q), the log of the volume of the map, and what slopes need."""

    x: np.ndarray
    random: np.ndarray
    volume: float
    z: np.ndarray
    mean: np.ndarray
    spread: np.ndarray


@dataclass(frozen=True)
class Frame:
    """The map from y. ``centre`` (P,), ``root`` (P, P), ``told`` (n, Q, Q) is I, ``pull`` (n, Q) is r, ``follow`` (n, Q, P)
    is B; ``omega`` gives the covariance of random effects (Q, Q) at x, ``moving`` are the places of x it depends on.
    """

    centre: np.ndarray
    root: np.ndarray
    told: np.ndarray
    pull: np.ndarray
    follow: np.ndarray
    omega: Callable[[np.ndarray], np.ndarray]
    moving: tuple[int, ...]

    def out(self, y: np.ndarray) -> Placed:
        """What y stands for. Raises LinAlgError where there is no such point."""
        p, (n, q) = len(self.centre), self.pull.shape
        away = self.root @ y[:p]
        x, z = self.centre + away, y[p:].reshape(n, q)
        if q == 0:
            return Placed(x, z, 0.0, z, z, np.zeros((n, 0, 0)))
        factor = np.linalg.cholesky(self.told + np.linalg.inv(self.omega(x)))
        spread = np.swapaxes(np.linalg.inv(factor), 1, 2)
        right = self.pull + self.follow @ away
        mean = np.einsum("nij,nkj,nk->ni", spread, spread, right)
        volume = -float(np.sum(np.log(np.diagonal(factor, axis1=1, axis2=2))))
        return Placed(x, mean + np.einsum("nij,nj->ni", spread, z), volume, z, mean, spread)

    def back(self, at: Placed, by_x: np.ndarray, by_random: np.ndarray) -> np.ndarray:
        """Slopes by y of a density with these slopes by x and random effects, its volume included."""
        if not at.z.shape[1]:
            return np.asarray(self.root.T @ by_x)
        back = np.einsum("nij,ni->nj", at.spread, by_random)  # L^-1 g
        weight = np.einsum("nij,nj->ni", at.spread, back)  # H^-1 g
        whole = by_x + np.einsum("nqp,nq->p", self.follow, weight)
        precision = np.linalg.inv(self.omega(at.x))
        half = np.tril(np.ones((at.z.shape[1],) * 2)) - 0.5 * np.eye(at.z.shape[1])
        for k in self.moving:
            step = STEP * np.eye(len(at.x))[k]
            change = (self.omega(at.x + step) - self.omega(at.x - step)) / (2 * STEP)
            change = -precision @ change @ precision
            inner = np.einsum("nji,jk,nkl->nil", at.spread, change, at.spread)
            whole[k] -= np.einsum("ni,ij,nj->", weight, change, at.mean)
            whole[k] -= np.einsum("ni,nji,nj->", back, half * inner, at.z)
            whole[k] -= 0.5 * float(np.einsum("nii->", inner))
        return np.concatenate([self.root.T @ whole, back.ravel()])


class Density:
    """The log posterior of a problem, without constant. Call it with y for (value, slopes)."""

    def __init__(self, problem: PopulationProblem, watch: Callable[[str], None] | None = None) -> None:
        self.problem = problem
        predictor = Predictor(problem, rtol=max(problem.estimation.rtol, LEAST_RTOL))
        self.objective = Objective(problem, "focei", predictor=predictor)
        self.outer = Outer(problem, "focei" if self.objective.normal else "laplace")
        self.vector, self.begin = self.outer.vector, self.outer.begin
        self.prior = Prior(self.vector, self.begin)
        self.n, self.q = len(self.objective.subjects), self.objective.d.n_random
        self.size = self.vector.size + self.n * self.q
        self.frame = self._frame(self._centre(watch))

    # ---- the frame ----------------------------------------------------------------------------------------------------
    def _marginal(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """-2 log of the approximate marginal posterior, with slopes."""
        value, slope = self.outer(x)
        for_problem, by_fixed, by_blocks = self._penalty(x)
        log, own = self.prior(x)
        return value - for_problem - 2 * log, slope - self._by_x(x, by_fixed, by_blocks) - 2 * own

    def _penalty(self, x: np.ndarray) -> tuple[float, np.ndarray, list[np.ndarray]]:
        """What the outer search adds for priors: here these are part of ``prior``."""
        from respine.fit.population.priors import penalty

        return penalty(self.outer.objective.d, self.outer.objective.blocks, self.outer.point(x))

    def _by_x(self, x: np.ndarray, by_fixed: np.ndarray, by_blocks: list[np.ndarray]) -> np.ndarray:
        return self.vector.slopes(self.outer.point(x), by_fixed[None], [b[None] for b in by_blocks])[0]

    def _centre(self, watch: Callable[[str], None] | None) -> Search:
        x = self.vector.pack(self.begin)
        value, _ = self._marginal(x)
        if not np.isfinite(value):
            raise ValueError("the posterior has no value at the start values of the problem")

        def tell(step: int, value: float, _: np.ndarray) -> None:
            if watch is not None:
                watch(f"looking for the mode, step {step}: {value:.4f}")

        return search(self._marginal, x, self.outer.guess() + np.eye(len(x)), tolerance=TOLERANCE,
                      most_evaluations=max(self.problem.estimation.max_evaluations, 50), watch=tell)  # fmt: skip

    def _frame(self, search: Search) -> Frame:
        x, p = search.x, len(search.x)
        second = np.zeros((p, p))
        size = np.sqrt(2.0 / np.maximum(np.diag(search.matrix), 1e-8))
        for k in range(p):
            step = np.zeros(p)
            step[k] = 0.05 * min(float(size[k]), 1.0)
            (_, up), (_, down) = self._marginal(x + step), self._marginal(x - step)
            second[k] = (up - down) / (4 * step[k])
        second = 0.5 * (second + second.T)
        values, vectors = np.linalg.eigh(np.where(np.isfinite(second), second, 0.0))
        values = np.maximum(values, max(1e-6 * float(values[-1]), 1e-2))  # flat directions: an SD of 10 at most
        root = vectors / np.sqrt(values)
        return self._around_modes(x, root)

    def _around_modes(self, x: np.ndarray, root: np.ndarray) -> Frame:
        """What the data say of the random effects near their modes."""
        n, q, p = self.n, self.q, len(x)
        moving = [k for k, e in enumerate(self.vector.entries) if e.kind == "random"]

        def omega(x: np.ndarray) -> np.ndarray:
            return self.objective.blocks.whole(self.vector.unpack(x, self.begin).blocks)

        if q == 0:
            return Frame(x, root, np.zeros((n, 0, 0)), np.zeros((n, 0)), np.zeros((n, 0, p)), omega, ())
        point = self.vector.unpack(x, self.begin)
        self.objective.forget()
        at = self.objective.at(point, slopes=True)
        anchor = self.objective._anchor
        assert anchor is not None
        usable = np.isfinite(anchor.hessian).all(axis=(1, 2)) & np.isfinite(at.random).all(axis=1)
        usable &= np.isfinite(anchor.cross).all(axis=(0, 1))
        excess = np.where(usable[:, None, None], anchor.hessian - np.linalg.inv(omega(x)), 0.0)
        values, vectors = np.linalg.eigh(excess)
        excess = np.einsum("nij,nj,nkj->nik", vectors, np.maximum(values, 0.0), vectors)
        mode = np.where(usable[:, None], at.random, 0.0)
        pull = np.einsum("nij,nj->ni", excess + np.linalg.inv(omega(x)), mode)
        stretch, place = self.vector.jacobian(point), {k: m for m, k in enumerate(self.objective.d.free)}
        rows = [k for k, _ in self.vector.thetas]
        for first, size in self.vector.sigmas:
            rows += range(first, first + size * (size + 1) // 2)
        entries = [k for k in range(p) if k not in moving]
        follow = np.zeros((n, q, p))
        cross = np.where(usable, anchor.cross, 0.0)
        for row, k in zip(rows, entries, strict=True):
            follow -= np.einsum("qn,p->nqp", cross[place[row]], stretch[k])
        return Frame(x, root, excess, pull, follow, omega, tuple(moving))

    # ---- the density --------------------------------------------------------------------------------------------------
    def __call__(self, y: np.ndarray) -> tuple[float, np.ndarray]:
        """Log posterior and slopes by y; -inf where something has no value."""
        none = -np.inf, np.zeros(len(y))
        try:
            with np.errstate(all="ignore"):
                place = self.frame.out(y)
        except np.linalg.LinAlgError:
            return none
        value, by_x, by_random = self.at(place.x, place.random)
        if not np.isfinite(value + place.volume):
            return none
        slope = self.frame.back(place, by_x, by_random)
        return (value + place.volume, slope) if np.isfinite(slope).all() else none

    def at(self, x: np.ndarray, random: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Log posterior at x and random effects (n, Q), its slopes by both."""
        none = -np.inf, np.zeros(len(x)), np.zeros_like(random)
        with np.errstate(all="ignore"):
            point = self.vector.unpack(x, self.begin)
            if not self.outer._usable(point):
                return none
            objective, q = self.objective, self.q
            lanes = objective.lanes(objective.subjects, point, random, "all", None)
            log, own = self.prior(x)
            if lanes.bad.any() or not np.isfinite(log):
                return none
            value = log - 0.5 * float(lanes.value.sum())
            by_fixed, by_random = -0.5 * lanes.slope[q:].sum(axis=1), -0.5 * lanes.slope[:q].T
            by_blocks = [np.zeros_like(b) for b in point.blocks]
            if q:
                omega = objective.blocks.whole(point.blocks)
                precision = np.linalg.inv(omega)
                pull = random @ precision
                value -= 0.5 * float(np.sum(pull * random) + self.n * np.linalg.slogdet(omega)[1])
                by_random = by_random - pull
                by_blocks = objective.blocks.parts(-0.5 * (self.n * precision - pull.T @ pull))
            by_x = self._slopes(point, by_fixed, by_blocks) + own
        if not (np.isfinite(value) and np.isfinite(by_x).all() and np.isfinite(by_random).all()):
            return none
        return value, by_x, by_random

    def _slopes(self, point: Point, by_fixed: np.ndarray, by_blocks: list[np.ndarray]) -> np.ndarray:
        return self.vector.slopes(point, by_fixed[None], [b[None] for b in by_blocks])[0]

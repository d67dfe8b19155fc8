"""The log posterior of parameters and random effects together, and its slopes, where a sampler walks well.

What is sampled is y = (u, z): x = centre + C u, and for each subject e = mode + D (x - centre) + R z. Centre, C, D and R
come from the approximation at the mode of the marginal posterior (FOCEI, or Laplace where data are not normal), so that y
is near standard normal; the map is affine, so it changes no posterior.
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

STEP = 1e-3  # of differences by x
TOLERANCE = 1e-4  # of the search for the centre; the sampler needs no more
LEAST_RTOL = 1e-8  # of the solver while sampling


@dataclass(frozen=True)
class Frame:
    """The affine map: ``centre`` (P,), ``root`` (P, P), ``mode`` (n, Q), ``follow`` (n, Q, P), ``spread`` (n, Q, Q)."""

    centre: np.ndarray
    root: np.ndarray
    mode: np.ndarray
    follow: np.ndarray
    spread: np.ndarray

    def out(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """x (P,) and the random effects (n, Q) of y."""
        p, (n, q) = len(self.centre), self.mode.shape
        away = self.root @ y[:p]
        z = y[p:].reshape(n, q)
        return self.centre + away, self.mode + self.follow @ away + np.einsum("nij,nj->ni", self.spread, z)

    def back(self, by_x: np.ndarray, by_random: np.ndarray) -> np.ndarray:
        """Slopes by y."""
        whole = by_x + np.einsum("nqp,nq->p", self.follow, by_random)
        return np.concatenate([self.root.T @ whole, np.einsum("nij,ni->nj", self.spread, by_random).ravel()])


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

    def _frame(self, found: Search) -> Frame:
        x, p = found.x, len(found.x)
        second = np.zeros((p, p))
        size = np.sqrt(2.0 / np.maximum(np.diag(found.matrix), 1e-8))
        for k in range(p):
            step = np.zeros(p)
            step[k] = 0.05 * min(float(size[k]), 1.0)
            (_, up), (_, down) = self._marginal(x + step), self._marginal(x - step)
            second[k] = (up - down) / (4 * step[k])
        second = 0.5 * (second + second.T)
        values, vectors = np.linalg.eigh(np.where(np.isfinite(second), second, 0.0))
        values = np.maximum(values, max(1e-6 * float(values[-1]), 1e-2))  # flat directions: an SD of 10 at most
        root = vectors / np.sqrt(values)
        self.objective.forget()
        point = self.vector.unpack(x, self.begin)
        mode, spread, follow = self._modes(point, x)
        return Frame(x, root, mode, follow, spread)

    def _modes(self, point: Point, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Modes of the random effects, roots of their covariances, and how they move with x."""
        n, q, p = self.n, self.q, len(x)
        if q == 0:
            return np.zeros((n, 0)), np.zeros((n, 0, 0)), np.zeros((n, 0, p))
        at = self.objective.at(point, slopes=True)
        anchor = self.objective._anchor
        assert anchor is not None
        omega = self.objective.blocks.whole(point.blocks)
        usable = np.isfinite(anchor.hessian).all(axis=(1, 2)) & np.isfinite(at.random).all(axis=1)
        hessian = np.where(usable[:, None, None], anchor.hessian, np.linalg.inv(omega))
        values, vectors = np.linalg.eigh(hessian)
        spread = vectors / np.sqrt(np.maximum(values, 1e-12))[:, None, :]
        follow = np.zeros((n, q, p))
        for k in range(p):
            step = STEP * np.eye(p)[k]
            ends = []
            for sign in (1, -1):
                there = self.vector.unpack(x + sign * step, self.begin)
                ends.append(anchor.modes(there, self.objective.blocks.whole(there.blocks)))
            follow[:, :, k] = (ends[0] - ends[1]) / (2 * STEP)
        follow = np.where(np.isfinite(follow) & usable[:, None, None], follow, 0.0)
        return np.where(usable[:, None], at.random, 0.0), spread, follow

    # ---- the density --------------------------------------------------------------------------------------------------
    def __call__(self, y: np.ndarray) -> tuple[float, np.ndarray]:
        """Log posterior and slopes by y; -inf where something has no value."""
        x, random = self.frame.out(y)
        value, by_x, by_random = self.at(x, random)
        if not np.isfinite(value):
            return -np.inf, np.zeros(len(y))
        return value, self.frame.back(by_x, by_random)

    def at(self, x: np.ndarray, random: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Log posterior at x and random effects (n, Q), its slopes by both."""
        none = -np.inf, np.zeros(len(x)), np.zeros_like(random)
        with np.errstate(all="ignore"):
            point = self.vector.unpack(x, self.begin)
            if not self.outer._usable(point):
                return none
            objective, q = self.objective, self.q
            found = objective.lanes(objective.subjects, point, random, "all", None)
            log, own = self.prior(x)
            if found.bad.any() or not np.isfinite(log):
                return none
            value = log - 0.5 * float(found.value.sum())
            by_fixed, by_random = -0.5 * found.slope[q:].sum(axis=1), -0.5 * found.slope[:q].T
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

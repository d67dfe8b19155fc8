"""The marginal likelihood itself: adaptive Gauss-Hermite quadrature, the deterministic truth, and importance
sampling.

Both give -2 log of the integral of p(y | e) p(e) over e, without n log 2 pi; slopes follow from Fisher's identity
(the expected slope of the complete-data likelihood given the data), so that they cost no more than values.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from respine.errors import InputError, Problem
from respine.fit.population.conditional import Conditional, failures
from respine.fit.population.objective import WAYS, Objective, Point, Value
from respine.fit.population.prediction import Predictor
from respine.fit.population.problem import PopulationProblem

MOST_LANES = 20_000  # solved at once
MOST_NODES = 40_000  # of one subject
MANY_NODES = 15  # along a random effect, with which Fisher's identity gives the slopes of the approximation as well
DEGREES = 5  # of freedom of the t distribution samples are drawn from


@dataclass
class Integral(Value):
    """A marginal objective; ``error`` (n,) is the Monte Carlo standard error of ``each`` (0 for quadrature)."""

    error: np.ndarray | None = None
    effective: np.ndarray | None = None

    @property
    def total_error(self) -> float:
        return 0.0 if self.error is None else float(np.sqrt(np.sum(self.error**2)))


class Marginal(Objective):
    """The objective of a problem by ``agq`` (``nodes`` along each random effect) or ``imp`` (``samples`` a subject).

    Random numbers of importance sampling belong to seed and subject, the same point gives the same value; they come in
    pairs on both sides of the mode, which takes most of the error out of the means of random effects.
    """

    def __init__(
        self, problem: PopulationProblem, method: str = "agq", *, predictor: Predictor | None = None, nodes: int | None = None,
        samples: int | None = None, seed: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__(problem, "laplace", predictor=predictor)
        self.method = method
        self.way = WAYS["focei"]  # modes come with their movement; the curvature is taken exactly all the same
        options = problem.estimation
        self.nodes, self.samples = nodes or options.nodes, samples or options.samples
        self.seed = options.seed if seed is None else seed
        self._drawn: tuple[np.ndarray, np.ndarray] | None = None

    @property
    def by_differences(self) -> bool:
        """With few nodes the slope of the integral is not that of its approximation."""
        return self.method == "agq" and self.nodes < MANY_NODES

    def at(self, point: Point, *, slopes: bool = False, start: np.ndarray | None = None) -> Integral:
        """The marginal objective at a point."""
        with np.errstate(all="ignore"):
            return self._integral(point, slopes, start)

    def _integral(self, point: Point, slopes: bool, start: np.ndarray | None) -> Integral:
        n, q = len(self.subjects), self.d.n_random
        first = super().at(point, slopes=True, start=start)
        if q == 0:
            return Integral(first.each, first.random, first.curvature, first.failures, (), first.by_fixed, [], None,
                            first.evaluations, np.zeros(n))  # fmt: skip
        omega = self.blocks.whole(point.blocks)
        root, log_det = _roots(first.curvature, omega)  # e = mode + root z
        z, log_weight = self._nodes(q) if self.method == "agq" else self._draws(q)
        value = self._integrate(point, omega, first.random, root, log_det, z, log_weight, slopes)
        value.unsettled, value.curvature, value.exact = first.unsettled, first.curvature, first.exact
        value.failures = {**first.failures, **value.failures}
        value.each[[self.problem.data.labels.index(label) for label in value.failures]] = np.nan
        value.evaluations += first.evaluations
        return value

    def _nodes(self, q: int) -> tuple[np.ndarray, np.ndarray]:
        """(1, K, Q) nodes and (1, K) log(weight) + |z|^2/2."""
        if self.nodes**q > MOST_NODES:
            most = int(MOST_NODES ** (1 / q))
            why = f"{self.nodes} nodes along {q} random effects are {self.nodes**q:,} for each subject."
            raise InputError(Problem(str(self.problem.file or "problem"), "estimation.nodes", str(self.nodes), why,
                                     f"Write nodes: {max(most, 1)}, or use imp."))  # fmt: skip
        points, weights = np.polynomial.hermite_e.hermegauss(self.nodes)
        grid = np.stack(np.meshgrid(*[points] * q, indexing="ij"), axis=-1).reshape(-1, q)
        logs = np.log(weights / np.sqrt(2 * np.pi))
        weight = np.sum(np.meshgrid(*[logs] * q, indexing="ij"), axis=0).reshape(-1)
        return grid[None], (weight + 0.5 * np.sum(grid**2, axis=1))[None]

    def _draws(self, q: int) -> tuple[np.ndarray, np.ndarray]:
        """(n, K, Q) draws of a t distribution and (n, K) -log(density ratio to the normal one) - log K."""
        from math import lgamma, log, pi

        from respine.population.random import normals

        if self._drawn is not None:
            return self._drawn
        n, half, v = len(self.subjects), -(-self.samples // 2), DEGREES
        k = 2 * half
        raw = normals(self.seed, "importance sampling", 0, n, half * (q + v)).reshape(n, half, q + v)
        raw = np.concatenate([raw, np.concatenate([-raw[:, :, :q], raw[:, :, q:]], axis=2)], axis=1)  # pairs: +z and -z
        scale = np.sqrt(v / np.sum(raw[:, :, q:] ** 2, axis=2))
        z = raw[:, :, :q] * scale[:, :, None]
        square = np.sum(z**2, axis=2)
        density = lgamma((v + q) / 2) - lgamma(v / 2) - 0.5 * q * log(v * pi) - 0.5 * (v + q) * np.log1p(square / v)
        self._drawn = z, -density - 0.5 * q * log(2 * pi) - log(k)
        return self._drawn

    def _integrate(
        self,
        point: Point,
        omega: np.ndarray,
        mode: np.ndarray,
        root: np.ndarray,
        log_det: np.ndarray,
        z: np.ndarray,
        log_weight: np.ndarray,
        slopes: bool,
    ) -> Integral:
        n, q = mode.shape
        k = z.shape[1]
        precision = np.linalg.inv(omega)
        norm = np.linalg.slogdet(omega)[1] + log_det
        out = Integral(
            np.full(n, np.nan), mode, np.zeros((n, q, q)), {}, error=np.zeros(n), effective=np.full(n, float(k))
        )
        by_fixed = np.zeros((n, self.d.n_free))
        square = np.zeros((n, q, q))
        means = np.zeros((n, q))
        for who in _chunks(n, max(1, MOST_LANES // k)):
            nodes = z[who] if len(z) == n else np.broadcast_to(z, (len(who), *z.shape[1:]))
            logs = log_weight[who] if len(log_weight) == n else np.broadcast_to(log_weight, (len(who), k))
            random = mode[who, None, :] + np.einsum("nij,nkj->nki", root[who], nodes)
            at = self._lanes(np.repeat(who, k), point, random.reshape(-1, q), "all" if slopes else "nothing")
            phi = 0.5 * (at.value.reshape(len(who), k) + np.einsum("nki,ij,nkj->nk", random, precision, random))
            phi = np.where(at.bad.reshape(len(who), k), np.inf, phi)  # what cannot be solved has no probability
            exponent = logs - phi
            top = np.max(exponent, axis=1)
            share = np.exp(exponent - top[:, None])
            total = share.sum(axis=1)
            out.each[who] = norm[who] - 2 * (top + np.log(total))
            share /= total[:, None]
            if self.method != "agq":
                out.effective[who] = 1.0 / np.sum(share**2, axis=1)  # type: ignore[index]
                pair = share[:, : k // 2] + share[:, k // 2 :]
                out.error[who] = 2 * np.sqrt(np.maximum(np.sum(pair**2, axis=1) - 2.0 / k, 0.0))  # type: ignore[index]
            means[who] = np.einsum("nk,nki->ni", share, random)
            square[who] = np.einsum("nk,nki,nkj->nij", share, random, random)
            if slopes:
                slope = at.slope[q:].reshape(-1, len(who), k)
                by_fixed[who] = np.einsum("mnk,nk->nm", np.where(np.isfinite(slope), slope, 0.0), share)
            for lane, s in enumerate(who):
                if not np.isfinite(out.each[s]):
                    reasons = failures(self.problem, at, np.repeat(who, k))
                    label = self.problem.data.labels[s]
                    out.failures = {**out.failures, label: reasons.get(label, "no node has a likelihood")}
                    del lane
        out.random = means
        if slopes:
            out.by_fixed = by_fixed
            out.by_blocks = self.blocks.parts(precision - precision @ square @ precision)
        return out

    def posterior(self, point: Point) -> tuple[np.ndarray, np.ndarray]:
        """Draws (n, K, Q) of the random effects and their weights (n, K) given the data; `method` imp."""
        at = super().at(point, slopes=True)
        n, q = at.random.shape
        omega = self.blocks.whole(point.blocks)
        root, _ = _roots(at.curvature, omega)
        z, log_weight = self._draws(q)
        random = at.random[:, None] + np.einsum("nij,nkj->nki", root, z)
        precision, k = np.linalg.inv(omega), z.shape[1]
        weights = np.zeros((n, k))
        for who in _chunks(n, max(1, MOST_LANES // k)):
            lanes = self.lanes(np.repeat(who, k), point, random[who].reshape(-1, q), "nothing", None)
            phi = 0.5 * (
                lanes.value.reshape(len(who), k) + np.einsum("nki,ij,nkj->nk", random[who], precision, random[who])
            )
            exponent = log_weight[who] - np.where(lanes.bad.reshape(len(who), k), np.inf, phi)
            share = np.exp(exponent - exponent.max(axis=1, keepdims=True))
            weights[who] = share / share.sum(axis=1, keepdims=True)
        return random, weights

    def _lanes(self, subjects: np.ndarray, point: Point, random: np.ndarray, want: str) -> Conditional:
        return self.lanes(subjects, point, random, want, None)


def _roots(curvature: np.ndarray, omega: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each subject's first-order curvature L L': L^-T and log|L L'|; what is not positive definite is made so."""
    values, vectors = np.linalg.eigh(np.where(np.isfinite(curvature), curvature, 0.0))
    least = 0.1 / np.max(np.linalg.eigvalsh(omega))  # the prior holds the effects where the data do not
    mended = np.einsum("nij,nj,nkj->nik", vectors, np.maximum(values, least), vectors)
    factor = np.linalg.cholesky(np.where((values[:, 0] >= least)[:, None, None], curvature, mended))
    log_det = 2 * np.sum(np.log(np.diagonal(factor, axis1=1, axis2=2)), axis=1)
    return np.swapaxes(np.linalg.inv(factor), 1, 2), log_det


def _chunks(n: int, size: int) -> Iterator[np.ndarray]:
    for first in range(0, n, size):
        yield np.arange(first, min(first + size, n))

"""Newton's method on the deviance with exact derivatives; Fisher scoring where the surface is not convex."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from respine.trial.analysis.arrays import Array, Ints
from respine.trial.analysis.mmrm.covariance import Parts, Structure
from respine.trial.analysis.mmrm.likelihood import Likelihood, NotPositiveDefinite, Value

MOST_STEPS = 100
ENOUGH = 1e-10  # decrease of the deviance that Newton's step promises, relative; a last step is taken after it
NEAR_SINGULAR = 1e-7  # smallest eigenvalue of the correlation matrix that is taken as an estimate
FLAT = 1e-9  # smallest eigenvalue of the scaled Hessian that tells the parameters apart


class NoEstimate(ValueError):
    """The covariance cannot be estimated; the text says why."""


@dataclass(frozen=True)
class Groups:
    """One structure for each group of patients; parameters of the groups stand one after the other.

    ``distance`` is (S, m, m) for spatial structures (one matrix a template), else a stand-in of the same m.
    ``group`` (S,) tells the group of a template.
    """

    structure: Structure
    m: int
    group: Ints
    n_groups: int
    distance: Array

    @property
    def per_group(self) -> int:
        return self.structure.count(self.m)

    def working(self, theta: Array) -> Parts:
        return self._joined(theta, self.structure.working)

    def reported(self, theta: Array) -> Parts:
        return self._joined(theta, self.structure.reported)

    def _joined(self, theta: Array, make: Callable[[Array, int, Array], Parts]) -> Parts:
        r, n = self.per_group, len(self.group)
        blocks = []
        for g in range(self.n_groups):
            own = self.group == g
            distance = self.distance[own] if self.structure.spatial else self.distance[:1]
            blocks.append((own, make(theta[g * r : (g + 1) * r], self.m, distance)))
        if len(blocks) == 1 and len(blocks[0][1].sigma) == n:
            return blocks[0][1]
        sigma = np.empty((n, self.m, self.m))
        first = np.zeros((r * self.n_groups, n, self.m, self.m))
        second = np.zeros((r * self.n_groups, r * self.n_groups, n, self.m, self.m))
        for g, (own, parts) in enumerate(blocks):
            span = slice(g * r, (g + 1) * r)
            sigma[own] = parts.sigma
            first[span, own] = parts.first
            second[span, span, own] = parts.second
        return Parts(sigma, first, second)


@dataclass(frozen=True)
class Maximum:
    theta: Array
    value: Value
    steps: int


def maximise(likelihood: Likelihood, groups: Groups, start: Array) -> Maximum:
    """The parameters of greatest likelihood. Raises NoEstimate with the reason."""
    with np.errstate(over="ignore", invalid="ignore"):
        return _maximise(likelihood, groups, start)


def _maximise(likelihood: Likelihood, groups: Groups, theta: Array) -> Maximum:
    try:
        value = likelihood.with_derivatives(groups.working(theta))
    except NotPositiveDefinite as error:
        raise NoEstimate("no positive definite matrix to start from was found") from error
    for steps in range(MOST_STEPS):
        assert value.gradient is not None
        step, promised = _step(value)
        if promised <= ENOUGH * (1.0 + abs(value.deviance)):
            theta, value = _last(likelihood, groups, theta, value, step)
            _check(value, groups)
            return Maximum(theta, value, steps)
        moved = _line_search(likelihood, groups, theta, value, step, promised)
        if moved is None:
            if promised <= 1e-7 * (1.0 + abs(value.deviance)):  # as near as rounding lets it come
                _check(value, groups)
                return Maximum(theta, value, steps)
            raise NoEstimate(_why_stuck(groups, value.sigma))
        theta, value = moved
        if _singular(groups, value.sigma):
            raise NoEstimate(_why_stuck(groups, value.sigma))
    raise NoEstimate(f"no maximum of the likelihood in {MOST_STEPS} steps; {_why_stuck(groups, value.sigma)}")


def _step(value: Value) -> tuple[Array, float]:
    """Newton's step and the decrease it promises, or that of Fisher scoring where Newton's would climb."""
    assert value.hessian is not None and value.expected is not None and value.gradient is not None
    for matrix in (value.hessian, value.expected):
        scale = np.sqrt(np.abs(np.diag(matrix)) + 1e-300)
        try:
            lower = np.linalg.cholesky(matrix / np.outer(scale, scale))
        except np.linalg.LinAlgError:
            continue
        half = np.linalg.solve(lower, value.gradient / scale)
        step = -np.linalg.solve(lower.T, half) / scale
        return step, float(half @ half)
    eigenvalues, vectors = np.linalg.eigh(value.hessian)
    damped = np.maximum(np.abs(eigenvalues), 1e-6 * np.abs(eigenvalues).max() + 1e-12)
    step = -vectors @ ((vectors.T @ value.gradient) / damped)
    return step, float(-step @ value.gradient)


def _line_search(
    likelihood: Likelihood, groups: Groups, theta: Array, value: Value, step: Array, promised: float
) -> tuple[Array, Value] | None:
    """The first of ever shorter steps that lowers the deviance enough, or None."""
    length = min(1.0, 3.0 / max(float(np.abs(step).max()) / (1.0 + float(np.abs(theta).max())), 1e-12))
    for attempt in range(40):
        trial = theta + length * step
        enough = value.deviance - 1e-4 * length * promised
        try:
            parts = groups.working(trial)
            if attempt and likelihood.value(parts).deviance > enough:
                length *= 0.5
                continue
            after = likelihood.with_derivatives(parts)  # the first try is nearly always good: no second evaluation
            if after.deviance <= enough:
                return trial, after
        except NotPositiveDefinite:
            pass
        length *= 0.5
    return None


def _last(likelihood: Likelihood, groups: Groups, theta: Array, value: Value, step: Array) -> tuple[Array, Value]:
    """One more step of Newton, which squares the error that is left; not taken where it does not help."""
    try:
        after = likelihood.with_derivatives(groups.working(theta + step))
    except NotPositiveDefinite:
        return theta, value
    better = after.deviance <= value.deviance + 1e-9 * (1.0 + abs(value.deviance))
    return (theta + step, after) if better else (theta, value)


def _check(value: Value, groups: Groups) -> None:
    """A stationary point counts as an estimate when it is a minimum that tells all parameters apart."""
    assert value.hessian is not None
    if _singular(groups, value.sigma):
        raise NoEstimate(_why_stuck(groups, value.sigma))
    scale = np.sqrt(np.abs(np.diag(value.hessian)))
    if not (scale > 0).all():
        raise NoEstimate("the data say nothing about one of its parameters")
    lowest = np.linalg.eigvalsh(value.hessian / np.outer(scale, scale))[0]
    if lowest < FLAT:
        raise NoEstimate("the data cannot tell its parameters apart (the second derivatives are singular)")


def _correlation_floor(groups: Groups, sigma: Array) -> float:
    sd = np.sqrt(np.diagonal(sigma, axis1=1, axis2=2))
    if groups.structure.spatial or not np.isfinite(sd).all() or (sd <= 0).any():
        return 1.0 if groups.structure.spatial else 0.0
    correlation = sigma / (sd[:, :, None] * sd[:, None, :])
    return float(np.linalg.eigvalsh(correlation)[:, 0].min())


def _singular(groups: Groups, sigma: Array) -> bool:
    return _correlation_floor(groups, sigma) < NEAR_SINGULAR


def _why_stuck(groups: Groups, sigma: Array) -> str:
    if _singular(groups, sigma):
        return "the estimated covariance matrix is singular: some visits are (nearly) sums of others"
    return "the likelihood could not be increased further, though its slope is not zero"

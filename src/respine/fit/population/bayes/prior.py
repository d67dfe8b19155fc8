"""What is believed before the data, as a proper density of the search's vector: the problem's priors, and wide defaults.

Defaults, which a prior of the problem replaces: parameters with one bound or on a log scale are log-normal about their
start (SD 2 of the log), with two bounds uniform between them, without bounds normal about their start (SD 10 times its
size, at least 10); standard deviations of random and residual effects are half-normal (twice the start, at least 0.5;
residual: five times the start); correlations are LKJ(2) (Lewandowski et al. 2009, doi 10.1016/j.jmva.2009.04.008).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from respine.fit.population.objective import Point
from respine.fit.population.problem import NormalPrior, Theta, WishartPrior
from respine.fit.population.vector import Vector, _inside, _outside, _stretch

if TYPE_CHECKING:
    import pandas as pd

LOG_SD = 2.0
WIDE, WIDE_LEAST = 10.0, 10.0
RANDOM, RANDOM_LEAST, RESIDUAL = 2.0, 0.5, 5.0
LKJ = 2.0


@dataclass(frozen=True)
class Term:
    """A density of some entries of x: ``at`` their places, ``value`` log density (without constant) and slopes,
    ``draw`` values of x. ``told`` says it in words of the field.
    """

    at: tuple[int, ...]
    told: str
    value: Callable[[np.ndarray], tuple[float, np.ndarray]]
    draw: Callable[[np.random.Generator], np.ndarray]


class Prior:
    """The prior of a problem's vector x. ``vector`` translates; ``begin`` is the start."""

    def __init__(self, vector: Vector, begin: Point) -> None:
        self.vector, self.begin = vector, begin
        self.terms = [*self._fixed(), *self._blocks()]

    def __call__(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """Log density by x, without constant, and its slopes (n,)."""
        total, slope = 0.0, np.zeros(len(x))
        for term in self.terms:
            at = list(term.at)
            value, own = term.value(x[at])
            total += value
            slope[at] += own
        return total, slope

    def draw(self, chance: np.random.Generator) -> np.ndarray:
        """One x from the prior."""
        x = np.zeros(self.vector.size)
        for term in self.terms:
            x[list(term.at)] = term.draw(chance)
        return x

    @property
    def table(self) -> pd.DataFrame:
        """One row a term: the parameters it is about, and the prior in words."""
        import pandas as pd

        names = self.vector.names
        rows = [{"parameters": ", ".join(names[k] for k in term.at), "prior": term.told} for term in self.terms]
        return pd.DataFrame(rows, columns=["parameters", "prior"])

    # ---- terms --------------------------------------------------------------------------------------------------------
    def _fixed(self) -> list[Term]:
        terms: list[Term] = []
        place = {theta.name: k for k, (_, theta) in enumerate(self.vector.thetas)}
        taken: set[str] = set()
        for prior in self.vector.d.problem.normal_priors:
            free = [i for i, name in enumerate(prior.names) if name in place]
            if free:
                thetas = [self.vector.thetas[place[prior.names[i]]][1] for i in free]
                own = _conditional(prior, free, self.vector.d.problem.thetas)
                terms.append(_normal(tuple(place[theta.name] for theta in thetas), thetas, *own))
                taken |= {theta.name for theta in thetas}
        terms += [_default(k, theta) for k, (_, theta) in enumerate(self.vector.thetas) if theta.name not in taken]
        return terms

    def _blocks(self) -> list[Term]:
        terms: list[Term] = []
        at = len(self.vector.thetas)
        wishart = {prior.names: prior for prior in self.vector.d.problem.wishart_priors}
        for k in self.vector.free_blocks:
            names, start = self.vector.blocks.names[k], np.sqrt(np.diag(self.begin.blocks[k]))
            size = len(names) * (len(names) + 1) // 2
            where = tuple(range(at, at + size))
            if names in wishart:
                terms.append(_wishart(where, wishart[names]))
            else:
                terms.append(_half_normal(where, np.maximum(RANDOM * start, RANDOM_LEAST)))
            at += size
        for first, n in self.vector.sigmas:
            size = n * (n + 1) // 2
            values = self.begin.fixed[first : first + size]
            variance = [values[i * (i + 1) // 2 + i] for i in range(n)]
            terms.append(_half_normal(tuple(range(at, at + size)), RESIDUAL * np.sqrt(variance)))
            at += size
        return terms


def _conditional(prior: NormalPrior, free: list[int], thetas: tuple[Theta, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of the free parameters, given those that are fixed."""
    held = [i for i in range(len(prior.names)) if i not in free]
    mean, covariance = prior.mean[free], prior.covariance[np.ix_(free, free)]
    if held:
        start = {theta.name: theta.start for theta in thetas}
        away = np.array([start[prior.names[i]] for i in held]) - prior.mean[held]
        pull = np.linalg.solve(prior.covariance[np.ix_(held, held)], prior.covariance[np.ix_(held, free)]).T
        mean = mean + pull @ away
        covariance = covariance - pull @ prior.covariance[np.ix_(held, free)]
    return mean, covariance


def _normal(at: tuple[int, ...], thetas: list[Theta], mean: np.ndarray, covariance: np.ndarray) -> Term:
    """Normal on the natural scale, cut at the bounds."""
    precision = np.linalg.inv(covariance)

    def value(x: np.ndarray) -> tuple[float, np.ndarray]:
        natural = np.array([_outside(theta, v) for theta, v in zip(thetas, x, strict=True)])
        stretch = np.array([_stretch(theta, v) for theta, v in zip(thetas, natural, strict=True)])
        away = natural - mean
        pull = precision @ away
        total = -0.5 * float(away @ pull) + float(np.sum(np.log(stretch)))
        bend = np.array([_bend(theta, v) for theta, v in zip(thetas, natural, strict=True)])
        return total, -pull * stretch + bend

    def draw(chance: np.random.Generator) -> np.ndarray:
        for _ in range(10_000):
            drawn = chance.multivariate_normal(mean, covariance)
            if all(theta.lower < v < theta.upper for theta, v in zip(thetas, drawn, strict=True)):
                return np.array([_inside(theta, v) for theta, v in zip(thetas, drawn, strict=True)])
        raise ValueError(f"the prior of {', '.join(t.name for t in thetas)} lies outside of the bounds")

    spread = ", ".join(f"{s:.4g}" for s in np.sqrt(np.diag(covariance)))
    return Term(at, f"normal, mean {', '.join(f'{m:.4g}' for m in mean)}, sd {spread}", value, draw)


def _bend(theta: Theta, natural: float) -> float:
    """d log(stretch)/dx."""
    low, high = theta.lower, theta.upper
    if np.isfinite(low) and np.isfinite(high):
        return float((low + high - 2 * natural) / (high - low))
    if theta.scale == "log" or np.isfinite(low):
        return 1.0
    return -1.0 if np.isfinite(high) else 0.0


def _default(k: int, theta: Theta) -> Term:
    start = _inside(theta, theta.start)
    if np.isfinite(theta.lower) and np.isfinite(theta.upper):

        def uniform(x: np.ndarray) -> tuple[float, np.ndarray]:
            size = float(np.logaddexp(0.0, x[0]) + np.logaddexp(0.0, -x[0]))
            return -size, -np.tanh(x / 2)

        def between(chance: np.random.Generator) -> np.ndarray:
            share = chance.uniform()
            return np.array([np.log(share / (1 - share))])

        return Term((k,), f"uniform from {theta.lower:.4g} to {theta.upper:.4g}", uniform, between)
    bounded = theta.scale == "log" or np.isfinite(theta.lower) or np.isfinite(theta.upper)
    sd = LOG_SD if bounded else WIDE * max(abs(theta.start), WIDE_LEAST / WIDE)
    text = (
        f"log-normal about {theta.start:.4g}, sd of the log {sd:g}"
        if bounded
        else f"normal, mean {start:.4g}, sd {sd:.4g}"
    )

    def value(x: np.ndarray) -> tuple[float, np.ndarray]:
        z = (x - start) / sd
        return -0.5 * float(z @ z), -z / sd

    return Term((k,), text, value, lambda chance: np.array([start + sd * chance.standard_normal()]))


def _half_normal(at: tuple[int, ...], scale: np.ndarray) -> Term:
    """Standard deviations half-normal, correlations LKJ; x is the Cholesky factor with the log of its diagonal."""
    n = len(scale)
    rows, columns = np.tril_indices(n)

    def value(x: np.ndarray) -> tuple[float, np.ndarray]:
        factor = _unpacked(x, n)
        total, slope = 0.0, np.zeros((n, n))
        for i in range(n):
            row = factor[i, : i + 1]
            variance = float(row @ row)
            power = n - 1 - i + 2 * LKJ - 1 if n > 1 else 0.0  # of the share of the row that is its own
            # p(sd) sd^-i (L_ii / sd)^power L_ii
            total += (
                -0.5 * variance / scale[i] ** 2 - 0.5 * (i + power) * np.log(variance) + (power + 1) * x[_diagonal(i)]
            )
            slope[i, : i + 1] = -row / scale[i] ** 2 - (i + power) * row / variance
            slope[i, i] = slope[i, i] * row[i] + power + 1
        return float(total), slope[rows, columns]

    def draw(chance: np.random.Generator) -> np.ndarray:
        factor = _lkj(n, chance)
        factor *= (scale * np.abs(chance.standard_normal(n)))[:, None]
        np.fill_diagonal(factor, np.log(np.diag(factor)))
        return factor[rows, columns]

    text = f"sd half-normal, scale {', '.join(f'{s:.4g}' for s in scale)}"
    return Term(at, text + (f"; correlations LKJ({LKJ:g})" if n > 1 else ""), value, draw)


def _diagonal(i: int) -> int:
    return i * (i + 1) // 2 + i


def _unpacked(x: np.ndarray, n: int) -> np.ndarray:
    factor = np.zeros((n, n))
    factor[np.tril_indices(n)] = x
    np.fill_diagonal(factor, np.exp(np.diag(factor)))
    return factor


def _lkj(n: int, chance: np.random.Generator) -> np.ndarray:
    """The Cholesky factor of a correlation matrix, row by row (the onion method)."""
    factor = np.zeros((n, n))
    factor[0, 0] = 1.0
    for i in range(1, n):
        share = chance.beta(i / 2, LKJ + (n - 1 - i) / 2)
        way = chance.standard_normal(i)
        factor[i, :i] = np.sqrt(share) * way / np.linalg.norm(way)
        factor[i, i] = np.sqrt(1 - share)
    return factor


def _wishart(at: tuple[int, ...], prior: WishartPrior) -> Term:
    """Inverse Wishart of the matrix, as `priors.penalty` has it."""
    n = len(prior.names)
    rows, columns = np.tril_indices(n)
    scale = prior.degrees * prior.matrix

    def value(x: np.ndarray) -> tuple[float, np.ndarray]:
        factor = _unpacked(x, n)
        inverse = np.linalg.inv(factor @ factor.T)
        diagonal = np.array([x[_diagonal(i)] for i in range(n)])
        weight = prior.degrees + n + 1
        volume = n + 1.0 - np.arange(n)  # log |d matrix / dx| = sum of these times the log of the diagonal
        total = -weight * float(diagonal.sum()) - 0.5 * float(np.sum(scale * inverse)) + float(volume @ diagonal)
        slope = inverse @ scale @ inverse @ factor
        for i in range(n):
            slope[i, i] = slope[i, i] * factor[i, i] - weight + volume[i]
        return total, slope[rows, columns]

    def draw(chance: np.random.Generator) -> np.ndarray:
        root = np.linalg.cholesky(np.linalg.inv(scale))
        lower = np.tril(chance.standard_normal((n, n)), -1)
        np.fill_diagonal(lower, np.sqrt(chance.chisquare(prior.degrees - np.arange(n))))
        wishart = root @ lower @ lower.T @ root.T
        factor = np.linalg.cholesky(np.linalg.inv(wishart))
        np.fill_diagonal(factor, np.log(np.diag(factor)))
        return factor[rows, columns]

    return Term(at, f"inverse Wishart, {prior.degrees:g} degrees of freedom", value, draw)

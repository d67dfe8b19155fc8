"""The path of a test statistic from look to look: probabilities of stopping, by recursive numerical integration.

Armitage, McPherson and Rowe 1969 (doi:10.2307/2343787). With information shares t_k and drift d, Z_k ~ N(d sqrt(t_k), 1)
and sqrt(t_k) Z_k has independent increments. The density on the continuation region is carried on Gauss-Legendre nodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from respine.trial.analysis.arrays import Array

REACH = 9.0  # standard deviations beyond which nothing is left
NODES, WEIGHTS = np.polynomial.legendre.leggauss(16)


@dataclass(frozen=True)
class Stops:
    """Probabilities of leaving at each look (K,): above, below, and inside (two-sided futility)."""

    above: Array
    below: Array
    inside: Array


class Walk:
    """The law of the statistic at the next look among trials that went on so far."""

    def __init__(self, information: Sequence[float] | Array, drift: float = 0.0) -> None:
        self.t = np.asarray(information, dtype=float)
        self.drift = float(drift)
        self.stage = 0
        self._nodes = np.zeros(1)
        self._mass = np.ones(1)  # density times weight at the nodes

    def above(self, z: float) -> float:
        """P(no stop before, Z > z) at the next look."""
        from scipy.special import ndtr

        return float(self._mass @ ndtr(-self._standard(z)))

    def below(self, z: float) -> float:
        """P(no stop before, Z < z) at the next look."""
        from scipy.special import ndtr

        return float(self._mass @ ndtr(self._standard(z)))

    def step(self, regions: Sequence[tuple[float, float]]) -> None:
        """Go on where Z lies in one of the intervals."""
        k = self.stage
        spread, ahead = (
            self._spread(k),
            self._spread(k + 1) * np.sqrt(self.t[k + 1] / self.t[k]) if k + 1 < len(self.t) else 1.0,
        )
        centre = self.drift * np.sqrt(self.t[k])
        nodes, weights = [], []
        for low, high in regions:
            low, high = max(low, centre - REACH), min(high, centre + REACH)
            if high <= low:
                continue
            panels = max(1, int(np.ceil((high - low) / min(4 * spread, 4 * ahead, 4.0))))
            edges = np.linspace(low, high, panels + 1)
            half = 0.5 * np.diff(edges)[:, None]
            nodes.append((0.5 * (edges[:-1] + edges[1:])[:, None] + half * NODES).ravel())
            weights.append((half * WEIGHTS).ravel())
        at = np.concatenate(nodes) if nodes else np.zeros(0)
        weight = np.concatenate(weights) if weights else np.zeros(0)
        mean = self._mean(k)
        density = np.exp(-0.5 * ((at[:, None] - mean) / spread) ** 2) / (spread * np.sqrt(2 * np.pi))
        self._mass = weight * (density @ self._mass)
        self._nodes = at
        self.stage += 1

    def start_from(self, z: float, stage: int) -> None:
        """Condition on Z = z at look ``stage`` (counted from 1)."""
        self.stage = stage
        self._nodes, self._mass = np.array([float(z)]), np.ones(1)

    def _before(self, k: int) -> float:
        return float(self.t[k - 1]) if k > 0 else 0.0

    def _spread(self, k: int) -> float:
        """Standard deviation of Z at look k given the look before."""
        return float(np.sqrt((self.t[k] - self._before(k)) / self.t[k]))

    def _mean(self, k: int) -> Array:
        before = self._before(k)
        return np.asarray((self._nodes * np.sqrt(before) + self.drift * (self.t[k] - before)) / np.sqrt(self.t[k]))

    def _standard(self, z: float) -> Array:
        return np.asarray((z - self._mean(self.stage)) / self._spread(self.stage))


def regions(lower: float, upper: float, inner: float = 0.0) -> list[tuple[float, float]]:
    """Where a trial goes on: between the bounds, and outside of the inner wedge where there is one."""
    return [(lower, -inner), (inner, upper)] if inner > 0 else [(lower, upper)]


def stops(
    information: Sequence[float] | Array, upper: Array, lower: Array, inner: Array | None = None, drift: float = 0.0
) -> Stops:
    """Probabilities of stopping at each look; at the last one every trial stops, below or above its bounds."""
    k = len(upper)
    walk = Walk(information, drift)
    above, below, inside = np.zeros(k), np.zeros(k), np.zeros(k)
    wedge = np.zeros(k) if inner is None else inner
    for i in range(k):
        above[i] = walk.above(float(upper[i]))
        below[i] = walk.below(float(lower[i])) if np.isfinite(lower[i]) else 0.0
        if wedge[i] > 0:
            inside[i] = walk.below(float(wedge[i])) - walk.below(float(-wedge[i]))
        if i + 1 < k:
            walk.step(regions(float(lower[i]), float(upper[i]), float(wedge[i])))
    return Stops(above, below, inside)

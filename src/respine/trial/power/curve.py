"""How power depends on n: a normal effect between draws, fitted to the counts, so that n for a power can be read off.

``P(n) = Phi((m sqrt(n/2) - z) / sqrt(1 + s^2 n/2))``: ``m`` is the mean of effect over SD, ``s`` its SD between parameter draws
(Spiegelhalter and Freedman 1986, doi:10.1002/sim.4780050103; O'Hagan, Stevens and Campbell 2005, doi:10.1002/pst.175); with
``s = 0`` it is the usual power of two equal arms. As n grows it levels off at ``Phi(m / s)``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MOST_N = 100_000


@dataclass(frozen=True)
class Curve:
    """A fitted curve; ``s`` is 0 for power given the parameters."""

    m: float
    s: float
    z: float

    def __call__(self, n: np.ndarray | float) -> np.ndarray:
        """Power with ``n`` people an arm."""
        from scipy.special import ndtr

        half = np.sqrt(np.asarray(n, float) / 2)
        return np.asarray(ndtr((self.m * half - self.z) / np.sqrt(1 + (self.s * half) ** 2)))

    @property
    def limit(self) -> float:
        """What no size takes it above."""
        from scipy.special import ndtr

        return (1.0 if self.m > 0 else 0.0) if self.s == 0 else float(ndtr(self.m / self.s))

    def size(self, power: float) -> float:
        """People an arm for a power, infinite where no size gives it."""
        from scipy.optimize import brentq

        if self.m <= 0 or self(MOST_N) < power:
            return float("inf")
        return float(brentq(lambda n: float(self(n)) - power, 1e-3, MOST_N, xtol=1e-6)) if self(1e-3) < power else 1e-3


def fit(n: np.ndarray, power: np.ndarray, trials: np.ndarray, z: float, *, spread: bool) -> Curve | None:
    """The curve nearest to counted powers ``(k,)`` in likelihood; None where every size rejects always or never."""
    from scipy.optimize import minimize

    inside = (power * trials > 0.5) & ((1 - power) * trials > 0.5)
    if not inside.any():
        return None

    def deviance(theta: np.ndarray) -> float:
        curve = Curve(float(theta[0]), float(np.exp(theta[1])) if spread else 0.0, z)
        p = np.clip(curve(n), 1e-9, 1 - 1e-9)
        return float(-(trials * (power * np.log(p) + (1 - power) * np.log1p(-p))).sum())

    from scipy.special import ndtri

    at = np.flatnonzero(inside)[len(np.flatnonzero(inside)) // 2]
    m = float((ndtri(power[at]) + z) / np.sqrt(n[at] / 2))
    best, value = None, np.inf
    for start in ([m, np.log(0.3 * abs(m) + 1e-3)], [1.5 * m, np.log(0.8 * abs(m) + 1e-3)]) if spread else ([m],):
        minimum = minimize(deviance, np.array(start), method="Nelder-Mead", options={"xatol": 1e-5, "fatol": 1e-7})
        if minimum.fun < value:
            best, value = minimum.x, float(minimum.fun)
    assert best is not None
    return Curve(float(best[0]), float(np.exp(best[1])) if spread else 0.0, z)


def size_and_error(
    n: np.ndarray,
    won: np.ndarray,
    weight: np.ndarray,
    power: float,
    z: float,
    *,
    spread: bool,
    again: int = 60,
    seed: int = 1,
) -> tuple[float, float, float]:
    """People an arm for a power with the 5th and 95th percentile over the chance of the simulation.

    ``won`` (R, k): share of rejections of each trial's parts at each size; ``weight`` (k,) how many independent trials a
    replicate is worth at each size.
    """

    def once(rows: np.ndarray) -> float:
        curve = fit(n, won[rows].mean(axis=0), len(rows) * weight, z, spread=spread)
        return float("nan") if curve is None else curve.size(power)

    best = once(np.arange(len(won)))
    rng = np.random.default_rng(seed)
    drawn = [once(rng.integers(0, len(won), len(won))) for _ in range(again)]
    known = [value for value in drawn if value == value]
    if best != best or not known:
        return best, float("nan"), float("nan")
    low, high = np.quantile(known, [0.05, 0.95], method="inverted_cdf")
    return best, float(low), float(high)

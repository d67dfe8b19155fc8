"""Two rates: their most likely values under a null hypothesis, and the score interval of Miettinen and Nurminen.

Farrington and Manning 1990 (doi:10.1002/sim.4780091208), Miettinen and Nurminen 1985 (doi:10.1002/sim.4780040211). The
interval is here because that of statsmodels 0.15 is wrong for a difference between groups of unequal size (56 of 70 against
48 of 80: upper limit 0.344, where Newcombe 1998 and the score test itself give 0.338).
"""

from __future__ import annotations

import numpy as np


def restricted_rates(
    rate1: float, rate2: float, ratio: float, margin: float, risk_ratio: bool = False
) -> tuple[float, float]:
    """Maximum-likelihood rates given that they differ by ``margin`` (or have that ratio)."""
    k = 1.0 / ratio  # n2 / n1
    if risk_ratio:
        a = 1 + k
        b = -(margin * (1 + k * rate2) + k + rate1)
        c = margin * (rate1 + k * rate2)
        r1 = (-b - np.sqrt(max(b * b - 4 * a * c, 0.0))) / (2 * a)
        return float(r1), float(r1 / margin)
    if margin == 0:
        pooled = (rate1 + k * rate2) / (1 + k)
        return pooled, pooled
    a = 1 + k
    b = -(1 + k + rate1 + k * rate2 + margin * (k + 2))
    c = margin**2 + margin * (2 * rate1 + k + 1) + rate1 + k * rate2
    d = -margin * (1 + margin) * rate1
    v = b**3 / (3 * a) ** 3 - b * c / (6 * a * a) + d / (2 * a)
    u = np.copysign(np.sqrt(max(b**2 / (3 * a) ** 2 - c / (3 * a), 0.0)), v if v != 0 else 1.0)
    w = (np.pi + np.arccos(np.clip(v / u**3 if u != 0 else 0.0, -1.0, 1.0))) / 3
    r1 = float(np.clip(2 * u * np.cos(w) - b / (3 * a), 0.0, 1.0))
    return r1, float(np.clip(r1 - margin, 0.0, 1.0))


def score_interval(x1: int, n1: int, x2: int, n2: int, level: float, risk_ratio: bool = False) -> tuple[float, float]:
    """Limits of the difference (or ratio) of two rates by inversion of the score test with Miettinen and Nurminen's variance."""
    from scipy.optimize import brentq
    from scipy.special import ndtri

    z = float(ndtri(0.5 + level / 2))
    p1, p2, n = x1 / n1, x2 / n2, n1 + n2

    def statistic(margin: float) -> float:
        r1, r2 = restricted_rates(p1, p2, n1 / n2, margin, risk_ratio)
        slope = margin if risk_ratio else 1.0
        variance = (r1 * (1 - r1) / n1 + slope**2 * r2 * (1 - r2) / n2) * n / (n - 1)
        distance = p1 - margin * p2 if risk_ratio else p1 - p2 - margin
        return distance / float(np.sqrt(max(variance, 1e-300)))

    def crossing(target: float, inner: float, outer: float) -> float:
        if (statistic(outer) - target) * (statistic(inner) - target) > 0:
            return outer
        return float(brentq(lambda m: statistic(m) - target, inner, outer, xtol=1e-12))

    if not risk_ratio:
        return crossing(z, p1 - p2, -1 + 1e-12), crossing(-z, p1 - p2, 1 - 1e-12)
    centre = p1 / p2 if p2 > 0 else 1e6
    low = crossing(z, max(centre, 1e-9), 1e-9) if x1 > 0 else 0.0
    high = crossing(-z, max(centre, 1e-9), 1e9) if p2 > 0 else float("inf")
    return low, high

"""Likelihood profiles: the objective as a function of one parameter, all others fitted anew; limits that need no symmetry.

A 95 % limit is where the objective has risen by 3.84 (the chi-squared quantile for one parameter).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from respine.fit.population.estimate import TOLERANCE
from respine.fit.population.quasi_newton import search

if TYPE_CHECKING:
    import pandas as pd

    from respine.fit.population.fitted import Fit

Watch = Callable[[str], None]
MOST_STEPS = 12  # from the estimate to a limit
CLOSE = 1e-2  # of the rise of the objective, at a limit
FARTHEST = 8.0  # from the estimate, in standard errors, where there seems to be no limit
CHI2 = {0.8: 1.642374415, 0.9: 2.705543454, 0.95: 3.841458821, 0.99: 6.634896601}
"""Quantiles of chi-squared with one degree of freedom."""


@dataclass(frozen=True)
class Profile:
    """``limits``: one row a parameter: name, estimate, low, high (NaN: none was found, see ``note``); ``points``: every
    value that was tried, with the rise of the objective and the other estimates.
    """

    limits: pd.DataFrame
    points: pd.DataFrame


def profile(
    fit: Fit, names: Sequence[str] | None = None, *, level: float = 0.95, watch: Watch | None = None
) -> Profile:
    """Profiles of parameters of a fit, by name as in `Fit.estimates` (all if left out). Raises ValueError for an unknown
    name, for a covariance (which has no axis of its own in the search), and for a level other than 0.8, 0.9, 0.95, 0.99.
    """
    import pandas as pd

    if level not in CHI2:
        raise ValueError(f"level is one of {', '.join(map(str, CHI2))}")
    known = [name for name in fit.vector.names if not _covariance(name)]
    for name in names or ():
        if name not in known:
            raise ValueError(f'"{name}" has no profile; there are {", ".join(known)}')
    limits, points = [], []
    for name in names or known:
        curve = _Curve(fit, name, CHI2[level])
        low, high = curve.limit(-1), curve.limit(1)
        estimate = curve.natural(0.0)
        limits.append({"name": name, "estimate": estimate, "low": min(low, high, key=_or(-1)), "high": max(low, high, key=_or(1)),
                       "note": curve.note})  # fmt: skip
        points += curve.points
        if watch is not None:
            watch(f"{name}: {limits[-1]['low']:.5g} to {limits[-1]['high']:.5g}")
    return Profile(pd.DataFrame(limits), pd.DataFrame(points))


def _covariance(name: str) -> bool:
    return name.startswith(("OMEGA(", "SIGMA(")) and "," in name


def _or(sign: int) -> Callable[[float], float]:
    """NaN counts as the end of the axis it stands for."""
    return lambda value: value if np.isfinite(value) else sign * np.inf


class _Curve:
    """The profile of one parameter, along its place in x. Later effects of a block have a diagonal in the factor alone:
    their variance is kept by turning the whole row.
    """

    def __init__(self, fit: Fit, name: str, rise: float) -> None:
        self.fit, self.name, self.rise = fit, name, rise
        self.outer, self.best = fit.optimum.outer, fit.optimum.x
        self.k = fit.vector.names.index(name)
        self.base = fit.optimum.total
        own = fit.certain.of_x[self.k, self.k] if fit.certain is not None else np.nan
        curve = fit.optimum.matrix[self.k, self.k]
        guess = own if np.isfinite(own) and own > 0 else 2.0 / max(float(curve), 1e-4)
        self.se = float(np.clip(np.sqrt(guess), 1e-4, 2.0))
        self.points: list[dict[str, float | str]] = []
        self.note = ""
        self.row = _row(fit, self.k)

    def natural(self, away: float) -> float:
        return float(self.fit.vector.natural(self.outer.point(self._moved(self.best, away)))[self.k])

    def _moved(self, x: np.ndarray, away: float) -> np.ndarray:
        """x with the parameter ``away`` from its estimate; the variance of a row of a factor scales the row."""
        out = x.copy()
        if len(self.row) == 1:
            out[self.k] = self.best[self.k] + away
            return out
        was = self.best[self.row]
        size = np.sqrt(np.exp(2 * was[-1]) + np.sum(was[:-1] ** 2)) * np.exp(away)
        now = np.sqrt(np.exp(2 * x[self.row][-1]) + np.sum(x[self.row][:-1] ** 2))
        out[self.row[:-1]] = x[self.row[:-1]] * size / now
        out[self.k] = x[self.k] + np.log(size / now)
        return out

    def limit(self, sign: int) -> float:
        """The value at which the objective has risen by the quantile, on one side; NaN where there is none."""
        low, high = (0.0, 0.0), (np.inf, np.inf)  # (distance, rise) below and above what is wanted
        away, x = np.sqrt(self.rise) * self.se, self.best
        for _ in range(MOST_STEPS):
            rise, x = self._rise(sign * away, x)
            if not np.isfinite(rise):
                high = (away, np.inf)
            elif abs(rise - self.rise) < CLOSE * self.rise:
                return self.natural(sign * away)
            elif rise < self.rise:
                low = (away, max(rise, 0.0))
            else:
                high = (away, rise)
            if np.isinf(high[0]) and low[0] > FARTHEST * self.se * np.sqrt(self.rise):
                break
            away = _next(low, high, self.rise)
        if np.isfinite(high[0]) and np.isfinite(high[1]):
            share = (np.sqrt(self.rise) - np.sqrt(low[1])) / (np.sqrt(high[1]) - np.sqrt(low[1]))
            return self.natural(sign * (low[0] + share * (high[0] - low[0])))
        side = "below" if sign < 0 else "above"
        self.note = f"{self.note}; " * bool(self.note) + f"no limit {side}: the objective rose by {low[1]:.2g} only"
        return np.nan

    def _rise(self, away: float, x: np.ndarray) -> tuple[float, np.ndarray]:
        """How much the objective is above its minimum with the parameter held there, and x at that point."""
        start = self._moved(x, away)
        free = np.array([j for j in range(len(start)) if j != self.k], int)

        def function(part: np.ndarray) -> tuple[float, np.ndarray]:
            whole = start.copy()
            whole[free] = part
            there = self._moved(whole, away)
            value, slope = self.outer(there)
            return value, self._carried(whole, there, slope)[free]

        x, value = start.copy(), function(start[free])[0]
        if len(free):
            matrix = self.fit.optimum.matrix[np.ix_(free, free)]
            end = search(function, start[free], matrix, tolerance=max(TOLERANCE, 1e-5), most_evaluations=200)
            x[free], value = end.x, end.value
        x = self._moved(x, away)
        values = self.fit.vector.natural(self.outer.point(x))
        self.points.append({"profile": self.name, "value": float(values[self.k]), "rise": float(value - self.base),
                            **dict(zip(self.fit.vector.names, map(float, values), strict=True))})  # fmt: skip
        return value - self.base, x

    def _carried(self, x: np.ndarray, there: np.ndarray, slope: np.ndarray) -> np.ndarray:
        """Slopes at ``there`` as slopes by x, whose row of the factor was scaled to the variance that is held."""
        if len(self.row) == 1:
            return slope
        out, old, new, by = slope.copy(), x[self.row].copy(), there[self.row].copy(), slope[self.row].copy()
        old[-1], new[-1] = np.exp(old[-1]), np.exp(new[-1])
        by[-1] /= new[-1]
        factor = np.linalg.norm(new) / np.linalg.norm(old)
        out[self.row] = factor * (by - (by @ new) * new / (new @ new))
        return out


def _row(fit: Fit, k: int) -> np.ndarray:
    """The places in x of the row of the factor whose variance stands at k; k alone where it is no block."""
    at = len(fit.vector.thetas)
    blocks = [len(fit.vector.blocks.names[b]) for b in fit.vector.free_blocks] + [n for _, n in fit.vector.sigmas]
    for n in blocks:
        for i in range(n):
            if k == at + i * (i + 1) // 2 + i:
                return np.arange(at + i * (i + 1) // 2, k + 1)
        at += n * (n + 1) // 2
    return np.array([k])


def _next(low: tuple[float, float], high: tuple[float, float], rise: float) -> float:
    """Where to look next: the root of the objective's rise is near a straight line of the distance."""
    if np.isinf(high[0]):
        step = low[0] * np.sqrt(rise / max(low[1], 0.05 * rise)) if low[0] > 0 else 1.0
        return float(np.clip(step, 1.2 * low[0], 3 * low[0]))
    if np.isinf(high[1]):
        return 0.5 * (low[0] + high[0])
    share = (np.sqrt(rise) - np.sqrt(low[1])) / (np.sqrt(high[1]) - np.sqrt(low[1]))
    return low[0] + float(np.clip(share, 0.05, 0.95)) * (high[0] - low[0])

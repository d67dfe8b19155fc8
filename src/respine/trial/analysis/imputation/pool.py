"""One answer from many completed trials: Rubin's rules, the jackknife of conditional means, delta and tipping point.

Every completed trial is analysed by ANCOVA at each visit. The answer is linear in a shift of the imputed values, so that a
tipping point needs no new imputation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from respine.trial.analysis.arrays import Array, Flags
from respine.trial.analysis.imputation.draw import estimate, posterior, resampled
from respine.trial.analysis.imputation.fill import completed
from respine.trial.analysis.imputation.wide import Wide
from respine.trial.analysis.mmrm.fit import NoCovariance, Tried, orthonormal
from respine.trial.analysis.mmrm.likelihood import NotPositiveDefinite
from respine.trial.analysis.student import half_width, two_sided


@dataclass(frozen=True)
class Pooled:
    """An estimate with its standard error, degrees of freedom (inf: normal) and two-sided p and interval."""

    estimate: float
    se: float
    df: float
    p: float
    lower: float
    upper: float
    between: float
    """Variance between imputations, 0 where there is only one."""


@dataclass(frozen=True)
class Completed:
    """Completed trials, or the conditional means with those of every trial that lacks one patient.

    ``outcomes`` (M, n, m); ``imputed`` (n, m) the cells that were filled; ``left_out`` (n, n, m) for the jackknife, the row of
    the patient left out being unused.
    """

    outcomes: Array
    imputed: Flags
    left_out: Array | None = None


def impute(wide: Wide, method: str, draws: int, seed: int) -> Completed:
    """Complete the trial ``draws`` times (``bayesian``, ``bootstrap``) or once (``conditional-mean``). Raises NoCovariance."""
    imputed = ~np.isfinite(wide.y)
    rng = np.random.Generator(np.random.Philox(seed))
    if method == "conditional-mean":
        once = completed(wide, estimate(wide), None)
        left_out = np.full((len(wide.y), *wide.y.shape), np.nan)
        for i in range(len(wide.y)):
            others = np.arange(len(wide.y)) != i
            rest = wide.without(i)
            left_out[i, others] = completed(rest, estimate(rest), None)
        return Completed(once[None], imputed, left_out)
    source = posterior if method == "bayesian" else resampled
    try:
        return Completed(np.stack([completed(wide, p, rng) for p in source(wide, draws, rng)]), imputed)
    except (NotPositiveDefinite, np.linalg.LinAlgError):
        reason = "a draw of the covariance is singular: too few patients for so many visits"
        raise NoCovariance([Tried("unstructured", reason)]) from None


class Analysis:
    """ANCOVA of completed trials at one visit: ``x`` (n, q) and the contrasts of its coefficients."""

    def __init__(self, done: Completed, x: Array, visit: int) -> None:
        basis = orthonormal(x, np.zeros(len(x)))
        self.kept, self.q, self.r = basis.kept, basis.q, basis.r
        self.x = x
        self.y = done.outcomes[:, :, visit]
        self.imputed = done.imputed[:, visit]
        self.left_out = None if done.left_out is None else done.left_out[:, :, visit]
        self.df = len(x) - len(self.kept)

    def contrast(self, rows: Array, level: float = 0.95, shift: Array | None = None) -> Pooled:
        """The pooled ``row @ coefficients``; ``shift`` (n,) is added to imputed outcomes.

        ``rows`` is (q,), or (n, q) with a row for each patient, of which the mean is taken (least-squares means).
        """
        row = rows if rows.ndim == 1 else rows.mean(axis=0)
        moved = self.y if shift is None else self.y + np.where(self.imputed, shift, 0.0)
        lb = np.linalg.solve(self.r.T, row[self.kept])
        estimates = moved @ (self.q @ lb)
        if self.left_out is not None:
            return self._jackknife(rows, float(estimates[0]), level, shift)
        rest = moved - moved @ self.q @ self.q.T
        within = (rest**2).sum(axis=1) / self.df * float(lb @ lb)
        return rubin(estimates, within, self.df, level)

    def _jackknife(self, rows: Array, whole: float, level: float, shift: Array | None) -> Pooled:
        assert self.left_out is not None
        n = len(self.x)
        x = self.x[:, self.kept]
        gram = x.T @ x
        values = np.empty(n)
        for i in range(n):
            others = np.arange(n) != i
            y = self.left_out[i, others]
            if shift is not None:
                y = y + np.where(self.imputed, shift, 0.0)[others]
            row = rows if rows.ndim == 1 else rows[others].mean(axis=0)
            values[i] = row[self.kept] @ np.linalg.solve(gram - np.outer(x[i], x[i]), x[others].T @ y)
        se = float(np.sqrt((n - 1) / n * ((values - values.mean()) ** 2).sum()))
        return _result(whole, se, float("inf"), level, 0.0)


def rubin(estimates: Array, within: Array, df_complete: float, level: float = 0.95) -> Pooled:
    """Rubin's rules with the degrees of freedom of Barnard and Rubin 1999 (doi:10.1093/biomet/86.4.948)."""
    m = len(estimates)
    centre, inside = float(estimates.mean()), float(within.mean())
    between = float(estimates.var(ddof=1)) if m > 1 else 0.0
    total = inside + (1 + 1 / m) * between
    share = (1 + 1 / m) * between / total if total > 0 else 0.0
    observed = (df_complete + 1) / (df_complete + 3) * df_complete * (1 - share)
    df = observed if share < 1e-12 else 1 / (share**2 / (m - 1) + 1 / observed)
    if share < 1e-12:
        df = df_complete  # nothing was imputed: the complete-data answer
    return _result(centre, float(np.sqrt(total)), float(df), level, between)


def _result(centre: float, se: float, df: float, level: float, between: float) -> Pooled:
    p = two_sided(centre / se, df) if se > 0 else float("nan")
    half = half_width(level, df) * se
    return Pooled(centre, se, df, p, centre - half, centre + half, between)


@dataclass(frozen=True)
class Tipping:
    """The smallest shift of the imputed values at which the result is no longer significant; None if there is none."""

    delta: float | None
    at: Pooled | None
    searched: tuple[float, float]


def tipping_point(answer: Callable[[float], Pooled], alpha: float, limit: float) -> Tipping:
    """Search from 0 towards ``limit`` (its sign is the direction that hurts) for the shift with p = alpha."""
    from scipy.optimize import brentq

    if answer(0.0).p >= alpha:
        return Tipping(0.0, answer(0.0), (0.0, limit))
    previous = 0.0
    for delta in np.linspace(0.0, limit, 101)[1:]:
        if answer(float(delta)).p >= alpha:
            at = float(brentq(lambda d: answer(d).p - alpha, previous, float(delta), xtol=1e-8 * abs(limit)))
            return Tipping(at, answer(at), (0.0, limit))
        previous = float(delta)
    return Tipping(None, None, (0.0, limit))


__all__ = ["Analysis", "Completed", "NoCovariance", "Pooled", "Tipping", "impute", "rubin", "tipping_point"]

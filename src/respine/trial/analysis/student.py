"""Student's t without the cost of scipy.stats objects: an infinite df is the normal law."""

from __future__ import annotations

import math


def two_sided(t: float, df: float) -> float:
    """P(|T| > |t|), accurate far into the tails."""
    from scipy.special import betainc, ndtr

    if not math.isfinite(t):
        return 0.0 if math.isinf(t) else math.nan
    return float(2 * ndtr(-abs(t))) if math.isinf(df) else float(betainc(df / 2, 0.5, df / (df + t * t)))


def half_width(level: float, df: float) -> float:
    """The quantile that a two-sided interval of this level multiplies the standard error with."""
    from scipy.special import ndtri, stdtrit

    return float(ndtri(0.5 + level / 2)) if math.isinf(df) else float(stdtrit(df, 0.5 + level / 2))

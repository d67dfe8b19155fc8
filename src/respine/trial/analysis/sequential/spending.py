"""Spending functions: the share of the error that may be used up by the time a share t of the information is there.

Lan and DeMets 1983 (doi:10.1093/biomet/70.3.659), Kim and DeMets 1987 (doi:10.1093/biomet/74.1.149), Hwang, Shih and
DeCani 1990 (doi:10.1002/sim.4780091207).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from respine.trial.analysis.arrays import Array

SPENDING = (
    "lan-demets-obrien-fleming",
    "lan-demets-pocock",
    "kim-demets",
    "hwang-shih-decani",
    "user-spending",
    "no-early-stop",
)


def spent(
    kind: str, total: float, information: Array, gamma: float | None = None, user: Sequence[float] | None = None
) -> Array:
    """Cumulative error spent at each look (K,) of a one-sided ``total``. ``gamma`` is the parameter of Kim-DeMets (> 0) and
    Hwang-Shih-DeCani; ``user`` the cumulative values themselves. Raises ValueError."""
    from scipy.special import ndtr, ndtri

    t = np.minimum(np.asarray(information, dtype=float), 1.0)
    if kind == "lan-demets-obrien-fleming":
        result = 2 * ndtr(ndtri(total / 2) / np.sqrt(t))
    elif kind == "lan-demets-pocock":
        result = total * np.log(1 + (np.e - 1) * t)
    elif kind == "kim-demets":
        if gamma is None or gamma <= 0:
            raise ValueError("the Kim-DeMets spending function needs a gamma above 0")
        result = total * t**gamma
    elif kind == "hwang-shih-decani":
        if gamma is None:
            raise ValueError("the Hwang-Shih-DeCani spending function needs a gamma")
        result = total * t if gamma == 0 else total * np.expm1(-gamma * t) / np.expm1(-gamma)
    elif kind == "no-early-stop":
        result = np.where(np.arange(len(t)) == len(t) - 1, total, 0.0)
    elif kind == "user-spending":
        if user is None or len(user) != len(t):
            raise ValueError(f"user spending needs {len(t)} cumulative values, one for each look")
        result = np.asarray(user, dtype=float)
        if (np.diff(result) < 0).any() or (result < 0).any() or abs(result[-1] - total) > 1e-9:
            raise ValueError(f"user spending must not decrease and must end at {total:g}")
    else:
        raise ValueError(f'there is no spending function "{kind}"; there are: {", ".join(SPENDING)}')
    return np.asarray(result)

"""Looking at the data while a trial runs: combination of stages, conditional power, a new sample size.

The inverse normal combination keeps the weights that were planned, so the level holds whatever is done to the later stages
(Lehmacher and Wassmer 1999, doi:10.1111/j.0006-341X.1999.01286.x; Cui, Hung and Wang 1999,
doi:10.1111/j.0006-341X.1999.00853.x).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from respine.trial.analysis.arrays import Array
from respine.trial.analysis.sequential.design import Design
from respine.trial.analysis.sequential.walk import Walk, regions


@dataclass(frozen=True)
class Look:
    """What the data say at a look: the combined z, the bound, and whether the null hypothesis is rejected so far."""

    z: float
    upper: float
    lower: float
    reject: bool
    futile: bool


@dataclass(frozen=True)
class Resize:
    """A new size of the remaining stage. ``zone`` is "unfavourable", "promising" or "favourable"."""

    conditional_power: float
    zone: str
    remaining: float
    conditional_power_after: float


def combine(design: Design, stage_z: Sequence[float]) -> Array:
    """Combined z at each look (k,) from the z of each stage's own data, with the weights that were planned."""
    weights = np.diff(design.information, prepend=0.0)[: len(stage_z)]
    return np.asarray(np.cumsum(np.sqrt(weights) * np.asarray(stage_z, dtype=float)) / np.sqrt(np.cumsum(weights)))


def looks(design: Design, stage_z: Sequence[float]) -> list[Look]:
    """The decision at each look so far. Bounds of futility are followed only where they are binding or advice is wanted."""
    result = []
    for i, z in enumerate(combine(design, stage_z)):
        value = abs(float(z)) if design.sided == 2 else float(z)
        low = float(design.lower[i]) if i + 1 < design.looks else float("-inf")
        result.append(Look(float(z), float(design.upper[i]), low, value >= design.upper[i], value < low))
    return result


def conditional_power(design: Design, look: int, z: float, drift: float | None = None) -> float:
    """P(reject later | Z = z at a look counted from 1), under a drift of the last z or, by default, the one observed."""
    if not 0 < look < design.looks:
        raise ValueError(f"the look must be one before the last, 1 to {design.looks - 1}")
    t = float(design.information[look - 1])
    walk = Walk(design.information, z / np.sqrt(t) if drift is None else drift)
    walk.start_from(z, look)
    total = 0.0
    for i in range(look, design.looks):
        total += walk.above(float(design.upper[i]))
        if i + 1 < design.looks:
            low = -float(design.upper[i]) if design.sided == 2 else float(design.lower[i])
            walk.step(regions(low, float(design.upper[i])))
    return total


def conditional_error(design: Design, look: int, z: float) -> float:
    """Conditional rejection probability under the null hypothesis."""
    return conditional_power(design, look, z, 0.0)


def resize(
    design: Design,
    z: float,
    planned: float,
    target: float = 0.9,
    most: float = 2.0,
    promising: tuple[float, float] = (0.36, 0.9),
    drift: float | None = None,
) -> Resize:
    """A new size of the second of two stages so that conditional power reaches ``target``.

    ``planned`` is the number of the second stage as planned; it grows to at most ``most`` times as many, and only where
    conditional power lies in the ``promising`` zone (Mehta and Pocock 2011, doi:10.1002/sim.4102). Analyse with
    ``combine``: the weights stay those of the plan.
    """
    from scipy.special import ndtr, ndtri

    if design.looks != 2:
        raise ValueError("sample sizes are re-estimated at the first of two looks")
    t = float(design.information[0])
    effect = z / np.sqrt(t) if drift is None else drift  # drift of the last z as planned
    now = conditional_power(design, 1, z, effect)
    zone = "unfavourable" if now < promising[0] else "favourable" if now >= promising[1] else "promising"
    needed = (float(design.upper[1]) - z * np.sqrt(t)) / np.sqrt(1 - t)  # what the second stage's own z must exceed
    growth = 1.0
    if zone == "promising" and effect > 0:
        growth = float(np.clip(((needed + ndtri(target)) / (effect * np.sqrt(1 - t))) ** 2, 1.0, most))
    after = float(ndtr(effect * np.sqrt((1 - t) * growth) - needed))
    return Resize(now, zone, planned * growth, after)


def stagewise_p(design: Design, look: int, z: float) -> float:
    """One-sided p value of a trial that stopped at a look with this z, by the stage-wise ordering.

    Earlier stops count as stronger evidence (Tsiatis, Rosner and Mehta 1984, doi:10.2307/2531159).
    """
    return _stagewise(design, look, z, 0.0)


def stagewise_estimate(design: Design, look: int, z: float, level: float = 0.95) -> tuple[float, float, float]:
    """Median-unbiased drift of the last z with its interval, by the stage-wise ordering.

    Divide by the square root of the maximum information for the effect itself.
    """
    from scipy.optimize import brentq

    tail = (1 - level) / 2
    values = [
        float(brentq(lambda d, p=p: _stagewise(design, look, z, d) - p, -40, 40, xtol=1e-10))
        for p in (0.5, tail, 1 - tail)
    ]
    return values[0], values[1], values[2]


def _stagewise(design: Design, look: int, z: float, drift: float) -> float:
    walk = Walk(design.information, drift)
    total = 0.0
    for i in range(look - 1):
        total += walk.above(float(design.upper[i]))
        low = -float(design.upper[i]) if design.sided == 2 else float(design.lower[i])
        walk.step(regions(low if design.sided == 2 or design.binding else -np.inf, float(design.upper[i])))
    return total + walk.above(z)

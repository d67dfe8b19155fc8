"""Sample size and power of means, rates and survival times, for one look or a group-sequential design.

Sizes are real numbers, so that nothing is hidden by rounding; round up per arm for a protocol. A group-sequential trial
needs the size of the trial with one look times the inflation factor of its design. ``ratio`` is n1 / n2, arm 1 being the
treated. Two rates after Farrington and Manning 1990 (doi:10.1002/sim.4780091208); events after Schoenfeld 1981
(doi:10.1093/biomet/68.1.316), Freedman 1982 (doi:10.1002/sim.4780010204) or Hsieh 1992 (doi:10.1002/sim.4780110603).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from respine.trial.analysis.rates import restricted_rates
from respine.trial.analysis.sequential.design import Design


@dataclass(frozen=True)
class Size:
    """Subjects (or events) of a trial: ``fixed`` with one look, ``maximum`` with all looks of the design, and as expected
    under the null hypothesis, half the effect and the effect."""

    fixed: float
    maximum: float
    expected_null: float
    expected_half: float
    expected: float


@dataclass(frozen=True)
class Power:
    """Power, probabilities of rejection and of stopping for futility at each look, and the expected size."""

    power: float
    reject: tuple[float, ...]
    futility: tuple[float, ...]
    expected: float


def size_means(
    effect: float,
    sd: float | tuple[float, float] = 1.0,
    power: float = 0.9,
    alpha: float = 0.025,
    sided: int = 1,
    *,
    ratio: float = 1.0,
    margin: float = 0.0,
    groups: int = 2,
    normal: bool = False,
    design: Design | None = None,
) -> Size:
    """Subjects (all arms) to find a difference of means, or a mean away from ``margin`` for ``groups=1``.

    By the t distribution (Satterthwaite's degrees of freedom where the standard deviations differ) unless ``normal``.
    """
    alpha, sided = _error(design, alpha, sided)

    def missing(n: float) -> float:
        return _power_means(n, effect - margin, sd, alpha, sided, ratio, groups, normal) - power

    return _sized(_least(missing, 2.0 * groups + 1e-3 if not normal else 1e-3), power, alpha, sided, design)


def power_means(
    n: float,
    effect: float,
    sd: float | tuple[float, float] = 1.0,
    alpha: float = 0.025,
    sided: int = 1,
    *,
    ratio: float = 1.0,
    margin: float = 0.0,
    groups: int = 2,
    normal: bool = False,
    design: Design | None = None,
    both_sides: bool = False,
) -> Power:
    """Power with ``n`` subjects in all arms together. ``both_sides`` also counts rejections in the wrong direction."""
    alpha, sided = _error(design, alpha, sided)
    value = _power_means(n, effect - margin, sd, alpha, sided, ratio, groups, normal)
    if design is None and both_sides and sided == 2:
        value += _power_means(n, margin - effect, sd, alpha, sided, ratio, groups, normal)
    return _powered(value, n, alpha, sided, design)


def _error(design: Design | None, alpha: float, sided: int) -> tuple[float, int]:
    return (design.alpha, design.sided) if design is not None else (alpha, sided)


def _power_means(
    n: float,
    effect: float,
    sd: float | tuple[float, float],
    alpha: float,
    sided: int,
    ratio: float,
    groups: int,
    normal: bool,
) -> float:
    from scipy import special, stats

    first, second = sd if isinstance(sd, tuple) else (sd, sd)
    if groups == 1:
        shift, df = effect * np.sqrt(n) / first, n - 1
    else:
        n2 = n / (1 + ratio)
        n1 = n - n2
        shift = effect / np.sqrt(first**2 / n1 + second**2 / n2)
        df = n - 2
        if first != second:
            u = (first**2 / n1) / (first**2 / n1 + second**2 / n2)
            df = 1 / (u**2 / (n1 - 1) + (1 - u) ** 2 / (n2 - 1))
    if normal:
        return float(special.ndtr(shift - special.ndtri(1 - alpha / sided)))
    return float(stats.nct.sf(stats.t.ppf(1 - alpha / sided, df), df, shift))


def size_rates(
    rate1: float,
    rate2: float,
    power: float = 0.9,
    alpha: float = 0.025,
    sided: int = 1,
    *,
    ratio: float = 1.0,
    margin: float = 0.0,
    risk_ratio: bool = False,
    design: Design | None = None,
) -> Size:
    """Subjects (both arms) to tell two rates apart, by the normal approximation.

    ``margin`` is the difference under the null hypothesis, or the ratio for ``risk_ratio`` (then 1 is none).
    """
    from scipy.special import ndtri

    alpha, sided = _error(design, alpha, sided)
    effect, null, alternative = _rates(rate1, rate2, ratio, margin, risk_ratio)
    z = float(ndtri(1 - alpha / sided)), float(ndtri(power))
    n1 = (z[0] * null + z[1] * alternative) ** 2 / effect**2
    return _sized(n1 * (1 + ratio) / ratio, power, alpha, sided, design)


def power_rates(
    n: float,
    rate1: float,
    rate2: float,
    alpha: float = 0.025,
    sided: int = 1,
    *,
    ratio: float = 1.0,
    margin: float = 0.0,
    risk_ratio: bool = False,
    design: Design | None = None,
) -> Power:
    """Power with ``n`` subjects in both arms together, for the direction of the effect."""
    from scipy.special import ndtr, ndtri

    alpha, sided = _error(design, alpha, sided)
    effect, null, alternative = _rates(rate1, rate2, ratio, margin, risk_ratio)
    n1 = n * ratio / (1 + ratio)
    value = float(ndtr((np.sqrt(n1) * abs(effect) - float(ndtri(1 - alpha / sided)) * null) / alternative))
    return _powered(value, n, alpha, sided, design)


def _rates(rate1: float, rate2: float, ratio: float, margin: float, risk_ratio: bool) -> tuple[float, float, float]:
    """Effect, and standard deviations of sqrt(n1) times its estimate under the null hypothesis and the alternative."""
    if risk_ratio:
        null_ratio = margin or 1.0
        r1, r2 = restricted_rates(rate1, rate2, ratio, null_ratio, risk_ratio=True)
        effect, slope = rate1 - null_ratio * rate2, null_ratio**2
    else:
        r1, r2 = restricted_rates(rate1, rate2, ratio, margin)
        effect, slope = rate1 - rate2 - margin, 1.0
    if effect == 0:
        raise ValueError("the rates differ by the margin, so there is nothing to find")
    null = float(np.sqrt(r1 * (1 - r1) + r2 * (1 - r2) * ratio * slope))
    alternative = float(np.sqrt(rate1 * (1 - rate1) + rate2 * (1 - rate2) * ratio * slope))
    return effect, null, alternative


def events(
    hazard_ratio: float,
    power: float = 0.9,
    alpha: float = 0.025,
    sided: int = 1,
    *,
    ratio: float = 1.0,
    margin: float = 1.0,
    method: str = "schoenfeld",
    design: Design | None = None,
) -> Size:
    """Events to find a hazard ratio by the log-rank test. ``margin`` is the ratio under the null hypothesis."""
    from scipy.special import ndtri

    alpha, sided = _error(design, alpha, sided)
    z = float(ndtri(1 - alpha / sided) + ndtri(power))
    fixed = z**2 / _event_effect(hazard_ratio, ratio, margin, method) ** 2
    return _sized(fixed, power, alpha, sided, design)


def power_events(
    number: float,
    hazard_ratio: float,
    alpha: float = 0.025,
    sided: int = 1,
    *,
    ratio: float = 1.0,
    margin: float = 1.0,
    method: str = "schoenfeld",
    design: Design | None = None,
) -> Power:
    """Power of the log-rank test with this number of events."""
    from scipy.special import ndtr, ndtri

    alpha, sided = _error(design, alpha, sided)
    shift = abs(_event_effect(hazard_ratio, ratio, margin, method)) * np.sqrt(number)
    return _powered(float(ndtr(shift - ndtri(1 - alpha / sided))), number, alpha, sided, design)


def _event_effect(hazard_ratio: float, ratio: float, margin: float, method: str) -> float:
    """Drift for each square root of an event."""
    if hazard_ratio <= 0 or hazard_ratio == margin:
        raise ValueError("the hazard ratio must be positive and differ from that of the null hypothesis")
    if method == "schoenfeld":
        return float(np.sqrt(ratio) / (1 + ratio) * np.log(hazard_ratio / margin))
    if margin != 1:
        raise ValueError("only Schoenfeld's formula is for a null hypothesis other than 1")
    if method == "freedman":
        return float(np.sqrt(ratio) * (hazard_ratio - 1) / (1 + ratio * hazard_ratio))
    if method == "hsieh":
        return float(2 * np.sqrt(ratio) / (1 + ratio) * (hazard_ratio - 1) / (hazard_ratio + 1))
    raise ValueError(f'there is no method "{method}"; there are schoenfeld, freedman and hsieh')


def event_probability(hazard: float, accrual: float, follow_up: float, dropout: float = 0.0) -> float:
    """Share of people with an event at the end, times of entry even over ``accrual``, constant hazards of event and dropout."""
    total = hazard + dropout
    if total == 0:
        return 0.0
    if accrual == 0:
        return float(hazard / total * -np.expm1(-total * follow_up))
    left = np.exp(-total * follow_up) * -np.expm1(-total * accrual) / (total * accrual)
    return float(hazard / total * (1 - left))


def size_survival(
    hazard_ratio: float,
    control_median: float,
    accrual: float,
    follow_up: float,
    power: float = 0.9,
    alpha: float = 0.025,
    sided: int = 1,
    *,
    ratio: float = 1.0,
    dropout: float = 0.0,
    method: str = "schoenfeld",
    design: Design | None = None,
) -> Size:
    """Subjects to see the events that a hazard ratio asks for, with exponential times and ``dropout`` as a hazard."""
    needed = events(hazard_ratio, power, alpha, sided, ratio=ratio, method=method, design=design)
    hazard = np.log(2) / control_median
    share = (
        ratio * event_probability(hazard * hazard_ratio, accrual, follow_up, dropout)
        + event_probability(hazard, accrual, follow_up, dropout)
    ) / (1 + ratio)
    return Size(needed.fixed / share, needed.maximum / share, np.nan, np.nan, np.nan)


def _least(missing: Callable[[float], float], low: float) -> float:
    """The least size whose power is enough."""
    from scipy.optimize import brentq

    high = max(4.0 * low, 8.0)
    while missing(high) < 0:
        high *= 2
        if high > 1e12:
            raise ValueError("no size gives this power: the effect is zero, or lies on the side of the null hypothesis")
    return float(brentq(missing, low, high, xtol=1e-10, rtol=1e-13)) if missing(low) < 0 else low


def _sized(fixed: float, power: float, alpha: float, sided: int, design: Design | None) -> Size:
    if design is None or design.looks == 1:
        return Size(fixed, fixed, fixed, fixed, fixed)
    drift = design.drift(power)
    most = fixed * (drift / design.fixed_drift(power)) ** 2
    expected = [most * design.expected_information(share * drift) for share in (0.0, 0.5, 1.0)]
    return Size(fixed, most, *expected)


def _powered(value: float, n: float, alpha: float, sided: int, design: Design | None) -> Power:
    """The power of a design whose trial with one look has the power ``value``."""
    from scipy.special import ndtri

    if design is None or design.looks == 1:
        return Power(value, (value,), (0.0,), n)
    drift = float(ndtri(1 - alpha / sided) + ndtri(value))
    leaving = design.stops(drift)
    futility = leaving.below[:-1] if design.sided == 1 else np.zeros(design.looks - 1)
    return Power(
        float(leaving.above.sum()), tuple(leaving.above.tolist()), (*futility.tolist(), 0.0),
        n * design.expected_information(drift),
    )  # fmt: skip

"""Group-sequential designs: boundaries of the usual families, their error rates, power and expected size.

One-sided designs reject above ``upper`` and, with futility, stop below ``lower``; two-sided ones are symmetric and reject
beyond ``upper`` in absolute value. Families: O'Brien and Fleming 1979 (doi:10.2307/2530245), Pocock 1977
(doi:10.1093/biomet/64.2.191), Wang and Tsiatis 1987 (doi:10.2307/2531959), Haybittle-Peto, Pampallona and Tsiatis 1994
(doi:10.1016/0378-3758(94)90187-2), and the spending functions of ``spending.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from respine.trial.analysis.arrays import Array
from respine.trial.analysis.sequential.spending import SPENDING, spent
from respine.trial.analysis.sequential.walk import Stops, Walk, regions, stops

FAMILIES = ("obrien-fleming", "pocock", "wang-tsiatis", "haybittle-peto", "pampallona-tsiatis", *SPENDING)
ALIASES = {
    "of": "obrien-fleming", "p": "pocock", "wt": "wang-tsiatis", "hp": "haybittle-peto", "pt": "pampallona-tsiatis",
    "asof": "lan-demets-obrien-fleming", "asp": "lan-demets-pocock", "askd": "kim-demets", "ashsd": "hwang-shih-decani",
    "asuser": "user-spending", "noearlyefficacy": "no-early-stop", "bsof": "lan-demets-obrien-fleming",
    "bsp": "lan-demets-pocock", "bskd": "kim-demets", "bshsd": "hwang-shih-decani", "bsuser": "user-spending",
}  # fmt: skip
NEVER = 20.0  # a bound that is not crossed


@dataclass(frozen=True)
class Design:
    """Boundaries on the scale of z at each look.

    ``information`` (K,) shares of the maximum, ending at 1; ``lower`` (K,) is -inf where there is no futility; the last
    lower bound equals the last upper one. ``futility`` tells whether the bounds of ``lower`` count as binding.
    """

    family: str
    information: Array
    alpha: float
    sided: int
    upper: Array
    lower: Array
    binding: bool
    beta: float | None = None
    """Type II error of a design with beta spending."""

    @property
    def looks(self) -> int:
        return len(self.information)

    @property
    def has_futility(self) -> bool:
        return self.sided == 1 and bool(np.isfinite(self.lower[:-1]).any())

    @property
    def alpha_spent(self) -> Array:
        """Cumulative type I error at each look (K,); futility counts only where it is binding."""
        if self.sided == 2:
            return np.cumsum(2 * stops(self.information, self.upper, -self.upper).above)
        lower = self.lower if self.binding else np.full(self.looks, -np.inf)
        return np.cumsum(stops(self.information, self.upper, lower).above)

    @property
    def nominal(self) -> Array:
        """One-sided p value that each look must go below (K,)."""
        from scipy.special import ndtr

        return np.asarray(ndtr(-self.upper))

    def stops(self, drift: float) -> Stops:
        """Probabilities of stopping at each look under a drift, the mean of the last z; futility bounds are followed."""
        lower = -self.upper if self.sided == 2 else self.lower
        return stops(self.information, self.upper, lower, drift=drift)

    def power(self, drift: float, either: bool = False) -> float:
        """P(reject); for two-sided designs in the direction of the drift, or in either."""
        stopped = self.stops(abs(drift))
        return float(stopped.above.sum() + (stopped.below.sum() if either and self.sided == 2 else 0.0))

    def drift(self, power: float) -> float:
        """The drift at which the design has this power."""
        from scipy.optimize import brentq

        return float(brentq(lambda d: self.power(d) - power, 1e-6, 15.0, xtol=1e-12))

    def fixed_drift(self, power: float) -> float:
        """The drift a design with a single look needs for this power."""
        from scipy.special import ndtri

        return float(ndtri(1 - self.alpha / self.sided) + ndtri(power))

    def inflation(self, power: float) -> float:
        """Maximum information relative to that of a design with a single look."""
        return (self.drift(power) / self.fixed_drift(power)) ** 2

    def expected_information(self, drift: float) -> float:
        """Expected share of the maximum information at the end of the trial."""
        stopped = self.stops(drift)
        leave = stopped.above + stopped.below
        leave[-1] = 1.0 - leave[:-1].sum()
        return float(self.information @ leave)


def design(
    family: str,
    information: Sequence[float] | int,
    alpha: float = 0.025,
    sided: int = 1,
    *,
    delta: float | None = None,
    gamma: float | None = None,
    user_alpha: Sequence[float] | None = None,
    haybittle_peto_bound: float = 3.0,
    futility: Sequence[float] | None = None,
    beta_spending: str | None = None,
    beta: float = 0.2,
    gamma_beta: float | None = None,
    user_beta: Sequence[float] | None = None,
    delta_futility: float | None = None,
    binding: bool = False,
) -> Design:
    """A group-sequential design.

    ``information``: shares at each look, ascending to 1, or a number of equally spaced looks. ``alpha`` is the type I error,
    of both sides together for ``sided=2``. ``delta`` is that of Wang-Tsiatis (0 O'Brien-Fleming, 0.5 Pocock) and of
    Pampallona-Tsiatis; ``gamma`` that of the spending function. Futility either by ``futility`` bounds on z (K - 1), or by
    ``beta_spending`` of ``beta``. Non-binding bounds leave the efficacy bounds as they are. Raises ValueError.
    """
    family = _family(family)
    t = _shares(information)
    if not 0 < alpha < 0.5 or sided not in (1, 2):
        raise ValueError("alpha must lie between 0 and 0.5, and sided be 1 or 2")
    k = len(t)
    if sided == 2 and (futility is not None or beta_spending is not None or family == "pampallona-tsiatis"):
        raise ValueError(
            "futility bounds and Pampallona-Tsiatis are for one-sided designs here; use sided=1 with half of alpha"
        )
    if family == "pampallona-tsiatis":
        shapes = (0.0 if delta_futility is None else delta_futility, 0.0 if delta is None else delta)
        return _pampallona_tsiatis(t, alpha, beta, shapes[0], shapes[1], binding)
    if beta_spending is not None:
        if family not in SPENDING:
            raise ValueError("beta spending goes with alpha spending, not with " + family)
        spend_alpha = spent(family, alpha, t, gamma, user_alpha)
        spend_beta = spent(_family(beta_spending), beta, t, gamma_beta, user_beta)
        return _beta_spending(family, t, alpha, beta, spend_alpha, spend_beta, binding)
    lower = np.full(k, -np.inf)
    if futility is not None:
        if len(futility) != k - 1:
            raise ValueError(f"futility needs {k - 1} bounds, one for each look but the last")
        lower[:-1] = futility
    floor = lower if binding else np.full(k, -np.inf)
    if family in SPENDING:
        spend = spent(family, alpha / sided, t, gamma, _halved(user_alpha, sided))
        upper = _by_spending(t, spend, sided, floor)
    else:
        upper = _by_shape(family, t, alpha, sided, floor, delta, haybittle_peto_bound)
    lower[-1] = upper[-1]
    if (lower[:-1] >= upper[:-1]).any():
        raise ValueError("a futility bound lies above the efficacy bound of its look")
    return Design(family, t, alpha, sided, upper, lower, binding and futility is not None)


def _family(name: str) -> str:
    known = ALIASES.get(name.lower().replace("-", ""), name)
    if known not in FAMILIES:
        raise ValueError(f'there is no boundary "{name}"; there are: {", ".join(FAMILIES)}')
    return known


def _shares(information: Sequence[float] | int) -> Array:
    t = (
        np.arange(1, information + 1) / information
        if isinstance(information, int)
        else np.asarray(information, dtype=float)
    )
    if t.ndim != 1 or len(t) == 0 or (np.diff(t) <= 0).any() or t[0] <= 0 or abs(t[-1] - 1) > 1e-6:
        raise ValueError("the information shares must ascend, start above 0 and end at 1")
    t = t.copy()
    t[-1] = 1.0
    return np.asarray(t)


def _halved(values: Sequence[float] | None, sided: int) -> Sequence[float] | None:
    return None if values is None else [v / sided for v in values]


def _root(f: Callable[[float], float], low: float, high: float) -> float:
    from scipy.optimize import brentq

    return float(brentq(f, low, high, xtol=1e-13, rtol=1e-14))


def _by_spending(t: Array, spend: Array, sided: int, floor: Array) -> Array:
    """Upper bounds whose crossing probabilities add up to the error spent on one side."""
    walk = Walk(t)
    upper = np.full(len(t), NEVER)
    for i, more in enumerate(np.diff(spend, prepend=0.0)):
        if more > 1e-300:
            upper[i] = _crossing(walk, more)
        if i + 1 < len(t):
            walk.step(regions(-upper[i] if sided == 2 else float(floor[i]), float(upper[i])))
    return upper


def _crossing(walk: Walk, probability: float) -> float:
    """The bound that is crossed with this probability at the next look; -NEVER where no more trials are left than that."""
    if walk.above(-NEVER) <= probability:
        return -NEVER
    return _root(lambda z: walk.above(z) - probability, -NEVER, NEVER)


def _by_shape(
    family: str, t: Array, alpha: float, sided: int, floor: Array, delta: float | None, constant: float
) -> Array:
    def bounds(c: float) -> Array:
        if family == "haybittle-peto":
            upper = np.full(len(t), constant)
            upper[-1] = c
            return upper
        return np.asarray(c * t ** (shape - 0.5))

    shape = {"obrien-fleming": 0.0, "pocock": 0.5}.get(family, delta if delta is not None else np.nan)
    if family == "wang-tsiatis" and delta is None:
        raise ValueError("Wang-Tsiatis boundaries need delta")

    def error(c: float) -> float:
        upper = bounds(c)
        lower = -upper if sided == 2 else floor
        return float(stops(t, upper, np.minimum(lower, upper)).above.sum()) - alpha / sided

    if family == "haybittle-peto" and len(t) > 1 and error(8.0) > 0:
        raise ValueError(f"the bound {constant:g} of the earlier looks uses up more than alpha")
    return bounds(_root(error, 0.05, 12.0))


def _beta_spending(
    family: str, t: Array, alpha: float, beta: float, spend_alpha: Array, spend_beta: Array, binding: bool
) -> Design:
    """Futility bounds that spend beta under the drift at which the last bounds of both kinds meet."""
    k = len(t)
    upper = _by_spending(t, spend_alpha, 1, np.full(k, -np.inf))

    def bounds(drift: float) -> tuple[Array, Array, float]:
        null, alternative = Walk(t), Walk(t, drift)
        up, low = upper.copy(), np.full(k, -np.inf)
        more_alpha, more_beta = np.diff(spend_alpha, prepend=0.0), np.diff(spend_beta, prepend=0.0)
        for i in range(k):
            if binding and more_alpha[i] > 1e-300:
                up[i] = _crossing(null, more_alpha[i])
            if more_beta[i] > 1e-300:
                enough = alternative.below(NEVER) > more_beta[i]
                low[i] = _root(lambda z, m=more_beta[i]: alternative.below(z) - m, -NEVER, NEVER) if enough else NEVER  # type: ignore[misc]
            if i + 1 < k:
                low[i] = min(low[i], up[i] - 1e-9)
                region = regions(float(low[i]), float(up[i]))
                null.step(region if binding else regions(-np.inf, float(up[i])))
                alternative.step(region)
        return up, low, float(low[-1] - up[-1])

    drift = _root(lambda d: bounds(d)[2], 1e-3, 12.0)
    up, low, _ = bounds(drift)
    low[-1] = up[-1]
    return Design(family, t, alpha, 1, up, low, binding, beta)


def _pampallona_tsiatis(t: Array, alpha: float, beta: float, delta0: float, delta1: float, binding: bool) -> Design:
    """Bounds c1 t^(delta1 - 1/2) and d sqrt(t) - c0 t^(delta0 - 1/2), which meet at the last look: d = c0 + c1."""

    def bounds(c0: float, c1: float) -> tuple[Array, Array]:
        upper = c1 * t ** (delta1 - 0.5)
        lower = (c0 + c1) * np.sqrt(t) - c0 * t ** (delta0 - 0.5)
        return np.asarray(upper), np.asarray(np.minimum(lower, upper))

    def upper_constant(c0: float) -> float:
        def error(c1: float) -> float:
            upper, lower = bounds(c0, c1)
            return float(stops(t, upper, lower if binding else np.full(len(t), -np.inf)).above.sum()) - alpha

        return _root(error, 0.05, 12.0)

    def missed(c0: float) -> float:
        c1 = upper_constant(c0)
        upper, lower = bounds(c0, c1)
        return 1.0 - float(stops(t, upper, lower, drift=c0 + c1).above.sum()) - beta

    c0 = _root(missed, 0.0, 8.0)
    upper, lower = bounds(c0, upper_constant(c0))
    return Design("pampallona-tsiatis", t, alpha, 1, upper, lower, binding, beta)

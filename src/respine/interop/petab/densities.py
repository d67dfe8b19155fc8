"""Log densities of measurements and priors, as PEtab defines them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

_LN_10 = math.log(10)
_ROOT_2PI = 0.5 * math.log(2 * math.pi)
TRANSFORMS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"lin": lambda x: x, "log": np.log, "log10": np.log10}


def measured(
    value: float, simulated: np.ndarray, sigma: np.ndarray, transform: str, kind: str
) -> tuple[np.ndarray, np.ndarray]:
    """Log density of a measurement and its residual over sigma, each (n,).

    With a transform g the error is that of g(measurement), and the density that of the measurement itself. Nothing that
    cannot be is turned into a number: a logarithm of what is not above zero gives NaN.
    """
    with np.errstate(all="ignore"):
        g = TRANSFORMS[transform]
        residual = (g(np.asarray(value)) - g(np.asarray(simulated))) / sigma
        jacobian = 0.0 if transform == "lin" else math.log(value) if value > 0 else math.nan
        jacobian += math.log(_LN_10) if transform == "log10" else 0.0
        if kind == "laplace":
            return -np.log(2 * sigma) - jacobian - np.abs(residual), residual
        return -_ROOT_2PI - np.log(sigma) - jacobian - residual**2 / 2, residual


@dataclass(frozen=True)
class Prior:
    """A prior on a parameter's value, cut to [low, high] and scaled up by what is cut off where ``truncate``."""

    kind: str
    parameters: tuple[float, ...]
    low: float = -math.inf
    high: float = math.inf
    truncate: bool = True

    def log_density(self, x: np.ndarray) -> np.ndarray:
        """(n,) for values (n,)."""
        law = _law(self.kind, self.parameters)
        with np.errstate(all="ignore"):
            inside = np.asarray(law.logpdf(x), float)
            if not self.truncate or (
                self.kind in ("uniform", "log-uniform") and not math.isfinite(self.low + self.high)
            ):
                return inside
            share = law.cdf(self.high) - (law.cdf(self.low) if math.isfinite(self.low) else 0.0)
            return np.where((x >= self.low) & (x <= self.high), inside - np.log(share), -np.inf)


KINDS = {
    "uniform": 2, "normal": 2, "laplace": 2, "log-normal": 2, "log-laplace": 2, "log-uniform": 2, "cauchy": 2,
    "gamma": 2, "chisquare": 1, "exponential": 1, "rayleigh": 1,
}  # fmt: skip
"""How many numbers each prior takes."""


def _law(kind: str, p: Sequence[float]):  # type: ignore[no-untyped-def]
    from scipy import stats

    laws: dict[str, Callable[[], object]] = {
        "uniform": lambda: stats.uniform(p[0], p[1] - p[0]),
        "normal": lambda: stats.norm(p[0], p[1]),
        "laplace": lambda: stats.laplace(p[0], p[1]),
        "log-normal": lambda: stats.lognorm(p[1], scale=math.exp(p[0])),
        "log-laplace": lambda: stats.loglaplace(1 / p[1], scale=math.exp(p[0])),
        "log-uniform": lambda: stats.loguniform(p[0], p[1]),
        "cauchy": lambda: stats.cauchy(p[0], p[1]),
        "gamma": lambda: stats.gamma(p[0], scale=p[1]),
        "chisquare": lambda: stats.chi2(p[0]),
        "exponential": lambda: stats.expon(scale=p[0]),
        "rayleigh": lambda: stats.rayleigh(scale=p[0]),
    }
    return laws[kind]()

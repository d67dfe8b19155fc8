"""How a covariate is spread: each distribution turns a subject's uniform number into a value."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, Field, PrivateAttr, model_validator

from respine.files import units
from respine.files.fields import Part, problem
from respine.population.random import inverse_normal, normal_probability


class Sourced(Part):
    """A value of the science with where it comes from."""

    source: str = ""
    status: Literal["literature", "derived", "calibrated", "assumed"] = "literature"
    note: str = ""
    unit: str = ""

    @model_validator(mode="after")
    def _reasoned(self) -> Sourced:
        if self.status == "assumed" and not (self.note or self.source):
            raise problem("An assumed value needs its reason.", 'Add "note: why this value".')
        if self.status != "assumed" and not self.source:
            raise problem("A value needs its source.", 'Add "source: key", or "status: assumed" with a note.')
        return self


LARGEST, SMALLEST = 1e100, 1e-100
ALIKE = 1e-9  # spreads of less than this share of the value leave everybody alike
MOST_LOG_SD = 5.0  # four of them are a factor of 500 million
LEAST_KEPT = 1e-6  # share of people that bounds must leave


def _check_size(**numbers: float | None) -> None:
    """Raise for numbers that arithmetic cannot square or divide by."""
    for name, number in numbers.items():
        if number is not None and number != 0 and not SMALLEST <= abs(number) <= LARGEST:
            raise problem(f"{name} is {number:g}: nothing is of that size.", "Correct the number or its unit.")


def _check_kept(kept: float) -> None:
    if kept < LEAST_KEPT:
        why = f"Between low and high lies only {100 * kept:.2g} % of the distribution."
        raise problem(why, 'Widen the bounds, or write "distribution: constant".')


class Constant(Sourced):
    """The same value for everybody."""

    distribution: Literal["constant"]
    value: float

    def values(self, u: np.ndarray) -> np.ndarray:
        """The value, one a subject."""
        return np.full(len(u), self.value)

    @property
    def typical(self) -> float:
        """The value."""
        return self.value

    @property
    def largest(self) -> float:
        """The value."""
        return self.value

    @property
    def smallest(self) -> float:
        """The value."""
        return self.value


class Normal(Sourced):
    """Normal, cut to ``low`` ... ``high``; ``mean`` and ``sd`` are those after the cut, as papers print them."""

    distribution: Literal["normal"]
    mean: float
    sd: Annotated[float, Field(gt=0)]
    low: float | None = None
    high: float | None = None
    _parent: tuple[float, float] = PrivateAttr((0.0, 1.0))

    @model_validator(mode="after")
    def _solve(self) -> Normal:
        low, high = self._bounds
        _check_size(mean=self.mean, sd=self.sd, low=self.low, high=self.high)
        if self.sd < ALIKE * abs(self.mean):
            why = f"An SD of {self.sd:g} leaves everybody alike."
            raise problem(why, f'Write "distribution: constant, value: {self.mean:g}", or a larger SD.')
        if not low < self.mean < high:
            raise problem(f"The mean {self.mean:g} is not between low and high.", "Correct mean, low or high.")
        self._parent = parent_of_truncated(self.mean, self.sd, low, high)
        mu, sigma = self._parent
        _check_kept(_inside((low - mu) / sigma, (high - mu) / sigma))
        return self

    @property
    def _bounds(self) -> tuple[float, float]:
        return (-math.inf if self.low is None else self.low, math.inf if self.high is None else self.high)

    def values(self, u: np.ndarray) -> np.ndarray:
        """One value a subject."""
        mu, sigma = self._parent
        low, high = self._bounds
        return truncated_normal(u, mu, sigma, low, high)

    @property
    def typical(self) -> float:
        """The mean."""
        return self.mean

    @property
    def largest(self) -> float:
        """``high``, or four standard deviations above the mean."""
        return self.mean + 4 * self.sd if self.high is None else self.high

    @property
    def smallest(self) -> float:
        """``low``, or four standard deviations below the mean."""
        return self.mean - 4 * self.sd if self.low is None else self.low


class LogNormal(Sourced):
    """Log-normal with ``median`` and the SD of the logarithm, cut to ``low`` ... ``high``."""

    distribution: Literal["lognormal"]
    median: Annotated[float, Field(gt=0)]
    log_sd: Annotated[float, Field(gt=0)]
    low: Annotated[float, Field(gt=0)] | None = None
    high: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _ordered(self) -> LogNormal:
        _check_size(median=self.median, log_sd=self.log_sd, low=self.low, high=self.high)
        if self.log_sd > MOST_LOG_SD:
            why = f"A log_sd of {self.log_sd:g} spreads people over a factor of more than {math.exp(4 * MOST_LOG_SD):.0g}."
            raise problem(why, f"Write the SD of the natural logarithm, {MOST_LOG_SD:g} at most (0.2 is about 20 %).")
        if self.log_sd < ALIKE:
            why = f"A log_sd of {self.log_sd:g} leaves everybody alike."
            raise problem(why, f'Write "distribution: constant, value: {self.median:g}", or a larger log_sd.')
        if not (self.low or 0) < self.median < (self.high or math.inf):
            raise problem(f"The median {self.median:g} is not between low and high.", "Correct median, low or high.")
        a = -math.inf if self.low is None else math.log(self.low / self.median) / self.log_sd
        b = math.inf if self.high is None else math.log(self.high / self.median) / self.log_sd
        _check_kept(_inside(a, b))
        return self

    def values(self, u: np.ndarray) -> np.ndarray:
        """One value a subject."""
        low = -math.inf if self.low is None else math.log(self.low)
        high = math.inf if self.high is None else math.log(self.high)
        values = np.exp(truncated_normal(u, math.log(self.median), self.log_sd, low, high))
        return np.clip(values, self.low or 0.0, self.high or math.inf)  # exp(log(x)) may round past a bound

    @property
    def typical(self) -> float:
        """The median."""
        return self.median

    @property
    def largest(self) -> float:
        """``high``, or four standard deviations of the logarithm above the median."""
        return self.median * math.exp(4 * self.log_sd) if self.high is None else self.high

    @property
    def smallest(self) -> float:
        """``low``, or four standard deviations of the logarithm below the median."""
        return self.median * math.exp(-4 * self.log_sd) if self.low is None else self.low


class HardyWeinberg(Sourced):
    """Genotype as half the number of minor alleles (0, 0.5, 1), in Hardy-Weinberg proportions."""

    distribution: Literal["hardy-weinberg"]
    allele_frequency: Annotated[float, Field(ge=0, le=1)]

    def values(self, u: np.ndarray) -> np.ndarray:
        """0 where no allele is the minor one, 0.5 for one, 1 for two."""
        q = self.allele_frequency
        return np.where(u < (1 - q) ** 2, 0.0, np.where(u < 1 - q * q, 0.5, 1.0))

    @property
    def typical(self) -> float:
        """The allele frequency."""
        return self.allele_frequency

    @property
    def largest(self) -> float:
        """Two alleles."""
        return 1.0


class Share(Sourced):
    """Words with their shares, such as ``{female: 0.63, male: 0.37}``; the shares add up to 1."""

    distribution: Literal["categories"]
    shares: Annotated[dict[str, Annotated[float, Field(ge=0, le=1)]], Field(min_length=1)]

    @model_validator(mode="after")
    def _sum(self) -> Share:
        total = sum(self.shares.values())
        if abs(total - 1) > 1e-6:
            raise problem(f"The shares add up to {total:g}, not to 1.", "Correct the shares.")
        return self

    def values(self, u: np.ndarray) -> np.ndarray:
        """One word a subject."""
        words = np.array(list(self.shares), dtype=object)
        edges = np.cumsum(list(self.shares.values()))[:-1]
        return words[np.searchsorted(edges, u, side="right")]


Continuous = Annotated[Constant | Normal | LogNormal | HardyWeinberg, Field(discriminator="distribution")]


class ByGroup(Part):
    """A distribution of its own for each word of another covariate (weight by sex)."""

    distribution: Literal["by"]
    by: str
    groups: Annotated[dict[str, Continuous], Field(min_length=1)]

    @property
    def typical(self) -> float:
        """Mean of the groups' typical values."""
        return float(np.mean([group.typical for group in self.groups.values()]))


Covariate = Annotated[
    Constant | Normal | LogNormal | HardyWeinberg | Share | ByGroup, Field(discriminator="distribution")
]


def truncated_normal(u: np.ndarray, mu: float | np.ndarray, sigma: Any, low: float, high: float) -> np.ndarray:
    """Quantiles of a normal(mu, sigma) cut to low ... high, for uniforms of any shape."""
    a, b = (np.asarray((bound - np.asarray(mu)) / sigma, float) for bound in (low, high))
    below, above = normal_probability(a), normal_probability(-b)
    # from the nearer tail, so that no digits are lost far out
    kept = np.where(
        a > 0, normal_probability(-a) - above, np.where(b < 0, normal_probability(b) - below, 1 - below - above)
    )
    from_low = inverse_normal(below + u * kept)
    from_high = -inverse_normal(above + (1 - u) * kept)
    z = np.where(from_low <= 0, from_low, from_high)
    return np.clip(mu + sigma * z, low, high)


def parent_of_truncated(mean: float, sd: float, low: float, high: float) -> tuple[float, float]:
    """Mean and SD of the normal that has this mean and SD once cut to low ... high. Raises PydanticCustomError."""
    if math.isinf(low) and math.isinf(high):
        return mean, sd
    if sd >= 0.99 * math.sqrt((mean - low) * (high - mean)) if math.isfinite(high - low) else False:
        raise problem(f"An SD of {sd:g} does not fit between low and high.", "Widen the bounds or lower the SD.")
    mu, log_sigma = mean, math.log(sd)
    step = 1e-6
    for _ in range(200):
        error = np.subtract(_moments(mu, math.exp(log_sigma), low, high), (mean, sd)) / sd
        if np.abs(error).max() < 1e-10:
            return mu, math.exp(log_sigma)
        by_mu = np.subtract(_moments(mu + step * sd, math.exp(log_sigma), low, high), (mean, sd)) / sd
        by_log = np.subtract(_moments(mu, math.exp(log_sigma + step), low, high), (mean, sd)) / sd
        jacobian = np.column_stack([(by_mu - error) / step, (by_log - error) / step])
        move = -np.linalg.lstsq(jacobian, error, rcond=None)[0]
        move *= min(1.0, 0.5 / max(np.abs(move).max(), 1e-300))
        mu, log_sigma = mu + float(move[0]) * sd, log_sigma + float(move[1])
        if not math.isfinite(mu) or log_sigma - math.log(sd) > 5:
            break
    raise problem(
        f"No normal cut to these bounds has mean {mean:g} and SD {sd:g}.", "Widen the bounds or lower the SD."
    )


def _inside(a: float, b: float) -> float:
    """Probability of a standard normal between a and b, from the nearer tail."""
    if a > 0:
        a, b = -b, -a
    return float(normal_probability(np.array(b)) - normal_probability(np.array(a)))


def _moments(mu: float, sigma: float, low: float, high: float) -> tuple[float, float]:
    a, b = (low - mu) / sigma, (high - mu) / sigma
    inside = _inside(a, b)
    if inside < 1e-12:
        return mu, 0.0
    density = [0.0 if math.isinf(x) else math.exp(-x * x / 2) / math.sqrt(2 * math.pi) for x in (a, b)]
    slope = (density[0] - density[1]) / inside
    spread = sum(s * x * f for s, x, f in zip((1, -1), (a, b), density, strict=True) if math.isfinite(x)) / inside
    return mu + sigma * slope, sigma * math.sqrt(max(1 + spread - slope * slope, 1e-12))


def _duration(value: object) -> Any:
    """A fixed time, or a distribution whose times are texts with units, in hours."""
    try:
        if not isinstance(value, dict):
            return {"distribution": "constant", "value": units.hours(value), "status": "assumed", "note": "as written"}
        timed = {"mean", "sd", "median", "low", "high", "value"}
        return {key: units.hours(item) if key in timed and item is not None else item for key, item in value.items()}
    except units.UnitError as error:
        raise problem(error.why, error.cure) from None


def _level(value: object) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return {"distribution": "constant", "value": value, "status": "assumed", "note": "as written"}
    return value


Spread = Annotated[Constant | Normal | LogNormal, Field(discriminator="distribution")]
HoursSpread = Annotated[Spread, BeforeValidator(_duration)]
LevelSpread = Annotated[Spread, BeforeValidator(_level)]

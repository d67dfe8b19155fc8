"""Draw people: covariates, then parameters that differ between people and are not known exactly."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from respine.errors import InputError, Problem
from respine.files.constants import Z90
from respine.model.system import Quantity, System
from respine.population.check import correlation_matrix
from respine.population.distributions import ByGroup, truncated_normal
from respine.population.posterior import Posterior
from respine.population.random import inverse_normal, normal_probability, normals, normals_of, uniforms_of
from respine.population.schema import Population

if TYPE_CHECKING:
    import pandas

DIMENSIONLESS = ("", "1", "dimensionless", "fraction")


@dataclass(frozen=True)
class People:
    """Some subjects of a population.

    ``covariates``: one row a subject, with ``subject`` first, and ``history_<input>`` and ``history_h`` of the run-in;
    ``parameters``: one row a subject, one column for every parameter that varies; ``draw``: the draw of the uncertain
    typical values each subject belongs to, ``(n,)``.
    """

    covariates: pandas.DataFrame
    parameters: pandas.DataFrame
    draw: np.ndarray

    def __len__(self) -> int:
        return len(self.draw)

    @property
    def values(self) -> dict[str, np.ndarray]:
        """The varying parameters as arrays, ``(n,)`` each, by name: the columns of ``parameters``."""
        if not len(self.parameters.columns):
            return {}
        return dict(zip(map(str, self.parameters.columns), self.parameters.to_numpy(float).T, strict=True))


def sample(
    population: Population,
    system: System,
    subjects: range | np.ndarray,
    seed: int,
    draw_parameters: bool = True,
    *,
    n_draws: int = 200,
    draw: np.ndarray | None = None,
    typical: Mapping[str, float] | None = None,
    covariates: Mapping[str, Any] | None = None,
    posterior: Posterior | None = None,
) -> People:
    """The people of a population with these numbers; the same whatever other subjects are drawn with them.

    ``typical`` replaces typical values (an arm's overrides) and takes their uncertainty away; ``covariates`` fixes
    covariates, one value for
    all (a genotype) or one a subject. With ``draw_parameters`` false every typical value is the table's; ``draw`` (n,) says
    which draw each subject belongs to, in place of turns among ``n_draws``. With a ``posterior`` a draw is one of its rows: all
    numbers that it holds come from there together, the others each from its own range. Raises InputError for a parameter row
    that contradicts itself, ValueError for subjects that do not ascend.
    """
    import pandas

    index = np.asarray(subjects, np.int64)
    if n_draws < 1 or (len(index) and index[0] < 0) or (np.diff(index) <= 0).any():
        raise ValueError(f"{subjects!r} with {n_draws} draws: subjects ascend from 0 on, draws are at least 1")
    given = {id: override.value for id, override in population.parameters.items()} | dict(typical or {})
    unknown = [id for id in given if id not in system.parameters]
    if unknown:
        raise ValueError(f"{system.name} has no parameter {', '.join(unknown)}")
    latent = _Latent(population, seed, index)
    people = _covariates(population, latent, dict(covariates or {}))
    # A trial of published size takes all its people from one draw, so that parameter uncertainty moves the whole trial.
    # Taking turns gives every draw the same number of people in any stretch of subjects.
    draw = index % n_draws if draw is None else np.asarray(draw, np.int64)
    n_draws = max(n_draws, int(draw.max(initial=0)) + 1)
    joint = _Joint(posterior, posterior.rows(seed, n_draws)[draw]) if posterior and draw_parameters else None
    values: dict[str, np.ndarray] = {}
    for id in system.parameters:
        quantity = system.quantities.get(id) or Quantity(id, "parameter", "", system.parameters[id])
        fed = people.get(id)
        if fed is not None and fed.dtype != object:
            values[id] = fed.astype(float)
            continue
        column = joint.parameter(quantity, latent) if joint is not None and id not in given else None
        if column is None:
            column = _parameter(quantity, system, given, latent, draw, n_draws, seed, draw_parameters)
        if column is not None:
            values[id] = column
    table = np.empty((len(values), len(index)))  # one block, which a frame takes as it is
    for row, column in zip(table, values.values(), strict=True):
        row[:] = column
    parameters = pandas.DataFrame(table.T, columns=list(values), copy=False)
    return People(pandas.DataFrame({"subject": index} | people), parameters, draw)


@dataclass(frozen=True)
class _Joint:
    """The joint posterior and the row of it that each subject belongs to, ``(n,)``."""

    posterior: Posterior
    row: np.ndarray

    def parameter(self, quantity: Quantity, latent: _Latent) -> np.ndarray | None:
        """The column of one parameter; None where the posterior does not hold it, or held it before it was changed."""
        low, high = (quantity.value if edge is None else edge for edge in (quantity.low, quantity.high))
        centre = self.posterior.column(quantity.file, quantity.id, (quantity.value, low, high))
        spread = self.posterior.column(quantity.file, quantity.id, (quantity.variability,) * 3, "variability")
        if centre is None:
            return None
        if spread is None and quantity.variability == 0:
            return centre[self.row]
        width = quantity.variability if spread is None else spread[self.row]
        return vary(quantity, centre[self.row], latent.normal(quantity.id), width)


class _Latent:
    """Standard normal numbers by name, correlated where the population says so."""

    def __init__(self, population: Population, seed: int, subjects: np.ndarray) -> None:
        self.seed, self.subjects = seed, subjects
        self.names, matrix = correlation_matrix(population.correlations)
        self.factor = np.linalg.cholesky(matrix) if self.names else matrix

    def normal(self, name: str) -> np.ndarray:
        """One number a subject."""
        if name not in self.names:
            return normals_of(self.seed, f"person:{name}", self.subjects)[:, 0]
        row = self.factor[self.names.index(name)]
        parts = zip(row, self.names, strict=True)
        # one after the other: a matrix product would round differently for batches of different size
        total = np.zeros(len(self.subjects))
        for weight, other in parts:
            if weight != 0:
                total += weight * normals_of(self.seed, f"person:{other}", self.subjects)[:, 0]
        return total

    def uniform(self, name: str) -> np.ndarray:
        """One number a subject, in (0, 1)."""
        if name not in self.names:
            return uniforms_of(self.seed, f"person:{name}", self.subjects)[:, 0]
        return np.clip(normal_probability(self.normal(name)), 2.0**-54, 1 - 2.0**-53)


def _covariates(population: Population, latent: _Latent, fixed: dict[str, Any]) -> dict[str, np.ndarray]:
    n = len(latent.subjects)
    result: dict[str, np.ndarray] = {}
    grouped = {name: covariate for name, covariate in population.covariates.items() if isinstance(covariate, ByGroup)}
    for name, covariate in population.covariates.items():
        if name in fixed:
            result[name] = _for_all(fixed[name], n)
        elif not isinstance(covariate, ByGroup):
            result[name] = covariate.values(latent.uniform(name))
    for name, covariate in grouped.items():
        if name not in fixed:
            u = latent.uniform(name)
            column = np.full(n, math.nan)
            for word, group in covariate.groups.items():
                where = result[covariate.by] == word
                column[where] = group.values(u[where])
            result[name] = column
    for name in fixed:  # a covariate the population does not have
        if name not in result:
            result[name] = _for_all(fixed[name], n)
    result = {name: result[name] for name in [*population.covariates, *fixed] if name in result}
    for i, phase in enumerate(population.history):
        suffix = "" if i == 0 else f"_{i + 1}"
        result[f"history_h{suffix}"] = phase.lasts.values(latent.uniform(f"history_h{suffix}"))
        for input, level in phase.inputs.items():
            result[f"history_{input}{suffix}"] = level.values(latent.uniform(f"history_{input}{suffix}"))
    return result


def _for_all(value: Any, n: int) -> np.ndarray:
    """A fixed covariate, one value or one a subject, ``(n,)``."""
    if isinstance(value, np.ndarray):
        return value
    return np.full(n, value, dtype=object if isinstance(value, str) else float)


def _parameter(
    quantity: Quantity,
    system: System,
    given: Mapping[str, float],
    latent: _Latent,
    draw: np.ndarray,
    n_draws: int,
    seed: int,
    draw_parameters: bool,
) -> np.ndarray | None:
    """The column of one parameter, or None where everybody has the model's value."""
    id = quantity.id
    value = given.get(id, system.parameters[id])
    uncertain = draw_parameters and id not in given and _has_belief(quantity, value)
    if not uncertain and id not in given and quantity.variability == 0:
        return None
    centre = np.full(len(draw), float(value))
    if uncertain:
        centre = belief(quantity, value, _of_draws(seed, f"typical:{id}", n_draws))[draw]
    if quantity.variability == 0:
        return centre
    return vary(quantity, centre, latent.normal(id))


@lru_cache(maxsize=4096)
def _of_draws(seed: int, purpose: str, n_draws: int) -> np.ndarray:
    """One standard normal number a draw, ``(n_draws,)``: the same for every batch of people."""
    numbers = normals(seed, purpose, 0, n_draws)[:, 0]
    numbers.flags.writeable = False
    return numbers


def _has_belief(quantity: Quantity, value: float) -> bool:
    low, high = quantity.low, quantity.high
    if low is None or high is None or low == high:
        return False
    if not low <= value <= high:
        _contradiction(quantity, f"The value {value:g} lies outside its own bounds {low:g} to {high:g}.")
    return True


def _contradiction(quantity: Quantity, why: str) -> None:
    where = f"{quantity.file or quantity.id}:{quantity.line or 1}"
    raise InputError(Problem(where, quantity.id, f"{quantity.value}", why, "Correct the row of the parameter table."))


def is_share(quantity: Quantity, value: float) -> bool:
    if quantity.distribution == "logitnormal":
        return True
    bounds = (value, quantity.low or 0.0, quantity.high or 0.0)
    return quantity.unit in DIMENSIONLESS and all(0 < bound < 1 for bound in bounds)


def belief(quantity: Quantity, value: float, z: np.ndarray) -> np.ndarray:
    """Typical values one may believe in, one for each ``z``: median ``value``, 5 % below ``low``, 5 % above ``high``.

    On the logit scale for shares, on the log scale where both bounds are positive, else normal; each side has its own
    width. A value that cannot be negative (``low`` >= 0) stays at or above zero.
    """
    low, high = quantity.low, quantity.high
    assert low is not None and high is not None
    if is_share(quantity, value) and low > 0 and high < 1:
        return _expit(_two_sided(_logit(value), _logit(low), _logit(high), z))
    if low > 0:
        return np.exp(_two_sided(math.log(value), math.log(low), math.log(high), z))
    if value == 0 and low == 0:
        return high * np.maximum(z, 0) / Z90  # half of the belief is on none at all
    result = _two_sided(value, low, high, z)
    return np.maximum(result, 0.0) if low >= 0 else result


def _two_sided(middle: float, low: float, high: float, z: np.ndarray) -> np.ndarray:
    return middle + np.where(z < 0, middle - low, high - middle) * z / Z90


def vary(quantity: Quantity, centre: np.ndarray, eta: np.ndarray, spread: Any = None) -> np.ndarray:
    """Values of people around their typical values ``centre``, for standard normal ``eta``, both ``(n,)``.

    ``spread`` stands in for the quantity's variability, a number or ``(n,)``.

    ``lognormal``: ``centre * exp(omega * eta)`` with ``omega**2 = ln(1 + CV**2)``. ``normal``: ``centre + SD * eta``,
    cut at zero where the parameter cannot be negative. ``logitnormal``: SD on the logit scale. Raises InputError for
    any other distribution.
    """
    spread = quantity.variability if spread is None else spread
    if quantity.distribution == "lognormal":
        return centre * np.exp(np.sqrt(np.log1p(np.square(spread))) * eta)
    if quantity.distribution == "logitnormal":
        if not np.all((centre > 0) & (centre < 1)):
            _contradiction(quantity, "A share that varies on the logit scale must lie between 0 and 1.")
        return _expit(_logit(centre) + spread * eta)
    if quantity.distribution == "normal":
        positive = (quantity.low is not None and quantity.low >= 0) or (
            quantity.low is None and bool(np.all(centre > 0))
        )
        if positive:
            return truncated_normal(normal_probability(eta), centre, spread, 0.0, math.inf)
        return centre + spread * eta
    _contradiction(quantity, f'A variability of {spread:g} needs a distribution; "{quantity.distribution}" has none.')
    raise AssertionError


def _logit(p: Any) -> Any:
    return np.log(p) - np.log1p(-np.asarray(p))


def _expit(x: np.ndarray) -> np.ndarray:
    inside = np.where(
        x < 0, np.exp(np.minimum(x, 0)) / (1 + np.exp(np.minimum(x, 0))), 1 / (1 + np.exp(-np.maximum(x, 0)))
    )
    return np.clip(inside, 2.0**-1000, 1 - 2.0**-53)  # inside (0, 1) for any belief, however wide


__all__ = ["People", "inverse_normal", "sample"]

"""One patient: what a few measurements say of their parameters, given the population; forecasts with intervals.
Research only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from respine.fit.population.marginal import Marginal
from respine.fit.population.objective import Objective
from respine.fit.population.problem import PopulationProblem

if TYPE_CHECKING:
    import pandas as pd

    from respine.fit.population.fitted import Fit


@dataclass(frozen=True)
class Patients:
    """Empirical Bayes estimates of new subjects. ``effects``: one row a subject as in `Fit.random_effects`;
    ``individual`` their parameters at the mode; ``forecast``: one row a record with PRED, IPRED, and the median and
    limits of what is predicted.
    """

    effects: pd.DataFrame
    individual: pd.DataFrame
    forecast: pd.DataFrame


def patients(fit: Fit, data: Any, *, samples: int = 1000, interval: float = 0.9, seed: int = 1) -> Patients:
    """Estimates and forecasts for ``data`` (a file or DataFrame with the columns of the fit's data) at the fit's
    estimates.

    Records without an observation (MDV 1) are forecast. Intervals come from draws of the posterior by importance
    sampling (without residual error). Raises InputError for data that do not suit the problem.
    """
    from respine.fit.population.fitted import at_point, evaluate

    samples += samples % 2  # they come in pairs
    problem = at_point(new_data(fit.problem, data), fit.point)
    evaluated = evaluate(problem, fit.method if fit.method in ("foce", "focei", "laplace", "fo") else "focei")
    objective = evaluated.optimum.objective
    low, high, middle = _limits(objective, evaluated, samples, interval, seed)
    zero = np.zeros((problem.data.n_subjects, objective.d.n_random))
    pred = _at_all(objective, fit.point.fixed, zero)
    ipred = _at_all(objective, fit.point.fixed, evaluated.optimum.value.random)
    import pandas as pd

    d = problem.data
    ids, missing = np.repeat(d.labels, d.last - d.first), (~d.observed).astype(int)
    frame = pd.DataFrame({"ID": ids, "TIME": d.time, "DV": d.dv, "MDV": missing,
                          "PRED": pred, "IPRED": ipred, "median": middle, "low": low, "high": high})  # fmt: skip
    return Patients(evaluated.random_effects, evaluated.individual, frame)


def new_data(problem: PopulationProblem, data: Any) -> PopulationProblem:
    """The problem with other subjects. Raises InputError."""
    from respine.fit.population.read import other_data

    return other_data(problem, data)


def _at_all(
    objective: Objective, fixed: np.ndarray, random: np.ndarray, subjects: np.ndarray | None = None
) -> np.ndarray:
    """(n_records,) predictions on the natural scale at every record of every subject, one lane each."""
    own = objective.subjects if subjects is None else subjects
    out = np.full(objective.problem.data.n_records, np.nan)
    for piece in objective.predictor.predict(own, fixed, random, every=True).pieces:
        out[piece.record] = piece.ipred.value
    return out


def _limits(
    objective: Objective, fitted: Fit, samples: int, interval: float, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weighted quantiles of predictions over draws of the posterior, by record."""
    problem, q = objective.problem, objective.d.n_random
    n = problem.data.n_records
    if q == 0:
        same = _at_all(objective, fitted.point.fixed, np.zeros((problem.data.n_subjects, 0)))
        return same, same.copy(), same.copy()
    sampler = Marginal(problem, "imp", predictor=objective.predictor, samples=samples, seed=seed)
    random, weight = sampler.posterior(fitted.point)
    values = np.full((samples, n), np.nan)
    size = max(1, 20_000 // problem.data.n_subjects)
    for first in range(0, samples, size):
        chosen = np.arange(first, min(first + size, samples))
        lanes = np.tile(objective.subjects, len(chosen))
        effects = np.concatenate([random[:, k] for k in chosen])
        for piece in objective.predictor.predict(lanes, fitted.point.fixed, effects, every=True).pieces:
            values[chosen[piece.lane // problem.data.n_subjects], piece.record] = piece.ipred.value
    out = np.full((3, n), np.nan)
    for r in range(n):
        order = np.argsort(values[:, r])
        total = np.cumsum(weight[problem.data.subject[r], order])
        for k, p in enumerate((0.5 - interval / 2, 0.5 + interval / 2, 0.5)):
            out[k, r] = values[order[min(int(np.searchsorted(total, p)), samples - 1)], r]
    return out[0], out[1], out[2]

"""Visual predictive checks: percentiles of the data beside those of simulated data, by time, also prediction
corrected.

Bergstrand et al. 2011 (doi 10.1208/s12248-011-9255-z). Data below a limit of quantification keep their rank in the
percentiles and have a panel of their own: the share below the limit, observed and simulated.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from respine.fit.population.conditional import censored
from respine.fit.population.simulate import simulate

if TYPE_CHECKING:
    import pandas as pd

    from respine.fit.population.fitted import Fit

QUANTILES = (0.05, 0.5, 0.95)
MOST_BINS = 12


def vpc(
    fit: Fit,
    *,
    replicates: int = 500,
    seed: int | None = None,
    bins: Sequence[float] | int | None = None,
    quantiles: Sequence[float] = QUANTILES,
    corrected: bool = False,
    interval: float = 0.9,
    stratify: str | None = None,
) -> pd.DataFrame:
    """One row a bin, observation, stratum and quantile: ``observation, stratum, bin, time, n, quantile, observed,
    median, low, high``.

    ``bins``: edges, a number of bins, or None for the times of the design; ``corrected`` by the prediction (pcVPC);
    ``stratify`` by a column. ``median, low, high``: of the quantile over simulated data sets. The quantile ``"below
    limit"`` is the share of data below the limit. Raises ValueError for an unknown column.
    """
    import pandas as pd

    objective, problem = fit.optimum.objective, fit.problem
    data = problem.data
    simulated = simulate(objective, fit.point, replicates, problem.estimation.seed if seed is None else seed)
    zero = np.zeros((data.n_subjects, objective.d.n_random))
    pieces = objective.predictor.predict(objective.subjects, fit.point.fixed, zero).pieces
    rows = []
    low_q, high_q = 0.5 - interval / 2, 0.5 + interval / 2
    for piece in pieces:
        if piece.log_likelihood is not None:
            continue
        labels = _strata(fit, stratify, piece.record)
        below = censored(problem, piece)
        limits = _limits(fit, piece.record, below)
        for stratum in sorted(set(labels)):
            in_stratum = np.array([label == stratum for label in labels])
            for number, (time, chosen) in enumerate(_bins(data.time[piece.record], in_stratum, bins)):
                records = piece.record[chosen]
                observed = np.where(below[chosen], -np.inf, data.dv[records])
                sample = simulated[:, records]
                known = np.isfinite(sample).all(axis=1)
                sample, limit = sample[known], limits[chosen]
                share = None
                if np.isfinite(limit).any():
                    hidden = sample < limit
                    share = hidden.mean(axis=1)
                    sample = np.where(hidden, -np.inf, sample)
                if corrected:
                    typical = piece.ipred.value[chosen]
                    with np.errstate(all="ignore"):
                        factor = np.median(typical) / typical
                    observed, sample = observed * factor, sample * factor
                base = {
                    "observation": piece.model.name,
                    "stratum": stratum,
                    "bin": number,
                    "time": time,
                    "n": len(records),
                }
                for q in quantiles:
                    seen = _quantile(observed[None], q)[0]
                    spread = _quantile(sample, q)
                    rows.append({**base, "quantile": f"{q:g}", "observed": seen, "median": _quantile(spread[None], 0.5)[0],
                                 "low": _quantile(spread[None], low_q)[0],
                                 "high": _quantile(spread[None], high_q)[0]})  # fmt: skip
                if share is not None:
                    rows.append({**base, "quantile": "below limit", "observed": float(below[chosen].mean()),
                                 "median": float(np.median(share)), "low": float(np.quantile(share, low_q)),
                                 "high": float(np.quantile(share, high_q))})  # fmt: skip
    return pd.DataFrame(rows)


def _quantile(values: np.ndarray, q: float) -> np.ndarray:
    """Along the last axis; -inf (below the limit) keeps its rank, and a quantile that falls there is NaN."""
    ordered = np.sort(values, axis=-1)
    place = q * (ordered.shape[-1] - 1)
    low, high = int(np.floor(place)), int(np.ceil(place))
    with np.errstate(invalid="ignore"):
        quantile = (
            ordered[..., low] + (place - low) * (ordered[..., high] - ordered[..., low])
            if high > low
            else ordered[..., low]
        )
    return np.where(np.isfinite(quantile), quantile, np.nan)


def _strata(fit: Fit, column: str | None, records: np.ndarray) -> list[str]:
    if column is None:
        return [""] * len(records)
    table = fit.problem.data.table
    if column not in table.names:
        raise ValueError(f'the data have no column "{column}"; there are {", ".join(table.names)}')
    cells = table.texts[column]
    return [f"{column} {cells[r]}" for r in records]


def _limits(fit: Fit, records: np.ndarray, below: np.ndarray) -> np.ndarray:
    """The limit that holds for each record: its own where it is censored, else the nearest of its kind; NaN without
    any.
    """
    if not below.any():
        return np.full(len(records), np.nan)
    data = fit.problem.data
    known = data.dv[records][below]
    return np.where(below, data.dv[records], np.max(known))


def _bins(
    times: np.ndarray, in_stratum: np.ndarray, bins: Sequence[float] | int | None
) -> list[tuple[float, np.ndarray]]:
    """(median time, rows) of each bin that has data."""
    own = times[in_stratum]
    distinct = np.unique(own)
    if bins is None and len(distinct) <= MOST_BINS:
        edges = np.concatenate([[-np.inf], (distinct[1:] + distinct[:-1]) / 2, [np.inf]])
    elif bins is None or isinstance(bins, int):
        count = bins if isinstance(bins, int) else min(MOST_BINS, max(3, len(own) // 15))
        inner = np.unique(np.quantile(own, np.linspace(0, 1, count + 1)[1:-1]))
        edges = np.concatenate([[-np.inf], inner, [np.inf]])
    else:
        edges = np.asarray(bins, float)
    place = np.searchsorted(edges, times, side="right") - 1
    chosen = []
    for k in range(len(edges) - 1):
        rows = np.flatnonzero(in_stratum & (place == k))
        if len(rows):
            chosen.append((float(np.median(times[rows])), rows))
    return chosen

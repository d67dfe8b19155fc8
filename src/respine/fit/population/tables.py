"""The diagnostic table of a fit: predictions and residuals of every kind at every record.

Definitions are NONMEM's: PRED at random effects 0, IPRED at the modes; RES = DV - PRED, IRES = DV - IPRED, IWRES =
IRES / SD. WRES and CWRES are residuals of the model linearised at 0 (Wang 2007) and at the modes (Hooker et al. 2007,
doi 10.1007/s11095-007-9361-x), made independent by the inverse symmetric square root of the subject's covariance. The
residual variances in it are, for CWRES, those at the modes; for WRES those at random effects 0, with interaction
their expectation over linearised random effects. NPDE (Brendel et al. 2006, doi 10.1007/s11095-006-9067-5) come from
simulated data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from respine.fit.population.conditional import censored
from respine.fit.population.dual import evaluate
from respine.fit.population.objective import Objective, Point
from respine.fit.population.observation import PREDICTION
from respine.fit.population.prediction import Piece
from respine.fit.population.problem import PopulationProblem
from respine.fit.population.simulate import simulate

if TYPE_CHECKING:
    import pandas as pd

    from respine.fit.population.fitted import Fit

COLUMNS = ["ID", "TIME", "DV", "MDV", "OBS", "PRED", "IPRED", "RES", "WRES", "CWRES", "IRES", "IWRES", "NPDE"]


def table(fit: Fit, *, replicates: int = 1000, seed: int | None = None) -> pd.DataFrame:
    """One row a record of the data. ``replicates`` of NPDE, 0 to leave them out. Residuals are NaN (or 0 with MDV 1)
    where there is no observation, or one that is censored or no measurement.
    """
    import pandas as pd

    objective, point = fit.optimum.objective, fit.point
    problem = fit.problem
    data, n = problem.data, problem.data.n_subjects
    at_zero = _predictions(objective, point, np.zeros((n, objective.d.n_random)))
    at_mode = _predictions(objective, point, fit.optimum.value.random)
    values = {name: np.full(data.n_records, np.nan) for name in COLUMNS[5:]}
    observation = np.full(data.n_records, "", object)
    for pieces, name in ((at_zero, "PRED"), (at_mode, "IPRED")):
        for piece in pieces:
            values[name][piece.record] = piece.ipred.value
            if name == "IPRED":
                of_model = np.isin(piece.record, problem.rows[piece.model.name])
                observation[piece.record[of_model]] = piece.model.name
    measured = _measured(problem, at_mode)
    for piece in at_mode:
        if piece.log_likelihood is None:
            values["IRES"][piece.record] = data.dv[piece.record] - piece.ipred.value
            with np.errstate(all="ignore"):
                weighted = (piece.datum.value - piece.mean.value) / np.sqrt(piece.variance.value)
            values["IWRES"][piece.record] = weighted
    values["RES"] = data.dv - values["PRED"]
    omega = objective.blocks.whole(point.blocks) if objective.d.n_random else np.zeros((0, 0))
    expected = _expected(at_zero, omega, data.n_records) if objective.way.interaction else None
    values["WRES"] = _decorrelated(objective, at_zero, omega, None, measured, expected)
    values["CWRES"] = _decorrelated(objective, at_mode, omega, fit.optimum.value.random, measured)
    if replicates:
        values["NPDE"] = npde(
            objective, point, replicates, fit.problem.estimation.seed if seed is None else seed, measured
        )
    for name in ("RES", "IRES", "IWRES"):
        values[name] = np.where(measured, values[name], np.nan)
    frame = pd.DataFrame({"ID": np.repeat(data.labels, data.last - data.first), "TIME": data.time, "DV": data.dv,
                          "MDV": (~data.observed).astype(int), "OBS": observation, **values})  # fmt: skip
    return frame[COLUMNS]


def _predictions(objective: Objective, point: Point, random: np.ndarray) -> list[Piece]:
    want = "random" if objective.d.n_random else "nothing"
    predicted = objective.predictor.predict(objective.subjects, point.fixed, random, want, every=True)
    return list(predicted.pieces)


def _measured(problem: PopulationProblem, pieces: list[Piece]) -> np.ndarray:
    """(n_records,) records with a measurement that is not censored."""
    out = np.zeros(problem.data.n_records, bool)
    for piece in pieces:
        if piece.log_likelihood is None and piece.observed:
            out[piece.record] = ~censored(problem, piece)
    return out


def _expected(pieces: list[Piece], omega: np.ndarray, n_records: int) -> np.ndarray:
    """(n_records,) what residual variances gain when the weights of residual effects move with the random effects."""
    q, out = len(omega), np.zeros(n_records)
    for piece in pieces:
        values = {**piece.values, PREDICTION: piece.ipred}
        for factor, first, second in piece.model.parts:
            a, b = (evaluate(weight, values).slope for weight in (first, second))
            if a is not None and b is not None:
                moved = np.einsum("ir,ij,jr->r", _wide(a[:q], piece), omega, _wide(b[:q], piece))
                out[piece.record] += evaluate(factor, values).value * moved
    return out


def _wide(slope: np.ndarray, piece: Piece) -> np.ndarray:
    return np.broadcast_to(slope, (len(slope), len(piece.record)))


def _decorrelated(
    objective: Objective,
    pieces: list[Piece],
    omega: np.ndarray,
    modes: np.ndarray | None,
    measured: np.ndarray,
    more: np.ndarray | None = None,
) -> np.ndarray:
    """Residuals of the linearised model, by record; ``modes``: where it is linearised (None: at 0); ``more`` variance
    by record.
    """
    data, q = objective.problem.data, objective.d.n_random
    n = data.n_records
    away, variance, slope = np.full(n, np.nan), np.full(n, np.nan), np.zeros((n, q))
    for piece in pieces:
        away[piece.record], variance[piece.record] = piece.datum.value - piece.mean.value, piece.variance.value
        if piece.mean.slope is not None:
            slope[piece.record] = piece.mean.slope[:q].T
    variance = variance if more is None else variance + more
    out = np.full(n, np.nan)
    for s in range(data.n_subjects):
        rows = np.arange(data.first[s], data.last[s])[measured[data.records(s)]]
        if not len(rows):
            continue
        f = slope[rows]
        residual = away[rows] + (f @ modes[s] if modes is not None else 0.0)
        out[rows] = _half(f @ omega @ f.T + np.diag(variance[rows])) @ residual
    return out


def _half(covariance: np.ndarray) -> np.ndarray:
    """The inverse symmetric square root; NaN where the matrix is none."""
    if not np.isfinite(covariance).all():
        return np.full_like(covariance, np.nan)
    values, vectors = np.linalg.eigh(covariance)
    if not values[0] > 0:
        return np.full_like(covariance, np.nan)
    return (vectors / np.sqrt(values)) @ vectors.T


def npde(objective: Objective, point: Point, replicates: int, seed: int, measured: np.ndarray) -> np.ndarray:
    """(n_records,) normalised prediction distribution errors; standard normal under the model."""
    from respine.population.random import inverse_normal

    simulated = simulate(objective, point, replicates, seed)
    data, out = objective.problem.data, np.full(objective.problem.data.n_records, np.nan)
    for s in range(data.n_subjects):
        rows = np.arange(data.first[s], data.last[s])[measured[data.records(s)]]
        sample = simulated[:, rows]
        sample = sample[np.isfinite(sample).all(axis=1)]
        if not len(rows) or len(sample) <= len(rows):
            continue
        mean = sample.mean(axis=0)
        covariance = np.cov(sample, rowvar=False).reshape(len(rows), len(rows))
        values, _vectors = np.linalg.eigh(covariance)
        if not values[0] > 1e-12 * max(float(values[-1]), 1e-300):
            independent = np.diag(1.0 / np.sqrt(np.maximum(np.diag(covariance), 1e-300)))
        else:
            independent = np.linalg.inv(np.linalg.cholesky(covariance))
        data_part, sample_part = independent @ (data.dv[rows] - mean), (sample - mean) @ independent.T
        share = np.mean(sample_part < data_part, axis=0)
        out[rows] = inverse_normal(np.clip(share, 0.5 / len(sample), 1 - 0.5 / len(sample)))
    return out

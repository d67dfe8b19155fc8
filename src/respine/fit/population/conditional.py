"""-2 log p(data | random effects) of lanes, its derivatives, and the curvature the first-order methods use.

As in NONMEM nothing is added for n log 2 pi: a normal datum y with mean f and variance v counts log v + (y - f)^2 /
v. Data below a limit of quantification count as Beal's M3 and M4 say (J Pharmacokinet Pharmacodyn 28, 2001), without
constant either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from respine.fit.population.dual import UNARY, Dual, add, choose, div, evaluate, mul, sub
from respine.fit.population.observation import DATUM
from respine.fit.population.prediction import Piece, Prediction
from respine.fit.population.problem import PopulationProblem


@dataclass(frozen=True)
class Frozen:
    """Residual variances that do not follow the random effects (no INTERACTION): by record, with slopes by fixed
    effects (M, n).
    """

    variance: np.ndarray
    slope: np.ndarray | None


@dataclass(frozen=True)
class Rows:
    """What the first-order methods need of the normal data of one part: everything by row, slopes (k, n_rows)."""

    lane: np.ndarray
    residual: np.ndarray
    variance: np.ndarray
    mean_slope: np.ndarray
    variance_slope: np.ndarray


@dataclass(frozen=True)
class Conditional:
    """``value`` (n_lanes,) -2 log p(y | random); ``slope`` (k, n_lanes); ``rest`` (Q, n_lanes) the slopes by random
    effects of the terms that are not normal; ``rows`` the normal data; ``bad`` (n_lanes,) where there is no finite
    value.
    """

    value: np.ndarray
    slope: np.ndarray
    rest: np.ndarray
    rows: tuple[Rows, ...]
    bad: np.ndarray
    prediction: Prediction

    def curvature(self, n_random: int) -> np.ndarray:
        """(n_lanes, Q, Q): sum of f'f'^T/v + v'v'^T/(2 v^2) over the normal data."""
        total = np.zeros((n_random, n_random, len(self.value)))
        for rows in self.rows:
            f, v = rows.mean_slope[:n_random], rows.variance_slope[:n_random]
            with np.errstate(all="ignore"):
                weight = 1.0 / rows.variance
                product = f[:, None] * (f[None] * weight)
                if v.any():
                    product = product + v[:, None] * (v[None] * (0.5 * weight * weight))
                total += by_lane(product, rows.lane, len(self.value))
        total[..., self.bad] = 0.0
        return np.moveaxis(total, 2, 0)


def by_lane(values: np.ndarray, lane: np.ndarray, n_lanes: int) -> np.ndarray:
    """Sums over the rows of each lane, (..., n_lanes); rows stand in the order of lanes."""
    out = np.zeros((*values.shape[:-1], n_lanes))
    if len(lane):
        starts = np.concatenate([[0], np.flatnonzero(np.diff(lane)) + 1])
        out[..., lane[starts]] = np.add.reduceat(values, starts, axis=-1)
    return out


def conditional(
    problem: PopulationProblem, prediction: Prediction, k: int, frozen: Frozen | None = None
) -> Conditional:
    """Sum up a prediction with k directions. ``frozen`` replaces the variances."""
    n = prediction.layout.n_lanes
    value, slope = np.zeros(n), np.zeros((k, n))
    rest = np.zeros((k, n))
    kept: list[Rows] = []
    with np.errstate(all="ignore"):
        for piece in prediction.pieces:
            if piece.log_likelihood is not None:
                term = piece.log_likelihood
                value += by_lane(-2.0 * term.value, piece.lane, n)
                if k and term.slope is not None:
                    rest += by_lane(-2.0 * term.slope, piece.lane, n)
                continue
            piece = _freeze(piece, frozen, k) if frozen is not None else piece
            for part, normal in _terms(problem, piece):
                value += by_lane(part.value, normal.lane, n)
                if k and part.slope is not None:
                    slope_of = by_lane(part.slope, normal.lane, n)
                    if isinstance(normal, Piece):
                        slope += slope_of
                    else:
                        rest += slope_of
                if isinstance(normal, Piece):
                    kept.append(_rows(normal, k))
    bad = prediction.bad | ~np.isfinite(value) | ~np.isfinite(slope + rest).all(axis=0)
    return Conditional(value, slope + rest, rest, tuple(kept), bad, prediction)


@dataclass(frozen=True)
class _Other:
    """Rows of terms that are not normal."""

    lane: np.ndarray


def _terms(problem: PopulationProblem, piece: Piece) -> Sequence[tuple[Dual, Piece | _Other]]:
    """-2 log likelihood by row: of the normal data, and of those below (or above) a limit."""
    if piece.model.blq is None:
        return [(_normal(piece), piece)]
    limit, sign, below, inner = _limits(problem, piece)
    above = piece_of(piece, ~below)
    terms: list[tuple[Dual, Piece | _Other]] = [(_normal(above), above)]
    lower = limit[~below]
    if piece.model.blq == "M2":
        terms.append((_doubled(_log_phi(piece, ~below, lower, -1.0), 1.0), _Other(above.lane)))
    if piece.model.blq == "M4":
        terms.append((_doubled(_log_phi(piece, ~below, np.zeros(len(lower)), -1.0), 1.0), _Other(above.lane)))
    if piece.model.blq in ("M3", "M4") and below.any():
        floor = np.zeros(int(below.sum())) if piece.model.blq == "M4" else inner[below]
        terms.append(
            (_censored(piece, below, limit[below], sign[below], floor, piece.model.blq), _Other(piece.lane[below]))
        )
    return terms


def _limits(problem: PopulationProblem, piece: Piece) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """By row: the limit, 1 below it and -1 above it, whether the datum is censored, and the other end of the
    interval.
    """
    data = problem.data
    dv, cens = data.dv[piece.record], data.cens[piece.record]
    limit = dv if piece.limit is None else np.where((cens != 0) & ~np.isfinite(piece.limit), dv, piece.limit)
    return limit, np.where(cens < 0, -1.0, 1.0), censored(problem, piece), data.limit[piece.record]


def censored(problem: PopulationProblem, piece: Piece) -> np.ndarray:
    """(n_rows,) data below (or above) a limit: where CENS says so, or without that column where DV is less than the
    limit.
    """
    if piece.model.blq is None:
        return np.zeros(len(piece.record), bool)
    if "CENS" in problem.data.items or piece.limit is None:
        return problem.data.cens[piece.record] != 0
    return problem.data.dv[piece.record] < piece.limit


def piece_of(piece: Piece, rows: np.ndarray) -> Piece:
    """Some rows of a piece."""
    at = np.flatnonzero(rows)
    values = {name: value.take(at) for name, value in piece.values.items()}
    return Piece(
        piece.model, piece.lane[at], piece.record[at], piece.ipred.take(at), piece.mean.take(at), piece.variance.take(at),
        piece.datum.take(at), piece.log_slope.take(at), None, None, values,
    )  # fmt: skip


def _normal(piece: Piece) -> Dual:
    """log v + (y - f)^2 / v - 2 log |slope of the datum's transform|."""
    away = sub(piece.datum, piece.mean)
    value = add(UNARY["ln"](piece.variance), div(mul(away, away), piece.variance))
    return sub(value, mul(Dual(2.0), piece.log_slope))


def _log_phi(piece: Piece, rows: np.ndarray, limit: np.ndarray, sign: np.ndarray | float) -> Dual:
    """log P(datum beyond the limit): Phi(sign * (limit - f) / sqrt v), the limit on the natural scale."""
    return UNARY["log_phi"](_standard(piece, rows, limit, sign))


def _standard(piece: Piece, rows: np.ndarray, limit: np.ndarray, sign: np.ndarray | float) -> Dual:
    at = np.flatnonzero(rows)
    z = div(sub(_on_scale(piece, at, limit), piece.mean.take(at)), UNARY["sqrt"](piece.variance.take(at)))
    return mul(Dual(sign), z)


def _on_scale(piece: Piece, at: np.ndarray, limit: np.ndarray) -> Dual:
    """A limit on the scale of the transform."""
    if piece.model.datum is None:
        return Dual(limit)
    return evaluate(piece.model.datum, {**{name: v.take(at) for name, v in piece.values.items()}, DATUM: Dual(limit)})


def _doubled(value: Dual, sign: float) -> Dual:
    return Dual(2.0 * sign * value.value, value.scaled(2.0 * sign))


def _censored(
    piece: Piece, rows: np.ndarray, limit: np.ndarray, sign: np.ndarray, floor: np.ndarray, method: str
) -> Dual:
    """-2 log of the probability of a censored datum; M4: given that data are above 0."""
    upper = _standard(piece, rows, limit, sign)
    whole = UNARY["log_phi"](upper)
    interval = np.isfinite(floor)
    if interval.any():
        lower = _standard(piece, rows, np.where(interval, floor, 0.0), sign)
        share = sub(UNARY["phi"](upper), UNARY["phi"](lower))
        inside = UNARY["ln"](share)
        if method == "M4":
            minus = Dual(-lower.value, lower.scaled(-1.0))
            inside = sub(inside, UNARY["log_phi"](minus))
        whole = choose(interval, inside, whole)
    return _doubled(whole, -1.0)


def _freeze(piece: Piece, frozen: Frozen, k: int) -> Piece:
    slopes = None
    if k and frozen.slope is not None:
        slopes = np.zeros((k, len(piece.record)))
        slopes[k - len(frozen.slope) :] = frozen.slope[:, piece.record]
    variance = Dual(frozen.variance[piece.record], slopes)
    return Piece(piece.model, piece.lane, piece.record, piece.ipred, piece.mean, variance, piece.datum, piece.log_slope,
                 piece.log_likelihood, piece.limit, piece.values)  # fmt: skip


def _rows(piece: Piece, k: int) -> Rows:
    size = len(piece.record)
    none = np.zeros((k, size))
    mean = none if piece.mean.slope is None else piece.mean.slope
    if piece.datum.slope is not None:  # a transform's parameter moves the datum too
        mean = mean - piece.datum.slope
    spread = none if piece.variance.slope is None else piece.variance.slope
    return Rows(piece.lane, piece.datum.value - piece.mean.value, piece.variance.value, mean, spread)


def freeze(problem: PopulationProblem, prediction: Prediction, n_random: int) -> Frozen:
    """Variances of a prediction in which every subject is one lane with random effects 0."""
    variance = np.ones(problem.data.n_records)
    slope: np.ndarray | None = None
    for piece in prediction.pieces:
        if piece.log_likelihood is None:
            variance[piece.record] = piece.variance.value
            if piece.variance.slope is not None and len(piece.variance.slope) > n_random:
                if slope is None:
                    slope = np.zeros((len(piece.variance.slope) - n_random, problem.data.n_records))
                slope[:, piece.record] = piece.variance.slope[n_random:]
    return Frozen(variance, slope)


def failures(problem: PopulationProblem, conditional: Conditional, subjects: np.ndarray) -> Mapping[str, str]:
    """Why lanes have no value, by the subject's label."""
    reasons: dict[str, str] = {}
    for lane in np.flatnonzero(conditional.bad):
        label = problem.data.labels[int(subjects[lane])]
        if lane in conditional.prediction.reasons:
            reasons[label] = conditional.prediction.reasons[int(lane)]
            continue
        reasons[label] = "the likelihood is no finite number" + _where(problem, conditional, int(lane))
    return reasons


def _where(problem: PopulationProblem, conditional: Conditional, lane: int) -> str:
    """The first datum of a lane whose variance or likelihood cannot be used."""
    for piece in conditional.prediction.pieces:
        in_lane = piece.lane == lane
        if piece.log_likelihood is not None:
            bad = in_lane & ~np.isfinite(piece.log_likelihood.value)
            fault = "its log likelihood has no value"
        else:
            bad = in_lane & ~((piece.variance.value > 0) & np.isfinite(piece.mean.value + piece.datum.value))
            fault = "its residual variance is 0 or has no value (prediction "
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            tail = f"{fault}{piece.ipred.value[row]:g})" if piece.log_likelihood is None else fault
            return f": {problem.data.where(int(piece.record[row]))}, {tail}"
    return ""

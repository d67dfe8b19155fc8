"""New data of the same design: random effects and residual errors drawn anew, for checks of a model by simulation.

Random numbers belong to seed, subject (or record) and replicate: the same whatever the order or the number of threads.
"""

from __future__ import annotations

import numpy as np

from respine.fit.population.dual import evaluate
from respine.fit.population.objective import Objective, Point
from respine.fit.population.prediction import Piece

MOST_LANES = 20_000


def simulate(objective: Objective, point: Point, replicates: int, seed: int) -> np.ndarray:
    """(replicates, n_records) new values of DV where it is observed; NaN elsewhere and for data that are no
    measurements.

    Replicates that cannot be solved for a subject are NaN for that subject.
    """
    from respine.population.random import normals

    problem, d = objective.problem, objective.d
    n, q = problem.data.n_subjects, d.n_random
    out = np.full((replicates, problem.data.n_records), np.nan)
    root = np.linalg.cholesky(objective.blocks.whole(point.blocks)) if q else np.zeros((0, 0))
    random = normals(seed, "random effects", 0, n, replicates * q).reshape(n, replicates, q) @ root.T
    noise = normals(seed, "residual errors", 0, problem.data.n_records, replicates)
    size = max(1, MOST_LANES // n)
    for first in range(0, replicates, size):
        chosen = np.arange(first, min(first + size, replicates))
        subjects = np.tile(np.arange(n), len(chosen))
        effects = np.concatenate([random[:, r] for r in chosen])
        prediction = objective.predictor.predict(subjects, point.fixed, effects)
        for piece in prediction.pieces:
            if piece.log_likelihood is not None:
                continue
            replicate = chosen[piece.lane // n]
            out[replicate, piece.record] = draw(piece, noise[piece.record, replicate])
        for lane in np.flatnonzero(prediction.bad):
            out[chosen[lane // n], problem.data.records(int(lane % n))] = np.nan
    return out


def draw(piece: Piece, noise: np.ndarray) -> np.ndarray:
    """Data about a prediction, on the natural scale, from standard normal numbers."""
    with np.errstate(invalid="ignore"):
        value = piece.mean.value + np.sqrt(piece.variance.value) * noise
    return natural(piece, value)


def natural(piece: Piece, value: np.ndarray) -> np.ndarray:
    """Values on the scale of a piece's transform, carried back."""
    scale = piece.model.scale
    if scale is None:
        return value
    by = evaluate(scale.by, piece.values).value if scale.by is not None else 0.0
    return scale.back(value, by)

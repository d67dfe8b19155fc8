"""Which fixed effects only shift random effects (mu-referencing), found from the formulas' slopes rather than their
spelling.

``CL = exp(lcl + b*log(WT/70) + eta)`` and ``CL = TVCL*(WT/70)**b*exp(eta)`` alike: on the search's scale a step of
the parameter does to every individual parameter exactly what a step of ``eta`` does, times a weight that depends on
covariates alone. Such parameters have a closed form in each step of SAEM.
"""

from __future__ import annotations

import numpy as np

from respine.fit.population.objective import Objective, Point
from respine.fit.population.vector import Vector
from respine.model.expression import symbols

TRIES = 4
SAME = 1e-8


def shifting(objective: Objective, vector: Vector, point: Point) -> tuple[list[int], np.ndarray]:
    """Places in x of parameters that only shift random effects, and their weights (n_subjects, Q, n_shifting)."""
    d, _problem = objective.d, objective.problem
    n, q = len(objective.subjects), d.n_random
    candidates = [k for k, _ in enumerate(vector.thetas) if not _elsewhere(objective, vector.thetas[k][1].name)]
    if not candidates or q == 0:
        return [], np.zeros((n, q, 0))
    chance = np.random.default_rng(12345)
    shifts: dict[int, np.ndarray] = {}
    scale = vector.jacobian(point)
    for attempt in range(TRIES):
        moved = Point(point.fixed * (1 + 0.05 * (attempt > 1)), point.blocks)
        if not _inside(vector, moved):
            moved = point
        random = 0.5 * chance.standard_normal((n, q)) if attempt else np.zeros((n, q))
        weights = _weights(objective, vector, moved, random, candidates)
        for k in list(candidates):
            weight = weights.get(k)
            if weight is None or (k in shifts and not np.allclose(shifts[k], weight, rtol=SAME, atol=SAME)):
                candidates.remove(k)
                shifts.pop(k, None)
            else:
                shifts[k] = weight
    del scale
    places = [k for k in candidates if np.abs(shifts[k]).max() > 0]
    if not places:
        return [], np.zeros((n, q, 0))
    stacked = np.stack([shifts[k] for k in places], axis=2)
    flat = stacked.reshape(n * q, -1)
    if np.linalg.matrix_rank(flat) < flat.shape[1]:  # they cannot be told apart by shifts
        return [], np.zeros((n, q, 0))
    return places, stacked


def _inside(vector: Vector, point: Point) -> bool:
    return all(theta.lower < point.fixed[k] < theta.upper for k, theta in vector.thetas)


def _elsewhere(objective: Objective, name: str) -> bool:
    """Whether a parameter stands in observations or doses, or in the model itself."""
    problem = objective.problem
    if any(name in model.names for model in problem.observations):
        return name not in problem.individual
    if any(name in symbols(f.expr) for rules in problem.doses.values() for f in rules.formulas.values()):
        return name not in problem.individual
    system = problem.system
    return system is not None and name in (*system.parameters, *system.inputs) and name not in problem.individual


def _weights(
    objective: Objective, vector: Vector, point: Point, random: np.ndarray, candidates: list[int]
) -> dict[int, np.ndarray]:
    """For each candidate the weights (n, Q) with which steps of it equal steps of the random effects; absent where
    they do not.
    """
    d, problem, predictor = objective.d, objective.problem, objective.predictor
    n, q = random.shape
    layout = predictor.layout(objective.subjects)
    rows = np.arange(len(layout.record))
    lane = predictor.lane_values(layout, point.fixed, random, "all")
    along = predictor.record_values(layout, rows, lane, random, "all")
    names = [name for name in problem.individual if along[name].slope is not None]
    if not names:
        return {}
    slopes = np.stack(
        [np.broadcast_to(along[name].slope, (q + d.n_free, len(rows))) for name in names]  # type: ignore[arg-type]
    )  # (parameters, directions, rows)
    stretch = vector.jacobian(point)
    place = {k: m for m, k in enumerate(d.free)}
    ends = np.append(layout.first[1:], len(rows))
    result = {k: np.zeros((n, q)) for k in candidates}
    for s in range(n):
        part = slopes[:, :, layout.first[s] : ends[s]]
        flat = np.moveaxis(part, 1, 0).reshape(q + d.n_free, -1)  # (directions, parameters * rows)
        by_random = flat[:q].T
        for k in list(result):
            target = flat[q + place[vector.thetas[k][0]]] * stretch[k, k]
            weight = np.linalg.lstsq(by_random, target, rcond=None)[0]
            size = max(float(np.abs(target).max(initial=0.0)), 1e-300)
            if np.abs(by_random @ weight - target).max(initial=0.0) > SAME * size:
                del result[k]
            else:
                result[k][s] = np.where(np.abs(weight) < 1e-10, 0.0, weight)
    return result

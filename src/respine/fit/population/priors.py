"""What priors add to an objective (-2 log density without constants), and its slopes."""

from __future__ import annotations

import numpy as np

from respine.fit.population.covariances import Blocks
from respine.fit.population.directions import Directions
from respine.fit.population.objective import Point


def penalty(d: Directions, blocks: Blocks, point: Point) -> tuple[float, np.ndarray, list[np.ndarray]]:
    """The sum over all priors; its slopes by free fixed values (M,) and by blocks.

    A normal prior adds (p - mean)' C^-1 (p - mean), as NONMEM's NWPRI does; an inverse Wishart prior of n effects
    centred on V with k degrees of freedom adds (k + n + 1) log|O| + k tr(V O^-1).
    """
    problem = d.problem
    total, by_fixed = 0.0, np.zeros(d.n_free)
    by_blocks = [np.zeros_like(matrix) for matrix in point.blocks]
    place = {k: m for m, k in enumerate(d.free)}
    names = problem.theta_names
    for prior in problem.normal_priors:
        at = [names.index(name) for name in prior.names]
        away = point.fixed[at] - prior.mean
        pull = np.linalg.solve(prior.covariance, away)
        total += float(away @ pull)
        for k, slope in zip(at, pull, strict=True):
            if k in place:
                by_fixed[place[k]] += 2 * slope
    for wishart in problem.wishart_priors:
        k = blocks.names.index(wishart.names)
        matrix = point.blocks[k]
        inverse, n = np.linalg.inv(matrix), len(matrix)
        weight = wishart.degrees + n + 1
        total += float(weight * np.linalg.slogdet(matrix)[1] + wishart.degrees * np.trace(wishart.matrix @ inverse))
        by_blocks[k] += weight * inverse - wishart.degrees * inverse @ wishart.matrix @ inverse
    return total, by_fixed, by_blocks

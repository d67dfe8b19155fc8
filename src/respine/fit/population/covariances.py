"""The covariance of a subject's random effects from its blocks, and derivatives carried back to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from respine.fit.population.directions import Directions


@dataclass(frozen=True)
class Blocks:
    """Where the active blocks stand in the whole matrix: each block and the places of its copies (one, or one an
    occasion).
    """

    names: tuple[tuple[str, ...], ...]
    places: tuple[tuple[np.ndarray, ...], ...]
    fixed: tuple[bool, ...]
    size: int

    @staticmethod
    def of(d: Directions) -> Blocks:
        names: list[tuple[str, ...]] = []
        places: list[tuple[np.ndarray, ...]] = []
        fixed: list[bool] = []
        for block in d.problem.omega:
            if not block.zero:
                names.append(block.names)
                places.append((np.array([d.eta[name] for name in block.names]),))
                fixed.append(block.fixed)
        for block in d.problem.iov:
            if not block.zero:
                own = np.array([d.kappa[name] for name in block.names]) + len(d.eta)
                names.append(block.names)
                places.append(tuple(own + occ * len(d.kappa) for occ in range(d.n_occasions)))
                fixed.append(block.fixed)
        return Blocks(tuple(names), tuple(places), tuple(fixed), d.n_random)

    def whole(self, matrices: Sequence[np.ndarray]) -> np.ndarray:
        """(Q, Q) from one matrix a block."""
        out = np.zeros((self.size, self.size))
        for matrix, copies in zip(matrices, self.places, strict=True):
            for at in copies:
                out[np.ix_(at, at)] = matrix
        return out

    def parts(self, slope: np.ndarray) -> list[np.ndarray]:
        """For d(value)/d(whole) (..., Q, Q): d(value)/d(block) of each block, (..., n, n), summed over its copies."""
        return [sum(slope[..., at[:, None], at[None, :]] for at in copies) for copies in self.places]  # type: ignore[misc]


def starts(d: Directions) -> list[np.ndarray]:
    """The matrices of the active blocks at the start."""
    return [block.matrix for block in (*d.problem.omega, *d.problem.iov) if not block.zero]

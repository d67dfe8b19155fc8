"""Allocation of people to arms: permuted blocks, within strata where asked, or by chance alone; fixed by seed and person."""

from __future__ import annotations

from math import gcd

import numpy as np

from respine import population

STRIDE = 1_000_000
"""Numbers set aside for the people of one trial: person ``i`` of trial ``r`` is subject ``r * STRIDE + i`` at any size."""


def subjects(trials: np.ndarray, n: int) -> np.ndarray:
    """Subject numbers of the first ``n`` people to enrol in each of the ``trials`` (R,), ``(R, n)``."""
    return np.asarray(trials[:, None].astype(np.int64) * STRIDE + np.arange(n))


def allot(
    seed: int, people: np.ndarray, sizes: list[int], *, method: str = "blocked", block: int | None = None,
    strata: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """The arm of each person, ``(R, n)`` codes, for ``people`` (R, n) in the order in which they enrol.

    ``sizes`` are the planned numbers of people in the arms; ``block`` a multiple of their ratio; ``strata`` (R, n) codes. Without
    strata every trial has exactly its planned sizes. Raises ValueError for a block that the ratio does not divide.
    """
    ratio = np.array(sizes) // gcd(*sizes)
    chance = population.uniforms_of(seed, "allocation", people.ravel())[:, 0].reshape(people.shape)
    if method == "simple":
        edges = np.cumsum(ratio) / ratio.sum()
        return np.minimum(np.searchsorted(edges, chance, side="right"), len(sizes) - 1)
    whole = int(ratio.sum())
    block = block or (2 * whole if whole <= people.shape[1] // 2 else whole)
    if block % whole:
        raise ValueError(f"a block of {block} cannot hold arms in the ratio {':'.join(map(str, ratio))}")
    if strata is None:
        return _blocks(chance, ratio, block)
    arms = np.zeros(people.shape, np.int64)
    for row in range(len(people)):
        for stratum in np.unique(strata[row]):
            who = np.flatnonzero(strata[row] == stratum)
            arms[row, who] = _blocks(chance[row : row + 1, who], ratio, block)[0]
    return arms


def _blocks(chance: np.ndarray, ratio: np.ndarray, block: int) -> np.ndarray:
    """Permuted blocks along the last axis; a last block that is cut short is balanced as far as it goes."""
    rows, n = chance.shape
    arms = np.empty((rows, n), np.int64)
    unit = np.repeat(np.arange(len(ratio)), ratio)
    for first in range(0, n, block):
        size = min(block, n - first)
        pattern = np.tile(unit, -(-size // len(unit)))[:size]
        ranks = np.argsort(np.argsort(chance[:, first : first + size], axis=1, kind="stable"), axis=1, kind="stable")
        arms[:, first : first + size] = pattern[ranks]
    return arms

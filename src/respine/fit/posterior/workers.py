"""Vectors shared out among processes: each has the whole forward map and takes a batch at a time."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from respine.fit.posterior.forward import Forward

BATCH = 64  # vectors solved at once: enough to fill the lanes, small enough for progress
_forward: Forward | None = None


def _residuals(z: np.ndarray) -> np.ndarray:
    assert _forward is not None
    return _forward(z)


@contextmanager
def shared(
    forward: Forward, processes: int, progress: Callable[[int], None]
) -> Iterator[Callable[[np.ndarray], np.ndarray]]:
    """A function that evaluates vectors ``(n, n_numbers)`` on that many processes; ``told`` hears how many are done."""
    global _forward
    _forward = forward
    pool: Any = multiprocessing.get_context("fork").Pool(processes) if processes > 1 else None

    def evaluate(z: np.ndarray) -> np.ndarray:
        size = min(BATCH, max(1, -(-len(z) // processes)))
        parts = [z[k : k + size] for k in range(0, len(z), size)]
        residuals = []
        for part, r in zip(parts, pool.imap(_residuals, parts) if pool else map(_residuals, parts), strict=True):
            residuals.append(r)
            progress(len(part))
        return np.concatenate(residuals)

    try:
        yield evaluate
    finally:
        if pool:
            pool.terminate()
            pool.join()
        _forward = None

"""Quantiles over people of every recorded output over time: what the report draws as the chain."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

QUANTILES = {"p05": 0.05, "p25": 0.25, "median": 0.5, "p75": 0.75, "p95": 0.95}
MOST_AT_ONCE = 20_000_000  # numbers held at a time


def quantiles(arm: str, shards: Sequence[Path], outputs: Sequence[str], times: np.ndarray) -> pd.DataFrame:
    """Rows ``arm, output, time_h, n, p05, p25, median, p75, p95`` of one arm from its shards' arrays ``(n, n_times,
    n_outputs)``.
    """
    arrays = [np.load(path, mmap_mode="r") for path in shards]
    good = [np.isfinite(a).all(axis=(1, 2)) for a in arrays]
    n = int(sum(g.sum() for g in good))
    step = max(1, MOST_AT_ONCE // max(1, n))
    frames = []
    for k, output in enumerate(outputs):
        table = np.full((len(QUANTILES), len(times)), np.nan)
        for start in range(0, len(times) if n else 0, step):
            part = slice(start, start + step)
            everybody = np.concatenate([a[:, part, k][g] for a, g in zip(arrays, good, strict=True)]).astype(float)
            table[:, part] = np.quantile(everybody, list(QUANTILES.values()), axis=0)
        head = {"arm": arm, "output": output, "time_h": times, "n": np.full(len(times), n, np.int64)}
        frames.append(pd.DataFrame(head | dict(zip(QUANTILES, table, strict=True))))
    return pd.concat(frames, ignore_index=True)

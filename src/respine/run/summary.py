"""Quantiles over people of every recorded output over time, put together from shards: what the report draws as the chain.

A shard's summary of an output at a moment is its people in order, in groups of equal number, each group by its middle person.
Where an arm is small enough every group is one person and the quantiles are exact; else a quantile is that of a share which
differs from the one asked for by ``MOST_ERROR`` at most (half a group of a shard and half a group of a block).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas

QUANTILES = {"p05": 0.05, "p25": 0.25, "median": 0.5, "p75": 0.75, "p95": 0.95}
EXACT_PEOPLE = 5000  # of an arm, up to which everybody is kept
GROUPS = 128  # of a shard's people
BLOCK_GROUPS = 1024  # of many shards together
BLOCK_ROWS = 8192  # groups from which a block is made
MOST_ERROR = 0.5 / GROUPS + 0.5 / BLOCK_GROUPS
BLOCK_PEOPLE, BLOCK_COLUMNS = 256, 64
MOST_AT_ONCE = 4_000_000  # numbers held at a time


def of_people(values: np.ndarray, ok: np.ndarray, exact: bool) -> tuple[np.ndarray, np.ndarray]:
    """The summary of a shard from ``values`` (n_people, n_times, n_outputs) of those who are ``ok`` and finite.

    Returns values ``(n_outputs, n_times, n_groups)`` float32 ascending along the last axis, and people ``(n_groups,)``.
    """
    n_people, n_times, n_outputs = values.shape
    flat = values.reshape(n_people, n_times * n_outputs)
    who = np.flatnonzero(ok & np.isfinite(flat.sum(axis=1)))
    n = len(who)
    edges = np.arange(n + 1) if exact or n <= GROUPS else np.arange(GROUPS + 1) * n // GROUPS
    sizes = np.diff(edges)
    middle = (edges[:-1] + edges[1:] - 1) // 2
    found, ordered = np.empty((flat.shape[1], len(sizes)), np.float32), np.empty((BLOCK_COLUMNS, n), np.float32)
    for first in range(
        0, len(found), BLOCK_COLUMNS
    ):  # as much as fits a cache is turned round and put in order at once
        columns = flat[:, first : first + BLOCK_COLUMNS]
        block = ordered[: columns.shape[1]]
        for person in range(0, n, BLOCK_PEOPLE):
            some = slice(person, person + BLOCK_PEOPLE)
            block[:, some] = columns[some if n == n_people else who[some]].T
        block.sort(axis=1)
        found[first : first + BLOCK_COLUMNS] = block if len(sizes) == n else block[:, middle]
    middles = found.reshape(n_times, n_outputs, len(sizes)).transpose(1, 0, 2)
    return np.ascontiguousarray(middles), sizes.astype(np.int64)


class Summary:
    """The people of one arm, shard after shard in their order."""

    def __init__(self, n_outputs: int, n_times: int) -> None:
        self.shape = (n_outputs, n_times)
        self.people = 0
        self._fresh: list[tuple[np.ndarray, np.ndarray]] = []
        self._blocks: list[tuple[np.ndarray, np.ndarray]] = []
        self._exact = True

    def add(self, means: np.ndarray, sizes: np.ndarray) -> None:
        """The summary of the next shard."""
        self.people += int(sizes.sum())
        self._fresh.append((means, sizes))
        self._exact = self._exact and bool((sizes == 1).all())
        if not self._exact and sum(len(s) for _, s in self._fresh) >= BLOCK_ROWS:
            self._blocks.append(_block(self._fresh))
            self._fresh = []

    def quantiles(self) -> np.ndarray:
        """``(n_quantiles, n_outputs, n_times)``, NaN where nobody was simulated to the end."""
        result = np.full((len(QUANTILES), *self.shape), np.nan)
        parts = [*self._blocks, *self._fresh]
        if not self.people:
            return result
        wanted = list(QUANTILES.values())
        sizes = np.concatenate([s for _, s in parts])
        step = max(1, MOST_AT_ONCE // len(sizes))
        for k in range(self.shape[0]):
            for first in range(0, self.shape[1], step):
                at = slice(first, first + step)
                together = np.concatenate([means[k, at] for means, _ in parts], axis=1)
                if self._exact:
                    result[:, k, at] = np.quantile(together.astype(float), wanted, axis=1)
                else:
                    result[:, k, at] = _weighted(together, sizes, wanted)
        return result


def table(arm: str, summary: Summary, outputs: tuple[str, ...], times: np.ndarray) -> pandas.DataFrame:
    """Rows ``arm, output, time_h, n, p05, p25, median, p75, p95`` of one arm."""
    import pandas as pd

    quantiles = summary.quantiles()
    frames = []
    for k, output in enumerate(outputs):
        head = {"arm": arm, "output": output, "time_h": times, "n": np.full(len(times), summary.people, np.int64)}
        frames.append(pd.DataFrame(head | dict(zip(QUANTILES, quantiles[:, k], strict=True))))
    return pd.concat(frames, ignore_index=True)


def _in_order(values: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of values in order with their sizes: each pair is sorted as one whole number."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    key = np.where(bits >> 31, ~bits, bits | np.uint32(0x80000000))  # in the order of the numbers
    both = (key.astype(np.uint64) << np.uint64(32)) | sizes.astype(np.uint64)
    both.sort(axis=1)
    key = (both >> np.uint64(32)).astype(np.uint32)
    bits = np.where(key >> 31, key & np.uint32(0x7FFFFFFF), ~key)
    return bits.view(np.float32), (both & np.uint64(0xFFFFFFFF)).astype(np.int64)


def _weighted(values: np.ndarray, sizes: np.ndarray, wanted: list[float]) -> np.ndarray:
    """Quantiles of groups of people, ``(n_quantiles, n_rows)``: each group stands at the middle of its people."""
    values, sizes = _in_order(values, sizes)
    ends = np.cumsum(sizes, axis=1)
    middle = ends - 0.5 * sizes - 0.5  # in ranks from 0, as an exact quantile counts
    last = float(ends[0, -1] - 1)
    return np.array([[np.interp(q * last, m, v) for m, v in zip(middle, values, strict=True)] for q in wanted])


def _block(parts: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Many shards as one: their groups in order, put together to fewer of about equal number."""
    sizes = np.concatenate([s for _, s in parts])
    n_outputs, n_times = parts[0][0].shape[:2]
    total, counts = int(sizes.sum()), np.empty((n_outputs, n_times, BLOCK_GROUPS), np.float32)
    targets = (np.arange(1, BLOCK_GROUPS) * total) / BLOCK_GROUPS
    for k in range(n_outputs):
        values, weights = _in_order(np.concatenate([means[k] for means, _ in parts], axis=1), sizes)
        ends = np.cumsum(weights, axis=1)
        sums = np.cumsum(weights * values.astype(float), axis=1)
        for row in range(n_times):  # the sum up to each border, a group that lies across it in part
            below = np.interp(targets, np.concatenate([[0], ends[row]]), np.concatenate([[0.0], sums[row]]))
            counts[k, row] = np.diff(np.concatenate([[0.0], below, [sums[row, -1]]])) * (BLOCK_GROUPS / total)
    borders = np.round(np.arange(BLOCK_GROUPS + 1) * (total / BLOCK_GROUPS)).astype(np.int64)
    return counts, np.diff(borders)

"""Least-squares means and their differences, and type III tests, from any fit that can test contrasts."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from respine.trial.analysis.arrays import Array, Ints
from respine.trial.analysis.mmrm.freedom import Contrast
from respine.trial.analysis.model_matrix import ModelMatrix
from respine.trial.analysis.results import Row


class Tests(Protocol):
    """What a fit must answer; rows have the length of the columns that were kept."""

    def contrast(self, row: Array, level: float = 0.95, null: float = 0.0) -> Contrast: ...


class Estimable:
    """Which contrasts of all columns can be told by the columns that were kept."""

    def __init__(self, x: Array, kept: Ints) -> None:
        self.kept = kept
        self.others = np.setdiff1d(np.arange(x.shape[1]), kept)
        self.ties = np.linalg.lstsq(x[:, kept], x[:, self.others], rcond=None)[0] if len(self.others) else None

    def __call__(self, row: Array) -> bool:
        if self.ties is None:
            return True
        off = row[self.others] - row[self.kept] @ self.ties
        return bool((np.abs(off) < 1e-7 * (1 + np.abs(row).max())).all())


def as_row(
    tests: Tests,
    estimable: Estimable,
    row: Array,
    quantity: str,
    group: str,
    visit: str,
    level: float,
    n: int | None = None,
) -> Row:
    """The row of the results of one contrast, without figures where it cannot be told."""
    if not estimable(row):
        return Row(quantity, group, visit, note="cannot be told: the combinations it needs are not in the data", n=n)
    c = tests.contrast(row[estimable.kept], level)
    return Row(quantity, group, visit, c.estimate, c.se, c.df, c.t, c.p, c.lower, c.upper, n)


def term_contrasts(matrix: ModelMatrix, term: Sequence[str]) -> Array:
    """Rows (l, q) of the type III hypothesis of a term: equal weight for the levels of other factors, numbers at zero."""
    variables = matrix.variables
    zero: dict[str, str | float] = {name: 0.0 for name in variables.numbers}
    factors = [name for name in term if name in variables.factors]
    numbers = [name for name in term if name in variables.numbers]
    levels = [variables.factors[name].levels for name in factors]
    cells: list[Array] = []
    for chosen in itertools.product(*levels):
        at: Mapping[str, str | float] = {**zero, **dict(zip(factors, chosen, strict=True))}
        row = matrix.row({**at, **dict.fromkeys(numbers, 1.0)})
        cells.append(row - _lower(matrix, at, numbers) if numbers else row)
    grid: Array = np.stack(cells).reshape(*[len(names) for names in levels], -1) if levels else np.stack(cells)
    for axis in range(len(levels)):  # each level against the first: df of several rows depend on how they are written
        grid = np.take(grid, range(1, grid.shape[axis]), axis) - np.take(grid, [0], axis)
    return np.asarray(grid.reshape(-1, grid.shape[-1]))


def _lower(matrix: ModelMatrix, at: Mapping[str, str | float], numbers: Sequence[str]) -> Array:
    """All that a product of numbers at 1 holds besides the product itself (inclusion and exclusion)."""
    total = np.zeros(matrix.x.shape[1])
    for size in range(len(numbers)):
        for chosen in itertools.combinations(numbers, size):
            sign = (-1.0) ** (len(numbers) - size - 1)
            total = total + sign * matrix.row({**at, **dict.fromkeys(chosen, 1.0)})
    return total

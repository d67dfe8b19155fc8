"""The observations of a study as arrays: what endpoints are computed from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

TOLERANCE_H = 0.02  # two times closer than about a minute are the same visit


@dataclass(frozen=True)
class Panel:
    """Values of every arm and scale, ``values[arm, scale]`` of shape ``(n_subjects, n_times)``, NaN where there is
    none.

    ``subjects`` and ``draw`` (the parameter draw a subject belongs to) are ``(n_subjects,)``, ``times[scale]`` hours.
    The rows are the same people in every arm.
    """

    subjects: np.ndarray
    draw: np.ndarray
    times: Mapping[str, np.ndarray]
    values: Mapping[tuple[str, str], np.ndarray]

    @classmethod
    def of(cls, visits: pd.DataFrame, draw: pd.Series) -> Panel:
        """From rows as ``trial.observe`` gives them; ``draw`` has each subject's parameter draw by subject."""
        ordered = draw.sort_index()
        subjects, draws = ordered.index.to_numpy(np.int64), ordered.to_numpy(np.int64)
        times: dict[str, np.ndarray] = {}
        values: dict[tuple[str, str], np.ndarray] = {}
        for (arm, scale), rows in visits.groupby(["arm", "scale"], sort=False):
            grid = times.setdefault(
                str(scale), np.unique(visits.loc[visits["scale"] == scale, "time_h"].to_numpy(float))
            )
            table = np.full((len(subjects), len(grid)), np.nan)
            i = np.searchsorted(subjects, rows["subject"].to_numpy(np.int64))
            table[i, np.searchsorted(grid, rows["time_h"].to_numpy(float))] = rows["value"].to_numpy(float)
            values[str(arm), str(scale)] = table
        return cls(subjects, draws, times, values)

    def scales(self) -> list[str]:
        """Scales and outputs observed, in the order of the visits."""
        return list(dict.fromkeys(scale for _, scale in self.values))

    def column(self, scale: str, time: float) -> int | None:
        """Index of a visit, or None if nothing was observed then."""
        grid = self.times.get(scale)
        if grid is None or not len(grid):
            return None
        index = int(np.argmin(np.abs(grid - time)))
        return index if abs(grid[index] - time) <= TOLERANCE_H else None

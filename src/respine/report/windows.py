"""Stretches of time that a plot shows: the first hours after the first dose of each arm, and the whole study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axis import Axis

    from respine.report.folder import Folder

FIRST_HOURS = 24.0  # length of the "first hours" column
_LATE_VISIT = 1.5  # hours by which it is drawn out for a visit counted from another moment than the first dose
_UNITS = {"h": (1.0, "hours"), "d": (24.0, "days"), "wk": (168.0, "weeks")}


@dataclass(frozen=True)
class Window:
    """Study times from ``start`` to ``end`` after the ``origin`` of each arm (hours), drawn in ``unit`` (h, d, wk)."""

    start: float
    end: float
    unit: str
    label: str
    origins: Mapping[str, float]

    def origin(self, arm: str) -> float:
        """Study time at which the arm's axis is 0, hours."""
        return self.origins.get(arm, min(self.origins.values(), default=0.0))

    def __call__(self, time_h: Any, arm: str) -> Any:
        """Study hours of an arm, a number or a column, as numbers on the axis."""
        return (time_h - self.origin(arm)) / _UNITS[self.unit][0]

    def holds(self, time_h: float, arm: str) -> bool:
        """Whether a moment of an arm lies in the window."""
        return self.start <= time_h - self.origin(arm) <= self.end

    def shown(self, lines: pd.DataFrame, arm: str) -> pd.DataFrame:
        """Rows of an arm inside the window and one to each side, so that lines reach its edge."""
        times = lines["time_h"] - self.origin(arm)
        before, after = times[times < self.start].max(), times[times > self.end].min()
        low = self.start if pd.isna(before) else before
        high = self.end if pd.isna(after) else after
        return lines[times.between(low, high)]

    @property
    def limits(self) -> tuple[float, float]:
        """Ends of the axis, a little beyond the window."""
        size = _UNITS[self.unit][0]
        pad = 0.02 * (self.end - self.start)
        return (self.start - pad) / size, (self.end + pad) / size

    def ticks(self, axis: Axis) -> None:
        """Hours are told in steps that are round on a clock."""
        from matplotlib.ticker import MultipleLocator

        low, high = self.limits
        if self.unit == "h" and high - low > 6:
            step = next((step for step in (2.0, 4.0, 6.0, 12.0) if (high - low) / step <= 7), 24.0)
            axis.set_major_locator(MultipleLocator(step))


def windows(folder: Folder, times: pd.Series) -> list[Window]:
    """The whole study, and before it the first hours after the first dose where they would be too narrow to see."""
    start, end = float(times.min()), float(times.max())
    span = end - start
    unit = "h" if span <= 72 else "d" if span <= 24 * 150 else "wk"
    whole = Window(start, max(end, start + 1e-6), unit, f"{_UNITS[unit][1]} of the study", {})
    first = folder.doses.groupby("arm")["time_h"].min()
    first = first[first < end]
    if first.empty or span <= 1.5 * FIRST_HOURS:
        return [whole]
    origins = {str(arm): float(time) for arm, time in first.items()}
    visits = [v - time for v in folder.study.visits for time in origins.values()]
    late = [v for v in visits if FIRST_HOURS < v <= FIRST_HOURS + _LATE_VISIT]
    reach = min(max([FIRST_HOURS, *late]), end - min(origins.values()))
    same = len(origins) < 2 or max(origins.values()) == min(origins.values())
    label = "hours after the first dose" if same else "hours after each arm's first dose"
    return [Window(-1.0, reach, "h", label, origins), whole]

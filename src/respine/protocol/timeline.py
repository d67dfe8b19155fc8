"""Inputs over time: several things may act on one input at once, and people may differ in when and how much.

The rule. History, exposures and drugs each hold an input at a level for a while. While several hold it, the highest
level counts: two stressors or two tablets do not add up, the stronger one decides. While none holds it, the input has
the model's own value. One exception: a *level* exposure of the study takes an input over from the history for good,
from its first moment on, so that a study can end or lower a stress that had lasted until then.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from respine.engine import Schedule

DIGITS = 9  # of an hour: two occasions that touch must meet in spite of rounding


@dataclass(frozen=True)
class _Hold:
    begin: np.ndarray
    end: np.ndarray
    level: np.ndarray


@dataclass
class Timeline:
    """What holds one input, and the value it has by itself."""

    base: float
    holds: list[_Hold] = field(default_factory=list)
    history: list[_Hold] = field(default_factory=list)
    taken_over: float = math.inf

    def hold(self, begin: float | np.ndarray, end: float | np.ndarray, level: float | np.ndarray) -> None:
        """Hold the input at ``level`` from ``begin`` to ``end`` (hours; numbers or one a subject)."""
        self.holds.append(_hold(begin, end, level))

    def hold_before(self, begin: float | np.ndarray, end: float | np.ndarray, level: float | np.ndarray) -> None:
        """The same as part of the history, which gives way to ``take_over``."""
        self.history.append(_hold(begin, end, level))

    def take_over(self, time: float) -> None:
        """The history ends at ``time`` at the latest."""
        self.taken_over = min(self.taken_over, time)

    def changes(self) -> tuple[np.ndarray, np.ndarray]:
        """Times and values, ``(n or 1, k)``: from each time on the input has the value; NaN where nothing changes."""
        ended = [_Hold(h.begin, np.minimum(h.end, self.taken_over), h.level) for h in self.history]
        holds = [*self.holds, *ended]
        rows = max((len(part) for h in holds for part in (h.begin, h.end, h.level)), default=1)
        spread = [
            np.stack([np.broadcast_to(part, rows) for part in parts], 1)
            for parts in zip(*map(_parts, holds), strict=True)
        ]
        if not spread:
            return np.empty((1, 0)), np.empty((1, 0))
        begin, end, level = spread
        times = np.sort(np.concatenate([begin, end], axis=1), axis=1)
        values = np.full(times.shape, -math.inf)
        for k in range(begin.shape[1]):
            active = (times >= begin[:, k : k + 1]) & (times < end[:, k : k + 1])
            np.maximum(values, np.where(active, level[:, k : k + 1], -math.inf), out=values)
        values[np.isneginf(values)] = self.base
        before = np.concatenate([np.full((rows, 1), self.base), values[:, :-1]], axis=1)
        values[(values == before) | ~np.isfinite(times)] = np.nan
        times = np.where(np.isfinite(times), times, 0.0)
        some = ~np.isnan(values).all(axis=0)
        return times[:, some], values[:, some]

    def write(self, schedule: Schedule, input: str) -> None:
        """Put the changes into an engine schedule."""
        times, values = self.changes()
        for k in range(times.shape[1]):
            time, value = times[:, k], values[:, k]
            schedule.set(
                input,
                time=float(time[0]) if len(time) == 1 else time,
                value=float(value[0]) if len(value) == 1 else value,
            )


def _hold(begin: float | np.ndarray, end: float | np.ndarray, level: float | np.ndarray) -> _Hold:
    arrays = [np.atleast_1d(np.asarray(part, float)) for part in (begin, end, level)]
    return _Hold(np.round(arrays[0], DIGITS), np.round(arrays[1], DIGITS), arrays[2])


def _parts(hold: _Hold) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return hold.begin, hold.end, hold.level

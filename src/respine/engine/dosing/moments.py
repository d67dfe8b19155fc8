"""When two times are the same moment: decimals such as 3 * 0.1 and 0.3 differ in their last bits and mean one time.

Times as they are written decide where they differ by more than `tolerance`. Within it an event moves to the output (or
record) it falls together with, so that what is decided by order (a sample before or after a dose) does not hang on
how a number was computed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from respine.files.constants import SAME_MOMENT

OF_START = 1e-3  # share of SAME_MOMENT that the start of a run counts with: -1 + 10 * 0.1 is zero but for 1e-16
OF_HORIZON = 1e-18  # no step is shorter than this share of a run
SHORTENED = 1e-9  # an infusion is not shortened or lengthened by more than this share of it


@dataclass(frozen=True)
class Moments:
    """The times at which a run is read, and what else decides which times are one."""

    start: float = 0.0
    horizon: float = 0.0
    read: np.ndarray | None = None  # ascending
    after: bool = False  # outputs of a moment are taken after its events

    @classmethod
    def of_run(cls, start: float, times: np.ndarray, *, after: bool) -> Moments:
        """Of a run from ``start`` through ``times``."""
        return cls(start, abs(float(times[-1]) - start), times, after)

    def tolerance(self, times: np.ndarray) -> np.ndarray:
        """How far another time may lie from each of these and still be the same moment."""
        return np.maximum(SAME_MOMENT * np.abs(times), self.near_zero)

    @property
    def near_zero(self) -> float:
        """What counts as no time at all, whatever the time."""
        return max(OF_START * SAME_MOMENT * abs(self.start), OF_HORIZON * self.horizon)

    def at_outputs(self, times: np.ndarray) -> np.ndarray:
        """Times of events, each moved to the start or the output that is the same moment; NaN stays.

        Of several such outputs it is the last one, or the first one where outputs come after events.
        """
        times = np.asarray(times, float)
        room = self.tolerance(times)
        before = (times < self.start) & (times >= self.start - room)
        just_after = (times > self.start) & (times <= self.start + self.near_zero)  # no step is so short
        moved = np.where(before | just_after, self.start, times)
        if self.read is None or not len(self.read):
            return moved
        if self.after:
            position = np.searchsorted(self.read, moved - room)
        else:
            position = np.searchsorted(self.read, moved + room, side="right") - 1
        nearest = self.read[np.clip(position, 0, len(self.read) - 1)]
        return np.where(np.abs(nearest - moved) <= room, nearest, moved)


def instant(time: float) -> float:
    """How far apart two moments near ``time`` may be and still be one, where nothing is known of the run."""
    return SAME_MOMENT * abs(time)

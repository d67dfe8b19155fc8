"""Events that set each other off without end: told as such, not after the whole step budget."""

from __future__ import annotations

from respine.engine.events.agenda import Trouble
from respine.engine.status import Status

MOST_STANDSTILLS = 200  # stops in a row without progress in time
BETWEEN_LOOKS = 1000  # after so many stops for events the pace is looked at
SLOW_SHARE = 0.1  # slow: the step budget would end before this share of the way that is left
SLOW_LOOKS = 10  # slow looks in a row that make a loop
STANDSTILL_SHARE = 1e-9  # ... or a slow one that finds less progress than this share of the horizon


class EndlessEvents:
    """Watches how far a subject gets between its stops for events."""

    def __init__(self, start: float, end: float, horizon: float, max_steps: int) -> None:
        self.end, self.horizon, self.max_steps = end, horizon, max_steps
        self.standstills, self.stops, self.slow_looks, self.looked = 0, 0, 0, start

    def note_stop(self, *, moved: bool) -> None:
        """A stop at which the time has or has not gone on since the last one."""
        self.standstills = 0 if moved else self.standstills + 1

    def check(self, now: float, *, executed: bool, event: str) -> None:
        """Raises Trouble, in the name of the last event, where the end cannot be reached at this pace."""
        if executed:
            self.stops += 1
            if self.stops % BETWEEN_LOOKS == 0 and self._is_slow(now):
                raise Trouble(Status.EVENT_LOOP, event)
        if self.standstills > MOST_STANDSTILLS:
            raise Trouble(Status.EVENT_LOOP, event)

    def _is_slow(self, now: float) -> bool:
        gone, left, self.looked = now - self.looked, self.end - now, now
        slow = gone * self.max_steps / BETWEEN_LOOKS < SLOW_SHARE * left
        self.slow_looks = self.slow_looks + 1 if slow else 0
        return self.slow_looks >= SLOW_LOOKS or (slow and gone < STANDSTILL_SHARE * self.horizon)

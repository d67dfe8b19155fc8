"""How much a run may take at most: seconds or people, after which it ends with the shard in hand."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

from respine.errors import InputError, argument
from respine.run.work import Halt

_UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True)
class Budget:
    """``seconds`` of this machine's clock, or ``people`` of all arms together; nothing is no limit."""

    seconds: float | None = None
    people: int | None = None

    @classmethod
    def of(cls, text: str) -> Budget:
        """From ``10min``, ``90 s``, ``2h`` or a number of people such as ``20000``. Raises InputError."""
        match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(s|min|h|d)?\s*", text)
        number = float(match.group(1)) if match else 0.0
        if match is None or not 0 < number < 1e12 or (match.group(2) is None and number != int(number)):
            why = "This is neither a time (90 s, 10min, 2h, 1d) nor a number of people (20000)."
            raise InputError(argument("budget", text, why, "Write for example {budget} 10min or {budget} 20000."))
        if match.group(2) is None:
            return cls(people=int(number))
        return cls(seconds=number * _UNITS[match.group(2)])

    def halt(self) -> Halt:
        """From now on."""
        return Halt(until=None if self.seconds is None else time.monotonic() + self.seconds, people=self.people)

"""How a dose depends on parameters: slopes of its size and of its times, for sensitivities.

A slope is a mapping from a parameter's name to d(quantity)/d(parameter), one number or one a subject.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

Number = float | np.ndarray
Slope = Mapping[str, Number]


@dataclass(frozen=True)
class EventSlopes:
    """Slopes of what an event adds and of when it happens."""

    value: Slope = field(default_factory=dict)
    time: Slope = field(default_factory=dict)

    @property
    def names(self) -> set[str]:
        """Parameters that moments or amounts depend on."""
        return {*self.value, *self.time}

    def of(self, subjects: np.ndarray) -> EventSlopes:
        """Those of some of the subjects."""
        value, time = (
            {name: np.asarray(x)[subjects] if np.ndim(x) else x for name, x in part.items()}
            for part in (self.value, self.time)
        )
        return EventSlopes(value, time)


NONE = EventSlopes()


def weigh(*terms: tuple[Number, Slope]) -> dict[str, Number]:
    """The sum of slopes, each times a factor."""
    total: dict[str, Number] = {}
    for factor, slope in terms:
        for name, value in slope.items():
            total[name] = total.get(name, 0.0) + factor * np.asarray(value, float)
    return total


@dataclass(frozen=True)
class DoseSlopes:
    """Slopes of one dose: of what is given (amount times fraction), of its lag and of its duration."""

    given: Slope = field(default_factory=dict)
    lag: Slope = field(default_factory=dict)
    duration: Slope = field(default_factory=dict)

    def of_bolus(self) -> EventSlopes:
        """Slopes of the amount and time of a bolus."""
        return EventSlopes(self.given, self.lag)

    def of_rate(self, given: Number, duration: Number) -> Slope:
        """Slope of the rate of an infusion, given / duration."""
        rate = given / duration
        return weigh((1 / duration, self.given), (-rate / duration, self.duration))

    def of_start(self, given: Number, duration: Number) -> EventSlopes:
        """Slopes of the rate and time at which an infusion begins."""
        return EventSlopes(self.of_rate(given, duration), self.lag)

    def of_end(self, given: Number, duration: Number) -> EventSlopes:
        """Slopes of the rate and time at which an infusion ends."""
        value = weigh((-1.0, self.of_rate(given, duration)))
        return EventSlopes(value, weigh((1.0, self.lag), (1.0, self.duration)))

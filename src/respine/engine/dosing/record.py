"""One NONMEM-style record of a subject, and what of it contradicts itself."""

from __future__ import annotations

import math
from dataclasses import dataclass

from respine.engine.dosing.dose_slopes import DoseSlopes, weigh

Slopes = tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Record:
    """One line of a data set.

    ``compartment`` is a state's name; ``rate`` -1 and -2 take ``modelled`` as the rate or the duration.
    ``covariates``: inputs and their values measured here (`Records` says what holds in between). For sensitivities
    ``lag_sensitivity=(("alag", 1.0),)`` says that d(lag)/d(alag) is 1; likewise the others.
    """

    time: float
    evid: int = 0
    compartment: str = ""
    amount: float = 0.0
    rate: float = 0.0
    interval: float = 0.0
    additional: int = 0
    steady: int = 0
    lag: float = 0.0
    fraction: float = 1.0
    modelled: float = math.nan
    covariates: tuple[tuple[str, float], ...] = ()
    amount_sensitivity: Slopes = ()
    lag_sensitivity: Slopes = ()
    fraction_sensitivity: Slopes = ()
    modelled_sensitivity: Slopes = ()

    def problem(self) -> str | None:
        """Why this record cannot be meant, None if it can."""
        numbers = (self.time, self.amount, self.rate, self.interval, self.lag, self.fraction, self.additional)
        slopes = [s for part in self._slopes for _, s in part]
        if not all(map(math.isfinite, (*numbers, *slopes))):
            return "a number is missing or infinite; write 0 where nothing is meant"
        for name, value in self.covariates:
            if not math.isfinite(value):
                return f"covariate {name} is {value:g}; leave it out where it was not measured"
        if self.evid not in (0, 1, 2, 3, 4):
            return f"EVID {self.evid} is unknown; write 0 to 4"
        if self.steady not in (0, 1, 2):
            return f"SS {self.steady} is not supported; write 0, 1 or 2"
        if self.evid not in (1, 4):
            dosing = {"AMT": self.amount, "RATE": self.rate, "ADDL": self.additional, "SS": self.steady}
            given = [name for name, value in dosing.items() if value]
            seen = " and ".join(given)
            return f"EVID {self.evid} is no dose but has {seen}; write EVID 1, or 0 for {seen}" if given else None
        if not self.compartment:
            return "a dose names no compartment; write CMT"
        for name, value in (("AMT", self.amount), ("II", self.interval), ("ADDL", self.additional),
                            ("lag", self.lag), ("bioavailability", self.fraction)):  # fmt: skip
            if value < 0:
                return f"{name} is {value:g}; it cannot be negative"
        if self.rate < 0 and self.rate not in (-1, -2):
            return f"RATE is {self.rate:g}; write a rate above 0, 0 for a bolus, -1 or -2 if modelled"
        if self.rate < 0 and not self.modelled > 0:
            return f"RATE {self.rate:g} needs a positive modelled {'rate' if self.rate == -1 else 'duration'}"
        if self.additional != int(self.additional):
            return f"ADDL is {self.additional:g}; write a whole number"
        if self.additional and not self.interval > 0:
            return f"ADDL {self.additional} needs II above 0"
        if self.amount == 0 and not (self.steady and self.rate > 0 and self.interval == 0):
            return "AMT is 0; only a constant infusion to steady state (SS 1, RATE, II 0) has no amount"
        if self.steady and self.amount > 0 and not self.interval > 0:
            return f"SS {self.steady} with AMT needs II above 0"
        return None

    @property
    def given(self) -> float:
        """What reaches the compartment."""
        return self.amount * self.fraction

    @property
    def duration(self) -> float:
        """Length of the infusion, 0 for a bolus. A given rate stays, bioavailability changes the length."""
        if self.rate == -2:
            return self.modelled
        rate = self.modelled if self.rate == -1 else self.rate
        return self.given / rate if rate > 0 else 0.0

    @property
    def _slopes(self) -> tuple[Slopes, ...]:
        return self.amount_sensitivity, self.lag_sensitivity, self.fraction_sensitivity, self.modelled_sensitivity

    @property
    def slopes(self) -> DoseSlopes:
        """How what is given, its lag and its duration depend on parameters."""
        if not any(self._slopes):
            return DoseSlopes()
        amount, lag, fraction, modelled = map(dict, self._slopes)
        given = weigh((self.fraction, amount), (self.amount, fraction))
        if self.rate == -2:
            return DoseSlopes(given, lag, modelled)
        rate = self.modelled if self.rate == -1 else self.rate
        if not rate > 0:
            return DoseSlopes(given, lag)
        changes = modelled if self.rate == -1 else {}
        return DoseSlopes(given, lag, weigh((1 / rate, given), (-self.duration / rate, changes)))

"""Dose records: what is given in an arm, when, how much to each person, and why. Made once, read by all.

The engine's schedule, the ledger, expectancy and the grid of output times read the same records.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from respine.files import units
from respine.files.constants import SAME_MOMENT_H
from respine.population import People
from respine.study.schema import Dose, Exposure
from respine.study.treatments import Drug, ExposureFile, Route


@dataclass(frozen=True)
class PlannedDose:
    """A dose of an arm before anybody is there: its ``times`` in hours, ascending, and the files behind it.

    ``place`` is where it stands in the study file; ``why`` is ``scheduled``, ``co-medication`` or ``rule NAME``.
    """

    place: str
    why: str
    dose: Dose
    drug: Drug
    route: Route
    times: tuple[float, ...]


@dataclass(frozen=True)
class PlannedExposure:
    """An exposure of an arm with the file behind it; ``times`` of pulses in hours, empty for a level."""

    place: str
    asked: Exposure
    file: ExposureFile
    times: tuple[float, ...]


@dataclass(frozen=True)
class DoseRecord:
    """A planned dose for some people: at each of ``times`` everybody gets their amount.

    A time is one number, or one a person, ``(n_people,)``, NaN for those who do not get it (doses that rules gave).
    """

    planned: PlannedDose
    times: tuple[float | np.ndarray, ...]
    amounts: Amounts


@dataclass(frozen=True)
class Taken:
    """What people take of an arm's own doses: none from ``stop`` (n_people,) hours on, and not the occasions they ``miss``.

    ``miss`` has for the place of a dose who misses which occasion, ``(n_people, n_occasions)``; ``more`` are records of doses
    that nobody planned (rescue). Doses of co-medication go on.
    """

    stop: np.ndarray
    miss: Mapping[str, np.ndarray] = field(default_factory=dict)
    more: tuple[DoseRecord, ...] = ()

    def times(self, planned: PlannedDose) -> tuple[float | np.ndarray, ...]:
        """Hours of each occasion of a planned dose: one number, or one a person, NaN for who does not take it."""
        if planned.why != "scheduled":
            return planned.times
        miss = self.miss.get(planned.place)
        taken: list[float | np.ndarray] = []
        for k, time in enumerate(planned.times):
            takes = (time < self.stop) if miss is None else (time < self.stop) & ~miss[:, k]
            taken.append(time if takes.all() else np.where(takes, time, math.nan))
        return tuple(taken)


def dose_record(planned: PlannedDose, people: People, times: Sequence[float | np.ndarray] | None = None) -> DoseRecord:
    """The record of a planned dose for these people, at its own times or at others."""
    return DoseRecord(planned, planned.times if times is None else tuple(times), amounts(planned.dose, people))


def occasions(dose: Dose | Exposure) -> tuple[float, ...]:
    """Hours of every occasion, in the order of time."""
    at = dose.at or ()
    if dose.every is None or not at:
        return tuple(sorted(at))
    times = dose.times
    if times is None:
        assert dose.until is not None
        times = math.floor((dose.until - at[0] + SAME_MOMENT_H) / dose.every) + 1
    return tuple(round(at[0] + dose.every * k, 9) for k in range(times))


@dataclass(frozen=True)
class Amounts:
    """One occasion of a dose: ``each`` person's amount ``(n,)`` in ``unit`` (no longer per kg), as ``written``."""

    each: np.ndarray
    unit: str
    written: float
    written_unit: str

    @property
    def milligrams(self) -> np.ndarray:
        """Amounts in mg; NaN where the unit is no mass."""
        return self.each if self.unit == "mg" else np.full(len(self.each), math.nan)

    def in_unit(self, unit: str, people: People) -> np.ndarray | None:
        """Amounts in another unit, per kg or not; None where that is impossible."""
        base, _, per_weight = units.canonical(unit)[0].partition("/")
        if base != self.unit:
            return None
        amounts = self.each / units.canonical(unit)[1]
        return amounts / weight(people) if per_weight else amounts


def weight(people: People) -> np.ndarray:
    """Body weight of each person, kg. Raises ValueError where the population has none."""
    if "weight_kg" not in people.covariates:
        raise ValueError("a dose per kg needs the covariate weight_kg, which this population does not have")
    return people.covariates["weight_kg"].to_numpy(float)


def amounts(dose: Dose, people: People) -> Amounts:
    """What each person gets at one occasion; 0 mg for a treatment without an amount (placebo)."""
    amount, count = dose.amount, 1
    if amount is None and dose.per_spray is not None:
        amount, count = dose.per_spray, dose.sprays or 1
    if amount is None:
        return Amounts(np.zeros(len(people)), "mg", 0.0, "mg")
    total = amount.value * count
    base, _, per_weight = amount.unit.partition("/")
    each = total * weight(people) if per_weight == "kg" else np.full(len(people), total)
    return Amounts(each, base if per_weight == "kg" else amount.unit, total, amount.unit)


def sprays(dose: Dose, route: Route) -> tuple[int, float]:
    """Number of sprays of one occasion and hours from one to the next; (1, 0) for a route without sprays."""
    if route.spray is None:
        return 1, 0.0
    apart = route.spray.apart if dose.apart is None else dose.apart
    if dose.sprays is not None:
        return dose.sprays, apart
    if dose.amount is None:
        return 1, apart
    content = dose.per_spray or route.spray.amount
    return max(1, math.ceil(dose.amount.value / content.value - 1e-9)), apart

"""Trials with looks at the data: boundaries, people at each look, chances to stop, and assurance over an uncertain effect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from respine.trial.analysis.sequential.design import Design
from respine.trial.analysis.sequential.sample_size import (
    Size,
    events,
    size_means,
    size_rates,
    size_survival,
)

NODES = 60  # of the quadrature over the effect


@dataclass(frozen=True)
class Plan:
    """A trial with looks: the ``design`` of its boundaries, its ``size`` in ``what`` (people, events) and the power it is for.

    ``drift`` is the mean of the last z under the effect.
    """

    design: Design
    size: Size
    what: str
    power: float
    drift: float
    people: float = float("nan")
    """People in all, where the size counts events."""

    def looks(self) -> list[dict[str, float]]:
        """A row a look: share of information, size so far, bounds of z and p, error spent, and chances to stop there."""
        design = self.design
        null, effect = design.stops(0.0), design.stops(self.drift)
        rows = []
        for k, t in enumerate(design.information):
            last = k + 1 == design.looks
            rows.append({
                "look": k + 1, "information": float(t), "size": float(t * self.size.maximum), "z": float(design.upper[k]),
                "p": float(design.nominal[k] * design.sided), "futility_z": float("nan") if last else float(design.lower[k]),
                "alpha_spent": float(design.alpha_spent[k]), "win": float(effect.above[k]), "win_null": float(null.above[k]),
                "futile": 0.0 if last else float(effect.below[k]) * (design.sided == 1),
                "futile_null": 0.0 if last else float(null.below[k]) * (design.sided == 1),
            })  # fmt: skip
        return rows

    def assurance(self, mean: float, sd: float) -> float:
        """Power averaged over an effect that is normal around ``mean`` (relative to the effect the size is for) with ``sd``."""
        nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
        drifts = self.drift * (mean + sd * nodes)
        chance = np.array([self.design.stops(d).above.sum() for d in drifts])
        return float((weights * chance).sum() / weights.sum())

    def plain(self) -> dict[str, Any]:
        """Everything as plain values."""
        design = self.design
        return {
            "boundary": design.family, "alpha": design.alpha, "sided": design.sided, "power": self.power, "counts": self.what,
            "fixed": self.size.fixed, "maximum": self.size.maximum, "expected_null": self.size.expected_null,
            "expected_half": self.size.expected_half, "expected": self.size.expected, "people": self.people,
            "inflation": self.size.maximum / self.size.fixed, "looks": self.looks(),
        }  # fmt: skip


def of_means(design: Design, effect: float, sd: float, power: float, ratio: float = 1.0) -> Plan:
    """Two arms and a difference of means."""
    size = size_means(effect, sd, power, design=design, ratio=ratio)
    return Plan(design, size, "people", power, _drift(design, power))


def of_rates(design: Design, rate1: float, rate2: float, power: float, ratio: float = 1.0) -> Plan:
    """Two arms and a difference of shares."""
    size = size_rates(max(rate1, rate2), min(rate1, rate2), power, design=design, ratio=ratio)
    return Plan(design, size, "people", power, _drift(design, power))


def of_events(
    design: Design, hazard_ratio: float, power: float, *, median: float | None = None, accrual: float = 0.0,
    follow_up: float = 0.0, dropout: float = 0.0, ratio: float = 1.0,
) -> Plan:  # fmt: skip
    """Two arms and a hazard ratio; with the control's ``median`` also the people who give the events."""
    size = events(hazard_ratio, power, design=design, ratio=ratio)
    people = float("nan")
    if median is not None:
        people = size_survival(
            hazard_ratio, median, accrual, follow_up, power, ratio=ratio, dropout=dropout, design=design
        ).maximum
    return Plan(design, size, "events", power, _drift(design, power), people)


def _drift(design: Design, power: float) -> float:
    return design.drift(power) if design.looks > 1 else design.fixed_drift(power)

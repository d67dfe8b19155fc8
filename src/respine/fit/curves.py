"""Concentration curves of published compartment models, exact: the reference that a disposition is brought to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from respine import library


def reference(curve: Mapping[str, Any], times: np.ndarray) -> np.ndarray:
    """ng/mL at ``times`` (h) after ``dose`` (mg) given ``over`` hours into the model that rows of the pk table describe.

    ``V1, CL, V2, Q2, V3, Q3`` (L, L/h) or ``V1, k10, k12, k21, k13, k31`` name rows; ``per_minute`` turns flows and rates
    printed per minute into hours, ``weight`` (kg) turns a volume per kg into litres.
    """
    rate = 60.0 if curve.get("per_minute") else 1.0
    number = {name: _row(id) for name, id in curve["rows"].items()}
    v1 = number["V1"] * float(curve.get("weight", 1.0))
    if "k10" in number:
        clearance = v1 * number["k10"] * rate
        tissues = [
            (v1 * number[a] / number[b], v1 * number[a] * rate)
            for a, b in (("k12", "k21"), ("k13", "k31"))
            if a in number
        ]
    else:
        clearance = number["CL"] * rate
        tissues = [(number[v], number[q] * rate) for v, q in (("V2", "Q2"), ("V3", "Q3")) if v in number]
    return mammillary(float(curve["dose"]), float(curve.get("over", 0.0)), times, v1, clearance, tissues)


def mammillary(
    dose: float, over: float, times: np.ndarray | Sequence[float], volume: float, clearance: float,
    tissues: Sequence[tuple[float, float]],
) -> np.ndarray:  # fmt: skip
    """Central concentration, ug/L, of a linear model with tissues ``(volume L, flow L/h)`` around a centre.

    A bolus where ``over`` is 0, else a constant infusion over that many hours. By eigenvalues of the rate matrix, which
    is similar to a symmetric one, so they are real and the solution is exact.
    """
    times = np.asarray(times, float)
    n = 1 + len(tissues)
    rates = np.zeros((n, n))
    rates[0, 0] = -clearance / volume
    size = np.array([volume, *(v for v, _ in tissues)])
    for i, (tissue, flow) in enumerate(tissues, start=1):
        rates[0, 0] -= flow / volume
        rates[i, 0], rates[0, i], rates[i, i] = flow / volume, flow / tissue, -flow / tissue
    root = np.sqrt(size)
    values, vectors = np.linalg.eigh(rates * root[None, :] / root[:, None])
    weight = vectors[0] ** 2  # share of each exponential in the centre after a unit bolus

    def bolus(t: np.ndarray) -> np.ndarray:
        return np.asarray((weight * np.exp(values * np.maximum(t, 0.0)[:, None])).sum(axis=1))

    if over <= 0:
        return 1000 * dose / volume * np.where(times >= 0, bolus(times), 0.0)

    def given_since(t: np.ndarray) -> np.ndarray:
        grown = -np.expm1(values * np.maximum(t, 0.0)[:, None]) / -values
        return np.asarray((weight * grown).sum(axis=1))

    return 1000 * dose / over / volume * (given_since(times) - given_since(times - over))


def _row(id: str) -> float:
    return next(float(row["value"]) for row in library.rows("evidence", "pk") if row["id"] == id)

"""Trials to analyse: the public tables of the reference folder, and simulated ones of known truth."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from respine.trial.analysis.mmrm.fit import Data
from respine.trial.analysis.model_matrix import Factor, ModelMatrix, Variables, expand, model_matrix

LEVELS = {
    "AVISIT": ("VIS1", "VIS2", "VIS3", "VIS4"), "ARMCD": ("PBO", "TRT"), "SEX": ("Male", "Female"),
    "RACE": ("Asian", "Black or African American", "White"),
}  # fmt: skip


class Fev:
    """FEV1 of 200 people at four visits (example data of the R package mmrm); rows with a score."""

    def __init__(self, file: Path) -> None:
        with file.open() as lines:
            self.rows = [row for row in csv.DictReader(lines) if row["FEV1"]]
        self.y = np.array([float(row["FEV1"]) for row in self.rows])

    def factor(self, name: str) -> Factor:
        levels = LEVELS[name]
        return Factor(levels, np.array([levels.index(row[name]) for row in self.rows]))

    def number(self, name: str) -> np.ndarray:
        return np.array([float(row[name]) for row in self.rows])

    def matrix(self, terms: Sequence[str]) -> ModelMatrix:
        names = {name for term in expand(terms) for name in term} or {"SEX"}
        numbers = {n: self.number(n) for n in names if n not in LEVELS}
        return model_matrix(expand(terms), Variables({n: self.factor(n) for n in names if n in LEVELS}, numbers))

    def data(self, matrix: ModelMatrix, **more: Any) -> Data:
        ids = list(dict.fromkeys(row["USUBJID"] for row in self.rows))
        subject = np.array([ids.index(row["USUBJID"]) for row in self.rows])
        if more.pop("by_arm", False):
            group = np.zeros(len(ids), dtype=np.int64)
            group[subject] = self.factor("ARMCD").codes
            more |= {"group": group, "groups": LEVELS["ARMCD"]}
        return Data(self.y, matrix.x, subject, self.factor("AVISIT").codes, LEVELS["AVISIT"], matrix.columns, **more)


@pytest.fixture
def fev(reference: Path) -> Fev:
    return Fev(reference / "mmrm" / "fev_data.csv")


@pytest.fixture
def goldstein(reference: Path) -> Path:
    """HAMD17 of 172 patients, drug and placebo (masked from Goldstein 2004)."""
    return reference / "antidepressant-trials" / "goldstein2004_hamd17_dia.csv"


def autoregressive(m: int, rho: float = 0.6, sd: float = 1.0) -> np.ndarray:
    """A covariance of m visits, (m, m)."""
    return sd**2 * rho ** np.abs(np.subtract.outer(np.arange(m), np.arange(m)))


def long_data(y: np.ndarray, columns: Sequence[np.ndarray], **more: Any) -> Data:
    """Rows of a trial given as patients by visits (n, m), with columns of X (n, m) each; NaN rows are left out."""
    i, j = np.nonzero(np.isfinite(y))
    x = np.column_stack([c[i, j] for c in columns])
    _, subject = np.unique(i, return_inverse=True)
    visits = tuple(str(k) for k in range(y.shape[1]))
    return Data(y[i, j], x, subject.ravel(), j, visits, tuple(str(k) for k in range(x.shape[1])), **more)


def sparse_trial(rng: np.random.Generator, n: int = 40, m: int = 4, missing: float = 0.25) -> Data:
    """Normal scores with holes, a mean at every visit and an arm effect."""
    y = rng.standard_normal((n, m)) @ np.linalg.cholesky(autoregressive(m)).T + np.arange(m)
    y[rng.random((n, m)) < missing] = np.nan
    y[np.isnan(y).all(axis=1), 0] = 0.0
    visit = [np.broadcast_to((np.arange(m) == k).astype(float), (n, m)) for k in range(m)]
    arm = np.broadcast_to((np.arange(n) % 2)[:, None].astype(float), (n, m))
    return long_data(y, [*visit, arm])

"""Standard errors, degrees of freedom and tests of contrasts, by the name of the method.

Satterthwaite: Giesbrecht and Burns 1985 (doi:10.2307/2530872), several rows after Fai and Cornelius 1996
(doi:10.1080/00949659608811740). Kenward-Roger: Kenward and Roger 1997 (doi:10.2307/2533558), in the covariance parameters of
SAS and with the observed information, as SAS PROC MIXED does; KR-linear leaves the second derivatives out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from respine.trial.analysis.arrays import Array
from respine.trial.analysis.mmrm.fit import Fit
from respine.trial.analysis.mmrm.likelihood import Value
from respine.trial.analysis.student import half_width, two_sided

Method = Literal[
    "satterthwaite",
    "kenward-roger",
    "kenward-roger-linear",
    "between-within",
    "between-within-sas",
    "residual",
    "asymptotic",
]
METHODS: dict[str, str] = {
    "satterthwaite": "SAS ddfm=satterthwaite; R mmrm Satterthwaite",
    "kenward-roger": "SAS ddfm=kr",
    "kenward-roger-linear": "SAS ddfm=kr(linear); R mmrm Kenward-Roger-Linear",
    "between-within": "R mmrm Between-Within",
    "between-within-sas": "SAS ddfm=bw, for the cases where it does not split the within-subject part further",
    "residual": "SAS ddfm=residual; R mmrm Residual",
    "asymptotic": "SAS ddfm=none: normal quantiles",
}
ALIASES = {
    "kr": "kenward-roger", "kr-linear": "kenward-roger-linear", "kr(linear)": "kenward-roger-linear",
    "satterth": "satterthwaite", "bw": "between-within", "none": "asymptotic", "kenward-roger(linear)": "kenward-roger-linear",
}  # fmt: skip


class NoFreedom(ValueError):
    """The method has no answer for this model; the text says why."""


@dataclass(frozen=True)
class Contrast:
    """One linear combination of fixed effects, tested against ``null``."""

    estimate: float
    se: float
    df: float
    t: float
    p: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Joint:
    """Several combinations tested together: F with its degrees of freedom."""

    f: float
    df1: int
    df2: float
    p: float


class Inference:
    """Tests on one fit. ``robust`` puts the empirical (sandwich) covariance in place of the model's, as EMPIRICAL in SAS."""

    def __init__(self, fit: Fit, method: Method = "satterthwaite", robust: bool = False) -> None:
        self.fit, self.method, self.robust = fit, method, robust
        kenward_roger = method.startswith("kenward-roger")
        if kenward_roger and not fit.reml:
            raise NoFreedom("Kenward-Roger is defined for REML, not for ML")
        if robust and (kenward_roger or method == "satterthwaite"):
            raise NoFreedom(
                "the empirical covariance goes with between-within, residual or asymptotic degrees of freedom"
            )
        likelihood, theta = fit.likelihood, fit.maximum.theta
        self._transform = np.linalg.inv(fit.basis.r)  # contrasts of b = those of beta times this
        self._f = fit.maximum.value.information
        self._adjusted = self._f
        if kenward_roger or method == "satterthwaite":
            parts = fit.groups.reported(theta)
            value: Value = likelihood.with_derivatives(parts)
            assert value.hessian is not None and value.slopes is not None
            self._variance = 2.0 * np.linalg.inv(value.hessian)
            self._slopes = value.slopes
            if kenward_roger:
                second = method == "kenward-roger"
                inner = likelihood.adjustment(parts, self._slopes, self._f, self._variance, second)
                self._adjusted = self._f + 2.0 * self._f @ inner @ self._f
        if robust:
            self._adjusted = _sandwich(fit)
        if method.startswith("between-within"):
            self._level = _between_within(fit, sas=method == "between-within-sas")

    @property
    def vcov(self) -> Array:
        """Covariance of the coefficients that the tests use, (q, q)."""
        t = self._transform
        return np.asarray(self.fit.basis.scale**2 * t @ self._adjusted @ t.T)

    def contrast(self, row: Array, level: float = 0.95, null: float = 0.0) -> Contrast:
        """Estimate, standard error, degrees of freedom, two-sided p and interval of ``row @ coefficients``, row (q,)."""
        estimate = float(row @ self.fit.coefficients)
        lb = row @ self._transform
        se = float(self.fit.basis.scale * np.sqrt(max(float(lb @ self._adjusted @ lb), 0.0)))
        df = self._df(row, lb)
        t = (estimate - null) / se if se > 0 else np.nan
        half = half_width(level, df) * se
        return Contrast(estimate, se, df, float(t), two_sided(float(t), df), estimate - half, estimate + half)

    def joint(self, rows: Array) -> Joint:
        """F test that all ``rows @ coefficients`` are zero, rows (l, q) of full rank."""
        from scipy.special import chdtrc, fdtrc

        rows = np.atleast_2d(rows)
        size = len(rows)
        if size == 1:
            single = self.contrast(rows[0])
            return Joint(single.t**2, 1, single.df, single.p)
        lb = rows @ self._transform
        estimate = rows @ self.fit.coefficients / self.fit.basis.scale
        f = float(estimate @ np.linalg.solve(lb @ self._adjusted @ lb.T, estimate)) / size
        if self.method == "satterthwaite":
            df = self._fai_cornelius(lb)
        elif self.method.startswith("kenward-roger"):
            df, factor = self._kenward_roger(lb)
            f *= factor
        else:
            df = min(self._df(row, row @ self._transform) for row in rows)
        p = float(fdtrc(size, df, f)) if np.isfinite(df) else float(chdtrc(size, f * size))
        return Joint(f, size, df, p)

    def _df(self, row: Array, lb: Array) -> float:
        if self.method == "asymptotic":
            return float("inf")
        if self.method == "residual":
            return float(len(self.fit.data.y) - len(self.fit.basis.kept))
        if self.method.startswith("between-within"):
            return float(self._level[np.abs(row) > 1e-12 * np.abs(row).max()].min())
        return self._satterthwaite(lb)

    def _satterthwaite(self, lb: Array) -> float:
        variance = float(lb @ self._f @ lb)
        fl = self._f @ lb
        slope = -np.einsum("i,aij,j->a", fl, self._slopes, fl)
        return 2.0 * variance**2 / float(slope @ self._variance @ slope)

    def _fai_cornelius(self, lb: Array) -> float:
        _, vectors = np.linalg.eigh(lb @ self._f @ lb.T)
        nu = np.array([self._satterthwaite(row) for row in vectors.T @ lb])
        if (np.abs(nu - nu.mean()) < 1e-8 * nu.mean()).all():
            return float(nu.mean())
        e = float((nu[nu > 2] / (nu[nu > 2] - 2)).sum())
        return 2 * e / (e - len(lb)) if e > len(lb) else 0.0

    def _kenward_roger(self, lb: Array) -> tuple[float, float]:
        """Denominator degrees of freedom and scale of F (Kenward and Roger 1997, section 3)."""
        n = len(lb)
        f = self._f
        theta = lb.T @ np.linalg.solve(lb @ f @ lb.T, lb)
        tf = theta @ f
        turned = np.einsum("ij,ajk,kl->ail", tf, -self._slopes, f)
        traces = np.trace(turned, axis1=1, axis2=2)
        a1 = float(traces @ self._variance @ traces)
        a2 = float(np.einsum("ab,aij,bji->", self._variance, turned, turned))
        b = (a1 + 6 * a2) / (2 * n)
        g = ((n + 1) * a1 - (n + 4) * a2) / ((n + 2) * a2)
        c = 3 * n + 2 * (1 - g)
        c1, c2, c3 = g / c, (n - g) / c, (n + 2 - g) / c
        mean = 1 / (1 - a2 / n)
        spread = 2 / n * (1 + c1 * b) / ((1 - c2 * b) ** 2 * (1 - c3 * b))
        rho = spread / (2 * mean**2)
        df = 4 + (n + 2) / (n * rho - 1)
        return df, df / (mean * (df - 2))


def _between_within(fit: Fit, sas: bool) -> Array:
    """Degrees of freedom of every coefficient, (q,)."""
    data = fit.data
    x = data.x[:, fit.basis.kept]
    n = fit.n_subjects
    order = np.argsort(data.subject, kind="stable")
    first = np.empty(n, dtype=np.int64)
    first[data.subject[order[::-1]]] = order[::-1]
    within = (np.abs(x - x[first[data.subject]]) > 0).any(axis=0)
    constant = ~within & (np.ptp(x, axis=0) == 0)
    between_df = n - int((~within).sum())
    within_df = len(data.y) - n - int(within.sum())
    if not sas:
        return np.where(within | constant, within_df, between_df).astype(float)
    if fit.structure.name == "unstructured":
        return np.full(x.shape[1], float(between_df))
    if within.any():
        raise NoFreedom("SAS splits the within-subject degrees of freedom by effect here, which is not reproduced")
    return np.full(x.shape[1], float(between_df))


def _sandwich(fit: Fit) -> Array:
    """F (sum over patients of X'W e e'W X) F, in the coordinates of the basis and per scale**2, (q, q)."""
    p, b = fit.likelihood.patterns, fit.basis
    w = fit.likelihood.weights(fit.groups.working(fit.maximum.theta).sigma)[p.member]
    residual = b.y_star - b.q @ fit.maximum.value.beta
    root = np.sqrt(fit.data.weights) if fit.data.weights is not None else np.ones(len(residual))
    present = p.rows >= 0
    e = np.where(present, (root * residual)[p.rows], 0.0)
    x = np.where(present[:, :, None], (root[:, None] * b.q)[p.rows], 0.0)
    score = np.einsum("ijq,ijk,ik->iq", x, w, e)
    f = fit.maximum.value.information
    return np.asarray(f @ (score.T @ score) @ f)

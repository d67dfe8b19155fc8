"""The analysis of many trials at once: MMRM, ANCOVA, t test and shares of responders, an estimate and a p value a trial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from respine.trial.analysis.arrays_mmrm import differences
from respine.trial.analysis.mmrm.fit import NoCovariance
from respine.trial.endpoints.base import EDGE

COVARIANCES = ("unstructured", "heterogeneous-toeplitz", "ar1")
NONE = "none could be estimated"
CONTINUOUS = ("mmrm", "ancova", "t-test")


@dataclass(frozen=True)
class Answers:
    """One comparison of two arms in ``R`` trials: ``estimate``, ``se``, ``df`` and two-sided ``p``, ``(R,)`` each,
    NaN where a trial could not be analysed; ``fallbacks``: how many took which covariance other than the first."""

    estimate: np.ndarray
    se: np.ndarray
    df: np.ndarray
    p: np.ndarray
    fallbacks: dict[str, int]

    @property
    def known(self) -> np.ndarray:
        """Which trials could be analysed, ``(R,)``."""
        return np.isfinite(self.p)

    def interval(self, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper limits, ``(R,)`` each."""
        from scipy.special import ndtri, stdtrit

        wide = np.where(np.isfinite(self.df), stdtrit(np.where(np.isfinite(self.df), self.df, 1.0), 0.5 + level / 2),
                        ndtri(0.5 + level / 2))  # fmt: skip
        half = wide * self.se
        return self.estimate - half, self.estimate + half


def ancova(a: np.ndarray, b: np.ndarray, base_a: np.ndarray | None, base_b: np.ndarray | None) -> Answers:
    """Differences of arms ``a`` - ``b`` in values ``(R, n_a)`` and ``(R, n_b)``, adjusted for the baselines where they are given.

    Without baselines this is the t test with one variance.
    """
    y = np.concatenate([a, b], axis=1)
    arm = np.concatenate([np.ones(a.shape[1]), np.zeros(b.shape[1])])
    known = np.isfinite(y)
    columns = [np.ones_like(y), np.broadcast_to(arm, y.shape)]
    if base_a is not None and base_b is not None:
        base = np.concatenate([base_a, base_b], axis=1)
        known &= np.isfinite(base)
        columns.append(np.where(known, base, 0.0) - np.nanmean(np.where(known, base, np.nan), axis=1, keepdims=True))
    x = np.where(known[..., None], np.stack(columns, axis=-1), 0.0)
    z = np.where(known, y, 0.0)
    normal = np.einsum("rni,rnj->rij", x, x)
    fine = np.linalg.matrix_rank(normal) == x.shape[-1]
    normal[~fine] = np.eye(x.shape[-1])
    inverse = np.linalg.inv(normal)
    beta = np.einsum("rij,rnj,rn->ri", inverse, x, z)
    df = known.sum(axis=1) - x.shape[-1]
    rest = np.where(known, z - np.einsum("rni,ri->rn", x, beta), 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.where(df > 0, (rest**2).sum(axis=1) / np.maximum(df, 1), np.nan)
        se = np.sqrt(variance * inverse[:, 1, 1])
        t = beta[:, 1] / se
    p = np.where(fine & (df > 0), _two_sided(t, np.maximum(df, 1)), np.nan)
    return Answers(beta[:, 1], se, df.astype(float), p, {})


def mmrm(a: np.ndarray, b: np.ndarray, columns: Sequence[int], df: str = "kenward-roger") -> list[Answers]:
    """MMRM of changes in arms ``a`` (R, n_a, V) and ``b``, the baseline in column 0, at each of the ratings ``columns``.

    Means by arm and visit, baseline by visit; the covariance unstructured, else heterogeneous Toeplitz, else AR(1). Where nothing
    is missing the answer is that of the analysis of covariance at the visit, in every digit, which is then what is computed.
    """
    whole = np.isfinite(a).all(axis=(1, 2)) & np.isfinite(b).all(axis=(1, 2))
    parts = np.full((len(columns), 4, len(a)), np.nan)
    if whole.any():
        for k, column in enumerate(columns):
            answer = ancova(a[whole, :, column], b[whole, :, column], a[whole, :, 0], b[whole, :, 0])
            parts[k][:, whole] = answer.estimate, answer.se, answer.df, answer.p
    fallbacks: dict[str, int] = {}
    arm = np.concatenate([np.ones(a.shape[1], np.int64), np.zeros(b.shape[1], np.int64)])
    for r in np.flatnonzero(~whole):
        y = np.concatenate([a[r], b[r]])
        there = np.isfinite(y[:, 0]) & np.isfinite(y[:, 1:]).any(axis=1)
        try:
            fitted = differences(y[there, 1:], arm[there], y[there, 0], covariance=COVARIANCES, df=df)
        except (NoCovariance, np.linalg.LinAlgError, ValueError):
            fallbacks[NONE] = fallbacks.get(NONE, 0) + 1
            continue
        if fitted.covariance != COVARIANCES[0]:
            fallbacks[fitted.covariance] = fallbacks.get(fitted.covariance, 0) + 1
        for k, column in enumerate(columns):
            parts[k][:, r] = [part[0, column - 1] for part in (fitted.estimate, fitted.se, fitted.df, fitted.p)]
    return [Answers(part[0], part[1], part[2], part[3], fallbacks) for part in parts]


def shares(a: np.ndarray, b: np.ndarray) -> Answers:
    """Difference of two shares from zeros and ones ``(R, n)``, NaN for who is left out; the score test (pooled variance)."""
    na, nb = np.isfinite(a).sum(axis=1), np.isfinite(b).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        pa, pb = np.nansum(a, axis=1) / na, np.nansum(b, axis=1) / nb
        pooled = (np.nansum(a, axis=1) + np.nansum(b, axis=1)) / (na + nb)
        null = np.sqrt(pooled * (1 - pooled) * (1 / na + 1 / nb))
        se = np.sqrt(pa * (1 - pa) / na + pb * (1 - pb) / nb)
        z = np.where(null > 0, (pa - pb) / null, 0.0)
    infinite = np.full(len(z), np.inf)
    p = np.where((na > 0) & (nb > 0), _two_sided(z), np.nan)
    return Answers(pa - pb, se, infinite, p, {})


def _two_sided(t: np.ndarray, df: np.ndarray | None = None) -> np.ndarray:
    """P(|T| > |t|), of the normal law without ``df``."""
    from scipy.special import ndtr, stdtr

    return np.asarray(2 * (ndtr(-np.abs(t)) if df is None else stdtr(df, -np.abs(t))))


def responds(values: np.ndarray, column: int, fall: float, failed: np.ndarray | None = None) -> np.ndarray:
    """Who responds at a rating, 1 or 0, ``(R, n)``: missing scores and failures are non-response; NaN without a baseline."""
    base = values[:, :, 0]
    with np.errstate(invalid="ignore"):
        yes = values[:, :, column] <= (1 - fall) * base + EDGE
    if failed is not None:
        yes &= ~failed
    return np.where(np.isfinite(base), yes.astype(float), np.nan)


def remits(values: np.ndarray, column: int, below: float, failed: np.ndarray | None = None) -> np.ndarray:
    """Who is in remission at a rating, as ``responds``."""
    with np.errstate(invalid="ignore"):
        yes = values[:, :, column] <= below + EDGE
    if failed is not None:
        yes &= ~failed
    return np.where(np.isfinite(values[:, :, 0]), yes.astype(float), np.nan)

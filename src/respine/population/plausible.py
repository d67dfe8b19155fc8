"""Virtual patients like real ones: accepted by prevalence among plausible ones, or weighted; what the fit is worth is told.

Candidates are people simulated as widely as one believes in; ``targets`` say how observed quantities are spread in a real
cohort. Acceptance follows Allen, Rieger and Musante 2016 (doi:10.1002/psp4.12063): a candidate is kept with a probability that is
proportional to the density of the cohort at its place over that of the candidates. Weights are those nearest to equal (in
entropy) with the target's moments (Hainmueller 2012, doi:10.1093/pan/mpr025). Both give the effective sample size (Kish 1965) and
a table of quantities that were held out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from respine.errors import InputError, argument
from respine.files.suggest import nearest
from respine.population.random import uniforms

if TYPE_CHECKING:
    import pandas as pd

NEIGHBOURS = 5  # of the density of candidates, as in the paper
LEAST = 50
STEPS = 200
WORST = 0.1  # distance beyond chance, from which a cohort is not what was asked for


@dataclass(frozen=True)
class Target:
    """How a quantity is spread in the cohort: ``mean`` and ``sd``, on the log scale (``log``) where it is log-normal."""

    mean: float
    sd: float
    log: bool = False

    def scaled(self, values: np.ndarray) -> np.ndarray:
        """Values in SD from the mean. Raises ValueError for what has no logarithm."""
        if self.log and (values <= 0).any():
            raise ValueError("a log-normal target is for positive values")
        return ((np.log(values) if self.log else values) - self.mean) / self.sd


@dataclass(frozen=True)
class Cohort:
    """Virtual patients: ``weight`` (n,) of each candidate, 0 or 1 where they were accepted; ``size`` the effective sample size;
    ``table`` a row a quantity (mean and SD wanted, of candidates and of the cohort; ``used`` or held out; ``distance`` the
    largest difference of distribution functions)."""

    weight: np.ndarray
    size: float
    table: pd.DataFrame
    method: str

    @property
    def accepted(self) -> np.ndarray:
        """Positions of the patients that were accepted, or that carry weight."""
        return np.flatnonzero(self.weight > 0)

    def __repr__(self) -> str:
        return f"Cohort by {self.method}: {len(self.accepted)} of {len(self.weight)} candidates, effective size {self.size:.0f}"


def accept(
    candidates: pd.DataFrame, targets: Mapping[str, Target | Mapping[str, Any]], *, correlation: np.ndarray | None = None,
    seed: int = 1, held_out: Sequence[str] = (),
) -> Cohort:  # fmt: skip
    """Accept candidates by prevalence, so that the accepted are spread as the targets say, together.

    ``correlation`` (k, k) of the targets that are used, the identity if left out; ``held_out`` are targets that are only
    compared. The share accepted is the largest whose distance from the targets is not worse than chance. Raises InputError for a
    target that the candidates lack or do not reach.
    """
    named, used, z = _prepared(candidates, targets, held_out)
    k = len(used)
    rho = np.eye(k) if correlation is None else np.asarray(correlation, float)
    wanted = np.exp(-0.5 * np.einsum("ni,ij,nj->n", z, np.linalg.inv(rho), z)) / np.sqrt(
        (2 * np.pi) ** k * np.linalg.det(rho)
    )
    ratio = wanted / _density(z)
    chance = uniforms(seed, "acceptance of plausible patients", 0, len(z))[:, 0]
    best, score = np.zeros(len(z), bool), np.inf
    for quantile in np.linspace(1.0, 0.5, 26):  # the constant that turns ratios into probabilities
        kept = chance < np.minimum(ratio / max(np.quantile(ratio, quantile), 1e-300), 1.0)
        if kept.sum() < LEAST:
            continue
        distance = max(_distance(z[kept, i], np.ones(int(kept.sum()))) for i in range(k))
        excess = distance - 0.9 / np.sqrt(kept.sum())  # what chance alone leaves
        if excess <= 0 and kept.sum() > best.sum():
            best, score = kept, min(score, 0.0)
        elif score > 0 and excess < score:
            best, score = kept, excess
    if not best.any() or score > WORST:
        raise _unreached(used, z)
    weight = best.astype(float)
    return Cohort(weight, float(best.sum()), _table(candidates, named, used, weight), "prevalence-weighted acceptance")


def weigh(
    candidates: pd.DataFrame, targets: Mapping[str, Target | Mapping[str, Any]], *, held_out: Sequence[str] = ()
) -> Cohort:
    """Weights for all candidates that give the targets' means and SDs exactly and are otherwise as equal as they can be.

    Raises InputError for a target that no weights can reach.
    """
    from scipy.optimize import minimize

    named, used, z = _prepared(candidates, targets, held_out)
    moments = np.column_stack([z, z**2 - 1])

    def dual(lam: np.ndarray) -> tuple[float, np.ndarray]:
        a = -moments @ lam
        top = a.max()
        e = np.exp(a - top)
        return float(np.log(e.mean()) + top), -(e @ moments) / e.sum()

    with np.errstate(over="ignore", invalid="ignore"):  # where no weights reach the targets the search runs away
        start = np.zeros(moments.shape[1])
        optimum = minimize(dual, start, jac=True, method="BFGS", options={"gtol": 1e-8, "maxiter": STEPS})
    a = -moments @ optimum.x
    weight = np.exp(a - a.max())
    weight *= len(weight) / weight.sum()
    off = np.abs(weight @ moments / len(weight)).max()
    if not np.isfinite(off) or off > 1e-3:
        raise _unreached(used, z)
    size = float(weight.sum() ** 2 / (weight**2).sum())
    return Cohort(weight, size, _table(candidates, named, used, weight), "calibration weights")


def _prepared(
    candidates: pd.DataFrame, targets: Mapping[str, Target | Mapping[str, Any]], held_out: Sequence[str]
) -> tuple[dict[str, Target], list[str], np.ndarray]:
    columns = [str(c) for c in candidates.columns]
    for name in (*targets, *held_out):
        if name not in columns:
            raise InputError(
                argument("targets", name, "The candidates have no quantity of this name.", nearest(name, columns))
            )
    named = {name: target if isinstance(target, Target) else Target(**target) for name, target in targets.items()}
    for name, target in named.items():
        if not target.sd > 0 or not np.isfinite([target.mean, target.sd]).all():
            raise InputError(argument("targets", name, "The SD of a target is more than 0.", "Correct it."))
    for name in held_out:
        if name not in named:
            raise InputError(
                argument("held_out", name, "Nothing is wanted of this quantity.", "Add its mean and SD to targets.")
            )
    used = [name for name in named if name not in held_out]
    if not used or len(candidates) < LEAST:
        why = "Every target is held out." if not used else f"{len(candidates)} candidates are too few."
        raise InputError(
            argument("targets", ", ".join(named), why, f"Use one target at least, and {LEAST} candidates or more.")
        )
    try:
        z = np.column_stack([named[name].scaled(candidates[name].to_numpy(float)) for name in used])
    except ValueError as error:
        raise InputError(argument("targets", "log", f"{error}".capitalize() + ".", "Leave log out.")) from None
    if not np.isfinite(z).all():
        raise InputError(argument("candidates", "", "Some candidates lack a number.", "Leave them out first."))
    return named, used, z


def _density(z: np.ndarray) -> np.ndarray:
    """Density of the candidates at their own places from the distance of the nearest neighbours."""
    from math import gamma, pi

    from scipy.spatial import cKDTree

    n, k = z.shape
    near = min(NEIGHBOURS, n - 1)
    radius = np.maximum(cKDTree(z).query(z, k=near + 1)[0][:, -1], 1e-9)
    return np.asarray(near / n / (pi ** (k / 2) / gamma(k / 2 + 1) * radius**k))


def _distance(z: np.ndarray, weight: np.ndarray) -> float:
    """Largest difference between the weighted distribution function and the standard normal one (Kolmogorov)."""
    from scipy.special import ndtr

    order = np.argsort(z)
    share = np.cumsum(weight[order]) / weight.sum()
    exact = ndtr(z[order])
    return float(max(np.abs(share - exact).max(), np.abs(np.concatenate([[0], share[:-1]]) - exact).max()))


def _table(
    candidates: pd.DataFrame, named: Mapping[str, Target], used: Sequence[str], weight: np.ndarray
) -> pd.DataFrame:
    import pandas as pd

    rows = []
    for name, target in named.items():
        values = candidates[name].to_numpy(float)
        values = np.log(values) if target.log else values
        mean = float(np.average(values, weights=weight))
        rows.append({
            "quantity": name, "role": "used" if name in used else "held out", "scale": "log" if target.log else "plain",
            "mean_wanted": target.mean, "mean_candidates": float(values.mean()), "mean_cohort": mean,
            "sd_wanted": target.sd, "sd_candidates": float(values.std(ddof=1)),
            "sd_cohort": float(np.sqrt(np.average((values - mean) ** 2, weights=weight))),
            "distance": _distance((values - target.mean) / target.sd, weight),
        })  # fmt: skip
    return pd.DataFrame(rows)


def _unreached(used: Sequence[str], z: np.ndarray) -> InputError:
    worst = int(np.argmax(np.abs(z.mean(axis=0))))
    why = (f"The candidates do not reach the targets: {used[worst]} of the candidates lies {abs(z.mean(axis=0)[worst]):.1f} SD "
           "from its target on average.")  # fmt: skip
    return InputError(argument("targets", used[worst], why, "Draw candidates more widely, or correct the target."))

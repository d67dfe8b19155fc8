"""The forecast record: how good predictions of trials were as forecasts, by trial, beside two forecasts that need no model.

A published row is one observation of a predictive distribution, kept as quantiles. Its place in it (PIT) is uniform for an honest
forecaster; for counts it is drawn at random between both edges of the step (Czado 2009). The continuous ranked probability score
(CRPS; Gneiting & Raftery 2007) and the interval score reward sharpness and honesty together, in the unit of the row; skill is the
share by which they are lower than those of a reference:

* ``class mean``: the mean and SD of results of role fit of the same class from other trials, earlier ones where there are any;
* ``meta-analysis``: random effects (DerSimonian & Laird 1986) over the same results, with the row's own sampling error.

Rows of one trial hang together: every number is a mean over trials of means over their rows.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from respine.evidence.row import ComparedRow
from respine.files.constants import Z90, Z95
from respine.population import inverse_normal, uniforms
from respine.trial.trials import LEVELS

ARM_TYPES = ("active", "control", "contrast")
REFERENCES = ("class mean", "meta-analysis")
LEAST = 2  # results of a class that a reference needs
BINS = 10
COLUMNS = (
    "id", "trial", "year", "role", "system", "arm_type", "kin", "unit", "n", "published", "median", "low", "high", "inside_90",
    "inside_50", "z", "pit", "crps", "interval_score", "width_90", "class mean crps", "class mean interval_score",
    "meta-analysis crps", "meta-analysis interval_score",
)  # fmt: skip


SUMMARY = (
    "arm_type", "trials", "rows", "inside_90", "inside_50", "rms_z", "above",
    *(f"{name} {part}" for name in REFERENCES for part in ("rows", "skill", "interval skill")),
)  # fmt: skip


@dataclass(frozen=True)
class Normal:
    """A reference forecast: mean and SD."""

    mean: float
    sd: float


def record(rows: Iterable[ComparedRow], seed: int = 1) -> pd.DataFrame:
    """A line for every row of a trial with a number and a predictive distribution, with the columns ``COLUMNS``."""
    usable = [row for row in rows if row.kind == "trial" and row.quantiles and math.isfinite(row.published)]
    known = [row for row in usable if row.role == "fit"]
    records = []
    for k, row in enumerate(usable):
        quantiles = np.asarray(row.quantiles)
        line: dict[str, Any] = {
            "id": row.id, "trial": trial_of(row), "year": row.year, "role": row.role, "system": row.system,
            "arm_type": row.arm_type, "kin": row.kin, "unit": row.unit, "n": row.n, "published": row.published,
            "median": row.predicted, "low": row.low, "high": row.high,
            "inside_90": bool(row.low <= row.published <= row.high), "inside_50": bool(row.q25 <= row.published <= row.q75),
            "z": row.z,
            "pit": pit(row.published, quantiles, _half_step(row), float(uniforms(seed, f"pit {row.id}", k, k + 1)[0, 0])),
            "crps": crps(row.published, quantiles), "interval_score": interval_score(row.published, row.low, row.high),
            "width_90": row.high - row.low,
        }  # fmt: skip
        for name, forecast in zip(REFERENCES, references(row, known), strict=True):
            line[f"{name} crps"], line[f"{name} interval_score"] = _scores(row.published, forecast)
        records.append(line)
    return pd.DataFrame(records, columns=list(COLUMNS))


def trial_of(row: ComparedRow) -> str:
    """The trial a row belongs to: rows of one study of the library hang together, whatever paper they were read in."""
    return row.study


def _half_step(row: ComparedRow) -> float:
    """Half of the step between values that can be: of a percentage of n people; 0 for what is not counted."""
    return 50.0 / row.n if row.unit.strip() == "%" and row.n and row.arm_type != "contrast" else 0.0


def pit(published: float, quantiles: np.ndarray, half_step: float, uniform: float) -> float:
    """Place of the published value in the distribution, 0-1, drawn at random over what counts as the same value."""
    below = int((quantiles < published - half_step).sum())
    up_to = int((quantiles <= published + half_step).sum())
    return (below + uniform * (up_to - below + 1)) / (len(quantiles) + 1)


def crps(published: float, quantiles: np.ndarray) -> float:
    """Continuous ranked probability score: twice the mean pinball loss over the quantile levels."""
    away = published - quantiles
    levels = np.asarray(LEVELS)
    return float(2 * np.mean(np.where(away >= 0, levels * away, (levels - 1) * away)))


def interval_score(published: float, low: float, high: float, share: float = 0.9) -> float:
    """Width of a central interval and a fine for what lies outside (Gneiting & Raftery 2007)."""
    fine = 2 / (1 - share)
    return (high - low) + fine * max(low - published, 0.0) + fine * max(published - high, 0.0)


def _scores(published: float, forecast: Normal | None) -> tuple[float, float]:
    if forecast is None:
        return math.nan, math.nan
    quantiles = forecast.mean + forecast.sd * inverse_normal(np.asarray(LEVELS))
    low, high = forecast.mean - Z90 * forecast.sd, forecast.mean + Z90 * forecast.sd
    return crps(published, quantiles), interval_score(published, low, high)


def references(row: ComparedRow, known: Sequence[ComparedRow]) -> tuple[Normal | None, Normal | None]:
    """The two forecasts that need no model: from results of the row's class in other trials, earlier ones if there are enough."""
    alike = [
        other for other in known if other.kin == row.kin and other.unit == row.unit and trial_of(other) != trial_of(row)
    ]
    if row.year is not None:
        earlier = [other for other in alike if other.year is not None and other.year < row.year]
        alike = earlier if len(_by_trial(earlier)) >= LEAST else alike
    results = _by_trial(alike)
    if len(results) < LEAST:
        return None, None
    values = np.array([value for value, _ in results])
    errors = np.array([error for _, error in results])
    spread = float(values.std(ddof=1))
    mean = Normal(float(values.mean()), spread * math.sqrt(1 + 1 / len(values)) or 1e-9)
    return mean, _meta_analysis(values, errors, _error(row))


def _by_trial(rows: Iterable[ComparedRow]) -> list[tuple[float, float]]:
    """One result and standard error a trial."""
    groups: dict[str, list[ComparedRow]] = defaultdict(list)
    for row in rows:
        groups[trial_of(row)].append(row)
    return [
        (float(np.mean([row.published for row in group])), float(np.nanmean([_error(row) for row in group])))
        for group in groups.values()
        if any(math.isfinite(_error(row)) for row in group)
    ]


def _error(row: ComparedRow) -> float:
    return (row.published_high - row.published_low) / 2 / Z95 if math.isfinite(row.published_high) else math.nan


def _meta_analysis(values: np.ndarray, errors: np.ndarray, own: float) -> Normal | None:
    """What a new trial with this standard error is forecast by random effects (DerSimonian & Laird 1986)."""
    errors = np.maximum(errors, 1e-9)
    weight = errors**-2
    fixed = float((weight * values).sum() / weight.sum())
    q = float((weight * (values - fixed) ** 2).sum())
    scale = float(weight.sum() - (weight**2).sum() / weight.sum())
    tau2 = max(0.0, (q - (len(values) - 1)) / scale) if scale > 0 else 0.0
    weight = 1 / (errors**2 + tau2)
    mean = float((weight * values).sum() / weight.sum())
    own = own if math.isfinite(own) else float(np.median(errors))
    return Normal(mean, math.sqrt(tau2 + 1 / float(weight.sum()) + own**2))


def by_arm_type(lines: pd.DataFrame, role: str = "") -> pd.DataFrame:
    """One line an arm type and one for all, clustered by trial.

    Columns ``SUMMARY``: ``arm_type, trials, rows, inside_90, inside_50, rms_z, above`` as means over trials (``above`` is the
    share of published values above the median) and for each reference ``REFERENCE rows`` and ``REFERENCE
    skill`` (1 - CRPS over the reference's) and ``REFERENCE interval skill``.
    """
    chosen = lines[lines["role"] == role] if role else lines
    groups = [(kind, chosen[chosen["arm_type"] == kind]) for kind in ARM_TYPES] + [("all", chosen)]
    return pd.DataFrame([_summary(kind, group) for kind, group in groups if len(group)], columns=list(SUMMARY))


def _summary(kind: str, group: pd.DataFrame) -> dict[str, Any]:
    def mean(value: Callable[[pd.DataFrame], Any]) -> float:
        each = [np.nanmean(np.asarray(value(rows), float)) for _, rows in group.groupby("trial") if len(rows)]
        return float(np.nanmean(each)) if each else math.nan

    summary: dict[str, Any] = {
        "arm_type": kind, "trials": int(group["trial"].nunique()), "rows": len(group),
        "inside_90": mean(lambda g: g["inside_90"]), "inside_50": mean(lambda g: g["inside_50"]),
        "rms_z": math.sqrt(mean(lambda g: g["z"] ** 2)), "above": mean(lambda g: g["published"] > g["median"]),
    }  # fmt: skip
    for name in REFERENCES:
        own = group[np.isfinite(group[f"{name} crps"])]
        summary[f"{name} rows"] = len(own)
        for score, label in (("crps", "skill"), ("interval_score", "interval skill")):
            summary[f"{name} {label}"] = _skill(own, score, f"{name} {score}")
    return summary


def _skill(group: pd.DataFrame, score: str, reference: str) -> float:
    """1 - mean score over the reference's: units differ between rows, so each trial's ratio counts, as a geometric mean."""
    ratios = [
        math.log(max(rows[score].mean(), 1e-9) / max(rows[reference].mean(), 1e-9))
        for _, rows in group.groupby(["trial", "unit"])
        if len(rows)
    ]
    return 1 - math.exp(float(np.mean(ratios))) if ratios else math.nan


def by_trial(lines: pd.DataFrame) -> pd.DataFrame:
    """One line a trial: ``trial, role, rows, inside_90, inside_50, rms_z, crps, class mean crps, meta-analysis crps``."""
    trials = []
    for (trial, role), rows in lines.groupby(["trial", "role"], sort=False):
        trials.append({
            "trial": trial, "role": role, "rows": len(rows), "inside_90": float(rows["inside_90"].mean()),
            "inside_50": float(rows["inside_50"].mean()), "rms_z": float(np.sqrt(np.nanmean(rows["z"] ** 2))),
            "width_90": float(rows["width_90"].median()),
            **{name: float(rows[name].mean()) for name in ("crps", "interval_score", "class mean crps", "meta-analysis crps")},
        })  # fmt: skip
    return pd.DataFrame(trials)


def histogram(lines: pd.DataFrame) -> pd.DataFrame:
    """PIT by tenths, each trial with the weight of one: ``from, to, share``; an honest forecaster has a tenth in each."""
    edges = np.linspace(0, 1, BINS + 1)
    each = [np.histogram(rows["pit"], edges)[0] / len(rows) for _, rows in lines.groupby("trial")]
    share = np.mean(each, axis=0) if each else np.full(BINS, math.nan)
    return pd.DataFrame({"from": edges[:-1], "to": edges[1:], "share": share})


def to_plain(frame: pd.DataFrame) -> list[Mapping[str, Any]]:
    """Rows of plain values; numbers that are not there are None."""

    def plain(value: Any) -> Any:
        value = value.item() if hasattr(value, "item") else value
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return [{str(name): plain(value) for name, value in row.items()} for row in frame.to_dict("records")]

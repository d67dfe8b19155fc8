"""Endpoints: from the scores of a person to one value each, and from these to one number per arm."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from respine.study.schema import Study
from respine.trial import scales
from respine.trial.panel import TOLERANCE_H, Panel

PERCENT = ("response", "remission", "relapse-free", "in-range")
# shares of two arms set against each other: kind -> the share, and how
CONTRASTS = {
    f"{share}-{how}": (share, how)
    for share in ("response", "remission")
    for how in ("difference", "ratio", "odds-ratio")
}
AGAINST = (
    "difference", "difference-in-change", "percent-of-control", "percent-restored", "effect-size", *CONTRASTS,
)  # fmt: skip
KINDS = (*PERCENT, *AGAINST, "score", "change", "percent-change", "time-to-relapse", "peak", "trough")


@dataclass(frozen=True)
class Endpoint:
    """One number per arm, times in hours, shares as fractions; as the study schema has it, every default filled in.

    ``response`` is a fall of at least ``drop`` of the baseline score, ``remission`` a score of at most ``below``; with
    ``by`` they count when met at any visit after baseline up to then. ``response-difference`` (percentage points),
    ``response-ratio`` and ``response-odds-ratio`` set the share of an arm against that of the arm ``arm``;
    ``effect-size`` is the difference in change over the SD of the changes of both arms.

    ``time-to-relapse`` and ``relapse-free`` look at the responders of visit ``at``: relapsed is who reaches ``above`` or has
    lost the share ``lost`` of the improvement; times count from ``begin``. A responder without relapse counts with the end
    of follow-up (restricted mean).
    """

    name: str
    of: str
    kind: str
    at: float | None = None
    by: float | None = None
    begin: float = 0.0
    until: float | None = None
    drop: float = 0.5
    below: float | None = None
    above: float | None = None
    lost: float | None = None
    arm: str | None = None
    healthy: str | None = None
    analysis: str = "none"

    @property
    def time(self) -> float:
        """The time under which the result is listed, hours."""
        chosen = self.until if self.kind in ("time-to-relapse", "relapse-free", "peak", "trough") else self.by
        for t in (chosen, self.at, self.by, self.until):
            if t is not None:
                return t
        return float("nan")

    @property
    def adjusted(self) -> bool:
        """Whether group means are adjusted for baseline (without missing visits MMRM gives the same)."""
        return self.analysis in ("ancova", "mmrm") and self.kind in (
            "score",
            "change",
            "difference",
            "difference-in-change",
        )


def of_study(study: Study) -> list[Endpoint]:
    """The endpoints of a study file with the defaults of their scales."""
    result = []
    for e in study.endpoints:
        scale = scales.load(e.of, study.library) if scales.is_scale(e.of, study.library) else None
        below = e.below if e.below is not None else (scale.remission_at_most if scale else None)
        result.append(Endpoint(
            name=e.name, of=scale.name if scale else e.of, kind=e.kind, at=e.at, by=e.by,
            begin=study.start if e.begin is None else e.begin, until=e.until,
            drop=e.drop if e.drop is not None else (scale.response_drop if scale else 0.5), below=below, above=e.above,
            lost=e.lost, arm=e.arm, healthy=e.healthy, analysis=e.analysis,
        ))  # fmt: skip
    return result


def unit(endpoint: Endpoint) -> str:
    """Unit of an endpoint's number."""
    if endpoint.kind in PERCENT or endpoint.kind in ("percent-change", "percent-of-control", "percent-restored"):
        return "%"
    if endpoint.kind == "time-to-relapse":
        return "h"
    if endpoint.kind == "effect-size":
        return "SD"
    if endpoint.kind in CONTRASTS:
        return "%" if endpoint.kind.endswith("-difference") else "ratio"
    return scales.load(endpoint.of).unit if scales.is_scale(endpoint.of) else "of the output"


def why_not(endpoint: Endpoint, panel: Panel, arm: str) -> str:
    """Why an endpoint cannot be computed in an arm, or an empty text."""
    for name in (arm, *(a for a in (endpoint.arm, endpoint.healthy) if a)):
        if (name, endpoint.of) not in panel.values:
            return f"{endpoint.of} is not observed in arm {name}"
    if endpoint.kind not in KINDS:
        return f"respine has no endpoint of kind {endpoint.kind}"
    if endpoint.kind in AGAINST and endpoint.arm is None:
        return f"{endpoint.kind} needs a reference arm"
    if endpoint.kind == "percent-restored" and endpoint.healthy is None:
        return "percent-restored needs the undamaged arm (healthy)"
    if share_of(endpoint.kind) == "remission" and endpoint.below is None:
        return f"no score of {endpoint.of} counts as remission: give below"
    needed = [t for t in (endpoint.at,) if t is not None]
    if share_of(endpoint.kind) in (
        "change",
        "percent-change",
        "response",
        "difference-in-change",
        "effect-size",
        "time-to-relapse",
        "relapse-free",
    ):
        needed.append(endpoint.begin)
    if endpoint.at is None and endpoint.by is None and endpoint.kind not in ("peak", "trough"):
        return "it has no time"
    missing = [t for t in needed if panel.column(endpoint.of, t) is None]
    if missing:
        return f"{endpoint.of} is not observed at {missing[0]:g} h: add the time to visits"
    return ""


def share_of(kind: str) -> str:
    """The share that a contrast of two arms is made of; any other kind as it is."""
    return CONTRASTS[kind][0] if kind in CONTRASTS else kind


def person_values(endpoint: Endpoint, panel: Panel, arm: str) -> np.ndarray:
    """One value a subject, ``(n_subjects,)``: a score, a change, 0 or 1; NaN for who is not in the analysis."""
    values, grid = panel.values[arm, endpoint.of], panel.times[endpoint.of]
    kind = share_of(endpoint.kind)
    if kind in ("peak", "trough"):
        last = np.inf if endpoint.until is None else endpoint.until
        window = values[:, (grid >= endpoint.begin - TOLERANCE_H) & (grid <= last + TOLERANCE_H)]
        found = np.full(len(values), np.nan)
        has = np.isfinite(window).any(axis=1)
        found[has] = (np.nanmax if kind == "peak" else np.nanmin)(window[has], axis=1)
        return found
    base = baseline_values(endpoint, panel, arm)
    if kind in ("time-to-relapse", "relapse-free"):
        return _relapse(endpoint, values, grid, base)
    if kind in ("response", "remission") and endpoint.by is not None:
        window = values[:, (grid > endpoint.begin + TOLERANCE_H) & (grid <= endpoint.by + TOLERANCE_H)]
    else:
        assert endpoint.at is not None
        index = panel.column(endpoint.of, endpoint.at)
        assert index is not None
        window = values[:, index : index + 1]
    seen = np.isfinite(window).any(axis=1)
    now = window[:, 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        if kind == "response":
            known = seen & np.isfinite(base)
            return np.where(known, (window <= (1 - endpoint.drop) * base[:, None] + 1e-9).any(axis=1), np.nan)
        if kind == "remission":
            assert endpoint.below is not None
            return np.where(seen, (window <= endpoint.below + 1e-9).any(axis=1), np.nan)
        if kind == "in-range":
            low = -np.inf if endpoint.above is None else endpoint.above
            high = np.inf if endpoint.below is None else endpoint.below
            return np.where(seen, (now >= low - 1e-9) & (now <= high + 1e-9), np.nan)
        if kind in ("change", "difference-in-change", "effect-size"):
            return now - base
        if kind == "percent-change":
            return np.where(base != 0, 100 * (now - base) / base, np.nan)
    return now


def baseline_values(endpoint: Endpoint, panel: Panel, arm: str) -> np.ndarray:
    """Each subject's value at the endpoint's baseline, NaN where there is none."""
    index = panel.column(endpoint.of, endpoint.begin)
    values = panel.values[arm, endpoint.of]
    return values[:, index] if index is not None else np.full(len(values), np.nan)


def _relapse(endpoint: Endpoint, values: np.ndarray, grid: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Hours from ``begin`` to relapse (end of follow-up without one), or 1/0 for still well; NaN for non-responders."""
    assert endpoint.at is not None
    start = int(np.argmin(np.abs(grid - endpoint.at)))
    last = grid[-1] if endpoint.until is None else endpoint.until
    later = np.flatnonzero((grid > grid[start] + TOLERANCE_H) & (grid <= last + TOLERANCE_H))
    best = values[:, start]
    with np.errstate(invalid="ignore"):
        responder = best <= (1 - endpoint.drop) * base + 1e-9
        gone = np.zeros((len(values), len(later)), bool)
        if endpoint.above is not None:
            gone |= values[:, later] >= endpoint.above
        if endpoint.lost is not None:
            gone |= values[:, later] - best[:, None] >= endpoint.lost * (base - best)[:, None]
        if endpoint.above is None and endpoint.lost is None:  # no longer a responder
            gone |= values[:, later] > (1 - endpoint.drop) * base[:, None] + 1e-9
    ever = gone.any(axis=1)
    if endpoint.kind == "relapse-free":
        return np.where(responder, (~ever).astype(float), np.nan)
    end = last if not len(later) else grid[later[-1]]
    first = grid[later[gone.argmax(axis=1)]] if len(later) else np.full(len(values), last)
    return np.where(responder, np.where(ever, first, end) - endpoint.begin, np.nan)


Sample = Mapping[str, tuple[np.ndarray, np.ndarray]]


def arms_needed(endpoint: Endpoint, arm: str, all_arms: list[str]) -> list[str]:
    """Arms whose people an endpoint of ``arm`` is computed from; all of them for a baseline-adjusted mean."""
    named = [arm, *(a for a in (endpoint.arm, endpoint.healthy) if a)]
    return list(dict.fromkeys([*named, *(all_arms if endpoint.adjusted else [])]))


def sample_of(endpoint: Endpoint, panel: Panel, arms: list[str]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Per arm the values and baselines of all its people, ``(n_subjects,)`` each."""
    adjusted = endpoint.adjusted
    return {
        arm: (person_values(endpoint, panel, arm), baseline_values(endpoint, panel, arm) if adjusted else np.zeros(0))
        for arm in arms
        if (arm, endpoint.of) in panel.values
    }


def estimate(endpoint: Endpoint, arm: str, sample: Sample) -> np.ndarray:
    """The endpoint of an arm from samples of people, ``(..., n)`` per arm (values, baselines); result ``(...)``."""
    means = _adjusted_means(sample) if endpoint.adjusted else {a: _mean(v) for a, (v, _) in sample.items()}
    mean = means[arm]
    if endpoint.kind in PERCENT:
        return 100 * mean
    if endpoint.kind not in AGAINST:
        return mean
    assert endpoint.arm is not None
    other = means[endpoint.arm]
    if endpoint.kind in CONTRASTS:
        return _contrast(CONTRASTS[endpoint.kind][1], mean, other)
    with np.errstate(invalid="ignore", divide="ignore"):
        if endpoint.kind == "percent-of-control":
            return 100 * mean / other
        if endpoint.kind == "percent-restored":
            assert endpoint.healthy is not None
            return 100 * (mean - other) / (means[endpoint.healthy] - other)
        if endpoint.kind == "effect-size":
            return (mean - other) / _pooled_sd(sample[arm][0], sample[endpoint.arm][0])
    return mean - other


def _contrast(how: str, mine: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Two shares against each other: percentage points, or a ratio that is NaN where nobody or everybody is counted."""
    if how == "difference":
        return np.asarray(100 * (mine - other))
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = mine / other if how == "ratio" else mine * (1 - other) / (other * (1 - mine))
    return np.asarray(np.where(np.isfinite(ratio), ratio, np.nan))


def _mean(values: np.ndarray) -> np.ndarray:
    known = np.isfinite(values)
    count = known.sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(known, values, 0.0).sum(axis=-1) / np.where(count > 0, count, np.nan))


def _pooled_sd(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    squares, free = 0.0, 0.0
    for v in (a, b):
        squares = squares + np.nansum((v - _mean(v)[..., None]) ** 2, axis=-1)
        free = free + np.isfinite(v).sum(axis=-1) - 1
    return np.asarray(np.sqrt(squares / free))


def _adjusted_means(sample: Sample) -> dict[str, np.ndarray]:
    """Means at the baseline of all arms together, with the slope within arms (analysis of covariance)."""
    cross, square, total, count = (np.zeros(()) for _ in range(4))
    parts: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for arm, (values, base) in sample.items():
        known = np.isfinite(values) & np.isfinite(base)
        v, b = np.where(known, values, np.nan), np.where(known, base, np.nan)
        mv, mb = _mean(v), _mean(b)
        parts[arm] = (mv, mb)
        cross = cross + np.nansum((v - mv[..., None]) * (b - mb[..., None]), axis=-1)
        square = square + np.nansum((b - mb[..., None]) ** 2, axis=-1)
        n = known.sum(axis=-1)
        total, count = total + np.where(n > 0, n * np.nan_to_num(mb), 0.0), count + n
    with np.errstate(invalid="ignore", divide="ignore"):
        slope = np.where(np.asarray(square) > 0, cross / np.asarray(square), 0.0)
        grand = total / count
    return {arm: np.asarray(mv - slope * (mb - grand)) for arm, (mv, mb) in parts.items()}


def endpoints(study: Study, panel: Panel) -> pd.DataFrame:
    """Every endpoint of the study in every arm it can be computed in, over all virtual people.

    Columns ``arm, endpoint, scale, kind, time_h, unit, n, value, sd, se, middle, note``: ``sd`` and ``se`` of the
    people's values (in percent points for shares), ``middle`` their median; a reason in ``note`` where there is no
    value.
    """
    rows: list[dict[str, object]] = []
    arms = list(study.arms)
    for endpoint in of_study(study):
        for arm in arms:
            if arm in (endpoint.arm, endpoint.healthy):
                continue
            row: dict[str, object] = {"arm": arm, "endpoint": endpoint.name, "scale": endpoint.of}
            row |= {"kind": endpoint.kind, "time_h": endpoint.time, "unit": unit(endpoint)}
            reason = why_not(endpoint, panel, arm)
            if reason:
                nothing = {"n": 0, "value": np.nan, "sd": np.nan, "se": np.nan, "middle": np.nan, "note": reason}
                rows.append(row | nothing)
                continue
            sample = sample_of(endpoint, panel, arms_needed(endpoint, arm, arms))
            rows.append(
                row
                | _spread(endpoint, sample[arm][0])
                | {"value": float(estimate(endpoint, arm, sample)), "note": _note(endpoint)}
            )
    columns = ["arm", "endpoint", "scale", "kind", "time_h", "unit", "n", "value", "sd", "se", "middle", "note"]
    return pd.DataFrame(rows, columns=columns)


def _spread(endpoint: Endpoint, values: np.ndarray) -> dict[str, object]:
    known = values[np.isfinite(values)]
    factor = 100.0 if endpoint.kind in PERCENT else 1.0
    sd = float(known.std(ddof=1)) * factor if len(known) > 1 else float("nan")
    middle = float(np.median(known)) * factor if len(known) else float("nan")
    return {"n": len(known), "sd": sd, "se": sd / np.sqrt(len(known)) if len(known) else np.nan, "middle": middle}


def _note(endpoint: Endpoint) -> str:
    if endpoint.kind == "time-to-relapse":
        return "responders without relapse count with the end of follow-up"
    return ""


def with_reference(endpoint: Endpoint, reference: str) -> Endpoint:
    """The endpoint against another reference arm."""
    return dataclasses.replace(endpoint, arm=reference)

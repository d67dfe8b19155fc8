"""What each simulated trial answers: a row a trial and comparison, with one look at the data or several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from respine.errors import InputError, argument
from respine.trial.analysis.sequential.adaptive import combine, resize
from respine.trial.analysis.sequential.design import Design
from respine.trial.power.compute import analyse, together
from respine.trial.power.question import Comparison
from respine.trial.replicates.analyses import Answers
from respine.trial.replicates.estimands import named, refuse_composite, scored
from respine.trial.replicates.trials import Trials, chosen

if TYPE_CHECKING:
    import pandas as pd

LEAST_STAGE = 4  # people an arm whose data make a stage


def answers(
    trials: Trials, asked: Sequence[Comparison], *, estimand: str | None = None, alpha: float = 0.05
) -> pd.DataFrame:
    """Every comparison in every trial: ``trial, arm, against, endpoint, scale, visit_h, analysis, estimate, se, df, p``, limits
    ``low, high`` of 1 - ``alpha``, and ``won`` (significant in favour of the arm).

    Raises InputError for an estimand that the outcome cannot have.
    """
    import pandas as pd

    frames = []
    for group in together(asked):
        first = asked[group[0]]
        found = analyse([asked[i].outcome for i in group], *_pair(trials, first, estimand))
        for i, one in zip(group, found, strict=True):
            outcome = asked[i].outcome
            low, high = one.interval(1 - alpha)
            frames.append(pd.DataFrame({
                "trial": trials.first + np.arange(len(trials)), "arm": first.arm, "against": first.against,
                "endpoint": outcome.name, "scale": outcome.scale, "visit_h": outcome.time, "analysis": outcome.method,
                "estimate": one.estimate, "se": one.se, "df": one.df, "p": one.p, "low": low, "high": high,
                "won": (z_for(one, asked[i]) > 0) & (one.p < alpha),
            }))  # fmt: skip
    return pd.concat(frames, ignore_index=True)


def summary(found: pd.DataFrame) -> pd.DataFrame:
    """A row a comparison: mean ``estimate`` over trials, their ``sd``, mean ``se``, shares ``won`` and significant the ``wrong``
    way round, and how many are ``missing`` since they could not be analysed."""
    import pandas as pd

    keys = ["arm", "against", "endpoint", "scale", "visit_h", "analysis"]
    rows = []
    for key, of in found.groupby(keys, sort=False):
        known = of["p"].notna()
        significant = (of["low"] > 0) | (of["high"] < 0)
        rows.append(dict(zip(keys, key, strict=True)) | {
            "trials": len(of), "estimate": of["estimate"].mean(), "sd": of["estimate"].std(), "se": of["se"].mean(),
            "won": of["won"].mean(), "wrong": (significant & ~of["won"]).mean(), "missing": int((~known).sum()),
        })  # fmt: skip
    return pd.DataFrame(rows)


def _pair(trials: Trials, comparison: Comparison, estimand: str | None) -> tuple[np.ndarray, ...]:
    """Scores and failures of both arms in the order of enrolment: (R, n, V) twice, then (R, n) twice."""
    wanted = named(trials, estimand)
    refuse_composite(wanted, comparison.outcome.kind)
    whole = scored(trials, comparison.outcome.scale, wanted)
    rows = np.arange(len(trials))[:, None]
    of = chosen(trials, (comparison.arm, comparison.against))
    return *(whole.values[rows, who] for who in of), *(whole.failed[rows, who] for who in of)


def z_for(found: Answers, comparison: Comparison) -> np.ndarray:
    """z of the two-sided p value, positive in favour of the arm, ``(R,)``; 0 where a trial could not be analysed."""
    from scipy.special import ndtri

    sign = -1.0 if comparison.outcome.lower_is_better else 1.0
    with np.errstate(divide="ignore"):
        size = -ndtri(np.where(found.known, np.maximum(found.p, 1e-300), 1.0) / 2)
    return np.asarray(np.where(found.known, size * np.sign(sign * found.estimate), 0.0))


def with_looks(
    trials: Trials, comparison: Comparison, design: Design, *, enlarge: float = 1.0, estimand: str | None = None
) -> pd.DataFrame:
    """Each trial with looks at the data: ``trial, look, end`` (win, futile, lost), ``people`` of both arms, ``z`` at the end and
    the last stage's ``enlarged`` size relative to the plan.

    A look takes those who enrolled first, each seen to the last visit; one-sided boundaries, futility is followed. With
    ``enlarge`` above 1 (two looks) the second stage grows to at most that many times its size where the first is promising; the
    stages are then combined with the weights of the plan. Trials are as large as the largest that this can make. Raises
    InputError for a plan that cannot be carried out with them.
    """
    import pandas as pd

    t = np.asarray(design.information)
    if design.sided != 1 or enlarge < 1 or (enlarge > 1 and design.looks != 2):
        why = "Trials are enlarged at the first of two looks, with one-sided boundaries, never made smaller."
        raise InputError(argument("enlarge", enlarge, why, "Write two looks, or leave it at 1."))
    parts = _pair(trials, comparison, estimand)
    sizes = [part.shape[1] for part in parts[:2]]
    planned = [size / (t[0] + enlarge * (1 - t[0])) if enlarge > 1 else float(size) for size in sizes]
    ends = [[max(1, round(share * n)) for n in planned] for share in t]
    if min(np.diff(ends, axis=0, prepend=0).ravel()) < LEAST_STAGE:
        why = f"A stage would have fewer than {LEAST_STAGE} people an arm."
        raise InputError(argument("looks", ", ".join(f"{x:g}" for x in t), why, "Write more people or fewer looks."))

    def stage(low: Sequence[int], high: Sequence[int], rows: Any) -> np.ndarray:
        cut = [part[rows, a:b] for part, a, b in zip(parts, [*low, *low], [*high, *high], strict=True)]
        return z_for(analyse([comparison.outcome], *cut)[0], comparison)

    r = len(trials)
    everybody = np.arange(r)
    look, z, grown = np.zeros(r, np.int64), np.zeros(r), np.ones(r)
    end, people = np.full(r, "lost", object), np.zeros(r, np.int64)
    going = np.ones(r, bool)
    for k in range(design.looks):
        rows = everybody[going]
        if enlarge > 1 and k == 1:
            new, grown[rows] = _enlarged(design, z[rows], ends, enlarge, sizes)
            second = np.zeros(len(rows))
            for high in np.unique(new, axis=0):
                same = (new == high).all(axis=1)
                second[same] = stage(ends[0], high.tolist(), rows[same])
            z[rows] = [combine(design, pair)[-1] for pair in zip(z[rows], second, strict=True)]
            people[rows] = new.sum(axis=1)
        else:
            z[rows] = stage([0, 0], ends[k], rows)
            people[rows] = sum(ends[k])
        look[rows] = k + 1
        win = going & (z >= design.upper[k])
        futile = going & ~win & (z < design.lower[k]) if k + 1 < design.looks else np.zeros(r, bool)
        end[win], end[futile] = "win", "futile"
        going &= ~win & ~futile
    return pd.DataFrame(
        {"trial": trials.first + everybody, "look": look, "end": end, "people": people, "z": z, "enlarged": grown}
    )


def _enlarged(
    design: Design, z: np.ndarray, ends: list[list[int]], most: float, sizes: list[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Last person of each arm (R, 2) after the first look's z (R,), and the growth of the second stage (R,)."""
    growth = np.array([resize(design, float(one), 1.0, most=most).remaining for one in z])
    high = [np.minimum(np.round(a + growth * (b - a)), size) for a, b, size in zip(*ends, sizes, strict=True)]
    return np.stack(high, axis=1).astype(np.int64), growth

"""Analyses of times to an event, by statsmodels: Kaplan-Meier, log-rank and Cox."""

from __future__ import annotations

import contextlib
import warnings
from typing import Any

import numpy as np

from respine.errors import InputError
from respine.files.yaml_file import Place
from respine.trial.analysis import extra
from respine.trial.analysis.arrays import Array, Ints
from respine.trial.analysis.linear import Linear
from respine.trial.analysis.model_matrix import expand, model_matrix
from respine.trial.analysis.patients import Trial
from respine.trial.analysis.plan import Cox, Estimand, KaplanMeier, LogRank, Times, mistake
from respine.trial.analysis.results import Answer, Row

WEIGHTS = {"log-rank": None, "gehan-breslow": "gb", "tarone-ware": "tw"}


def _times(
    trial: Trial, part: Times, estimand: Estimand | None, place: Place
) -> tuple[Array, Ints, Ints, Ints, list[str]]:
    """Time, event (0/1), arm and the row of the table of every patient with a time, under the estimand."""
    time, happened = trial.numeric[part.time], trial.numeric[part.event]
    notes = []
    for event in estimand.events if estimand else ():
        if event.strategy == "treatment-policy":
            notes.append(f"{event.event}: treatment-policy; times count on after it.")
            continue
        if event.time is None:
            why = f"When {event.event} happened is not known, so times cannot be treated by {event.strategy}."
            raise InputError(
                mistake(trial.document, place, why, f'Name the column of its time: "time: ..." of {event.event}.', "")
            )
        other = trial.numeric[event.time]
        earlier = np.isfinite(other) & (other < time)
        time = np.where(earlier, other, time)
        happened = np.where(earlier, 0.0 if event.strategy == "hypothetical" else 1.0, happened)
        effect = "ends the time, as censored" if event.strategy == "hypothetical" else "counts as the event"
        notes.append(f"{event.event} ({int(earlier.sum())} patients): {event.strategy}; it {effect}.")
    good = np.isfinite(time) & np.isfinite(happened)
    first = np.full(trial.n, -1)
    for i in np.flatnonzero(good)[::-1]:
        first[trial.subject[i]] = i
    rows = first[first >= 0].astype(np.int64)
    wrong = [i for i in rows if time[i] < 0 or happened[i] not in (0.0, 1.0)]
    if wrong:
        cure = "A time is 0 or more; the event is 1, a censored time 0."
        raise InputError(trial.table.problem(wrong, part.event, "The time is negative or the event not 0 or 1.", cure))
    lost = trial.n - len(rows)
    if lost:
        notes.append(f"{lost} patients without a time are left out.")
    return time[rows], happened[rows].astype(np.int64), trial.arm[rows], rows, notes


def kaplan_meier(trial: Trial, part: KaplanMeier, estimand: Estimand | None, place: Place) -> Answer:
    """Survival at named times with log-log intervals, and the median with its interval."""
    from scipy import stats

    duration = extra.load("statsmodels.duration.survfunc")
    time, event, arm, _, notes = _times(trial, part, estimand, place)
    answer = Answer(part.name, "kaplan-meier", notes=notes)
    z = float(stats.norm.ppf(0.5 + part.level / 2))
    for a, label in enumerate(trial.arms):
        own = arm == a
        n = int(own.sum())
        if not event[own].any():
            note = "nobody had the event" if n else "nobody of this arm has a time"
            answer.rows.append(Row("median time", label, note=note, n=n))
            continue
        curve = duration.SurvfuncRight(time[own], event[own])
        for at in part.at:
            k = int(np.searchsorted(curve.surv_times, at, side="right")) - 1
            if at > time[own].max():
                answer.rows.append(Row(f"survival at {at:g}", label, note="beyond the last time seen", n=n))
                continue
            value, se = (1.0, 0.0) if k < 0 else (float(curve.surv_prob[k]), float(curve.surv_prob_se[k]))
            low, high = (value, value) if se == 0 else _log_log(value, se, z)
            answer.rows.append(Row(f"survival at {at:g}", label, "", value, se, lower=low, upper=high, n=n))
        median, low, high = _median(curve, part.level)
        note = "" if np.isfinite(median) else "not reached"
        answer.rows.append(Row("median time", label, "", median, lower=low, upper=high, n=n, note=note))
        answer.facts[f"curve {label}"] = {
            "time": curve.surv_times.tolist(), "survival": curve.surv_prob.tolist(), "se": curve.surv_prob_se.tolist(),
            "at_risk": [int(k) for k in curve.n_risk],
        }  # fmt: skip
    return answer


def _log_log(value: float, se: float, z: float) -> tuple[float, float]:
    if not 0 < value < 1:
        return value, value
    spread = z * se / (value * abs(np.log(value)))
    return float(value ** np.exp(spread)), float(value ** np.exp(-spread))


def _median(curve: Any, level: float) -> tuple[float, float, float]:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        median = float(curve.quantile(0.5))
        low, high = curve.quantile_ci(0.5, alpha=1 - level, method="cloglog")
    return median, float(low), float(high)


def log_rank(trial: Trial, part: LogRank, estimand: Estimand | None, place: Place) -> Answer:
    """The (weighted, stratified) log-rank test of every arm against the reference."""
    duration = extra.load("statsmodels.duration.survfunc")
    time, event, arm, rows, notes = _times(trial, part, estimand, place)
    if part.strata:
        good = trial.complete([part.strata])[rows]
        time, event, arm, rows = time[good], event[good], arm[good], rows[good]
    strata = np.array(trial.table.labels(trial.resolve(part.strata)))[rows] if part.strata else None
    answer = Answer(part.name, "log-rank", notes=notes)
    for a in range(1, len(trial.arms)):
        two = (arm == 0) | (arm == a)
        group = f"{trial.arms[a]} - {trial.arms[0]}"
        chi2 = p = np.nan
        own = None if strata is None else strata[two]
        # statsmodels fails in several ways where no event can be compared
        failures = contextlib.suppress(np.linalg.LinAlgError, ValueError, AttributeError)
        with failures, warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            chi2, p = duration.survdiff(time[two], event[two], arm[two], weight_type=WEIGHTS[part.weights], strata=own)
        if not np.isfinite(chi2):
            note = "cannot be told: no event while both arms were at risk"
            answer.rows.append(Row(f"{part.weights} test", group, n=int(two.sum()), note=note))
            continue
        answer.rows.append(Row(f"{part.weights} test", group, df=1.0, statistic=float(chi2), p=float(p), n=int(two.sum()),
                               note="chi-squared" + (f", stratified by {part.strata}" if part.strata else "")))  # fmt: skip
    return answer


def cox(trial: Trial, part: Cox, estimand: Estimand | None, place: Place) -> Answer:
    """Hazard ratios of a proportional hazards model."""
    from scipy import stats

    phreg = extra.load("statsmodels.duration.hazard_regression")
    time, event, _, rows, notes = _times(trial, part, estimand, place)
    texts = ["arm", *part.covariates]
    terms = [tuple(trial.resolve(name) for name in term) for term in expand(texts)]
    names = list(dict.fromkeys(name for term in terms for name in term))
    good = trial.complete([*names, *([part.strata] if part.strata else [])])[rows]
    if not good.all():
        notes.append(f"{int((~good).sum())} patients lack a covariate and are left out.")
    rows, time, event = rows[good], time[good], event[good]
    if not event.any():
        why = "Nobody had the event."
        raise InputError(mistake(trial.document, place, why, "Check the column of the event: 1 where it happened.", ""))
    matrix = model_matrix(terms, trial.variables(names, rows))
    x = matrix.x[:, 1:] - matrix.x[:, 1:].mean(axis=0)
    kept = Linear(x, np.zeros(len(x))).kept
    x = x[:, kept]
    labels = [matrix.columns[1:][i] for i in kept]
    strata = np.array(trial.table.labels(trial.resolve(part.strata)))[rows] if part.strata else None
    model = phreg.PHReg(time, x, status=event, strata=strata, ties=part.ties)
    finite = False
    singular = contextlib.suppress(np.linalg.LinAlgError)
    with singular, warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        fitted = model.fit(disp=0)
        gradient = np.asarray(model.score(fitted.params))
        spread = np.sqrt(np.diag(fitted.cov_params()))
        finite = bool((spread * x.std(axis=0) < 50).all()) and bool((np.abs(gradient * spread) < 1e-3).all())
    if not finite:
        why = "The proportional hazards model has no finite answer: a covariate or arm has no event, or all of them."
        raise InputError(mistake(trial.document, place, why, "Leave the covariate out, or join arms.", ""))
    answer = Answer(part.name, "cox", notes=notes)
    answer.facts = {
        "ties": part.ties,
        "events": int(event.sum()),
        "patients": len(rows),
        "log_likelihood": float(fitted.llf),
    }
    z = float(stats.norm.ppf(0.5 + part.level / 2))
    arms = {f"{trial.columns.arm} {label}": f"{label} - {trial.arms[0]}" for label in trial.arms[1:]}
    for j, label in enumerate(labels):
        b, se = float(fitted.params[j]), float(spread[j])
        quantity = "hazard ratio" if label in arms else f"hazard ratio of {label}"
        answer.rows.append(Row(quantity, arms.get(label, ""), "", float(np.exp(b)), se, np.inf, b / se,
                               2 * float(stats.norm.sf(abs(b / se))), float(np.exp(b - z * se)), float(np.exp(b + z * se)),
                               len(rows), "se of the log"))  # fmt: skip
    return answer

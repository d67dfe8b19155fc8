"""Shares of responders: risk difference, risk ratio and odds ratio; over strata, and adjusted by logistic regression."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from respine.files.yaml_file import Place
from respine.trial.analysis import extra
from respine.trial.analysis.arrays import Array, Flags
from respine.trial.analysis.at_a_visit import arm_matrix, chosen_visits, covariate_names, refuse
from respine.trial.analysis.estimands import Handled
from respine.trial.analysis.linear import Linear
from respine.trial.analysis.model_matrix import everybody_at
from respine.trial.analysis.patients import Trial
from respine.trial.analysis.plan import Responders
from respine.trial.analysis.rates import score_interval
from respine.trial.analysis.results import Answer, Row
from respine.trial.analysis.student import half_width, two_sided


def responders(trial: Trial, part: Responders, handled: Handled, place: Place) -> Answer:
    """Risk difference, risk ratio and odds ratio at each visit, crude, stratified or adjusted."""
    proportion = extra.load("statsmodels.stats.proportion")
    answer = Answer(part.name, "responders", notes=[*handled.notes])
    arm = trial.of_subjects(trial.arm)
    for v in chosen_visits(trial, part):
        responds, known = _responds(trial, part, handled, v, place)
        use = np.ones(trial.n, bool) if part.missing == "non-response" else known
        counts = [
            (int(responds[use & (arm == a)].sum()), int((use & (arm == a)).sum())) for a in range(len(trial.arms))
        ]
        if min(n for _, n in counts) == 0:
            raise refuse(trial, place, f"Nobody of an arm is observed at {trial.visits[v]}.", "Name other visits.")
        for a, (x, n) in enumerate(counts):
            low, high = proportion.proportion_confint(x, n, 1 - part.level, "wilson")
            answer.rows.append(Row("share", trial.arms[a], trial.visits[v], x / n, lower=float(low), upper=float(high), n=n,
                                   note=f"{x} of {n}"))  # fmt: skip
        for a in range(1, len(trial.arms)):
            answer.rows += _compared(
                proportion, part, counts[a], counts[0], f"{trial.arms[a]} - {trial.arms[0]}", trial.visits[v]
            )
            two = use & ((arm == 0) | (arm == a))
            if part.strata:
                answer.rows += _stratified(trial, part, responds, arm == a, two, trial.arms[a], v)
            if part.covariates:
                answer.rows += _adjusted(trial, part, responds, a, two, v)
    rule = "counts as non-response" if part.missing == "non-response" else "is left out"
    answer.notes.append(f"A missing score {rule}.")
    return answer


def _responds(trial: Trial, part: Responders, handled: Handled, v: int, place: Place) -> tuple[Flags, Flags]:
    """Who responds at a visit, and who was observed, (n,)."""
    rule = part.response
    if rule.column is not None:
        y = trial.wide(np.where(np.isfinite(trial.numeric[rule.column]), trial.numeric[rule.column], np.nan))[:, v]
        bad = np.isfinite(y) & ~np.isin(y, (0.0, 1.0))
        if bad.any():
            why = f"The column {rule.column} holds {y[bad][0]:g}, where 0 and 1 are expected."
            raise refuse(trial, (*place, "response"), why, "Name a column of 0 (no response) and 1.")
        responds = y == 1
    else:
        y = trial.wide(handled.y)[:, v]
        with np.errstate(invalid="ignore"):
            if rule.fall is not None:
                if trial.baseline is None:
                    cure = 'Name it under data, "baseline: ...".'
                    raise refuse(trial, (*place, "response"), "A fall needs a baseline.", cure)
                base = trial.of_subjects(trial.baseline)
                y = np.where(np.isfinite(base), y, np.nan)
                responds = base - y >= rule.fall / 100 * base - 1e-9
            else:
                low = -np.inf if rule.at_least is None else rule.at_least
                responds = (y >= low) & (y <= (np.inf if rule.at_most is None else rule.at_most))
    known = np.isfinite(y) | handled.failed
    return np.where(known & ~handled.failed, responds, False).astype(bool), known


def _compared(
    proportion: Any, part: Responders, treated: tuple[int, int], control: tuple[int, int], group: str, visit: str
) -> list[Row]:
    """The three measures with their intervals; the p value is that of the chi-squared test without correction."""
    from scipy import stats

    (x1, n1), (x0, n0) = treated, control
    p1, p0 = x1 / n1, x0 / n0
    alpha = 1 - part.level
    score = part.interval == "score"
    estimates = {
        "risk difference": p1 - p0, "risk ratio": p1 / p0 if p0 > 0 else np.nan,
        "odds ratio": p1 * (1 - p0) / ((1 - p1) * p0) if p0 > 0 and p1 < 1 else np.nan,
    }  # fmt: skip
    table = np.array([[x1, n1 - x1], [x0, n0 - x0]])
    degenerate = bool((table.sum(axis=0) == 0).any())
    p = float("nan") if degenerate else float(stats.chi2_contingency(table, correction=False).pvalue)
    newcombe = {"newcombe": "newcomb"}.get(part.interval, part.interval)
    rows = []
    measures = [("risk difference", "diff", newcombe), ("risk ratio", "ratio", "score" if score else "log")]
    for quantity, compare, method in [*measures, ("odds ratio", "odds-ratio", "logit")]:
        low, high, note = np.nan, np.nan, f"interval: {part.interval if compare == 'diff' else method}"
        if method == "score" and not degenerate:
            low, high = score_interval(x1, n1, x0, n0, part.level, risk_ratio=compare == "ratio")
        elif compare == "diff" or not (table == 0).any():
            low, high = proportion.confint_proportions_2indep(
                x1, n1, x0, n0, method=method, compare=compare, alpha=alpha
            )
        else:
            note = "an arm has no response, or nothing else"
        rows.append(Row(quantity, group, visit, float(estimates[quantity]), p=p, lower=float(low), upper=float(high), n=n1 + n0,
                        note=note))  # fmt: skip
    return rows


def _stratified(
    trial: Trial, part: Responders, responds: Flags, treated: Flags, use: Flags, label: str, v: int
) -> list[Row]:
    """Mantel-Haenszel odds ratio and the Cochran-Mantel-Haenszel test over strata."""
    tables = extra.load("statsmodels.stats.contingency_tables")
    first = trial.of_subjects(np.arange(trial.table.rows))
    use = use & trial.complete(part.strata)[first]
    keys = list(zip(*(np.array(trial.table.labels(trial.resolve(name)))[first] for name in part.strata), strict=True))
    counts = []
    for key in sorted(set(keys)):
        own = use & np.array([k == key for k in keys])
        t, c = own & treated, own & ~treated
        if t.any() and c.any():
            counts.append([[responds[t].sum(), (~responds[t]).sum()], [responds[c].sum(), (~responds[c]).sum()]])
    group, quantity = f"{label} - {trial.arms[0]}", "odds ratio, stratified"
    total = np.sum(counts, axis=0) if counts else np.zeros((2, 2))
    if (total == 0).any():
        return [
            Row(
                quantity,
                group,
                trial.visits[v],
                note="cannot be told: in the strata an arm has no response, or nothing else",
            )
        ]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        strata = tables.StratifiedTable([np.array(c, dtype=float) for c in counts])
        low, high = strata.oddsratio_pooled_confint(1 - part.level)
        test = strata.test_null_odds(correction=False)
    values = (float(strata.oddsratio_pooled), float(test.statistic), float(test.pvalue), float(low), float(high))
    if not np.isfinite(values).all():
        return [Row(quantity, group, trial.visits[v], note="cannot be told: no stratum has both response and none")]
    return [Row(quantity, group, trial.visits[v], values[0], statistic=values[1], p=values[2], lower=values[3], upper=values[4],
                n=int(use.sum()), note=f"Mantel-Haenszel over {len(counts)} strata")]  # fmt: skip


def _adjusted(trial: Trial, part: Responders, responds: Flags, a: int, use: Flags, v: int) -> list[Row]:
    """Adjusted odds ratio, and the risk difference standardised over the patients (Ge 2011, doi:10.1177/009286151104500409)."""
    first = trial.of_subjects(np.arange(trial.table.rows))
    use = use & trial.complete(covariate_names(trial, part.covariates))[first]
    rows = first[use].astype(np.int64)
    group = f"{trial.arms[a]} - {trial.arms[0]}"
    quantities = ("odds ratio, adjusted", "risk difference, standardised")
    arms = set(trial.arm[rows].tolist())
    if len(arms) < 2:
        return [Row(q, group, trial.visits[v], note="nobody of an arm has all covariates") for q in quantities]
    matrix = arm_matrix(trial, part.covariates, rows)
    kept = Linear(matrix.x, np.zeros(len(rows))).kept
    y = responds[use].astype(float)
    fitted = _logit(y, matrix.x[:, kept])
    columns = [matrix.columns[i] for i in kept]
    label = f"{trial.columns.arm} {trial.arms[a]}"
    if fitted is None or label not in columns:
        note = "no finite answer: arm and covariates separate those who respond"
        return [Row(q, group, trial.visits[v], note=note) for q in quantities]
    beta, cov = fitted
    j = columns.index(label)
    b, se = float(beta[j]), float(np.sqrt(cov[j, j]))
    z = half_width(part.level, float("inf"))
    odds = Row(quantities[0], group, trial.visits[v], float(np.exp(b)), df=np.inf, statistic=b / se,
               p=two_sided(b / se, np.inf), lower=float(np.exp(b - z * se)), upper=float(np.exp(b + z * se)), n=len(y),
               note="logistic regression")  # fmt: skip
    risks, slopes = [], []
    for arm in (trial.arms[a], trial.arms[0]):
        at = everybody_at(matrix, trial.columns.arm, arm)[:, kept]
        risk = 1 / (1 + np.exp(-at @ beta))
        risks.append(risk.mean())
        slopes.append((at * (risk * (1 - risk))[:, None]).mean(axis=0))
    difference, slope = float(risks[0] - risks[1]), slopes[0] - slopes[1]
    spread = float(np.sqrt(slope @ cov @ slope))
    standard = Row(quantities[1], group, trial.visits[v], difference, spread, np.inf, difference / spread,
                   two_sided(difference / spread, np.inf), difference - z * spread, difference + z * spread, len(y),
                   "logistic regression, delta method")  # fmt: skip
    return [odds, standard]


def _logit(y: Array, x: Array) -> tuple[Array, Array] | None:
    """Coefficients of a logistic regression and their covariance; None where they are infinite."""
    api = extra.load("statsmodels.api")
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            fitted = api.Logit(y, x).fit(disp=False, maxiter=100, method="newton", warn_convergence=False)
        except Exception as error:  # statsmodels tells separation by several kinds of error
            if isinstance(error, (ValueError, np.linalg.LinAlgError)) or "Separation" in type(error).__name__:
                return None
            raise
        covariance = np.asarray(fitted.cov_params())
        spread = np.sqrt(np.diag(covariance)) * x.std(axis=0)
    good = bool(fitted.mle_retvals["converged"]) and bool(np.isfinite(covariance).all()) and bool((spread < 50).all())
    return (np.asarray(fitted.params), covariance) if good else None

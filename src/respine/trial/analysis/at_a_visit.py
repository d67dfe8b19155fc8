"""Analyses of one visit at a time: ANCOVA, the rank-sum test, and shares of responders."""

from __future__ import annotations

from typing import Any

import numpy as np

from respine.errors import InputError
from respine.files.yaml_file import Place
from respine.trial.analysis import extra
from respine.trial.analysis.arrays import Array, Flags, Ints
from respine.trial.analysis.estimands import Handled
from respine.trial.analysis.linear import Linear
from respine.trial.analysis.means import Estimable, as_row
from respine.trial.analysis.model_matrix import ModelMatrix, expand, model_matrix
from respine.trial.analysis.patients import Trial
from respine.trial.analysis.plan import Ancova, AtVisits, Responders, Wilcoxon, mistake
from respine.trial.analysis.rates import score_interval
from respine.trial.analysis.results import Answer, Row


def chosen_visits(trial: Trial, part: AtVisits) -> list[int]:
    """Codes of the visits to report."""
    return [v for v, label in enumerate(trial.visits) if part.visits is None or label in part.visits]


def _refuse(trial: Trial, place: Place, why: str, cure: str) -> InputError:
    return InputError(mistake(trial.document, place, why, cure, ""))


def ancova(trial: Trial, part: Ancova, handled: Handled, place: Place) -> Answer:
    """Least-squares means and differences at each visit, of patients with a score there."""
    answer = Answer(part.name, "ancova", notes=[*handled.notes])
    for v in chosen_visits(trial, part):
        rows = np.flatnonzero(
            (trial.visit == v) & np.isfinite(handled.y) & trial.complete(_covariates(trial, part.covariates))
        )
        matrix = arm_matrix(trial, part.covariates, rows)
        linear = Linear(matrix.x, handled.y[rows], part.robust)
        if linear.df < 1 or len(set(trial.arm[rows].tolist())) < len(trial.arms):
            why = f"Visit {trial.visits[v]} has scores of {len(rows)} patients, too few for {matrix.x.shape[1]} coefficients."
            raise _refuse(trial, place, why, "Leave covariates out, or name other visits.")
        estimable = Estimable(matrix.x, linear.kept)
        cells = [matrix.row({trial.columns.arm: arm}) for arm in trial.arms]
        for a, label in enumerate(trial.arms):
            n = int((trial.arm[rows] == a).sum())
            answer.rows.append(as_row(linear, estimable, cells[a], "mean", label, trial.visits[v], part.level, n))
        for a in range(1, len(trial.arms)):
            group = f"{trial.arms[a]} - {trial.arms[0]}"
            row = cells[a] - cells[0]
            answer.rows.append(
                as_row(linear, estimable, row, "difference", group, trial.visits[v], part.level, len(rows))
            )
    answer.notes.append("Patients without a score at a visit are left out of it.")
    return answer


def _covariates(trial: Trial, covariates: tuple[str, ...]) -> list[str]:
    base = ["baseline"] if trial.baseline is not None else []
    return [*base, *dict.fromkeys(name for term in expand(covariates) for name in term)]


def arm_matrix(trial: Trial, covariates: tuple[str, ...], rows: Ints) -> ModelMatrix:
    """X of arm, baseline and covariates for some rows of the table."""
    texts = ["arm", *(["baseline"] if trial.baseline is not None else []), *covariates]
    terms = [tuple(trial.resolve(name) for name in term) for term in expand(texts)]
    return model_matrix(terms, trial.variables(list({name for term in terms for name in term}), rows))


def wilcoxon(trial: Trial, part: Wilcoxon, handled: Handled, place: Place) -> Answer:
    """Mann-Whitney test and the Hodges-Lehmann shift; patients whose event counts as failure take the worst rank."""
    from scipy import stats

    answer = Answer(part.name, "wilcoxon", notes=[*handled.notes])
    z = float(stats.norm.ppf(0.5 + part.level / 2))
    for v in chosen_visits(trial, part):
        y = trial.wide(handled.y)[:, v]
        failed = handled.failed
        worst = float(np.nanmax(y, initial=0.0)) + 1.0 if failed.any() else np.nan
        y = np.where(failed, worst, y)
        arm = trial.of_subjects(trial.arm)
        control = y[(arm == 0) & np.isfinite(y)]
        for a in range(1, len(trial.arms)):
            treated = y[(arm == a) & np.isfinite(y)]
            group = f"{trial.arms[a]} - {trial.arms[0]}"
            if not len(treated) or not len(control):
                raise _refuse(trial, place, f"Nobody of an arm has a score at {trial.visits[v]}.", "Name other visits.")
            test = stats.mannwhitneyu(treated, control, alternative="two-sided")
            shift, low, high = _hodges_lehmann(treated, control, z)
            n = len(treated) + len(control)
            answer.rows.append(Row("shift (Hodges-Lehmann)", group, trial.visits[v], shift, statistic=float(test.statistic),
                                   p=float(test.pvalue), lower=low, upper=high, n=n))  # fmt: skip
    answer.notes.append("Patients without a score at a visit are left out of it; a higher score ranks worse.")
    return answer


def _hodges_lehmann(first: Array, second: Array, z: float) -> tuple[float, float, float]:
    """The median of all differences, with the interval of the normal approximation to the rank-sum."""
    differences = np.sort(np.subtract.outer(first, second).ravel())
    m, n = len(first), len(second)
    k = round(m * n / 2 - z * np.sqrt(m * n * (m + n + 1) / 12))
    k = max(int(k), 1)
    return float(np.median(differences)), float(differences[k - 1]), float(differences[m * n - k])


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
            raise _refuse(trial, place, f"Nobody of an arm is observed at {trial.visits[v]}.", "Name other visits.")
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
                answer.rows += _logistic(trial, part, responds, a, two, v, place)
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
            raise _refuse(trial, (*place, "response"), why, "Name a column of 0 (no response) and 1.")
        responds = y == 1
    else:
        y = trial.wide(handled.y)[:, v]
        with np.errstate(invalid="ignore"):
            if rule.fall is not None:
                if trial.baseline is None:
                    cure = 'Name it under data, "baseline: ...".'
                    raise _refuse(trial, (*place, "response"), "A fall needs a baseline.", cure)
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
    keys = list(zip(*(np.array(trial.table.labels(trial.resolve(name)))[first] for name in part.strata), strict=True))
    counts = []
    for key in sorted(set(keys)):
        own = use & np.array([k == key for k in keys])
        t, c = own & treated, own & ~treated
        if t.any() and c.any():
            counts.append([[responds[t].sum(), (~responds[t]).sum()], [responds[c].sum(), (~responds[c]).sum()]])
    strata = tables.StratifiedTable([np.array(c, dtype=float) for c in counts])
    low, high = strata.oddsratio_pooled_confint(1 - part.level)
    group = f"{label} - {trial.arms[0]}"
    note = f"Mantel-Haenszel over {len(counts)} strata"
    test = strata.test_null_odds(correction=False)
    return [Row("odds ratio, stratified", group, trial.visits[v], float(strata.oddsratio_pooled), statistic=float(test.statistic),
                p=float(test.pvalue), lower=float(low), upper=float(high), n=int(use.sum()), note=note)]  # fmt: skip


def _logistic(trial: Trial, part: Responders, responds: Flags, a: int, use: Flags, v: int, place: Place) -> list[Row]:
    """Adjusted odds ratio, and the risk difference standardised over the patients (Ge 2011, doi:10.1177/009286151104500409)."""
    from scipy import stats

    api = extra.load("statsmodels.api")
    tools = extra.load("statsmodels.tools.sm_exceptions")
    first = trial.of_subjects(np.arange(trial.table.rows))
    names = _covariates(trial, part.covariates)
    use = use & trial.complete(names)[first]
    rows = first[use].astype(np.int64)
    matrix = arm_matrix(trial, part.covariates, rows)
    kept = Linear(matrix.x, np.zeros(len(rows))).kept
    x, y = matrix.x[:, kept], responds[use].astype(float)
    try:
        fitted = api.Logit(y, x).fit(disp=False, maxiter=100, method="newton", warn_convergence=False)
        converged = (
            bool(fitted.mle_retvals["converged"]) and bool(np.isfinite(fitted.bse).all()) and fitted.bse.max() < 1e3
        )
    except (tools.PerfectSeparationError, np.linalg.LinAlgError):
        converged = False
    if not converged:
        why = f"The logistic regression at {trial.visits[v]} has no finite answer: covariates and arm separate the responders."
        raise _refuse(trial, (*place, "covariates"), why, "Leave covariates out.")
    label = f"{trial.columns.arm} {trial.arms[a]}"
    j = [matrix.columns[i] for i in kept].index(label)
    z = float(stats.norm.ppf(0.5 + part.level / 2))
    b, se = float(fitted.params[j]), float(fitted.bse[j])
    group = f"{trial.arms[a]} - {trial.arms[0]}"
    odds = Row("odds ratio, adjusted", group, trial.visits[v], float(np.exp(b)), df=np.inf, statistic=b / se,
               p=2 * float(stats.norm.sf(abs(b / se))), lower=float(np.exp(b - z * se)), upper=float(np.exp(b + z * se)),
               n=len(y), note="logistic regression")  # fmt: skip
    risks, slopes = [], []
    for value in (1.0, 0.0):
        at = x.copy()
        at[:, j] = value
        risk = 1 / (1 + np.exp(-at @ fitted.params))
        risks.append(risk.mean())
        slopes.append((at * (risk * (1 - risk))[:, None]).mean(axis=0))
    difference, slope = float(risks[0] - risks[1]), slopes[0] - slopes[1]
    spread = float(np.sqrt(slope @ fitted.cov_params() @ slope))
    standard = Row("risk difference, standardised", group, trial.visits[v], difference, spread, np.inf, difference / spread,
                   2 * float(stats.norm.sf(abs(difference / spread))), difference - z * spread, difference + z * spread,
                   len(y), "logistic regression, delta method")  # fmt: skip
    return [odds, standard]

"""Analyses of one visit at a time: ANCOVA and the rank-sum test."""

from __future__ import annotations

import numpy as np

from respine.errors import InputError
from respine.files.yaml_file import Place
from respine.trial.analysis.arrays import Array, Ints
from respine.trial.analysis.estimands import Handled
from respine.trial.analysis.linear import Linear
from respine.trial.analysis.means import Estimable, as_row
from respine.trial.analysis.model_matrix import ModelMatrix, expand, model_matrix
from respine.trial.analysis.patients import Trial
from respine.trial.analysis.plan import Ancova, AtVisits, Wilcoxon, mistake
from respine.trial.analysis.results import Answer, Row


def chosen_visits(trial: Trial, part: AtVisits) -> list[int]:
    """Codes of the visits to report."""
    return [v for v, label in enumerate(trial.visits) if part.visits is None or label in part.visits]


def refuse(trial: Trial, place: Place, why: str, cure: str) -> InputError:
    return InputError(mistake(trial.document, place, why, cure, ""))


def ancova(trial: Trial, part: Ancova, handled: Handled, place: Place) -> Answer:
    """Least-squares means and differences at each visit, of patients with a score there."""
    answer = Answer(part.name, "ancova", notes=[*handled.notes])
    for v in chosen_visits(trial, part):
        rows = np.flatnonzero(
            (trial.visit == v) & np.isfinite(handled.y) & trial.complete(covariate_names(trial, part.covariates))
        )
        whole = len(set(trial.arm[rows].tolist())) == len(trial.arms)
        matrix = arm_matrix(trial, part.covariates, rows) if whole else None
        linear = Linear(matrix.x, handled.y[rows], part.robust) if matrix else None
        if matrix is None or linear is None or linear.df < 1:
            why = (
                f"Visit {trial.visits[v]} has scores of {len(rows)} patients with all covariates, too few for the model"
            )
            why += "." if whole else ", and none of some arm."
            raise refuse(trial, place, why, "Leave covariates out, or name other visits.")
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


def covariate_names(trial: Trial, covariates: tuple[str, ...]) -> list[str]:
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
                raise refuse(trial, place, f"Nobody of an arm has a score at {trial.visits[v]}.", "Name other visits.")
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

"""MMRM and cLDA of a plan: terms, rows in use, covariance, and the contrasts that are reported."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from respine.errors import InputError
from respine.files.yaml_file import Place
from respine.trial.analysis.arrays import Array, Ints
from respine.trial.analysis.estimands import Handled
from respine.trial.analysis.means import Estimable, as_row, term_contrasts
from respine.trial.analysis.mmrm.fit import Data, Fit, NoCovariance, fit
from respine.trial.analysis.mmrm.freedom import METHODS, Inference, Method, NoFreedom
from respine.trial.analysis.model_matrix import Factor, ModelMatrix, Term, Variables, expand, model_matrix
from respine.trial.analysis.patients import Trial
from respine.trial.analysis.plan import Clda, Mmrm, mistake
from respine.trial.analysis.results import Answer, Row


def default_terms(trial: Trial, covariates: tuple[str, ...]) -> list[str]:
    """arm by visit, baseline by visit, and the covariates as they are."""
    terms = ["arm*visit"] if len(trial.visits) > 1 else ["arm"]
    if trial.baseline is not None:
        terms.append("baseline*visit" if len(trial.visits) > 1 else "baseline")
    return terms + list(covariates)


def mmrm(trial: Trial, part: Mmrm, handled: Handled, place: Place) -> Answer:
    """The answer of an MMRM. Raises InputError where no covariance can be estimated."""
    texts = default_terms(trial, part.covariates) if part.model is None else [*part.model, *part.covariates]
    terms = tuple(tuple(trial.resolve(name) for name in term) for term in expand(texts))
    names = list(dict.fromkeys(name for term in terms for name in term))
    extra = [*names, *part.coordinates, *([part.weights] if part.weights else [])]
    extra += [part.covariance_for_each] if part.covariance_for_each else []
    good = np.isfinite(handled.y) & trial.complete(extra)
    rows = np.flatnonzero(good)
    _some(trial, rows, place)
    variables = (
        trial.variables(names, rows) if names else Variables({"": Factor(("",), np.zeros(len(rows), np.int64))}, {})
    )
    matrix = model_matrix(terms, variables)
    data = _data(trial, part, matrix, handled.y, rows)
    _refuse_alike(trial, part, matrix, place)
    fitted = _fitted(trial, data, part, place)
    answer = _answer(part.name, "mmrm", fitted, part.df)
    answer.notes += handled.notes
    dropped = int(np.isfinite(handled.y).sum()) - len(rows)
    if dropped:
        answer.notes.append(f"{dropped} rows with a score lack a covariate and are left out.")
    inference = _inference(trial, fitted, part.df, part.robust, place)
    estimable = Estimable(matrix.x, fitted.basis.kept)
    answer.rows += _reported(trial, part, matrix, data, inference, estimable, fitted)
    return answer


def clda(trial: Trial, part: Clda, handled: Handled, place: Place) -> Answer:
    """The answer of a constrained longitudinal data analysis: the baseline is the first of the outcomes."""
    doc = trial.document
    if trial.baseline is None:
        before = len(doc.problems)
        doc.problem(
            place,
            "The baseline is an outcome of this analysis.",
            'Name its column under data, "baseline: ...".',
            seen="",
        )
        raise InputError(*doc.problems[before:])
    rows = np.flatnonzero(np.isfinite(handled.y) & trial.complete(part.covariates))
    _some(trial, rows, place)
    base = trial.of_subjects(trial.baseline)
    first = trial.of_subjects(np.arange(trial.table.rows))
    who = np.flatnonzero(np.isfinite(base) & trial.complete(part.covariates)[first])
    start = first[who]  # a row of the table that carries the covariates of a baseline
    source = np.concatenate([start, rows])
    y = np.concatenate([base[who], handled.y[rows]])
    visits = ("baseline", *trial.visits)
    visit = np.concatenate([np.zeros(len(who), np.int64), trial.visit[rows] + 1])
    factors = {"visit": Factor(visits, visit)}
    numbers: dict[str, Array] = {}
    cells: dict[tuple[int, int], str] = {}
    arm = trial.arm[source]
    for a in range(1, len(trial.arms)):
        for v in range(len(trial.visits)):
            cells[a, v] = f"{trial.arms[a]} : {trial.visits[v]}"
            numbers[cells[a, v]] = ((arm == a) & (visit == v + 1)).astype(float)
    terms: list[Term] = [("visit",), *((name,) for name in numbers)]
    more = trial.variables(part.covariates, source.astype(np.int64))
    terms += [tuple(trial.resolve(name) for name in text) for text in expand(part.covariates)]
    matrix = model_matrix(terms, Variables({**factors, **more.factors}, {**numbers, **more.numbers}))
    _, subject = np.unique(trial.subject[source], return_inverse=True)
    data = Data(y, matrix.x, subject.ravel().astype(np.int64), visit, visits, matrix.columns)
    fitted = _fitted(trial, data, part, place)
    answer = _answer(part.name, "clda", fitted, part.df)
    answer.notes += [*handled.notes, "All arms share one mean at baseline."]
    inference = _inference(trial, fitted, part.df, False, place)
    estimable = Estimable(matrix.x, fitted.basis.kept)
    chosen = part.visits or trial.visits
    for v, label in enumerate(trial.visits):
        if label not in chosen:
            continue
        zero: Mapping[str, str | float] = {**dict.fromkeys(numbers, 0.0), "visit": label}
        for a in range(len(trial.arms)):
            row = matrix.row({**zero, cells[a, v]: 1.0} if a else zero)
            answer.rows.append(as_row(inference, estimable, row, "mean", trial.arms[a], label, part.level))
        for a in range(1, len(trial.arms)):
            row = matrix.row({**zero, cells[a, v]: 1.0}) - matrix.row(zero)
            group = f"{trial.arms[a]} - {trial.arms[0]}"
            answer.rows.append(as_row(inference, estimable, row, "difference", group, label, part.level))
    return answer


def _some(trial: Trial, rows: Ints, place: Place) -> None:
    arms = set(trial.arm[rows].tolist())
    if len(arms) < len(trial.arms):
        missing = ", ".join(label for a, label in enumerate(trial.arms) if a not in arms)
        why = f"No row with a score and all covariates is left in arm {missing}."
        raise InputError(mistake(trial.document, place, why, "Check the columns of outcome and covariates.", ""))


def _refuse_alike(trial: Trial, part: Mmrm, matrix: ModelMatrix, place: Place) -> None:
    """A factor with a single level tells nothing."""
    problems = []
    for name, factor in matrix.variables.factors.items():
        if name and len(factor.levels) < 2:
            why = f'Every row in use has the same {name} ("{factor.levels[0]}"), so it can explain nothing.'
            problems.append(mistake(trial.document, (*place, "model"), why, "Leave it out of the model.", name))
    if problems:
        raise InputError(*problems)


def _data(trial: Trial, part: Mmrm, matrix: ModelMatrix, y: Array, rows: Ints) -> Data:
    present, subject = np.unique(trial.subject[rows], return_inverse=True)
    visit = trial.visit[rows]
    used = np.unique(visit)
    group: Ints | None = None
    groups: tuple[str, ...] = ("",)
    if part.covariance_for_each:
        name = trial.resolve(part.covariance_for_each)
        factor = trial.variables([name], rows).factors[name]
        group = np.zeros(len(present), dtype=np.int64)
        group[subject.ravel()] = factor.codes
        groups = factor.levels
    return Data(
        y[rows], matrix.x, subject.ravel().astype(np.int64), np.searchsorted(used, visit).astype(np.int64),
        tuple(trial.visits[v] for v in used), matrix.columns, group, groups,
        trial.numeric[part.weights][rows] if part.weights else None,
        np.column_stack([trial.numeric[name][rows] for name in part.coordinates]) if part.coordinates else None,
    )  # fmt: skip


def _fitted(trial: Trial, data: Data, part: Mmrm | Clda, place: Place) -> Fit:
    try:
        return fit(data, part.covariance, part.estimation == "REML")
    except NoCovariance as error:
        tried = "; ".join(f"{t.structure}: {t.reason}" for t in error.tried)
        simpler = [name for name in ("heterogeneous-toeplitz", "heterogeneous-ar1", "ar1", "compound-symmetry")
                   if name not in part.covariance]  # fmt: skip
        listed = ", ".join([*part.covariance, *simpler[:3]])
        why = f"No covariance of the visits could be estimated. Tried {tried}."
        cure = (
            f'Write "covariance: [{listed}]" to try simpler structures in this order, '
            "or leave visits out that hardly anybody has."
        )
        seen = ", ".join(part.covariance)
        raise InputError(mistake(trial.document, (*place, "covariance"), why, cure, seen)) from None


def _inference(trial: Trial, fitted: Fit, df: str, robust: bool, place: Place) -> Inference:
    method: Method = df  # type: ignore[assignment]
    try:
        return Inference(fitted, method, robust)
    except NoFreedom as error:
        doc = trial.document
        before = len(doc.problems)
        doc.problem(
            (*place, "df"),
            f"{str(error)[0].upper()}{str(error)[1:]}.",
            "Write another df, or change what it needs.",
            seen=df,
        )
        raise InputError(*doc.problems[before:]) from None


def _answer(name: str, method: str, fitted: Fit, df: str) -> Answer:
    structure = fitted.structure
    wanted = structure.name + (f" (SAS {structure.sas})" if structure.sas else "")
    answer = Answer(name, method)
    answer.facts = {
        "covariance": structure.name, "estimation": "REML" if fitted.reml else "ML", "df": df,
        "patients": fitted.n_subjects, "observations": len(fitted.data.y), "log_likelihood": fitted.log_likelihood,
        "minus_2_log_likelihood": fitted.deviance, "steps": fitted.maximum.steps,
        "covariance_parameters": dict(fitted.parameters()),
    }  # fmt: skip
    label = "restricted log-likelihood" if fitted.reml else "log-likelihood"
    answer.notes.append(
        f"{fitted.n_subjects} patients, {len(fitted.data.y)} scores; covariance {wanted}; "
        f"{label} {fitted.log_likelihood:.3f}; df {df} ({METHODS[df]})."
    )
    answer.notes += [f"Covariance {t.structure} could not be estimated: {t.reason}." for t in fitted.tried]
    if fitted.aliased:
        answer.notes.append(f"Columns that others add up to are left out: {', '.join(fitted.aliased)}.")
    return answer


def _reported(
    trial: Trial, part: Mmrm, matrix: ModelMatrix, data: Data, inference: Inference, estimable: Estimable, fitted: Fit
) -> list[Row]:
    arm, visit = trial.columns.arm, trial.columns.visit
    names = {name for term in matrix.terms for name in term}
    in_model = [v for v in data.visits if visit in names]
    chosen: list[str | None] = (
        [v for v in in_model if part.visits is None or v in part.visits] if visit in names else [None]
    )
    if "overall" in part.report and visit in names:
        chosen.append(None)
    arms = matrix.variables.factors[arm].levels if arm in names else ()
    label = "all visits" if visit in names else ""
    rows: list[Row] = []
    for v in chosen:
        at: dict[str, str | float] = {} if v is None or visit is None else {visit: v}
        cells = {a: matrix.row({**at, arm: a}, part.means) for a in arms}
        shown = v or label
        if "means" in part.report:
            for a, row in cells.items():
                rows.append(as_row(inference, estimable, row, "mean", a, shown, part.level))
            if not arms:
                rows.append(as_row(inference, estimable, matrix.row(at, part.means), "mean", "", shown, part.level))
        if "differences" in part.report:
            for a in arms[1:]:
                row = cells[a] - cells[arms[0]]
                rows.append(as_row(inference, estimable, row, "difference", f"{a} - {arms[0]}", shown, part.level))
    if "coefficients" in part.report:
        identity = np.eye(len(fitted.columns))
        for i, name in enumerate(fitted.columns):
            c = inference.contrast(identity[i], part.level)
            rows.append(Row(f"coefficient {name}", "", "", c.estimate, c.se, c.df, c.t, c.p, c.lower, c.upper))
    if "tests" in part.report:
        rows += _tests(matrix, inference, estimable)
    return rows


def _tests(matrix: ModelMatrix, inference: Inference, estimable: Estimable) -> list[Row]:
    """Type III F tests of every term."""
    rows = []
    for term in matrix.terms:
        contrasts = term_contrasts(matrix, term)
        name = f"test of {' : '.join(term)}"
        if not all(estimable(row) for row in contrasts):
            rows.append(Row(name, note="cannot be told: the combinations it needs are not in the data"))
            continue
        joint = inference.joint(contrasts[:, estimable.kept])
        rows.append(
            Row(name, statistic=joint.f, df=joint.df2, p=joint.p, note=f"F with {joint.df1} and {joint.df2:.4g} df")
        )
    return rows

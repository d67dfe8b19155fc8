"""Imputation of a plan: the imputation model, the completed trials, and their pooled ANCOVA at each visit."""

from __future__ import annotations

import numpy as np

from respine.errors import InputError
from respine.files.yaml_file import Place
from respine.trial.analysis.arrays import Array, Flags, Ints
from respine.trial.analysis.at_a_visit import arm_matrix, chosen_visits
from respine.trial.analysis.estimands import Handled
from respine.trial.analysis.imputation.pool import Analysis, Completed, Pooled, impute, tipping_point
from respine.trial.analysis.imputation.wide import Wide, last_seen_event
from respine.trial.analysis.mmrm.fit import NoCovariance
from respine.trial.analysis.model_matrix import Factor, Variables, everybody_at, expand, model_matrix
from respine.trial.analysis.patients import Trial
from respine.trial.analysis.plan import Imputation, TippingPoint, mistake
from respine.trial.analysis.results import Answer, Row

RETRIEVED = 5  # patients seen after the event that a mean after it is estimated from


def imputation(trial: Trial, part: Imputation, handled: Handled, place: Place, alpha: float, seed: int) -> Answer:
    """Means and differences at each visit pooled over completed trials. Raises InputError."""
    answer = Answer(part.name, "imputation", notes=[*handled.notes])
    first = trial.of_subjects(np.arange(trial.table.rows))
    names = [*(["baseline"] if trial.baseline is not None else []), *(n for t in expand(part.covariates) for n in t)]
    who = np.flatnonzero(trial.complete(names)[first])
    if len(who) < trial.n:
        answer.notes.append(f"{trial.n - len(who)} patients lack a covariate and are left out.")
    if len(set(trial.of_subjects(trial.arm)[who].tolist())) < len(trial.arms):
        why = "Nobody of an arm has every covariate."
        raise InputError(mistake(trial.document, place, why, "Check the columns of baseline and covariates.", ""))
    y = trial.wide(handled.y)[who]
    event = handled.event[who] if part.estimand is not None else last_seen_event(y)
    after = np.arange(y.shape[1]) >= event[:, None]
    if part.estimand is not None:
        silent = int((~np.isfinite(y) & ~after).any(axis=1).sum())
        if silent:
            answer.notes.append(
                f"{silent} patients miss scores before or without the event; these are imputed at random."
            )
    off, how = _off_treatment(trial, part, y, after, trial.of_subjects(trial.arm)[who], place)
    wide = _wide(trial, part, who, first, y, event, off)
    try:
        done = impute(wide, part.by, part.imputations, seed)
    except NoCovariance as error:
        why = f"The unstructured covariance of the imputation model cannot be estimated: {error.tried[0].reason}."
        cure = "Leave visits out that hardly anybody has, or covariates."
        raise InputError(mistake(trial.document, place, why, cure, "")) from None
    filled = int(done.imputed.sum())
    draws = len(done.outcomes)
    times = "once at their means" if part.by == "conditional-mean" else f"{draws} times ({part.by}, seed {seed})"
    answer.notes.append(f"{len(y)} patients; {filled} missing scores filled {times} by {part.strategy}{how}.")
    answer.notes.append(
        "Standard errors by the jackknife."
        if part.by == "conditional-mean"
        else "Rubin's rules, df of Barnard and Rubin."
    )
    answer.facts = {"strategy": part.strategy, "by": part.by, "imputations": draws, "seed": seed, "imputed_scores": filled,
                    "patients": len(y)}  # fmt: skip
    _report(trial, part, answer, done, wide, first[who], alpha)
    return answer


def _wide(trial: Trial, part: Imputation, who: Ints, first: Ints, y: Array, event: Ints, off: dict[str, Array]) -> Wide:
    n, m = y.shape
    texts = [*(["arm*visit", "baseline*visit"] if trial.baseline is not None else ["arm*visit"]), *part.covariates]
    if m == 1:
        texts = [text.replace("*visit", "") for text in texts]
    terms = [*(tuple(trial.resolve(name) for name in term) for term in expand(texts)), *((name,) for name in off)]
    subject_level = [
        name for name in dict.fromkeys(n for t in terms for n in t) if name not in off and name != trial.columns.visit
    ]
    base = trial.variables(subject_level, np.repeat(first[who], m).astype(np.int64))
    visit = {} if m == 1 else {str(trial.columns.visit): Factor(trial.visits, np.tile(np.arange(m), n))}
    arm = trial.columns.arm
    numbers = {**base.numbers, **{name: values.ravel() for name, values in off.items()}}

    def x(reference: bool) -> Array:
        factor = base.factors[arm]
        arms = Factor(factor.levels, np.zeros_like(factor.codes) if reference else factor.codes)
        variables = Variables({**base.factors, **visit, arm: arms}, numbers)
        return model_matrix(terms, variables).x.reshape(n, m, -1)

    own = x(False)
    columns = tuple(str(i) for i in range(own.shape[2]))
    at_random = part.strategy in ("missing-at-random", "retrieved-dropout")
    strategy = "missing-at-random" if at_random else part.strategy
    return Wide(y, own, x(True), trial.of_subjects(trial.arm)[who], event, trial.visits, columns, strategy,
                part.covariance_for_each_arm)  # fmt: skip


def _off_treatment(
    trial: Trial, part: Imputation, y: Array, after: Flags, arm: Ints, place: Place
) -> tuple[dict[str, Array], str]:
    """Columns of the imputation model for scores after the event, as fine as the patients seen after it allow."""
    if part.strategy != "retrieved-dropout":
        return {}, ""
    seen, needed = after & np.isfinite(y), after & ~np.isfinite(y)
    arms, visits = range(len(trial.arms)), range(y.shape[1])
    by_cell = [(a, v) for a in arms for v in visits if (seen | needed)[arm == a, v].any()]
    if all(seen[arm == a, v].sum() >= RETRIEVED for a, v in by_cell):
        cells = {f"after event, {trial.arms[a]}, {trial.visits[v]}": after & (arm == a)[:, None] & (np.arange(y.shape[1]) == v)
                 for a, v in by_cell}  # fmt: skip
        how = " (a mean after the event for each arm and visit)"
    elif all(seen[arm == a].any(axis=1).sum() >= RETRIEVED for a in arms if after[arm == a].any()):
        cells = {f"after event, {trial.arms[a]}": after & (arm == a)[:, None] for a in arms if after[arm == a].any()}
        how = f" (one shift after the event for each arm: fewer than {RETRIEVED} patients were seen at some visits)"
    elif seen.any(axis=1).sum() >= RETRIEVED:
        cells = {"after event": after}
        how = f" (one shift after the event for all arms: fewer than {RETRIEVED} patients of an arm were seen)"
    else:
        why = f"{int(seen.any(axis=1).sum())} patients were seen after the event, too few to learn from ({RETRIEVED} are needed)."
        if part.estimand is None:
            why = "Without an estimand nothing tells which scores lie after the event."
        cure = "Name an estimand whose event has scores after it, or use jump-to-reference."
        raise InputError(mistake(trial.document, place, why, cure, ""))
    return {name: values.astype(float) for name, values in cells.items()}, how


def _report(
    trial: Trial, part: Imputation, answer: Answer, done: Completed, wide: Wide, rows: Ints, alpha: float
) -> None:
    matrix = arm_matrix(trial, part.covariates, rows.astype(np.int64))
    counterfactual = [everybody_at(matrix, trial.columns.arm, label) for label in trial.arms]
    shifts = _shift(trial, wide, part.delta.arm, part.delta.add, part.delta.each_visit) if part.delta else None
    if part.delta is not None:
        growth = " more at each visit" if part.delta.each_visit else ""
        arms = part.delta.arm or "all arms"
        answer.notes.append(f"Imputed scores after the event are shifted by {part.delta.add:g}{growth} in {arms}.")
    for v in chosen_visits(trial, part):
        analysis = Analysis(done, matrix.x, v)
        shift = None if shifts is None else shifts[:, v]
        for a, label in enumerate(trial.arms):
            pooled = analysis.contrast(counterfactual[a], part.level, shift)
            answer.rows.append(_row("mean", label, trial.visits[v], pooled, len(rows)))
        for a in range(1, len(trial.arms)):
            contrast = (counterfactual[a] - counterfactual[0]).mean(axis=0)
            group = f"{trial.arms[a]} - {trial.arms[0]}"
            answer.rows.append(
                _row("difference", group, trial.visits[v], analysis.contrast(contrast, part.level, shift), len(rows))
            )
            tip = part.tipping_point
            if tip is not None and tip.arm in (trial.arms[a], trial.arms[0]):
                unit = _shift(trial, wide, tip.arm, 1.0, tip.each_visit)[:, v]
                answer.rows.append(_tipped(analysis, contrast, part, tip, shift, unit, alpha, group, trial.visits[v]))


def _tipped(
    analysis: Analysis, contrast: Array, part: Imputation, tip: TippingPoint, shift: Array | None, unit: Array,
    alpha: float, group: str, visit: str,
) -> Row:  # fmt: skip
    """The shift of an arm at which the difference is no longer significant."""
    given = np.zeros(len(unit)) if shift is None else shift

    def answer(delta: float) -> Pooled:
        return analysis.contrast(contrast, part.level, given + delta * unit)

    tipping = tipping_point(answer, alpha, tip.limit)
    return _tipping_row(tipping.delta, tipping.at, group, visit, tip.arm, tip.limit, alpha)


def _tipping_row(
    delta: float | None, at: Pooled | None, group: str, visit: str, arm: str, limit: float, alpha: float
) -> Row:
    if delta is None or at is None:
        return Row("tipping point", group, visit, note=f"p stays below {alpha:g} for shifts of {arm} up to {limit:g}")
    if delta == 0:
        return Row("tipping point", group, visit, 0.0, p=at.p, note="not significant without a shift")
    return Row(
        "tipping point", group, visit, delta, p=at.p, note=f"shift of {arm}; the difference is then {at.estimate:.4g}"
    )


def _row(quantity: str, group: str, visit: str, pooled: Pooled, n: int) -> Row:
    t = pooled.estimate / pooled.se if pooled.se > 0 else float("nan")
    return Row(
        quantity, group, visit, pooled.estimate, pooled.se, pooled.df, t, pooled.p, pooled.lower, pooled.upper, n
    )


def _shift(trial: Trial, wide: Wide, arm: str | None, add: float, each_visit: bool) -> Array:
    """What is added to imputed cells, (n, m)."""
    m = wide.y.shape[1]
    steps = np.arange(m) - wide.event[:, None] + 1 if each_visit else np.ones(wide.y.shape)
    chosen = np.ones(len(wide.y), bool) if arm is None else wide.arm == trial.arms.index(arm)
    return np.where(wide.after & chosen[:, None], add * steps, 0.0)

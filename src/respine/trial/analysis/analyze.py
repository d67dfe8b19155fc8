"""A table and a plan -> results: what each analysis needs of the table is checked first, all mistakes at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from respine.errors import InputError, Problem
from respine.files.suggest import nearest
from respine.files.yaml_file import Place
from respine.trial.analysis import at_a_visit, extra, imputed, repeated, responders, times
from respine.trial.analysis import plan as plans
from respine.trial.analysis.estimands import handle
from respine.trial.analysis.mmrm.covariance import BY_NAME
from respine.trial.analysis.model_matrix import expand
from respine.trial.analysis.patients import Trial, read_trial
from respine.trial.analysis.plan import (
    Analysis,
    AtVisits,
    Clda,
    Cox,
    Estimand,
    Imputation,
    LogRank,
    Mmrm,
    Plan,
    Responders,
    Times,
    mistake,
)
from respine.trial.analysis.results import Answer, Results
from respine.trial.analysis.table import Table
from respine.trial.analysis.table import read as read_table

Progress = Callable[[str], None]


def analyze(data: str | Path, plan: str | Path, progress: Progress | None = None) -> Results:
    """Carry out every analysis of a plan on a table (CSV or parquet). Raises InputError with every mistake of both."""
    problems: list[Problem] = []
    plan_read: Plan | None = None
    table: Table | None = None
    try:
        plan_read = plans.load(plan)
    except InputError as error:
        problems += error.problems
    try:
        table = read_table(data)
    except InputError as error:
        problems += error.problems
    if problems or plan_read is None or table is None:
        raise InputError(*problems)
    return carry_out(table, plan_read, progress)


def carry_out(table: Table, plan: Plan, progress: Progress | None = None) -> Results:
    """Every analysis of a checked plan on a table that was read."""
    needed, numbers = _columns(plan)
    problems = _plan_alone(plan)
    try:
        trial = read_trial(table, plan, needed, numbers)
    except InputError as error:
        raise InputError(*dict.fromkeys([*problems, *error.problems])) from None
    problems += [p for i, part in enumerate(plan.parts) for p in _with_data(trial, plan, part, ("analyses", i))]
    if problems:
        raise InputError(*dict.fromkeys(problems))
    extra.load("scipy.stats")
    answers = []
    for i, part in enumerate(plan.parts):
        if progress is not None:
            progress(part.name)
        try:
            answers.append(_answer(trial, plan, part, ("analyses", i)))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(*dict.fromkeys(problems))
    return Results(plan.title, answers)


def _answer(trial: Trial, plan: Plan, part: Analysis, place: Place) -> Answer:
    estimand = _estimand(plan, part)
    handled = handle(trial, estimand, part, place)
    if isinstance(part, Mmrm):
        answer = repeated.mmrm(trial, part, handled, place)
    elif isinstance(part, Clda):
        answer = repeated.clda(trial, part, handled, place)
    elif isinstance(part, plans.Ancova):
        answer = at_a_visit.ancova(trial, part, handled, place)
    elif isinstance(part, plans.Wilcoxon):
        answer = at_a_visit.wilcoxon(trial, part, handled, place)
    elif isinstance(part, Responders):
        answer = responders.responders(trial, part, handled, place)
    elif isinstance(part, Imputation):
        answer = imputed.imputation(trial, part, handled, place, plan.alpha, plan.seed)
    elif isinstance(part, plans.KaplanMeier):
        answer = times.kaplan_meier(trial, part, estimand, place)
    elif isinstance(part, LogRank):
        answer = times.log_rank(trial, part, estimand, place)
    else:
        assert isinstance(part, Cox)
        answer = times.cox(trial, part, estimand, place)
    answer.estimand = part.estimand or ""
    if part.note:
        answer.notes.append(part.note)
    return answer


def _estimand(plan: Plan, part: Analysis) -> Estimand | None:
    return next((e for e in plan.estimands if e.name == part.estimand), None)


def _columns(plan: Plan) -> tuple[list[tuple[str, Place]], list[tuple[str, Place]]]:
    """Columns the analyses name, with their place in the plan: covariates, and those that must hold numbers."""
    needed: list[tuple[str, Place]] = [(name, ("data", "levels", name)) for name in plan.data.levels]
    needed += [(name, ("data", "factors")) for name in plan.data.factors]
    numbers: list[tuple[str, Place]] = []
    for i, estimand in enumerate(plan.estimands):
        for k, event in enumerate(estimand.events):
            numbers.append((event.column, ("estimands", i, "events", k, "column")))
            if event.time is not None:
                numbers.append((event.time, ("estimands", i, "events", k, "time")))
    for i, part in enumerate(plan.parts):
        place: Place = ("analyses", i)
        for field in ("model", "covariates"):
            for term in expand(getattr(part, field, None) or ()):
                needed += [(name, (*place, field)) for name in term]
        strata = getattr(part, "strata", None) or ()
        needed += [(name, (*place, "strata")) for name in ((strata,) if isinstance(strata, str) else strata)]
        if isinstance(part, Mmrm):
            needed += [(part.covariance_for_each, (*place, "covariance_for_each"))] if part.covariance_for_each else []
            numbers += [(part.weights, (*place, "weights"))] if part.weights else []
            numbers += [(name, (*place, "coordinates")) for name in part.coordinates]
        if isinstance(part, Times):
            numbers += [(part.time, (*place, "time")), (part.event, (*place, "event"))]
        if isinstance(part, Responders) and part.response.column is not None:
            numbers.append((part.response.column, (*place, "response", "column")))
    return needed, numbers


def _plan_alone(plan: Plan) -> list[Problem]:
    """What does not fit together in the plan whatever the table."""
    doc, problems = plan.document, []
    for i, part in enumerate(plan.parts):
        place: Place = ("analyses", i)
        of_scores = not isinstance(part, Times) and not (
            isinstance(part, Responders) and part.response.column is not None
        )
        if of_scores and plan.data.outcome is None:
            cure = 'Name the column of the score under data, "outcome: ...".'
            problems.append(mistake(doc, ("data",), f'"{part.name}" needs a score.', cure, ""))
        if isinstance(part, Responders):
            rules = [part.response.column, part.response.fall, part.response.at_most or part.response.at_least]
            if sum(rule is not None for rule in rules) != 1:
                why = "A responder is told by one rule: a column, a fall from baseline in per cent, or bounds of the score."
                problems.append(
                    mistake(doc, (*place, "response"), why, 'Write one of them, "response: {fall: 50}".', "")
                )
        if isinstance(part, (Mmrm, Clda)):
            spatial = [name for name in part.covariance if BY_NAME[name].spatial]
            coordinates = isinstance(part, Mmrm) and part.coordinates
            if spatial and not coordinates:
                why = f"The structure {spatial[0]} needs to know distances."
                problems.append(
                    mistake(
                        doc, (*place, "covariance"), why, 'Add "coordinates: [...]", columns of numbers.', spatial[0]
                    )
                )
            if isinstance(part, Mmrm) and part.coordinates and not spatial:
                why = "Coordinates are for spatial structures, and the covariance is none."
                cure = 'Write "covariance: spatial-exponential", or leave coordinates out.'
                problems.append(mistake(doc, (*place, "coordinates"), why, cure))
    return problems


def _with_data(trial: Trial, plan: Plan, part: Analysis, place: Place) -> list[Problem]:
    """Labels of the plan that the table lacks, and columns that cannot be what they are meant for."""
    doc = trial.document
    problems: list[Problem] = []
    unknown = [v for v in part.visits or () if v not in trial.visits] if isinstance(part, AtVisits) else []
    place_of = (*place, "visits")
    problems += [
        mistake(doc, place_of, f"No row of the table is of visit {v}.", nearest(v, trial.visits), v) for v in unknown
    ]
    if isinstance(part, (Mmrm, Clda)) and plan.data.visit is None:
        cure = 'Name the column of visits under data, "visit: ...".'
        problems.append(mistake(doc, ("data",), f'"{part.name}" is a model of visits.', cure, ""))
    if isinstance(part, Mmrm) and part.weights:
        wrong = np.flatnonzero(np.isfinite(trial.y) & ~(trial.numeric[part.weights] > 0)).tolist()
        if wrong:
            cure = "Give every row with a score a weight above 0."
            problems.append(trial.table.problem(wrong, part.weights, "A weight is missing, or not above 0.", cure))
    if isinstance(part, Imputation):
        for field, arm in (
            ("delta", part.delta and part.delta.arm),
            ("tipping_point", part.tipping_point and part.tipping_point.arm),
        ):
            if arm and arm not in trial.arms:
                problems.append(
                    mistake(doc, (*place, field, "arm"), "No patient is in this arm.", nearest(arm, trial.arms), arm)
                )
        for name in dict.fromkeys(n for term in expand(part.covariates) for n in term):
            if trial.resolve(name) in trial.table.columns and trial.varies_within(name):
                why = f"{name} changes within patients, and rows that are missing have no value of it."
                problems.append(
                    mistake(
                        doc, (*place, "covariates"), why, "Use covariates of the patient, such as a baseline.", name
                    )
                )
    if isinstance(part, Mmrm) and part.covariance_for_each:
        name = trial.resolve(part.covariance_for_each)
        if trial.varies_within(name):
            why = f"{name} changes within patients, so a patient has no one covariance."
            problems.append(
                mistake(doc, (*place, "covariance_for_each"), why, "Name a factor of the patient, such as the arm.")
            )
        elif trial.is_number(name):
            why = f"{name} is a column of numbers, where groups are meant."
            cure = f'Write "factors: [{name}]" under data if they are labels.'
            problems.append(mistake(doc, (*place, "covariance_for_each"), why, cure))
    return problems

"""Intercurrent events: what becomes of scores after them, and which analysis can serve which strategy (ICH E9(R1))."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from respine.errors import InputError, Problem
from respine.files.yaml_file import Place
from respine.trial.analysis.arrays import Array, Flags, Ints
from respine.trial.analysis.patients import Trial
from respine.trial.analysis.plan import Analysis, Estimand, Event, Imputation, mistake

_PRINCIPAL = (
    "A principal stratum is not seen in either arm; no analysis here identifies it.",
    "State another strategy, or use a method with the assumptions that identify the stratum.",
)
_MEAN_OF_PENALTIES = (
    "A mean of scores has no place for patients whose event counts as failure.",
    'Use "method: responders" (an event is non-response) or "method: wilcoxon" (an event is the worst rank).',
)
_ONE_LAST_SCORE = (
    "The last score before the event belongs to no visit, which a model of visits needs.",
    'Use "method: ancova" or "method: wilcoxon", which take the last score before the event.',
)
_NON_RESPONSE_IS_COMPOSITE = (
    "Without the event some patients would have responded, which a count of those seen cannot tell.",
    'Use "strategy: composite" (an event is non-response), or "method: imputation" of the score.',
)
_ARM_AFTER_EVENT = (
    "This imputation says what happens after the event when the treatment is no longer taken: a treatment policy.",
    'Write "strategy: treatment-policy" for the event, or impute with "strategy: missing-at-random".',
)
_AS_IF_NOT_HAPPENED = (
    "Imputation at random puts back the scores as if the event had not happened: a hypothetical strategy.",
    'Write "strategy: hypothetical" for the event, or impute with jump-to-reference, copy-reference, '
    "copy-increments-in-reference or retrieved-dropout.",
)
_NOT_FOR_TIMES = (
    "An analysis of times has no score to treat this way.",
    "Use treatment-policy, hypothetical (censored at the event) or composite (the event counts).",
)
_MODELS = ("mmrm", "clda")
_AT_A_VISIT = ("ancova", "wilcoxon")
_TIMES = ("kaplan-meier", "log-rank", "cox")


def refusal(part: Analysis, strategy: str) -> tuple[str, str] | None:
    """Why an analysis cannot serve a strategy, and what to write instead; None where it can."""
    method = str(getattr(part, "method", ""))
    if strategy == "principal-stratum":
        return _PRINCIPAL
    if isinstance(part, Imputation):
        if strategy in ("composite", "while-on-treatment"):
            return _MEAN_OF_PENALTIES if strategy == "composite" else _ONE_LAST_SCORE
        at_random = part.strategy == "missing-at-random"
        if strategy == "treatment-policy":
            return _AS_IF_NOT_HAPPENED if at_random else None
        return None if at_random else _ARM_AFTER_EVENT
    if strategy == "composite":
        return None if method in ("responders", "wilcoxon", *_TIMES) else _MEAN_OF_PENALTIES
    if strategy == "while-on-treatment":
        if method in _TIMES:
            return _NOT_FOR_TIMES
        return None if method in (*_AT_A_VISIT, "responders") else _ONE_LAST_SCORE
    if strategy == "hypothetical" and method == "responders":
        return _NON_RESPONSE_IS_COMPOSITE
    if strategy == "hypothetical" and method in _AT_A_VISIT:
        return (
            "Leaving the scores after the event out of one visit compares those who had none, which is no hypothesis about all.",
            'Use "method: mmrm", or "method: imputation" with "strategy: missing-at-random".',
        )
    return None


@dataclass
class Handled:
    """Scores under an estimand. ``y`` (N,); ``after`` (n, m) cells from the event on, all events together; ``event`` (n,) the
    first such visit, m where none; ``failed`` (n,) patients for whom an event counts as failure."""

    y: Array
    after: Flags
    event: Ints
    failed: Flags
    notes: list[str] = field(default_factory=list)


def handle(trial: Trial, estimand: Estimand | None, part: Analysis, place: Place) -> Handled:
    """Apply the strategies of an estimand. Raises InputError where the analysis cannot serve it."""
    m = len(trial.visits)
    result = Handled(trial.y.copy(), np.zeros((trial.n, m), bool), np.full(trial.n, m), np.zeros(trial.n, bool))
    if estimand is None:
        return result
    problems: list[Problem] = []
    for event in estimand.events:
        reason = refusal(part, event.strategy)
        if reason:
            why = f'"{part.name}" ({getattr(part, "method", "")}) cannot serve {event.strategy} for {event.event}. {reason[0]}'
            problems.append(mistake(trial.document, (*place, "estimand"), why, reason[1], estimand.name))
            continue
        after = _after(trial, event)
        first = np.where(after.any(axis=1), after.argmax(axis=1), m)
        result.after |= after
        result.event = np.minimum(result.event, first)
        problems += _apply(trial, event, after, first, result, part, place)
    if problems:
        raise InputError(*dict.fromkeys(problems))
    return result


def _after(trial: Trial, event: Event) -> Flags:
    """Cells at and after an event, (n, m)."""
    flags = trial.numeric[event.column]
    values = set(np.unique(flags[np.isfinite(flags)]).tolist())
    if not values <= {0.0, 1.0}:
        wrong = np.flatnonzero(np.isfinite(flags) & ~np.isin(flags, (0.0, 1.0))).tolist()
        raise InputError(
            trial.table.problem(
                wrong, event.column, "An event is told by 0 (before it) and 1 (from it on).", "Write 0 or 1."
            )
        )
    wide = trial.wide(flags) == 1
    ever = np.logical_or.accumulate(wide, axis=1)
    back = ever & (trial.wide(flags) == 0)
    if back.any():
        rows = np.flatnonzero(back[trial.subject, trial.visit]).tolist()
        why = f"The event {event.event} has happened before, so this row must be after it."
        raise InputError(trial.table.problem(rows, event.column, why, "Write 1 in every row from the event on."))
    return np.asarray(ever)


def _apply(
    trial: Trial, event: Event, after: Flags, first: Ints, result: Handled, part: Analysis, place: Place
) -> list[Problem]:
    cells = after[trial.subject, trial.visit]
    affected = int(after.any(axis=1).sum())
    method = str(getattr(part, "method", ""))
    text = f"{event.event} ({affected} patients): {event.strategy}"
    if event.strategy == "hypothetical" and method not in _TIMES:
        gone = int((cells & np.isfinite(trial.y)).sum())
        result.y = np.where(cells, np.nan, result.y)
        result.notes.append(f"{text}; {gone} scores after the event are set aside.")
    elif event.strategy == "composite" and method not in _TIMES:
        result.failed |= after.any(axis=1)
        result.notes.append(f"{text}; the event counts as failure.")
    elif event.strategy == "while-on-treatment":
        last = _last_before(trial, first)
        result.y = np.where(cells, last[trial.subject], result.y)
        result.notes.append(f"{text}; the last score before the event stands for those after it.")
    elif event.strategy == "treatment-policy" and method in (*_MODELS, *_AT_A_VISIT):
        seen = np.isfinite(trial.wide())
        kept = int((seen & after).any(axis=1).sum())
        if affected and not kept:
            why = (
                f'"{part.name}" ({method}) cannot serve treatment-policy for {event.event}: no score after the event is in the '
                f"table ({affected} patients have it), so what is fitted is as if it had not happened."
            )
            cure = 'Use "method: imputation" with jump-to-reference or another reference-based strategy, or state "hypothetical".'
            return [mistake(trial.document, (*place, "estimand"), why, cure)]
        lost = int((after & ~seen).any(axis=1).sum())
        result.notes.append(
            f"{text}; scores after the event count as they are, {lost} of these patients miss some of them."
        )
    else:
        result.notes.append(f"{text}.")
    return []


def _last_before(trial: Trial, first: Ints) -> Array:
    """The last score before an event, (n,), the baseline where there is none."""
    y = trial.wide()
    result = trial.of_subjects(trial.baseline) if trial.baseline is not None else np.full(trial.n, np.nan)
    for j in range(y.shape[1]):
        usable = np.isfinite(y[:, j]) & (j < first)
        result = np.where(usable, y[:, j], result)
    return np.asarray(result)

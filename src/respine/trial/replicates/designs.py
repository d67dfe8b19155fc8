"""Trials that are not parallel: crossover, randomised withdrawal, sequential parallel. What each compares, in every replicate."""

from __future__ import annotations

from typing import Any

import numpy as np

from respine.errors import InputError, argument
from respine.protocol import Protocol
from respine.study.schema import Arm as AskedArm
from respine.study.schema import Dose, Exposure, Study
from respine.trial.replicates.analyses import Answers, ancova
from respine.trial.replicates.trials import Trials, chosen, form_of

BETWEEN = "-then-"


def crossover(study: Study) -> Study:
    """The study whose arms are the sequences A-B and B-A of a crossover: the second period's doses and visits come ``period`` and
    ``washout`` later.

    Belief follows the sequence's own doses and what is felt of them; a control of one arm cannot hold for one period alone, so
    that arms with controls that differ are taken as blinded treatments. Raises InputError for a study that is no crossover.
    """
    form = form_of(study)
    if form.design != "crossover" or form.period is None:
        raise InputError(
            argument("study", study.name, "The trial of this study is no crossover.", 'Write "design: crossover".')
        )
    later = form.period + (study.washout or 0.0)
    (a, first), (b, second) = study.arms.items()
    visits = [t for t in study.visits if t <= study.start + form.period + 1e-9]
    arms = {
        f"{x}{BETWEEN}{y}": _sequence(first_treatment, other, later)
        for x, first_treatment, y, other in ((a, first, b, second), (b, second, a, first))
    }
    sizes = form.n if not isinstance(form.n, dict) else next(iter(form.n.values()))
    known = dict(zip(arms, (first.n_published, second.n_published), strict=True))
    for name, size in known.items():
        arms[name] = arms[name].replace(n_published=size) if size else arms[name]
    trial = form.replace(design="parallel", period=None, n=sizes)
    times = [f"{t!r} h" for t in (*visits, *(t + later for t in visits))]
    return study.replace(arms=arms, visits=times, endpoints=(), compare=(), rules=(), trial=trial)


def _sequence(first: AskedArm, second: AskedArm, later: float) -> AskedArm:
    alike = first.control == second.control
    return AskedArm.model_validate({
        "doses": [*(d.to_dict() for d in first.doses), *(_moved(d, later) for d in second.doses)],
        "co_medication": [d.to_dict() for d in first.co_medication],
        "exposures": [*(e.to_dict() for e in first.exposures), *(_moved(e, later) for e in second.exposures)],
        "parameters": {**first.parameters, **second.parameters},
        **({"control": first.control.to_dict()} if alike and first.control is not None else {}),
    })  # fmt: skip


def _moved(dose: Dose | Exposure, later: float) -> dict[str, Any]:
    written = dose.to_dict()
    if dose.at is not None:
        written["at"] = [f"{t + later!r} h" for t in dose.at]
        if dose.every is not None and len(dose.at) == 1:
            written["at"] = written["at"][0]
    for field, time in (("until", dose.until), ("from", getattr(dose, "begin", None))):
        if time is not None:
            written[field] = f"{time + later!r} h"
    return written


def crossover_answers(trials: Trials, scale: str, time: float, later: float) -> Answers:
    """The difference first arm - second arm within people, adjusted for the period (half the difference between the sequences'
    mean period differences; Hills and Armitage 1979, doi:10.1111/j.1365-2125.1979.tb05910.x), in every trial.

    ``time`` is the hour of the rating in the first period, ``later`` the hours between the periods. Each period has its own
    baseline.
    """
    y = trials.observed(scale)
    start = float(trials.times[0])
    columns = [trials.column(t) for t in (start, time, start + later, time + later)]
    change = [y[:, :, columns[1]] - y[:, :, columns[0]], y[:, :, columns[3]] - y[:, :, columns[2]]]
    difference = change[0] - change[1]
    first, two = chosen(trials, trials.arms)
    rows = np.arange(len(trials))[:, None]
    answer = ancova(difference[rows, first], difference[rows, two], None, None)
    return Answers(answer.estimate / 2, answer.se / 2, answer.df, answer.p, {})


def selected(trials: Trials) -> np.ndarray:
    """Who goes on in a randomised withdrawal: ``(R, n)``. Raises InputError where the study selects nobody."""
    select = form_of(trials.protocol.study).select
    if select is None:
        raise InputError(
            argument("study", trials.protocol.study.name, "The study selects nobody.", 'Add "trial: {select: ...}".')
        )
    y = trials.observed(trials.protocol.scale(select.scale).name)
    base, then = y[:, :, 0], y[:, :, trials.column(select.at)]
    with np.errstate(invalid="ignore"):
        fell = then <= (1 - select.fall) * base + 1e-9
    known = np.isfinite(base) & np.isfinite(then)
    return np.asarray(known & (fell if select.who == "responders" else ~fell))


def withdrawal_times(trials: Trials) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hours from the randomisation to relapse or the end of observation, whether it was a relapse, and who is in the analysis,
    ``(R, n)`` each."""
    select = form_of(trials.protocol.study).select
    inside = selected(trials)
    assert select is not None
    relapse = np.where(trials.events["relapse"] > select.at, trials.events["relapse"], np.inf)
    gone = np.minimum(trials.events["dropout"], trials.times[-1])
    event = relapse <= gone
    return np.where(inside, np.minimum(relapse, gone) - select.at, np.nan), event & inside, inside & (gone > select.at)


def sequential_parallel(trials: Trials, scale: str) -> Answers:
    """The weighted effect of drug over both stages: all people in the first, placebo's non-responders in the second (Fava et al.
    2003, doi:10.1159/000069738; the stages' estimates are uncorrelated, Chen et al. 2011, doi:10.1016/j.cct.2011.04.006).

    Arms in the order drug-drug, placebo-drug, placebo-placebo.
    """
    study = trials.protocol.study
    form = form_of(study)
    if form.design != "sequential-parallel" or form.stage is None or len(trials.arms) != 3:
        raise InputError(argument("study", study.name, "This is no sequential parallel trial.",
                                  'Write "design: sequential-parallel" with "stage" and three arms.'))  # fmt: skip
    y, middle = trials.observed(scale), trials.column(form.stage)
    drug, switched, placebo = chosen(trials, trials.arms)
    rows = np.arange(len(trials))[:, None]
    first = y[:, :, middle] - y[:, :, 0]
    both = np.concatenate([switched, placebo], axis=1)
    first_stage = ancova(first[rows, drug], first[rows, both], y[:, :, 0][rows, drug], y[:, :, 0][rows, both])
    drop = trials.protocol.scale(scale).response_drop
    with np.errstate(invalid="ignore"):
        stays_ill = y[:, :, middle] > (1 - drop) * y[:, :, 0] + 1e-9
    second = np.where(stays_ill, y[:, :, -1] - y[:, :, middle], np.nan)
    base = np.where(stays_ill, y[:, :, middle], np.nan)
    two = ancova(second[rows, switched], second[rows, placebo], base[rows, switched], base[rows, placebo])
    w = form.weight
    estimate = w * first_stage.estimate + (1 - w) * two.estimate
    se = np.sqrt((w * first_stage.se) ** 2 + ((1 - w) * two.se) ** 2)
    from scipy.special import ndtr

    return Answers(estimate, se, np.full(len(se), np.inf), 2 * ndtr(-np.abs(estimate / se)), {})


def as_sequences(protocol: Protocol) -> Protocol:
    """The protocol of a crossover with its sequences as arms; any other protocol as it is."""
    from respine.protocol import resolve

    if form_of(protocol.study).design != "crossover":
        return protocol
    return resolve(crossover(protocol.study), system=protocol.system)

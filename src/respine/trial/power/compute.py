"""Power and assurance of a study by simulation: the same trials, once with typical parameters and once with drawn ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from respine.errors import InputError, argument
from respine.files import units
from respine.library import Library
from respine.protocol import Protocol, resolve
from respine.study import load
from respine.study.behaviour import Behaviour
from respine.study.schema import Study
from respine.trial.power.question import Comparison, Outcome, comparisons, sizes
from respine.trial.power.results import Counts, PowerResults, results
from respine.trial.replicates.analyses import Answers, ancova, mmrm, remits, responds, shares
from respine.trial.replicates.estimands import named, refuse_composite, scored
from respine.trial.replicates.trials import Trials, chosen, simulate_trials

Progress = Callable[[int, int], None]
CHUNK = 25  # replicates simulated between two looks at the clock
FITS = 2  # parts of a replicate that are analysed by a fit of their own; the quick analyses take them all
LEAST_REPLICATES = 50


@dataclass(frozen=True)
class _Asked:
    protocol: Protocol
    n: tuple[int, ...]
    comparisons: tuple[Comparison, ...]
    alpha: float
    estimand: str | None
    threads: int | None


def power(
    study: Protocol | Study | str | Path, n: str | int | Iterable[int] = "20:200", *, alpha: float = 0.05,
    dropout: str | float | Mapping[str, str | float] | None = None, endpoint: str | None = None,
    against: str | None = None, visits: Sequence[str | float] | None = None, analysis: str | None = None,
    estimand: str | None = None, replicates: int = 400, budget: str | float | None = None, seed: int | None = None,
    costs: Mapping[str, float] | None = None, threads: int | None = None, progress: Progress | None = None,
    library: Library | None = None,
) -> PowerResults:  # fmt: skip
    """Power given the typical parameters and assurance over the parameters' uncertainty, for ``n`` people an arm.

    ``n``: ``"20:200"``, ``"20,40,80"`` or numbers; ``alpha`` two-sided, won where the arm comes out better; ``dropout``: the
    share that has left at random by the last visit, for all arms or by arm; ``endpoint`` names one of the study's (the first
    contrast if left out), ``against`` the arm to compare with, ``visits`` the visits (``["24 h", "28 d"]``); ``analysis``:
    ``mmrm`` (default), ``ancova`` or ``t-test``; ``estimand`` one of the study's. At most ``replicates`` trials are simulated,
    fewer where the ``budget`` (``"2 min"`` or seconds) is used up. ``costs``: ``person``, ``fixed``, ``miss`` (an effective arm
    that loses), ``false`` (an ineffective one that wins). Raises InputError with what cannot be asked.
    """
    protocol = study if isinstance(study, Protocol) else resolve(_study(study, library), library)
    if seed is not None:
        protocol = protocol.with_study(seed=seed)
    if not 0 < alpha < 0.5:
        raise InputError(
            argument("alpha", alpha, "The error of both sides together lies between 0 and 0.5.", "Write 0.05.")
        )
    if not isinstance(replicates, int) or not LEAST_REPLICATES <= replicates <= 1_000_000:
        raise InputError(argument("replicates", replicates, f"{LEAST_REPLICATES} trials are the least that tell a power.",
                                  "Write for example 400."))  # fmt: skip
    protocol = protocol.with_study(behaviour=with_dropout(protocol.study, dropout)) if dropout is not None else protocol
    times = None if visits is None else [hours(v) for v in visits]
    asked = _Asked(
        protocol, sizes(n), comparisons(protocol, endpoint=endpoint, against=against, visits=times, method=analysis),
        alpha, estimand, threads,
    )  # fmt: skip
    counts = _simulate(asked, replicates, seconds(budget), progress)
    return results(protocol.study, asked.n, counts, alpha, costs or {}, replicates)


def _study(study: Study | str | Path, library: Library | None) -> Study:
    if isinstance(study, Study):
        return study
    return load(study) if library is None else load(study, library)


def with_dropout(study: Study, dropout: str | float | Mapping[str, str | float]) -> Behaviour:
    """The study's behaviour with dropout at random up to the last visit in place of its own. Raises InputError."""
    last = max(study.visits) - study.start
    shares = dropout if isinstance(dropout, Mapping) else {"": dropout}
    laws = []
    for arm, share in shares.items():
        try:
            value = units.fraction(share) if isinstance(share, str) else float(share)
        except units.UnitError as error:
            raise InputError(argument("dropout", share, error.why, 'Write for example "15%".')) from None
        if not 0 <= value < 1:
            why = "More people would leave than there are." if value >= 1 else "A share is not negative."
            raise InputError(argument("dropout", share, why, 'Write a share from 0% to below 100%, such as "15%".'))
        if arm and arm not in study.arms:
            raise InputError(
                argument(
                    "dropout", arm, "The study has no arm of this name.", f"Write one of: {', '.join(study.arms)}."
                )
            )
        if value > 0:
            law = {"by": "random", "share": f"{100 * value:.12g} %", "until": f"{last!r} h"}
            laws.append(law | ({"arms": [arm]} if arm else {}))
    own = {} if study.behaviour is None else study.behaviour.to_dict()
    return Behaviour.model_validate({**own, "dropout": laws})


def hours(value: str | float) -> float:
    """Hours of a visit as it is written. Raises InputError."""
    if isinstance(value, str):
        try:
            return units.hours(value)
        except units.UnitError as error:
            raise InputError(argument("visits", value, error.why, error.cure)) from None
    return float(value)


def seconds(budget: str | float | None) -> float:
    """Seconds of a budget as it is written, infinite for none. Raises InputError."""
    if budget is None:
        return float("inf")
    if isinstance(budget, str):
        try:
            hours = units.hours(budget.replace(" s", "").strip() + " min" if budget.endswith(" s") else budget)
            return hours * 60 if budget.endswith(" s") else hours * 3600
        except units.UnitError as error:
            raise InputError(argument("budget", budget, error.why, 'Write for example "2 min".')) from None
    return float(budget)


@dataclass
class _Gathered:
    """Answers so far: by comparison and mode lists of (replicates, sizes) arrays."""

    won: list[np.ndarray] = field(default_factory=list)
    lost: list[np.ndarray] = field(default_factory=list)
    effect: list[np.ndarray] = field(default_factory=list)
    se: list[np.ndarray] = field(default_factory=list)
    sd: list[np.ndarray] = field(default_factory=list)
    left: list[np.ndarray] = field(default_factory=list)
    fallbacks: dict[str, int] = field(default_factory=dict)


def _simulate(asked: _Asked, replicates: int, seconds: float, progress: Progress | None) -> list[Counts]:
    gathered = [(_Gathered(), _Gathered()) for _ in asked.comparisons]
    began, done, longest = time.monotonic(), 0, 0.0
    while done < replicates:
        chunk, before = min(CHUNK, replicates - done), time.monotonic()
        for mode, typical in enumerate((True, False)):
            trials = simulate_trials(
                asked.protocol, chunk, asked.n[-1], first=done, typical=typical, threads=asked.threads,
                progress=_within(progress, done, chunk, mode, replicates),
            )  # fmt: skip
            for group in together(asked.comparisons):
                _count(asked, trials, group, [gathered[i][mode] for i in group])
        done += chunk
        if progress is not None:
            progress(done, replicates)
        longest = max(longest, time.monotonic() - before) if done > CHUNK else 0.0  # the first one makes machine code
        if done >= LEAST_REPLICATES and time.monotonic() - began + longest > seconds:
            break
    counts = []
    for comparison, (given, drawn) in zip(asked.comparisons, gathered, strict=True):
        weight = np.array([_parts(asked.n, n, comparison) for n in asked.n], float)
        fallbacks = {**given.fallbacks, **drawn.fallbacks}
        counts.append(Counts(comparison, done, _stack(given), _stack(drawn), weight, fallbacks, asked.n[-1]))
    return counts


def _within(progress: Progress | None, done: int, chunk: int, mode: int, total: int) -> Progress | None:
    if progress is None:
        return None
    return lambda part, whole: progress(int(done + chunk * (mode + part / max(1, whole)) / 2), total)


def together(all_of: Sequence[Comparison]) -> list[list[int]]:
    """Comparisons of the same two arms on the same endpoint: one analysis answers for all their visits."""
    groups: dict[tuple[str, str, str], list[int]] = {}
    for i, comparison in enumerate(all_of):
        groups.setdefault((comparison.arm, comparison.against, comparison.outcome.name), []).append(i)
    return list(groups.values())


def _parts(all_sizes: Sequence[int], n: int, comparison: Comparison) -> int:
    """Into how many trials of ``n`` people an arm the people of a replicate are divided."""
    whole = all_sizes[-1] // n
    return min(whole, FITS) if comparison.outcome.method == "mmrm" else whole


def _count(asked: _Asked, trials: Trials, group: list[int], gathered: list[_Gathered]) -> None:
    """Analyse one pair of arms in every trial, at every size, and add up who won."""
    first = asked.comparisons[group[0]]
    estimand = named(trials, asked.estimand)
    refuse_composite(estimand, first.outcome.kind)
    whole = scored(trials, first.outcome.scale, estimand)
    rows = np.arange(len(trials))[:, None]
    a, b = (whole.values[rows, who] for who in chosen(trials, (first.arm, first.against)))
    failed = [whole.failed[rows, who] for who in chosen(trials, (first.arm, first.against))]
    outcomes = [asked.comparisons[i].outcome for i in group]
    per_size: list[list[list[Answers]]] = []  # size, part, outcome
    for n in asked.n:
        parts = []
        for k in range(_parts(asked.n, n, first)):
            cut = slice(k * n, (k + 1) * n)
            parts.append(analyse(outcomes, a[:, cut], b[:, cut], failed[0][:, cut], failed[1][:, cut]))
        per_size.append(parts)
    for j, counts in enumerate(gathered):
        sign = -1.0 if outcomes[j].lower_is_better else 1.0
        won, lost = [], []
        for parts in per_size:
            better = np.stack([sign * part[j].estimate > 0 for part in parts])
            small = np.stack([part[j].p < asked.alpha for part in parts])
            known = np.stack([part[j].known for part in parts])
            weight = np.maximum(known.sum(axis=0), 1)
            won.append((better & small & known).sum(axis=0) / weight)
            lost.append((~better & small & known).sum(axis=0) / weight)
            for part in parts:
                for name, count in part[j].fallbacks.items():
                    counts.fallbacks[name] = counts.fallbacks.get(name, 0) + count
        counts.won.append(np.stack(won, axis=1))
        counts.lost.append(np.stack(lost, axis=1))
        last = per_size[-1][0][j]
        counts.effect.append(last.estimate)
        counts.se.append(last.se)
        column = outcomes[j].column
        change = [part[:, :, column] - part[:, :, 0] for part in (a, b)]
        counts.sd.append(np.stack([np.nanvar(part, axis=1, ddof=1) for part in change], axis=1))
        counts.left.append(np.stack([np.isnan(part).mean(axis=1) for part in change], axis=1))


def analyse(
    outcomes: Sequence[Outcome], a: np.ndarray, b: np.ndarray, failed_a: np.ndarray, failed_b: np.ndarray
) -> list[Answers]:
    """The answers of each outcome (of one scale and method, at different ratings) from scores ``(R, n, V)`` of two arms."""
    method = outcomes[0].method
    if method == "mmrm":
        return mmrm(a, b, [outcome.column for outcome in outcomes])
    answers = []
    for outcome in outcomes:
        if method == "score-test":
            of = responds if outcome.kind == "response" else remits
            answers.append(
                shares(
                    of(a, outcome.column, outcome.threshold, failed_a),
                    of(b, outcome.column, outcome.threshold, failed_b),
                )
            )
        else:
            changes = [part[:, :, outcome.column] - part[:, :, 0] for part in (a, b)]
            bases = [part[:, :, 0] if method == "ancova" else None for part in (a, b)]
            answers.append(ancova(*changes, *bases))
    return answers


def _stack(gathered: _Gathered) -> dict[str, np.ndarray]:
    return {name: np.concatenate(getattr(gathered, name)) for name in ("won", "lost", "effect", "se", "sd", "left")}

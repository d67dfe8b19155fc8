"""What a trial of the published size would have found: the same endpoint over many simulated trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from respine import population
from respine.study.endpoints import Change, Contrast, PercentChange, Score
from respine.trial.endpoints import Endpoint, Sample, arms_needed, estimate, sample_of
from respine.trial.panel import Panel

TRIALS = 1000
MEANS = (Score, Change, PercentChange, Contrast)  # endpoints that are read from means of people
LEVELS = tuple(k / 40 for k in range(1, 40))  # of the quantiles that are kept: the forecast as a whole
LEAST_PER_DRAW = 3
RESAMPLES = 8  # per parameter draw, to see how far a draw's own result is due to its few people
MOST_AT_ONCE = 4_000_000  # numbers held at a time
CONTAINS = "90 % of simulated trials of the published size: people, rating noise and parameter uncertainty together"


@dataclass(frozen=True)
class Interval:
    """Median and percentiles of an endpoint over ``trials`` simulated trials, and what to know of them; ``quantiles`` at
    ``LEVELS``."""

    median: float
    p05: float
    p95: float
    trials: int
    note: str = ""
    p25: float = float("nan")
    p75: float = float("nan")
    quantiles: tuple[float, ...] = ()


def in_trials_of_published_size(
    endpoint: Endpoint, arm: str, panel: Panel, sizes: Mapping[str, int], seed: int, *,
    arms: Sequence[str] | None = None, trials: int = TRIALS, laboratory: np.ndarray | None = None,
) -> Interval:  # fmt: skip
    """The endpoint of an arm in trials with ``sizes`` people per arm (an arm without a size has all people of a draw).

    A trial takes one draw of the uncertain typical values, the same for its arms, and from that draw's virtual people
    as many as were published, each arm its own: without replacement where there are enough. Where there are not, people
    are drawn with replacement and the spread between draws is shrunk by the part that the small number of people per
    draw explains. The interval therefore holds people, rating noise and parameter uncertainty together. The same
    numbers come out for any number of threads. ``laboratory`` (trials,) is by what factor each trial's laboratory finds a larger
    departure from no change than another (``setting.laboratory_factors``).
    """
    everyone = list(arms) if arms is not None else sorted({a for a, _ in panel.values})
    needed = [a for a in arms_needed(endpoint, arm, everyone) if (a, endpoint.of) in panel.values]
    whole: Sample = sample_of(endpoint, panel, needed)
    usable = np.all([np.isfinite(panel.values[a, endpoint.of]).any(axis=1) for a in needed], axis=0)
    groups = _groups(panel.draw, usable)
    groups = [g for g in groups if 2 * len(g) >= max(map(len, groups))]  # the last draw may have a few people only
    if not groups:
        return Interval(np.nan, np.nan, np.nan, 0, "nobody was simulated to the end")
    note = f"{CONTAINS}; {len(groups)} parameter draws"
    if np.mean([len(g) for g in groups]) < LEAST_PER_DRAW:  # nothing separates people from parameters then
        groups = [np.concatenate(groups)]
        note = f"{CONTAINS}; too few virtual people per parameter draw to tell the two apart: run more subjects"
    smallest = min(map(len, groups))
    size = {a: sizes.get(a, 0) for a in needed}
    enough = all(size[a] <= smallest for a in needed)
    pick = population.uniforms(seed, "which parameter draw a trial has", 0, trials, 1)[:, 0]
    chosen = np.minimum((pick * len(groups)).astype(np.int64), len(groups) - 1)

    if not enough and len(groups) > 1 and isinstance(endpoint, MEANS):
        whole, shifts, groups = _pooled(whole, groups, needed)
    else:
        shifts = dict[str, np.ndarray]()
    results = np.full(trials, np.nan)
    for number in np.unique(chosen):
        group, members = groups[0] if shifts else groups[number], np.flatnonzero(chosen == number)
        at_once = max(1, MOST_AT_ONCE // (len(group) + max(size.values())))
        for part in range(0, len(members), at_once):
            block = members[part : part + at_once]
            sample = {
                a: _people(
                    whole[a],
                    group,
                    size[a] or len(group),
                    len(block),
                    seed,
                    f"trials {part} of draw {number} in {a}",
                    enough,
                )
                for a in needed
            }
            if shifts:
                sample = {a: (values + shifts[a][number], base) for a, (values, base) in sample.items()}
            results[block] = estimate(endpoint, arm, sample)
    if not enough and len(groups) > 1 and not shifts:
        results = _shrunk(endpoint, arm, whole, groups, chosen, results, needed, size[arm] or smallest, seed)
    if laboratory is not None and endpoint.no_change is not None:
        results = endpoint.no_change + (results - endpoint.no_change) * laboratory
    known = results[np.isfinite(results)]
    if not len(known):
        return Interval(np.nan, np.nan, np.nan, 0, "no simulated trial had people to compute it from")
    if len(known) < trials:
        note += f"; {trials - len(known)} trials had nobody to compute it from"
    if endpoint.is_share:
        known = np.clip(known, 0.0, 100.0)
    p05, p25, median, p75, p95 = map(float, np.quantile(known, [0.05, 0.25, 0.5, 0.75, 0.95]))
    quantiles = tuple(map(float, np.quantile(known, LEVELS)))
    return Interval(median, p05, p95, len(known), note, p25, p75, quantiles)


def _groups(draw: np.ndarray, usable: np.ndarray) -> list[np.ndarray]:
    """The usable people of each draw, in the order of the draws; draws without any are left out."""
    people = np.flatnonzero(usable)
    people = people[np.argsort(draw[people], kind="stable")]
    borders = np.flatnonzero(np.diff(draw[people])) + 1
    return np.split(people, borders) if len(people) else []


def _people(
    data: tuple[np.ndarray, np.ndarray],
    group: np.ndarray,
    size: int,
    trials: int,
    seed: int,
    purpose: str,
    enough: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Values and baselines of the people of each trial, ``(trials, size)``.

    Arms draw their people independently though they share the same virtual people: a real trial randomises different
    patients to its arms, and comparing each person with himself would make differences look far too sure.
    """
    width = len(group) if enough else size
    chance = population.uniforms(seed, purpose, 0, trials * width, 1).reshape(trials, width)
    if not enough:
        index = group[np.minimum((chance * len(group)).astype(np.int64), len(group) - 1)]
    elif size < len(group):
        index = group[np.argpartition(chance, size - 1, axis=1)[:, :size]]
    else:
        index = np.tile(group, (trials, 1))
    values, base = data
    return values[index], (base[index] if len(base) else base)


def _pooled(
    whole: Sample, groups: list[np.ndarray], needed: list[str]
) -> tuple[Sample, dict[str, np.ndarray], list[np.ndarray]]:
    """People of all draws as one cohort, and what each draw moves them by: ``value = cohort + shift of the draw + person``.

    The means of draws spread by parameters and by the chance of their few people: ``C = B + (m - 3) / (m - 1) W / n`` over the
    arms together, whose people are the same (the factor for m draws as in James and Stein). Each draw's means are drawn in so
    that they spread by ``B``; each person's distance from the draw's mean is widened by what the mean took of it.
    """
    count, n = len(groups), float(np.mean([len(g) for g in groups]))
    centres = np.array([[np.nanmean(whole[a][0][g]) for a in needed] for g in groups])
    known = np.isfinite(centres).all(axis=1)
    cohort: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    away = np.full((len(needed), len(whole[needed[0]][0])), np.nan)
    for k, a in enumerate(needed):
        for number, g in enumerate(groups):
            away[k, g] = (whole[a][0][g] - centres[number, k]) * np.sqrt(len(g) / max(len(g) - 1, 1))
        cohort[a] = (np.nanmean(centres[:, k]) + away[k], whole[a][1])
    within = np.nan_to_num(np.ma.cov(np.ma.masked_invalid(away)).filled(0.0)).reshape(len(needed), -1)
    between = np.atleast_2d(np.cov(centres[known].T)) if known.sum() > 1 else np.zeros_like(within)
    left = between - max(count - 3, 0) / max(count - 1, 1) * within / n
    pull = _root(left) @ np.linalg.pinv(_root(between))
    moved = np.where(known[:, None], centres - np.nanmean(centres, axis=0), 0.0) @ pull.T
    everyone = np.concatenate(groups)
    return cohort, {a: moved[:, k] for k, a in enumerate(needed)}, [everyone] * count


def _root(matrix: np.ndarray) -> np.ndarray:
    """Symmetric root of a covariance, directions of no spread left out."""
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T)


def _shrunk(
    endpoint: Endpoint, arm: str, whole: Sample, groups: list[np.ndarray], chosen: np.ndarray, results: np.ndarray,
    needed: list[str], size: int, seed: int,
) -> np.ndarray:  # fmt: skip
    """Trial results as they would be with many people per draw.

    A draw of few people has a result of its own chance: ``var(centres) = var(parameters) + var(people) / n``. The
    centres are drawn together until only the first part is left, and the spread of trials around their centre, too
    small by ``(people - 1) / people`` when people are drawn with replacement, is widened.
    """
    centres, noise = np.full(len(groups), np.nan), np.full(len(groups), np.nan)
    for number, group in enumerate(groups):
        everyone = {a: (whole[a][0][group], whole[a][1][group] if len(whole[a][1]) else whole[a][1]) for a in needed}
        centres[number] = float(estimate(endpoint, arm, everyone))
        # the same people in every arm here, as in the centres: what they share cancels in a difference of centres
        again = {
            a: _people(whole[a], group, len(group), RESAMPLES, seed, f"resampled draw {number}", False) for a in needed
        }
        estimates = estimate(endpoint, arm, again)
        if np.isfinite(estimates).sum() > 1 and len(group) > 1:
            noise[number] = float(np.nanvar(estimates, ddof=1)) * len(group) / (len(group) - 1)
    known = np.isfinite(centres)
    if known.sum() < 2:
        return results
    middle, count = float(centres[known].mean()), int(known.sum())
    between, chance = float(np.var(centres[known], ddof=1)), float(np.nanmean(noise[known]))
    # few draws tell little about the spread between them: the factor (James and Stein) then shrinks less
    share = 1.0 - max(count - 3, 0) / (count - 1) * chance / between if between > 0 and np.isfinite(chance) else 0.0
    pulled = middle + np.sqrt(max(share, 0.0)) * (centres - middle)
    if endpoint.is_share:
        return _counted(endpoint, arm, whole, pulled[chosen], size, seed)
    widened = np.array([max(len(g), 2) for g in groups], float)
    around = (results - centres[chosen]) * np.sqrt(widened / (widened - 1))[chosen]
    return np.asarray(pulled[chosen] + around)


def _counted(endpoint: Endpoint, arm: str, whole: Sample, percent: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Percentages that trials with these true percentages would count, each person a yes or no."""
    values = whole[arm][0]
    in_analysis = np.isfinite(values).mean()  # responders only, where the endpoint is about them
    people = max(1, round(size * float(in_analysis)))
    shares = np.empty(len(percent))
    at_once = max(1, MOST_AT_ONCE // people)
    for part in range(0, len(percent), at_once):
        block = slice(part, part + at_once)
        rows = len(percent[block])
        chance = population.uniforms(seed, f"counts {part} of {endpoint.name} in {arm}", 0, rows * people, 1)
        shares[block] = 100 * (chance.reshape(rows, people) < percent[block, None] / 100).mean(axis=1)
    return np.where(np.isfinite(percent), shares, np.nan)

"""Calibrate one block: a recipe's numbers from its rows of role fit, by penalised likelihood from several starts."""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from respine import population
from respine.files.constants import Z90
from respine.fit import values
from respine.fit.cohort import CohortTargets
from respine.fit.minimise import Minimum, minimise
from respine.fit.recipe import Free, Recipe, Target, load
from respine.fit.typical import TypicalTargets

Progress = Callable[[str], None]
WITHIN = 0.02  # a table value this close to the recipe's is reproduced
SAME_COST = 0.05  # half a sum of squares: two answers whose likelihoods differ by 5 % in all
UNSEEN = 0.5  # standard errors: along flat directions a set of values that fits no worse is the same answer
TINY = 1e-9


@dataclass(frozen=True)
class Calibration:
    """What a recipe gives: ``parameters`` and ``targets`` as tables, the minimum, and how long it took."""

    recipe: Recipe
    parameters: pd.DataFrame
    targets: pd.DataFrame
    minimum: Minimum
    start_costs: tuple[float, ...]
    seconds: float

    @property
    def reproduced(self) -> bool:
        """Whether every value of the library is marked as the recipe's result and is within 2 % of it, or, where all values of
        the library together fit as well as what the search found (``SAME_COST``), within half a standard error.
        """
        return bool(self.parameters["within"].all())


class Objective:
    """Residuals of a recipe for many parameter vectors on their fitting scales: targets first, then priors."""

    def __init__(self, recipe: Recipe, threads: int | None = None) -> None:
        self.recipe, self.free, self.targets = recipe, recipe.parameters, recipe.targets
        groups: dict[tuple[str, bool, tuple[tuple[str, float], ...]], list[int]] = {}
        for i, target in enumerate(self.targets):
            groups.setdefault((target.study, bool(target.endpoint), target.held), []).append(i)
        self.groups: list[tuple[list[int], TypicalTargets | CohortTargets]] = []
        for (study, cohort, _), members in groups.items():
            own = [self.targets[i] for i in members]
            if cohort:
                self.groups.append((members, CohortTargets(study, own, self.free, recipe.settings, threads)))
            else:
                self.groups.append((members, TypicalTargets(study, own, self.free, threads)))
        self.centre = np.array([f.prior.centre for f in self.free])
        self.low_spread = np.array([f.prior.spread(below=True) for f in self.free])
        self.high_spread = np.array([f.prior.spread(below=False) for f in self.free])

    def numbers(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """Values by name, ``(n,)`` each, of vectors ``(n, n_parameters)`` on the fitting scales."""
        return {f.name: np.asarray(f.prior.from_scale(x[:, j]), float) for j, f in enumerate(self.free)}

    def predict(self, x: np.ndarray) -> list[np.ndarray]:
        """Per target ``(n,)`` or, for a curve, ``(n, n_points)``."""
        predicted: list[np.ndarray] = [np.zeros(0)] * len(self.targets)
        for members, group in self.groups:
            for i, value in zip(members, group.predict(self.numbers(x), len(x)), strict=True):
                predicted[i] = value
        return predicted

    def __call__(self, x: np.ndarray) -> np.ndarray:
        parts = [residual(t, p) for t, p in zip(self.targets, self.predict(x), strict=True)]
        away = x - self.centre
        prior = away / np.where(away < 0, self.low_spread, self.high_spread)
        return np.column_stack([*parts, prior])


def residual(target: Target, predicted: np.ndarray) -> np.ndarray:
    """Misfit in standard errors, ``(n,)`` or ``(n, n_points)``; 0 on the right side of a bound."""
    root = np.sqrt(target.weight)
    if target.how == "curve":  # neighbouring points of a curve repeat each other: three count as one
        return root * predicted / target.tolerance / np.sqrt(3.0)
    if target.logarithm:
        gap = np.log(np.maximum(predicted, TINY) / target.value) * abs(target.value) / target.tolerance
    else:
        gap = (predicted - target.value) / target.tolerance
    if target.bound == "at_most":
        gap = np.maximum(gap, 0.0)
    elif target.bound == "at_least":
        gap = np.minimum(gap, 0.0)
    return np.asarray(root * gap)


def calibrate(block: str | Path | Recipe, threads: int | None = None, progress: Progress | None = None) -> Calibration:
    """Fit a block (a name or a file) and compare the result with the library. Nothing is written.

    Raises InputError for a recipe that cannot be used, among others one whose target is not of role fit; ValueError where
    the model cannot be computed at any start.
    """
    begun = clock.perf_counter()
    recipe = block if isinstance(block, Recipe) else load(block)
    say = progress or (lambda text: None)
    objective = Objective(recipe, threads)
    starts = first_guesses(recipe)
    costs = [_cost(row) for row in objective(starts)]
    say(f"{len(starts)} starts, half sums of squares {min(costs):.4g} to {max(costs):.4g}")
    best: Minimum | None = None
    order = np.argsort(costs, kind="stable")
    polished = [k for k in order if np.isfinite(costs[k])][: max(1, recipe.settings.polish)]
    for k in polished:
        minimum = minimise(objective, starts[k], difference=recipe.settings.difference,
                         most_steps=recipe.settings.most_steps, largest_step=1.0,
                         tolerance=recipe.settings.tolerance)  # fmt: skip
        say(
            f"start {k}: {minimum.cost:.5g} after {minimum.steps} steps{'' if minimum.converged else ' (not converged)'}"
        )
        if best is None or minimum.cost < best.cost:
            best = minimum
    if best is None:
        raise ValueError(f"the model cannot be computed at any start of block {recipe.block}")
    now = np.array([free.prior.to_scale(values.read(free.place).value) for free in recipe.parameters], float)
    as_good = _cost(objective(now[None, :])[0]) <= best.cost + SAME_COST
    table = _parameter_table(recipe, best, np.abs(now - best.x) <= UNSEEN * best.errors if as_good else None)
    fitted = _target_table(recipe, objective, best)
    return Calibration(recipe, table, fitted, best, tuple(costs), clock.perf_counter() - begun)


def write(calibration: Calibration) -> list[Path]:
    """Put the values of a calibration into the library, with their 90 % ranges; returns the files that changed."""
    recipe = calibration.recipe
    rows = calibration.parameters.to_dict("records")
    numbers = [
        values.Calibrated(
            free.place, float(row["value"]), float(row["low"]), float(row["high"]), recipe.block, free.prior.source
        )
        for free, row in zip(recipe.parameters, rows, strict=True)
    ]
    return values.write(numbers)


def first_guesses(recipe: Recipe) -> np.ndarray:
    """Starts ``(n, n_parameters)``: the prior medians, then seeded draws of the prior, half as wide."""
    centre = np.array([f.prior.centre for f in recipe.parameters])
    if recipe.settings.starts <= 1:
        return centre[None, :]
    z = population.normals(
        recipe.settings.seed, f"starts of {recipe.block}", 0, recipe.settings.starts - 1, len(centre)
    )
    spread = np.array([[f.prior.spread(below=True), f.prior.spread(below=False)] for f in recipe.parameters]).T
    drawn = centre + 0.5 * np.where(z < 0, spread[0], spread[1]) * z
    return np.vstack([centre, drawn])


def _cost(row: np.ndarray) -> float:
    return 0.5 * float(row @ row) if np.isfinite(row).all() else np.inf


def _parameter_table(recipe: Recipe, best: Minimum, same: np.ndarray | None) -> pd.DataFrame:
    """One row a parameter; ``same``: which values of a library that fits no worse are the same answer."""
    rows = []
    for j, free in enumerate(recipe.parameters):
        prior, error = free.prior, float(best.errors[j])
        value = float(prior.from_scale(best.x[j]))
        low, high = (float(prior.from_scale(best.x[j] + sign * Z90 * error)) for sign in (-1, 1))
        now = values.read(free.place)
        away = abs(now.value / value - 1) if value else abs(now.value)
        close = away <= WITHIN or (same is not None and bool(same[j]))
        marked = f"recipe {recipe.block}" in now.where or f"recipe {recipe.block}" in now.status
        rows.append({
            "parameter": free.name, "value": value, "low": low, "high": high,
            "error": error, "scale": prior.scale, "prior": prior.median, "prior_low": prior.low,
            "prior_high": prior.high, "shrinkage": _shrinkage(free, best.x[j], error), "library": now.value,
            "difference": now.value - value,
            "within": close and (marked or free.place.field != "value"),
        })  # fmt: skip
    return pd.DataFrame(rows)


def _shrinkage(free: Free, x: float, error: float) -> float:
    """What the rows add to the prior: 0 nothing learned, 1 the prior does not matter."""
    spread = free.prior.spread(below=x < free.prior.centre)
    return float(np.clip(1 - (error / spread) ** 2, 0.0, 1.0)) if spread > 0 else 0.0


def _target_table(recipe: Recipe, objective: Objective, best: Minimum) -> pd.DataFrame:
    predicted = objective.predict(best.x[None, :])
    rows: list[Mapping[str, object]] = []
    for target, value in zip(recipe.targets, predicted, strict=True):
        misfit = residual(target, value)[0]
        name = target.endpoint or f"{target.output} {target.how}"
        number = float(np.sqrt(np.mean(value[0] ** 2))) if target.how == "curve" else float(value[0])
        z = float(np.sqrt(np.mean(np.atleast_1d(misfit) ** 2) * (3.0 if target.how == "curve" else 1.0)))
        rows.append({
            "row": target.id, "study": target.study, "arm": target.arm,
            "what": name + (" (SD)" if target.statistic == "sd" else ""), "at": target.at,
            "bound": target.bound.replace("_", " "), "published": target.value, "tolerance": target.tolerance,
            "predicted": number, "z": z if target.how == "curve" else float(np.ravel(misfit)[0]),
            "within": bool(z <= Z90), "why": target.why,
        })  # fmt: skip
    return pd.DataFrame(rows)

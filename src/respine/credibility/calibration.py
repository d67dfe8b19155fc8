"""Each block of the calibration at the library's values: how its rows are met, standard errors, and what they inform."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from respine import fit
from respine.errors import InputError
from respine.files.constants import Z90
from respine.fit import values
from respine.fit.block import residual
from respine.fit.recipe import Recipe, Target

NOTHING: Mapping[str, Any] = {"block": "", "title": "", "problem": "", "parameters": [], "targets": [], "eigenvalues": [],
                              "weakest": "", "step": None}  # fmt: skip
ROUND_OFF = 1e-12  # of the largest eigenvalue: below it there is nothing but the arithmetic
LOADED = 3  # parameters named of a direction


def block(name: str, threads: int | None = None) -> dict[str, Any]:
    """What the rows of a block say at the library's values; ``problem`` says why where it cannot be computed.

    Keys ``block, title, problem, parameters, targets, eigenvalues, weakest, step``. Eigenvalues are those of the Fisher
    information of the rows alone in units of the priors' standard deviations: above 1 the rows say more than the prior.
    ``step`` is the largest distance to the recipe's optimum, in standard errors, as one Gauss-Newton step sees it.
    """
    empty = dict(NOTHING) | {"block": name}
    try:
        recipe = fit.load(name)
        return empty | {"title": recipe.title} | _computed(recipe, threads)
    except (InputError, ValueError) as error:
        said = "; ".join(f"{p.why} {p.cure}" for p in error.problems) if isinstance(error, InputError) else str(error)
        return empty | {"problem": said}


def outline(name: str, threads: int | None = None) -> dict[str, Any]:
    """A block without any simulation: the library's values and 90 % ranges beside the priors; threads do not matter."""
    recipe = fit.load(name)
    rows = []
    for free in recipe.parameters:
        number, prior = values.read(free.place), free.prior
        x = prior.to_scale(number.value)
        spread = prior.spread(below=x < prior.centre)
        rows.append({
            "block": name, "parameter": free.name, "value": number.value, "se": None, "scale": prior.scale,
            "low": number.low, "high": number.high, "prior": prior.median, "prior_low": prior.low,
            "prior_high": prior.high, "away": float((x - prior.centre) / spread), "error": None, "informed": None,
            "step": None, "status": number.status, "prior_source": prior.source,
        })  # fmt: skip
    why = "left out of this quick report: it is not computed yet"
    return dict(NOTHING) | {"block": name, "title": recipe.title, "problem": why, "parameters": rows}


def _computed(recipe: Recipe, threads: int | None) -> dict[str, Any]:
    objective = fit.Objective(recipe, threads)
    now = [values.read(free.place) for free in recipe.parameters]
    x = np.array([free.prior.to_scale(number.value) for free, number in zip(recipe.parameters, now, strict=True)])
    here = fit.minimise(objective, x, difference=recipe.settings.difference, most_steps=0)
    spread = np.array([f.prior.spread(below=x[j] < f.prior.centre) for j, f in enumerate(recipe.parameters)])
    rows = here.jacobian[: -len(x)] * spread  # per standard deviation of the prior; the last rows are the priors
    eigenvalues, vectors = np.linalg.eigh(rows.T @ rows)
    eigenvalues[eigenvalues < ROUND_OFF * eigenvalues[-1]] = 0.0
    covariance = np.linalg.inv(rows.T @ rows + np.eye(len(x)))
    errors = np.sqrt(np.diag(covariance))
    gradient = (here.jacobian.T @ here.residuals) * spread
    step = -covariance @ gradient / errors
    parameters = []
    for j, (free, number) in enumerate(zip(recipe.parameters, now, strict=True)):
        prior, se = free.prior, float(errors[j] * spread[j])
        low, high = (float(prior.from_scale(x[j] + sign * Z90 * se)) for sign in (-1, 1))
        parameters.append({
            "block": recipe.block, "parameter": free.name, "value": number.value, "se": se, "scale": prior.scale,
            "low": low, "high": high, "prior": prior.median, "prior_low": prior.low, "prior_high": prior.high,
            "away": float((x[j] - prior.centre) / spread[j]), "error": float(errors[j]),
            "informed": float(np.clip(1 - errors[j] ** 2, 0, 1)), "step": float(step[j]), "status": number.status,
            "prior_source": prior.source,
        })  # fmt: skip
    return {
        "parameters": parameters, "targets": _targets(recipe, objective, x),
        "eigenvalues": eigenvalues[::-1].tolist(),
        "weakest": _direction(vectors[:, 0], [f.name for f in recipe.parameters]), "step": float(np.abs(step).max()),
    }  # fmt: skip


def _direction(vector: np.ndarray, names: Sequence[str]) -> str:
    """The parameters that a direction consists of, the heaviest first: ``+0.71 k_a -0.62 k_b``."""
    order = np.argsort(-np.abs(vector))[:LOADED]
    sign = np.sign(vector[order[0]]) or 1.0
    return ", ".join(f"{sign * vector[k]:+.2f} {names[k]}" for k in order if abs(vector[k]) >= 0.1)


def _targets(recipe: Recipe, objective: fit.Objective, x: np.ndarray) -> list[dict[str, Any]]:
    rows = []
    for target, value in zip(recipe.targets, objective.predict(x[None, :]), strict=True):
        misfit = np.atleast_1d(residual(target, value)[0])
        curve = target.how == "curve"
        z = float(np.sqrt(3 * np.mean(misfit**2))) if curve else float(misfit[0])
        rows.append({
            "block": recipe.block, "row": target.id, "study": target.study, "arm": target.arm, "what": _label(target),
            "time_h": target.at if np.isfinite(target.at) else None,
            "asked": "curve" if curve else target.bound.replace("_", " ") or "value",
            "published": None if curve else target.value, "error": target.tolerance,
            "predicted": None if curve else float(value[0]), "z": z, "within": bool(abs(z) <= Z90), "why": target.why,
        })  # fmt: skip
    return rows


def _label(target: Target) -> str:
    text = target.endpoint or f"{target.output}, {target.how}"
    return text + (" (SD)" if target.statistic == "sd" else "")


def recipes_of_numbers() -> dict[str, str]:
    """The block that calibrates each number: of a model by its symbol, of a scale file by its full name."""
    recipes: dict[str, str] = {}
    for name in fit.names():
        for free in fit.load(name).parameters:
            recipes[free.name] = name
            if free.place.field == "value":
                recipes[free.place.id] = name
    return recipes


def parameter_table(blocks: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """All calibrated numbers with estimate, standard error (on the fitting scale), 90 % interval and prior."""
    return pd.DataFrame([row for block in blocks for row in block["parameters"]])


def target_table(blocks: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """All fit targets with what the model gives; z in standard errors."""
    return pd.DataFrame([row for block in blocks for row in block["targets"]])


def identifiability(blocks: Sequence[Mapping[str, Any]], informed: float) -> pd.DataFrame:
    """Rows ``block, parameters, targets, largest, smallest, condition, learned, weakest, not_informed`` a block.

    ``largest`` and ``smallest`` eigenvalue of the rows' information in prior units; ``condition`` their ratio with the
    priors added; ``learned`` = sum of eigenvalue / (1 + eigenvalue): how many of the parameters the rows decide.
    """
    rows = []
    for facts in blocks:
        e = np.array(facts["eigenvalues"], float)
        if not len(e):
            continue
        blind = [p["parameter"] for p in facts["parameters"] if p["informed"] is not None and p["informed"] < informed]
        rows.append({
            "block": facts["block"], "parameters": len(e), "targets": len(facts["targets"]), "largest": float(e.max()),
            "smallest": float(e.min()), "condition": float((1 + e.max()) / (1 + e.min())),
            "above_1": int((e > 1).sum()), "learned": float((e / (1 + e)).sum()), "weakest": facts["weakest"],
            "not_informed": ", ".join(blind),
        })  # fmt: skip
    return pd.DataFrame(rows)

"""Rows of the population table that are inputs: do the virtual people reproduce them within sampling error?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from respine import library, model, population
from respine.evidence import experiment
from respine.evidence.kinetics import SCHEMA
from respine.evidence.row import NAN, ComparedRow, about, unpredicted, within
from respine.files.constants import Z50, Z90
from respine.published import BarKind, NotCompared
from respine.published.bars import number, published

PEOPLE = 4000
NOT_A_COVARIATE = NotCompared.EXPLAINED.because("no covariate of a population file: used elsewhere")
SEED = 20261


def predict() -> list[ComparedRow]:
    """A line for every row of ``evidence/population.csv``: virtual people beside it, or the reason why not."""
    asked = {entry["id"]: entry for entry in experiment.read("pk_experiments", SCHEMA)["people"]}
    drawn: dict[str, Any] = {}
    lines = []
    for row in library.rows("evidence", "population"):
        ask = asked.get(row["id"])
        if ask is None:
            lines.append(unpredicted(row, "population", NOT_A_COVARIATE))
            continue
        name = ask["population"]
        if name not in drawn:
            who = population.load(name)
            system = model.load(who.model)
            drawn[name] = population.sample(who, system, range(PEOPLE), SEED, draw_parameters=False).covariates
        lines.append(_line(row, ask, drawn[name]))
    return lines


def _line(row: Mapping[str, str], ask: Mapping[str, Any], people: Any) -> ComparedRow:
    result = published(row)
    chosen = people if "sex" not in ask else people[people["sex"] == ask["sex"]]
    values = chosen[ask["covariate"]].to_numpy()
    n = number(row.get("n", ""))
    size = int(n) if n is not None and n >= 1 else 0
    middle, error, spread = _statistic(ask, values, size, row)
    error = math.hypot(error, _statistic(ask, values, len(values), {})[1])  # the virtual people are a sample as well
    low, high = middle - Z90 * error, middle + Z90 * error
    half = Z50 * error
    facts = about(row, "population") | {
        "kind": "people", "study": ask["population"], "predicted": middle, "low": low, "high": high,
        "q25": middle - half, "q75": middle + half, "n": size or None,
    }  # fmt: skip
    if result is None:
        return ComparedRow(**facts, rule="no single number was published: shown only")
    value, sd = result.value, number(row.get("dispersion", "")) if row.get("dispersion_type") == "SD" else None
    inside, rule = within(value, low, high), "published value within 90 % of samples of that size"
    if not size:  # no number of people printed: the file must give the number itself
        inside = bool(math.isclose(value, middle, rel_tol=0.05))
        rule = "virtual people within 5 % of the published value"
        low = high = middle
    note = ""
    if ask["statistic"] == "mean" and sd is not None and size > 1:
        note = f"SD of virtual people {spread:.3g}, published {sd:g}"
    z = (value - middle) / error if error > 0 and size else NAN
    return ComparedRow(**facts, published=value, published_low=result.low, published_high=result.high, inside=inside, z=z,
                rule=rule, note=note)  # fmt: skip


def _statistic(
    ask: Mapping[str, Any], values: np.ndarray, size: int, row: Mapping[str, str]
) -> tuple[float, float, float]:
    """Value of the statistic in virtual people, its sampling error in ``size`` people, and the people's SD."""
    kind, count = ask["statistic"], max(size, 1)
    if kind in ("share", "share-above"):
        hit = values == ask["of"] if kind == "share" else values.astype(float) > float(ask["of"])
        share = float(np.mean(hit))
        error = math.sqrt(share * (1 - share) / count)
        result = published(row)
        if result is not None and result.bar.kind is BarKind.INTERVAL:  # a pool of unlike studies
            error = max(error, (result.high - result.low) / (2 * 1.96 * 100))
        return 100 * share, 100 * error, 100 * math.sqrt(share * (1 - share))
    numbers = values.astype(float)
    sd = float(numbers.std(ddof=1))
    if kind == "mean":
        per_person = 2 if ask["covariate"] == "val66met" else 1  # two alleles each
        return float(numbers.mean()), sd / math.sqrt(count * per_person), sd
    if kind == "median":
        return float(np.median(numbers)), 1.2533 * sd / math.sqrt(count), sd
    if kind == "log-sd":
        log = float(np.log(numbers).std(ddof=1))
        return log, log / math.sqrt(2 * count), log
    raise ValueError(f'library/pk_experiments.yaml: "{kind}" is no statistic')

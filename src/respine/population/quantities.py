"""What a covariate is: the unit its name stands for, and the values a living being can have."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping
from functools import cache

from respine.files.suggest import nearest
from respine.files.yaml_file import Place
from respine.library import ROOT, Library
from respine.model import units
from respine.population import model_tables
from respine.population.distributions import (
    ByGroup,
    Constant,
    Covariate,
    HardyWeinberg,
    LogNormal,
    Normal,
    Share,
)
from respine.population.model_tables import ModelTables

_SCALED = ("value", "mean", "sd", "median", "low", "high")
_LEVELS = ("value", "mean", "median")
GENOTYPES = {"val66met": (0.0, 1.0), "bdnf_gene_dose": (0.0, 2.0)}
Fault = tuple[Place, str, str]


@cache
def standard() -> dict[str, list[dict[str, str]]]:
    """Rows of ``library/covariates.csv`` by the covariate's name: one a species, or one for all."""
    rows: dict[str, list[dict[str, str]]] = {}
    with (ROOT / "covariates.csv").open(encoding="utf-8", newline="") as table:
        for row in csv.DictReader(table):
            rows.setdefault(row["id"], []).append(row)
    return rows


def scale_of(name: str, library: Library) -> str:
    """The scale whose baseline score a covariate holds; empty for any other covariate."""
    scale = name.removeprefix("baseline_")
    return scale if scale != name and scale in library.names("scales") else ""


def name_fault(known: ModelTables, name: str, covariates: Mapping[str, Covariate], library: Library) -> str:
    """The cure for a covariate that nothing would read; empty where something does."""
    used = {covariate.by for covariate in covariates.values() if isinstance(covariate, ByGroup)}
    if name in {*known.parameters, *standard(), *GENOTYPES, *used} or scale_of(name, library):
        return ""
    baselines = [f"baseline_{scale}" for scale in library.names("scales")]
    return nearest(name, [*standard(), *baselines, *known.parameters])


def unit_of(known: ModelTables, name: str, library: Library) -> str:
    """The unit that a covariate or parameter of this name is in; empty where nothing says so."""
    unit = known.parameters.get(name, {}).get("unit", "")
    if not unit and (scale := scale_of(name, library)):
        unit = str(model_tables.scale_file(library, scale).get("unit") or "points")
    return unit or (standard()[name][0]["unit"] if name in standard() else "")


def limits(known: ModelTables, name: str) -> tuple[float, float] | None:
    """Lowest and highest value of a living being of the model's species; None where nothing is known.

    A model of no known species may be of any.
    """
    rows = [row for row in standard().get(name, ()) if row["low"]]
    of_species = [row for row in rows if row["species"] == known.species] or rows
    if not of_species:
        return None
    return min(float(row["low"]) for row in of_species), max(float(row["high"]) for row in of_species)


def factor(written: str, wanted: str, name: str) -> float | tuple[str, str]:
    """What numbers in the written unit are multiplied by to be in the wanted one; else why they cannot be, and the cure."""
    written, wanted = written.strip(), wanted.strip()
    if not written or written == wanted:
        return 1.0
    if not wanted:
        return f"Nothing says what {name} is measured in, so that a unit cannot be checked.", "Leave the unit out."
    cure = f'Write "unit: {wanted}" with numbers in {wanted}, or another unit of the same kind.'
    try:
        here = units.parse(written)
    except (units.UnknownUnit, OverflowError, ValueError):
        return f'"{written}" is no unit that is known here; {name} is in {wanted}.', cure
    try:
        there = units.parse(wanted)
    except units.UnknownUnit:
        return f"{name} is in {wanted}, not in {written}.", cure
    if not here.alike(there):
        return f"{name} is in {wanted}, and {written} cannot be converted to it.", cure
    ratio = here.factor / there.factor
    if not 0 < ratio < math.inf:
        return f'"{written}" is no unit of a size that can be used.', cure
    return 1.0 if math.isclose(ratio, 1.0, rel_tol=1e-12) else ratio


def in_unit(part: Covariate, known: ModelTables, name: str, library: Library) -> Covariate | tuple[str, str]:
    """A spread in the unit of its name; else why it cannot be, and the cure."""
    if isinstance(part, ByGroup):
        groups = {}
        for word, group in part.groups.items():
            converted = in_unit(group, known, name, library)
            if isinstance(converted, tuple):
                return converted
            groups[word] = converted
        return part if groups == part.groups else part.model_copy(update={"groups": groups})
    if isinstance(part, Share):
        return (f"{name} is a word; a word has no unit.", "Leave the unit out.") if part.unit else part
    wanted = unit_of(known, name, library)
    ratio = factor(part.unit, wanted, name)
    if isinstance(ratio, tuple) or ratio == 1.0:
        return ratio if isinstance(ratio, tuple) else part
    if isinstance(part, HardyWeinberg):
        return "A genotype is a pure number.", "Leave the unit out."
    values = part.to_dict() | {"unit": wanted}
    for field in _SCALED:
        if values.get(field) is not None:
            values[field] *= ratio
    return type(part).model_validate(values)


def all_in_units(covariates: Mapping[str, Covariate], known: ModelTables, library: Library) -> dict[str, Covariate]:
    """Covariates in the units of their names; what cannot be converted stays, for the checks to tell."""
    converted = {name: in_unit(covariate, known, name, library) for name, covariate in covariates.items()}
    return {
        name: covariates[name] if isinstance(covariate, tuple) else covariate for name, covariate in converted.items()
    }


def living(known: ModelTables, name: str, part: Constant | Normal | LogNormal) -> Iterator[Fault]:
    """Place, reason and cure for values that nobody of the species can have."""
    span = limits(known, name)
    if span is None:
        return
    low, high = span
    unit = unit_of(known, name, None) if name in known.parameters else standard()[name][0]["unit"]  # type: ignore[arg-type]
    who = f"{name} runs from {low:g} to {high:g} {unit}".rstrip() + (f" in a {known.species}" if known.species in (
        "human", "rat", "mouse") else "")  # fmt: skip
    cure = f"Write a number from {low:g} to {high:g}; is it in another unit than {unit or 'this'}?"
    covariates_known = False
    for field in (*_LEVELS, "high", "low"):
        number = getattr(part, field, None)
        least = 0.0 if field == "low" else low
        if number is not None and not least <= number <= high:
            covariates_known = True
            yield (field,), f"{who}; {number:g} is out of it.", cure
    if covariates_known or isinstance(part, Constant):
        return
    spread = "sd" if isinstance(part, Normal) else "log_sd"
    if part.high is None and part.largest > high:
        yield (spread,), f"{who}; this spread reaches {part.largest:.3g}.", 'Lower it, or cut it off with "high: ...".'
    if part.smallest < 0 and name not in known.parameters:  # what a parameter cannot be is told with it
        yield (spread,), f"{who}; this spread reaches {part.smallest:.3g}.", 'Lower it, or cut it off with "low: ...".'

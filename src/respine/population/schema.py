"""The population file, field by field (``respine/population/1``): who takes part, before anything is done."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr

from respine.files import units
from respine.files.html import card
from respine.population.distributions import ByGroup, Covariate, HoursSpread, LevelSpread, Part, Sourced, problem

SCHEMA = "respine/population/1"
MOST_CORRELATED = 0.999  # nearer to one, the matrix of correlations keeps too few digits


def _apart(r: float) -> float:
    if abs(r) > MOST_CORRELATED:
        why = f"With r = {r:g} one of the two decides the other."
        raise problem(why, f"Write a number from -{MOST_CORRELATED:g} to {MOST_CORRELATED:g}.")
    return r


class Correlation(Sourced):
    """Correlation of two covariates or random effects (named by parameter), on the scale on which they are normal."""

    between: Annotated[tuple[str, str], Field(strict=False)]
    r: Annotated[float, AfterValidator(_apart)]


class Override(Sourced):
    """Typical value of a parameter in this population, in the unit of its table."""

    value: float


class Phase(Part):
    """What acted before the study: inputs held from ``lasts`` hours before its start, ``until`` then or throughout."""

    inputs: Annotated[dict[str, LevelSpread], Field(min_length=1)]
    lasts: HoursSpread = Field(alias="for")
    until: float | None = None
    source: str = ""
    status: Literal["literature", "derived", "calibrated", "assumed"] = "literature"
    note: str = ""


_OF_PHASE = ("for", "until", "source", "status", "note")


def _phase(value: object) -> Any:
    """``{stress: 1.0, for: 180 d}`` as inputs and duration."""
    if not isinstance(value, dict):
        return value
    if "for" not in value:
        raise problem("A history without its length.", 'Add "for: 180 d".')
    result: dict[str, Any] = {key: value[key] for key in _OF_PHASE[2:] if key in value}
    result["inputs"] = {key: item for key, item in value.items() if key not in _OF_PHASE}
    result["for"] = value["for"]
    if "until" in value:
        try:
            result["until"] = units.hours(value["until"])
        except units.UnitError as error:
            raise problem(error.why, error.cure) from None
    return result


def _written(phase: Phase) -> dict[str, Any]:
    """A phase as a file holds it: inputs beside its length, times with units."""
    values = phase.to_dict()
    timed = ("mean", "sd", "median", "low", "high", "value")
    lasts = {key: f"{item!r} h" if key in timed else item for key, item in values.pop("for").items()}
    until = {} if values.get("until") is None else {"until": f"{values['until']!r} h"}
    return {**values.pop("inputs"), **values, "for": lasts, **until}


def _one_or_more(value: object) -> object:
    return value if isinstance(value, list) else [value]


class Population(Part):
    """A checked population. ``population.load`` makes one."""

    schema_: Literal["respine/population/1"] = Field("respine/population/1", alias="schema")
    name: str
    title: str
    note: str = ""
    model: str
    covariates: dict[str, Covariate]
    correlations: Annotated[tuple[Correlation, ...], Field(strict=False)] = ()
    history: Annotated[
        tuple[Annotated[Phase, BeforeValidator(_phase)], ...], BeforeValidator(_one_or_more), Field(strict=False)
    ] = ()
    parameters: dict[str, Override] = Field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Population {self.name}: {self.title}\n{len(self.covariates)} covariates in the {self.model} model"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        rows = [(name, f"by {spread.by}" if isinstance(spread, ByGroup) else spread.distribution)
                for name, spread in self.covariates.items()]  # fmt: skip
        return card(f"{self.name}: {self.title}", [("model", self.model)], ("covariate", "spread"), rows)

    def to_dict(self) -> dict[str, Any]:
        """The population as a file would hold it."""
        values = super().to_dict()
        if "history" in values:
            values["history"] = [_written(phase) for phase in self.history]
        return values

    _species: str = PrivateAttr("")
    _file: Path | None = PrivateAttr(None)
    _text: str = PrivateAttr("")

    @property
    def species(self) -> str:
        """Species of the model (``human``, ``rat``, ``mouse``)."""
        return self._species or self.model

    @property
    def file(self) -> Path | None:
        """Where the population was read from."""
        return self._file

    @property
    def text(self) -> str:
        """The population as written, comments included."""
        return self._text

    @property
    def run_in(self) -> float:
        """Hours before a study's start at which the earliest history of anybody may begin."""
        return max((phase.lasts.largest for phase in self.history), default=0.0)

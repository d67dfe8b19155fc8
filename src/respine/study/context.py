"""What is known of a study while it is checked, and how its raw parts are read one by one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from respine.files.fields import Amount, DoseAmount, Time
from respine.files.yaml_file import Document
from respine.library import Library
from respine.population import Population, model_tables

T = TypeVar("T", bound=BaseModel)
_TIME: TypeAdapter[float] = TypeAdapter(Time)
_AMOUNT: TypeAdapter[Amount] = TypeAdapter(DoseAmount)


@dataclass
class Context:
    """What is known of a study while it is checked; None where that part is itself mistaken."""

    doc: Document
    library: Library
    population: Population | None
    known: model_tables.ModelTables | None
    start: float
    visits: dict[float, int]
    """Times of visits that could be read, with their index in the list."""
    unsure: set[str] = field(default_factory=set)
    """Lists with mistakes of their own: what refers to them is not judged, so that one mistake gives one error."""

    @property
    def weight(self) -> float | None:
        """Typical body weight, kg: the model's reference, else the population's."""
        if self.known is not None and (weight := self.known.number("weight_kg")):
            return weight
        covariate = None if self.population is None else self.population.covariates.get("weight_kg")
        return getattr(covariate, "typical", None)

    @property
    def arms(self) -> dict[str, Any]:
        """The arms as written."""
        arms = self.doc.data.get("arms")
        return arms if isinstance(arms, dict) else {}

    def is_arm(self, name: str) -> bool:
        """Whether the study has this arm, as far as that can be told (not while two arms share a name)."""
        return name in self.arms or not self.arms or ("arms",) in self.doc.doubled


def scale_names(library: Library) -> list[str]:
    """Scales a study can observe (the folder also holds what lies behind them, such as expectancy)."""
    return [name for name in library.names("scales") if "respine/scale/" in library.text("scales", name)]


def attempt(model: type[T], raw: object) -> T | None:
    """The part as a model, or None where it has mistakes of its own (noted already)."""
    try:
        return model.model_validate(raw)
    except ValidationError:
        return None


def listed(raw: object) -> list[Any]:
    """A raw list, or nothing where there is none."""
    return raw if isinstance(raw, list) else []


def time_of(raw: object) -> float | None:
    """Hours of a raw time, or None."""
    try:
        return _TIME.validate_python(raw)
    except ValidationError:
        return None


def amount_of(raw: object) -> Amount | None:
    """Amount of a raw dose, or None."""
    try:
        return _AMOUNT.validate_python(raw)
    except ValidationError:
        return None

"""What is known of a study while it is checked, and how its raw parts are read one by one."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from respine.files.fields import Amount, DoseAmount, Time
from respine.files.yaml_file import Document, Place
from respine.library import Library
from respine.population import Population, model_tables
from respine.study import treatments

T = TypeVar("T", bound=BaseModel)
_TIME: TypeAdapter[float] = TypeAdapter(Time)
_AMOUNT: TypeAdapter[Amount] = TypeAdapter(DoseAmount)


@dataclass(frozen=True)
class Issue:
    """One mistake of a part of the file: ``place`` within the part, why it cannot work, and what to write instead."""

    place: Place
    why: str
    cure: str
    seen: str | None = None
    """What was written, where that is not the text at the place."""


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
    _drugs: dict[str, treatments.Drug] = field(default_factory=dict, init=False)
    _exposures: dict[str, treatments.ExposureFile] = field(default_factory=dict, init=False)

    def note(self, part: Place, issue: Issue) -> None:
        """Note a mistake of the part of the file at ``part``, with its line."""
        self.doc.problem((*part, *issue.place), issue.why, issue.cure, seen=issue.seen)

    @cached_property
    def scales(self) -> list[str]:
        """Scales a study can observe."""
        return scale_names(self.library)

    @cached_property
    def drug_names(self) -> dict[str, str]:
        """Every name a drug may be written by, with its file."""
        return treatments.drug_names(self.library)

    @cached_property
    def exposure_names(self) -> dict[str, str]:
        """Every name an exposure may be written by, with its file."""
        return treatments.exposure_names(self.library)

    def drug(self, name: str) -> treatments.Drug:
        """The drug of a name, read once. Raises KeyError, InputError."""
        if name not in self._drugs:
            self._drugs[name] = treatments.drug(self.library, name)
        return self._drugs[name]

    def exposure(self, name: str) -> treatments.ExposureFile:
        """The exposure of a name, read once. Raises KeyError, InputError."""
        if name not in self._exposures:
            self._exposures[name] = treatments.exposure(self.library, name)
        return self._exposures[name]

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


def draft(model: type[T], raw: dict[str, Any]) -> T:
    """The part as far as it can be read: a field that is absent, or has mistakes of its own (noted already), is None."""
    values: dict[str, Any] = {}
    for name, info in model.model_fields.items():
        written = info.alias or name
        values[written] = None
        if written in raw:
            with suppress(ValidationError):
                values[written] = _adapter(model, name).validate_python(raw[written])
    return model.model_construct(**values)


@lru_cache(maxsize=256)
def _adapter(model: type[BaseModel], name: str) -> TypeAdapter[Any]:
    info = model.model_fields[name]
    read: Any = Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation
    return TypeAdapter(read, config=ConfigDict(strict=True))


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

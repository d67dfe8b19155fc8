"""What a dose or an exposure does to the model: the drug and exposure files of the library."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError

from respine import library
from respine.files import units, yaml_file
from respine.files.fields import DoseAmount, Duration, DurationOrZero, Part, one_or_more, problem
from respine.files.form import model_problems
from respine.model import formula
from respine.model.expression import Expr, num


def _formula(value: object) -> Expr:
    try:
        return formula.parse(value)  # type: ignore[arg-type]
    except formula.FormulaError as error:
        raise problem(f"This is no formula: {error}.", "Write a number or a formula of parameter names.") from None


def _hours_or_formula(value: object) -> Expr:
    """Hours as text with unit, or a formula that gives hours."""
    if isinstance(value, str) and (parts := units.split(value)) is not None and parts[1] in units.HOURS:
        return num(units.hours(value))
    return _formula(value)


Formula = Annotated[tuple[Any, ...], BeforeValidator(_formula)]
HoursFormula = Annotated[tuple[Any, ...], BeforeValidator(_hours_or_formula)]
Sources = Annotated[tuple[str, ...], BeforeValidator(one_or_more), Field(strict=False)]


class DoseRange(Part):
    """A unit in which a route is dosed, and the amounts that make sense in it."""

    unit: str
    low: Annotated[float, Field(ge=0)]
    high: Annotated[float, Field(gt=0)]
    note: str = ""
    source: Sources = ()

    @property
    def canonical(self) -> tuple[str, float, float]:
        """Canonical unit, low, high."""
        name, factor = units.canonical(self.unit)
        return name, self.low * factor, self.high * factor


class Over(Part):
    """Length of an infusion: default and sensible range, hours."""

    default: DurationOrZero | None = None
    low: DurationOrZero = Field(0.0, validate_default=False)
    high: DurationOrZero | None = None


class Spray(Part):
    """One spray of a nasal device and the usual time to the next."""

    amount: DoseAmount
    apart: Duration


class Into(Part):
    """A share of the dose that enters one state of the model (``later``: share of the second and later sprays)."""

    state: str
    fraction: Formula = ("num", 1.0)
    later: Formula | None = None
    lag: HoursFormula = ("num", 0.0)
    duration: HoursFormula | None = None


class Sets(Part):
    """An input of the model that the dose holds at a level for a while."""

    input: str
    level: Formula
    lasts: HoursFormula


class Route(Part):
    """One route of one drug in one species. The first entry of ``dose`` is the customary unit."""

    dose: Annotated[tuple[DoseRange, ...], Field(strict=False)] = ()
    over: Over | None = None
    spray: Spray | None = None
    into: Annotated[tuple[Into, ...], Field(strict=False)] = ()
    sets: Annotated[tuple[Sets, ...], Field(strict=False)] = ()
    note: str = ""
    source: Sources = ()


class Drug(Part):
    """A drug file: per species and route, what a dose becomes."""

    drug: str
    title: str = ""
    aliases: Annotated[tuple[str, ...], Field(strict=False)] = ()
    species: dict[str, dict[str, Route]]
    felt: Literal["none", "low", "high"] = "none"
    note: str = ""
    source: Sources = ()


class ExposureFile(Part):
    """An exposure file: a pulse or a level, the inputs it sets at level 1, and their sensible range."""

    exposure: str
    title: str = ""
    aliases: Annotated[tuple[str, ...], Field(strict=False)] = ()
    kind: Literal["pulse", "level"]
    sets: dict[str, float]
    lasts: Duration | None = None
    range: dict[str, Annotated[tuple[float, float], Field(strict=False)]] = Field(default_factory=dict)
    note: str = ""
    source: Sources = ()


def _read(kind: str, name: str, model: type[Part]) -> Any:
    doc = yaml_file.read(library.path(kind, name), kind.rstrip("s"))
    doc.check()
    try:
        return model.model_validate(doc.data)
    except ValidationError as error:
        model_problems(doc, error, model)
        doc.check()
        raise


@lru_cache(maxsize=256)
def _drug_file(name: str) -> Drug:
    result = _read("drugs", name, Drug)
    assert isinstance(result, Drug)
    return result


@lru_cache(maxsize=256)
def _exposure_file(name: str) -> ExposureFile:
    result = _read("exposures", name, ExposureFile)
    assert isinstance(result, ExposureFile)
    return result


def drug_names() -> dict[str, str]:
    """Every name and alias a study may write, with the drug file it means."""
    return _names("drugs", lambda name: _drug_file(name).aliases)


def exposure_names() -> dict[str, str]:
    """Every name and alias of an exposure, with the file it means."""
    return _names("exposures", lambda name: _exposure_file(name).aliases)


def _names(kind: str, aliases: Any) -> dict[str, str]:
    files = library.names(kind)
    result = {name: name for name in files}
    for name in files:
        for alias in aliases(name):
            result.setdefault(alias, name)
    return result


def drug(name: str) -> Drug:
    """The drug of a name or alias. Raises KeyError."""
    return _drug_file(name if name in library.names("drugs") else drug_names()[name])


def exposure(name: str) -> ExposureFile:
    """The exposure of a name or alias. Raises KeyError."""
    return _exposure_file(name if name in library.names("exposures") else exposure_names()[name])

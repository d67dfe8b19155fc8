"""What a dose or an exposure does to the model: the drug and exposure files of the library."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Field, ValidationError

from respine.files import units, yaml_file
from respine.files.fields import DoseAmount, Duration, DurationOrZero, Part, one_or_more, problem
from respine.files.form import model_problems
from respine.library import Library
from respine.model import formula
from respine.model.expression import Expr, num

P = TypeVar("P", bound=Part)


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


def _read(library: Library, kind: str, name: str, form: type[P]) -> P:
    """A file of the library in its form, kept while its text stays the same. Raises InputError with all its mistakes."""
    file = library.path(kind, name)

    def parse() -> P:
        doc = yaml_file.read(file, kind.rstrip("s"))
        doc.check()
        try:
            return form.model_validate(doc.data)
        except ValidationError as error:
            model_problems(doc, error, form)
            doc.check()
            raise

    return library.parsed((_read, file), [file], parse)


def straight_into(state: str) -> tuple[Drug, Route]:
    """What stands in for a drug file where a dose goes straight into a state: all of it, at once or over its length."""
    route = Route(into=(Into(state=state),), over=Over(default="0 min"))
    return Drug(drug=state, species={}), route


def drug_names(library: Library) -> dict[str, str]:
    """Every name and alias a study may write, with the drug file it means."""
    return _names(library, "drugs", Drug)


def exposure_names(library: Library) -> dict[str, str]:
    """Every name and alias of an exposure, with the file it means."""
    return _names(library, "exposures", ExposureFile)


def _names(library: Library, kind: str, form: type[Drug] | type[ExposureFile]) -> dict[str, str]:
    files = library.names(kind)
    result = {name: name for name in files}
    for name in files:
        for alias in _read(library, kind, name, form).aliases:
            result.setdefault(alias, name)
    return result


def drug(library: Library, name: str) -> Drug:
    """The drug of a name or alias. Raises KeyError, InputError for a broken file."""
    return _read(library, "drugs", name if name in library.names("drugs") else drug_names(library)[name], Drug)


def exposure(library: Library, name: str) -> ExposureFile:
    """The exposure of a name or alias. Raises KeyError, InputError for a broken file."""
    known = name if name in library.names("exposures") else exposure_names(library)[name]
    return _read(library, "exposures", known, ExposureFile)

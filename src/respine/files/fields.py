"""The kinds of values a study file holds: texts with units that become numbers, each with its JSON Schema."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from respine.files import units


def problem(why: str, cure: str) -> PydanticCustomError:
    """A validation error that carries its reason and its cure to the reader of the file."""
    return PydanticCustomError("respine", "{why} {cure}", {"why": why, "cure": cure})


def _with_unit(parse: Callable[[object], Any]) -> Callable[[object], Any]:
    def validate(value: object) -> Any:
        try:
            return parse(value)
        except units.UnitError as error:
            raise problem(error.why, error.cure) from None

    return validate


def _positive(parse: Callable[[object], float], quantity: str, zero: bool = False) -> Callable[[object], float]:
    def validate(value: object) -> float:
        number = parse(value)
        if number < 0 or (number == 0 and not zero):
            least = "zero or more" if zero else "more than zero"
            shown = f'"{str(value).strip().lstrip("-")}"' if number < 0 else '"40 min"'
            raise units.UnitError(f"{quantity} must be {least}.", f"Write {shown}, or another time of {least}.")
        return number

    return validate


def one_or_more(value: object) -> object:
    """One entry as a list of one: a file may leave the list away where there is only one."""
    return value if isinstance(value, (list, tuple)) else [value]


def _percent(share: float) -> str:
    """A number that, read as per cent, gives this very share again."""
    near = share * 100
    for text in (
        f"{near:.12g}",
        repr(near),
        repr(math.nextafter(near, math.inf)),
        repr(math.nextafter(near, -math.inf)),
    ):
        if float(text) / 100 == share:
            return text
    return repr(near)


_DURATION = {"type": "string", "pattern": units.DURATION_PATTERN, "examples": ["40 min", "24 h", "7 d"]}
_PERCENT = {"type": "string", "pattern": units.PERCENT_PATTERN, "examples": ["50 %"]}
_AMOUNT = {"type": "string", "pattern": units.AMOUNT_PATTERN, "examples": ["0.5 mg/kg", "28 mg"]}

_WRITTEN_H = PlainSerializer(lambda hours: f"{hours!r} h", return_type=str)  # read back as the very same number

Time = Annotated[float, BeforeValidator(_with_unit(units.hours)), _WRITTEN_H, WithJsonSchema(_DURATION)]
"""A moment on the study's clock, hours; may be negative."""

Duration = Annotated[
    float,
    BeforeValidator(_with_unit(_positive(units.hours, "A duration"))),
    _WRITTEN_H,
    WithJsonSchema(_DURATION),
]
"""A stretch of time, hours, above zero."""

DurationOrZero = Annotated[
    float,
    BeforeValidator(_with_unit(_positive(units.hours, "A duration", zero=True))),
    _WRITTEN_H,
    WithJsonSchema(_DURATION),
]
"""A stretch of time, hours, zero allowed (an infusion over 0 min is a bolus)."""

Times = Annotated[
    tuple[Time, ...],
    BeforeValidator(one_or_more),
    Field(strict=False, min_length=1),
    WithJsonSchema({"anyOf": [_DURATION, {"type": "array", "items": _DURATION, "minItems": 1}]}),
]
"""One moment or a list of them, hours."""

Share = Annotated[
    float,
    BeforeValidator(_with_unit(units.fraction)),
    PlainSerializer(lambda share: f"{_percent(share)} %", return_type=str),
    WithJsonSchema(_PERCENT),
]
"""A share written in percent, kept as a fraction."""


class Amount(BaseModel):
    """A dose as written: ``value`` in the canonical ``unit`` (``mg``, ``mg/kg``, ``nmol``, ...)."""

    model_config = ConfigDict(frozen=True)
    value: float
    unit: str
    text: str = ""


def _amount(value: object) -> Amount:
    if isinstance(value, Amount):
        return value
    number, unit = units.amount(value)
    if number <= 0:
        cure = "Write an amount above zero; leave the dose out for an arm that gets none."
        raise units.UnitError(f"A dose of {number:g} {unit} is {'negative' if number < 0 else 'no dose'}.", cure)
    return Amount(value=number, unit=unit, text=str(value))


def _written(amount: Amount | None) -> str | None:
    return None if amount is None else amount.text or f"{amount.value!r} {amount.unit}"


DoseAmount = Annotated[
    Amount,
    BeforeValidator(_with_unit(_amount)),
    PlainSerializer(_written, return_type=str | None),
    WithJsonSchema(_AMOUNT),
]


if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass
else:
    ModelMetaclass = type(BaseModel)  # it has no public name


class _Made(ModelMetaclass):
    """Lets parts be made in Python by the names of their fields, with the errors a file would get.

    ``Exposure(begin="0 h")`` may stand for the file's ``from``, which Python keeps for itself.
    """

    def __call__(cls: Any, **values: Any) -> Any:  # `Any`: a class of this metaclass is a BaseModel
        aliases = {name: info.alias for name, info in cls.model_fields.items() if info.alias is not None}
        data = {aliases.get(name, name): value for name, value in values.items()}
        try:
            return super().__call__(**data)
        except ValidationError as error:
            from respine.files.form import python_problems

            raise python_problems(cls, data, error) from None


class Part(BaseModel, metaclass=_Made):
    """Base of every part of a study or population: unknown fields refused, no silent conversion, frozen.

    Made in Python, a part takes its values as a file would hold them (``at="0 h"``) and raises InputError, with the line
    of the caller, for what cannot be.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, populate_by_name=False, hide_input_in_errors=True
    )

    def __eq__(self, other: object) -> bool:
        """Equal values are equal parts, wherever they were read."""
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def to_dict(self) -> dict[str, Any]:
        """The part as a file would hold it: plain values, texts with units; what was left out stays out."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)

    def replace(self, **changes: Any) -> Self:
        """The part with other values in these fields, checked anew. Raises InputError."""
        aliases = {name: info.alias for name, info in type(self).model_fields.items() if info.alias is not None}
        values = self.to_dict() | {aliases.get(name, name): value for name, value in changes.items()}
        made: Self = type(self)(**values)
        return made

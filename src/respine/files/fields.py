"""The kinds of values a study file holds: texts with units that become numbers, each with its JSON Schema."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
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


def _positive(parse: Callable[[object], float], what: str, zero: bool = False) -> Callable[[object], float]:
    def validate(value: object) -> float:
        number = parse(value)
        if number < 0 or (number == 0 and not zero):
            least = "zero or more" if zero else "more than zero"
            shown = f'"{str(value).strip().lstrip("-")}"' if number < 0 else '"40 min"'
            raise units.UnitError(f"{what} must be {least}.", f"Write {shown}, or another time of {least}.")
        return number

    return validate


def one_or_more(value: object) -> object:
    """One entry as a list of one: a file may leave the list away where there is only one."""
    return value if isinstance(value, (list, tuple)) else [value]


_DURATION = {"type": "string", "pattern": units.DURATION_PATTERN, "examples": ["40 min", "24 h", "7 d"]}
_PERCENT = {"type": "string", "pattern": units.PERCENT_PATTERN, "examples": ["50 %"]}
_AMOUNT = {"type": "string", "pattern": units.AMOUNT_PATTERN, "examples": ["0.5 mg/kg", "28 mg"]}

Time = Annotated[float, BeforeValidator(_with_unit(units.hours)), WithJsonSchema(_DURATION)]
"""A moment on the study's clock, hours; may be negative."""

Duration = Annotated[
    float, BeforeValidator(_with_unit(_positive(units.hours, "A duration"))), WithJsonSchema(_DURATION)
]
"""A stretch of time, hours, above zero."""

DurationOrZero = Annotated[
    float, BeforeValidator(_with_unit(_positive(units.hours, "A duration", zero=True))), WithJsonSchema(_DURATION)
]
"""A stretch of time, hours, zero allowed (an infusion over 0 min is a bolus)."""

Times = Annotated[
    tuple[Time, ...],
    BeforeValidator(one_or_more),
    Field(strict=False, min_length=1),
    WithJsonSchema({"anyOf": [_DURATION, {"type": "array", "items": _DURATION, "minItems": 1}]}),
]
"""One moment or a list of them, hours."""

Share = Annotated[float, BeforeValidator(_with_unit(units.fraction)), WithJsonSchema(_PERCENT)]
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


DoseAmount = Annotated[Amount, BeforeValidator(_with_unit(_amount)), WithJsonSchema(_AMOUNT)]


class Part(BaseModel):
    """Base of every part of a study: unknown fields refused, no silent conversion, frozen."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, populate_by_name=False, hide_input_in_errors=True
    )

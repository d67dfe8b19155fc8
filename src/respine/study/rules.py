"""Decision rules of a study (doses as needed, holds, switches): their form. `decisions.py` carries them out."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema, model_validator

from respine.files import units
from respine.files.fields import DoseAmount, Duration, DurationOrZero, Part, Share, Time, one_or_more, problem

Name = Annotated[str, Field(min_length=1, max_length=80)]


def _threshold(value: object) -> float:
    """A score, as a number or with the unit of its scale (``160 mmHg``)."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    parts = units.split(value) if isinstance(value, str) else None
    if parts is None:
        raise problem("A threshold is a number, with the unit of its scale if you like.", 'Write "20" or "160 mmHg".')
    return parts[0]


Threshold = Annotated[
    float, BeforeValidator(_threshold), WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string"}]})
]


def _visit(value: object) -> Any:
    if value in ("daily", "weekly", "every"):
        return value
    try:
        return units.hours(value)
    except units.UnitError as error:
        raise problem(error.why, error.cure + ' Or write "daily", "weekly" or "every".') from None


Visit = Annotated[
    float | Literal["daily", "weekly", "every"],
    BeforeValidator(_visit),
    PlainSerializer(lambda visit: visit if isinstance(visit, str) else f"{visit!r} h", return_type=str),
    WithJsonSchema({"type": "string", "examples": ["daily", "weekly", "every", "28 d"]}),
]


class LastDose(Part):
    """How long ago the last dose was."""

    longer_ago_than: Duration | None = Field(None, alias="longer-ago-than")
    less_ago_than: Duration | None = Field(None, alias="less-ago-than")


class Condition(Part):
    """When a rule acts: at which visits, and what must hold there.

    ``visit`` left out: whenever any rule is asked, and at the visits of the study. ``change-...``: the fall from the baseline
    visit as a share of the score there; ``on``: who is on the course that a rule started.
    """

    visit: Visit | None = None
    scale: Name | None = None
    above: Threshold | None = None
    below: Threshold | None = None
    change_less_than: Share | None = Field(None, alias="change-less-than")
    change_more_than: Share | None = Field(None, alias="change-more-than")
    last_dose: LastDose | None = Field(None, alias="last-dose")
    on: Name | None = Field(None, description="A rule whose course is running.")
    also: Condition | None = Field(None, alias="and")

    @model_validator(mode="after")
    def _complete(self) -> Condition:
        tests = (self.above, self.below, self.change_less_than, self.change_more_than)
        if self.scale is not None and all(test is None for test in tests):
            raise problem(
                "A scale without a threshold decides nothing.", 'Add "above:", "below:" or "change-less-than:".'
            )
        if self.scale is None and any(test is not None for test in tests):
            raise problem("A threshold without a scale compares nothing.", 'Add "scale: MADRS" or another scale.')
        return self


class RuleDose(Part):
    """A dose a rule gives, once or as a course."""

    drug: Name
    route: Name
    amount: DoseAmount | None = None
    over: DurationOrZero | None = None
    every: Duration | None = None
    times: Annotated[int, Field(ge=1, le=100_000)] | None = None
    until: Time | None = None
    sprays: Annotated[int, Field(ge=1, le=100)] | None = None


class Action(Part):
    """What a rule does: give a dose, hold another rule for a while, stop one, start a course."""

    dose: RuleDose | None = None
    hold: Name | None = None
    hold_for: Duration | None = Field(None, alias="for")
    stop: Name | None = None
    start: RuleDose | None = None

    @model_validator(mode="after")
    def _complete(self) -> Action:
        if self.dose is None and self.hold is None and self.stop is None and self.start is None:
            raise problem("A rule that does nothing.", 'Write "dose:", "hold:", "stop:" or "start:".')
        if self.dose is not None and (self.dose.every, self.dose.times, self.dose.until) != (None, None, None):
            raise problem('"dose" is given once each time the rule acts.', 'Write "start:" for a course of doses.')
        if (self.hold is None) != (self.hold_for is None):
            raise problem('"hold" and "for" belong together.', "Write for example {hold: as-needed, for: 1 d}.")
        return self


class Limit(Part):
    """At most so many doses by this rule: in any 24 hours, in any 7 days, in all."""

    per_day: Annotated[int, Field(ge=1)] | None = Field(None, alias="per-day")
    per_week: Annotated[int, Field(ge=1)] | None = Field(None, alias="per-week")
    total: Annotated[int, Field(ge=1)] | None = None


class Rule(Part):
    """One decision: when, then, and within which limits."""

    name: Name
    arms: Annotated[tuple[Name, ...], BeforeValidator(one_or_more), Field(strict=False, min_length=1)] = Field(
        (), validate_default=False, description="Arms in which the rule acts; all arms if left out."
    )
    when: Condition
    then: Action
    limit: Limit | None = None

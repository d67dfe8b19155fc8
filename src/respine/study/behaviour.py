"""What people do that no protocol asks of them, as a study writes it: leave, stop, miss doses, need rescue."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from respine.files.fields import Duration, Part, Share, Time, one_or_more, problem
from respine.study.endpoints.base import Name
from respine.study.rules import RuleDose, Threshold

Arms = Annotated[tuple[Name, ...], BeforeValidator(one_or_more), Field(strict=False)]


class Leaving(Part):
    """One law by which people leave the trial or stop the treatment.

    ``random``: ``share`` of all by ``until``, at a constant hazard (MCAR). ``score``: the hazard follows the last score that
    was written down (MAR); ``state``: the present one, seen or not (MNAR): ``share`` by ``until`` at the score ``at``, times
    ``ratio`` for each point above it. ``side-effects``: ``share`` of those in whom ``scale`` rises above ``above``.
    """

    by: Literal["random", "score", "state", "side-effects"]
    share: Share
    until: Duration | None = Field(None, description="Time from the baseline by which the share has left.")
    scale: Name | None = None
    at: Threshold | None = Field(None, description="The score at which the share holds.")
    ratio: Annotated[float, Field(gt=0, le=10)] | None = Field(None, description="Hazard ratio for each point more.")
    above: Threshold | None = None
    arms: Arms = Field((), description="Arms it acts in; all if left out.")
    note: str = ""

    @model_validator(mode="after")
    def _complete(self) -> Leaving:
        if not 0 <= self.share < 1:
            raise problem("The share of people who leave lies from 0 % to below 100 %.", 'Write for example "15 %".')
        needs = {"random": ("until",), "score": ("until", "scale", "at", "ratio"),
                 "state": ("until", "scale", "at", "ratio"), "side-effects": ("scale", "above")}[self.by]  # fmt: skip
        for field in ("until", "scale", "at", "ratio", "above"):
            given = getattr(self, field) is not None
            if field in needs and not given:
                raise problem(f'Leaving by {self.by} needs "{field}".', f"Write {', '.join(needs)}.")
            if field not in needs and given:
                raise problem(f'Leaving by {self.by} does not use "{field}".', f"It uses {', '.join(needs)}.")
        return self


class Rescue(Part):
    """Rescue treatment: started once at the first visit from ``from`` on at which the score lies above ``above``."""

    scale: Name
    above: Threshold
    begin: Time | None = Field(None, alias="from")
    dose: RuleDose | None = Field(None, description="What is given from then on; without it the event alone is noted.")
    arms: Arms = ()


class RelapseEvent(Part):
    """Relapse as an event: a responder's score at ``above`` or more, or ``lost`` of the improvement, at a later visit."""

    scale: Name
    drop: Share | None = Field(None, description="What response is; that of the scale if left out.")
    above: Threshold | None = None
    lost: Share | None = None

    @model_validator(mode="after")
    def _complete(self) -> RelapseEvent:
        if (self.above is None) == (self.lost is None):
            raise problem("A relapse is a score or a share of the improvement that is lost.",
                          'Write "above: 22" or "lost: 50 %".')  # fmt: skip
        return self


Leavings = Annotated[tuple[Leaving, ...], BeforeValidator(one_or_more), Field(strict=False)]


class Behaviour(Part):
    """What people of a trial do: ``dropout`` ends all observation, ``discontinuation`` the arm's doses alone."""

    dropout: Leavings = ()
    discontinuation: Leavings = ()
    follow_up: Share = Field(1.0, alias="follow-up", validate_default=False,
                             description="Share of those who discontinue that is still seen afterwards.")  # fmt: skip
    missed_doses: Share = Field(0.0, alias="missed-doses", validate_default=False)
    missed_visits: Share = Field(0.0, alias="missed-visits", validate_default=False)
    rescue: Rescue | None = None
    relapse: RelapseEvent | None = None

    @model_validator(mode="after")
    def _possible(self) -> Behaviour:
        total = sum(law.share for law in self.dropout if law.by == "random" and not law.arms)
        if total >= 1:
            raise problem("Together more people leave than there are.", "Lower the shares to below 100 % in all.")
        return self

    @property
    def leavings(self) -> tuple[tuple[str, int, Leaving], ...]:
        """Every law with the field it stands in and its place there."""
        return tuple(
            (field, i, law)
            for field, laws in (("dropout", self.dropout), ("discontinuation", self.discontinuation))
            for i, law in enumerate(laws)
        )

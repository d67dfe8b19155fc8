"""How responders fare: the time until they relapse, and who does not."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from respine.study.endpoints.base import At, Drop, Endpoint, From, Given, Improvement, Unadjusted, Until


class Relapse(Endpoint):
    """Responders of visit ``at``; relapsed is who reaches ``above`` or has lost the share ``lost`` of the improvement.

    Who is a responder goes by ``drop`` (the scale's own if left out).
    """

    needs_baseline: ClassVar[bool] = True
    either: ClassVar[tuple[tuple[str, str], ...]] = (("above", "lost"),)
    cure: ClassVar[str] = 'Add "above: 20" (a score) or "lost: 50 %" (of the improvement).'

    at: At = Field(description="The visit whose responders are followed.")
    drop: Given[Drop] = None
    above: Given[float] = Field(None, description="A responder has relapsed at this score.")
    lost: Given[Improvement] = Field(None, description="A responder has relapsed after losing this share of the gain.")
    begin: Given[From] = Field(None, alias="from")
    until: Given[Until] = None
    analysis: Unadjusted = "none"

    @property
    def time(self) -> float:
        """End of follow-up, hours; the response visit where none is named."""
        return self.at if self.until is None else self.until


class TimeToRelapse(Relapse):
    """Mean time from the baseline visit to relapse; who does not relapse counts with the end of follow-up.

    That is the restricted mean of the survival curve, as long as everybody is followed to the end.
    """

    gives: ClassVar[str] = "mean hours to relapse among responders, up to the end of follow-up"

    kind: Literal["time-to-relapse"] = "time-to-relapse"

    def unit(self, measured: str) -> str:
        """Hours."""
        return "h"


class RelapseFree(Relapse):
    """Responders without relapse up to the end of follow-up."""

    gives: ClassVar[str] = "share of the responders without relapse"
    is_share: ClassVar[bool] = True

    kind: Literal["relapse-free"] = "relapse-free"
    until: Until

    def unit(self, measured: str) -> str:
        """Percent of the responders."""
        return "%"

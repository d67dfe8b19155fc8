"""Means of a score or of its change."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from respine.study.endpoints.base import Adjustable, At, Endpoint, From, Given, Unadjusted


class Score(Endpoint):
    """The mean score, or the mean of an output."""

    gives: ClassVar[str] = "the mean score"

    kind: Literal["score"] = "score"
    at: At
    analysis: Adjustable = "none"


class Change(Endpoint):
    """The mean change of the score from the baseline visit."""

    gives: ClassVar[str] = "the mean change from the baseline visit"
    no_change: ClassVar[float | None] = 0.0
    needs_baseline: ClassVar[bool] = True

    kind: Literal["change"] = "change"
    at: At
    begin: Given[From] = Field(None, alias="from")
    analysis: Adjustable = "none"


class PercentChange(Endpoint):
    """The mean of everybody's change in percent of the own baseline."""

    gives: ClassVar[str] = "the mean of everybody's change in per cent of the baseline score"
    no_change: ClassVar[float | None] = 0.0
    needs_baseline: ClassVar[bool] = True

    kind: Literal["percent-change"] = "percent-change"
    at: At
    begin: Given[From] = Field(None, alias="from")
    analysis: Unadjusted = "none"

    def unit(self, measured: str) -> str:
        """Percent."""
        return "%"

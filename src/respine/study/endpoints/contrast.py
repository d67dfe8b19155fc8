"""An arm against another arm."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from respine.study.endpoints.base import Adjustable, At, Below, Drop, Endpoint, From, Given, Reference, Unadjusted


class Contrast(Endpoint):
    """A number of an arm set against that of ``arm``, at a visit."""

    at: At
    arm: Reference


class Difference(Contrast):
    """Mean score less that of ``arm``."""

    gives: ClassVar[str] = "the arm's mean score less that of the arm named"
    no_change: ClassVar[float | None] = 0.0

    kind: Literal["difference"] = "difference"
    analysis: Adjustable = "none"


class DifferenceInChange(Contrast):
    """Mean change from baseline less that of ``arm``."""

    gives: ClassVar[str] = "the arm's mean change less that of the arm named"
    no_change: ClassVar[float | None] = 0.0
    needs_baseline: ClassVar[bool] = True

    kind: Literal["difference-in-change"] = "difference-in-change"
    begin: Given[From] = Field(None, alias="from")
    analysis: Adjustable = "none"


class EffectSize(Contrast):
    """Difference in mean change over the SD of the changes within both arms (Cohen's d)."""

    gives: ClassVar[str] = "the difference in change over the SD of the changes of both arms"
    no_change: ClassVar[float | None] = 0.0
    needs_baseline: ClassVar[bool] = True

    kind: Literal["effect-size"] = "effect-size"
    begin: Given[From] = Field(None, alias="from")
    analysis: Unadjusted = "none"

    def unit(self, measured: str) -> str:
        """Standard deviations."""
        return "SD"


class PercentOfControl(Contrast):
    """Mean in percent of the mean of ``arm``."""

    gives: ClassVar[str] = "the arm's mean in per cent of that of the arm named"
    no_change: ClassVar[float | None] = 100.0

    kind: Literal["percent-of-control"] = "percent-of-control"
    analysis: Unadjusted = "none"

    def unit(self, measured: str) -> str:
        """Percent."""
        return "%"


class PercentRestored(Contrast):
    """What is undone of the damage between ``healthy`` and the damaged ``arm``, in percent."""

    gives: ClassVar[str] = "per cent of the damage (healthy arm to the arm named) that is undone"
    no_change: ClassVar[float | None] = 0.0

    kind: Literal["percent-restored"] = "percent-restored"
    healthy: Reference = Field(description="The undamaged arm.")
    analysis: Unadjusted = "none"

    def unit(self, measured: str) -> str:
        """Percent."""
        return "%"


class ShareContrast(Contrast):
    """The share of an arm against that of ``arm``: percentage points, a ratio or an odds ratio."""

    analysis: Unadjusted = "none"

    @property
    def how(self) -> str:
        """``difference``, ``ratio`` or ``odds-ratio``."""
        return self.kind.partition("-")[2]

    def unit(self, measured: str) -> str:
        """Percentage points, or a ratio."""
        return "%" if self.how == "difference" else "ratio"


class ResponseContrast(ShareContrast):
    """Responders, as in ``response``."""

    gives: ClassVar[str] = "the share of responders against that of the arm named"
    needs_baseline: ClassVar[bool] = True

    kind: Literal["response-difference", "response-ratio", "response-odds-ratio"]
    drop: Drop
    begin: Given[From] = Field(None, alias="from")


class RemissionContrast(ShareContrast):
    """Remitters, as in ``remission``."""

    gives: ClassVar[str] = "the share in remission against that of the arm named"

    kind: Literal["remission-difference", "remission-ratio", "remission-odds-ratio"]
    below: Below

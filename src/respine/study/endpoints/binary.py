"""Shares of people whose score fell far enough, or is low enough."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from respine.study.endpoints.base import At, Below, By, Drop, Endpoint, From, Given, Unadjusted


class Share(Endpoint):
    """A share of people, at a visit or met at any visit up to one."""

    is_share: ClassVar[bool] = True
    either: ClassVar[tuple[tuple[str, str], ...]] = (("at", "by"),)
    cure: ClassVar[str] = 'Add "at: 24 h" or "by: 7 d", one of the visits.'

    at: Given[At] = None
    by: Given[By] = None
    analysis: Unadjusted = "none"

    @property
    def time(self) -> float:
        """The visit, or the last of those that count, hours."""
        return next(t for t in (self.by, self.at, float("nan")) if t is not None)

    def unit(self, measured: str) -> str:
        """Percent of the people."""
        return "%"


class Response(Share):
    """People whose score fell by at least the share ``drop`` of the baseline."""

    gives: ClassVar[str] = "share of people whose score fell by that much"
    needs_baseline: ClassVar[bool] = True

    kind: Literal["response"] = "response"
    drop: Drop
    begin: Given[From] = Field(None, alias="from")


class Remission(Share):
    """People whose score is at most ``below``."""

    gives: ClassVar[str] = "share of people at or under that score"

    kind: Literal["remission"] = "remission"
    below: Below

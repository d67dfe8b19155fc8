"""The highest and the lowest value of everybody within a window."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from respine.study.endpoints.base import Endpoint, From, Given, Unadjusted, Until


class Extreme(Endpoint):
    """The mean of everybody's highest (``peak``) or lowest (``trough``) value.

    A scale is read at the visits of the window, an output all along it.
    """

    gives: ClassVar[str] = "the mean of everybody's highest (lowest) value within the window"

    kind: Literal["peak", "trough"]
    begin: Given[From] = Field(None, alias="from")
    until: Given[Until] = None
    analysis: Unadjusted = "none"

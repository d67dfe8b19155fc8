"""Endpoints as a study asks for them: a file a family, a class a kind with its fields.

To add a kind: a class here, listed in ``_Kinds``, and what it makes of the scores in ``trial/endpoints``. The study file, its
JSON Schema, the checks and the table of kinds in the docs follow from the class.
"""

from __future__ import annotations

from typing import Annotated, Any, get_args

from pydantic import Field

from respine.study.endpoints.base import Endpoint
from respine.study.endpoints.binary import Remission, Response, Share
from respine.study.endpoints.continuous import Change, PercentChange, Score
from respine.study.endpoints.contrast import (
    Contrast,
    Difference,
    DifferenceInChange,
    EffectSize,
    PercentOfControl,
    PercentRestored,
    RemissionContrast,
    ResponseContrast,
    ShareContrast,
)
from respine.study.endpoints.extreme import Extreme
from respine.study.endpoints.time_to_event import Relapse, RelapseFree, TimeToRelapse

_Kinds = (
    Score | Change | PercentChange | Response | Remission | TimeToRelapse | RelapseFree | Extreme | Difference
    | DifferenceInChange | EffectSize | PercentOfControl | PercentRestored | ResponseContrast | RemissionContrast
)  # fmt: skip

AnyEndpoint = Annotated[_Kinds, Field(discriminator="kind")]
"""An endpoint of any kind, as a field of the study file."""

CLASSES: tuple[type[Endpoint], ...] = get_args(_Kinds)

KINDS: dict[str, type[Endpoint]] = {
    kind: cls for cls in CLASSES for kind in get_args(cls.model_fields["kind"].annotation)
}
"""The class of every kind, by the word of the study file."""


def endpoint(kind: str, **fields: Any) -> Endpoint:
    """An endpoint from values that are hours, fractions and scores already, such as those of a published row.

    ``begin`` stands for the field ``from``. Nothing is checked but the names of the fields. Raises KeyError for an unknown
    kind, TypeError for a field that the kind does not have.
    """
    chosen = KINDS[kind]
    for name in fields:
        if name not in chosen.model_fields:
            raise TypeError(f'an endpoint of kind "{kind}" has no field "{name}"')
    by_alias = {chosen.model_fields[name].alias or name: value for name, value in fields.items()}
    return chosen.model_construct(kind=kind, **by_alias)


__all__ = [
    "CLASSES",
    "KINDS",
    "AnyEndpoint",
    "Change",
    "Contrast",
    "Difference",
    "DifferenceInChange",
    "EffectSize",
    "Endpoint",
    "Extreme",
    "PercentChange",
    "PercentOfControl",
    "PercentRestored",
    "Relapse",
    "RelapseFree",
    "Remission",
    "RemissionContrast",
    "Response",
    "ResponseContrast",
    "Score",
    "Share",
    "ShareContrast",
    "TimeToRelapse",
    "endpoint",
]

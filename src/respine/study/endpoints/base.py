"""What every endpoint has: a name, what is measured and how, and what its kind says of itself."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr, model_validator

from respine.files.fields import Part, Share, Time, problem

Name = Annotated[str, Field(min_length=1, max_length=80)]
Slug = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[a-z0-9][a-z0-9._-]*$")]

ADJUSTED = ("ancova", "mmrm")
"""Analyses that adjust means for the baseline."""


def _nothing_to_adjust(value: object) -> object:
    if value in ADJUSTED:
        why = f'"{value}" adjusts means for the baseline; this kind of endpoint has nothing to adjust.'
        raise problem(why, 'Remove it, or write "analysis: observed" or "analysis: locf".')
    return value


def _written(value: object) -> object:
    if value is None:
        raise problem("The field is empty.", "Write a value, or remove the field.")
    return value


def _of_improvement(share: float) -> float:
    if not 0 < share <= 1:
        raise problem("A share of the improvement lies above 0 % and up to 100 %.", 'Write "50 %".')
    return share


T = TypeVar("T")
Given = Annotated[T | None, BeforeValidator(_written)]
"""A field that may be left out, but not left empty."""

_MISSING = "Who has no score at the visit is left out (`none`, `observed`), or keeps the last score after the baseline (`locf`)"
Unadjusted = Annotated[
    Literal["none", "observed", "locf"], BeforeValidator(_nothing_to_adjust), Field(description=f"{_MISSING}.")
]
Adjustable = Annotated[
    Literal["none", "observed", "locf", "ancova", "mmrm"],
    Field(
        description=f"{_MISSING}. `ancova` adjusts means for the baseline; `mmrm` does so by a mixed model over all visits."
    ),
]
Improvement = Annotated[Share, AfterValidator(_of_improvement)]

# fields that several kinds have, each with the example that errors show
At = Annotated[Time, Field(description="The visit.", examples=["24 h"])]
By = Annotated[Time, Field(description="Instead of `at`: met at any visit after the baseline up to this one.")]
From = Annotated[
    Time, Field(description="The baseline visit, or the start of a window; the study's start if left out.")
]
Until = Annotated[Time, Field(description="End of follow-up, or of the window.", examples=["28 d"])]
Drop = Annotated[
    Improvement, Field(description="Fall from the baseline score that counts as response.", examples=["50 %"])
]
Below = Annotated[float, Field(description="The highest score that counts as remission.", examples=["10"])]
Reference = Annotated[str, Field(description="The arm to compare with.", examples=["placebo"])]


class Endpoint(Part):
    """One number per arm: what is measured (``of`` a scale or a model output), how (``kind``) and when.

    Times are hours, shares fractions. Each kind is a class of its own with the fields that it needs; what it makes of
    the scores stands in the file of the same name in ``trial/endpoints``.
    """

    gives: ClassVar[str] = ""
    """What the number is, for the table of kinds."""
    is_share: ClassVar[bool] = False
    """Whether the number is a share of people, in percent."""
    needs_baseline: ClassVar[bool] = False
    """Whether each person's value is set against the baseline visit."""
    no_change: ClassVar[float | None] = None
    """The value that means that nothing changed, where there is one."""
    either: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Pairs of fields of which exactly one is written."""
    cure: ClassVar[str] = ""
    """What to write where neither of a pair is."""

    name: Slug
    of: Name = Field(description="A scale that the study observes, or an output that it records.")
    kind: str
    analysis: Unadjusted | Adjustable = "none"
    note: str = ""

    _start: float = PrivateAttr(0.0)

    @model_validator(mode="after")
    def _one_of_each_pair(self) -> Endpoint:
        for pair in self.either:
            written = [field for field in pair if getattr(self, field) is not None]
            if not written:
                wanted = " or ".join(f'"{field}"' for field in pair)
                raise problem(f'A "{self.kind}" endpoint needs {wanted}.', self.cure)
            if len(written) > 1:
                raise problem(" and ".join(f'"{field}"' for field in pair) + " exclude each other.", "Keep one.")
        return self

    def model_post_init(self, context: Any, /) -> None:
        """Count the kind as written: it says what the rest of the fields mean, also where the class implies it."""
        super().model_post_init(context)
        self.model_fields_set.add("kind")

    def unit(self, measured: str) -> str:
        """Unit of the number, where what is measured has the unit ``measured``."""
        return measured

    @property
    def time(self) -> float:
        """The time under which the result is listed, hours; NaN where it belongs to none."""
        return next((t for t in (self._time("at"), self._time("until")) if t is not None), float("nan"))

    @property
    def baseline(self) -> float:
        """The visit that a change is counted from, hours."""
        begin = self._time("begin")
        return self._start if begin is None else begin

    @property
    def adjusts(self) -> bool:
        """Whether means of arms are adjusted for the baseline."""
        return self.analysis in ADJUSTED

    @property
    def ratings(self) -> list[float]:
        """Visits at which everybody must have been rated, hours."""
        at = self._time("at")
        return [*([] if at is None else [at]), *([self.baseline] if self.needs_baseline or self.adjusts else [])]

    @property
    def visits(self) -> list[float]:
        """Visits it names, hours: ``at`` and ``from``."""
        return [t for field in ("at", "begin") if (t := self._time(field)) is not None]

    @property
    def ends(self) -> list[float]:
        """Ends of the windows it names, hours: ``by`` and ``until``."""
        return [t for field in ("until", "by") if (t := self._time(field)) is not None]

    @property
    def reference_arms(self) -> list[str]:
        """Arms that the number is set against: first the one subtracted or divided by."""
        return [name for field in ("arm", "healthy") if (name := getattr(self, field, None))]

    def _time(self, field: str) -> float | None:
        return getattr(self, field, None)

    def from_start(self, start: float) -> Endpoint:
        """The endpoint with the study's ``start`` (hours) as its baseline, where it names no other."""
        copy = self.model_copy()
        copy._start = start
        return copy

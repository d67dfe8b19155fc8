"""Why a published row stands beside no prediction, and what a reader should know of one that does."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class NotCompared(Enum):
    """A reason as a value; its text is for people and is what rows are counted by."""

    LEFT_OUT = "its arm is left out by the study"
    NO_STUDY = "no study simulates it"
    NO_SCALE = "scale not in the library"
    NO_ENDPOINT = "no such endpoint"
    LEFT_OPEN = "the row leaves open what was measured"
    NO_ARM = "its arm is not in the study"
    STUDY_FAILS = "its study cannot be run"
    NOT_OBSERVED = "the study does not observe it"
    NOTHING_COMPUTED = "nothing could be computed"
    OTHER_UNIT = "unit of another kind"
    NO_NUMBER = "no single number was published"
    NO_EXPERIMENT = "no experiment or parameter of the library describes it"
    EXPLAINED = "for a reason of its own"

    def because(self, text: str) -> Reason:
        """The reason with the particulars of one row."""
        return Reason(self, text)


@dataclass(frozen=True)
class Reason:
    """Why one row is not compared: what kind of reason, and the particulars for people."""

    kind: NotCompared
    text: str


class About(Enum):
    """What a remark on a compared row is about."""

    SIGN = "how the number is printed"
    SIZE = "the number of people"
    ERROR_BAR = "the published error bar"
    UNREAD = "something printed that is not used"
    INTERVAL = "the predicted interval"
    RESULT = "the published result"
    FAILURES = "people who were not simulated to the end"


WARNINGS = (About.SIGN, About.SIZE, About.UNREAD)
"""What a reader should look at before trusting the comparison."""


@dataclass(frozen=True)
class Remark:
    """Something to know of a compared row."""

    about: About
    text: str

    @property
    def is_warning(self) -> bool:
        """Whether a reader should look at it before trusting the comparison."""
        return self.about in WARNINGS

    def __str__(self) -> str:
        return f"remark: {self.text}" if self.is_warning else self.text


def note(remarks: tuple[Remark, ...] | list[Remark]) -> str:
    """Remarks as one line for people."""
    return "; ".join(str(remark) for remark in remarks if remark.text)

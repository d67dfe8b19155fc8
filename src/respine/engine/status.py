"""How a subject's run ended, as data: a code, what it means, and what to change."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Status(IntEnum):
    """The end of one subject's run. Every value but OK leaves NaN in the outputs from that time on."""

    OK = 0
    NOT_FINITE = 1
    STEP_FLOOR = 2
    STEP_BUDGET = 3
    STOPPED = 4
    BAD_PARAMETER = 5
    NO_STEADY_STATE = 6
    EVENT_LOOP = 7
    EVENT_DELAY = 8
    NEGATIVE = 9
    NOT_KEPT = 10
    FLOAT32_RANGE = 11
    TOO_SMALL = 12

    @property
    def reason(self) -> str:
        """What happened, for people."""
        return _REASONS[self][0]

    @property
    def cure(self) -> str:
        """What to change, for people."""
        return _REASONS[self][1]


_REASONS = {
    Status.OK: ("solved to the last output", ""),
    Status.NOT_FINITE: (
        "a rate is not a number however small the step (a logarithm or power of a negative number, or 0/0)",
        "look at the state named: its production is probably negative for these parameters; narrow their variability "
        "or bound the term from below in the module",
    ),
    Status.STEP_FLOOR: (
        "the error stays above the tolerance however small the step (a jump or a runaway in the equations)",
        "look at the state named for a discontinuity or growth without limit; loosen rtol only if that is meant",
    ),
    Status.STEP_BUDGET: (
        "the step budget ran out",
        "raise max_steps, or look for an oscillation much faster than the time scale of the study",
    ),
    Status.STOPPED: ("the run was stopped before this subject ended", "run it again: what is finished is kept"),
    Status.BAD_PARAMETER: (
        "a parameter, start value or dose of this subject is not a finite number",
        "check the population file and the columns that feed this parameter",
    ),
    Status.NO_STEADY_STATE: (
        "repeated dosing had not settled to a steady state after 20000 intervals, or grew without limit",
        "what is dosed, or something it feeds, is not eliminated or very slowly against the interval; dose explicitly "
        "instead of with SS",
    ),
    Status.EVENT_LOOP: (
        "events set each other off without end",
        "look at the event named: what it assigns makes its own trigger, or that of another event, turn true again",
    ),
    Status.EVENT_DELAY: (
        "the delay of an event is negative or not a number",
        "look at the delay of the event named; write a formula that stays at zero or above",
    ),
    Status.NEGATIVE: (
        "a state fell below zero, which an amount, level or density cannot",
        "look at the state named: for these parameters more is taken away than is there; narrow their belief or bound "
        "the term in the module",
    ),
    Status.FLOAT32_RANGE: (
        "a number left the range of float32 (1e-38 to 3e38) on the way to a rate; float64 holds it",
        'solve with precision="float64", or count in units in which the states are nearer to one',
    ),
    Status.TOO_SMALL: (
        "a state starts at so small a number that below it 64 bits leave no room for its tolerance",
        "count it in a unit in which it is nearer to one, start it at zero, or say with atol what is small enough for it",
    ),
    Status.NOT_KEPT: (
        "a total that the equations keep has changed",
        "tighten rtol; if it still drifts, or in float32 only, please report the model",
    ),
}


@dataclass(frozen=True)
class Failure:
    """One subject that was not solved to the end: who, why, when, where in the state, from what last good value."""

    subject: int
    status: Status
    time: float
    state: str
    value: float

    @property
    def reason(self) -> str:
        """What happened to this subject."""
        return self.status.reason

    @property
    def cure(self) -> str:
        """What to change."""
        return self.status.cure

    def __str__(self) -> str:
        seen = f"at {self.time:.6g}, {self.state} = {self.value:.6g}" if self.state else f"at {self.time:.6g}"
        return f"subject {self.subject}: {self.reason} ({seen}). {self.cure[:1].upper()}{self.cure[1:]}."

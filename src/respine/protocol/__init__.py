"""From what is asked to trajectories: a study resolved with its library, its doses once, and the one way to solve it."""

from respine.protocol.arm import Arm
from respine.protocol.decisions import Decisions, Observed
from respine.protocol.doses import DoseRecord, PlannedDose, PlannedExposure, Taken
from respine.protocol.people import begins
from respine.protocol.protocol import Protocol, resolve
from respine.protocol.rule_doses import Given, decision_times, rules_of

__all__ = [
    "Arm",
    "Decisions",
    "DoseRecord",
    "Given",
    "Observed",
    "PlannedDose",
    "PlannedExposure",
    "Protocol",
    "Taken",
    "begins",
    "decision_times",
    "resolve",
    "rules_of",
]

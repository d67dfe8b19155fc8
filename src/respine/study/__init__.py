"""What is done: the study file, checked; its doses and exposures as an engine schedule."""

from respine.study.decisions import Decisions, Observed
from respine.study.ledger import ledger
from respine.study.people import begins, people
from respine.study.read import change, load, require_result
from respine.study.rule_doses import Given, decision_times, dose_times, possible, rules_of
from respine.study.schedule import schedule
from respine.study.schema import Arm, Compare, Control, Dose, Endpoint, Exposure, Study, Tie
from respine.study.schema import json_schema as schema
from respine.study.template import names, template

__all__ = [
    "Arm",
    "Compare",
    "Control",
    "Decisions",
    "Dose",
    "Endpoint",
    "Exposure",
    "Given",
    "Observed",
    "Study",
    "Tie",
    "begins",
    "change",
    "decision_times",
    "dose_times",
    "ledger",
    "load",
    "names",
    "people",
    "possible",
    "require_result",
    "rules_of",
    "schedule",
    "schema",
    "template",
]

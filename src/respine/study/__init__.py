"""What is asked: the study as a value, from Python or from a file, and its checks."""

from respine.study.endpoints import Endpoint
from respine.study.read import check_study, load, own_library, parse, population_of, require_result
from respine.study.schema import Arm, Compare, Control, Dose, Exposure, RowLink, Study, StudyArm
from respine.study.schema import json_schema as schema
from respine.study.template import names, template

__all__ = [
    "Arm",
    "Compare",
    "Control",
    "Dose",
    "Endpoint",
    "Exposure",
    "RowLink",
    "Study",
    "StudyArm",
    "check_study",
    "load",
    "names",
    "own_library",
    "parse",
    "population_of",
    "require_result",
    "schema",
    "template",
]

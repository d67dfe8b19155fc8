"""What an endpoint makes of the scores: a file a family, as in ``study/endpoints``, where each kind has its fields.

``per_person`` and ``estimate`` are chosen by the class of the endpoint; the files below register what they do.
"""

from respine.study.endpoints import Endpoint
from respine.trial.endpoints import binary, continuous, contrast, extreme, time_to_event
from respine.trial.endpoints.base import (
    arms_needed,
    baseline_values,
    estimate,
    is_adjusted,
    per_person,
    sample_of,
    why_not,
)
from respine.trial.endpoints.of_study import Units, endpoint_values, of_study
from respine.trial.endpoints.statistics import Sample

FAMILIES = (continuous, binary, time_to_event, extreme, contrast)

__all__ = [
    "FAMILIES",
    "Endpoint",
    "Sample",
    "Units",
    "arms_needed",
    "baseline_values",
    "endpoint_values",
    "estimate",
    "is_adjusted",
    "of_study",
    "per_person",
    "sample_of",
    "why_not",
]

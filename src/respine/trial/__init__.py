"""What is observed: scales, expectancy, endpoints, and trials of the published size."""

from respine.protocol.output_times import rating_times
from respine.study.scales import Scale
from respine.trial.endpoints import Endpoint, Units, endpoint_values, of_study
from respine.trial.interim import InterimScores
from respine.trial.items import item_scores, rated_by_itself
from respine.trial.observe import (
    Scores,
    count_hardly_ill,
    hardly_ill,
    observe,
    observed_outputs,
    observed_scales,
    required_outputs,
    scores,
)
from respine.trial.panel import Panel
from respine.trial.predict import COLUMNS, DETAILS, predict
from respine.trial.trials import CONTAINS, Interval, in_trials_of_published_size

__all__ = [
    "COLUMNS",
    "CONTAINS",
    "DETAILS",
    "Endpoint",
    "InterimScores",
    "Interval",
    "Panel",
    "Scale",
    "Scores",
    "Units",
    "count_hardly_ill",
    "endpoint_values",
    "hardly_ill",
    "in_trials_of_published_size",
    "item_scores",
    "observe",
    "observed_outputs",
    "observed_scales",
    "of_study",
    "predict",
    "rated_by_itself",
    "rating_times",
    "required_outputs",
    "scores",
]

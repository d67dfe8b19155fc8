"""What is observed: scales, expectancy, endpoints, trials of the published size, and published rows beside them."""

from respine.protocol.output_times import rating_times
from respine.study.scales import Scale
from respine.trial.compare import COLUMNS, compare, matches, predict, summary
from respine.trial.endpoints import Endpoint, endpoints, of_study
from respine.trial.observe import hardly_ill, observe, observed_outputs, observed_scales, required_outputs
from respine.trial.panel import Panel
from respine.trial.published import Published, published, read_row
from respine.trial.scales import is_scale
from respine.trial.seen import Seen
from respine.trial.trials import CONTAINS, Interval, in_trials_of_published_size

__all__ = [
    "COLUMNS",
    "CONTAINS",
    "Endpoint",
    "Interval",
    "Panel",
    "Published",
    "Scale",
    "Seen",
    "compare",
    "endpoints",
    "hardly_ill",
    "in_trials_of_published_size",
    "is_scale",
    "matches",
    "observe",
    "observed_outputs",
    "observed_scales",
    "of_study",
    "predict",
    "published",
    "rating_times",
    "read_row",
    "required_outputs",
    "summary",
]

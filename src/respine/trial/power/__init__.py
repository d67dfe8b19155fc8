"""Power given the parameters and assurance over them, side by side, from simulated trials of a study."""

from respine.trial.power.compute import power
from respine.trial.power.results import PowerResults

__all__ = ["PowerResults", "power"]

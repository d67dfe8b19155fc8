"""Learning from data: calibration of the library's numbers on published rows of role fit, block by block."""

from respine.fit.block import Calibration, Objective, calibrate, write
from respine.fit.minimise import Minimum, minimise
from respine.fit.recipe import Recipe, load, names

__all__ = ["Calibration", "Minimum", "Objective", "Recipe", "calibrate", "load", "minimise", "names", "write"]

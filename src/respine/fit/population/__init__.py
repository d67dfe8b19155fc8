"""Nonlinear mixed effects: population problems, their objective functions, estimation and diagnostics.

>>> from respine.fit import population                                                # doctest: +SKIP
>>> problem = population.PopulationProblem.from_yaml("theophylline.yaml")             # doctest: +SKIP
>>> print(population.fit(problem))                                                    # doctest: +SKIP
"""

from respine.fit.population.findings import Finding
from respine.fit.population.fitted import Fit, at_point, evaluate, fit, with_options
from respine.fit.population.problem import PopulationProblem

__all__ = ["Finding", "Fit", "PopulationProblem", "at_point", "evaluate", "fit", "with_options"]

"""Nonlinear mixed effects: population problems, their objective functions, estimation and diagnostics.

>>> from respine.fit import population                                                # doctest: +SKIP
>>> problem = population.PopulationProblem.from_yaml("theophylline.yaml")             # doctest: +SKIP
>>> print(population.fit(problem))                                                    # doctest: +SKIP
"""

from respine.fit.population.bayes.posterior import Posterior, posterior
from respine.fit.population.design import Design, best_times
from respine.fit.population.findings import Finding
from respine.fit.population.fitted import Fit, at_point, evaluate, fit, with_options
from respine.fit.population.information import Information, information
from respine.fit.population.patient import Patients, patients
from respine.fit.population.predictive_check import vpc
from respine.fit.population.problem import PopulationProblem
from respine.fit.population.profile import Profile, profile
from respine.fit.population.resample import bootstrap, percentiles
from respine.fit.population.tables import table

__all__ = [
    "Design",
    "Finding",
    "Fit",
    "Information",
    "Patients",
    "PopulationProblem",
    "Posterior",
    "Profile",
    "at_point",
    "best_times",
    "bootstrap",
    "evaluate",
    "fit",
    "information",
    "patients",
    "percentiles",
    "posterior",
    "profile",
    "table",
    "vpc",
    "with_options",
]

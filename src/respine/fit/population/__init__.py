"""Nonlinear mixed effects: population problems, their objective functions, estimation and diagnostics."""

from respine.fit.population.problem import PopulationProblem

__all__ = ["PopulationProblem"]

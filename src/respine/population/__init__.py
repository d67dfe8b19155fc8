"""Who takes part: covariates, genotype, variability, and random numbers that belong to the subject."""

from respine.population.posterior import Posterior
from respine.population.random import inverse_normal, normals, normals_of, uniforms, uniforms_of
from respine.population.read import load
from respine.population.sample import People, sample
from respine.population.schema import Population

__all__ = ["People", "Population", "Posterior", "inverse_normal", "load", "normals", "normals_of", "sample", "uniforms",
           "uniforms_of"]  # fmt: skip

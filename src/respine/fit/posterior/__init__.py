"""One joint posterior of all uncertain numbers, given all rows of role fit: recipe, forward map, mode, draws, table."""

from respine.fit.posterior.make import Made, make
from respine.fit.posterior.recipe import Joint, load
from respine.fit.posterior.table import agreement, beside_prior, by_block, check, encode, write

__all__ = ["Joint", "Made", "agreement", "beside_prior", "by_block", "check", "encode", "load", "make", "write"]

"""PEtab problems, versions 1 and 2: a model, experiments, measurements, noise and priors as one objective."""

from respine.interop.petab.problem import Evaluation, Fit, PetabProblem, read_petab

__all__ = ["Evaluation", "Fit", "PetabProblem", "read_petab"]

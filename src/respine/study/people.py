"""The people of one arm: the population with the arm's genotype and parameter values; and when their story begins."""

from __future__ import annotations

from typing import Any

from respine import population
from respine.model.system import System
from respine.population import People
from respine.study.schema import Arm, Study

MET = {"Val/Val": 0.0, "Val/Met": 0.5, "Met/Met": 1.0}
"""Val66Met as the models read it: half the number of Met alleles."""


def people(
    study: Study, arm: str, system: System, subjects: range, draw_parameters: bool = True, *, n_draws: int = 200
) -> People:
    """The people of one arm, by their numbers; the same in every arm but for genotype and parameters the arm sets.

    Raises KeyError for an unknown arm and what ``population.sample`` raises.
    """
    one = study.arms[arm]
    return population.sample(
        study.people, system, subjects, study.seed, draw_parameters,
        n_draws=n_draws, typical=one.parameters, covariates=fixed_covariates(one),
    )  # fmt: skip


def fixed_covariates(arm: Arm) -> dict[str, Any]:
    """Covariates everybody in the arm has alike: the genotype it names."""
    result: dict[str, Any] = {}
    if arm.genotype.val66met is not None:
        result["val66met"] = MET[arm.genotype.val66met]
    if arm.genotype.bdnf_gene_dose is not None:
        result["bdnf_gene_dose"] = arm.genotype.bdnf_gene_dose
    return result


def begins(study: Study, arm: str | None = None) -> float:
    """Hours at which an arm (or all arms) starts to be simulated: before every history, dose, exposure, visit."""
    times = [study.start, study.visits[0], study.start - study.people.run_in]
    for one in [study.arms[arm]] if arm is not None else study.arms.values():
        times += [time for dose in (*one.doses, *one.co_medication) for time in dose.at]
        times += [time for exposure in one.exposures for time in exposure.at or ()]
        times += [exposure.begin for exposure in one.exposures if exposure.begin is not None]
    return min(times)
